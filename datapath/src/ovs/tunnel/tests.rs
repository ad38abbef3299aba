//! The bytes of copies, keys and masks, and which of them are not taken for ours.

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn tunnel(local: &str) -> Tunnel {
    Tunnel { no: VportNo(9), local: ip(local) }
}

fn to(remote: &str, vni: u32, class: u8) -> TunnelTo {
    TunnelTo { remote: ip(remote), vni, class }
}

/// The bytes of an attribute that `fill` fills.
fn nested(fill: impl FnOnce(&mut NlaWriter)) -> Vec<u8> {
    let mut writer = NlaWriter::default();
    writer.nest(3, fill);
    writer.finish().unwrap()
}

fn read_set(tunnel: &Tunnel, bytes: &[u8]) -> Option<TunnelTo> {
    tunnel.read_set(NlaIter::new(bytes).next().unwrap().unwrap())
}

#[test]
fn a_copy_is_set_by_these_bytes() {
    let bytes = nested(|set| tunnel("192.0.2.1").put_set(set, to("192.0.2.7", 0x80_0001, 5)));
    #[rustfmt::skip]
    let expected = [
        56, 0, 3, 0,
            52, 0, 16, 0,
                12, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 1,
                8, 0, 1, 0, 192, 0, 2, 1,
                8, 0, 2, 0, 192, 0, 2, 7,
                5, 0, 3, 0, 0xa0, 0, 0, 0,
                5, 0, 4, 0, 64, 0, 0, 0,
                4, 0, 5, 0,
    ];
    assert_eq!(bytes, expected);
    let bytes = nested(|set| tunnel("2001:db8::1").put_set(set, to("2001:db8::7", 9, 0)));
    assert_eq!(bytes.len(), 80);
    assert_eq!(bytes[76..], [4, 0, 6, 0], "with a checksum, and nothing about fragments");
}

#[test]
fn a_copy_is_read_as_it_was_set() {
    for (local, copy) in [
        ("192.0.2.1", to("192.0.2.7", VNI_MOST, 7)),
        ("192.0.2.1", to("192.0.2.7", 1, 0)),
        ("2001:db8::1", to("2001:db8::7", 4_711, 3)),
    ] {
        let bytes = nested(|set| tunnel(local).put_set(set, copy));
        assert_eq!(read_set(&tunnel(local), &bytes), Some(copy));
        assert_eq!(read_set(&tunnel("192.0.2.9"), &bytes), None, "from another address");
    }
}

#[test]
fn a_copy_that_others_set_is_none_of_ours() {
    let ours = nested(|set| tunnel("192.0.2.1").put_set(set, to("192.0.2.7", 9, 5)));
    // Class with a DSCP bit more, another TTL, no flag, a checksum, a VNI beyond 24 bits.
    for (at, byte) in [(40, 0xb0), (48, 63), (54, 7), (54, 6), (14, 1)] {
        let mut other = ours.clone();
        other[at] = byte;
        assert_eq!(read_set(&tunnel("192.0.2.1"), &other), None, "byte {at} {byte:#04x}");
    }
}

#[test]
fn a_copy_with_something_else_set_is_none_of_ours() {
    let two = nested(|set| {
        tunnel("192.0.2.1").put_set(set, to("192.0.2.7", 9, 5));
        set.put_u32(2, 1);
    });
    assert_eq!(read_set(&tunnel("192.0.2.1"), &two), None);
}

#[test]
fn a_copy_that_cannot_go_is_refused_in_words() {
    for (local, copy, words) in [
        ("192.0.2.1", to("2001:db8::7", 9, 0), "a copy to 2001:db8::7 by a tunnel from 192.0.2.1"),
        ("192.0.2.1", to("0.0.0.0", 9, 0), "a copy to 0.0.0.0, which is no host"),
        ("192.0.2.1", to("224.0.0.1", 9, 0), "a copy to 224.0.0.1, which is no host"),
        ("192.0.2.1", to("192.0.2.7", 0, 0), "a copy to 192.0.2.7 with VNI 0, allowed are 1 to 16777215"),
        (
            "192.0.2.1",
            to("192.0.2.7", 1 << 24, 0),
            "a copy to 192.0.2.7 with VNI 16777216, allowed are 1 to 16777215",
        ),
        ("192.0.2.1", to("192.0.2.7", 9, 8), "a copy to 192.0.2.7 with class 8, allowed are 0 to 7"),
    ] {
        let denial = Denial::Errno { errno: libc::EINVAL, message: Some(words.to_owned()) };
        assert_eq!(tunnel(local).check(copy), Err(denial));
    }
    assert_eq!(tunnel("192.0.2.1").check(to("192.0.2.7", VNI_MOST, 7)), Ok(()));
}

/// As the kernel tells how a frame came: with what a mask of ours never counts.
fn came(src: &str, dst: &str, id: u64, tos: u8) -> Vec<u8> {
    let mut writer = NlaWriter::default();
    // What the kernel puts before a number of 64 bits where it would not be aligned.
    writer.put(OVS_TUNNEL_KEY_ATTR_PAD, &[]);
    writer.put(OVS_TUNNEL_KEY_ATTR_ID, &id.to_be_bytes());
    put_ends(&mut writer, ip(src), ip(dst));
    writer.put(OVS_TUNNEL_KEY_ATTR_TOS, &[tos]);
    writer.put(OVS_TUNNEL_KEY_ATTR_TTL, &[63]);
    writer.put(OVS_TUNNEL_KEY_ATTR_DONT_FRAGMENT, &[]);
    writer.put_be16(OVS_TUNNEL_KEY_ATTR_TP_SRC, 40_000);
    writer.put_be16(OVS_TUNNEL_KEY_ATTR_TP_DST, 4_789);
    writer.into_bytes()
}

#[test]
fn how_a_frame_came_is_read_without_ecn() {
    for (src, dst) in [("192.0.2.7", "192.0.2.1"), ("2001:db8::7", "2001:db8::1")] {
        let read = read_key(NlaIter::new(&came(src, dst, 9, 0xa3)));
        assert_eq!(read, Ok((TunnelKey { remote: ip(src), vni: 9, class: 5 }, ip(dst))));
    }
}

#[test]
fn no_vni_has_25_bits() {
    let largest = came("192.0.2.7", "192.0.2.1", (1 << 24) - 1, 0);
    assert!(read_key(NlaIter::new(&largest)).is_ok());
    let beyond = came("192.0.2.7", "192.0.2.1", 1 << 24, 0);
    assert!(read_key(NlaIter::new(&beyond)).is_err());
}

#[test]
fn a_key_that_lacks_an_end_or_the_vni_is_refused() {
    let whole = came("192.0.2.7", "192.0.2.1", 9, 0);
    for lacking in [0, 1, 2] {
        let mut writer = NlaWriter::default();
        let rest = NlaIter::new(&whole).flatten().filter(|nla| nla.kind != lacking);
        rest.for_each(|nla| writer.put(nla.kind, nla.payload));
        assert!(read_key(NlaIter::new(&writer.into_bytes())).is_err(), "without attribute {lacking}");
    }
}

#[test]
fn a_mask_counts_ends_and_vni_and_the_class_if_asked() {
    for remote in ["192.0.2.7", "2001:db8::7"] {
        for has_class in [false, true] {
            let mut writer = NlaWriter::default();
            put_mask(&mut writer, ip(remote), has_class);
            let bytes = writer.finish().unwrap();
            let mask = NlaIter::new(&bytes).next().unwrap().unwrap();
            assert_eq!(read_mask(mask.nested()), Some(has_class));
            // The kernel tells the TTL of a mask that leaves it out.
            let mut told = NlaWriter::onto(mask.payload.to_vec());
            told.put(OVS_TUNNEL_KEY_ATTR_TTL, &[0]);
            assert_eq!(read_mask(NlaIter::new(&told.into_bytes())), Some(has_class));
        }
    }
}

#[test]
fn a_mask_that_counts_more_or_less_is_another() {
    let mask = |fill: &dyn Fn(&mut NlaWriter)| {
        let mut writer = NlaWriter::default();
        fill(&mut writer);
        read_mask(NlaIter::new(&writer.into_bytes()))
    };
    let ends = |list: &mut NlaWriter| put_ends(list, Ipv4Addr::BROADCAST.into(), Ipv4Addr::BROADCAST.into());
    let id = |list: &mut NlaWriter| list.put(OVS_TUNNEL_KEY_ATTR_ID, &[0xff; 8]);
    assert_eq!(mask(&|list| (id(list), ends(list)).0), Some(false));
    assert_eq!(mask(&|list| ends(list)), None, "no VNI");
    assert_eq!(mask(&|list| id(list)), None, "no ends");
    let more: [(u16, &[u8]); 7] = [
        (OVS_TUNNEL_KEY_ATTR_ID, &[0xff, 0, 0, 0, 0, 0, 0, 0]),
        (OVS_TUNNEL_KEY_ATTR_TOS, &[0xff]),
        (OVS_TUNNEL_KEY_ATTR_TTL, &[0xff]),
        (OVS_TUNNEL_KEY_ATTR_DONT_FRAGMENT, &[]),
        (OVS_TUNNEL_KEY_ATTR_CSUM, &[]),
        (OVS_TUNNEL_KEY_ATTR_TP_DST, &[0xff, 0xff]),
        (OVS_TUNNEL_KEY_ATTR_IPV4_SRC, &[255, 255, 255, 0]),
    ];
    for (kind, payload) in more {
        assert_eq!(mask(&|list| (id(list), ends(list), list.put(kind, payload)).2), None, "attribute {kind}");
    }
}

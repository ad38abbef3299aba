//! Masks: a flow takes the frames that agree in every consulted field, and no others.

use datapath::flow::Action;
use datapath::port::VportNo;
use vlan::frame::Header;
use vlan::verdict::{Consulted, TagFields};

use super::Rig;
use super::traffic::{
    FAR, NARROWEST, NEAR, WIDEST, address, change, delete, learn, missed, open, padded, take_upcalls,
};
use crate::lab::frames::{EXPERIMENTAL, Frame, Mac, Tpid};

/// For every field alone, none, and all: frames that differ in one field are taken exactly if that field was not consulted.
pub async fn a_mask_is_as_wide_as_the_fields_consulted<B: Rig>(rig: &mut B) {
    let (mut dp, [_, b]) = open(rig, ["a", "b"]).await;
    for (base, variants) in [two_tags(), one_tag(), no_tag()] {
        for mask in single_fields() {
            compare(rig, (&mut dp, b), &base, &variants, mask).await;
        }
    }
}

/// Whether there is a tag can be consulted without the tag.
pub async fn frames_with_fewer_tags_are_told_apart<B: Rig>(rig: &mut B) {
    let frames = [no_tag().0, one_tag().0, two_tags().0];
    let presence = |depth| {
        let mut mask = NARROWEST;
        mask.tag_presence(depth);
        mask
    };
    let (mut dp, [_, b]) = open(rig, ["a", "b"]).await;
    for base in &frames {
        for mask in [presence(0), presence(1), presence(2), WIDEST] {
            compare(rig, (&mut dp, b), base, &frames, mask).await;
        }
    }
}

/// Puts a flow for `base` and sees which of the variants it takes.
async fn compare<B: Rig>(
    rig: &mut B,
    (dp, b): (&mut B::Datapath, VportNo),
    base: &[u8],
    variants: &[Vec<u8>],
    asked: Consulted,
) {
    let header = |frame: &[u8]| Header::parse(frame).unwrap_or_else(|why| panic!("{why}: {frame:02x?}"));
    let mask = rig.effective_mask(&asked, &header(base));
    assert_eq!(
        (mask.dst, mask.ether_type),
        (asked.dst, asked.ether_type),
        "a mask wider than presence of tags"
    );
    learn(rig, dp, "a", base, (1, asked, &[Action::Output(b)])).await;
    for variant in variants {
        let before = missed(dp).await;
        rig.inject("a", std::slice::from_ref(variant));
        let is_taken = missed(dp).await == before;
        let expected = mask.agree(&header(base), &header(variant));
        assert_eq!(
            is_taken,
            expected,
            "mask {asked:?}, flow for {:?}, taken or not {:?}",
            header(base),
            header(variant)
        );
        let sent = rig.sent("b");
        assert_eq!(sent, if expected { vec![variant.clone()] } else { vec![] });
        if !is_taken {
            take_upcalls(dp, 1).await;
        }
    }
    change(dp, vec![delete(1)]).await;
}

fn single_fields() -> Vec<Consulted> {
    let mut masks = vec![NARROWEST, WIDEST];
    masks.push(Consulted { dst: true, ..NARROWEST });
    masks.push(Consulted { ether_type: true, ..NARROWEST });
    let absent = TagFields { presence: true, vid: false, pcp: false };
    for fields in [absent, TagFields { vid: true, ..absent }, TagFields { pcp: true, ..absent }] {
        masks.push(Consulted { tags: [fields, TagFields::default()], ..NARROWEST });
        masks.push(Consulted { tags: [absent, fields], ..NARROWEST });
    }
    masks
}

/// A frame, and frames that each differ from it in one way.
type Family = (Vec<u8>, Vec<Vec<u8>>);

fn two_tags() -> Family {
    let frame = |mac: Mac, dst: Mac| Frame::new(mac, dst);
    let with = |frame: Frame, outer: (Tpid, u16, u8), inner: (Tpid, u16, u8), kind: u16| {
        frame
            .tag_as(outer.0, outer.1, outer.2)
            .tag_as(inner.0, inner.1, inner.2)
            .payload(kind, &padded("two"))
    };
    let (outer, inner) = ((Tpid::Customer, 10, 3), (Tpid::Customer, 20, 5));
    let base = || frame(NEAR, FAR);
    let variants = vec![
        with(base(), outer, inner, EXPERIMENTAL),
        with(frame(address(1), FAR), outer, inner, EXPERIMENTAL),
        with(frame(NEAR, address(1)), outer, inner, EXPERIMENTAL),
        with(base(), (Tpid::Customer, 11, 3), inner, EXPERIMENTAL),
        with(base(), (Tpid::Customer, 10, 4), inner, EXPERIMENTAL),
        with(base(), (Tpid::Service, 10, 3), inner, EXPERIMENTAL),
        with(base(), outer, (Tpid::Customer, 21, 5), EXPERIMENTAL),
        with(base(), outer, (Tpid::Customer, 20, 6), EXPERIMENTAL),
        with(base(), outer, (Tpid::Service, 20, 5), EXPERIMENTAL),
        with(base(), outer, inner, EXPERIMENTAL + 1),
        with(base(), outer, inner, 0x9100),
        with(base().tag(10, 3), outer, inner, EXPERIMENTAL),
        base().tag(10, 3).tag(20, 5).ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 253, b"another type"),
        base().tag(10, 3).tag(20, 5).llc(&padded("a length")),
    ];
    (with(base(), outer, inner, EXPERIMENTAL), variants)
}

fn one_tag() -> Family {
    let frame =
        |frame: Frame, tpid, vid, pcp, kind| frame.tag_as(tpid, vid, pcp).payload(kind, &padded("one"));
    let base = || Frame::new(NEAR, FAR);
    let variants = vec![
        frame(Frame::new(address(1), FAR), Tpid::Customer, 10, 3, EXPERIMENTAL),
        frame(Frame::new(NEAR, address(1)), Tpid::Customer, 10, 3, EXPERIMENTAL),
        frame(base(), Tpid::Customer, 10, 3, EXPERIMENTAL),
        frame(base(), Tpid::Customer, 11, 3, EXPERIMENTAL),
        frame(base(), Tpid::Customer, 10, 4, EXPERIMENTAL),
        frame(base(), Tpid::Customer, 0, 3, EXPERIMENTAL),
        frame(base(), Tpid::Service, 10, 3, EXPERIMENTAL),
        frame(base(), Tpid::Customer, 10, 3, EXPERIMENTAL + 1),
        frame(base(), Tpid::Customer, 10, 3, 0x9100),
        base().tag(10, 3).arp_request([10, 0, 0, 1].into(), [10, 0, 0, 2].into()),
    ];
    (frame(base(), Tpid::Customer, 10, 3, EXPERIMENTAL), variants)
}

fn no_tag() -> Family {
    let base = || Frame::new(NEAR, FAR);
    let variants = vec![
        base().payload(EXPERIMENTAL, &padded("none")),
        Frame::new(address(1), FAR).payload(EXPERIMENTAL, &padded("none")),
        Frame::new(NEAR, address(1)).payload(EXPERIMENTAL, &padded("none")),
        base().payload(0x9100, &padded("none")),
        base().llc(&padded("a length")),
        base().arp_request([10, 0, 0, 1].into(), [10, 0, 0, 2].into()),
        base().ipv6([0; 16].into(), [0; 16].into(), 253, b"another type"),
    ];
    (base().payload(EXPERIMENTAL, &padded("none")), variants)
}

//! The class of frames that a flow is for, in four words: each first frame is looked up by it.

use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use datapath::flow::FlowKey;
use vlan::tag::Tag;
use vlan::verdict::{Consulted, TagFields};

/// The frames that agree in every field of a mask. What the mask leaves out is zero.
///
/// ```text
///   word 0   arrival vport, 32 bits    recirculation id, 32
///   word 1   destination, 48           EtherType, 16
///   word 2   source, 48                number of tags, 8      what the mask looks at, 8
///   word 3   for each tag: TPID, 16    priority and VID, 16
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Class {
    words: [u64; 4],
    /// Sender, VNI, and the priority if the mask looks at it.
    tunnel: Option<(IpAddr, u32, u8)>,
}

impl Class {
    /// The class that a frame with this key is in.
    pub(in crate::engine) fn of(key: &FlowKey, mask: &Consulted) -> Class {
        let header = &key.header;
        let dst = if mask.dst { header.dst.to_u64() } else { 0 };
        let ether_type = if mask.ether_type { header.ether_type } else { 0 };
        let tags = header.tags.iter().zip(mask.tags);
        let tags = tags.fold(0, |words, (tag, fields)| words << 32 | u64::from(tag_word(*tag, fields)));
        let tunnel =
            key.tunnel.map(|tunnel| (tunnel.remote, tunnel.vni, if mask.class { tunnel.class } else { 0 }));
        let words = [
            u64::from(key.vport.0) << 32 | u64::from(key.recirc),
            dst << 16 | u64::from(ether_type),
            header.src.to_u64() << 16 | (header.tags.len() as u64) << 8 | looked_at(mask),
            tags,
        ];
        Class { words, tunnel }
    }
}

impl Hash for Class {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.words.iter().for_each(|word| hasher.write_u64(*word));
        if let Some(tunnel) = self.tunnel {
            tunnel.hash(hasher);
        }
    }
}

fn tag_word(tag: Tag, fields: TagFields) -> u32 {
    let vid = if fields.vid { tag.raw_vid() } else { 0 };
    let pcp = if fields.pcp { u16::from(tag.pcp().get()) } else { 0 };
    u32::from(tag.tpid().ether_type()) << 16 | u32::from(pcp << 13 | vid)
}

/// A bit for each field of the mask.
fn looked_at(mask: &Consulted) -> u64 {
    let tags = mask.tags.iter().flat_map(|fields| [fields.presence, fields.vid, fields.pcp]);
    let fields = tags.chain([mask.dst, mask.ether_type, mask.class]);
    fields.fold(0, |bits, is_looked_at| bits << 1 | u64::from(is_looked_at))
}

#[cfg(test)]
mod tests {
    use datapath::port::VportNo;
    use vlan::addr::MacAddr;
    use vlan::frame::Header;
    use vlan::tag::Tpid;

    use super::*;

    fn key() -> FlowKey {
        let tags = [Tag::from_wire(Tpid::Service, 0xa064), Tag::from_wire(Tpid::Customer, 0x0008)];
        let header = Header {
            dst: MacAddr([2, 0, 0, 0, 0, 2]),
            src: MacAddr([2, 0, 0, 0, 0, 1]),
            tags: tags.into_iter().collect(),
            ether_type: 0x0800,
        };
        FlowKey { vport: VportNo(7), header, tunnel: None, recirc: 0, opaque: Default::default() }
    }

    fn everything() -> Consulted {
        let all = TagFields { presence: true, vid: true, pcp: true };
        Consulted { dst: true, tags: [all; 2], ether_type: true, class: false }
    }

    /// How keys differ from [`key`], and what takes the field that differs out of the mask; nothing does where it always counts.
    type Difference = (fn(&mut FlowKey), Option<fn(&mut Consulted)>);

    const DIFFERENCES: [Difference; 12] = [
        (|key| key.vport = VportNo(8), None),
        (|key| key.recirc = 1, None),
        (|key| key.header.src = MacAddr([2, 0, 0, 0, 0, 3]), None),
        (|key| key.header.tags.truncate(1), None),
        (|key| key.header.tags[0] = Tag::from_wire(Tpid::Customer, 0xa064), None),
        (|key| key.header.dst = MacAddr([2, 0, 0, 0, 0, 3]), Some(|mask| mask.dst = false)),
        (|key| key.header.ether_type = 0x86dd, Some(|mask| mask.ether_type = false)),
        (
            |key| key.header.tags[0] = Tag::from_wire(Tpid::Service, 0xa065),
            Some(|mask| mask.tags[0].vid = false),
        ),
        (
            |key| key.header.tags[0] = Tag::from_wire(Tpid::Service, 0x2064),
            Some(|mask| mask.tags[0].pcp = false),
        ),
        (
            |key| key.header.tags[1] = Tag::from_wire(Tpid::Customer, 0x0fff),
            Some(|mask| mask.tags[1].vid = false),
        ),
        (
            |key| key.header.tags[1] = Tag::from_wire(Tpid::Customer, 0xe008),
            Some(|mask| mask.tags[1].pcp = false),
        ),
        (|_| {}, Some(|mask| mask.tags[1].presence = false)),
    ];

    #[test]
    fn each_field_counts_unless_the_mask_leaves_it_out() {
        let own = Class::of(&key(), &everything());
        for (number, (differ, leave_out)) in DIFFERENCES.iter().enumerate() {
            let (mut other, mut mask) = (key(), everything());
            differ(&mut other);
            if other != key() {
                assert_ne!(Class::of(&other, &mask), own, "difference {number}");
            }
            let Some(leave_out) = leave_out else { continue };
            leave_out(&mut mask);
            assert_eq!(Class::of(&other, &mask), Class::of(&key(), &mask), "difference {number}, left out");
            assert_ne!(Class::of(&key(), &mask), own, "another mask, {number}");
        }
    }

    #[test]
    fn dei_does_not_count() {
        let mut other = key();
        other.header.tags[1] = Tag::from_wire(Tpid::Customer, 0x1008);
        assert_eq!(Class::of(&other, &everything()), Class::of(&key(), &everything()));
    }
}

//! Flows by mask. As in a kernel each mask has a hash table of its own, and a frame is looked up in all of them.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::Arc;

use vlan::addr::MacAddr;
use vlan::frame::{Header, MAX_TAGS};
use vlan::tag::{Pcp, Tag, Tpid};
use vlan::time::Instant;
use vlan::verdict::{Consulted, TagFields};

use crate::RefusalCause;
use crate::flow::{Action, Flow, FlowChange, FlowId, FlowKey, FlowStats, Opaque};
use crate::port::VportNo;
use crate::tunnel::TunnelKey;

#[derive(Debug, Default)]
pub(super) struct Flows {
    by_id: BTreeMap<FlowId, Stored>,
    by_mask: HashMap<Consulted, HashMap<Masked, FlowId>>,
}

#[derive(Debug)]
struct Stored {
    key: FlowKey,
    mask: Consulted,
    actions: Arc<[Action]>,
    stats: FlowStats,
}

impl Flows {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn masks(&self) -> usize {
        self.by_mask.len()
    }

    pub(super) fn change(
        &mut self,
        change: FlowChange,
        limit: usize,
    ) -> Result<Option<FlowStats>, RefusalCause> {
        match change {
            FlowChange::Put { id, key, mask, actions } => {
                self.put(id, key, mask, actions, limit).map(|()| None)
            }
            FlowChange::Delete { id } => Ok(self.delete(id).map(|flow| flow.stats)),
        }
    }

    fn put(
        &mut self,
        id: FlowId,
        key: FlowKey,
        mask: Consulted,
        actions: Vec<Action>,
        limit: usize,
    ) -> Result<(), RefusalCause> {
        check_opaque(&key)?;
        let masked = Masked::new(&mask, &key);
        let same_key = self.by_mask.get(&mask).and_then(|table| table.get(&masked)).copied();
        if same_key.is_none() && !self.by_id.contains_key(&id) && self.by_id.len() >= limit {
            return Err(RefusalCause::TableFull);
        }
        let stats = same_key.and_then(|old| self.delete(old)).map(|old| old.stats).unwrap_or_default();
        self.delete(id);
        self.by_mask.entry(mask).or_default().insert(masked, id);
        self.by_id.insert(id, Stored { key, mask, actions: actions.into(), stats });
        Ok(())
    }

    fn delete(&mut self, id: FlowId) -> Option<Stored> {
        let stored = self.by_id.remove(&id)?;
        if let Entry::Occupied(mut table) = self.by_mask.entry(stored.mask) {
            table.get_mut().remove(&Masked::new(&stored.mask, &stored.key));
            if table.get().is_empty() {
                table.remove();
            }
        }
        Some(stored)
    }

    /// The actions of the flow that matches, which counts the frame. Two that match must do the same.
    pub(super) fn hit(
        &mut self,
        now: Instant,
        key: &FlowKey,
        len: usize,
        faults: &mut Vec<String>,
    ) -> Option<Arc<[Action]>> {
        let mut matching: Vec<FlowId> = self
            .by_mask
            .iter()
            .filter_map(|(mask, table)| table.get(&Masked::new(mask, key)).copied())
            .collect();
        matching.sort_unstable();
        let first = *matching.first()?;
        let actions = Arc::clone(&self.by_id.get(&first)?.actions);
        for other in &matching[1..] {
            if self.by_id.get(other).is_some_and(|other| other.actions != actions) {
                faults.push(format!(
                    "a frame on {} matches flows {:#x} and {:#x}, which do different things: {:?}",
                    key.vport, first, other, key.header
                ));
            }
        }
        let stats = &mut self.by_id.get_mut(&first)?.stats;
        *stats = FlowStats { packets: stats.packets + 1, bytes: stats.bytes + len as u64, used: Some(now) };
        Some(actions)
    }

    pub(super) fn stats_of(&self, id: FlowId) -> Option<FlowStats> {
        self.by_id.get(&id).map(|stored| stored.stats)
    }

    pub(super) fn all(&self) -> Vec<Flow> {
        let flow = |(id, stored): (&FlowId, &Stored)| Flow {
            id: *id,
            key: stored.key.clone(),
            mask: Some(stored.mask),
            actions: Some(stored.actions.to_vec()),
            stats: stored.stats,
        };
        self.by_id.iter().map(flow).collect()
    }

    /// Hits of the flows behind one, at most `most`, in the order of their ids.
    pub(super) fn stats_behind(&self, last: Option<FlowId>, most: usize) -> Vec<(FlowId, FlowStats)> {
        let behind = (last.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        self.by_id.range(behind).take(most).map(|(id, stored)| (*id, stored.stats)).collect()
    }
}

/// The part of a key that counts under a mask: equal for two keys if and only if the mask cannot tell them apart
/// ([`Consulted::agree`]).
#[derive(Debug, PartialEq, Eq, Hash)]
struct Masked {
    vport: VportNo,
    recirc: u32,
    tunnel: Option<MaskedTunnel>,
    src: MacAddr,
    dst: Option<MacAddr>,
    tags: [MaskedTag; MAX_TAGS],
    ether_type: Option<(usize, u16)>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct MaskedTunnel {
    remote: IpAddr,
    vni: u32,
    class: Option<u8>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum MaskedTag {
    Unread,
    Absent,
    Present { tpid: Tpid, vid: Option<u16>, pcp: Option<Pcp> },
}

impl Masked {
    fn new(mask: &Consulted, key: &FlowKey) -> Masked {
        let header = &key.header;
        let tag = |depth: usize| masked_tag(mask.tags[depth], header.tag(depth));
        let tunnel = |TunnelKey { remote, vni, class }| {
            let class = mask.class.then_some(class);
            MaskedTunnel { remote, vni, class }
        };
        Masked {
            vport: key.vport,
            recirc: key.recirc,
            tunnel: key.tunnel.map(tunnel),
            src: header.src,
            dst: mask.dst.then_some(header.dst),
            tags: std::array::from_fn(tag),
            ether_type: mask.ether_type.then_some((header.tags.len(), header.ether_type)),
        }
    }
}

fn masked_tag(fields: TagFields, tag: Option<Tag>) -> MaskedTag {
    match tag {
        _ if !fields.presence => MaskedTag::Unread,
        None => MaskedTag::Absent,
        Some(tag) => MaskedTag::Present {
            tpid: tag.tpid(),
            vid: fields.vid.then_some(tag.raw_vid()),
            pcp: fields.pcp.then_some(tag.pcp()),
        },
    }
}

/// This backend's form of a key: the vport, what the tunnel said, and the frame as far as a header may reach.
pub(super) fn opaque(vport: VportNo, tunnel: Option<TunnelKey>, frame: &[u8]) -> Opaque {
    let header = &frame[..frame.len().min(HEADER_MOST)];
    let mut bytes = vport.0.to_be_bytes().to_vec();
    bytes.extend(tunnel_bytes(tunnel));
    bytes.extend(header);
    bytes.into()
}

/// Its length, and its parts.
fn tunnel_bytes(tunnel: Option<TunnelKey>) -> Vec<u8> {
    let mut bytes = vec![0];
    if let Some(TunnelKey { remote, vni, class }) = tunnel {
        match remote {
            IpAddr::V4(remote) => bytes.extend(remote.octets()),
            IpAddr::V6(remote) => bytes.extend(remote.octets()),
        }
        bytes.extend(vni.to_be_bytes());
        bytes.push(class);
        bytes[0] = bytes.len() as u8;
    }
    bytes
}

/// A key that did not come from here, or was changed on the way, is refused as a kernel would.
fn check_opaque(key: &FlowKey) -> Result<(), RefusalCause> {
    let begin = [&key.vport.0.to_be_bytes()[..], &tunnel_bytes(key.tunnel)].concat();
    let header = key.opaque.strip_prefix(&begin[..]);
    if header.is_some_and(|header| Header::parse(header).as_ref() == Ok(&key.header)) {
        return Ok(());
    }
    let message = "key is not as an upcall or a dump had it".to_owned();
    Err(RefusalCause::Kernel { errno: libc::EINVAL, message })
}

/// Addresses, two tags, EtherType.
const HEADER_MOST: usize = 22;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    fn header() -> impl Strategy<Value = Header> {
        let tag = (any::<bool>(), prop::sample::select(vec![0_u16, 5, 0x2005, 0x2006])).prop_map(
            |(is_service, tci)| Tag::from_wire(if is_service { Tpid::Service } else { Tpid::Customer }, tci),
        );
        let tags = prop::collection::vec(tag, 0..=MAX_TAGS);
        (0..2_u8, 0..2_u8, tags, prop::sample::select(vec![0_u16, 0x800, 0x806])).prop_map(
            |(dst, src, tags, ether_type)| Header {
                dst: MacAddr([2, 0, 0, 0, 0, dst]),
                src: MacAddr([2, 0, 0, 0, 1, src]),
                tags: tags.into_iter().collect(),
                ether_type,
            },
        )
    }

    fn frame() -> impl Strategy<Value = Vec<u8>> {
        header().prop_map(|header| {
            let mut frame = [header.dst.0, header.src.0].concat();
            frame.extend(header.tags.iter().flat_map(|tag| tag.to_bytes()));
            frame.extend(header.ether_type.to_be_bytes());
            frame
        })
    }

    fn mask() -> impl Strategy<Value = Consulted> {
        let fields =
            any::<(bool, bool, bool)>().prop_map(|(presence, vid, pcp)| TagFields { presence, vid, pcp });
        (any::<(bool, bool, bool)>(), fields.clone(), fields).prop_map(
            |((dst, ether_type, class), outer, inner)| Consulted {
                dst,
                tags: [outer, inner],
                ether_type,
                class,
            },
        )
    }

    fn tunnel() -> impl Strategy<Value = Option<TunnelKey>> {
        let remote = |is_second: bool| IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1 + u8::from(is_second)));
        let key = (any::<bool>(), 8..10_u32, 0..2_u8);
        prop::option::of(key.prop_map(move |(is_second, vni, class)| TunnelKey {
            remote: remote(is_second),
            vni,
            class,
        }))
    }

    /// Sender and VNI always count.
    fn agree(mask: &Consulted, a: Option<TunnelKey>, b: Option<TunnelKey>) -> bool {
        match (a, b) {
            (None, None) => true,
            (Some(a), Some(b)) => {
                (a.remote, a.vni) == (b.remote, b.vni) && (!mask.class || a.class == b.class)
            }
            _ => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        #[test]
        fn masked_keys_are_equal_exactly_if_the_mask_cannot_tell_them_apart(
            (a, a_tunnel) in (header(), tunnel()), (b, b_tunnel) in (header(), tunnel()), mask in mask(),
        ) {
            let key = |header: &Header, tunnel| FlowKey {
                vport: VportNo(1), header: header.clone(), tunnel, recirc: 0, opaque: Opaque::default(),
            };
            let same = Masked::new(&mask, &key(&a, a_tunnel)) == Masked::new(&mask, &key(&b, b_tunnel));
            prop_assert_eq!(same, mask.agree(&a, &b) && agree(&mask, a_tunnel, b_tunnel));
        }

        #[test]
        fn a_key_is_taken_back_as_it_was_and_refused_as_another(
            (a, a_tunnel) in (frame(), tunnel()), (b, b_tunnel) in (frame(), tunnel()),
        ) {
            let key = |frame: &[u8], tunnel, opaque| FlowKey {
                vport: VportNo(1), header: Header::parse(frame).unwrap(), tunnel, recirc: 0, opaque,
            };
            let own = key(&a, a_tunnel, opaque(VportNo(1), a_tunnel, &a));
            prop_assert_eq!(check_opaque(&own), Ok(()));
            let others = key(&a, a_tunnel, opaque(VportNo(1), b_tunnel, &b));
            let is_same = a_tunnel == b_tunnel && others.header == Header::parse(&b).unwrap();
            prop_assert_eq!(check_opaque(&others).is_ok(), is_same);
            let elsewhere = key(&a, a_tunnel, opaque(VportNo(2), a_tunnel, &a));
            prop_assert!(check_opaque(&elsewhere).is_err());
        }
    }
}

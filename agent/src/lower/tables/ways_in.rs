//! The ways into a port: every kind of front tags that its bridge tells apart, and what becomes of each.
//!
//! Nothing is decided here. Each key of the admission table gets a header that stands for all frames with that key, and
//! [`vlan::ingress::admit`] decides for it as it does for frames.

use std::collections::{BTreeMap, BTreeSet};

use datapath::tables::{Arrives, InnerKey, WireTag};
use vlan::addr::MacAddr;
use vlan::frame::Header;
use vlan::ingress::{self, Admitted};
use vlan::model::id::BridgeId;
use vlan::model::port::{Mode, Port};
use vlan::model::topology::{Located, Topology};
use vlan::tag::{Tag, Tpid};
use vlan::verdict::{Consulted, DropReason};
use vlan::vid::Vid;

/// A way in.
#[derive(Debug, Clone)]
pub(super) struct WayIn {
    /// Which frames come by it.
    pub(super) arrives: Arrives,
    /// One of them.
    pub(super) header: Header,
    /// What becomes of them.
    pub(super) admitted: Result<Entered, DropReason>,
}

/// A frame that was let in and is on its segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entered {
    pub(super) admitted: Admitted,
    pub(super) located: Located,
    /// The tag that tells apart what shares the segment's number, if one does.
    pub(super) inner: Option<InnerKey>,
}

/// The next tags that a VLAN leading into another VAB tells apart.
pub(super) type NextTags = BTreeMap<(BridgeId, Vid), Vec<Vid>>;

/// The next tags of every VLAN of a topology.
pub(super) fn next_tags(topology: &Topology) -> NextTags {
    let mut found = NextTags::new();
    for domain in topology.segments().iter().flat_map(|segment| &segment.domains) {
        if let (Some(vid), Some(inner)) = (domain.vid, domain.inner) {
            found.entry((domain.bridge, vid)).or_default().push(inner);
        }
    }
    found
}

/// Every way into a port; the more specific ones may do the same as the less specific.
pub(super) fn ways_in(topology: &Topology, next_tags: &NextTags, port: &Port) -> Vec<WayIn> {
    let asker = Asker { topology, next_tags, port };
    let mut ways = Vec::new();
    let firsts = asker.first_tags();
    for tpid in [Tpid::Customer, Tpid::Service] {
        let other = (1..=Vid::MAX).find(|vid| !firsts.contains(&WireTag { tpid, vid: *vid }));
        ways.extend(other.map(|vid| asker.way(Arrives::AnyTag(tpid), &[WireTag { tpid, vid }])));
    }
    ways.push(asker.way(Arrives::Untagged, &[]));
    for first in firsts {
        let way = asker.way(Arrives::Tag(first), &[first]);
        let seconds = asker.second_tags(&way);
        ways.push(way);
        ways.extend(
            seconds.into_iter().map(|second| asker.way(Arrives::TwoTags(first, second), &[first, second])),
        );
    }
    ways
}

/// Asks the forwarding plane about one port.
struct Asker<'a> {
    topology: &'a Topology,
    next_tags: &'a NextTags,
    port: &'a Port,
}

impl Asker<'_> {
    /// The first tags that may be treated unlike others with their TPID.
    fn first_tags(&self) -> BTreeSet<WireTag> {
        let tags = |tpid, vids: &mut dyn Iterator<Item = u16>| -> Vec<WireTag> {
            vids.map(|vid| WireTag { tpid, vid }).collect()
        };
        let mut found: BTreeSet<WireTag> = BTreeSet::new();
        for tpid in [Tpid::Customer, Tpid::Service] {
            found.extend(tags(tpid, &mut [0, VID_RESERVED].into_iter()));
        }
        match &self.port.mode {
            Mode::Trunk(trunk) => {
                let wire = trunk.allowed.iter().filter_map(|vid| trunk.wire_vid(vid)).map(Vid::get);
                found.extend(tags(self.topology.bridge(self.port.bridge).tpid(), &mut wire.into_iter()));
            }
            Mode::Qinq { customer_vlans: Some(allowed), .. } => {
                found.extend(tags(Tpid::Customer, &mut allowed.iter().map(Vid::get)));
            }
            Mode::Plain | Mode::Access { .. } | Mode::Qinq { customer_vlans: None, .. } => {}
        }
        if let Some(vid) = self.untagged_vlan() {
            found.extend(self.tags_behind(vid));
        }
        found
    }

    /// The VLAN of frames whose first tag is not the VLAN's: there it may be the next.
    fn untagged_vlan(&self) -> Option<Vid> {
        match &self.port.mode {
            Mode::Plain => None,
            Mode::Access { vid } | Mode::Qinq { vid, .. } => Some(*vid),
            Mode::Trunk(trunk) => trunk.native,
        }
    }

    /// The second tags that may be treated unlike others, behind the first tag of `way`.
    fn second_tags(&self, way: &WayIn) -> Vec<WireTag> {
        match &way.admitted {
            Ok(Entered { admitted: Admitted { vid: Some(vid), taken: 1, .. }, .. }) => self.tags_behind(*vid),
            _ => Vec::new(),
        }
    }

    /// The tags that the VAB knows which a VLAN leads into, if it leads into one.
    fn tags_behind(&self, vid: Vid) -> Vec<WireTag> {
        let Some(inner) = self.topology.inner_bridge(self.port.bridge, vid) else { return Vec::new() };
        let tpid = self.topology.bridge(inner).tpid();
        let known = self.next_tags.get(&(self.port.bridge, vid)).map_or(&[][..], Vec::as_slice);
        known.iter().map(|next| WireTag { tpid, vid: next.get() }).collect()
    }

    fn way(&self, arrives: Arrives, tags: &[WireTag]) -> WayIn {
        let header = header(tags);
        let admitted = self.enter(&header);
        WayIn { arrives, header, admitted }
    }

    fn enter(&self, header: &Header) -> Result<Entered, DropReason> {
        let tpid = self.topology.bridge(self.port.bridge).tpid();
        let admitted = ingress::admit(self.port, tpid, header, &mut Consulted::default())?;
        let inner = admitted.vid.and_then(|vid| self.topology.inner_bridge(self.port.bridge, vid));
        let inner_tpid = inner.map(|inner| self.topology.bridge(inner).tpid());
        let next = header.tag(admitted.taken).filter(|tag| Some(tag.tpid()) == inner_tpid).map(Tag::raw_vid);
        let locate =
            |next| self.topology.locate(self.port.bridge, admitted.vid, next).ok_or(DropReason::NoMember);
        let (located, without) = (locate(next)?, locate(None)?);
        let is_shared = located.segment.number == without.segment.number;
        let inner =
            inner_tpid.filter(|_| is_shared).map(|tpid| InnerKey { depth: admitted.taken as u8, tpid });
        Ok(Entered { admitted, located, inner })
    }
}

fn header(tags: &[WireTag]) -> Header {
    Header {
        dst: MacAddr::BROADCAST,
        src: MacAddr::ZERO,
        tags: tags.iter().map(|tag| Tag::from_wire(tag.tpid, tag.vid)).collect(),
        ether_type: IPV4,
    }
}

/// 802.1Q table 9-2.
const VID_RESERVED: u16 = 0xfff;
/// EtherType of the payload of a frame that stands for many (RFC 894).
const IPV4: u16 = 0x0800;

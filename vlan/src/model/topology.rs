//! The compiled topology: what forwarding runs on.

use rustc_hash::FxHashMap;

use crate::model::bridge::{Awareness, Bridge};
use crate::model::description::{self, Description};
use crate::model::id::{BridgeId, FabricId, HostId, PortId, SegmentId};
use crate::model::index::Index;
use crate::model::mistake::Mistake;
use crate::model::port::Port;
use crate::model::segment::{Member, Segment, SegmentName};
use crate::model::vnis::Vnis;
use crate::vid::Vid;

/// A checked, immutable topology. Identifiers index its lists.
#[derive(Debug, Clone, PartialEq)]
pub struct Topology {
    pub(super) description: Description,
    pub(super) bridges: Vec<Bridge>,
    pub(super) ports: Vec<Port>,
    pub(super) fabrics: Vec<String>,
    pub(super) segments: Vec<Segment>,
    pub(super) places: Places,
    /// (outer VAB, VLAN, next tag) → where, for the next tags that the inner VAB knows.
    pub(super) chained: FxHashMap<(BridgeId, Vid, Vid), Spot>,
    pub(super) index: Index,
    pub(super) warnings: Vec<Mistake>,
    pub(super) has_own_numbers: bool,
    pub(super) vnis: Vnis,
}

/// A domain of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    /// Number of the segment.
    pub segment: u32,
    /// Index of the domain in it.
    pub domain: u16,
}

/// What a VLAN of a bridge leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Nothing: no port and no peering has it.
    Nowhere,
    /// A domain of its own.
    Domain(Spot),
    /// Another VAB: the next tag decides; this is for tags that it does not know.
    Chain { inner: BridgeId, otherwise: Spot },
}

/// What every VLAN of every bridge leads to: one entry for a VUB, pages by VID for a VAB. VLANs of which a bridge has none share a
/// page that leads nowhere, so a bridge with few VLANs takes little room.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Places {
    bridges: Vec<OfBridge>,
    /// The pages of one VAB after those of another, as indices into `all`.
    pages: Vec<u32>,
    all: Vec<[Place; PAGE]>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum OfBridge {
    /// Where a VUB leads.
    Unaware(Place),
    /// The first of the pages of a VAB.
    Aware(u32),
}

impl Default for Places {
    fn default() -> Places {
        Places { bridges: Vec::new(), pages: Vec::new(), all: vec![[Place::Nowhere; PAGE]] }
    }
}

impl Places {
    /// Room for bridges of these kinds, all of it nowhere.
    pub(super) fn new(bridges: &[Bridge]) -> Places {
        let mut places = Places::default();
        for bridge in bridges {
            places.bridges.push(match bridge.kind {
                Awareness::Unaware => OfBridge::Unaware(Place::Nowhere),
                Awareness::Aware { .. } => OfBridge::Aware(places.pages.len() as u32),
            });
            let pages = if bridge.kind == Awareness::Unaware { 0 } else { VIDS / PAGE };
            places.pages.resize(places.pages.len() + pages, NOWHERE);
        }
        places
    }

    pub(super) fn set(&mut self, bridge: BridgeId, slot: usize, place: Place) {
        let first = match &mut self.bridges[bridge.0 as usize] {
            OfBridge::Unaware(there) => {
                *there = place;
                return;
            }
            OfBridge::Aware(first) => *first as usize,
        };
        let page = &mut self.pages[first + slot / PAGE];
        if *page == NOWHERE {
            *page = self.all.len() as u32;
            self.all.push([Place::Nowhere; PAGE]);
        }
        self.all[*page as usize][slot % PAGE] = place;
    }

    fn get(&self, bridge: BridgeId, slot: usize) -> Option<Place> {
        match self.bridges.get(bridge.0 as usize)? {
            OfBridge::Unaware(place) => (slot == 0).then_some(*place),
            OfBridge::Aware(_) if slot >= VIDS => None,
            OfBridge::Aware(first) => {
                let page = *self.pages.get(*first as usize + slot / PAGE)?;
                Some(self.all.get(page as usize)?[slot % PAGE])
            }
        }
    }
}

/// VIDs that 12 bits can say.
const VIDS: usize = 4096;
/// VIDs of a page.
const PAGE: usize = 64;
/// The page that leads nowhere.
const NOWHERE: u32 = 0;

/// The segment that a classified frame is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Located {
    /// The segment.
    pub segment: SegmentId,
    /// Index of the domain in it.
    pub domain: u16,
    /// Whether the next tag was asked for.
    pub by_next_tag: bool,
}

impl Topology {
    /// Whether its numbers are its own, and others may be dealt out when it is published.
    pub fn has_own_numbers(&self) -> bool {
        self.has_own_numbers
    }

    /// What a segment is called, whatever its number.
    pub fn segment_name(&self, number: u32) -> SegmentName {
        let named = self.segment(number).domains.iter().map(|domain| {
            (domain.height(), self.bridge(domain.bridge).name.as_str(), domain.vid, domain.inner)
        });
        let (_, bridge, vid, inner) = named.min().unwrap_or_default();
        SegmentName { bridge: bridge.to_owned(), vid, inner }
    }

    /// Whether a segment has ports on several hosts.
    pub fn is_on_several_hosts(&self, number: u32) -> bool {
        let mut hosts = self.segment(number).members.iter().map(|member| self.port(member.port).host);
        let first = hosts.next();
        hosts.any(|host| Some(host) != first)
    }

    /// The topology that declares nothing.
    pub fn empty() -> Topology {
        Topology {
            description: Description::default(),
            bridges: Vec::new(),
            ports: Vec::new(),
            fabrics: Vec::new(),
            segments: Vec::new(),
            places: Places::default(),
            chained: FxHashMap::default(),
            index: Index::default(),
            warnings: Vec::new(),
            has_own_numbers: false,
            vnis: Vnis::default(),
        }
    }

    /// What is odd but allowed.
    pub fn warnings(&self) -> &[Mistake] {
        &self.warnings
    }

    /// What it was compiled from.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// All hosts, by identifier.
    pub fn hosts(&self) -> &[description::Host] {
        &self.description.hosts
    }

    /// All bridges, by identifier.
    pub fn bridges(&self) -> &[Bridge] {
        &self.bridges
    }

    /// All exterior ports, by identifier: trunks first, then ports, each in the order of the description.
    pub fn ports(&self) -> &[Port] {
        &self.ports
    }

    /// The exterior ports that are trunks.
    pub fn trunks(&self) -> &[Port] {
        &self.ports[..self.description.trunks.len()]
    }

    /// All segments, by number.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The port with this identifier.
    pub fn port(&self, id: PortId) -> &Port {
        &self.ports[id.0 as usize]
    }

    /// The bridge with this identifier.
    pub fn bridge(&self, id: BridgeId) -> &Bridge {
        &self.bridges[id.0 as usize]
    }

    /// The segment with this number.
    pub fn segment(&self, number: u32) -> &Segment {
        &self.segments[number as usize]
    }

    /// The name of a fabric.
    pub fn fabric_name(&self, id: FabricId) -> &str {
        &self.fabrics[id.0 as usize]
    }

    /// The fabric with this name.
    pub fn fabric_named(&self, name: &str) -> Option<FabricId> {
        self.index.fabric(name)
    }

    /// The exterior port with this name.
    pub fn port_named(&self, name: &str) -> Option<&Port> {
        self.index.port(name).map(|id| self.port(id))
    }

    /// The bridge with this name.
    pub fn bridge_named(&self, name: &str) -> Option<&Bridge> {
        self.index.bridge(name).map(|id| self.bridge(id))
    }

    /// The bridge that had this name once, as it says by `renamed-from`.
    pub fn bridge_once_named(&self, name: &str) -> Option<&Bridge> {
        self.index.bridge_once(name).map(|id| self.bridge(id))
    }

    /// What a bridge was called once, as it says by `renamed-from`.
    pub(crate) fn name_before(&self, bridge: BridgeId) -> Option<&str> {
        self.index.name_before(bridge)
    }

    /// The host with this name.
    pub fn host_named(&self, name: &str) -> Option<HostId> {
        self.index.host(name)
    }

    /// The trunks of a bridge on all hosts, in the order of the description.
    pub fn trunks_of(&self, bridge: BridgeId) -> impl Iterator<Item = &Port> {
        self.index.trunks(bridge).iter().map(|id| self.port(*id))
    }

    /// The segment of a VLAN of a bridge (`None` on a VUB); `next` is the VID (0..=4095) of the tag behind the one that chose the
    /// VLAN. `None` where no port and no peering has the VLAN.
    pub fn locate(&self, bridge: BridgeId, vid: Option<Vid>, next: Option<u16>) -> Option<Located> {
        let slot = vid.map_or(0, |vid| usize::from(vid.get()));
        match self.places.get(bridge, slot)? {
            Place::Nowhere => None,
            Place::Domain(spot) => Some(located(spot, 0, false)),
            Place::Chain { otherwise, .. } => {
                let known = next.and_then(Vid::new).and_then(|next| self.chained.get(&(bridge, vid?, next)));
                Some(match known {
                    Some(spot) => located(*spot, 0, true),
                    None => located(otherwise, next.unwrap_or(0), true),
                })
            }
        }
    }

    /// The bridge whose trunks of group `fabric` are members of a segment by VLAN `vid`: several bridges may speak to one fabric, and
    /// VLAN 9 of each may be another segment.
    pub fn bridge_on(&self, segment: u32, fabric: FabricId, vid: Vid) -> Option<BridgeId> {
        self.trunk_on(segment, fabric, vid).map(|port| port.bridge)
    }

    /// A trunk of group `fabric` that is a member of a segment by VLAN `vid`.
    pub fn trunk_on(&self, segment: u32, fabric: FabricId, vid: Vid) -> Option<&Port> {
        let segment = self.segments.get(segment as usize)?;
        let is_its = |member: &&Member| {
            self.port(member.port).group == Some(fabric) && segment.domain(member.domain).vid == Some(vid)
        };
        segment.trunk_members(self).iter().find(is_its).map(|member| self.port(member.port))
    }

    /// The VLAN of a fabric by which its trunks are members of a segment, if there is one and no second.
    pub fn only_vid(&self, segment: u32, fabric: FabricId) -> Option<Vid> {
        let segment = self.segments.get(segment as usize)?;
        let trunks = segment.trunk_members(self).iter();
        let its = trunks.filter(|member| self.port(member.port).group == Some(fabric));
        let mut vids = its.map(|member| segment.domain(member.domain).vid);
        let first = vids.next()??;
        vids.all(|vid| vid == Some(first)).then_some(first)
    }

    /// The other way from [`Topology::locate`]: the VID of the tag that comes next in VLAN `vid` of `bridge`, for frames of a segment.
    pub fn next_vid(&self, segment: SegmentId, bridge: BridgeId, vid: Option<Vid>) -> Option<u16> {
        if segment.inner != 0 {
            return Some(segment.inner);
        }
        let domains = &self.segments.get(segment.number as usize)?.domains;
        let its = domains.iter().find(|domain| domain.bridge == bridge && domain.vid == vid)?;
        its.inner.map(Vid::get)
    }

    /// The VAB that VLAN `vid` of VAB `bridge` leads into, if it does.
    pub fn inner_bridge(&self, bridge: BridgeId, vid: Vid) -> Option<BridgeId> {
        match self.places.get(bridge, usize::from(vid.get()))? {
            Place::Chain { inner, .. } => Some(inner),
            _ => None,
        }
    }
}

impl Segment {
    /// The trunks among its members: of all ports they have the lowest identifiers.
    pub fn trunk_members(&self, topology: &Topology) -> &[Member] {
        let behind = self.members.partition_point(|member| topology.port(member.port).is_trunk);
        &self.members[..behind]
    }
}

fn located(spot: Spot, inner: u16, by_next_tag: bool) -> Located {
    Located { segment: SegmentId { number: spot.segment, inner }, domain: spot.domain, by_next_tag }
}

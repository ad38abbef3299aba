//! Which trunk of a fabric carries a VLAN: static rendezvous hashing over the trunks that can (behaviour.md 7).

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::model::id::{BridgeId, FabricId, PortId};
use crate::model::port::Port;
use crate::model::topology::Topology;
use crate::vid::Vid;

/// The designated trunk of every VLAN of every fabric.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Designation {
    /// Nobody was told: every trunk carries its VLANs (behaviour.md 9, offline).
    #[default]
    Everyone,
    /// By VLAN of a bridge; a VLAN that is not there has no trunk.
    Map(FxHashMap<(BridgeId, Vid), PortId>),
    /// By VLAN of a bridge, of those that somebody was told about; every trunk carries the others.
    Told(FxHashMap<(BridgeId, Vid), PortId>),
}

/// Whether a trunk carries a VLAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// It does.
    This,
    /// Another trunk does.
    Other(PortId),
    /// No live trunk can.
    Nobody,
}

impl Designation {
    /// Chooses a trunk for every VLAN among those that are live.
    pub fn among(topology: &Topology, is_live: impl Fn(&Port) -> bool) -> Designation {
        TrunkGroups::of(topology).choose_all(topology, is_live)
    }

    /// Says which trunk carries one VLAN of one bridge, if any, and returns which did before.
    pub fn set(&mut self, vlan: (BridgeId, Vid), trunk: Option<PortId>) -> Option<PortId> {
        let (Designation::Map(map) | Designation::Told(map)) = self else {
            *self = Designation::Told(trunk.map(|trunk| (vlan, trunk)).into_iter().collect());
            return None;
        };
        match trunk {
            Some(trunk) => map.insert(vlan, trunk),
            None => map.remove(&vlan),
        }
    }

    /// Tells which trunks carry which VLANs, each on every bridge of the fabric that has it. Other VLANs stay as they are.
    pub fn assign(&mut self, topology: &Topology, told: impl IntoIterator<Item = ((BridgeId, Vid), PortId)>) {
        if let Designation::Everyone = self {
            *self = Designation::Told(FxHashMap::default());
        }
        if let Designation::Map(map) | Designation::Told(map) = self {
            let trunks = TrunkGroups::of(topology);
            let groups = trunks.by_fabric.values().flatten();
            let of_vlan = groups.flat_map(|group| group.vlans.iter().map(move |vlan| (*vlan, group)));
            let of_vlan: FxHashMap<(BridgeId, Vid), &Group> = of_vlan.collect();
            for (vlan, trunk) in told {
                let vlans = of_vlan.get(&vlan).into_iter().flat_map(|group| &group.vlans);
                map.extend(vlans.map(|vlan| (*vlan, trunk)));
                map.insert(vlan, trunk);
            }
        }
    }

    /// Whether `port` carries VLAN `vid` of its bridge. Ports outside any trunk group always do.
    pub fn carrier(&self, port: &Port, vid: Option<Vid>) -> Carrier {
        let (Some(_), Some(vid)) = (port.group, vid) else { return Carrier::This };
        let (map, otherwise) = match self {
            Designation::Everyone => return Carrier::This,
            Designation::Map(map) => (map, Carrier::Nobody),
            Designation::Told(map) => (map, Carrier::This),
        };
        match map.get(&(port.bridge, vid)) {
            Some(trunk) if *trunk == port.id => Carrier::This,
            Some(trunk) => Carrier::Other(*trunk),
            None => otherwise,
        }
    }
}

/// A VLAN of a bridge, and the trunk that is chosen for it; `None` where no live one can carry it.
pub type Choice = ((BridgeId, Vid), Option<PortId>);

/// Which trunks of which fabric can carry which VLANs under a topology: what a choice is made among.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrunkGroups {
    by_fabric: BTreeMap<FabricId, Vec<Group>>,
}

impl TrunkGroups {
    /// VLANs with one VID of one fabric are one group if they meet on any segment: behind a VLAN that leads into another VAB there is
    /// one for each next tag.
    pub fn of(topology: &Topology) -> TrunkGroups {
        let mut trunks: BTreeMap<(BridgeId, Vid), (FabricId, Vec<PortId>)> = BTreeMap::new();
        for port in topology.ports() {
            let Some(fabric) = port.group else { continue };
            for vid in port.vids() {
                trunks.entry((port.bridge, vid)).or_insert((fabric, Vec::new())).1.push(port.id);
            }
        }
        let mut met = Meetings::default();
        for segment in topology.segments() {
            let mut here: SmallVec<[(FabricId, (BridgeId, Vid)); 4]> = SmallVec::new();
            for domain in &segment.domains {
                let Some(vid) = domain.vid else { continue };
                let vlan = (domain.bridge, vid);
                let Some((fabric, _)) = trunks.get(&vlan) else { continue };
                match here.iter().find(|(other, (_, other_vid))| (other, *other_vid) == (fabric, vid)) {
                    Some((_, other)) => met.join(*other, vlan),
                    None => here.push((*fabric, vlan)),
                }
            }
        }
        let mut groups: BTreeMap<(FabricId, (BridgeId, Vid)), Group> = BTreeMap::new();
        for (vlan, (fabric, trunks)) in trunks {
            let group = groups.entry((fabric, met.first(vlan))).or_default();
            group.vlans.push(vlan);
            group.candidates.extend(trunks.into_iter().map(|port| (port, vlan.1)));
        }
        let mut by_fabric: BTreeMap<FabricId, Vec<Group>> = BTreeMap::new();
        for ((fabric, _), group) in groups {
            by_fabric.entry(fabric).or_default().push(group);
        }
        TrunkGroups { by_fabric }
    }

    /// The fabrics that have trunks.
    pub fn fabrics(&self) -> impl Iterator<Item = FabricId> + '_ {
        self.by_fabric.keys().copied()
    }

    /// Chooses a trunk for every VLAN of every fabric among those that are live.
    pub fn choose_all(&self, topology: &Topology, is_live: impl Fn(&Port) -> bool) -> Designation {
        let chosen = self.fabrics().flat_map(|fabric| self.choose(topology, fabric, &is_live));
        Designation::Map(chosen.filter_map(|(vlan, trunk)| Some((vlan, trunk?))).collect())
    }

    /// Chooses a trunk for every VLAN of one fabric among those that are live.
    pub fn choose(
        &self,
        topology: &Topology,
        fabric: FabricId,
        is_live: impl Fn(&Port) -> bool,
    ) -> Vec<Choice> {
        let mut chosen = Vec::new();
        for group in self.by_fabric.get(&fabric).into_iter().flatten() {
            let live = group.candidates.iter().map(|(port, vid)| (topology.port(*port), *vid));
            let best = live.filter(|(port, _)| is_live(port)).max_by(|(a, vid_a), (b, vid_b)| {
                score(a, *vid_a).total_cmp(&score(b, *vid_b)).then_with(|| b.name.cmp(&a.name))
            });
            chosen.extend(group.vlans.iter().map(|vlan| (*vlan, best.map(|(port, _)| port.id))));
        }
        chosen
    }
}

/// The trunks of one fabric that share a VLAN.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Group {
    /// The VLAN, as each bridge of the fabric calls it.
    vlans: Vec<(BridgeId, Vid)>,
    candidates: Vec<(PortId, Vid)>,
}

/// Which VLANs have met: a forest whose roots stand for the rest.
#[derive(Default)]
struct Meetings {
    leads: FxHashMap<(BridgeId, Vid), (BridgeId, Vid)>,
}

impl Meetings {
    fn join(&mut self, a: (BridgeId, Vid), b: (BridgeId, Vid)) {
        let (a, b) = (self.first(a), self.first(b));
        if a != b {
            self.leads.insert(a.max(b), a.min(b));
        }
    }

    fn first(&self, mut vlan: (BridgeId, Vid)) -> (BridgeId, Vid) {
        while let Some(next) = self.leads.get(&vlan) {
            vlan = *next;
        }
        vlan
    }
}

/// Weighted rendezvous hashing: the highest of -weight / ln(u), u uniform in (0, 1) and drawn from trunk and VLAN, wins; each
/// trunk wins in proportion to its weight, and only the VLANs of a lost trunk move (Thaler and Ravishankar 1998; the weighted
/// form of Resch 2015).
fn score(port: &Port, vid: Vid) -> f64 {
    let weight = f64::from(port.trunk().map_or(1, |trunk| trunk.weight));
    let draw = (mix(&port.name, vid) >> 11) as f64 + 0.5;
    -weight / (draw / (1_u64 << 53) as f64).ln()
}

/// FNV-1a over the name and the VID, then the finaliser of splitmix64: the same on every host and in every version.
fn mix(name: &str, vid: Vid) -> u64 {
    let bytes = name.bytes().chain(vid.get().to_be_bytes());
    let mut hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

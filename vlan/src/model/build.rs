//! From a description to a topology: checks, then identifiers, then segments. Numbers come last ([`super::numbers`]).

use std::collections::HashMap;
use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use crate::addr::MacAddr;
use crate::model::bridge::{Awareness, Bridge};
use crate::model::chains;
use crate::model::check;
use crate::model::defaults::{DEFAULT_PORT_MAC_LIMIT, default_storm, default_tags};
use crate::model::description::{self, BridgeKind, Description, OnLimit, Redundancy, TagPolicy};
use crate::model::findings::Findings;
use crate::model::graph::{Edge, Graph, Tree};
use crate::model::id::{BridgeId, FabricId, HostId, PortId};
use crate::model::index::Index;
use crate::model::join::Judge;
use crate::model::members::Members;
use crate::model::mistake::Mistake;
use crate::model::names::Names;
use crate::model::payloads;
use crate::model::port::{Mode, Port, Trunk};
use crate::model::segment::{Domain, Member, Segment};
use crate::model::topology::{Place, Places, Spot, Topology};
use crate::model::underlays;
use crate::model::vnis::Vnis;
use crate::model::warnings;
use crate::vid::{Vid, VidSet};

pub(super) fn build(description: &Description) -> Result<Topology, Vec<Mistake>> {
    let mut findings = Findings::default();
    let names = Names::new(description);
    check::check(description, &names, &mut findings);
    if !findings.mistakes.is_empty() {
        return Err(findings.in_order());
    }
    let mut fabrics = Fabrics::default();
    let bridges = compile_bridges(description, &mut fabrics);
    let ports = compile_ports(description, &names, &bridges);
    let edges = compile_edges(description, &names);
    chains::check(&bridges, &edges, &mut findings);
    if !findings.mistakes.is_empty() {
        return Err(findings.in_order());
    }
    let members = Members::new(&ports);
    let judge = Judge::new(description, &bridges, &members, &edges);
    let graph = match Graph::new(known_vids(&bridges, &ports), &edges) {
        Ok(graph) => graph,
        Err(too_many) => {
            judge.too_many(too_many, &mut findings);
            return Err(findings.mistakes);
        }
    };
    let trees = graph.trees();
    judge.trees(&trees, &mut findings);
    if !findings.mistakes.is_empty() {
        return Err(findings.mistakes);
    }
    let mut made = Segments::new(&bridges, &members);
    made.add(trees, &graph);
    let Segments { segments, places, chained, .. } = made;
    let mut topology = Topology {
        description: description.clone(),
        index: Index::new(description, &fabrics.names, &ports),
        places,
        segments,
        chained,
        bridges,
        ports,
        fabrics: fabrics.names,
        warnings: Vec::new(),
        has_own_numbers: false,
        vnis: Vnis::default(),
    };
    underlays::mistakes(&topology, &mut findings);
    payloads::mistakes(&topology, &mut findings);
    if !findings.mistakes.is_empty() {
        return Err(findings.in_order());
    }
    topology.warnings = warnings::warnings(&topology);
    Ok(topology)
}

/// Gives fabrics their numbers.
#[derive(Default)]
struct Fabrics<'a> {
    names: Vec<String>,
    numbers: HashMap<&'a str, FabricId>,
}

impl<'a> Fabrics<'a> {
    fn number(&mut self, name: &'a str) -> FabricId {
        let next = FabricId(self.names.len() as u32);
        let number = *self.numbers.entry(name).or_insert(next);
        if number == next {
            self.names.push(name.to_owned());
        }
        number
    }
}

fn compile_bridges<'a>(description: &'a Description, fabrics: &mut Fabrics<'a>) -> Vec<Bridge> {
    let is_qinq = |port: &&description::Port| matches!(port.mode, description::Mode::Qinq { .. });
    let qinq: FxHashSet<&str> = description.ports.iter().filter(is_qinq).map(|port| &*port.bridge).collect();
    let compile = |(index, bridge): (usize, &'a description::Bridge)| Bridge {
        id: BridgeId(index as u32),
        name: bridge.name.clone(),
        ageing: bridge.ageing,
        mac_limit: bridge.mac_limit,
        kind: match &bridge.kind {
            BridgeKind::VlanAware { fabric, redundancy, tpid, .. } => {
                Awareness::Aware { fabric: fabrics.number(fabric), redundancy: *redundancy, tpid: *tpid }
            }
            BridgeKind::VlanUnaware { .. } => Awareness::Unaware,
        },
        has_qinq: qinq.contains(bridge.name.as_str()),
    };
    description.bridges.iter().enumerate().map(compile).collect()
}

fn compile_ports(description: &Description, names: &Names<'_>, bridges: &[Bridge]) -> Vec<Port> {
    let declared = description
        .trunks
        .iter()
        .map(|port| (true, port))
        .chain(description.ports.iter().map(|port| (false, port)));
    let mut ports = Vec::new();
    for (index, (is_trunk, port)) in declared.enumerate() {
        let Some(bridge) = names.bridge(&port.bridge).map(|bridge| &bridges[bridge]) else { continue };
        let Some(host) = names.host(&port.host) else { continue };
        let Some(mode) = compile_mode(names, port) else { continue };
        let kind = description.hosts[host].kind;
        let default_limit = if is_trunk { bridge.mac_limit } else { DEFAULT_PORT_MAC_LIMIT };
        ports.push(Port {
            id: PortId(index as u32),
            name: port.name.clone(),
            bridge: bridge.id,
            host: HostId(host as u32),
            link: port.link.clone(),
            mode,
            tpid: bridge.tpid(),
            ageing: if port.sticky.is_some() { Duration::ZERO } else { bridge.ageing },
            is_trunk,
            group: group_of(is_trunk, bridge),
            checks_sources: !is_trunk && !port.macs.is_empty(),
            macs: sorted(&port.macs),
            shared_macs: sorted(&port.shared_macs),
            mac_limit: port.sticky.or(port.mac_limit).unwrap_or(default_limit),
            on_limit: if port.sticky.is_some() { OnLimit::Drop } else { port.on_limit },
            is_sticky: port.sticky.is_some(),
            priority_tags: port.priority_tags,
            bpdu: port.bpdu,
            isolated: port.isolated,
            drops_tags: port.tags.unwrap_or(default_tags(kind)) == TagPolicy::Drop,
            takes_unknown: !port.flood.withholds_unknown,
            storm: port.storm.unwrap_or_else(|| default_storm(is_trunk)),
            mtu: port.mtu,
            host_addresses: port.host_addresses,
        });
    }
    ports
}

fn sorted(macs: &[MacAddr]) -> Vec<MacAddr> {
    let mut macs = macs.to_vec();
    macs.sort_unstable();
    macs
}

/// Only where we say which trunk carries a VLAN do the trunks of a fabric stand for one; otherwise each is an ordinary port.
fn group_of(is_trunk: bool, bridge: &Bridge) -> Option<FabricId> {
    match bridge.kind {
        Awareness::Aware { fabric, redundancy: Redundancy::Designated, .. } if is_trunk => Some(fabric),
        _ => None,
    }
}

fn compile_mode(names: &Names<'_>, port: &description::Port) -> Option<Mode> {
    Some(match &port.mode {
        description::Mode::Plain => Mode::Plain,
        description::Mode::Access { vid } => Mode::Access { vid: (*vid)? },
        description::Mode::Qinq { vid, customer_vlans, pcp } => {
            Mode::Qinq { vid: (*vid)?, customer_vlans: customer_vlans.clone(), pcp: *pcp }
        }
        description::Mode::Trunk(trunk) => {
            let mut compiled = Trunk::new(&names.wire_vids(port, trunk), &trunk.translate);
            compiled.native = trunk.native;
            compiled.native_tagged = trunk.native_tagged;
            compiled.native_inner = trunk.native_inner;
            compiled.weight = trunk.weight;
            Mode::Trunk(Box::new(compiled))
        }
    })
}

fn compile_edges(description: &Description, names: &Names<'_>) -> Vec<Edge> {
    let number = |name: &str| names.bridge(name).map(|bridge| BridgeId(bridge as u32));
    let resolve = |(index, peering): (usize, &description::Peering)| {
        Some(Edge { index, bridge: number(&peering.bridge)?, vid: peering.vid, to: number(&peering.to)? })
    };
    description.vlans.iter().enumerate().filter_map(resolve).collect()
}

fn known_vids(bridges: &[Bridge], ports: &[Port]) -> Vec<Option<VidSet>> {
    let mut known: Vec<Option<VidSet>> =
        bridges.iter().map(|bridge| (bridge.kind != Awareness::Unaware).then(VidSet::new)).collect();
    for port in ports {
        if let Some(vids) = &mut known[port.bridge.0 as usize] {
            match &port.mode {
                Mode::Trunk(trunk) => vids.insert_all(&trunk.allowed),
                _ => vids.extend(port.vids()),
            }
        }
    }
    known
}

/// Makes segments, and the index of what leads to them.
struct Segments<'a> {
    members: &'a Members<'a>,
    segments: Vec<Segment>,
    places: Places,
    chained: FxHashMap<(BridgeId, Vid, Vid), Spot>,
}

impl<'a> Segments<'a> {
    fn new(bridges: &[Bridge], members: &'a Members<'a>) -> Segments<'a> {
        let (segments, chained) = (Vec::new(), FxHashMap::default());
        Segments { members, segments, places: Places::new(bridges), chained }
    }

    fn add(&mut self, trees: Vec<Tree>, graph: &Graph) {
        for tree in trees {
            let number = self.segments.len() as u32;
            let first = tree.domains.first().copied();
            if let Some(Domain { bridge, vid: Some(vid), inner: None, .. }) = first
                && let Some(inner) = graph.chains.get(&(bridge, vid))
            {
                let otherwise = Spot { segment: number, domain: 0 };
                self.places.set(bridge, usize::from(vid.get()), Place::Chain { inner: *inner, otherwise });
            } else {
                self.place_domains(&tree, number);
            }
            let members = self.members_of(&tree.domains);
            self.segments.push(Segment { members, domains: tree.domains.into(), vni: 0 });
        }
    }

    fn place_domains(&mut self, tree: &Tree, number: u32) {
        for (index, domain) in tree.domains.iter().enumerate() {
            let spot = Spot { segment: number, domain: index as u16 };
            match (domain.vid, domain.inner) {
                (Some(vid), Some(inner)) => {
                    self.chained.insert((domain.bridge, vid, inner), spot);
                }
                (vid, _) => {
                    let slot = vid.map_or(0, |vid| usize::from(vid.get()));
                    self.places.set(domain.bridge, slot, Place::Domain(spot));
                }
            }
        }
    }

    fn members_of(&self, domains: &[Domain]) -> SmallVec<[Member; 6]> {
        let mut members = SmallVec::new();
        for (index, domain) in domains.iter().enumerate() {
            let ports = self.members.of(domain.bridge, domain.vid);
            members.extend(ports.map(|port| Member { port: port.id, domain: index as u16 }));
        }
        members.sort_unstable();
        members
    }
}

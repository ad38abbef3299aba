//! From a description to a topology: checks, then identifiers, then segments.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::addr::MacAddr;
use crate::model::bridge::{Bridge, Kind};
use crate::model::check::{self, Findings};
use crate::model::defaults::{DEFAULT_PORT_MAC_LIMIT, DEFAULT_TRUNK_STORM};
use crate::model::description::{self, BridgeKind, Description, Redundancy, Storm};
use crate::model::graph::{Edge, Graph, Tree};
use crate::model::id::{BridgeId, FabricId, HostId, PortId};
use crate::model::join::{self, Judge};
use crate::model::mistake::Mistake;
use crate::model::port::{Mode, Port, Trunk};
use crate::model::segment::{Domain, Member, Segment};
use crate::model::topology::{Place, Places, Spot, Topology};
use crate::vid::VidSet;

pub(super) fn build(description: &Description) -> Result<Topology, Vec<Mistake>> {
    let mut findings = Findings::default();
    check::check(description, &mut findings);
    if !findings.mistakes.is_empty() {
        return Err(findings.mistakes);
    }
    let mut fabrics = Fabrics::default();
    let bridges = compile_bridges(description, &mut fabrics);
    let ports = compile_ports(description, &bridges);
    let edges = compile_edges(description, &bridges);
    let judge = Judge::new(description, &bridges, &ports, &edges);
    judge.chains(&mut findings);
    if !findings.mistakes.is_empty() {
        return Err(findings.mistakes);
    }
    let graph = match Graph::new(&known_vids(&bridges, &ports), &edges) {
        Ok(graph) => graph,
        Err(too_many) => {
            judge.pairs(too_many, &mut findings);
            return Err(findings.mistakes);
        }
    };
    let trees = graph.trees();
    judge.trees(&trees, &mut findings);
    if !findings.mistakes.is_empty() {
        return Err(findings.mistakes);
    }
    let mut topology = Topology {
        description: description.clone(),
        by_name: ports.iter().map(|port| (port.name.clone(), port.id)).collect(),
        places: Places::new(&bridges),
        bridges,
        ports,
        fabrics: fabrics.names,
        segments: Vec::new(),
        chained: FxHashMap::default(),
        warnings: Vec::new(),
    };
    add_segments(&mut topology, trees, &graph);
    topology.warnings = join::warnings(&topology);
    Ok(topology)
}

/// Gives fabrics their numbers.
#[derive(Default)]
struct Fabrics {
    names: Vec<String>,
}

impl Fabrics {
    fn number(&mut self, name: &str) -> FabricId {
        let known = self.names.iter().position(|known| known == name);
        let index = known.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        FabricId(index as u32)
    }
}

fn compile_bridges(description: &Description, fabrics: &mut Fabrics) -> Vec<Bridge> {
    let compile = |(index, bridge): (usize, &description::Bridge)| Bridge {
        id: BridgeId(index as u32),
        name: bridge.name.clone(),
        ageing: bridge.ageing,
        mac_limit: bridge.mac_limit,
        kind: match &bridge.kind {
            BridgeKind::VlanAware { fabric, redundancy, tpid, .. } => {
                Kind::Aware { fabric: fabrics.number(fabric), redundancy: *redundancy, tpid: *tpid }
            }
            BridgeKind::VlanUnaware { .. } => Kind::Unaware,
        },
    };
    description.bridges.iter().enumerate().map(compile).collect()
}

fn compile_ports(description: &Description, bridges: &[Bridge]) -> Vec<Port> {
    let declared = description
        .trunks
        .iter()
        .map(|port| (true, port))
        .chain(description.ports.iter().map(|port| (false, port)));
    let mut ports = Vec::new();
    for (index, (is_trunk, port)) in declared.enumerate() {
        let Some(bridge) = bridges.iter().find(|bridge| bridge.name == port.bridge) else { continue };
        let Some(host) = description.hosts.iter().position(|host| host.name == port.host) else { continue };
        let Some(mode) = compile_mode(description, port) else { continue };
        let default_limit = if is_trunk { bridge.mac_limit } else { DEFAULT_PORT_MAC_LIMIT };
        ports.push(Port {
            id: PortId(index as u32),
            name: port.name.clone(),
            bridge: bridge.id,
            host: HostId(host as u32),
            link: port.link.clone(),
            mode,
            tpid: bridge.tpid(),
            ageing: bridge.ageing,
            is_trunk,
            group: group_of(is_trunk, bridge),
            checks_sources: !is_trunk && !port.macs.is_empty(),
            macs: sorted(&port.macs),
            shared_macs: sorted(&port.shared_macs),
            mac_limit: port.mac_limit.unwrap_or(default_limit),
            on_limit: port.on_limit,
            priority_tags: port.priority_tags,
            bpdu: port.bpdu,
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
        Kind::Aware { fabric, redundancy: Redundancy::Designated, .. } if is_trunk => Some(fabric),
        _ => None,
    }
}

fn default_storm(is_trunk: bool) -> Storm {
    let rate = if is_trunk { DEFAULT_TRUNK_STORM } else { 0 };
    Storm { broadcast: rate, multicast: rate, unknown: rate }
}

fn compile_mode(description: &Description, port: &description::Port) -> Option<Mode> {
    Some(match &port.mode {
        description::Mode::Plain => Mode::Plain,
        description::Mode::Access { vid } => Mode::Access { vid: (*vid)? },
        description::Mode::Qinq { vid, customer_vlans, pcp } => {
            Mode::Qinq { vid: (*vid)?, customer_vlans: customer_vlans.clone(), pcp: *pcp }
        }
        description::Mode::Trunk(trunk) => {
            let wire = check::wire_vids(description, port, trunk);
            let mut compiled = Trunk::new(&wire, trunk.translate.iter().map(|(a, b)| (*a, *b)));
            compiled.native = trunk.native;
            compiled.native_tagged = trunk.native_tagged;
            compiled.native_inner = trunk.native_inner;
            compiled.weight = trunk.weight.max(1);
            Mode::Trunk(Box::new(compiled))
        }
    })
}

fn compile_edges(description: &Description, bridges: &[Bridge]) -> Vec<Edge> {
    let number = |name: &str| bridges.iter().find(|bridge| bridge.name == name).map(|bridge| bridge.id);
    let resolve = |(index, peering): (usize, &description::Peering)| {
        Some(Edge { index, bridge: number(&peering.bridge)?, vid: peering.vid, to: number(&peering.to)? })
    };
    description.vlans.iter().enumerate().filter_map(resolve).collect()
}

fn known_vids(bridges: &[Bridge], ports: &[Port]) -> Vec<Option<VidSet>> {
    let mut known: Vec<Option<VidSet>> =
        bridges.iter().map(|bridge| (bridge.kind != Kind::Unaware).then(VidSet::new)).collect();
    for port in ports {
        if let Some(vids) = &mut known[port.bridge.0 as usize] {
            for vid in port.vids() {
                vids.insert(vid);
            }
        }
    }
    known
}

fn add_segments(topology: &mut Topology, trees: Vec<Tree>, graph: &Graph) {
    let mut vnis = Vnis::new(&topology.description);
    for tree in trees {
        let number = topology.segments.len() as u32;
        let first = tree.domains.first().copied();
        if let Some(Domain { bridge, vid: Some(vid), inner: None, .. }) = first
            && let Some(inner) = graph.chains.get(&(bridge, vid))
        {
            let otherwise = Spot { segment: number, domain: 0 };
            let slot = usize::from(vid.get());
            topology.places.set(bridge, slot, Place::Chain { inner: *inner, otherwise });
        } else {
            place_domains(topology, &tree, number);
        }
        let vni = vnis.vni(&topology.description, &tree.domains);
        topology.segments.push(Segment { members: SmallVec::new(), domains: tree.domains.into(), vni });
    }
    add_members(topology);
}

fn place_domains(topology: &mut Topology, tree: &Tree, number: u32) {
    for (index, domain) in tree.domains.iter().enumerate() {
        let spot = Spot { segment: number, domain: index as u16 };
        match (domain.vid, domain.inner) {
            (Some(vid), Some(inner)) => {
                topology.chained.insert((domain.bridge, vid, inner), spot);
            }
            (vid, _) => {
                let slot = vid.map_or(0, |vid| usize::from(vid.get()));
                topology.places.set(domain.bridge, slot, Place::Domain(spot));
            }
        }
    }
}

fn add_members(topology: &mut Topology) {
    let mut of_bridge: FxHashMap<BridgeId, Vec<&Port>> = FxHashMap::default();
    for port in &topology.ports {
        of_bridge.entry(port.bridge).or_default().push(port);
    }
    for segment in &mut topology.segments {
        for (index, domain) in segment.domains.iter().enumerate() {
            let ports = of_bridge.get(&domain.bridge).map_or(&[][..], Vec::as_slice);
            let members = ports.iter().filter(|port| domain.vid.is_none_or(|vid| port.is_member(vid)));
            segment.members.extend(members.map(|port| Member { port: port.id, domain: index as u16 }));
        }
        segment.members.sort_unstable();
    }
}

/// Gives segments their VXLAN network identifiers: declared ones first, then the lowest that are free.
struct Vnis {
    declared: BTreeSet<u32>,
    next: u32,
}

impl Vnis {
    fn new(description: &Description) -> Vnis {
        let vni = |bridge: &description::Bridge| match bridge.kind {
            BridgeKind::VlanUnaware { vni } => vni,
            BridgeKind::VlanAware { .. } => None,
        };
        Vnis { declared: description.bridges.iter().filter_map(vni).collect(), next: 1 }
    }

    fn vni(&mut self, description: &Description, domains: &[Domain]) -> u32 {
        let declared =
            domains.iter().find_map(|domain| match description.bridges[domain.bridge.0 as usize].kind {
                BridgeKind::VlanUnaware { vni } => vni,
                BridgeKind::VlanAware { .. } => None,
            });
        declared.unwrap_or_else(|| {
            while self.declared.contains(&self.next) {
                self.next += 1;
            }
            self.next += 1;
            self.next - 1
        })
    }
}

//! One host's whole switching state: topology, port states, designation and addresses, and what a frame does to them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;

use crate::designation::Designation;
use crate::fdb::reflect::{Echo, Evidence};
use crate::fdb::refusal::Refused;
use crate::fdb::saved::Saved;
use crate::fdb::{Fdb, HINT, Learn, LearnPolicy, Learned, Slot};
use crate::frame::Header;
use crate::model::defaults::DEFAULT_BRIDGE_MAC_LIMIT;
use crate::model::description::OnLimit;
use crate::model::id::{BridgeId, FabricId, HostId, Location, PortId, SegmentId};
use crate::model::port::Port;
use crate::model::renumber::{renumber, renumber_way};
use crate::model::topology::Topology;
use crate::peers::Peers;
use crate::plane::Ingress;
use crate::plane::{Arrival, Plane, PortState};
use crate::policy::{self, Special};
use crate::time::Instant;
use crate::trace::{self, Narrator};
use crate::verdict::{Dependency, DropReason, Verdict};
use crate::vid::Vid;

/// The switching state of one host.
#[derive(Debug)]
pub struct Switch {
    topology: Arc<Topology>,
    host: HostId,
    ports: Vec<PortState>,
    designation: Designation,
    /// What is known of other hosts.
    pub peers: Peers,
    /// Where addresses are.
    pub fdb: Fdb,
}

impl Switch {
    /// A switch with every port down and no addresses but the declared ones. `seed` varies the address table's hashing.
    pub fn new(topology: Arc<Topology>, host: HostId, seed: u64) -> Switch {
        let ports = topology.ports().iter().map(|port| untold(&topology, port)).collect();
        let (designation, peers, fdb) = (Designation::Everyone, Peers::default(), Fdb::with_seed(seed));
        let mut switch = Switch { topology, host, ports, designation, peers, fdb };
        switch.settle_addresses();
        switch
    }

    /// As for a trace: every port up, every trunk carrying its VLANs.
    pub fn offline(topology: Arc<Topology>, host: HostId) -> Switch {
        let mut switch = Switch::new(topology, host, 0);
        switch.ports.fill(PortState::Up);
        switch
    }

    /// The topology.
    pub fn topology(&self) -> &Arc<Topology> {
        &self.topology
    }

    /// The host that this is the switch of.
    pub fn host(&self) -> HostId {
        self.host
    }

    /// The state of a port.
    pub fn port_state(&self, port: PortId) -> PortState {
        self.ports.get(port.0 as usize).copied().unwrap_or_default()
    }

    /// Sets the state of a port and returns what it was. Its addresses are the caller's to flush.
    pub fn set_port_state(&mut self, port: PortId, state: PortState) -> PortState {
        match self.ports.get_mut(port.0 as usize) {
            Some(slot) => std::mem::replace(slot, state),
            None => PortState::Down,
        }
    }

    /// Which trunk carries which VLAN.
    pub fn designation(&self) -> &Designation {
        &self.designation
    }

    /// Says which trunk carries which VLAN, and returns what was said before.
    pub fn set_designation(&mut self, designation: Designation) -> Designation {
        std::mem::replace(&mut self.designation, designation)
    }

    /// Says which trunk carries one VLAN, if any, and returns which did before.
    pub fn designate(&mut self, vlan: (BridgeId, Vid), trunk: Option<PortId>) -> Option<PortId> {
        self.designation.set(vlan, trunk)
    }

    /// Judges a frame and learns from it. The verdict is cleared first.
    pub fn forward(
        &mut self,
        now: Instant,
        ingress: impl Into<Ingress>,
        header: &Header,
        verdict: &mut Verdict,
        say: &mut impl Narrator,
    ) -> Option<Learned> {
        let coming = (ingress.into(), Evidence::Complete, policy::special(header));
        self.forward_by(now, coming, header, verdict, say)
    }

    /// As [`forward`](Self::forward), by the evidence that there is. If it does not suffice, the answer is [`Learned::Undecided`], and
    /// neither learned nor judged is anything. Whether the frame is a special one was asked already.
    pub fn forward_by(
        &mut self,
        now: Instant,
        (ingress, evidence, special): (Ingress, Evidence, Option<Special>),
        header: &Header,
        verdict: &mut Verdict,
        say: &mut impl Narrator,
    ) -> Option<Learned> {
        verdict.clear();
        let Switch { topology, host, ports, designation, peers, fdb } = self;
        let plane = Plane { topology, ports, designation, host: *host, peers };
        let arrival = plane.arrive((ingress, special), header, verdict, say)?;
        let learn = lesson(&plane, &arrival, header, evidence);
        plane.bridge(now, (&arrival, header), (fdb, learn), verdict, say)
    }

    /// Says what [`forward_by`](Self::forward_by) would say, by the same steps, and changes nothing. The verdict is cleared first.
    pub fn peek(
        &self,
        now: Instant,
        (ingress, evidence): (impl Into<Ingress>, Evidence),
        header: &Header,
        verdict: &mut Verdict,
        say: &mut impl Narrator,
    ) -> Option<Learned> {
        self.peek_at(now, (ingress.into(), evidence, None), header, verdict, say)
    }

    /// The same, if such a frame had just been sent where this one comes from.
    pub fn peek_after(
        &self,
        now: Instant,
        (ingress, sent): (impl Into<Ingress>, Echo),
        header: &Header,
        verdict: &mut Verdict,
        say: &mut impl Narrator,
    ) -> Option<Learned> {
        self.peek_at(now, (ingress.into(), Evidence::Complete, Some(sent)), header, verdict, say)
    }

    fn peek_at(
        &self,
        now: Instant,
        (ingress, evidence, sent): (Ingress, Evidence, Option<Echo>),
        header: &Header,
        verdict: &mut Verdict,
        say: &mut impl Narrator,
    ) -> Option<Learned> {
        verdict.clear();
        let plane = self.state();
        let arrival = plane.arrive((ingress, policy::special(header)), header, verdict, say)?;
        let learn = lesson(&plane, &arrival, header, evidence);
        let mut fdb = self.fdb.excerpt(&learn, header.dst);
        sent.into_iter().for_each(|sent| fdb.sent.note(now, sent));
        plane.bridge(now, (&arrival, header), (&mut fdb, learn), verdict, say)
    }

    /// Judges a frame without learning from it, as when a flow is looked over. The verdict is cleared first.
    pub fn judge(
        &self,
        now: Instant,
        ingress: impl Into<Ingress>,
        header: &Header,
        verdict: &mut Verdict,
        say: &mut impl Narrator,
    ) {
        verdict.clear();
        let plane = self.state();
        let Some(arrival) = plane.arrive((ingress.into(), policy::special(header)), header, verdict, say)
        else {
            return;
        };
        let segment = arrival.located.segment;
        let at = self.fdb.addresses.find(now, segment, header.dst);
        // Of a control frame nothing is learned, but it must not borrow an address.
        if let Some(refused) = self.fdb.keeps_out(now, segment, header.src, arrival.location(&self.topology))
        {
            let reason = reason_of(&self.topology, refused);
            plane.refuse(&arrival, header, reason, verdict);
            say.say(|| trace::reason::source(&self.topology, now, reason, Some(&refused)));
            return;
        }
        plane.depart(&arrival, header, at, verdict, say);
    }

    /// What forwarding looks at besides frames and addresses, as it is now.
    pub fn state(&self) -> Plane<'_, '_> {
        let Switch { topology, host, ports, designation, peers, .. } = self;
        Plane { topology, ports, designation, host: *host, peers }
    }

    /// How addresses are learned that are seen at a port.
    pub fn learn_policy(&self, port: PortId) -> LearnPolicy {
        learn_policy(&self.topology, port)
    }

    /// Learns saved addresses again, those heard last first, by how addresses are learned where each is, and returns how many.
    pub fn restore(&mut self, now: Instant, saved: impl IntoIterator<Item = Saved>) -> usize {
        let Switch { topology, fdb, .. } = self;
        let mut of_group: FxHashMap<FabricId, &Port> = FxHashMap::default();
        for (fabric, port) in topology.ports().iter().filter_map(|port| Some((port.group?, port))) {
            of_group.entry(fabric).or_insert(port);
        }
        fdb.addresses.restore(now, saved, |saved| {
            let port = match saved.location {
                Location::Port { port, .. } => topology.port(port),
                Location::Fabric { fabric, .. } => of_group.get(&fabric).copied()?,
                Location::Host(_) => return Some(policy_at_host(topology, saved.segment.number)),
            };
            Some(policy_at(port))
        })
    }

    /// Replaces the topology. Port states, designation and the addresses of ports that are still there are kept by name, as many as
    /// the limits of the new topology allow; what an address' new segment is follows from where it was seen. Whatever rested on an
    /// address or an identifier is to be looked over.
    pub fn set_topology(&mut self, topology: Arc<Topology>, host: HostId) {
        let old = std::mem::replace(&mut self.topology, Arc::clone(&topology));
        self.host = host;
        let state_of =
            |name: &str| old.port_named(name).and_then(|port| self.ports.get(port.id.0 as usize).copied());
        let state = |port: &Port| match topology.is_vtep(port.host) {
            true => untold(&topology, port),
            false => state_of(&port.name).unwrap_or_default(),
        };
        self.ports = topology.ports().iter().map(state).collect();
        self.designation = Designation::Everyone;
        self.peers = Peers::default();
        // Many were sent into one fabric, and many addresses are in one place.
        let (mut fabrics, mut places) = (FxHashMap::default(), FxHashMap::default());
        self.fdb.sent.rename(|segment, fabric| {
            let way = (segment, fabric);
            *fabrics.entry(way).or_insert_with(|| renumber_way(&old, &topology, way))
        });
        self.fdb.undeclare_all();
        self.fdb.addresses.remap(|segment, location| {
            *places.entry((segment, location)).or_insert_with(|| renumber(&old, &topology, segment, location))
        });
        let mut ageings = FxHashMap::default();
        self.fdb.addresses.set_ageing(|segment, location| {
            *ageings.entry((segment, location)).or_insert_with(|| ageing_at(&topology, segment, location))
        });
        self.settle_addresses();
    }

    /// Has the addresses that are known agree with the settings of ports.
    fn settle_addresses(&mut self) {
        let sticky = self.topology.ports().iter().filter(|port| port.is_sticky);
        self.fdb.set_sticky(sticky.map(|port| port.id).collect());
        self.declare_addresses();
        self.trim_addresses();
    }

    /// Limits may have been lowered. The trunks of a fabric count together, so that the one that may have most decides.
    fn trim_addresses(&mut self) {
        let mut limits: BTreeMap<Slot, u32> = BTreeMap::new();
        for port in self.topology.ports() {
            let limit = limits.entry(port.group.map_or(Slot::Port(port.id), Slot::Fabric)).or_default();
            *limit = (*limit).max(port.mac_limit);
        }
        for (slot, limit) in limits {
            self.fdb.addresses.trim(slot, limit);
        }
    }

    fn declare_addresses(&mut self) {
        let topology = Arc::clone(&self.topology);
        let declares = |port: &&Port| !(port.macs.is_empty() && port.shared_macs.is_empty());
        for port in topology.ports().iter().filter(declares) {
            let vids: Vec<_> = match port.vids() {
                vids if vids.is_empty() => vec![None],
                vids => vids.into_iter().map(Some).collect(),
            };
            for vid in vids {
                let Some(located) = topology.locate(port.bridge, vid, None) else { continue };
                let location = match (port.group, vid) {
                    (Some(fabric), Some(vid)) => Location::Fabric { fabric, vid },
                    // A VTEP is reached by its port, wherever that is looked from.
                    _ if port.host != self.host && !topology.is_vtep(port.host) => Location::Host(port.host),
                    _ => Location::Port { port: port.id, vid },
                };
                for mac in &port.macs {
                    self.fdb.addresses.declare(located.segment, *mac, location);
                }
                for mac in &port.shared_macs {
                    self.fdb.shared.allow(located.segment, *mac, location);
                }
            }
        }
        self.fdb.settle_shared();
    }
}

/// What a frame that was let in teaches.
fn lesson(plane: &Plane<'_, '_>, arrival: &Arrival<'_>, header: &Header, evidence: Evidence) -> Learn {
    let (segment, location) = (arrival.located.segment, arrival.location(plane.topology));
    let policy = plane.policy_of(arrival, location);
    let likeness = plane.likeness(arrival, header);
    let is_hint = arrival.port().is_none();
    Learn { segment, mac: header.src, location, policy, likeness, evidence, is_hint }
}

impl Plane<'_, '_> {
    /// How the source address of a frame is learned. Behind a trunk group it is as by one of its trunks, wherever they are.
    fn policy_of(&self, arrival: &Arrival<'_>, location: Location) -> LearnPolicy {
        let segment = arrival.located.segment.number;
        let port = arrival.port().or_else(|| match location {
            Location::Fabric { fabric, vid } => self.topology.trunk_on(segment, fabric, vid),
            Location::Port { .. } | Location::Host(_) => None,
        });
        let policy = port.map_or_else(|| policy_at_host(self.topology, segment), policy_at);
        match arrival.port().is_none() && self.peers.are_telling {
            true => LearnPolicy { ageing: shorter(policy.ageing, HINT), ..policy },
            false => policy,
        }
    }

    /// Learns from a frame that was let in, and has it leave.
    fn bridge(
        &self,
        now: Instant,
        (arrival, header): (&Arrival<'_>, &Header),
        (fdb, learn): (&mut Fdb, Learn),
        verdict: &mut Verdict,
        say: &mut impl Narrator,
    ) -> Option<Learned> {
        let Learn { segment, location, .. } = learn;
        let (learned, at) = if arrival.teaches(header) {
            let (learned, at) = fdb.learn_and_find(now, learn, header.dst);
            if let Learned::Undecided { .. } = learned {
                verdict.tags_read = self.tags_read(arrival, header);
                verdict.depends.push(Dependency::Address(segment, header.src));
                return Some(learned);
            }
            (Some(learned), at)
        } else {
            (None, fdb.addresses.find(now, segment, header.dst))
        };
        let standing = || fdb.keeps_out(now, segment, header.src, location);
        let refusal = match &learned {
            Some(Learned::Refused(refused)) => Some(reason_of(self.topology, *refused)),
            Some(learned) => learned.refusal(),
            None => standing().map(|refused| reason_of(self.topology, refused)),
        };
        if let Some(reason) = refusal {
            self.refuse(arrival, header, reason, verdict);
            say.say(|| {
                let refused = match learned {
                    Some(Learned::Refused(refused)) => Some(refused),
                    _ => standing(),
                };
                trace::reason::source(self.topology, now, reason, refused.as_ref())
            });
            return learned;
        }
        say.say(|| match &learned {
            Some(learned) => trace::learned(self.topology, header.src, location, learned),
            None => trace::not_learned(arrival, header.src),
        });
        self.depart(arrival, header, at, verdict, say);
        learned
    }
}

/// How addresses are learned that are seen at a port.
pub fn learn_policy(topology: &Topology, port: PortId) -> LearnPolicy {
    policy_at(topology.port(port))
}

fn policy_at(port: &Port) -> LearnPolicy {
    LearnPolicy { ageing: port.ageing, limit: port.mac_limit, on_limit: port.on_limit }
}

/// The shorter of two ageing times; zero is never.
fn shorter(ageing: Duration, most: Duration) -> Duration {
    if ageing.is_zero() { most } else { ageing.min(most) }
}

/// What is heard from another l2gw host has passed the limits of the port that it came in by there.
fn policy_at_host(topology: &Topology, segment: u32) -> LearnPolicy {
    LearnPolicy {
        ageing: ageing_of(topology, segment),
        limit: DEFAULT_BRIDGE_MAC_LIMIT,
        on_limit: OnLimit::Evict,
    }
}

/// The ageing time of the bridge that a segment is named by.
fn ageing_of(topology: &Topology, segment: u32) -> Duration {
    let root = topology.segment(segment).domain(0).bridge;
    topology.bridge(root).ageing
}

/// The state of a port of which nobody has told yet. A VTEP's port has no link: it is always there.
fn untold(topology: &Topology, port: &Port) -> PortState {
    if topology.is_vtep(port.host) { PortState::Up } else { PortState::Down }
}

/// The ageing time of the port or the bridge by which an address was learned.
fn ageing_at(topology: &Topology, segment: SegmentId, location: Location) -> Option<Duration> {
    let bridge = match location {
        Location::Port { port, .. } => return Some(topology.port(port).ageing),
        Location::Fabric { fabric, vid } => topology.bridge_on(segment.number, fabric, vid)?,
        Location::Host(_) => return Some(ageing_of(topology, segment.number)),
    };
    Some(topology.bridge(bridge).ageing)
}

/// The reason that a refused frame is counted by: whoever sends from the address of a router declared behind a trunk is spoofing.
pub fn reason_of(topology: &Topology, refused: Refused) -> DropReason {
    match refused {
        Refused::Pinned { at: Location::Fabric { .. } } => DropReason::AntiSpoof,
        Refused::Pinned { at: Location::Port { port, .. } } if topology.port(port).is_trunk => {
            DropReason::AntiSpoof
        }
        _ => refused.reason(),
    }
}

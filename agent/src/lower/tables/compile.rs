//! One host's topology, port states and designation as tables, and what the numbers in them stand for.

use std::collections::BTreeMap;

use datapath::flow::{MeterId, MeterRate};
use datapath::port::VportNo;
use datapath::tables::{
    Admission, Arrives, AttachmentId, ControlClass, ControlRule, Discard, Entry, Exit, GroupId, Ingress,
    LearnId, LearnRule, LimitId, PlaceId, PortGate, PortRule, StormMeter, StormMeters, Tables,
};
use vlan::control::Control;
use vlan::fdb::{LearnPolicy, Slot};
use vlan::frame::Header;
use vlan::model::id::{BridgeId, FabricId, Location, PortId, SegmentId};
use vlan::model::port::Port;
use vlan::model::segment::{Domain, Member, Segment};
use vlan::plane::Plane;
use vlan::policy::Class;
use vlan::switch::learn_policy;
use vlan::verdict::{DropReason, StormClass};
use vlan::vid::Vid;

use super::names::{AttachmentName, DomainName, LimitName, MeterName, Names, PlaceName, Scope};
use super::ways_in::{Entered, NextTags, WayIn, next_tags, ways_in};
use super::ways_out::{Vports, WaysOut, Wire};
use crate::lower::storm::{StormRates, rates};

/// Tables without addresses, and their words.
#[derive(Debug, Clone, Default)]
pub(super) struct Compiled {
    pub(super) tables: Tables,
    pub(super) meters: BTreeMap<MeterId, MeterRate>,
    pub(super) words: Words,
}

/// What the numbers in the tables stand for in the topology that they were made of.
#[derive(Debug, Clone, Default)]
pub(super) struct Words {
    pub(super) vports: BTreeMap<VportNo, PortId>,
    places: BTreeMap<Location, PlaceId>,
    pub(super) locations: BTreeMap<PlaceId, Location>,
    pub(super) learns: BTreeMap<LearnId, PortId>,
    numbered: Numbered,
    /// The tables' number of each segment of the topology, and back.
    segments: Vec<u32>,
    numbers: BTreeMap<u32, u32>,
}

impl Words {
    /// The place of a location. One that is no member's has a place too: whoever sends there hears that it is none.
    pub(super) fn place(&mut self, names: &mut Names, location: Location) -> Option<PlaceId> {
        if let Some(known) = self.places.get(&location) {
            return Some(*known);
        }
        let id = PlaceId(names.places.of(self.numbered.place(location)?));
        self.places.insert(location, id);
        self.locations.insert(id, location);
        Some(id)
    }

    /// A segment of the topology in the tables.
    pub(super) fn in_tables(&self, segment: SegmentId) -> Option<SegmentId> {
        self.segments.get(segment.number as usize).map(|number| SegmentId { number: *number, ..segment })
    }

    /// A segment of the tables in the topology.
    pub(super) fn in_topology(&self, segment: SegmentId) -> Option<SegmentId> {
        self.numbers.get(&segment.number).map(|number| SegmentId { number: *number, ..segment })
    }
}

/// Compiles everything but addresses.
pub(super) fn compile(plane: &Plane<'_, '_>, vport_of: &impl Vports, names: &mut Names) -> Compiled {
    let numbered = Numbered::new(plane, names);
    let words = Words { numbered: numbered.clone(), ..Words::default() };
    let made = Compiled { words, ..Compiled::default() };
    let mut compiler = Compiler { plane, vport_of, numbered, names, made };
    compiler.number_segments();
    let next_tags = next_tags(plane.topology);
    for port in plane.topology.ports().iter().filter(|port| port.host == plane.host) {
        compiler.add_learning(port);
        if let Some(vport) = vport_of(port.id) {
            compiler.add_port(vport, port, &next_tags);
        }
    }
    let made = compiler.made;
    names.sweep();
    made
}

/// The numbers of objects that many others are named by.
#[derive(Debug, Clone, Default)]
struct Numbered {
    bridges: Vec<u32>,
    ports: Vec<u32>,
    hosts: Vec<u32>,
    fabrics: BTreeMap<FabricId, u32>,
}

impl Numbered {
    fn new(plane: &Plane<'_, '_>, names: &mut Names) -> Numbered {
        let topology = plane.topology;
        let groups = topology.ports().iter().filter_map(|port| port.group);
        let fabric = |id| (id, names.fabrics.of(topology.fabric_name(id).to_owned()));
        Numbered {
            fabrics: groups.map(fabric).collect(),
            bridges: topology.bridges().iter().map(|bridge| names.bridges.of(bridge.name.clone())).collect(),
            ports: topology.ports().iter().map(|port| names.ports.of(port.name.clone())).collect(),
            hosts: topology.hosts().iter().map(|host| names.hosts.of(host.name.clone())).collect(),
        }
    }

    fn place(&self, location: Location) -> Option<PlaceName> {
        Some(match location {
            Location::Port { port, vid } => PlaceName::Port { port: *self.ports.get(port.0 as usize)?, vid },
            Location::Fabric { fabric, vid } => {
                PlaceName::Fabric { fabric: *self.fabrics.get(&fabric)?, vid }
            }
            Location::Host(host) => PlaceName::Host(*self.hosts.get(host.0 as usize)?),
        })
    }

    fn group(&self, fabric: FabricId) -> GroupId {
        GroupId(self.fabrics[&fabric])
    }

    fn bridge(&self, id: BridgeId) -> u32 {
        self.bridges[id.0 as usize]
    }

    fn port(&self, id: PortId) -> u32 {
        self.ports[id.0 as usize]
    }

    fn domain(&self, domain: &Domain) -> DomainName {
        DomainName { bridge: self.bridge(domain.bridge), vid: domain.vid, inner: domain.inner }
    }
}

struct Compiler<'a, V> {
    plane: &'a Plane<'a, 'a>,
    vport_of: &'a V,
    names: &'a mut Names,
    numbered: Numbered,
    made: Compiled,
}

impl<V: Vports> Compiler<'_, V> {
    fn number_segments(&mut self) {
        for (number, segment) in self.plane.topology.segments().iter().enumerate() {
            let name = self.numbered.domain(naming(segment));
            let given = self.names.segments.of(name);
            self.made.words.segments.push(given);
            self.made.words.numbers.insert(given, number as u32);
        }
    }

    /// Where addresses behind a member are.
    fn location(&self, segment: &Segment, member: Member) -> Location {
        let port = self.plane.topology.port(member.port);
        match port.location(segment.domain(member.domain).vid) {
            Location::Port { .. } if port.host != self.plane.host => Location::Host(port.host),
            here => here,
        }
    }

    /// The place of a location of this topology.
    fn place(&mut self, location: Location) -> PlaceId {
        self.made.words.place(self.names, location).unwrap_or(NOWHERE)
    }

    /// How addresses at a port are learned; it holds while the port has no vport too, for the addresses of its group.
    fn add_learning(&mut self, port: &Port) {
        let location = port.location(port.vids().first().copied());
        let LearnPolicy { ageing, limit, on_limit } = learn_policy(self.plane.topology, port.id);
        let limit_name = match Slot::of(location) {
            Slot::Port(port) => LimitName::Port(self.numbered.port(port)),
            Slot::Fabric(fabric) => LimitName::Fabric(self.numbered.fabrics[&fabric]),
            Slot::Host(host) => LimitName::Host(self.numbered.hosts[host.0 as usize]),
        };
        let limited_by = LimitId(self.names.limits.of(limit_name));
        let id = LearnId(self.numbered.port(port.id));
        self.made.words.learns.insert(id, port.id);
        self.made
            .tables
            .put(Entry::Learn(id, LearnRule { ageing, limited_by, limit, on_limit, pins: port.is_sticky }));
    }

    fn add_port(&mut self, vport: VportNo, port: &Port, next_tags: &NextTags) {
        self.made.words.vports.insert(vport, port.id);
        let rule = PortRule {
            gate: self.plane.is_forwarding(port.id).map_or_else(PortGate::Closed, |()| PortGate::Open),
            macs: port.only_sources(),
            drops_tags: port.drops_tags,
            controls: self.controls(port),
        };
        self.made.tables.put(Entry::Port(vport, rule));
        for way in ways_in(self.plane.topology, next_tags, port) {
            let ingress = match &way.admitted {
                Ok(entered) => Ingress::Admit(self.admission(port, entered, &way.header)),
                Err(reason) => Ingress::Drop(*reason),
            };
            if self.fallback(vport, &way) != ingress {
                self.made.tables.put(Entry::Ingress(vport, way.arrives, ingress));
            }
        }
    }

    /// What would become of the frames of a way in without an entry for it. Less specific ones come first.
    fn fallback(&self, vport: VportNo, way: &WayIn) -> Ingress {
        let keys = Arrives::keys(&way.header).filter(|key| *key != way.arrives);
        let known = keys.filter_map(|key| self.made.tables.ingress.get(&(vport, key)).copied());
        known.into_iter().next().unwrap_or(Ingress::Drop(Arrives::absent(&way.header)))
    }

    fn admission(&mut self, port: &Port, entered: &Entered, header: &Header) -> Admission {
        let attachment = self.attachment(port, entered, header);
        let located = entered.located;
        let number = self.made.words.segments[located.segment.number as usize];
        let domain = self.plane.topology.segment(located.segment.number).domain(located.domain);
        let tags_read = entered.admitted.taken + usize::from(domain.inner.is_some());
        Admission {
            segment: SegmentId { number, inner: 0 },
            inner: entered.inner,
            tags_read: tags_read as u8,
            attachment,
            place: self.place(port.location(entered.admitted.vid)),
            learn: LearnId(self.numbered.port(port.id)),
            group: port.group.map(|fabric| self.numbered.group(fabric)),
            closed: self.plane.is_carrier(port, entered.admitted.vid).err(),
            storm: self.storm(port, entered.admitted.vid),
        }
    }

    /// The attachment of a way in; made if it is the first that comes by it.
    fn attachment(&mut self, port: &Port, entered: &Entered, header: &Header) -> AttachmentId {
        let number = entered.located.segment.number;
        let segment = self.plane.topology.segment(number);
        let domain = segment.domain(entered.located.domain);
        let read = entered.admitted.taken + usize::from(domain.inner.is_some());
        let id = AttachmentId(self.names.attachments.of(AttachmentName {
            domain: self.numbered.domain(domain),
            segment: self.made.words.segments[number as usize],
            admitted: entered.admitted,
            tags: header.tags.iter().take(read).map(|tag| (*tag).into()).collect(),
            is_trunk: port.is_trunk,
            is_isolated: port.isolated,
        }));
        if !self.made.tables.attachments.contains_key(&id) {
            self.add_attachment(id, port, entered, header);
        }
        id
    }

    fn add_attachment(&mut self, id: AttachmentId, port: &Port, entered: &Entered, header: &Header) {
        let ways = WaysOut::new(self.plane, &|port| self.wire_of(port), port, entered, header);
        self.made.tables.put(Entry::Attachment(id, ways.attachment(self.plane, port, entered)));
        let number = entered.located.segment.number;
        let segment = self.plane.topology.segment(number);
        for member in &segment.members {
            let location = self.location(segment, *member);
            let place = self.place(location);
            if !self.made.tables.routes.contains_key(&(id, place)) {
                let route = ways.route(self.plane, port, number, location);
                self.made.tables.put(Entry::Route(id, place, route));
            }
        }
    }

    /// The vport of a port and the group that it is of.
    fn wire_of(&self, port: &Port) -> Option<Wire> {
        let vport = (self.vport_of)(port.id)?;
        Some(Wire { vport, group: port.group.map(|fabric| self.numbered.group(fabric)) })
    }

    /// Only what differs from having no rule.
    fn controls(&self, port: &Port) -> Vec<(ControlClass, ControlRule)> {
        let rules = CLASSES.into_iter().map(|class| (ControlClass::from(class), self.control(port, class)));
        let without =
            PortRule { gate: PortGate::Open, macs: Vec::new(), drops_tags: false, controls: Vec::new() };
        rules.filter(|(class, rule)| without.control(*class) != *rule).collect()
    }

    fn control(&self, port: &Port, class: Class) -> ControlRule {
        match self.plane.control(port, class) {
            Control::Classify => {
                let unadmitted = Discard { reason: DropReason::Reserved, is_reported: false };
                ControlRule::Classify { unadmitted: port.is_trunk.then_some(unadmitted) }
            }
            Control::PassBetweenTrunks => {
                let others = self.plane.other_trunks(port);
                let up = others.filter(|other| self.plane.is_forwarding(other.id).is_ok());
                let vports = up.filter_map(|other| (self.vport_of)(other.id));
                ControlRule::Pass(vports.map(Exit::unchanged).collect())
            }
            Control::Drop(reason, effect) => {
                ControlRule::Drop(Discard { reason, is_reported: effect.is_some() })
            }
        }
    }

    fn storm(&mut self, port: &Port, vid: Option<Vid>) -> StormMeters {
        StormMeters {
            broadcast: self.storm_meter(port, vid, StormClass::Broadcast),
            multicast: self.storm_meter(port, vid, StormClass::Multicast),
            unknown: self.storm_meter(port, vid, StormClass::Unknown),
        }
    }

    fn storm_meter(&mut self, port: &Port, vid: Option<Vid>, class: StormClass) -> Option<StormMeter> {
        let StormRates { vlan, port: whole } = rates(port, class)?;
        let number = self.numbered.port(port.id);
        let mut meter = |scope, rate| {
            let id = MeterId(self.names.meters.of(MeterName { port: number, scope, class }));
            self.made.meters.insert(id, rate);
            id
        };
        Some(StormMeter { vlan: meter(Scope::Vlan(vid), vlan), port: meter(Scope::Port, whole) })
    }
}

/// The domain that a segment is named by: its VUB, of which it has at most one, else its first. A VLAN that is peered to a VUB is
/// called as the others that are.
fn naming(segment: &Segment) -> &Domain {
    let vub = segment.domains.iter().find(|domain| domain.vid.is_none());
    vub.unwrap_or(&segment.domains[0])
}

/// Where nothing is; never given.
const NOWHERE: PlaceId = PlaceId(u32::MAX);
/// Every class there is.
pub(super) const CLASSES: [Class; 6] =
    [Class::Bpdu, Class::Pvst, Class::PortAccess, Class::ProviderBridge, Class::Lldp, Class::Local];

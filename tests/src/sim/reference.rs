//! The reference bridge: behaviour.md 1 to 6 on real bytes, bridge by bridge and peering by peering.
//!
//! A *domain* is a VUB, or a VLAN of a VAB, told apart by the next tag where the VLAN leads into another VAB. A frame is inside a
//! domain without the domain's own tag. From its domain it walks (`Reference::walk`) into every domain that is joined to it: a peering
//! takes a tag off or puts one on; the walk ends at exterior ports. Addresses are learned in every domain that the walk reaches, for
//! the frame is in one VLAN whatever bridges make it up. Clear before fast: nothing is compiled and nothing is remembered but
//! addresses and blocked ports.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vlan::model::description::{Description, Mode, TagPolicy};
use vlan::time::Instant;

use super::egress::{enter, leave};
use super::reserved::{Treatment, Trunk, treatment};
use super::tagged::{DEI, Tagged, vid_of};
use super::wiring::{BridgeIndex, Join, PortIndex, Wiring, is};

/// The whole network of one host, as naive bridges.
#[derive(Debug, Clone)]
pub struct Reference {
    wiring: Wiring,
    designation: Designated,
    down: BTreeSet<PortIndex>,
    blocked: BTreeMap<PortIndex, Instant>,
    addresses: BTreeMap<(Domain, [u8; 6]), Entry>,
}

/// Which trunk of a group carries a VLAN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Designated {
    /// All of them.
    Everyone,
    /// By bridge and VID, the trunk's name; a VLAN that is not there is carried by none.
    Map(BTreeMap<(String, u16), String>),
}

/// What becomes of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It leaves by these ports, in the order of their names, as these bytes.
    Forward(Vec<(String, Vec<u8>)>),
    /// It goes nowhere, for this reason (`DropReason::name`).
    Drop(&'static str),
}

/// How a frame travelled, for who counts cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Travel {
    /// Its destination was in the table.
    pub is_known: bool,
    /// A copy left by another bridge than the one it came in by.
    pub through_chain: bool,
}

/// A broadcast domain of one bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Domain {
    bridge: BridgeIndex,
    /// 0 on a VUB.
    vid: u16,
    /// VID of the next tag where the VLAN leads into a VAB; 0 where there is none, or a priority tag.
    inner: u16,
}

/// Where an address is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// Behind a port, in a VLAN of its bridge.
    Port { port: PortIndex, vid: u16 },
    /// Behind the trunks of a fabric, in a VLAN of theirs.
    Group { fabric: String, vid: u16 },
}

#[derive(Debug, Clone)]
struct Entry {
    place: Place,
    /// Until when it counts; `None`: for ever, it is declared or the bridge never forgets.
    until: Option<Instant>,
    is_declared: bool,
    /// One of the domains that are joined to it, the same for all of them.
    home: Domain,
}

/// A member port that the walk came to, and the frame as it is there.
#[derive(Debug)]
struct Exit {
    port: PortIndex,
    domain: Domain,
    frame: Tagged,
}

/// What the walk has seen.
#[derive(Debug, Default)]
struct Walk {
    domains: Vec<Domain>,
    exits: Vec<Exit>,
}

impl Reference {
    /// The network of a description that `Topology::build` accepts. `None` where a name is missing.
    pub fn new(description: &Description, designation: Designated, down: &[String]) -> Option<Reference> {
        let wiring = Wiring::new(description)?;
        let down = down.iter().map(|name| wiring.port_named(name)).collect::<Option<_>>()?;
        let mut reference =
            Reference { wiring, designation, down, blocked: BTreeMap::new(), addresses: BTreeMap::new() };
        reference.declare();
        Some(reference)
    }

    /// Which trunk carries which VLAN.
    pub fn designation(&self) -> &Designated {
        &self.designation
    }

    /// The fabric whose trunk groups a port belongs to, if it does.
    pub fn fabric_of(&self, port: &str) -> Option<&str> {
        self.wiring.port_named(port).and_then(|port| self.wiring.fabric(port))
    }

    /// What becomes of a frame that arrives at a port now. Learns from it.
    pub fn forward(&mut self, now: Instant, port: &str, frame: &[u8]) -> (Fate, Travel) {
        let (fate, travel) = match self.wiring.port_named(port) {
            Some(port) => self.judge(now, port, frame),
            None => (Err("port-down"), Travel::default()),
        };
        let fate = match fate {
            Ok(outputs) if outputs.is_empty() => Fate::Drop("no-member"),
            Ok(mut outputs) => {
                outputs.sort();
                Fate::Forward(outputs)
            }
            Err(reason) => Fate::Drop(reason),
        };
        (fate, travel)
    }

    fn judge(&mut self, now: Instant, port: PortIndex, frame: &[u8]) -> (Judged, Travel) {
        let none = Travel::default();
        if self.down.contains(&port) {
            return (Err("port-down"), none);
        }
        if self.is_blocked(now, port) {
            return (Err("port-blocked"), none);
        }
        let Some(mut frame) = Tagged::parse(frame) else { return (Err("malformed"), none) };
        if let Some(fate) = self.control(now, port, &frame) {
            return (fate, none);
        }
        match self.admit(now, port, &mut frame) {
            Ok(domain) => self.bridge(now, port, domain, frame),
            Err(reason) => (Err(reason), none),
        }
    }

    /// Probes and reserved addresses, which are looked at before the VLAN (behaviour.md 6 and 7).
    fn control(&mut self, now: Instant, port: PortIndex, frame: &Tagged) -> Option<Judged> {
        let ether_type = frame.type_behind(2);
        if ether_type == PROBE {
            return Some(Err("probe"));
        }
        let trunk = match (self.wiring.is_trunk(port), self.wiring.is_stp_trunk(port)) {
            (true, true) => Trunk::OfStp,
            (true, false) => Trunk::Other,
            (false, _) => Trunk::Not,
        };
        Some(match treatment(frame.dst(), &self.wiring.ports[port], trunk)? {
            Treatment::Discard => Err("reserved"),
            Treatment::Block => {
                self.blocked.insert(port, now + BLOCK_TIME);
                Err("bpdu")
            }
            Treatment::TunnelAmongTrunks => Ok(self.among_trunks(now, port, frame)),
            Treatment::TunnelIfCustomers => self.within_service_vlan(now, port, frame.clone()),
        })
    }

    fn among_trunks(&self, now: Instant, from: PortIndex, frame: &Tagged) -> Vec<(String, Vec<u8>)> {
        let others = self
            .ports_of(self.wiring.bridge_of[from])
            .filter(|port| *port != from && self.wiring.is_trunk(*port) && self.is_up(now, *port));
        others.map(|port| (self.wiring.ports[port].name.clone(), frame.emit())).collect()
    }

    /// A customer's control frame stays between the qinq ports and the trunks of its outer VLAN. Untagged on a trunk it would be the
    /// provider's own, so it neither comes in nor leaves like that.
    fn within_service_vlan(
        &self,
        now: Instant,
        from: PortIndex,
        mut frame: Tagged,
    ) -> Result<Vec<(String, Vec<u8>)>, &'static str> {
        let domain = self.admit(now, from, &mut frame)?;
        let is_member = |port: &PortIndex| self.wiring.is_member(*port, domain.vid);
        let is_qinq = |port: PortIndex| matches!(self.wiring.ports[port].mode, Mode::Qinq { .. });
        let is_tagged = |port: PortIndex| match &self.wiring.ports[port].mode {
            Mode::Trunk(trunk) => !is(trunk.native, domain.vid) || trunk.native_tagged,
            _ => false,
        };
        let members: Vec<PortIndex> = self.ports_of(domain.bridge).filter(is_member).collect();
        let is_customers = frame.own.is_some() && members.iter().any(|port| is_qinq(*port));
        if self.wiring.is_trunk(from) && !is_customers {
            return Err("reserved");
        }
        let takes = |port: &PortIndex| is_qinq(*port) || self.wiring.is_trunk(*port) && is_tagged(*port);
        let exit = |port| Exit { port, domain, frame: frame.clone() };
        Ok(self.send(now, from, members.into_iter().filter(takes).map(exit).collect()))
    }

    fn ports_of(&self, bridge: BridgeIndex) -> impl Iterator<Item = PortIndex> {
        (0..self.wiring.ports.len()).filter(move |port| self.wiring.bridge_of[*port] == bridge)
    }

    /// Source address, VLAN, designation: whether a frame is let into a domain (behaviour.md 2 and 4).
    fn admit(&self, now: Instant, port: PortIndex, frame: &mut Tagged) -> Result<Domain, &'static str> {
        let src = frame.src();
        if is_group(src) {
            return Err("group-source");
        }
        let macs = &self.wiring.ports[port].macs;
        if !macs.is_empty() && !macs.iter().any(|mac| mac.0 == src) {
            return Err("anti-spoof");
        }
        let vid = enter(&self.wiring, port, frame)?;
        if self.wiring.ports[port].tags == Some(TagPolicy::Drop) && frame.is_tagged() {
            return Err("tagged");
        }
        if !self.carries(port, vid) {
            return Err("not-designated");
        }
        let domain = self.domain(self.wiring.bridge_of[port], vid, frame);
        self.may_be_here(now, port, domain, src).map(|()| domain)
    }

    /// A declared address, and one that sticks, is nowhere else; a sticky port takes the first ones only, and none that is known
    /// elsewhere (behaviour.md 4).
    fn may_be_here(
        &self,
        now: Instant,
        port: PortIndex,
        domain: Domain,
        src: [u8; 6],
    ) -> Result<(), &'static str> {
        let sticky = |port: PortIndex| self.wiring.ports[port].sticky;
        let known = self.addresses.get(&(domain, src)).filter(|entry| entry.is_alive(now));
        match known.map(|entry| (&entry.place, entry.is_declared)) {
            Some((place, _)) if *place == self.place(port, domain.vid) => Ok(()),
            Some((_, true)) => Err("pinned"),
            Some((Place::Port { port: at, .. }, _)) if *at == port => Ok(()),
            Some((Place::Port { port: at, .. }, _)) if sticky(*at).is_some() => Err("pinned"),
            Some(_) if sticky(port).is_some() => Err("sticky"),
            None if sticky(port).is_some_and(|most| self.stuck_at(port) >= most as usize) => {
                Err("address-limit")
            }
            _ => Ok(()),
        }
    }

    /// How many addresses stick to a port: one for each station and segment.
    fn stuck_at(&self, port: PortIndex) -> usize {
        let here = self
            .addresses
            .iter()
            .filter(|(_, entry)| matches!(entry.place, Place::Port { port: at, .. } if at == port));
        here.map(|((_, mac), entry)| (entry.home, *mac)).collect::<BTreeSet<_>>().len()
    }

    /// Learns the source, finds the destination, sends the copies.
    fn bridge(&mut self, now: Instant, port: PortIndex, domain: Domain, frame: Tagged) -> (Judged, Travel) {
        let (dst, src) = (frame.dst(), frame.src());
        let mut walk = Walk::default();
        self.walk(domain, &frame, None, &mut walk);
        if src != [0; 6] {
            self.learn(now, port, domain.vid, src, &walk.domains);
        }
        let known = if is_group(dst) { None } else { self.find(now, domain, dst) };
        let mut travel = Travel { is_known: known.is_some(), through_chain: false };
        if let Some(place) = &known {
            let arrival = self.place(port, domain.vid);
            match (place, &arrival) {
                (Place::Port { port: at, .. }, _) if *at == port => return (Err("same-port"), travel),
                (Place::Group { fabric: a, .. }, Place::Group { fabric: b, .. }) if a == b => {
                    return (Err("same-group"), travel);
                }
                _ => walk.exits.retain(|exit| self.is_at(exit, place)),
            }
        }
        if known.is_none() && !is_group(dst) {
            walk.exits.retain(|exit| !self.wiring.ports[exit.port].flood.withholds_unknown);
        }
        let bridge = domain.bridge;
        let mut sent = self.send(now, port, walk.exits);
        if matches!(known, Some(Place::Group { .. })) {
            let carrier = sent.first().map(|(name, _)| name.clone());
            sent.retain(|(name, _)| Some(name) == carrier.as_ref());
        }
        let left = |name: &str| self.wiring.port_named(name).map(|port| self.wiring.bridge_of[port]);
        travel.through_chain = sent.iter().any(|(name, _)| left(name) != Some(bridge));
        (Ok(sent), travel)
    }

    /// Goes into a domain with a frame, and on by every peering but the one it came by.
    fn walk(&self, domain: Domain, frame: &Tagged, came_by: Option<usize>, seen: &mut Walk) {
        seen.domains.push(domain);
        for port in 0..self.wiring.ports.len() {
            if self.wiring.bridge_of[port] == domain.bridge && self.wiring.is_member(port, domain.vid) {
                seen.exits.push(Exit { port, domain, frame: frame.clone() });
            }
        }
        for (index, join) in self.wiring.peerings.iter().enumerate() {
            if Some(index) == came_by {
                continue;
            }
            let mut frame = frame.clone();
            let next = if (join.outer, join.vid) == (domain.bridge, domain.vid) {
                self.step_in(*join, &mut frame)
            } else if join.inner == domain.bridge {
                self.step_out(*join, domain, &mut frame)
            } else {
                None
            };
            if let Some(next) = next {
                self.walk(next, &frame, Some(index), seen);
            }
        }
    }

    /// From a VLAN into what it is peered to: an inner VAB takes its own tag off; without one, the frame is in none of its VLANs.
    fn step_in(&self, join: Join, frame: &mut Tagged) -> Option<Domain> {
        if !self.wiring.is_aware(join.inner) {
            frame.own = None;
            return Some(Domain { bridge: join.inner, vid: 0, inner: 0 });
        }
        let tci = frame.outermost(self.wiring.tpid(join.inner))?;
        let vid = vid_of(tci);
        if vid == 0 || vid == 4095 {
            return None;
        }
        frame.pop(tci);
        Some(self.domain(join.inner, vid, frame))
    }

    /// From a bridge into the VLAN that is peered to it: a VAB's frame gets its tag back first.
    fn step_out(&self, join: Join, from: Domain, frame: &mut Tagged) -> Option<Domain> {
        if self.wiring.is_aware(from.bridge) {
            let tci = u16::from(frame.pcp) << 13 | from.vid;
            let tci = frame.own.filter(|own| own & !DEI == tci).unwrap_or(tci);
            frame.push(self.wiring.tpid(from.bridge), tci);
        }
        frame.own = None;
        Some(Domain { bridge: join.outer, vid: join.vid, inner: from.vid })
    }

    /// The domain of a frame in a VLAN of a bridge.
    fn domain(&self, bridge: BridgeIndex, vid: u16, frame: &Tagged) -> Domain {
        let joined = self.wiring.peerings.iter().find(|join| (join.outer, join.vid) == (bridge, vid));
        let nested = joined.filter(|join| vid != 0 && self.wiring.is_aware(join.inner));
        let inner = nested.and_then(|join| frame.outermost(self.wiring.tpid(join.inner))).map_or(0, vid_of);
        Domain { bridge, vid, inner }
    }

    /// The copies that really leave, in the order of the ports: not by the arrival port or its group, not between isolated ports, only
    /// by trunks that carry the VLAN.
    fn send(&self, now: Instant, from: PortIndex, mut exits: Vec<Exit>) -> Vec<(String, Vec<u8>)> {
        exits.sort_by_key(|exit| exit.port);
        let group = self.wiring.fabric(from);
        let leaves = |exit: &Exit| {
            exit.port != from
                && (group.is_none() || self.wiring.fabric(exit.port) != group)
                && !(self.wiring.ports[from].isolated && self.wiring.ports[exit.port].isolated)
                && self.is_up(now, exit.port)
                && self.carries(exit.port, exit.domain.vid)
        };
        let bytes = |exit: Exit| {
            let bytes = leave(&self.wiring, exit.port, exit.domain.vid, &exit.frame).ok()?;
            Some((self.wiring.ports[exit.port].name.clone(), bytes))
        };
        exits.into_iter().filter(leaves).filter_map(bytes).collect()
    }

    fn learn(&mut self, now: Instant, port: PortIndex, vid: u16, src: [u8; 6], domains: &[Domain]) {
        let ageing = self.wiring.bridges[self.wiring.bridge_of[port]].ageing;
        let is_sticky = self.wiring.ports[port].sticky.is_some();
        // To the second: it is known until the second is over in which its age ends.
        let second = Instant::from_secs(now.as_nanos() / 1_000_000_000 + 1);
        let until = (!is_sticky && !ageing.is_zero()).then(|| second + ageing);
        let place = self.place(port, vid);
        for domain in domains {
            let entry = Entry { place: place.clone(), until, is_declared: false, home: home(domains) };
            let old = self.addresses.entry((*domain, src)).or_insert_with(|| entry.clone());
            if !old.is_declared {
                *old = entry;
            }
        }
    }

    fn find(&self, now: Instant, domain: Domain, dst: [u8; 6]) -> Option<Place> {
        let entry = self.addresses.get(&(domain, dst))?;
        entry.is_alive(now).then(|| entry.place.clone())
    }

    /// Puts the declared addresses of every port into every domain joined to its own.
    fn declare(&mut self) {
        for port in 0..self.wiring.ports.len() {
            if self.wiring.ports[port].macs.is_empty() {
                continue;
            }
            for vid in self.wiring.vids(port) {
                let mut walk = Walk::default();
                let domain = Domain { bridge: self.wiring.bridge_of[port], vid, inner: 0 };
                self.walk(domain, &Tagged::untagged(), None, &mut walk);
                let (place, home) = (self.place(port, vid), home(&walk.domains));
                let entry = Entry { place, until: None, is_declared: true, home };
                for mac in &self.wiring.ports[port].macs {
                    self.addresses
                        .extend(walk.domains.iter().map(|domain| ((*domain, mac.0), entry.clone())));
                }
            }
        }
    }

    fn place(&self, port: PortIndex, vid: u16) -> Place {
        match self.wiring.fabric(port) {
            Some(fabric) => Place::Group { fabric: fabric.to_owned(), vid },
            None => Place::Port { port, vid },
        }
    }

    fn is_at(&self, exit: &Exit, place: &Place) -> bool {
        self.place(exit.port, exit.domain.vid) == *place
    }

    /// Whether a port carries a VLAN; all but trunks of a group do.
    fn carries(&self, port: PortIndex, vid: u16) -> bool {
        let (Some(_), Designated::Map(map)) = (self.wiring.fabric(port), &self.designation) else {
            return true;
        };
        let declared = &self.wiring.ports[port];
        map.get(&(declared.bridge.clone(), vid)).is_some_and(|trunk| *trunk == declared.name)
    }

    fn is_up(&self, now: Instant, port: PortIndex) -> bool {
        !self.down.contains(&port) && !self.is_blocked(now, port)
    }

    fn is_blocked(&self, now: Instant, port: PortIndex) -> bool {
        self.blocked.get(&port).is_some_and(|until| now < *until)
    }
}

impl Entry {
    fn is_alive(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// What domains that are joined are called together.
fn home(joined: &[Domain]) -> Domain {
    *joined.iter().min().expect("a walk begins in a domain")
}

/// The copies that leave, or why it was dropped.
type Judged = Result<Vec<(String, Vec<u8>)>, &'static str>;

/// The I/G bit (802-2014 8.2.2).
fn is_group(address: [u8; 6]) -> bool {
    address[0] & 1 == 1
}

/// EtherType of the probes between trunks (behaviour.md 7).
const PROBE: u16 = 0x88b5;
/// How long a BPDU blocks a VM or access port (behaviour.md 6).
const BLOCK_TIME: Duration = Duration::from_secs(300);

//! The ways out: to which members of its segment a frame goes (behaviour.md 3 and 5). With which tags is the question of
//! [`egress`](mod@crate::egress).

use smallvec::SmallVec;

use crate::egress::Passage;
use crate::filters::egress_filter;
use crate::model::id::{FabricId, HostId, Location};
use crate::model::port::{Mode, Port};
use crate::model::segment::Member;
use crate::model::vnis::Origin;
use crate::plane::{Arrival, Plane};
use crate::tag::Pcp;
use crate::trace::{self, Narrator};
use crate::verdict::{
    Consulted, Decision, Dependency, DropReason, Egress, Meter, Output, StormClass, Verdict,
};
use crate::vid::Vid;

impl<'t> Plane<'t, '_> {
    /// The members by which frames to a location may leave. The first port that lets one out is used, with all its members. A port is a
    /// member twice where its VLAN leads into a VAB that joins two of the next tags: an address behind it may have either.
    pub fn members_at(&self, segment: u32, at: Location) -> impl Iterator<Item = Member> + use<'t> {
        let (topology, segment) = (self.topology, self.topology.segment(segment));
        let vid = |member: &Member| segment.domain(member.domain).vid;
        let near = match at {
            Location::Port { port, .. } => segment.members_of(port),
            Location::Fabric { .. } => segment.trunk_members(topology),
            Location::Host(_) => &[],
        };
        // What is nearer at hand is asked first: the ports of a large gateway are far from the CPU.
        let is_there = move |member: &Member| match at {
            Location::Port { port, vid: its } => member.port == port && vid(member) == its,
            Location::Fabric { fabric, vid: its } => {
                vid(member) == Some(its) && topology.port(member.port).group == Some(fabric)
            }
            Location::Host(_) => false,
        };
        near.iter().copied().filter(is_there)
    }

    /// Whether frames that came in by a trunk group, or by none, may leave by a port in a VLAN of its bridge. Only states are asked, which are
    /// the same for every frame; `note` hears which.
    ///
    /// # Errors
    /// Why they may not.
    pub fn may_leave(
        &self,
        group: Option<FabricId>,
        port: &Port,
        vid: Option<Vid>,
        note: &mut impl FnMut(Dependency),
    ) -> Result<(), DropReason> {
        note(Dependency::Port(port.id));
        self.is_forwarding(port.id)?;
        if port.group.is_some() && port.group == group {
            return Err(DropReason::SameGroup);
        }
        if let (Some(fabric), Some(vid)) = (port.group, vid) {
            note(Dependency::Designation(fabric, vid));
        }
        self.is_carrier(port, vid)
    }

    /// Whether a control frame that came by the tunnel goes out by a member: it can only be one that a customer's outer VLAN carries.
    pub fn takes_tunnelled_by_host(&self, segment: u32, member: Member) -> bool {
        let to = self.topology.port(member.port);
        let vid = self.topology.segment(segment).domain(member.domain).vid;
        self.topology.bridge(to.bridge).has_qinq && is_of_customer(to, vid)
    }

    /// Whether a control frame that `port` admitted to a VLAN of its bridge goes out by a member. Only the qinq ports and trunks of its
    /// outer VLAN take it, and a trunk takes it only tagged: untagged it would pass for the provider's own.
    pub fn takes_tunnelled(&self, port: &Port, vid: Option<Vid>, segment: u32, member: Member) -> bool {
        let to = self.topology.port(member.port);
        let is_outer_vlan =
            to.bridge == port.bridge && self.topology.segment(segment).domain(member.domain).vid == vid;
        is_outer_vlan && is_of_customer(to, vid)
    }

    /// The live l2gw hosts to which frames for a trunk group in a VLAN of it go: the one that says that it carries the VLAN, or all that have
    /// such a trunk as long as none or several say so. Only one that does delivers.
    pub fn hosts_behind(&self, segment: u32, at: Location) -> SmallVec<[HostId; 2]> {
        let Location::Fabric { fabric, .. } = at else { return SmallVec::new() };
        let (mut able, mut carrying): (SmallVec<[HostId; 2]>, SmallVec<[HostId; 2]>) = Default::default();
        for member in self.members_at(segment, at) {
            let port = self.topology.port(member.port);
            debug_assert_eq!(port.group, Some(fabric));
            if port.host == self.host || !self.peers.is_alive(port.host) || able.contains(&port.host) {
                continue;
            }
            able.push(port.host);
            let vid = self.topology.segment(segment).domain(member.domain).vid;
            if vid.is_some_and(|vid| self.peers.claimants(port.bridge, vid).contains(&port.host)) {
                carrying.push(port.host);
            }
        }
        if carrying.len() == 1 { carrying } else { able }
    }
}

/// A qinq port, or a trunk that sends the VLAN tagged: untagged a customer's control frame would pass for the provider's own.
fn is_of_customer(to: &Port, vid: Option<Vid>) -> bool {
    match &to.mode {
        Mode::Qinq { .. } => true,
        Mode::Trunk(trunk) => to.is_trunk && !vid.is_some_and(|vid| trunk.sends_untagged(vid)),
        Mode::Plain | Mode::Access { .. } => false,
    }
}

/// Classes 6 and 7 are for the control of the network that carries the tunnel (RFC 4594 3.1).
const MOST_OF_A_PORT: Pcp = Pcp::new(5).unwrap();

/// Why a frame does not reach a location where no member told a reason of its own.
pub fn unreachable_at(at: Location) -> DropReason {
    match at {
        Location::Fabric { .. } => DropReason::NoTrunk,
        Location::Port { .. } | Location::Host(_) => DropReason::NotMember,
    }
}

/// Whether a member's reason for not letting a frame out is told. A trunk that is down or does not carry the VLAN gives none: another
/// trunk of its group may.
pub fn is_telling(at: Location, reason: DropReason) -> bool {
    let is_state =
        matches!(reason, DropReason::NotDesignated | DropReason::PortDown | DropReason::PortBlocked);
    !(is_state && matches!(at, Location::Fabric { .. }))
}

/// A frame on its segment, looking for ways out.
pub(crate) struct Exits<'a> {
    pub(crate) plane: Plane<'a, 'a>,
    pub(crate) arrival: &'a Arrival<'a>,
    pub(crate) passage: Passage<'a>,
}

impl Exits<'_> {
    /// To where the destination is, or everywhere while that is not known.
    pub(crate) fn unicast(
        &self,
        at: Option<Location>,
        verdict: &mut Verdict,
        say: &mut impl Narrator,
    ) -> Decision {
        let Some(at) = at else { return self.flood(StormClass::Unknown, verdict, say) };
        say.say(|| trace::found(self.plane.topology, self.passage.header.dst, at));
        match at {
            Location::Port { port, .. } => {
                verdict.depends.push(Dependency::Port(port));
                if self.arrival.port().is_some_and(|from| from.id == port) {
                    return Decision::Drop(DropReason::SamePort);
                }
                self.to_first_of(at, verdict, say)
            }
            Location::Fabric { fabric, vid } => {
                verdict.depends.push(Dependency::Designation(fabric, vid));
                if self.arrival.group() == Some(fabric) {
                    return Decision::Drop(DropReason::SameGroup);
                }
                self.to_first_of(at, verdict, say)
            }
            Location::Host(host) => {
                verdict.depends.push(Dependency::Host(host));
                if !self.plane.peers.is_alive(host) {
                    return self.flood(StormClass::Unknown, verdict, say);
                }
                match self.to_host(host, verdict, say) {
                    Ok(()) => Decision::Forward,
                    Err(reason) => Decision::Drop(reason),
                }
            }
        }
    }

    /// To the port that the destination is behind, or to whichever trunk of the group carries the VLAN.
    fn to_first_of(&self, at: Location, verdict: &mut Verdict, say: &mut impl Narrator) -> Decision {
        let (mut chosen, mut reason) = (None, unreachable_at(at));
        let segment = self.arrival.located.segment.number;
        let others_trunk = |member: &Member| {
            let port = self.plane.topology.port(member.port);
            port.is_trunk && port.host != self.plane.host
        };
        for member in self.plane.members_at(segment, at).filter(|member| !others_trunk(member)) {
            if chosen.is_some_and(|chosen| chosen != member.port) {
                continue;
            }
            match self.leave(member, None, verdict, say) {
                Ok(()) => chosen = Some(member.port),
                Err(why) if is_telling(at, why) => reason = why,
                Err(_) => {}
            }
        }
        if chosen.is_some() {
            return Decision::Forward;
        }
        for host in self.plane.hosts_behind(segment, at) {
            verdict.depends.push(Dependency::Host(host));
            if let Err(why) = self.to_host(host, verdict, say) {
                reason = why;
            }
        }
        if verdict.outputs.is_empty() { Decision::Drop(reason) } else { Decision::Forward }
    }

    /// To every member of the segment, through the storm meter of its class.
    pub(crate) fn flood(
        &self,
        class: StormClass,
        verdict: &mut Verdict,
        say: &mut impl Narrator,
    ) -> Decision {
        self.meter(class, verdict);
        say.say(|| trace::flooded(self.plane.topology, class, self.passage.header.dst, verdict.meter));
        self.to_all(|_| true, Some(class), verdict, say)
    }

    /// A control frame to the rest of its customer's outer VLAN.
    pub(crate) fn tunnel(&self, verdict: &mut Verdict, say: &mut impl Narrator) -> Decision {
        say.say(|| trace::tunnelled(self.plane.topology, self.arrival));
        self.to_all(|member| self.takes_tunnelled(member), None, verdict, say)
    }

    /// One copy to every wanted member port but the arrival's, and one to every other host.
    fn to_all(
        &self,
        is_wanted: impl Fn(Member) -> bool,
        flooded: Option<StormClass>,
        verdict: &mut Verdict,
        say: &mut impl Narrator,
    ) -> Decision {
        verdict.depends.push(Dependency::Segment(self.arrival.located.segment.number));
        let from = self.arrival.port().map(|port| port.id);
        let mut is_elsewhere = false;
        for member in &self.passage.segment.members {
            if Some(member.port) == from || !is_wanted(*member) {
                continue;
            }
            if self.is_of_other_host(*member) {
                is_elsewhere = true;
                continue;
            }
            if let Err(reason) = self.leave(*member, flooded, verdict, say) {
                let vid = self.passage.segment.domain(member.domain).vid;
                say.say_of(member.port, || Some(trace::withheld(&self.plane, (member.port, vid), reason)));
                verdict.withheld.push((member.port, reason));
            }
        }
        if is_elsewhere && !self.arrival.is_tunnelled {
            self.to_hosts(verdict, say);
        }
        if verdict.outputs.is_empty() { Decision::Drop(DropReason::NoMember) } else { Decision::Forward }
    }

    fn takes_tunnelled(&self, member: Member) -> bool {
        let Arrival { admitted, located, .. } = self.arrival;
        match self.arrival.port() {
            Some(port) => self.plane.takes_tunnelled(port, admitted.vid, located.segment.number, member),
            None => self.plane.takes_tunnelled_by_host(located.segment.number, member),
        }
    }

    /// Whether a member is another l2gw host's, which is sent one copy for all of its own.
    fn is_of_other_host(&self, member: Member) -> bool {
        let host = self.plane.topology.port(member.port).host;
        host != self.plane.host && !self.plane.topology.is_vtep(host)
    }

    /// Adds the copy that leaves by a member port, if it may.
    fn leave(
        &self,
        member: Member,
        flooded: Option<StormClass>,
        verdict: &mut Verdict,
        say: &mut impl Narrator,
    ) -> Result<(), DropReason> {
        let port = self.plane.topology.port(member.port);
        if port.host != self.plane.host {
            return self.to_vtep(member, flooded, verdict, say);
        }
        let vid = self.passage.segment.domain(member.domain).vid;
        let mut note = |looked_at| verdict.depends.push(looked_at);
        self.plane.may_leave(self.arrival.group(), port, vid, &mut note)?;
        egress_filter(self.arrival.origin() == Origin::Isolated, port, flooded)?;
        let edit = self.passage.leave(member, &mut verdict.consulted)?;
        say.say_of(port.id, || Some(trace::leaves(self.plane.topology, &self.passage, member, &edit)));
        verdict.outputs.push(Output { to: Egress::Port(port.id), edit });
        Ok(())
    }

    /// One copy to another l2gw host. It hears by the VNI what the frame came in by, and decides the rest.
    fn to_host(
        &self,
        host: HostId,
        verdict: &mut Verdict,
        say: &mut impl Narrator,
    ) -> Result<(), DropReason> {
        let vni = self.tunnel_to(host, self.arrival.origin())?;
        let class = self.class(&mut verdict.consulted);
        let (to, edit) = (Egress::Tunnel { host, vni, class }, self.passage.bare());
        say.say(|| trace::tunnel::leaves(self.plane.topology, (host, vni), self.passage.header, &edit));
        verdict.outputs.push(Output { to, edit });
        Ok(())
    }

    /// One copy to every other l2gw host that has ports on the segment.
    fn to_hosts(&self, verdict: &mut Verdict, say: &mut impl Narrator) {
        let (segment, origin) = (self.arrival.located.segment.number, self.arrival.origin());
        let topology = self.plane.topology;
        if topology.copies(self.plane.host, segment, origin).next().is_none() {
            say.say(|| trace::tunnel::no_copies(topology, segment, self.plane.host));
            return;
        }
        let class = self.class(&mut verdict.consulted);
        let (to, edit) = (Egress::Hosts { segment, origin, class }, self.passage.bare());
        say.say_each(topology.copies(self.plane.host, segment, origin), |copy| {
            trace::tunnel::leaves(topology, copy, self.passage.header, &edit)
        });
        verdict.outputs.push(Output { to, edit });
    }

    /// One copy to a VTEP. It knows one VNI of the segment, and nothing of priorities or isolation.
    fn to_vtep(
        &self,
        member: Member,
        flooded: Option<StormClass>,
        verdict: &mut Verdict,
        say: &mut impl Narrator,
    ) -> Result<(), DropReason> {
        let port = self.plane.topology.port(member.port);
        let vni = self.tunnel_to(port.host, Origin::Plain)?;
        egress_filter(self.arrival.origin() == Origin::Isolated, port, flooded)?;
        let edit = self.passage.leave(member, &mut verdict.consulted)?;
        if port.drops_tags && self.passage.is_tagged_within(&mut verdict.consulted) {
            return Err(DropReason::Tagged);
        }
        say.say_of(port.id, || {
            Some(trace::tunnel::leaves(self.plane.topology, (port.host, vni), self.passage.header, &edit))
        });
        verdict.outputs.push(Output { to: Egress::Tunnel { host: port.host, vni, class: Pcp::ZERO }, edit });
        Ok(())
    }

    /// The VNI by which a host is sent frames that came in so.
    fn tunnel_to(&self, host: HostId, origin: Origin) -> Result<u32, DropReason> {
        if self.arrival.is_tunnelled {
            return Err(DropReason::NoTransit);
        }
        let topology = self.plane.topology;
        let vni = topology.vni(self.arrival.located.segment.number, origin);
        vni.filter(|_| topology.is_reached(self.plane.host, host)).ok_or(DropReason::NoTunnel)
    }

    /// The priority that goes along. A VM does not get at the classes of the underlay's own protocols (behaviour.md 8).
    fn class(&self, consulted: &mut Consulted) -> Pcp {
        let class = self.passage.bare_priority(consulted);
        match self.arrival.port() {
            Some(port) if !port.is_trunk => class.min(MOST_OF_A_PORT),
            _ => class,
        }
    }

    fn meter(&self, class: StormClass, verdict: &mut Verdict) {
        // What comes by the tunnel was metered where it came in.
        let Some(port) = self.arrival.port().filter(|_| !self.arrival.is_tunnelled) else { return };
        let storm = &port.storm;
        let rate = match class {
            StormClass::Broadcast => storm.broadcast,
            StormClass::Multicast => storm.multicast,
            StormClass::Unknown => storm.unknown,
        };
        if rate > 0 {
            verdict.meter = Some(Meter { port: port.id, vid: self.arrival.admitted.vid, class });
        }
    }
}

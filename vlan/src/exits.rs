//! The ways out: to which members of its segment a frame goes (behaviour.md 3 and 5). With which tags is the question of
//! [`egress`](mod@crate::egress).

use crate::egress::Passage;
use crate::filters::egress_filter;
use crate::model::id::{FabricId, HostId, Location};
use crate::model::port::{Mode, Port};
use crate::model::segment::Member;
use crate::plane::{Arrival, Plane};
use crate::trace::{self, Narrator};
use crate::verdict::{Decision, Dependency, DropReason, Egress, Meter, Output, StormClass, Verdict};
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

    /// Whether a control frame that `port` admitted to a VLAN of its bridge goes out by a member. Only the qinq ports and trunks of its
    /// outer VLAN take it, and a trunk takes it only tagged: untagged it would pass for the provider's own.
    pub fn takes_tunnelled(&self, port: &Port, vid: Option<Vid>, segment: u32, member: Member) -> bool {
        let to = self.topology.port(member.port);
        let is_outer_vlan =
            to.bridge == port.bridge && self.topology.segment(segment).domain(member.domain).vid == vid;
        is_outer_vlan
            && match &to.mode {
                Mode::Qinq { .. } => true,
                Mode::Trunk(trunk) => to.is_trunk && !vid.is_some_and(|vid| trunk.sends_untagged(vid)),
                Mode::Plain | Mode::Access { .. } => false,
            }
    }
}

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
                if port == self.arrival.port.id {
                    return Decision::Drop(DropReason::SamePort);
                }
                self.to_first_of(at, verdict, say)
            }
            Location::Fabric { fabric, vid } => {
                verdict.depends.push(Dependency::Designation(fabric, vid));
                if self.arrival.port.group == Some(fabric) {
                    return Decision::Drop(DropReason::SameGroup);
                }
                self.to_first_of(at, verdict, say)
            }
            Location::Host(host) => {
                self.to_host(host, verdict, say);
                Decision::Forward
            }
        }
    }

    /// To the port that the destination is behind, or to whichever trunk of the group carries the VLAN.
    fn to_first_of(&self, at: Location, verdict: &mut Verdict, say: &mut impl Narrator) -> Decision {
        let (mut chosen, mut reason) = (None, unreachable_at(at));
        for member in self.plane.members_at(self.arrival.located.segment.number, at) {
            if chosen.is_some_and(|chosen| chosen != member.port) {
                continue;
            }
            match self.leave(member, None, verdict, say) {
                Ok(()) => chosen = Some(member.port),
                Err(why) if is_telling(at, why) => reason = why,
                Err(_) => {}
            }
        }
        if chosen.is_some() { Decision::Forward } else { Decision::Drop(reason) }
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
        for member in &self.passage.segment.members {
            if member.port == self.arrival.port.id || !is_wanted(*member) {
                continue;
            }
            if let Err(reason) = self.leave(*member, flooded, verdict, say) {
                let vid = self.passage.segment.domain(member.domain).vid;
                say.say_of(member.port, || Some(trace::withheld(&self.plane, (member.port, vid), reason)));
                verdict.withheld.push((member.port, reason));
            }
        }
        if verdict.outputs.is_empty() { Decision::Drop(DropReason::NoMember) } else { Decision::Forward }
    }

    fn takes_tunnelled(&self, member: Member) -> bool {
        let Arrival { port, admitted, located, .. } = self.arrival;
        self.plane.takes_tunnelled(port, admitted.vid, located.segment.number, member)
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
            egress_filter(self.arrival.port, port, flooded)?;
            self.to_host(port.host, verdict, say);
            return Ok(());
        }
        let vid = self.passage.segment.domain(member.domain).vid;
        let mut note = |looked_at| verdict.depends.push(looked_at);
        self.plane.may_leave(self.arrival.port.group, port, vid, &mut note)?;
        egress_filter(self.arrival.port, port, flooded)?;
        let edit = self.passage.leave(member, &mut verdict.consulted)?;
        say.say_of(port.id, || Some(trace::leaves(self.plane.topology, &self.passage, member, &edit)));
        verdict.outputs.push(Output { to: Egress::Port(port.id), edit });
        Ok(())
    }

    fn to_host(&self, host: HostId, verdict: &mut Verdict, say: &mut impl Narrator) {
        let vni = self.passage.segment.vni;
        let to = Egress::Tunnel { host, vni };
        if !verdict.outputs.iter().any(|output| output.to == to) {
            let edit = self.passage.bare();
            let (topology, header) = (self.plane.topology, self.passage.header);
            say.say(|| trace::leaves_to_host(topology, (host, vni), header, &edit));
            verdict.outputs.push(Output { to, edit });
        }
    }

    fn meter(&self, class: StormClass, verdict: &mut Verdict) {
        let storm = &self.arrival.port.storm;
        let rate = match class {
            StormClass::Broadcast => storm.broadcast,
            StormClass::Multicast => storm.multicast,
            StormClass::Unknown => storm.unknown,
        };
        if rate > 0 {
            verdict.meter = Some(Meter { port: self.arrival.port.id, vid: self.arrival.admitted.vid, class });
        }
    }
}

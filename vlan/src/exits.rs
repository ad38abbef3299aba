//! The ways out: to which members of its segment a frame goes (behaviour.md 3 and 5). With which tags is the question of
//! [`egress`](mod@crate::egress).

use crate::designation::Carrier;
use crate::egress::Passage;
use crate::forward::{Arrival, Plane};
use crate::model::id::{FabricId, HostId, Location, PortId};
use crate::model::port::Mode;
use crate::model::segment::Member;
use crate::trace::{self, Narrator};
use crate::verdict::{Decision, Dependency, DropReason, Egress, Meter, Output, StormClass, Verdict};
use crate::vid::Vid;

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
            Location::Port { port, vid } => self.to_port(port, vid, verdict, say),
            Location::Fabric { fabric, vid } => self.to_fabric(fabric, vid, verdict, say),
            Location::Host(host) => {
                self.to_host(host, verdict, say);
                Decision::Forward
            }
        }
    }

    fn to_port(
        &self,
        port: PortId,
        vid: Option<Vid>,
        verdict: &mut Verdict,
        say: &mut impl Narrator,
    ) -> Decision {
        verdict.depends.push(Dependency::Port(port));
        if port == self.arrival.port.id {
            return Decision::Drop(DropReason::SamePort);
        }
        let mut reason = DropReason::NotMember;
        for member in self.members_in(vid).filter(|member| member.port == port) {
            if let Err(why) = self.leave(member, verdict, say) {
                reason = why;
            }
        }
        if verdict.outputs.is_empty() { Decision::Drop(reason) } else { Decision::Forward }
    }

    /// To whichever trunk of the group carries the VLAN.
    fn to_fabric(
        &self,
        fabric: FabricId,
        vid: Vid,
        verdict: &mut Verdict,
        say: &mut impl Narrator,
    ) -> Decision {
        verdict.depends.push(Dependency::Designation(fabric, vid));
        if self.arrival.port.group == Some(fabric) {
            return Decision::Drop(DropReason::SameGroup);
        }
        let mut reason = DropReason::NoTrunk;
        let mut carrier = None;
        for member in self.members_in(Some(vid)) {
            let is_of_group = self.plane.topology.port(member.port).group == Some(fabric);
            if !is_of_group || carrier.is_some_and(|carrier| carrier != member.port) {
                continue;
            }
            match self.leave(member, verdict, say) {
                Ok(()) => carrier = Some(member.port),
                Err(DropReason::NotDesignated | DropReason::PortDown | DropReason::PortBlocked) => {}
                Err(other) => reason = other,
            }
        }
        if carrier.is_some() { Decision::Forward } else { Decision::Drop(reason) }
    }

    /// The members in a VLAN of their bridge. A port is there twice where the VLAN leads into a VAB that joins two of the next
    /// tags: an address behind it may have either.
    fn members_in(&self, vid: Option<Vid>) -> impl Iterator<Item = Member> {
        let segment = self.passage.segment;
        segment.members.iter().copied().filter(move |member| segment.domain(member.domain).vid == vid)
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
        self.to_all(|_| true, verdict, say)
    }

    /// A control frame to the rest of its customer's outer VLAN.
    pub(crate) fn tunnel(&self, verdict: &mut Verdict, say: &mut impl Narrator) -> Decision {
        say.say(|| trace::tunnelled(self.plane.topology, self.arrival));
        self.to_all(|member| self.takes_tunnelled(member), verdict, say)
    }

    /// One copy to every wanted member port but the arrival's, and one to every other host.
    fn to_all(
        &self,
        is_wanted: impl Fn(Member) -> bool,
        verdict: &mut Verdict,
        say: &mut impl Narrator,
    ) -> Decision {
        verdict.depends.push(Dependency::Segment(self.arrival.located.segment.number));
        for member in &self.passage.segment.members {
            if member.port == self.arrival.port.id || !is_wanted(*member) {
                continue;
            }
            if let Err(reason) = self.leave(*member, verdict, say) {
                let vid = self.passage.segment.domain(member.domain).vid;
                say.say(|| trace::withheld(&self.plane, (member.port, vid), reason));
                verdict.withheld.push((member.port, reason));
            }
        }
        if verdict.outputs.is_empty() { Decision::Drop(DropReason::NoMember) } else { Decision::Forward }
    }

    /// Whether a tunnelled control frame goes out by a member: by the qinq ports and trunks of its outer VLAN only, and by a trunk
    /// only tagged. Untagged it would be taken for the provider's own.
    fn takes_tunnelled(&self, member: Member) -> bool {
        let port = self.plane.topology.port(member.port);
        let vid = self.passage.segment.domain(member.domain).vid;
        let is_outer_vlan = port.bridge == self.arrival.port.bridge && vid == self.arrival.admitted.vid;
        is_outer_vlan
            && match &port.mode {
                Mode::Qinq { .. } => true,
                Mode::Trunk(trunk) => port.is_trunk && !vid.is_some_and(|vid| trunk.sends_untagged(vid)),
                Mode::Plain | Mode::Access { .. } => false,
            }
    }

    /// Adds the copy that leaves by a member port, if it may.
    fn leave(
        &self,
        member: Member,
        verdict: &mut Verdict,
        say: &mut impl Narrator,
    ) -> Result<(), DropReason> {
        let port = self.plane.topology.port(member.port);
        if port.host != self.plane.host {
            self.to_host(port.host, verdict, say);
            return Ok(());
        }
        verdict.depends.push(Dependency::Port(port.id));
        self.plane.is_forwarding(port.id)?;
        if port.group.is_some() && port.group == self.arrival.port.group {
            return Err(DropReason::SameGroup);
        }
        let vid = self.passage.segment.domain(member.domain).vid;
        if let (Some(fabric), Some(vid)) = (port.group, vid) {
            verdict.depends.push(Dependency::Designation(fabric, vid));
        }
        if self.plane.designation.carrier(port, vid) != Carrier::This {
            return Err(DropReason::NotDesignated);
        }
        let edit = self.passage.leave(member, &mut verdict.consulted)?;
        say.say(|| trace::leaves(self.plane.topology, &self.passage, member, &edit));
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

//! The forwarding decision, step by step. Each step may end the story; the same steps, in words, are what `l2gw trace` prints.

use crate::designation::{Carrier, Designation};
use crate::egress::Passage;
use crate::frame::Header;
use crate::ingress::{self, Admitted};
use crate::model::description::Redundancy;
use crate::model::id::{FabricId, HostId, Location, PortId, SegmentId};
use crate::model::port::{Mode, Port};
use crate::model::segment::Member;
use crate::model::topology::{Located, Topology};
use crate::policy::{self, Class, Handling};
use crate::tag::Tag;
use crate::trace::{self, Narrator};
use crate::verdict::{
    Decision, Dependency, DropReason, Edit, Effect, Egress, Meter, Output, Protocol, Seen, StormClass,
    Verdict,
};
use crate::vid::Vid;

/// What forwarding looks at besides the frame and the addresses.
#[derive(Debug, Clone, Copy)]
pub struct Plane<'t, 's> {
    /// The topology.
    pub topology: &'t Topology,
    /// The state of each port, by identifier.
    pub ports: &'s [PortState],
    /// Which trunk carries which VLAN.
    pub designation: &'s Designation,
    /// The host on which the frame is.
    pub host: HostId,
}

/// Whether a port takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PortState {
    /// Not bound to a link, or the link has no carrier or is admin down.
    #[default]
    Down,
    /// It forwards and learns.
    Up,
    /// It was blocked after a BPDU or a loop.
    Blocked,
}

/// A frame that was let in and belongs to a segment.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// The port it came in by.
    pub port: &'a Port,
    /// How it was let in.
    pub admitted: Admitted,
    /// Where it is.
    pub located: Located,
    class: Option<Class>,
}

impl Arrival<'_> {
    /// Where its source address is, as far as learning goes.
    pub fn location(&self) -> Location {
        match (self.port.group, self.admitted.vid) {
            (Some(fabric), Some(vid)) => Location::Fabric { fabric, vid },
            (_, vid) => Location::Port { port: self.port.id, vid },
        }
    }

    /// Whether its source address is learned: not that of a control frame, and not the null address.
    pub fn teaches(&self, header: &Header) -> bool {
        self.class.is_none() && !header.src.is_zero()
    }
}

impl<'t> Plane<'t, '_> {
    /// The first half: from the port to the segment. `None` when the story ended; the verdict says how.
    pub fn arrive(
        &self,
        port: PortId,
        header: &Header,
        verdict: &mut Verdict,
        say: &mut impl Narrator,
    ) -> Option<Arrival<'t>> {
        match self.try_arrive(port, header, verdict, say) {
            Ok(arrival) => Some(arrival),
            Err(decision) => {
                say.say(|| trace::ending(decision));
                verdict.decision = decision;
                None
            }
        }
    }

    fn try_arrive(
        &self,
        port: PortId,
        header: &Header,
        verdict: &mut Verdict,
        say: &mut impl Narrator,
    ) -> Result<Arrival<'t>, Decision> {
        let port = self.topology.port(port);
        let bridge = self.topology.bridge(port.bridge);
        verdict.depends.push(Dependency::Port(port.id));
        say.say(|| trace::arrived(self.topology, port, header));
        self.is_forwarding(port).map_err(Decision::Drop)?;
        verdict.consulted.dst = true;
        verdict.consulted.ether_type = true;
        verdict.consulted.tag_presence(1);
        self.take_probe(port, header)?;
        let class = policy::class(header);
        if let Some(class) = class {
            say.say(|| format!("the destination {} marks {}", header.dst, policy::name(class)));
            self.handle_control(port, class, verdict)?;
        }
        if class.is_some_and(|class| passes_between_trunks(class, port, bridge.redundancy())) {
            return Err(self.tunnel_between_trunks(port, verdict, say));
        }
        let admitted =
            ingress::admit(port, bridge.tpid(), header, &mut verdict.consulted).map_err(Decision::Drop)?;
        let next = self.next_tag(port, admitted, header, verdict);
        let located = self
            .topology
            .locate(port.bridge, admitted.vid, next)
            .ok_or(Decision::Drop(DropReason::NoMember))?;
        say.say(|| trace::admitted(self.topology, port, admitted, located));
        let is_customers = admitted.is_tagged && self.has_qinq_member(port, admitted.vid, located);
        if class.is_some() && port.is_trunk && !is_customers {
            let effect = matches!(class, Some(Class::Bpdu | Class::Pvst)).then_some(Effect::Watch(port.id));
            verdict.effect = effect;
            return Err(Decision::Drop(DropReason::Reserved));
        }
        self.is_designated(port, admitted, verdict).map_err(Decision::Drop)?;
        self.has_good_source(port, header).map_err(Decision::Drop)?;
        Ok(Arrival { port, admitted, located, class })
    }

    fn is_forwarding(&self, port: &Port) -> Result<(), DropReason> {
        match self.state(port.id) {
            PortState::Up => Ok(()),
            PortState::Down => Err(DropReason::PortDown),
            PortState::Blocked => Err(DropReason::PortBlocked),
        }
    }

    fn state(&self, port: PortId) -> PortState {
        self.ports.get(port.0 as usize).copied().unwrap_or_default()
    }

    fn take_probe(&self, port: &Port, header: &Header) -> Result<(), Decision> {
        match (policy::is_probe(header), port.is_trunk) {
            (false, _) => Ok(()),
            (true, true) => Err(Decision::Consume(Protocol::Probe)),
            (true, false) => Err(Decision::Drop(DropReason::Probe)),
        }
    }

    /// Ends the story of a control frame, unless it is to be tunnelled. On a trunk a tagged one may belong to a customer's
    /// outer VLAN; that is decided when the VLAN is known.
    fn handle_control(&self, port: &Port, class: Class, verdict: &mut Verdict) -> Result<(), Decision> {
        let redundancy = self.topology.bridge(port.bridge).redundancy();
        match policy::handling(class, port, redundancy) {
            Handling::Tunnel => Ok(()),
            Handling::Discard | Handling::Watch if port.is_trunk && self.may_be_customers(port, class) => {
                Ok(())
            }
            Handling::Discard => Err(Decision::Drop(DropReason::Reserved)),
            Handling::Watch => {
                verdict.effect = Some(Effect::Watch(port.id));
                Err(Decision::Drop(DropReason::Reserved))
            }
            Handling::Block => {
                verdict.effect = Some(Effect::BlockPort(port.id));
                Err(Decision::Drop(DropReason::Bpdu))
            }
            Handling::Consume(protocol) => Err(Decision::Consume(protocol)),
        }
    }

    fn may_be_customers(&self, port: &Port, class: Class) -> bool {
        let has_qinq = |other: &Port| other.bridge == port.bridge && matches!(other.mode, Mode::Qinq { .. });
        policy::is_tunnelled_by_qinq(class) && self.topology.ports().iter().any(has_qinq)
    }

    /// Whether the VLAN is a customer's outer VLAN: a qinq port of the same bridge is in it.
    fn has_qinq_member(&self, port: &Port, vid: Option<Vid>, located: Located) -> bool {
        let segment = self.topology.segment(located.segment.number);
        let is_qinq = |member: &Member| {
            let other = self.topology.port(member.port);
            let is_here = other.bridge == port.bridge && segment.domain(member.domain).vid == vid;
            is_here && matches!(other.mode, Mode::Qinq { .. })
        };
        segment.members.iter().any(is_qinq)
    }

    /// Spanning tree frames of the switches pass between the trunks of a bridge as they are.
    fn tunnel_between_trunks(&self, port: &Port, verdict: &mut Verdict, say: &mut impl Narrator) -> Decision {
        for other in self.topology.ports() {
            if other.is_trunk && other.bridge == port.bridge && other.id != port.id && other.host == self.host
            {
                verdict.depends.push(Dependency::Port(other.id));
                if self.state(other.id) == PortState::Up {
                    verdict.outputs.push(Output { to: Egress::Port(other.id), edit: Edit::default() });
                }
            }
        }
        say.say(|| {
            format!(
                "it passes unchanged between the trunks of bridge {}",
                self.topology.bridge(port.bridge).name
            )
        });
        if verdict.outputs.is_empty() { Decision::Drop(DropReason::NoMember) } else { Decision::Forward }
    }

    /// The VID of the tag behind the VLAN's, where another VAB classifies by it.
    fn next_tag(
        &self,
        port: &Port,
        admitted: Admitted,
        header: &Header,
        verdict: &mut Verdict,
    ) -> Option<u16> {
        let inner = self.topology.inner_bridge(port.bridge, admitted.vid?)?;
        verdict.consulted.tag_vid(admitted.taken);
        let tag = header.tag(admitted.taken)?;
        (tag.tpid() == self.topology.bridge(inner).tpid()).then_some(tag.raw_vid())
    }

    fn is_designated(
        &self,
        port: &Port,
        admitted: Admitted,
        verdict: &mut Verdict,
    ) -> Result<(), DropReason> {
        if let (Some(fabric), Some(vid)) = (port.group, admitted.vid) {
            verdict.depends.push(Dependency::Designation(fabric, vid));
        }
        match self.designation.carrier(port, admitted.vid) {
            Carrier::This => Ok(()),
            Carrier::Other(_) | Carrier::Nobody => Err(DropReason::NotDesignated),
        }
    }

    fn has_good_source(&self, port: &Port, header: &Header) -> Result<(), DropReason> {
        if header.src.is_group() {
            return Err(DropReason::GroupSource);
        }
        if !port.macs.is_empty() && port.macs.binary_search(&header.src).is_err() {
            return Err(DropReason::AntiSpoof);
        }
        Ok(())
    }

    /// The second half: from the segment to the ports. `at` is where the destination is, if that is known.
    pub fn depart(
        &self,
        arrival: &Arrival<'_>,
        header: &Header,
        at: Option<Location>,
        verdict: &mut Verdict,
        say: &mut impl Narrator,
    ) {
        let segment = arrival.located.segment;
        verdict.depends.push(Dependency::Address(segment, header.src));
        if arrival.teaches(header) {
            verdict.source = Some(Seen { segment, mac: header.src, location: arrival.location() });
        }
        let walk = Walk { plane: *self, arrival, passage: self.passage(arrival, header) };
        let decision = if arrival.class.is_some() {
            walk.flood(|member| walk.takes_tunnelled(member), verdict, say)
        } else if header.dst.is_group() {
            let class = if header.dst.is_broadcast() { StormClass::Broadcast } else { StormClass::Multicast };
            walk.meter(class, verdict);
            say.say(|| trace::flooded(self.topology, class, header.dst));
            walk.flood(|_| true, verdict, say)
        } else {
            verdict.depends.push(Dependency::Address(segment, header.dst));
            walk.unicast(header, at, verdict, say)
        };
        verdict.outputs.sort_by_key(|output| output.to);
        say.say(|| trace::ending(decision));
        verdict.decision = decision;
    }

    fn passage<'b>(&self, arrival: &Arrival<'_>, header: &'b Header) -> Passage<'b>
    where
        't: 'b,
    {
        Passage {
            topology: self.topology,
            segment: self.topology.segment(arrival.located.segment.number),
            from: arrival.located.domain,
            admitted: arrival.admitted,
            header,
        }
    }
}

fn passes_between_trunks(class: Class, port: &Port, redundancy: Option<Redundancy>) -> bool {
    port.is_trunk && policy::handling(class, port, redundancy) == Handling::Tunnel
}

/// A frame on its segment, looking for ways out.
struct Walk<'a> {
    plane: Plane<'a, 'a>,
    arrival: &'a Arrival<'a>,
    passage: Passage<'a>,
}

impl Walk<'_> {
    fn unicast(
        &self,
        header: &Header,
        at: Option<Location>,
        verdict: &mut Verdict,
        say: &mut impl Narrator,
    ) -> Decision {
        let Some(at) = at else {
            self.meter(StormClass::Unknown, verdict);
            say.say(|| trace::flooded(self.plane.topology, StormClass::Unknown, header.dst));
            return self.flood(|_| true, verdict, say);
        };
        say.say(|| trace::found(self.plane.topology, header.dst, at));
        match at {
            Location::Port { port, vid } => self.to_port(port, vid, verdict, say),
            Location::Fabric { fabric, vid } => self.to_fabric(fabric, vid, verdict, say),
            Location::Host(host) => {
                self.to_host(host, verdict);
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
                Err(DropReason::NotDesignated) => {}
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

    /// One copy to every member port but those behind the arrival, and one to every other host.
    fn flood(
        &self,
        is_wanted: impl Fn(Member) -> bool,
        verdict: &mut Verdict,
        say: &mut impl Narrator,
    ) -> Decision {
        verdict.depends.push(Dependency::Segment(self.arrival.located.segment.number));
        for member in &self.passage.segment.members {
            let port = self.plane.topology.port(member.port);
            if member.port == self.arrival.port.id || !is_wanted(*member) {
                continue;
            }
            if let Err(reason) = self.leave(*member, verdict, say) {
                say.say(|| format!("not by {}: {}", port.name, trace::reason(reason)));
                verdict.withheld.push((port.id, reason));
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
            self.to_host(port.host, verdict);
            return Ok(());
        }
        verdict.depends.push(Dependency::Port(port.id));
        self.plane.is_forwarding(port)?;
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

    fn to_host(&self, host: HostId, verdict: &mut Verdict) {
        let to = Egress::Tunnel { host, vni: self.passage.segment.vni };
        if !verdict.outputs.iter().any(|output| output.to == to) {
            verdict.outputs.push(Output { to, edit: self.passage.bare() });
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

impl Verdict {
    /// Clears it for the next frame, keeping its memory.
    pub fn clear(&mut self) {
        self.outputs.clear();
        self.withheld.clear();
        self.depends.clear();
        *self = Verdict {
            outputs: std::mem::take(&mut self.outputs),
            withheld: std::mem::take(&mut self.withheld),
            depends: std::mem::take(&mut self.depends),
            ..Verdict::default()
        };
    }

    /// Turns it into a drop after all, with nothing sent.
    pub fn refuse(&mut self, reason: DropReason) {
        self.outputs.clear();
        self.meter = None;
        self.decision = Decision::Drop(reason);
    }
}

/// The tags of a frame after an edit, as a trace shows them.
pub fn edited_tags(header: &Header, edit: &Edit) -> Vec<Tag> {
    edit.push.iter().copied().chain(header.tags.iter().skip(usize::from(edit.pop)).copied()).collect()
}

/// The segment of a frame, where a verdict has one.
pub fn segment_of(verdict: &Verdict) -> Option<SegmentId> {
    verdict.source.map(|seen| seen.segment)
}

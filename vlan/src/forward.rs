//! The forwarding decision, step by step. Each step may end the story; the same steps, in words, are what `l2gw trace` prints.

use crate::designation::{Carrier, Designation};
use crate::egress::Passage;
use crate::frame::Header;
use crate::ingress::{self, Admitted};
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

/// What becomes of a control frame before its VLAN is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// It is dropped; perhaps something else is to happen.
    Drop(DropReason, Option<Effect>),
    /// It is for us.
    Consume(Protocol),
    /// It passes unchanged between the trunks of its bridge.
    PassBetweenTrunks,
    /// It is admitted like data. On a trunk it may belong to a customer's outer VLAN; that is decided when the VLAN is known.
    Classify,
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
        self.port.location(self.admitted.vid)
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
            match self.control(port, class) {
                Control::Classify => {}
                Control::PassBetweenTrunks => return Err(self.tunnel_between_trunks(port, verdict, say)),
                Control::Consume(protocol) => return Err(Decision::Consume(protocol)),
                Control::Drop(reason, effect) => {
                    verdict.effect = effect;
                    return Err(Decision::Drop(reason));
                }
            }
        }
        let admitted =
            ingress::admit(port, bridge.tpid(), header, &mut verdict.consulted).map_err(Decision::Drop)?;
        let next = self.next_tag(port, admitted, header, verdict);
        let located = self
            .topology
            .locate(port.bridge, admitted.vid, next)
            .ok_or(Decision::Drop(DropReason::NoMember))?;
        say.say(|| trace::admitted(self.topology, port, admitted, located));
        if let Some(class) = class
            && !self.takes_control(port, admitted, located.segment.number)
        {
            verdict.effect = is_tree(class).then_some(Effect::Watch(port.id));
            return Err(Decision::Drop(DropReason::Reserved));
        }
        self.is_designated(port, admitted, verdict).map_err(Decision::Drop)?;
        self.has_good_source(port, header).map_err(Decision::Drop)?;
        Ok(Arrival { port, admitted, located, class })
    }

    /// Whether a port takes part.
    ///
    /// # Errors
    /// `port-down` or `port-blocked`.
    pub fn is_forwarding(&self, port: &Port) -> Result<(), DropReason> {
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

    /// What becomes of a class of control frames at a port, before any VLAN is looked for.
    pub fn control(&self, port: &Port, class: Class) -> Control {
        let redundancy = self.topology.bridge(port.bridge).redundancy();
        match policy::handling(class, port, redundancy) {
            Handling::Tunnel if port.is_trunk => Control::PassBetweenTrunks,
            Handling::Tunnel => Control::Classify,
            Handling::Discard | Handling::Watch if port.is_trunk && self.may_be_customers(port, class) => {
                Control::Classify
            }
            Handling::Discard => Control::Drop(DropReason::Reserved, None),
            Handling::Watch => Control::Drop(DropReason::Reserved, Some(Effect::Watch(port.id))),
            Handling::Block => Control::Drop(DropReason::Bpdu, Some(Effect::BlockPort(port.id))),
            Handling::Consume(protocol) => Control::Consume(protocol),
        }
    }

    fn may_be_customers(&self, port: &Port, class: Class) -> bool {
        let has_qinq = |other: &Port| other.bridge == port.bridge && matches!(other.mode, Mode::Qinq { .. });
        policy::is_tunnelled_by_qinq(class) && self.topology.ports().iter().any(has_qinq)
    }

    /// Whether control frames that were admitted go on in a segment: those of qinq ports do, those of trunks only if they are tagged
    /// with a customer's outer VLAN, one that a qinq port of the same bridge is in. Others are the physical network's own.
    pub fn takes_control(&self, port: &Port, admitted: Admitted, segment: u32) -> bool {
        let segment = self.topology.segment(segment);
        let is_qinq = |member: &Member| {
            let other = self.topology.port(member.port);
            let is_here = other.bridge == port.bridge && segment.domain(member.domain).vid == admitted.vid;
            is_here && matches!(other.mode, Mode::Qinq { .. })
        };
        !port.is_trunk || admitted.is_tagged && segment.members.iter().any(is_qinq)
    }

    /// Whether a control frame that `port` admitted to a VLAN of its bridge goes out by a member: by the qinq ports and trunks of its outer
    /// VLAN only, and by a trunk only tagged. Untagged it would be taken for the provider's own.
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

    /// The other trunks of a port's bridge on this host.
    pub fn other_trunks(&self, port: &Port) -> impl Iterator<Item = &'t Port> {
        let (bridge, id, host) = (port.bridge, port.id, self.host);
        let is_other = move |other: &&Port| {
            other.is_trunk && other.bridge == bridge && other.id != id && other.host == host
        };
        self.topology.ports().iter().filter(is_other)
    }

    /// Where frames to a location may leave: by all members of the first port of them by which one does. A port is a member twice
    /// where its VLAN leads into a VAB that joins two of the next tags: an address behind it may have either.
    pub fn members_at(&self, segment: u32, at: Location) -> impl Iterator<Item = Member> + use<'t> {
        let (topology, segment) = (self.topology, self.topology.segment(segment));
        let is_there = move |member: &Member| {
            let vid = segment.domain(member.domain).vid;
            match at {
                Location::Port { port, vid: its } => member.port == port && vid == its,
                Location::Fabric { fabric, vid: its } => {
                    topology.port(member.port).group == Some(fabric) && vid == Some(its)
                }
                Location::Host(_) => false,
            }
        };
        segment.members.iter().copied().filter(is_there)
    }

    /// Whether frames that came in by a trunk group, or by none, may leave by a port in a VLAN of its bridge, as far as that depends on
    /// states and not on frames. Notes what was looked at.
    ///
    /// # Errors
    /// Why they may not.
    pub fn may_leave(
        &self,
        group: Option<FabricId>,
        port: &Port,
        vid: Option<Vid>,
        depends: &mut impl Extend<Dependency>,
    ) -> Result<(), DropReason> {
        depends.extend([Dependency::Port(port.id)]);
        self.is_forwarding(port)?;
        if port.group.is_some() && port.group == group {
            return Err(DropReason::SameGroup);
        }
        if let (Some(fabric), Some(vid)) = (port.group, vid) {
            depends.extend([Dependency::Designation(fabric, vid)]);
        }
        self.is_carrier(port, vid)
    }

    /// Whether a port carries a VLAN of its bridge now.
    ///
    /// # Errors
    /// `not-designated`.
    pub fn is_carrier(&self, port: &Port, vid: Option<Vid>) -> Result<(), DropReason> {
        match self.designation.carrier(port, vid) {
            Carrier::This => Ok(()),
            Carrier::Other(_) | Carrier::Nobody => Err(DropReason::NotDesignated),
        }
    }

    /// Spanning tree frames of the switches pass between the trunks of a bridge as they are.
    fn tunnel_between_trunks(&self, port: &Port, verdict: &mut Verdict, say: &mut impl Narrator) -> Decision {
        for other in self.other_trunks(port) {
            verdict.depends.push(Dependency::Port(other.id));
            if self.is_forwarding(other).is_ok() {
                verdict.outputs.push(Output { to: Egress::Port(other.id), edit: Edit::default() });
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
        self.is_carrier(port, admitted.vid)
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

/// Whether a class of control frames tells of loops.
fn is_tree(class: Class) -> bool {
    matches!(class, Class::Bpdu | Class::Pvst)
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
            Location::Port { port, .. } => {
                verdict.depends.push(Dependency::Port(port));
                if port == self.arrival.port.id {
                    return Decision::Drop(DropReason::SamePort);
                }
                self.to_first_of(at, DropReason::NotMember, verdict, say)
            }
            Location::Fabric { fabric, vid } => {
                verdict.depends.push(Dependency::Designation(fabric, vid));
                if self.arrival.port.group == Some(fabric) {
                    return Decision::Drop(DropReason::SameGroup);
                }
                self.to_first_of(at, DropReason::NoTrunk, verdict, say)
            }
            Location::Host(host) => {
                self.to_host(host, verdict);
                Decision::Forward
            }
        }
    }

    /// To the port that the destination is behind, or to whichever trunk of the group carries the VLAN.
    fn to_first_of(
        &self,
        at: Location,
        otherwise: DropReason,
        verdict: &mut Verdict,
        say: &mut impl Narrator,
    ) -> Decision {
        let (mut chosen, mut reason) = (None, otherwise);
        for member in self.plane.members_at(self.arrival.located.segment.number, at) {
            if chosen.is_some_and(|chosen| chosen != member.port) {
                continue;
            }
            match self.leave(member, verdict, say) {
                Ok(()) => chosen = Some(member.port),
                Err(DropReason::NotDesignated) => {}
                Err(other) => reason = other,
            }
        }
        if chosen.is_some() { Decision::Forward } else { Decision::Drop(reason) }
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

    fn takes_tunnelled(&self, member: Member) -> bool {
        let Arrival { port, admitted, located, .. } = self.arrival;
        self.plane.takes_tunnelled(port, admitted.vid, located.segment.number, member)
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
        let vid = self.passage.segment.domain(member.domain).vid;
        self.plane.may_leave(self.arrival.port.group, port, vid, &mut verdict.depends)?;
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

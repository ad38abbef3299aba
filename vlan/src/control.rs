//! Control frames on arrival: which of them end their story at the port, pass between trunks, or stay in a customer's outer VLAN
//! (behaviour.md 6). What kind of frame it is and what each kind of port does with it is in [`policy`](mod@policy).

use crate::forward::Plane;
use crate::frame::Header;
use crate::ingress::Admitted;
use crate::model::port::{Mode, Port};
use crate::model::segment::Member;
use crate::model::topology::Located;
use crate::policy::{self, Class, Handling};
use crate::trace::{self, Narrator};
use crate::verdict::{Decision, Dependency, DropReason, Edit, Effect, Egress, Output, Protocol, Verdict};
use crate::vid::Vid;

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

impl<'t> Plane<'t, '_> {
    /// What becomes of a class of control frames at a port, before any VLAN is looked for.
    pub fn control(&self, port: &Port, class: Class) -> Control {
        match policy::handling(class, port, self.topology.bridge(port.bridge).redundancy()) {
            Handling::Tunnel if port.is_trunk => Control::PassBetweenTrunks,
            Handling::Tunnel => Control::Classify,
            Handling::Discard | Handling::Watch if port.is_trunk && self.may_be_customers(port, class) => {
                Control::Classify
            }
            Handling::Discard | Handling::Watch => Control::Drop(DropReason::Reserved, watched(port, class)),
            Handling::Block => Control::Drop(DropReason::Bpdu, Some(Effect::BlockPort(port.id))),
            Handling::Consume(protocol) => Control::Consume(protocol),
        }
    }

    /// Whether control frames that a port admitted go on in a segment: those of a trunk only by their tag, into a customer's outer
    /// VLAN. Others are the physical network's own.
    pub fn takes_control(&self, port: &Port, admitted: Admitted, segment: u32) -> bool {
        !port.is_trunk || admitted.is_tagged && self.has_qinq_member(port, admitted.vid, segment)
    }

    /// The other trunks of a port's bridge on this host.
    pub fn other_trunks(&self, port: &Port) -> impl Iterator<Item = &'t Port> {
        let (bridge, id, host) = (port.bridge, port.id, self.host);
        let is_other = move |other: &&Port| {
            other.is_trunk && other.bridge == bridge && other.id != id && other.host == host
        };
        self.topology.ports().iter().filter(is_other)
    }

    /// Ends the story of a probe: it is for us, or from nobody who may send one.
    pub(crate) fn take_probe(&self, port: &Port, header: &Header) -> Result<(), Decision> {
        match (policy::is_probe(header), port.is_trunk) {
            (false, _) => Ok(()),
            (true, true) => Err(Decision::Consume(Protocol::Probe)),
            (true, false) => Err(Decision::Drop(DropReason::Probe)),
        }
    }

    /// Ends the story of a control frame, unless it may belong to a customer's outer VLAN: which VLAN a trunk's frame is in, is seen
    /// later.
    pub(crate) fn take_control(
        &self,
        port: &Port,
        class: Class,
        verdict: &mut Verdict,
        say: &mut impl Narrator,
    ) -> Result<(), Decision> {
        match self.control(port, class) {
            Control::Classify => Ok(()),
            Control::PassBetweenTrunks => Err(self.between_trunks(port, verdict, say)),
            Control::Consume(protocol) => Err(Decision::Consume(protocol)),
            Control::Drop(reason, effect) => {
                verdict.effect = effect;
                Err(Decision::Drop(reason))
            }
        }
    }

    /// The end of a frame that is in no VLAN of its port. On a trunk a control frame is then the provider's own, in whatever VLAN.
    pub(crate) fn not_admitted(
        &self,
        port: &Port,
        class: Option<Class>,
        reason: DropReason,
        verdict: &mut Verdict,
    ) -> Decision {
        match class {
            Some(class) if port.is_trunk => discard(port, class, verdict),
            _ => Decision::Drop(reason),
        }
    }

    /// Lets a control frame of a trunk go on only by its tag, into the outer VLAN of a customer.
    pub(crate) fn is_customers(
        &self,
        port: &Port,
        class: Option<Class>,
        (admitted, located): (Admitted, Located),
        verdict: &mut Verdict,
    ) -> Result<(), Decision> {
        match class {
            Some(class) if !self.takes_control(port, admitted, located.segment.number) => {
                Err(discard(port, class, verdict))
            }
            _ => Ok(()),
        }
    }

    fn may_be_customers(&self, port: &Port, class: Class) -> bool {
        let has_qinq = |other: &Port| other.bridge == port.bridge && matches!(other.mode, Mode::Qinq { .. });
        policy::is_tunnelled_by_qinq(class) && self.topology.ports().iter().any(has_qinq)
    }

    /// Whether the VLAN is a customer's outer VLAN: a qinq port of the same bridge is in it.
    fn has_qinq_member(&self, port: &Port, vid: Option<Vid>, segment: u32) -> bool {
        let segment = self.topology.segment(segment);
        let is_qinq = |member: &Member| {
            let other = self.topology.port(member.port);
            let is_here = other.bridge == port.bridge && segment.domain(member.domain).vid == vid;
            is_here && matches!(other.mode, Mode::Qinq { .. })
        };
        segment.members.iter().any(is_qinq)
    }

    /// Spanning tree frames of the switches pass between the trunks of a bridge as they are.
    fn between_trunks(&self, port: &Port, verdict: &mut Verdict, say: &mut impl Narrator) -> Decision {
        for other in self.other_trunks(port) {
            verdict.depends.push(Dependency::Port(other.id));
            if self.is_forwarding(other.id).is_ok() {
                verdict.outputs.push(Output { to: Egress::Port(other.id), edit: Edit::default() });
            }
        }
        say.say(|| trace::between_trunks(self.topology, port.bridge));
        if verdict.outputs.is_empty() { Decision::Drop(DropReason::NoMember) } else { Decision::Forward }
    }
}

fn discard(port: &Port, class: Class, verdict: &mut Verdict) -> Decision {
    verdict.effect = watched(port, class);
    Decision::Drop(DropReason::Reserved)
}

/// What else happens when a control frame is discarded: spanning tree on a trunk is seen all the same, it tells of loops.
pub fn watched(port: &Port, class: Class) -> Option<Effect> {
    let is_tree = matches!(class, Class::Bpdu | Class::Pvst);
    (port.is_trunk && is_tree).then_some(Effect::Watch(port.id))
}

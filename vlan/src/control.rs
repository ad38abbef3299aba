//! Control frames on arrival: which of them end their story at the port, pass between trunks, or stay in a customer's outer VLAN
//! (behaviour.md 6). What kind of frame it is and what each kind of port does with it is in [`policy`](mod@policy).

use crate::ingress::Admitted;
use crate::model::port::{Mode, Port};
use crate::model::segment::Member;
use crate::model::topology::Located;
use crate::plane::Plane;
use crate::policy::{self, Class, Handling, Special};
use crate::trace::{self, Narrator};
use crate::verdict::{Decision, Dependency, DropReason, Edit, Effect, Egress, Output, Verdict};
use crate::vid::Vid;

/// What becomes of a control frame before its VLAN is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// It is dropped; perhaps something else is to happen.
    Drop(DropReason, Option<Effect>),
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
            Handling::Discard if port.is_trunk && self.may_be_customers(port, class) => Control::Classify,
            Handling::Discard => Control::Drop(DropReason::Reserved, None),
            Handling::Block => Control::Drop(DropReason::Bpdu, Some(Effect::BlockPort(port.id))),
        }
    }

    /// Whether control frames that a port admitted go on in a segment: those of a trunk only by their tag, into a customer's outer
    /// VLAN. Others are the physical network's own.
    pub fn takes_control(&self, port: &Port, admitted: Admitted, segment: u32) -> bool {
        !port.is_trunk || admitted.is_tagged && self.has_qinq_member(port, admitted.vid, segment)
    }

    /// The other trunks of a port's bridge on this host.
    pub fn other_trunks(&self, port: &Port) -> impl Iterator<Item = &'t Port> {
        let (id, host) = (port.id, self.host);
        self.topology.trunks_of(port.bridge).filter(move |other| other.id != id && other.host == host)
    }

    /// Ends the story of a probe, wherever it comes from: it is bridged to nobody. A control frame goes on with its class.
    pub(crate) fn take_probe(&self, special: Option<Special>) -> Result<Option<Class>, Decision> {
        match special {
            Some(Special::Probe) => Err(Decision::Drop(DropReason::Probe)),
            Some(Special::Control(class)) => Ok(Some(class)),
            None => Ok(None),
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
            Control::Drop(reason, effect) => {
                verdict.effect = effect;
                Err(Decision::Drop(reason))
            }
        }
    }

    /// The end of a frame that is in no VLAN of its port. On a trunk a control frame is then the provider's own, in whatever VLAN.
    pub(crate) fn not_admitted(&self, port: &Port, class: Option<Class>, reason: DropReason) -> Decision {
        match class {
            Some(_) if port.is_trunk => Decision::Drop(DropReason::Reserved),
            _ => Decision::Drop(reason),
        }
    }

    /// Lets a control frame of a trunk go on only by its tag, into the outer VLAN of a customer.
    pub(crate) fn is_customers(
        &self,
        port: &Port,
        class: Option<Class>,
        (admitted, located): (Admitted, Located),
    ) -> Result<(), Decision> {
        let is_its = class.is_none() || self.takes_control(port, admitted, located.segment.number);
        if is_its { Ok(()) } else { Err(Decision::Drop(DropReason::Reserved)) }
    }

    fn may_be_customers(&self, port: &Port, class: Class) -> bool {
        policy::is_tunnelled_by_qinq(class) && self.topology.bridge(port.bridge).has_qinq
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

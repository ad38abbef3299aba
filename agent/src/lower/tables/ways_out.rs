//! The ways out of a segment, for all frames that came in by one way: by which members, with which change of tags.
//!
//! Which members may be used and how tags change is decided by [`vlan::plane::Plane`] and [`vlan::egress::Departure`]; this only
//! puts their answers into the tables' words.

use datapath::port::VportNo;
use datapath::tables::{
    AttachmentRule, ControlFlood, Discard, Exit, GroupId, Guard, PcpSource, PushTag, Route,
};
use vlan::egress::{self, Departure, Passage};
use vlan::exits::{is_telling, unreachable_at};
use vlan::filters::egress_filter;
use vlan::frame::Header;
use vlan::ingress::Priority;
use vlan::model::id::{Location, PortId};
use vlan::model::port::Port;
use vlan::model::segment::Member;
use vlan::plane::Plane;
use vlan::verdict::DropReason;

use super::ways_in::Entered;

/// Everything that leaves a segment from one way in.
pub(super) struct WaysOut {
    /// Each member of this host, in the segment's order.
    members: Vec<(Member, Result<Exit, DropReason>)>,
}

/// Which vport a port has, if it has one.
pub(super) trait Vports: Fn(PortId) -> Option<VportNo> {}
impl<F: Fn(PortId) -> Option<VportNo>> Vports for F {}

/// What an exit to a port leads to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wire {
    pub(super) vport: VportNo,
    pub(super) group: Option<GroupId>,
}

impl WaysOut {
    /// The ways out for frames that came in by `port`, as `entered`; `header` is one of them.
    pub(super) fn new(
        plane: &Plane<'_, '_>,
        wire_of: &impl Fn(&Port) -> Option<Wire>,
        port: &Port,
        entered: &Entered,
        header: &Header,
    ) -> WaysOut {
        let segment = plane.topology.segment(entered.located.segment.number);
        let passage = Passage {
            topology: plane.topology,
            segment,
            from: entered.located.domain,
            admitted: entered.admitted,
            header,
            is_bare: false,
        };
        let exit = |member: Member| {
            let to = plane.topology.port(member.port);
            let vid = segment.domain(member.domain).vid;
            plane.may_leave(port.group, to, vid, &mut |_| {})?;
            let wire = wire_of(to).ok_or(DropReason::PortDown)?;
            let filtered = egress_filter(port.isolated, to, None);
            match filtered.and_then(|()| passage.departure(member)) {
                Ok(departure) => Ok(exit(wire, &departure)),
                // Whose port that is must be known still: the arrival port, which may share these ways out, drops for another reason.
                Err(why) if filtered.is_err() || to.group.is_none() => Ok(closed_exit(wire, why)),
                Err(why) => Err(why),
            }
        };
        let is_here = |member: &Member| plane.topology.port(member.port).host == plane.host;
        let here = segment.members.iter().copied().filter(is_here);
        WaysOut { members: here.map(|member| (member, exit(member))).collect() }
    }

    /// Where floods and admitted control frames go.
    pub(super) fn attachment(&self, plane: &Plane<'_, '_>, port: &Port, entered: &Entered) -> AttachmentRule {
        let number = entered.located.segment.number;
        let control = if plane.takes_control(port, entered.admitted, number) {
            let takes = |member| plane.takes_tunnelled(port, entered.admitted.vid, number, member);
            ControlFlood::To(self.exits(takes))
        } else {
            ControlFlood::Drop(Discard { reason: DropReason::Reserved, is_reported: false })
        };
        let takes_unknown = |member: Member| plane.topology.port(member.port).takes_unknown;
        AttachmentRule { flood: self.exits(|_| true), unknown: self.exits(takes_unknown), control }
    }

    fn exits(&self, is_wanted: impl Fn(Member) -> bool) -> Vec<Exit> {
        let wanted = self.members.iter().filter(|(member, _)| is_wanted(*member));
        let open = wanted.filter_map(|(_, exit)| exit.as_ref().ok());
        open.filter(|exit| !matches!(exit.guard, Guard::Closed(_))).cloned().collect()
    }

    /// Where frames to a location go.
    pub(super) fn route(&self, plane: &Plane<'_, '_>, port: &Port, segment: u32, to: Location) -> Route {
        if matches!(to, Location::Fabric { fabric, .. } if port.group == Some(fabric)) {
            return Route::Drop(DropReason::SameGroup);
        }
        let mut reason = unreachable_at(to);
        let mut exits: Vec<Exit> = Vec::new();
        for at in plane.members_at(segment, to) {
            match self.members.iter().find(|(member, _)| *member == at) {
                Some((_, Ok(exit))) if is_reachable(&exits, exit) => exits.push(exit.clone()),
                Some((_, Err(why))) if is_telling(to, *why) => reason = *why,
                _ => {}
            }
        }
        if exits.is_empty() { Route::Drop(reason) } else { Route::By(exits) }
    }
}

/// Whether a frame may come to `exit` when it was offered to those before: not if one of another vport takes every frame.
fn is_reachable(before: &[Exit], exit: &Exit) -> bool {
    before.iter().all(|other| other.vport == exit.vport || other.guard != Guard::Any)
}

fn exit(wire: Wire, departure: &Departure<'_>) -> Exit {
    let vlan = |new: &egress::NewTag| PushTag::Vlan { tpid: new.tpid, vid: new.vid, pcp: pcp(new.priority) };
    let priority_tag =
        departure.priority_tag.map(|(tpid, priority)| PushTag::Priority { tpid, pcp: pcp(priority) });
    Exit {
        vport: wire.vport,
        group: wire.group,
        pop: departure.pop,
        push: departure.push.iter().map(vlan).chain(priority_tag).collect(),
        guard: guard(&departure.guard),
    }
}

/// The way out by a port that no frame may take.
fn closed_exit(wire: Wire, why: DropReason) -> Exit {
    let Wire { vport, group } = wire;
    Exit { vport, group, pop: 0, push: Vec::new(), guard: Guard::Closed(why) }
}

fn pcp(priority: Priority) -> PcpSource {
    match priority {
        Priority::Fixed(pcp) => PcpSource::Fixed(pcp),
        Priority::OfTag(depth) => PcpSource::OfTag(depth as u8),
        Priority::OfTunnel(class) => PcpSource::Fixed(class),
    }
}

fn guard(guard: &egress::Guard<'_>) -> Guard {
    match guard {
        egress::Guard::Any => Guard::Any,
        egress::Guard::NoTagAt(depth) => Guard::NoTagAt(*depth as u8),
        egress::Guard::CustomerTagAt(depth, vids) => {
            Guard::CustomerTagAt { depth: *depth as u8, vids: (*vids).clone() }
        }
    }
}

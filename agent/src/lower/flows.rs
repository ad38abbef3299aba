//! A verdict as a list of actions for a datapath whose rules are cached verdicts.
//!
//! Copies that leave with the same change of tags form a group, so that tags change once for all of them. Each group but the last
//! works on a clone of the frame: what one group does to the tags must not show in the next.

use datapath::flow::{Action, MeterId};
use datapath::port::VportNo;
use datapath::tunnel::{GroupId, TunnelTo};
use smallvec::SmallVec;
use vlan::fdb::Learned;
use vlan::fdb::refusal::Refused;
use vlan::model::id::PortId;
use vlan::verdict::{Edit, Egress, Output, Verdict};

/// A way out that takes no longer frames than so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The port.
    pub port: PortId,
    /// The most bytes behind Ethernet header and first tag.
    pub mtu: u32,
    /// The meter that counts those that are longer.
    pub meter: MeterId,
}

/// Whether the same is true of every frame of the class, until state that the verdict rests on changes. Not so where something
/// happens with each frame, where time decides (a reflection), or where it hangs on how many addresses others have.
pub fn is_cacheable(verdict: &Verdict, learned: Option<&Learned>) -> bool {
    let by_moment = match learned {
        Some(Learned::Refused(refused)) => {
            matches!(refused, Refused::Reflected { .. } | Refused::AtLimitDrop)
        }
        Some(Learned::NotLearned(_)) => true,
        _ => false,
    };
    verdict.effect.is_none() && !by_moment
}

/// What ways out of the host's switch are to a datapath.
pub trait Ways {
    /// The vport that a port is, if it is one.
    fn vport_of(&self, port: PortId) -> Option<VportNo>;

    /// By what the copies leave that are for other hosts; none while there is no tunnel.
    fn to_hosts(&self, to: Egress) -> SmallVec<[Way; 2]>;
}

/// What a copy leaves by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A vport.
    Vport(VportNo),
    /// The tunnel.
    Tunnel(TunnelTo),
    /// A list of copies by the tunnel.
    Group(GroupId),
}

/// Where there are no other hosts.
impl<F: Fn(PortId) -> Option<VportNo>> Ways for F {
    fn vport_of(&self, port: PortId) -> Option<VportNo> {
        self(port)
    }

    fn to_hosts(&self, _: Egress) -> SmallVec<[Way; 2]> {
        SmallVec::new()
    }
}

/// The actions that send a frame out by `outputs`, within the rates of `meters`, in their order. A port without vport is left out,
/// and so is a copy to another host that no tunnel leads to. What leaves by nothing is dropped: the list is empty.
pub fn lower(outputs: &[Output], meters: &[MeterId], ways: &impl Ways) -> Vec<Action> {
    lower_within(outputs, meters, &[], ways)
}

/// The same, where some ways out take only frames that are short enough. Which they are is asked behind the change of tags, so that
/// each copy is judged as it would leave.
pub fn lower_within(
    outputs: &[Output],
    meters: &[MeterId],
    limits: &[Limit],
    ways: &impl Ways,
) -> Vec<Action> {
    let mut copies: SmallVec<[Copied<'_>; 4]> = SmallVec::new();
    for output in outputs {
        match output.to {
            Egress::Port(port) => {
                let limit = limits.iter().find(|limit| limit.port == port);
                copies.extend(ways.vport_of(port).map(|vport| (&output.edit, Way::Vport(vport), limit)));
            }
            Egress::Tunnel { .. } | Egress::Hosts { .. } => {
                let to = ways.to_hosts(output.to).into_iter();
                copies.extend(to.map(|way| (&output.edit, way, None)));
            }
        }
    }
    // The empty edit is the least of all: unedited copies come first and need no clone. Within a group the order stays.
    copies.sort_by_key(|(edit, ..)| *edit);
    let Some((last, ..)) = copies.last().copied() else { return Vec::new() };
    let mut actions = Vec::with_capacity(meters.len() + USUAL_STEPS + copies.len());
    actions.extend(meters.iter().copied().map(Action::Meter));
    for group in copies.chunk_by(|(one, ..), (other, ..)| one == other) {
        let edit = group[0].0;
        if edit.is_none() || edit == last {
            push_steps(&mut actions, edit, group);
        } else {
            let mut steps = Vec::with_capacity(USUAL_STEPS + group.len());
            push_steps(&mut steps, edit, group);
            actions.push(Action::Clone(steps));
        }
    }
    actions
}

/// A copy: how its tags change, what it leaves by, and what that takes.
type Copied<'a> = (&'a Edit, Way, Option<&'a Limit>);

impl Way {
    fn action(self) -> Action {
        match self {
            Way::Vport(vport) => Action::Output(vport),
            Way::Tunnel(to) => Action::Tunnel(to),
            Way::Group(group) => Action::Group(group),
        }
    }
}

/// Tags come off, then on: the outermost is put on last. Then the copies leave, those first for which no length is asked.
fn push_steps(steps: &mut Vec<Action>, edit: &Edit, group: &[Copied<'_>]) {
    steps.extend((0..edit.pop).map(|_| Action::PopTag));
    steps.extend(edit.push.iter().rev().map(|tag| Action::PushTag(*tag)));
    let unlimited = group.iter().filter(|(_, _, limit)| limit.is_none());
    steps.extend(unlimited.map(|(_, way, _)| way.action()));
    let mut limited: SmallVec<[(&Limit, Way); 2]> =
        group.iter().filter_map(|(_, way, limit)| Some(((*limit)?, *way))).collect();
    limited.sort_by_key(|(limit, _)| limit.mtu);
    for alike in limited.chunk_by(|(one, _), (other, _)| one.mtu == other.mtu) {
        let mtu = alike[0].0.mtu;
        let fits = alike.iter().map(|(_, way)| way.action()).collect();
        let longer = alike.iter().map(|(limit, _)| Action::Meter(limit.meter)).collect();
        steps.push(Action::IfFits { mtu, fits, longer });
    }
}

/// A tag off and one on, which is most that a group's edit comes to.
const USUAL_STEPS: usize = 2;

#[cfg(test)]
mod tests {
    use smallvec::smallvec;
    use vlan::model::id::HostId;
    use vlan::model::vnis::Origin;
    use vlan::tag::{Pcp, Tag, Tpid};
    use vlan::vid::Vid;

    use super::*;

    fn tag(vid: u16) -> Tag {
        Tag::new(Tpid::Customer, Vid::new(vid).unwrap(), Pcp::ZERO)
    }

    fn copy(port: u32, pop: u8, push: &[Tag]) -> Output {
        Output { to: Egress::Port(PortId(port)), edit: Edit { pop, push: push.iter().copied().collect() } }
    }

    fn same_number(port: PortId) -> Option<VportNo> {
        Some(VportNo(port.0))
    }

    #[test]
    fn unedited_copies_come_first_and_the_last_group_needs_no_clone() {
        let outputs = [copy(1, 1, &[]), copy(2, 0, &[]), copy(3, 1, &[tag(9)]), copy(4, 1, &[])];
        let expected = [
            Action::Output(VportNo(2)),
            Action::Clone(vec![Action::PopTag, Action::Output(VportNo(1)), Action::Output(VportNo(4))]),
            Action::PopTag,
            Action::PushTag(tag(9)),
            Action::Output(VportNo(3)),
        ];
        assert_eq!(lower(&outputs, &[], &same_number), expected);
    }

    #[test]
    fn the_innermost_tag_is_put_on_first() {
        let expected = [Action::PushTag(tag(8)), Action::PushTag(tag(100)), Action::Output(VportNo(1))];
        assert_eq!(lower(&[copy(1, 0, &[tag(100), tag(8)])], &[], &same_number), expected);
    }

    #[test]
    fn the_meter_comes_before_everything() {
        let actions = lower(&[copy(1, 0, &[])], &[MeterId(7)], &same_number);
        assert_eq!(actions, [Action::Meter(MeterId(7)), Action::Output(VportNo(1))]);
    }

    #[test]
    fn what_leaves_by_nothing_is_dropped_without_a_meter() {
        assert_eq!(lower(&[copy(1, 0, &[])], &[MeterId(7)], &|_| None), []);
    }

    /// Vports with the numbers of their ports, and two other hosts.
    struct WithHosts;

    impl Ways for WithHosts {
        fn vport_of(&self, port: PortId) -> Option<VportNo> {
            same_number(port)
        }

        fn to_hosts(&self, to: Egress) -> SmallVec<[Way; 2]> {
            match to {
                Egress::Port(_) => SmallVec::new(),
                Egress::Tunnel { vni, .. } => smallvec![to_host(1, vni)],
                Egress::Hosts { segment, .. } => smallvec![to_host(1, segment), to_host(2, segment)],
            }
        }
    }

    fn to_host(last: u8, vni: u32) -> Way {
        Way::Tunnel(TunnelTo { remote: [192, 0, 2, last].into(), vni, class: 3 })
    }

    #[test]
    fn a_copy_to_other_hosts_shares_the_change_of_tags() {
        let class = Pcp::ZERO;
        let tunnel = |to, pop| Output { to, edit: Edit { pop, push: SmallVec::new() } };
        let host = Egress::Tunnel { host: HostId(1), vni: 8, class };
        let hosts = Egress::Hosts { segment: 9, origin: Origin::Plain, class };
        let outputs = [copy(3, 1, &[]), tunnel(host, 1), tunnel(hosts, 1), copy(4, 0, &[])];
        let expected = [
            Action::Output(VportNo(4)),
            Action::PopTag,
            Action::Output(VportNo(3)),
            to_host(1, 8).action(),
            to_host(1, 9).action(),
            to_host(2, 9).action(),
        ];
        assert_eq!(lower(&outputs, &[], &WithHosts), expected);
        assert_eq!(lower(&[tunnel(host, 1)], &[MeterId(7)], &same_number), [], "no tunnel leads there");
    }

    #[test]
    fn the_length_is_asked_once_for_those_that_take_the_same_and_behind_the_tags() {
        let limit = |port: u32, mtu: u32| Limit { port: PortId(port), mtu, meter: MeterId(port + 10) };
        let outputs = [copy(1, 1, &[]), copy(2, 1, &[]), copy(3, 1, &[]), copy(4, 1, &[])];
        let limits = [limit(1, 1_500), limit(3, 1_400), limit(4, 1_500)];
        let out = |port: u32| Action::Output(VportNo(port));
        let expected = [
            Action::PopTag,
            out(2),
            Action::IfFits { mtu: 1_400, fits: vec![out(3)], longer: vec![Action::Meter(MeterId(13))] },
            Action::IfFits {
                mtu: 1_500,
                fits: vec![out(1), out(4)],
                longer: vec![Action::Meter(MeterId(11)), Action::Meter(MeterId(14))],
            },
        ];
        assert_eq!(lower_within(&outputs, &[], &limits, &same_number), expected);
    }
}

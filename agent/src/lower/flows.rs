//! A verdict as a list of actions for a datapath whose rules are cached verdicts.
//!
//! Copies that leave with the same change of tags form a group, so that tags change once for all of them. Each group but the last
//! works on a clone of the frame: what one group does to the tags must not show in the next.

use datapath::flow::{Action, MeterId};
use datapath::port::VportNo;
use smallvec::SmallVec;
use vlan::model::id::PortId;
use vlan::verdict::{Edit, Egress, Output};

/// The actions that send a frame out by `outputs`, within the rates of `meters`, in their order. A port without vport is left out,
/// and so is a copy to another host: a datapath has no tunnels yet. What leaves by nothing is dropped: the list is empty.
pub fn lower(
    outputs: &[Output],
    meters: &[MeterId],
    vport_of: impl Fn(PortId) -> Option<VportNo>,
) -> Vec<Action> {
    let mut copies: SmallVec<[(&Edit, VportNo); 4]> = SmallVec::new();
    for output in outputs {
        if let Egress::Port(port) = output.to
            && let Some(vport) = vport_of(port)
        {
            copies.push((&output.edit, vport));
        }
    }
    // The empty edit is the least of all: unedited copies come first and need no clone. Within a group the order stays.
    copies.sort_by_key(|(edit, _)| *edit);
    let Some((last, _)) = copies.last().copied() else { return Vec::new() };
    let mut actions = Vec::with_capacity(meters.len() + USUAL_STEPS + copies.len());
    actions.extend(meters.iter().copied().map(Action::Meter));
    for group in copies.chunk_by(|(one, _), (other, _)| one == other) {
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

/// Tags come off, then on: the outermost is put on last.
fn push_steps(steps: &mut Vec<Action>, edit: &Edit, group: &[(&Edit, VportNo)]) {
    steps.extend((0..edit.pop).map(|_| Action::PopTag));
    steps.extend(edit.push.iter().rev().map(|tag| Action::PushTag(*tag)));
    steps.extend(group.iter().map(|(_, vport)| Action::Output(*vport)));
}

/// Hands on every vport that a list of actions sends to.
pub fn for_each_vport(actions: &[Action], take: &mut dyn FnMut(VportNo)) {
    for action in actions {
        match action {
            Action::Output(vport) => take(*vport),
            Action::Clone(steps) => for_each_vport(steps, take),
            _ => {}
        }
    }
}

/// A tag off and one on, which is most that a group's edit comes to.
const USUAL_STEPS: usize = 2;

#[cfg(test)]
mod tests {
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
        assert_eq!(lower(&outputs, &[], same_number), expected);
    }

    #[test]
    fn the_innermost_tag_is_put_on_first() {
        let expected = [Action::PushTag(tag(8)), Action::PushTag(tag(100)), Action::Output(VportNo(1))];
        assert_eq!(lower(&[copy(1, 0, &[tag(100), tag(8)])], &[], same_number), expected);
    }

    #[test]
    fn the_meter_comes_before_everything() {
        let actions = lower(&[copy(1, 0, &[])], &[MeterId(7)], same_number);
        assert_eq!(actions, [Action::Meter(MeterId(7)), Action::Output(VportNo(1))]);
    }

    #[test]
    fn what_leaves_by_nothing_is_dropped_without_a_meter() {
        assert_eq!(lower(&[copy(1, 0, &[])], &[MeterId(7)], |_| None), []);
        let tunnel =
            Output { to: Egress::Tunnel { host: vlan::model::id::HostId(1), vni: 8 }, edit: Edit::default() };
        assert_eq!(lower(&[tunnel], &[], same_number), []);
    }

    #[test]
    fn vports_inside_clones_are_found() {
        let actions = lower(&[copy(1, 1, &[]), copy(3, 0, &[tag(9)])], &[], same_number);
        let mut found = Vec::new();
        for_each_vport(&actions, &mut |vport| found.push(vport));
        found.sort();
        assert_eq!(found, [VportNo(1), VportNo(3)]);
    }
}

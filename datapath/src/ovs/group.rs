//! Groups: lists of steps that flows share (OVS_ACTION_ATTR_RECIRC).
//!
//! The action gives the frame back to be looked up under the group's number, and the steps are those of flows that count nothing but that
//! number, one for each [`Part`].

use std::collections::BTreeMap;

use super::flow::{self, Dumped, Table};
use super::handle::Handle;
use super::nla::NlaWriter;
use super::part::{self, Part};
use super::transact::{CREATE, Denial, Outbox, Outcome};
use super::{Action, Refusal, action, key};
use crate::Group;
use crate::tunnel::GroupId;

fn check_steps(id: GroupId, steps: &[Action], table: &Table) -> Result<(), Denial> {
    part::check(id)?;
    if names_group(steps) {
        let message = Some("a group in a group".to_owned());
        return Err(Denial::Errno { errno: libc::EINVAL, message });
    }
    action::check(steps, table.tunnel.as_ref())
}

fn names_group(steps: &[Action]) -> bool {
    let names = |step: &Action| matches!(step, Action::Group(_)) || step.inner().into_iter().any(names_group);
    steps.iter().any(names)
}

impl Part {
    /// Asks for its flow to have these steps, by a command of flows.
    fn put(self, out: &mut Outbox, table: &Table, (command, flags): (u8, u16), steps: &[Action]) {
        out.write(table.family.head(command, flags), |message| {
            self.fill(message, table, steps);
            Ok(())
        });
    }

    fn fill(self, message: &mut NlaWriter, table: &Table, steps: &[Action]) {
        let tags = self.tags();
        message.put_header(&table.dp.0.to_ne_bytes());
        message.put(flow::OVS_FLOW_ATTR_UFID, &self.ufid());
        key::encode_recirculated(message, flow::OVS_FLOW_ATTR_KEY, tags, self.id.0);
        key::encode_recirculated_mask(message, flow::OVS_FLOW_ATTR_MASK, tags.len());
        action::encode(message, flow::OVS_FLOW_ATTR_ACTIONS, steps, table.tunnel.as_ref());
    }
}

impl Handle {
    /// Sets the steps of a group, those of each of its flows in place.
    pub(super) async fn set_group(&mut self, id: GroupId, steps: &[Action]) -> Outcome {
        let table = self.table();
        check_steps(id, steps, &table)?;
        let mut out = self.transactor.outbox();
        Part::all(id).for_each(|part| part.put(&mut out, &table, (flow::OVS_FLOW_CMD_SET, 0), steps));
        let set = self.transactor.exchange(out, &mut |_, _: &[u8]| {}).await;
        let mut out = self.transactor.outbox();
        for (part, outcome) in Part::all(id).zip(set) {
            match outcome {
                Err(denial) if denial.is(libc::ENOENT) => {
                    part.put(&mut out, &table, (flow::OVS_FLOW_CMD_NEW, CREATE), steps);
                }
                outcome => outcome?,
            }
        }
        self.transactor.exchange(out, &mut |_, _: &[u8]| {}).await.into_iter().collect()
    }

    /// Removes a group; one that is not there is no error.
    pub(super) async fn delete_group(&mut self, id: GroupId) -> Outcome {
        let mut out = self.transactor.outbox();
        Part::all(id).for_each(|part| {
            out.add(flow::delete_by_ufid(self.families.flow, self.dp, &part.ufid()));
        });
        let deleted = self.transactor.exchange(out, &mut |_, _: &[u8]| {}).await;
        deleted.into_iter().filter(|outcome| !is_none(outcome)).collect()
    }

    /// The groups there are. One of which a flow is missing, as when it was set by a program that was killed meanwhile, has no steps.
    pub(super) async fn groups(&mut self) -> Result<Vec<Group>, Refusal> {
        let mut groups: BTreeMap<GroupId, Vec<Option<Vec<Action>>>> = BTreeMap::new();
        for dumped in self.dump("list groups").await? {
            if let Dumped::Part(part, steps) = dumped {
                groups.entry(part.id).or_default().push(steps);
            }
        }
        Ok(groups.into_iter().map(|(id, parts)| (id, steps_of(parts))).collect())
    }
}

/// The steps that all flows of a group have.
fn steps_of(mut parts: Vec<Option<Vec<Action>>>) -> Option<Vec<Action>> {
    let last = parts.pop().flatten()?;
    let is_whole = parts.len() + 1 == part::COUNT && parts.iter().all(|steps| steps.as_ref() == Some(&last));
    is_whole.then_some(last)
}

fn is_none(outcome: &Outcome) -> bool {
    outcome.as_ref().is_err_and(|denial| denial.is(libc::ENOENT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::VportNo;

    #[test]
    fn what_is_no_group_is_refused() {
        let table = Table::numbered(30, 5);
        let refused = |id, steps: &[Action]| check_steps(GroupId(id), steps, &table).unwrap_err();
        let says = |words: &str| Denial::Errno { errno: libc::EINVAL, message: Some(words.to_owned()) };
        assert_eq!(refused(0, &[]), says("group 0, allowed are 1 to 16777215"));
        assert_eq!(refused(1 << 24, &[]), says("group 16777216, allowed are 1 to 16777215"));
        let within = Action::Clone(vec![Action::Group(GroupId(2))]);
        assert_eq!(refused(1, &[within]), says("a group in a group"));
        assert_eq!(check_steps(GroupId(1), &[Action::Output(VportNo(2))], &table), Ok(()));
    }

    #[test]
    fn a_group_has_steps_where_all_its_flows_have_them() {
        let out = |port| Some(vec![Action::Output(VportNo(port))]);
        assert_eq!(steps_of(vec![out(1); 7]), out(1));
        assert_eq!(steps_of(vec![out(1); 6]), None, "one is missing");
        assert_eq!(steps_of([vec![out(1); 6], vec![out(2)]].concat()), None, "one has others");
        assert_eq!(steps_of([vec![out(1); 6], vec![None]].concat()), None, "one is not ours");
    }

    /// Struct ovs_header, then UFID, KEY, MASK and ACTIONS of enum ovs_flow_attr.
    #[test]
    fn a_part_is_put_by_these_bytes() {
        let mut message = NlaWriter::default();
        Part::all(GroupId(7)).nth(1).unwrap().fill(&mut message, &Table::numbered(30, 5), &[]);
        #[rustfmt::skip]
        let expected = [
            &[5, 0, 0, 0][..],
            &[16, 0, 9, 0], b"l2gw-grp\0\0\x07\x01",
            &[48, 0, 1, 0],
                &[16, 0, 4, 0], &[0; 12],
                &[6, 0, 6, 0, 0x81, 0, 0, 0],
                &[6, 0, 5, 0, 0x10, 0, 0, 0],
                &[12, 0, 1, 0, 8, 0, 20, 0, 7, 0, 0, 0],
            &[32, 0, 7, 0],
                &[6, 0, 6, 0, 0xff, 0xff, 0, 0],
                &[6, 0, 5, 0, 0x10, 0, 0, 0],
                &[12, 0, 1, 0, 8, 0, 20, 0, 0xff, 0xff, 0xff, 0xff],
            &[4, 0, 2, 0],
        ];
        assert_eq!(message.into_bytes(), expected.concat());
    }
}

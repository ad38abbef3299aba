//! Groups: lists of steps that flows share (OVS_ACTION_ATTR_RECIRC).
//!
//! The action gives the frame back to be looked up under the group's number, and the steps are those of flows that count nothing but that
//! number. The kernel always matches how many tags a frame has and their TPIDs, so a group is seven flows, one for each case: none, one of
//! two TPIDs, two of them. They have ids of 12 bytes, where those of other flows have 16, so neither are taken for the other.

use std::collections::BTreeMap;

use vlan::tag::Tpid;

use super::flow::{self, Dumped, Table};
use super::handle::Handle;
use super::nla::NlaWriter;
use super::transact::{CREATE, Denial, Outbox, Outcome};
use super::{Action, Refusal, action, key};
use crate::Group;
use crate::tunnel::GroupId;

/// One of the flows of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) id: GroupId,
    /// Its place in [`SHAPES`].
    shape: u8,
}

/// Refuses a number that no group has.
pub(super) fn check(id: GroupId) -> Result<(), Denial> {
    if (1..=ID_MOST).contains(&id.0) {
        return Ok(());
    }
    Err(Denial::Errno { errno: libc::EINVAL, message: Some(format!("{id}, allowed are 1 to {ID_MOST}")) })
}

fn check_steps(id: GroupId, steps: &[Action], table: &Table) -> Result<(), Denial> {
    check(id)?;
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
    /// Those of a group.
    fn all(id: GroupId) -> impl Iterator<Item = Part> {
        (0..SHAPES.len() as u8).map(move |shape| Part { id, shape })
    }

    /// The id of its flow.
    fn ufid(self) -> [u8; UFID_LEN] {
        let mut ufid = [0; UFID_LEN];
        ufid[..UFID_MARK.len()].copy_from_slice(UFID_MARK);
        ufid[UFID_MARK.len()..].copy_from_slice(&(self.id.0 << 8 | u32::from(self.shape)).to_be_bytes());
        ufid
    }

    /// The one whose flow has this id.
    pub(super) fn of_ufid(ufid: &[u8]) -> Option<Part> {
        let number = ufid.strip_prefix(UFID_MARK.as_slice())?;
        let number = u32::from_be_bytes(number.try_into().ok()?);
        let part = Part { id: GroupId(number >> 8), shape: (number & 0xff) as u8 };
        (check(part.id).is_ok() && usize::from(part.shape) < SHAPES.len()).then_some(part)
    }

    /// Asks for its flow to have these steps, by a command of flows.
    fn put(self, out: &mut Outbox, table: &Table, (command, flags): (u8, u16), steps: &[Action]) {
        out.write(table.family.head(command, flags), |message| {
            self.fill(message, table, steps);
            Ok(())
        });
    }

    fn fill(self, message: &mut NlaWriter, table: &Table, steps: &[Action]) {
        let tags = SHAPES.get(usize::from(self.shape)).copied().unwrap_or_default();
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
    let is_whole = parts.len() + 1 == SHAPES.len() && parts.iter().all(|steps| steps.as_ref() == Some(&last));
    is_whole.then_some(last)
}

fn is_none(outcome: &Outcome) -> bool {
    outcome.as_ref().is_err_and(|denial| denial.is(libc::ENOENT))
}

/// The tags by which the kernel tells frames apart, whatever is counted.
const SHAPES: [&[Tpid]; 7] = [
    &[],
    &[Tpid::Customer],
    &[Tpid::Service],
    &[Tpid::Customer, Tpid::Customer],
    &[Tpid::Customer, Tpid::Service],
    &[Tpid::Service, Tpid::Customer],
    &[Tpid::Service, Tpid::Service],
];

/// What ids of these flows begin with. Behind it: the group's number, 24 bits, and the shape, 8 bits.
const UFID_MARK: &[u8; 8] = b"l2gw-grp";
const UFID_LEN: usize = UFID_MARK.len() + size_of::<u32>();

const ID_MOST: u32 = (1 << 24) - 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::VportNo;

    #[test]
    fn a_part_is_found_again_by_its_id() {
        for id in [1, 0x1234, ID_MOST] {
            let ufids: Vec<_> = Part::all(GroupId(id)).map(|part| (part, part.ufid())).collect();
            assert_eq!(ufids.len(), SHAPES.len());
            assert!(ufids.iter().all(|(part, ufid)| Part::of_ufid(ufid) == Some(*part)));
        }
        let ufid = Part { id: GroupId(7), shape: 6 }.ufid();
        assert_eq!(&ufid, b"l2gw-grp\0\0\x07\x06");
        for other in [
            &b"l2gw-grp\0\0\x07\x07"[..],
            b"l2gw-grp\0\0\0\x06",
            b"l2gw-gro\0\0\x07\x06",
            &ufid[..11],
            &[0; 16],
        ] {
            assert_eq!(Part::of_ufid(other), None, "{other:02x?}");
        }
    }

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
        Part { id: GroupId(7), shape: 1 }.fill(&mut message, &Table::numbered(30, 5), &[]);
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

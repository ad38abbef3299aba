//! Which flow of a group a flow is.
//!
//! The kernel always matches how many tags a frame has and their TPIDs, so a group is seven flows, one for each case: none, one of two
//! TPIDs, two of them. They have ids of 12 bytes, where those of other flows have 16, so neither are taken for the other.

use vlan::tag::Tpid;

use super::transact::Denial;
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

impl Part {
    /// Those of a group.
    pub(super) fn all(id: GroupId) -> impl Iterator<Item = Part> {
        (0..SHAPES.len() as u8).map(move |shape| Part { id, shape })
    }

    /// The id of its flow.
    pub(super) fn ufid(self) -> [u8; UFID_LEN] {
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

    /// The TPIDs of the tags that its frames have, the outer one first.
    pub(super) fn tags(self) -> &'static [Tpid] {
        SHAPES.get(usize::from(self.shape)).copied().unwrap_or_default()
    }
}

/// How many flows a group has.
pub(super) const COUNT: usize = 7;

/// The tags by which the kernel tells frames apart, whatever is counted.
const SHAPES: [&[Tpid]; COUNT] = [
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

    #[test]
    fn a_part_is_found_again_by_its_id() {
        for id in [1, 0x1234, ID_MOST] {
            let ufids: Vec<_> = Part::all(GroupId(id)).map(|part| (part, part.ufid())).collect();
            assert_eq!(ufids.len(), SHAPES.len());
            assert!(ufids.iter().all(|(part, ufid)| Part::of_ufid(ufid) == Some(*part)));
        }
    }

    #[test]
    fn an_id_is_the_mark_the_number_and_the_shape() {
        assert_eq!(&Part { id: GroupId(7), shape: 6 }.ufid(), b"l2gw-grp\0\0\x07\x06");
    }

    #[test]
    fn an_id_of_another_flow_is_of_no_part() {
        for other in [
            &b"l2gw-grp\0\0\x07\x07"[..],
            b"l2gw-grp\0\0\0\x06",
            b"l2gw-gro\0\0\x07\x06",
            b"l2gw-grp\0\0\x07",
            &[0; 16],
        ] {
            assert_eq!(Part::of_ufid(other), None, "{other:02x?}");
        }
    }
}

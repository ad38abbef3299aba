//! Groups of the datapath: the copies of a flood to other hosts, which the flow of every sender would repeat otherwise. There is one for each
//! VNI and class, in pieces where the hosts are many.
//!
//! A group is looked over when a flow names it for the first time after the ground has shifted (another topology, another tunnel port). One
//! that no flow has named since is removed when all flows have been looked over.

use std::collections::BTreeMap;

use datapath::Group;
use datapath::flow::Action;
use datapath::port::VportNo;
use datapath::tunnel::{GroupId, TunnelTo};
use smallvec::SmallVec;
use vlan::model::id::PortId;
use vlan::verdict::Egress;

use crate::engine::outbox::{Asked, Asking};
use crate::engine::truth::Truth;
use crate::lower::flows::{Way, Ways};

/// Groups that the datapath is to have.
#[derive(Debug, Default)]
pub(in crate::engine) struct Groups {
    of: BTreeMap<Flood, Held>,
    last: u32,
    changes: Vec<GroupChange>,
    /// How often the ground has shifted.
    era: u64,
    /// The datapath has refused one: copies stand in each flow then.
    is_refused: bool,
}

/// A VNI and a class, 0..=7.
type Flood = (u32, u8);

/// The steps that a group is to have; `None` removes it.
pub(super) type GroupChange = Group;

/// What the groups of a flood send.
#[derive(Debug, Default)]
struct Held {
    /// Each with the copies that it sends.
    pieces: Vec<(GroupId, Vec<TunnelTo>)>,
    era: u64,
}

impl Held {
    fn ids(&self) -> SmallVec<[GroupId; 1]> {
        self.pieces.iter().map(|(id, _)| *id).collect()
    }
}

impl Asking for GroupChange {
    fn asked(batch: &[GroupChange]) -> Asked {
        // Those that are set and those that are removed are asked for apart.
        Asked::Groups { is_set: batch.iter().any(|(_, steps)| steps.is_some()) }
    }
}

impl Groups {
    /// Takes over what an earlier run left. What is none of ours is removed.
    pub(in crate::engine) fn inherit(&mut self, found: Vec<Group>) {
        for (id, steps) in found {
            self.last = self.last.max(id.0);
            match steps.as_deref().and_then(copies_of) {
                Some((flood, copies)) => self.of.entry(flood).or_default().pieces.push((id, copies)),
                None => self.changes.push((id, None)),
            }
        }
        self.era += 1;
    }

    /// The tunnel port is another one: what groups send by goes with it.
    pub(in crate::engine) fn make_again(&mut self) {
        self.is_refused = false;
        let pieces = self.of.values().flat_map(|held| &held.pieces);
        self.changes.extend(pieces.map(|(id, copies)| set(*id, copies)));
    }

    /// All flows are looked over from here on.
    pub(super) fn note_shift(&mut self) {
        self.era += 1;
    }

    /// The groups that send a flood to other hosts; none where the copies are few, and stand in the flow.
    fn of(&mut self, truth: &Truth, to: Egress) -> SmallVec<[GroupId; 1]> {
        let Egress::Hosts { segment, origin, class } = to else { return SmallVec::new() };
        let (topology, host) = (truth.switch.topology(), truth.switch.host());
        let is_few = topology.copies(host, segment, origin).nth(FEW).is_none();
        let Some(vni) = topology.vni(segment, origin).filter(|_| !is_few && !self.is_refused) else {
            return SmallVec::new();
        };
        let (flood, era) = ((vni, class.get()), self.era);
        if let Some(held) = self.of.get(&flood).filter(|held| held.era == era) {
            return held.ids();
        }
        let copies = truth.overlay.tunnels_to(&truth.switch, to);
        self.hold(flood, &copies)
    }

    fn hold(&mut self, flood: Flood, copies: &[TunnelTo]) -> SmallVec<[GroupId; 1]> {
        let held = self.of.entry(flood).or_default();
        held.era = self.era;
        let wanted: Vec<&[TunnelTo]> = copies.chunks(MOST).collect();
        while held.pieces.len() < wanted.len() {
            self.last = self.last % MOST_GROUPS + 1;
            held.pieces.push((GroupId(self.last), Vec::new()));
        }
        let left = held.pieces.drain(wanted.len()..);
        self.changes.extend(left.map(|(id, _)| (id, None)));
        for ((id, sends), piece) in held.pieces.iter_mut().zip(wanted) {
            if sends != piece {
                *sends = piece.to_vec();
                self.changes.push(set(*id, piece));
            }
        }
        held.ids()
    }

    /// Removes what no flow has named since the ground shifted last; no flow is to be looked over any more.
    pub(super) fn sweep(&mut self) {
        let era = self.era;
        let unused = self.of.extract_if(.., |_, held| held.era != era);
        self.changes.extend(unused.flat_map(|(_, held)| held.ids()).map(|id| (id, None)));
    }

    /// The datapath has refused a group: there are none from here on.
    pub(super) fn give_up(&mut self) {
        self.is_refused = true;
        let given_up = std::mem::take(&mut self.of).into_values().flat_map(|held| held.ids());
        self.changes.extend(given_up.map(|id| (id, None)));
    }

    pub(super) fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// What is to be set, and what is to be removed behind it.
    pub(super) fn take_changes(&mut self) -> (Vec<GroupChange>, Vec<GroupChange>) {
        std::mem::take(&mut self.changes).into_iter().partition(|(_, steps)| steps.is_some())
    }

    /// The ways out of this host, with groups where there are some.
    pub(super) fn ways<'a>(
        &mut self,
        truth: &'a Truth,
        outputs: impl Iterator<Item = Egress>,
    ) -> Grouped<'a> {
        let flood = outputs.into_iter().find(|to| matches!(to, Egress::Hosts { .. }));
        Grouped { truth, groups: flood.map(|to| self.of(truth, to)).unwrap_or_default() }
    }
}

/// The ways out of a host.
pub(super) struct Grouped<'a> {
    truth: &'a Truth,
    /// Those of the one flood that a verdict has.
    groups: SmallVec<[GroupId; 1]>,
}

impl Ways for Grouped<'_> {
    fn vport_of(&self, port: PortId) -> Option<VportNo> {
        self.truth.links.standings.vport_of(port)
    }

    fn to_hosts(&self, to: Egress) -> SmallVec<[Way; 2]> {
        match to {
            Egress::Hosts { .. } if !self.groups.is_empty() => {
                self.groups.iter().copied().map(Way::Group).collect()
            }
            _ => self.truth.overlay.tunnels_to(&self.truth.switch, to).into_iter().map(Way::Tunnel).collect(),
        }
    }
}

fn set(id: GroupId, piece: &[TunnelTo]) -> GroupChange {
    (id, Some(piece.iter().copied().map(Action::Tunnel).collect()))
}

/// The copies that steps are, if they are nothing else, all with one VNI and class: which flood, and where to.
fn copies_of(steps: &[Action]) -> Option<(Flood, Vec<TunnelTo>)> {
    let copy = |step: &Action| match step {
        Action::Tunnel(to) => Some(*to),
        _ => None,
    };
    let copies: Vec<TunnelTo> = steps.iter().map(copy).collect::<Option<_>>()?;
    let flood = copies.first().map(|first| (first.vni, first.class))?;
    let is_one = copies.iter().all(|to| (to.vni, to.class) == flood);
    is_one.then_some((flood, copies))
}

/// So few copies stand in each flow: a group costs the kernel a second look-up for each frame.
const FEW: usize = 4;
/// Copies of one group: a kernel takes lists of 32 KiB, and one copy is some 100 bytes of it.
const MOST: usize = 128;
/// The highest number that a group may have.
const MOST_GROUPS: u32 = (1 << 24) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn copies(hosts: usize) -> Vec<TunnelTo> {
        let to = |host: usize| TunnelTo {
            remote: [10, 0, (host >> 8) as u8, host as u8].into(),
            vni: 8,
            class: 0,
        };
        (1..=hosts).map(to).collect()
    }

    /// Which groups change, and how many copies each has then.
    fn changed(groups: &mut Groups) -> (Vec<(u32, usize)>, Vec<u32>) {
        let (set, unset) = groups.take_changes();
        let set = set.into_iter().map(|(id, steps)| (id.0, steps.map_or(0, |steps| steps.len())));
        (set.collect(), unset.into_iter().map(|(id, _)| id.0).collect())
    }

    #[test]
    fn one_host_more_changes_the_last_piece_alone_and_one_piece_less_removes_one() {
        let mut groups = Groups::default();
        assert_eq!(groups.hold((8, 0), &copies(300)).len(), 3);
        assert_eq!(changed(&mut groups), (vec![(1, 128), (2, 128), (3, 44)], vec![]));
        groups.note_shift();
        groups.hold((8, 0), &copies(301));
        assert_eq!(changed(&mut groups), (vec![(3, 45)], vec![]));
        groups.hold((8, 0), &copies(200));
        assert_eq!(changed(&mut groups), (vec![(2, 72)], vec![3]));
    }

    #[test]
    fn what_no_flow_has_named_since_the_ground_shifted_goes() {
        let mut groups = Groups::default();
        groups.hold((8, 0), &copies(9));
        groups.hold((8, 5), &copies(9));
        changed(&mut groups);
        groups.note_shift();
        groups.hold((8, 5), &copies(9));
        groups.sweep();
        assert_eq!(changed(&mut groups), (vec![], vec![1]));
    }

    #[test]
    fn what_an_earlier_run_left_is_taken_over_and_what_is_none_of_ours_removed() {
        let steps =
            |copies: &[TunnelTo]| Some(copies.iter().copied().map(Action::Tunnel).collect::<Vec<_>>());
        let all = copies(130);
        let mut groups = Groups::default();
        let alien = Some(vec![Action::PopTag]);
        groups.inherit(vec![
            (GroupId(4), steps(&all[..128])),
            (GroupId(7), steps(&all[128..])),
            (GroupId(9), alien),
        ]);
        assert_eq!(changed(&mut groups), (vec![], vec![9]));
        assert_eq!(groups.hold((8, 0), &all).as_slice(), [GroupId(4), GroupId(7)]);
        assert_eq!(changed(&mut groups), (vec![], vec![]));
        assert_eq!(groups.hold((8, 1), &all[..9]).as_slice(), [GroupId(10)]);
    }

    /// As where the run before ended in the middle of a change, or cut pieces otherwise: together they send all copies, and each another
    /// part of them than it would.
    #[test]
    fn pieces_that_an_earlier_run_cut_otherwise_are_cut_anew() {
        let steps =
            |copies: &[TunnelTo]| Some(copies.iter().copied().map(Action::Tunnel).collect::<Vec<_>>());
        let all = copies(130);
        let mut groups = Groups::default();
        groups.inherit(vec![(GroupId(4), steps(&all[..100])), (GroupId(7), steps(&all[100..]))]);
        groups.hold((8, 0), &all);
        assert_eq!(changed(&mut groups), (vec![(4, 128), (7, 2)], vec![]));
    }
}

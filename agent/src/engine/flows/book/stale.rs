//! Which flows are to be looked over: those that rest on state that has changed, most used first.
//!
//! A bounded number is marked and handed out at a time, so that the loss of a trunk with 200 000 flows keeps nobody waiting.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use datapath::flow::FlowId;
use smallvec::SmallVec;
use vlan::addr::MacAddr;
use vlan::model::id::SegmentId;
use vlan::model::topology::Topology;
use vlan::verdict::Dependency;

use super::{Book, Record, Reference, Slot};

/// Flows that are to be looked over, and those of which it is not known yet.
#[derive(Debug, Default)]
pub(super) struct Stale {
    /// By how much they are used.
    by_heat: [VecDeque<Reference>; HEATS],
    /// What is still to be marked as stale.
    unmarked: VecDeque<Unmarked>,
}

/// Flows whose ground has shifted, of which those before `next` are marked as stale.
#[derive(Debug)]
enum Unmarked {
    /// These.
    Listed { list: Vec<Reference>, next: usize },
    /// Those in the places up to `end`.
    Places { next: u32, end: u32 },
}

/// Flows that rest on one piece of state, some of which are gone.
#[derive(Debug, Default)]
pub(super) struct Dependents {
    pub(super) list: SmallVec<[Reference; 2]>,
    pub(super) live: u32,
}

impl Book {
    /// Lists are cleared of flows that are gone when these are the greater part: each removal pays for one step of that.
    pub(super) fn leave(&mut self, state: Dependency) {
        let Entry::Occupied(mut entry) = self.by_state.entry(state) else { return };
        let dependents = entry.get_mut();
        dependents.live = dependents.live.saturating_sub(1);
        if dependents.live == 0 {
            entry.remove();
        } else if dependents.list.len() > 2 * dependents.live as usize + 8 {
            let records = &self.records;
            dependents.list.retain(|reference| is_live(records, *reference));
        }
    }

    /// Whether a flow waits to be looked over: what it names by identifier may be of a topology that is gone.
    pub(in crate::engine) fn is_stale(&self, id: FlowId) -> bool {
        let Some(slot) = self.by_id.get(&id) else { return false };
        let is_ahead = |unmarked: &Unmarked| matches!(unmarked, Unmarked::Places { next, end } if (*next..*end).contains(slot));
        self.records[*slot as usize].is_stale || self.stale.unmarked.iter().any(is_ahead)
    }

    /// Has the flows that rest on some state looked over. Where they are many they are marked by and by, see [`Book::mark`].
    pub(in crate::engine) fn spoil(&mut self, state: Dependency) {
        let Some(dependents) = self.by_state.get(&state) else { return };
        if dependents.list.len() > MANY {
            self.stale.unmarked.push_back(Unmarked::Listed { list: dependents.list.to_vec(), next: 0 });
            return;
        }
        for reference in dependents.list.clone() {
            self.mark_one(reference);
        }
    }

    /// Flows that rest on the whereabouts of an address, at most `most`, those of its own frames first.
    pub(in crate::engine) fn of_address(&self, segment: SegmentId, mac: MacAddr, most: usize) -> Vec<FlowId> {
        let state = Dependency::Address(segment, mac);
        let list = self.by_state.get(&state).map_or(&[][..], |dependents| dependents.list.as_slice());
        let live = list.iter().take(MANY).filter(|reference| is_live(&self.records, **reference));
        let records = live.filter_map(|reference| self.records[reference.slot as usize].record.as_deref());
        let is_own = |record: &&Record| record.key.header.src == mac;
        let (own, others): (Vec<&Record>, Vec<&Record>) = records.partition(is_own);
        let mut found: Vec<FlowId> = own.into_iter().chain(others).map(|record| record.id).collect();
        // One that rests on it twice is listed twice, behind itself.
        found.dedup();
        found.truncate(most);
        found
    }

    /// Has every flow looked over.
    pub(in crate::engine) fn spoil_all(&mut self) {
        // Those that were to be marked are among them.
        self.stale.unmarked.clear();
        self.stale.unmarked.push_back(Unmarked::Places { next: 0, end: self.records.len() as u32 });
    }

    /// Marks flows that are to be looked over as stale, at most `most`; whether all are marked, so that the most used can be told.
    pub(in crate::engine) fn mark(&mut self, most: usize) -> bool {
        for _ in 0..most {
            let Some(unmarked) = self.stale.unmarked.front_mut() else { return true };
            let next = match unmarked {
                Unmarked::Listed { list, next } => list.get(*next).copied().inspect(|_| *next += 1),
                Unmarked::Places { next, end } => (*next < *end).then(|| {
                    let slot = *next;
                    *next += 1;
                    Reference { slot, stamp: self.records[slot as usize].stamp }
                }),
            };
            match next {
                Some(reference) => self.mark_one(reference),
                None => drop(self.stale.unmarked.pop_front()),
            }
        }
        self.stale.unmarked.is_empty()
    }

    fn mark_one(&mut self, reference: Reference) {
        let slot = &mut self.records[reference.slot as usize];
        let Some(record) = slot.record.as_ref().filter(|_| slot.stamp == reference.stamp) else { return };
        if !slot.is_stale {
            slot.is_stale = true;
            self.stale.by_heat[heat_of(record)].push_back(reference);
        }
    }

    /// The next stale flow, most used first; it is stale no longer.
    pub(in crate::engine) fn next_stale(&mut self) -> Option<FlowId> {
        for heat in (0..HEATS).rev() {
            while let Some(reference) = self.stale.by_heat[heat].pop_front() {
                let slot = &mut self.records[reference.slot as usize];
                let is_it = slot.stamp == reference.stamp && std::mem::take(&mut slot.is_stale);
                if let Some(record) = slot.record.as_ref().filter(|_| is_it) {
                    return Some(record.id);
                }
            }
        }
        None
    }

    /// A flow was looked over, and stays as it is.
    pub(in crate::engine) fn note_right(&mut self, id: FlowId) {
        if let Some(slot) = self.by_id.get(&id) {
            let slot = &mut self.records[*slot as usize];
            slot.is_stale = false;
            slot.record.iter_mut().for_each(|record| record.era = self.eras.now());
        }
    }

    /// Another topology is in force: every flow is looked over.
    pub(in crate::engine) fn begin_era(&mut self, topology: Arc<Topology>) {
        self.eras.begin(topology);
        self.spoil_all();
    }

    /// Whether no flow waits to be looked over.
    pub(in crate::engine) fn is_fresh(&self) -> bool {
        self.stale.unmarked.is_empty() && self.stale.by_heat.iter().all(VecDeque::is_empty)
    }
}

/// A flood may name thousands, some of them again and again. Most flows have a handful, and one that is twice among those is listed
/// twice: that is less than to compare each with each.
pub(super) fn keep_distinct(states: &mut SmallVec<[Dependency; 6]>) {
    if states.len() > FEW {
        states.sort_unstable();
        states.dedup();
    }
}

fn is_live(records: &[Slot], reference: Reference) -> bool {
    let slot = &records[reference.slot as usize];
    slot.record.is_some() && slot.stamp == reference.stamp
}

fn heat_of(record: &Record) -> usize {
    usize::from(record.heat).min(HEATS - 1)
}

/// Pieces of state that are listed as they come.
const FEW: usize = 16;

/// Flows that are marked at once; more are a matter of milliseconds.
const MANY: usize = 1_000;

/// Degrees of use: idle, 1 frame between two readings, 2 to 3, … 64 and more.
pub(super) const HEATS: usize = 8;

/// The degree of use of a flow that was hit `frames` times between two readings.
pub(in crate::engine) fn heat(frames: u64) -> u8 {
    (u64::BITS - frames.leading_zeros()).min(HEATS as u32 - 1) as u8
}

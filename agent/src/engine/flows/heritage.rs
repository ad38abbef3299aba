//! What an earlier run left and is not settled yet; and which revision is in force when no flow is stale.

use datapath::flow::Flow;
use vlan::fdb::ECHO;
use vlan::time::Instant;

use crate::event::Event;
use crate::input::SavedAddress;

/// What was found at the start and is not settled yet.
#[derive(Debug, Default)]
pub(in crate::engine) struct Heritage {
    flows: Vec<Flow>,
    /// Addresses that an earlier run saved.
    pub(in crate::engine) saved: Vec<SavedAddress>,
    /// When they were taken over.
    begun: Option<Instant>,
    /// Counts flows as they are looked over; `None` when the event was told.
    tally: Option<Tally>,
    /// A revision that is in force when no stale flow is left.
    pub(in crate::engine) in_force: Option<u64>,
}

/// How much of it was taken over.
#[derive(Debug, Default)]
pub(super) struct Tally {
    kept: usize,
    replaced: usize,
    pub(super) deleted: usize,
    addresses: usize,
}

/// What became of a flow that was looked over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Renewed {
    /// It was right.
    Kept,
    /// It does something else now, without a gap.
    Replaced,
    /// It is gone; the next of its frames is judged anew.
    Withdrawn,
}

impl Heritage {
    /// Keeps the flows that were found at the start until their ports are known; later ones are handed back.
    pub(super) fn keep(&mut self, flows: Vec<Flow>) -> Option<Vec<Flow>> {
        if self.begun.is_some() {
            return Some(flows);
        }
        self.flows = flows;
        None
    }

    /// The flows and addresses that an earlier run left, once.
    pub(super) fn begin(&mut self, now: Instant) -> Option<(Vec<Flow>, Vec<SavedAddress>)> {
        let is_first = self.begun.is_none();
        self.begun.get_or_insert(now);
        is_first.then(|| (std::mem::take(&mut self.flows), std::mem::take(&mut self.saved)))
    }

    /// The flows are looked over from here on.
    pub(super) fn count_from(&mut self, tally: Tally) {
        self.tally = Some(tally);
    }

    /// A flow was looked over.
    pub(super) fn count(&mut self, renewed: Renewed) {
        let Some(tally) = &mut self.tally else { return };
        match renewed {
            Renewed::Kept => tally.kept += 1,
            Renewed::Replaced => tally.replaced += 1,
            Renewed::Withdrawn => tally.deleted += 1,
        }
    }

    /// Whether something is told when no flow is stale.
    pub(super) fn is_to_be_told(&self) -> bool {
        self.begun.is_some() && (self.tally.is_some() || self.in_force.is_some())
    }

    /// Whether all flows that were found are known to have been looked over.
    pub(super) fn is_looked_over(&self) -> bool {
        self.begun.is_some() && self.tally.is_none()
    }

    /// Whether what is not known to have been sent within the last second was not: flows that were found are in the book, and what an earlier
    /// run sent by itself, or by a flow that it withdrew, is longer ago.
    pub(super) fn is_past(&self, now: Instant) -> bool {
        self.begun.is_some_and(|at| now.since(at) > ECHO)
    }

    /// What was taken over, if that was not asked yet.
    pub(super) fn take_tally(&mut self) -> Option<Tally> {
        self.tally.take_if(|_| self.begun.is_some())
    }

    /// The revision that has come into force.
    pub(super) fn take_in_force(&mut self) -> Option<u64> {
        self.in_force.take_if(|_| self.begun.is_some())
    }
}

impl Tally {
    /// So many addresses, and no flow yet.
    pub(super) fn of(addresses: usize) -> Tally {
        Tally { addresses, ..Tally::default() }
    }

    /// What is told of it: nothing where there was nothing.
    pub(super) fn event(self) -> Option<Event> {
        let Tally { kept, replaced, deleted, addresses } = self;
        (kept + replaced + deleted + addresses > 0).then_some(Event::Adopted {
            kept,
            replaced,
            deleted,
            addresses,
        })
    }
}

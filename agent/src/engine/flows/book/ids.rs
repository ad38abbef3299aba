//! Ids of flows: which this run deals out, and whose another one is.

use std::collections::BTreeSet;

use datapath::flow::FlowId;

/// The ids of this run, and which runs before it are known.
#[derive(Debug)]
pub(in crate::engine) struct Ids {
    /// The upper half of new ids, so that an earlier run's are not met again.
    of_this_run: u64,
    /// Of ids of flows that were found at the start.
    earlier_runs: BTreeSet<u64>,
    last: u64,
}

impl Ids {
    pub(super) fn new(of_this_run: u64) -> Ids {
        Ids { of_this_run, earlier_runs: BTreeSet::new(), last: 0 }
    }

    /// The next id.
    pub(super) fn next(&mut self) -> FlowId {
        self.last += 1;
        FlowId(u128::from(self.of_this_run) << 64 | u128::from(self.last))
    }

    /// Whether an id is one that this run has dealt out, or a run whose flows were found at the start.
    pub(in crate::engine) fn may_be_ours(&self, id: FlowId) -> bool {
        let run = run_of(id);
        run == self.of_this_run || self.earlier_runs.contains(&run)
    }

    /// Flows with such ids are an earlier run's.
    pub(in crate::engine) fn know_run_of(&mut self, id: FlowId) {
        self.earlier_runs.insert(run_of(id));
    }
}

/// The part of an id that all flows of a run have in common.
fn run_of(id: FlowId) -> u64 {
    (id.0 >> 64) as u64
}

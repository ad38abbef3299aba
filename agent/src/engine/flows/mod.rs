//! The verdicts that a datapath keeps as flows. A frame for which it has none is judged (`upcall`). Flows are looked over when the state that
//! they rest on is another (`renew`). What they count is read (`statistics`), and what an earlier run left is taken over (`adopt`).
//!
//! ```text
//!   a frame came up ───────► upcall ──┐                                   ┌─ book     each flow, and what it rests on
//!   a dependency spoiled ──► renew ───┼──► cache: what there is to be ────┼─ meters   that flows name
//!   statistics ────────────► statistics                                   └─ changes  on their way to the datapath
//!   what was there ────────► adopt ───┘
//! ```
//! A frame that may be our own, come back, waits for what flows say (`echo`), and then for what another host says (`hosts`).
//!
//! A flow rests on pieces of state; when one of them changes, the flow becomes stale and is looked over again: left, replaced in place, or
//! withdrawn.

use std::sync::Arc;
use std::time::Duration;

use vlan::model::topology::Topology;
use vlan::time::Instant;
use vlan::verdict::{Dependency, Verdict};

use super::Settings;
use super::truth::Truth;
use crate::budget::Budget;
use crate::lower::Lowering;

use cache::Cache;
use hands::Hands;
use heritage::Heritage;
use loops::Loops;
use questions::Questions;

mod adopt;
mod answer;
pub(super) mod book;
pub(super) mod cache;
mod changes;
pub(super) mod class;
mod counted;
pub(super) mod doubt;
mod echo;
mod groups;
mod hands;
mod heritage;
pub(super) mod hosts;
pub(super) mod lengths;
pub(super) mod loops;
pub(super) mod meters;
mod questions;
mod renew;
mod statistics;
pub(super) mod turn;
pub(super) mod upcall;

/// The lowering to flows.
#[derive(Debug)]
pub(super) struct Flows {
    pub(super) cache: Cache,
    pub(super) heritage: Heritage,
    pub(super) hands: Hands,
    pub(super) budget: Budget,
    pub(super) loops: Loops,
    /// How long a flow stays without a hit.
    idle: Duration,
    /// Most flows in the datapath.
    most: usize,
    /// How many frames and questions wait for what flows say.
    waiting: usize,
    /// What other hosts are asked of frames that wait for it.
    questions: Questions,
    /// The last one's memory, when no frame is being judged. Boxed, since it is large and goes in and out with each frame.
    verdict: Option<Box<Verdict>>,
}

impl Flows {
    /// There is none yet.
    pub(super) fn new(settings: &Settings) -> Flows {
        Flows {
            cache: Cache::new(settings.seed),
            heritage: Heritage::default(),
            hands: Hands::default(),
            budget: Budget::new(settings.rates),
            loops: Loops::new(settings.seed),
            idle: settings.flow_idle,
            most: settings.flow_limit,
            waiting: 0,
            questions: Questions::default(),
            verdict: None,
        }
    }

    /// The topology is another one: this revision is in force when no flow is stale.
    pub(super) fn note_revision(&mut self, revision: u64, topology: Arc<Topology>) {
        self.loops.forget_frames();
        self.cache.groups.note_shift();
        self.cache.book.begin_era(topology);
        self.heritage.in_force = Some(revision);
    }

    /// Forgets what is not needed any more, at the end of an input: a meter removed in its middle might be wanted again before the end.
    pub(super) fn sweep(&mut self, now: Instant) {
        self.budget.forget_full(now);
        self.cache.meters.sweep();
        if self.cache.book.is_fresh() {
            self.cache.groups.sweep();
            if self.waiting == 0 {
                self.cache.forget_past();
            }
        }
    }

    /// Whether there is something to be looked over, searched or told.
    pub(super) fn has_work(&self, truth: &Truth) -> bool {
        let book = &self.cache.book;
        !book.is_fresh() || book.readings.is_searching() || self.can_tell_of_renewal(truth)
    }

    /// When something is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let due = [self.cache.next_due(), self.hands.next_due(), self.questions.next_due()];
        due.into_iter().flatten().min()
    }
}

impl Lowering for Flows {
    fn spoil(&mut self, state: Dependency) {
        self.cache.book.spoil(state);
    }

    fn spoil_all(&mut self) {
        self.cache.groups.note_shift();
        self.cache.book.spoil_all();
    }
}

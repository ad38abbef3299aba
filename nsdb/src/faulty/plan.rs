//! Which call fails next, and how.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::documents::shard::ShardId;

/// A call that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// [`Documents::root`](crate::Documents::root).
    Root,
    /// [`Documents::revisions`](crate::Documents::revisions) and [`root_of`](crate::Documents::root_of).
    Revisions,
    /// [`Documents::read`](crate::Documents::read).
    Read,
    /// [`Documents::publish`](crate::Documents::publish).
    Publish,
    /// [`Documents::collect`](crate::Documents::collect).
    Collect,
    /// [`Sessions::open_session`](crate::Sessions::open_session).
    OpenSession,
    /// [`Sessions::keep_alive`](crate::Sessions::keep_alive).
    KeepAlive,
    /// [`Sessions::acquire`](crate::Sessions::acquire).
    Acquire,
    /// Every other call of [`Sessions`](crate::Sessions).
    OtherSessions,
    /// [`AddressFeed::announce`](crate::AddressFeed::announce) and [`withdraw`](crate::AddressFeed::withdraw).
    Announce,
    /// [`AddressFeed::follow`](crate::AddressFeed::follow).
    Follow,
    /// [`Journal::append`](crate::Journal::append).
    Append,
    /// [`Journal::query`](crate::Journal::query) and [`trim`](crate::Journal::trim).
    Query,
    /// [`Local::save`](crate::Local::save) and [`delete`](crate::Local::delete).
    Save,
    /// [`Local::load`](crate::Local::load) and [`keys`](crate::Local::keys).
    Load,
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing is done; the caller hears that the store is not available.
    Refuse,
    /// It is done; the caller hears that the store is not available.
    LoseAnswer,
    /// It is done, but only after [`Faults::let_go`].
    Hold,
    /// [`Operation::Root`] only: the root before the last one that was seen, as from a server that lags behind.
    /// Elsewhere without effect.
    Stale,
    /// [`Operation::KeepAlive`] and [`Operation::Acquire`] only: the caller's session ends first. Elsewhere without
    /// effect.
    EndSession,
}

/// The faults to come, shared between a test and the store it wraps. None at first.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    plan: Mutex<FaultPlan>,
    let_go: Notify,
}

#[derive(Debug, Default)]
struct FaultPlan {
    queued: BTreeMap<Operation, VecDeque<Option<Fault>>>,
    standing: BTreeMap<Operation, Fault>,
    random: Option<Random>,
    struck: u64,
    /// Documents that were read, since somebody asked for them to be noted.
    reads: Option<Vec<ShardId>>,
}

/// xorshift64* (Vigna 2016): small, and the same on every machine for the same seed.
#[derive(Debug)]
struct Random {
    state: u64,
    per_mille: u64,
}

impl Random {
    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn choose(&mut self) -> Option<Fault> {
        if (self.next() >> 32) % 1000 >= self.per_mille {
            return None;
        }
        Some(match (self.next() >> 32) % 4 {
            0 => Fault::Refuse,
            1 => Fault::LoseAnswer,
            2 => Fault::Stale,
            _ => Fault::EndSession,
        })
    }
}

impl Faults {
    /// No faults until they are asked for.
    pub fn none() -> Self {
        Self::default()
    }

    /// `per_mille` of all calls (0 to 1000) fail, in ways that follow from `seed`. Never [`Fault::Hold`].
    pub fn random(seed: u64, per_mille: u64) -> Self {
        let faults = Self::default();
        faults.at_random(seed, per_mille);
        faults
    }

    /// From now on as [`random`](Self::random), behind those faults that were asked for.
    pub fn at_random(&self, seed: u64, per_mille: u64) {
        // Zero is the one state that xorshift never leaves.
        let random = Random { state: seed.wrapping_add(0x9E37_79B9_7F4A_7C15).max(1), per_mille };
        self.with(|plan| plan.random = Some(random));
    }

    /// The next call of `operation` that has no fault yet meets `fault`.
    pub fn next(&self, operation: Operation, fault: Fault) {
        self.with(|plan| plan.queued.entry(operation).or_default().push_back(Some(fault)));
    }

    /// Every call of `operation` meets `fault` from now on, behind those that are queued.
    pub fn always(&self, operation: Operation, fault: Fault) {
        self.with(|plan| plan.standing.insert(operation, fault));
    }

    /// The next call of `operation` that has no fault yet meets none.
    pub fn spare(&self, operation: Operation) {
        self.with(|plan| plan.queued.entry(operation).or_default().push_back(None));
    }

    /// Ends all faults: what is queued or stands is forgotten, randomness stops, what is held goes on.
    pub fn clear(&self) {
        self.with(|plan| {
            plan.queued.clear();
            plan.standing.clear();
            plan.random = None;
        });
        self.0.let_go.notify_waiters();
    }

    /// Lets every call that is [held](Fault::Hold) go on.
    pub fn let_go(&self) {
        self.0.let_go.notify_waiters();
    }

    /// How many faults calls have met.
    pub fn struck(&self) -> u64 {
        self.with(|plan| plan.struck)
    }

    /// The documents that were read since this was asked last, in order; the first time it only begins to note them.
    pub fn reads(&self) -> Vec<ShardId> {
        self.with(|plan| plan.reads.replace(Vec::new())).unwrap_or_default()
    }

    pub(crate) fn note_read(&self, document: ShardId) {
        self.with(|plan| plan.reads.as_mut().map(|reads| reads.push(document)));
    }

    /// What this call of `operation` meets; waits if it is held.
    pub(crate) async fn meet(&self, operation: Operation) -> Option<Fault> {
        // Enlisted before the fault is taken, so that a `let_go` right after it is not missed.
        let let_go = self.0.let_go.notified();
        tokio::pin!(let_go);
        let_go.as_mut().enable();
        let fault = self.with(|plan| plan.take(operation));
        if fault == Some(Fault::Hold) {
            let_go.await;
        }
        fault
    }

    fn with<T>(&self, step: impl FnOnce(&mut FaultPlan) -> T) -> T {
        step(&mut self.0.plan.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl FaultPlan {
    fn take(&mut self, operation: Operation) -> Option<Fault> {
        let queued = self.queued.get_mut(&operation).and_then(VecDeque::pop_front);
        let fault = match queued {
            Some(fault) => fault,
            None => {
                let standing = self.standing.get(&operation).copied();
                standing.or_else(|| self.random.as_mut().and_then(Random::choose))
            }
        };
        self.struck += u64::from(fault.is_some());
        fault
    }
}

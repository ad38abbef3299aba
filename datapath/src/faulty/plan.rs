//! Which call fails next, and how: a plan that is data, and what a test adds to it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::RefusalCause;

/// A call that can be made to fail. Where a call takes a batch, each element of it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Operation {
    /// [`Datapath::attach`](crate::Datapath::attach).
    Attach,
    /// [`Datapath::detach`](crate::Datapath::detach).
    Detach,
    /// [`Datapath::execute`](crate::Datapath::execute), each frame.
    Execute,
    /// [`Datapath::upcalls`](crate::Datapath::upcalls), each frame.
    Upcall,
    /// [`Datapath::set_meter`](crate::Datapath::set_meter) and [`delete_meter`](crate::Datapath::delete_meter).
    Meter,
    /// [`Datapath::open_tunnel`](crate::Datapath::open_tunnel) and [`close_tunnel`](crate::Datapath::close_tunnel).
    Tunnel,
    /// [`Datapath::set_group`](crate::Datapath::set_group) and [`delete_group`](crate::Datapath::delete_group).
    Group,
    /// Every call that reads: ports, the tunnel's port, groups, flows, tables, counters.
    Read,
    /// [`Datapath::teardown`](crate::Datapath::teardown).
    Teardown,
    /// [`FlowTable::change_flows`](crate::FlowTable::change_flows), each put.
    PutFlow,
    /// [`FlowTable::change_flows`](crate::FlowTable::change_flows), each withdrawal.
    DeleteFlow,
    /// [`SwitchTables::change_tables`](crate::tables::SwitchTables::change_tables), each change.
    ChangeTable,
}

/// How a call, or an element of its batch, fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Fault {
    /// Nothing is done; this is why. EINVAL and its kind are [`RefusalCause::Kernel`].
    Refuse(RefusalCause),
    /// It is done; the caller hears that the answer was lost in a full socket buffer (ENOBUFS). An upcall is lost and counted.
    Lose,
    /// It is done, but answered so many milliseconds late. The whole batch waits. Without effect on upcalls.
    Delay(u64),
    /// It is done, but only after [`Faults::let_go`]. The whole batch waits. Without effect on upcalls.
    Hold,
    /// From now on every call says that the datapath is gone, until [`Faults::restore`]; who waits for upcalls is told at once.
    Vanish,
}

/// Faults to come, as data: the same plan meets the same calls in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FaultPlan {
    /// What the chances follow from.
    pub seed: u64,
    /// Asked in this order, the first that has a fault for a call counts.
    pub rules: Vec<Rule>,
}

/// One kind of fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The calls that meet it.
    pub operation: Operation,
    /// What they meet.
    pub fault: Fault,
    /// So many calls are spared first.
    pub after: u64,
    /// So many of a thousand meet it, 0 to 1 000.
    pub per_mille: u16,
    /// And no more than this; `None` for ever.
    pub times: Option<u64>,
}

impl Rule {
    /// Every call of the operation meets the fault.
    pub const fn always(operation: Operation, fault: Fault) -> Rule {
        Rule { operation, fault, after: 0, per_mille: 1_000, times: None }
    }
}

/// The faults to come, shared between a test and the datapath it wraps.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// How often what was held was let go.
    let_go: watch::Sender<u64>,
    is_gone: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    plan: FaultPlan,
    progress: Vec<Progress>,
    random: u64,
    queued: BTreeMap<Operation, VecDeque<Option<Fault>>>,
    struck: u64,
}

/// How far a rule is.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    asked: u64,
    struck: u64,
}

/// What a call meets, and what it waits for if it is held.
#[derive(Debug)]
pub(super) struct Met {
    pub(super) fault: Option<Fault>,
    pub(super) let_go: watch::Receiver<u64>,
}

impl Faults {
    /// No faults until they are asked for.
    pub fn none() -> Faults {
        Faults::default()
    }

    /// The faults of a plan.
    pub fn new(plan: FaultPlan) -> Faults {
        let faults = Faults::default();
        faults.follow(plan);
        faults
    }

    /// Follows this plan from now on, from its beginning.
    pub fn follow(&self, plan: FaultPlan) {
        let mut state = self.state();
        state.random = plan.seed;
        state.progress = vec![Progress::default(); plan.rules.len()];
        state.plan = plan;
    }

    /// The next call of `operation` that has no fault yet meets `fault`, whatever the plan says.
    pub fn next(&self, operation: Operation, fault: Fault) {
        self.state().queued.entry(operation).or_default().push_back(Some(fault));
    }

    /// The next call of `operation` that has no fault yet meets none, whatever the plan says.
    pub fn spare(&self, operation: Operation) {
        self.state().queued.entry(operation).or_default().push_back(None);
    }

    /// Ends all faults: what is queued and the plan are forgotten, what is held goes on, what had vanished is there again.
    pub fn clear(&self) {
        self.follow(FaultPlan::default());
        self.state().queued.clear();
        self.restore();
        self.let_go();
    }

    /// Lets every call that is [held](Fault::Hold) go on.
    pub fn let_go(&self) {
        self.0.let_go.send_modify(|times| *times += 1);
    }

    /// Brings back a datapath that [vanished](Fault::Vanish).
    pub fn restore(&self) {
        self.0.is_gone.send_replace(false);
    }

    /// How many faults calls have met.
    pub fn struck(&self) -> u64 {
        self.state().struck
    }

    /// What this call of `operation` meets.
    pub(super) fn meet(&self, operation: Operation) -> Met {
        // Subscribed before the fault is taken, so that a `let_go` right after it is not missed.
        let let_go = self.0.let_go.subscribe();
        let gone = || Fault::Refuse(RefusalCause::DatapathGone);
        if *self.0.is_gone.borrow() {
            return Met { fault: Some(gone()), let_go };
        }
        let fault = self.state().take(operation).map(|fault| match fault {
            Fault::Vanish => {
                self.0.is_gone.send_replace(true);
                gone()
            }
            other => other,
        });
        Met { fault, let_go }
    }

    /// Whether the datapath has vanished, now and later.
    pub(super) fn gone(&self) -> watch::Receiver<bool> {
        self.0.is_gone.subscribe()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, operation: Operation) -> Option<Fault> {
        let queued = self.queued.get_mut(&operation).and_then(VecDeque::pop_front);
        let fault = queued.unwrap_or_else(|| self.choose(operation));
        self.struck += u64::from(fault.is_some());
        fault
    }

    fn choose(&mut self, operation: Operation) -> Option<Fault> {
        let rules = self.plan.rules.iter().zip(&mut self.progress);
        for (rule, progress) in rules.filter(|(rule, _)| rule.operation == operation) {
            progress.asked += 1;
            let is_due =
                progress.asked > rule.after && rule.times.is_none_or(|times| progress.struck < times);
            if is_due && next_random(&mut self.random) % 1_000 < u64::from(rule.per_mille) {
                progress.struck += 1;
                return Some(rule.fault.clone());
            }
        }
        None
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014): any seed will do, and the same on every machine.
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(faults: &Faults, count: usize) -> Vec<bool> {
        (0..count).map(|_| faults.meet(Operation::PutFlow).fault.is_some()).collect()
    }

    #[test]
    fn a_rule_spares_strikes_and_ends() {
        let rule = Rule { after: 2, times: Some(3), ..Rule::always(Operation::PutFlow, Fault::Lose) };
        let faults = Faults::new(FaultPlan { seed: 1, rules: vec![rule] });
        assert_eq!(met(&faults, 7), [false, false, true, true, true, false, false]);
        assert_eq!(faults.struck(), 3);
        assert!(faults.meet(Operation::Attach).fault.is_none(), "a rule of another operation");
    }

    #[test]
    fn the_same_seed_strikes_the_same_calls() {
        let plan = |seed| FaultPlan {
            seed,
            rules: vec![Rule { per_mille: 200, ..Rule::always(Operation::PutFlow, Fault::Lose) }],
        };
        let first = met(&Faults::new(plan(7)), 2_000);
        assert_eq!(first, met(&Faults::new(plan(7)), 2_000));
        assert_ne!(first, met(&Faults::new(plan(8)), 2_000));
        let struck = first.iter().filter(|is_struck| **is_struck).count();
        assert!((300..500).contains(&struck), "{struck} of 2000 at 200 of 1000");
    }

    #[test]
    fn what_is_queued_comes_before_the_plan_and_the_first_rule_before_the_second() {
        let busy = || Fault::Refuse(RefusalCause::Busy);
        let full = || Fault::Refuse(RefusalCause::TableFull);
        let first = Rule { times: Some(1), ..Rule::always(Operation::PutFlow, busy()) };
        let faults =
            Faults::new(FaultPlan { seed: 0, rules: vec![first, Rule::always(Operation::PutFlow, full())] });
        faults.spare(Operation::PutFlow);
        faults.next(Operation::PutFlow, Fault::Lose);
        let met: Vec<_> = (0..4).map(|_| faults.meet(Operation::PutFlow).fault).collect();
        assert_eq!(met, [None, Some(Fault::Lose), Some(busy()), Some(full())]);
        faults.clear();
        assert_eq!(faults.meet(Operation::PutFlow).fault, None);
    }

    #[test]
    fn what_vanished_is_gone_for_every_call_until_it_is_restored() {
        let faults = Faults::none();
        faults.next(Operation::Read, Fault::Vanish);
        let gone = || Some(Fault::Refuse(RefusalCause::DatapathGone));
        assert_eq!(faults.meet(Operation::Attach).fault, None);
        assert_eq!(faults.meet(Operation::Read).fault, gone());
        assert_eq!(faults.meet(Operation::Attach).fault, gone());
        faults.restore();
        assert_eq!(faults.meet(Operation::Read).fault, None);
    }
}

//! What happens because time goes by: addresses age, blocked ports are let go, things are saved, swept and told again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use datapath::flow::FlowId;
use vlan::model::id::PortId;
use vlan::time::Instant;
use vlan::verdict::Dependency;

use super::Engine;
use super::due::Due;
use super::truth::standing::Cause;
use crate::counters::PortKey;
use crate::event::Event;

/// Times at which something is due.
#[derive(Debug, Default)]
pub(super) struct Clockwork {
    /// Blocked ports by name, and why.
    blocked: BTreeMap<String, Cause>,
    /// When each of them is let go.
    release: Due<String>,
    /// When an event of a kind may be told again.
    told: BTreeMap<(&'static str, String), Instant>,
    /// First frames dropped over budget, not told yet.
    over_budget: BTreeMap<PortKey, u64>,
    report_at: Option<Instant>,
    deletions: BTreeSet<FlowId>,
    delete_at: Option<Instant>,
    sweep_at: Option<Instant>,
}

impl Clockwork {
    pub(super) fn next_due(&self) -> Option<Instant> {
        [self.release.next(), self.report_at, self.delete_at, self.sweep_at].into_iter().flatten().min()
    }

    pub(super) fn blocked_until(&self, port: &str) -> Option<Instant> {
        self.release.when(&port.to_owned())
    }

    pub(super) fn why_blocked(&self, port: &str) -> Option<Cause> {
        self.blocked.get(port).copied()
    }

    pub(super) fn is_blocked(&self, port: &str) -> bool {
        self.blocked.contains_key(port)
    }

    /// Whether an event of this kind and about this was not told within the last [`TELL_EVERY`]; if not, it is now.
    pub(super) fn may_tell(&mut self, now: Instant, what: (&'static str, String)) -> bool {
        match self.told.get(&what) {
            Some(again_at) if now < *again_at => false,
            _ => {
                self.told.insert(what, now + TELL_EVERY);
                true
            }
        }
    }

    pub(super) fn note_over_budget(&mut self, now: Instant, port: PortKey) {
        *self.over_budget.entry(port).or_default() += 1;
        self.report_at.get_or_insert(now + REPORT_EVERY);
    }

    /// A flow whose deletion was refused for now.
    pub(super) fn delete_later(&mut self, now: Instant, id: FlowId) {
        self.deletions.insert(id);
        self.delete_at.get_or_insert(now + REPORT_EVERY);
    }
}

impl Engine {
    pub(super) fn keep_time(&mut self, now: Instant) {
        let aged = self.switch.fdb.addresses.age(now, AGEING_AT_ONCE);
        self.spoil_addresses(&aged.expired);
        for (segment, mac) in aged.thawed {
            self.spoil(Dependency::Address(segment, mac));
        }
        self.let_go(now);
        self.report_budgets(now);
        self.tell_of_bursts(now);
        self.meters.retry_due(now);
        if take_due(&mut self.time.delete_at, now) {
            for id in std::mem::take(&mut self.time.deletions) {
                if self.book.get(id).is_none() {
                    self.changes.delete_flow(id);
                }
            }
        }
        self.save_on(now);
    }

    /// Forgets what is not needed any more, at the end of an input: a meter removed in its middle might be wanted again before the end.
    pub(super) fn sweep(&mut self, now: Instant) {
        let sweep_at = *self.time.sweep_at.get_or_insert(now + crate::budget::SWEEP_EVERY);
        if sweep_at <= now {
            self.time.sweep_at = Some(now + crate::budget::SWEEP_EVERY);
            self.budget.forget_full(now);
            self.meters.sweep();
            self.time.told.retain(|_, again_at| now < *again_at);
        }
    }

    /// Blocks a port, or blocks it for longer.
    pub(super) fn block(&mut self, now: Instant, port: PortId, cause: Cause, pause: Duration) {
        let name = self.switch.topology().port(port).name.clone();
        self.time.release.set(name.clone(), now + pause);
        if self.time.blocked.insert(name.clone(), cause).is_none() {
            let why = cause.sentence().to_owned();
            self.tell(Event::PortBlocked { port: name, why, seconds: pause.as_secs() });
            self.refresh_at_once(now, port);
        }
    }

    /// Lets one port forward again.
    pub(super) fn unblock(&mut self, now: Instant, port: &str) {
        self.time.release.remove(&port.to_owned());
        if self.time.blocked.remove(port).is_some() {
            self.tell(Event::PortUnblocked { port: port.to_owned() });
            let id = self.switch.topology().port_named(port).map(|port| port.id);
            if let Some(id) = id {
                self.refresh_at_once(now, id);
            }
        }
    }

    /// Ports that are no more are blocked no longer.
    pub(super) fn forget_blocked(&mut self) {
        let topology = self.switch.topology();
        let gone = |name: &String| topology.port_named(name).is_none();
        for (name, _) in self.time.blocked.extract_if(.., |name, _| gone(name)) {
            self.time.release.remove(&name);
        }
    }

    fn let_go(&mut self, now: Instant) {
        while let Some(port) = self.time.release.take(now) {
            self.unblock(now, &port);
        }
    }

    fn report_budgets(&mut self, now: Instant) {
        if !take_due(&mut self.time.report_at, now) {
            return;
        }
        for (port, dropped) in std::mem::take(&mut self.time.over_budget) {
            let port = self.counts.name(port).to_owned();
            self.tell(Event::OverBudget { port, dropped });
        }
    }
}

/// Whether a time has come; if so it is taken away.
fn take_due(at: &mut Option<Instant>, now: Instant) -> bool {
    at.take_if(|at| *at <= now).is_some()
}

/// Addresses aged for one input.
const AGEING_AT_ONCE: usize = 2_000;
/// The same about the same is told once in this time.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// Ports over their budget are told once in this time.
const REPORT_EVERY: Duration = Duration::from_secs(1);

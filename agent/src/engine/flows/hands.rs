//! What other hands do to flows: those that are not ours are removed, ours that are gone come back, and all of it is told.

use std::time::Duration;

use datapath::Counters;
use vlan::time::Instant;

use crate::engine::telling::Telling;
use crate::event::Event;

/// What is still to be told.
#[derive(Debug, Default)]
pub(in crate::engine) struct Hands {
    foreign: u64,
    gone: u64,
    tell_at: Option<Instant>,
    told_at: Option<Instant>,
    /// What the datapath counted when last asked.
    pub(in crate::engine) datapath: Counters,
}

impl Hands {
    /// When something is to be told.
    pub(in crate::engine) fn next_due(&self) -> Option<Instant> {
        self.tell_at
    }

    /// The first is told at once, what follows soon after it together.
    fn tell_soon(&mut self, now: Instant) {
        let at = self.told_at.map_or(now, |told| (told + TELL_EVERY).max(now));
        self.tell_at.get_or_insert(at);
    }

    /// Flows that are not of our making were there, and were removed.
    pub(super) fn note_foreign(&mut self, now: Instant, flows: u64) {
        if flows > 0 {
            self.foreign += flows;
            self.tell_soon(now);
        }
    }

    /// Flows of ours are not there any more.
    pub(in crate::engine) fn note_gone(&mut self, now: Instant, flows: u64) {
        if flows > 0 {
            self.gone += flows;
            self.tell_soon(now);
        }
    }

    /// Takes in what the datapath counted, and with it how many flows of others it has removed by itself.
    pub(in crate::engine) fn note_counters(&mut self, now: Instant, counters: Counters) {
        // A datapath that was opened anew counts from 0.
        let before = self.datapath.foreign;
        let more = counters.foreign.checked_sub(before).unwrap_or(counters.foreign);
        self.note_foreign(now, more);
        self.datapath = counters;
    }

    /// Tells what other hands have done, if it is time.
    pub(in crate::engine) fn tell(&mut self, now: Instant, telling: &mut Telling) {
        if self.tell_at.take_if(|at| *at <= now).is_none() {
            return;
        }
        self.told_at = Some(now);
        let removed = std::mem::take(&mut self.foreign);
        if removed > 0 {
            telling.tell(Event::ForeignFlows { removed });
        }
        let missing = std::mem::take(&mut self.gone);
        if missing > 0 {
            telling.tell(Event::FlowsGone { missing });
        }
    }
}

/// Flows are told no more often than this.
const TELL_EVERY: Duration = Duration::from_secs(10);

//! What other hands do to the datapath: flows and vports that are not ours are removed, ours that are gone come back, and all of it is told.

use std::time::Duration;

use datapath::Counters;
use datapath::flow::FlowId;
use vlan::time::Instant;

use crate::engine::Engine;
use crate::event::Event;

/// What is still to be told.
#[derive(Debug, Default)]
pub(in crate::engine) struct Hands {
    foreign: u64,
    gone: u64,
    tell_at: Option<Instant>,
    told_at: Option<Instant>,
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

    fn note_foreign(&mut self, now: Instant, flows: u64) {
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
}

impl Engine {
    /// A flow that the book does not have is withdrawn; one that is not of our making is told.
    pub(in crate::engine) fn remove_unknown(&mut self, now: Instant, id: FlowId) {
        if !self.book.may_be_ours(id) {
            self.hands.note_foreign(now, 1);
        }
        self.changes.delete_flow(id);
    }

    /// Takes in what the datapath counted, and with it how many flows of others it has removed by itself.
    pub(in crate::engine) fn note_counters(&mut self, now: Instant, counters: Counters) {
        // A datapath that was opened anew counts from 0.
        let before = self.datapath.foreign;
        let more = counters.foreign.checked_sub(before).unwrap_or(counters.foreign);
        self.hands.note_foreign(now, more);
        self.datapath = counters;
    }

    /// Tells what other hands have done.
    pub(in crate::engine) fn tell_of_hands(&mut self, now: Instant) {
        let (strangers, regained) = self.links.take_foreign();
        for link in strangers {
            self.tell(Event::ForeignVport { link });
        }
        for link in regained {
            self.tell(Event::VportGone { link });
        }
        if self.hands.tell_at.take_if(|at| *at <= now).is_none() {
            return;
        }
        self.hands.told_at = Some(now);
        let removed = std::mem::take(&mut self.hands.foreign);
        if removed > 0 {
            self.tell(Event::ForeignFlows { removed });
        }
        let missing = std::mem::take(&mut self.hands.gone);
        if missing > 0 {
            self.tell(Event::FlowsGone { missing });
        }
    }
}

/// Flows are told no more often than this.
const TELL_EVERY: Duration = Duration::from_secs(10);

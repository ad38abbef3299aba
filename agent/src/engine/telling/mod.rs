//! What an operator is told, and what is counted: each event once, and the same about the same no more often than every ten seconds.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use datapath::Refusal;
use vlan::time::Instant;

use crate::counters::{Counts, Loss, PortKey};
use crate::event::Event;
use crate::input::Answer;

use bursts::Bursts;

pub(super) mod bursts;

/// What is counted, what was told lately, and what is still to be told.
#[derive(Debug, Default)]
pub(super) struct Telling {
    pub(super) counts: Counts,
    pub(super) bursts: Bursts,
    events: VecDeque<Event>,
    /// When an event of a kind may be told again.
    recent: BTreeMap<(&'static str, String), Instant>,
    /// First frames dropped over budget, not told yet.
    over_budget: BTreeMap<PortKey, u64>,
    report_at: Option<Instant>,
}

impl Telling {
    pub(super) fn tell(&mut self, event: Event) {
        self.counts.tell(&event);
        self.events.push_back(event);
    }

    /// The next event, in the order in which they were told.
    pub(super) fn next(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether an event of this kind and about this was not told within the last [`TELL_EVERY`]; if not, it is now.
    pub(super) fn may_tell(&mut self, now: Instant, what: (&'static str, String)) -> bool {
        match self.recent.get(&what) {
            Some(again_at) if now < *again_at => false,
            _ => {
                self.recent.insert(what, now + TELL_EVERY);
                true
            }
        }
    }

    /// Counts a refusal, and tells of the first of its kind in a while.
    pub(super) fn note_refusal(
        &mut self,
        now: Instant,
        what: &'static str,
        refusal: &Refusal,
        retried: bool,
    ) {
        let cause = refusal.cause.name();
        self.counts.refuse(what, cause);
        if self.may_tell(now, (what, cause.to_owned())) {
            self.tell(Event::Refused { what: refusal.to_string(), retried });
        }
    }

    /// Counts the refusals among some answers.
    pub(super) fn note_refusals(&mut self, now: Instant, what: &'static str, answers: Vec<Answer>) {
        for answer in answers {
            if let Answer::Refused(refusal) = answer {
                self.note_refusal(now, what, &refusal, false);
            }
        }
    }

    /// Counts a frame that was more than the budget of its port.
    pub(super) fn note_over_budget(&mut self, now: Instant, port: PortKey) {
        self.counts.lose(port, Loss::OverBudget, None, 1);
        *self.over_budget.entry(port).or_default() += 1;
        self.report_at.get_or_insert(now + REPORT_EVERY);
    }

    /// Counts frames that were not sent after all; an answer that is missing counts as done.
    pub(super) fn note_frames(&mut self, ports: &[PortKey], answers: impl IntoIterator<Item = Answer>) {
        for (port, answer) in ports.iter().zip(answers) {
            let Answer::Refused(refusal) = answer else { continue };
            let counts = self.counts.port(*port);
            counts.executed = counts.executed.saturating_sub(1);
            self.counts.lose(*port, Loss::Refused, None, 1);
            self.counts.refuse("execute", refusal.cause.name());
        }
    }

    /// Tells which ports were over their budget, which have begun to drop frames, and which have ended.
    pub(super) fn keep_time(&mut self, now: Instant) {
        if self.report_at.take_if(|at| *at <= now).is_some() {
            for (port, dropped) in std::mem::take(&mut self.over_budget) {
                let port = self.counts.name(port).to_owned();
                self.tell(Event::OverBudget { port, dropped });
            }
        }
        self.tell_of_bursts(now);
    }

    /// Forgets what may be told again anyhow.
    pub(super) fn sweep(&mut self, now: Instant) {
        self.recent.retain(|_, again_at| now < *again_at);
    }

    /// When something is to be told.
    pub(super) fn next_due(&self) -> Option<Instant> {
        [self.report_at, self.bursts.next_due()].into_iter().flatten().min()
    }
}

/// The same about the same is told once in this time.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// Ports over their budget are told once in this time.
const REPORT_EVERY: Duration = Duration::from_secs(1);

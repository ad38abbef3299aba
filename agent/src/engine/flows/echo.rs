//! Frames that may be our own, come back. Whether one was sent by a flow of the kernel only the kernel knows: the flows that may have
//! done it are asked when they did so last, and the frame waits for the answer.
//!
//! ```text
//!   a source known on the virtual side is heard from a fabric
//!     ├── such a frame is known to have been sent there within the last second ───────────► reflected
//!     ├── flows that can have sent one are asked ── what they say is known from then on ──► reflected
//!     ├── none has, and there are more than are asked ── it is dropped, and nothing moves
//!     └── none has ──┬── it is at a port of this host ────────────────────────────────────► a move
//!                    └── it is at another host ──► that is asked (`hosts`)
//! ```
//! Readings of all flows decide nothing here: half a second old, they would say of a frame that has just been sent that it never was.
//!
//! A flow that is replaced in place keeps its counts, though it sends elsewhere from then on. So it is asked once more, right before: what
//! it sent until then may come back as it may no longer later, and what it sends from then on is what it counts beyond.

use datapath::flow::FlowId;
use vlan::fdb::reflect::{Echo, Evidence};
use vlan::plane::Ingress;
use vlan::time::Instant;

use super::Flows;
use super::book::eras::Dated;
use super::doubt::{Came, Doubt, MOST_WAITING, ORDINARY, Whose};
use super::hosts::Inquiry;
use super::turn::{Turn, last_sent};
use crate::counters::Loss;
use crate::engine::truth::Truth;
use crate::input::Answer;

impl Flows {
    /// Has a frame wait until the flows that may have sent it were asked; where there is nothing to wait for, it is judged.
    pub(super) fn doubt(
        &mut self,
        now: Instant,
        truth: &mut Truth,
        (ingress, echo): (Ingress, Echo),
        came: Came,
    ) {
        let suspects = self.cache.book.may_have_sent(&echo);
        let is_none = suspects.flows.is_empty() && !suspects.may_be_more;
        // One that is being withdrawn or diverted tells with an answer that comes before the one to what is asked now.
        if is_none && !self.cache.is_one_to_tell() {
            return self.judge_frame(now, truth, (ingress, Evidence::HostUnasked, ORDINARY), came);
        }
        if self.waiting >= MOST_WAITING {
            let key = truth.key_of_ingress(ingress);
            return truth.telling.counts.lose(key, Loss::OverBudget, None, 1);
        }
        self.waiting += 1;
        let echo = self.cache.book.eras.date(echo);
        self.cache.changes.doubts.push(Doubt { echo, whose: Whose::Frame(came), suspects });
    }

    /// Judges the frames that waited for these answers, and says to other hosts what they have asked.
    pub(in crate::engine) fn note_uses(
        &mut self,
        now: Instant,
        truth: &mut Truth,
        doubts: Vec<Doubt>,
        answers: Vec<Answer>,
    ) {
        let mut answers = answers.into_iter();
        for doubt in &doubts {
            for (flow, answer) in doubt.suspects.flows.iter().zip(answers.by_ref()) {
                let used = self.last_use(now, truth, *flow, answer);
                self.note_sent(now, truth, doubt.echo, used);
            }
        }
        for Doubt { echo, whose, suspects } in doubts {
            self.waiting -= 1;
            let echo = self.cache.book.eras.today(echo);
            let is_sent = echo.is_some_and(|echo| truth.switch.fdb.sent.last(now, echo).is_some());
            let is_open = suspects.may_be_more && !is_sent;
            let mut inquiry = Inquiry::new(now, truth, self);
            match (whose, echo) {
                (Whose::Frame(came), _) if is_open => inquiry.lose(&came),
                (Whose::Host(..), _) if is_open => {}
                (Whose::Frame(came), _) => inquiry.judge_again(Evidence::HostUnasked, came),
                (Whose::Host(host, question), Some(echo)) => inquiry.answer(host, &question, echo),
                (Whose::Host(..), None) => {}
            }
        }
    }

    /// Frames that may come back were sent last at this time.
    pub(super) fn note_sent(&self, now: Instant, truth: &mut Truth, echo: Dated, used: Option<Instant>) {
        if let Some(echo) = self.cache.book.eras.today(echo) {
            truth.note_sent(now, echo, used);
        }
    }

    /// When a flow was last used. One that cannot be asked is taken to have been used when it was last known to be.
    fn last_use(&self, now: Instant, truth: &mut Truth, flow: FlowId, answer: Answer) -> Option<Instant> {
        let book = &self.cache.book;
        match answer {
            Answer::Counted(stats) => last_sent(&stats, book.turned_at(flow)),
            Answer::Refused(refusal) if !refusal.is_not_found() => {
                truth.telling.note_refusal(now, "read-flow", &refusal, false);
                book.get(flow).map(|record| record.used)
            }
            _ => None,
        }
    }

    /// Remembers when diverted flows were last used, and how often. One that cannot be asked is taken to have been used just now.
    pub(in crate::engine) fn note_diverted_uses(
        &mut self,
        now: Instant,
        truth: &mut Truth,
        diverted: &[(FlowId, Turn)],
        answers: Vec<Answer>,
    ) {
        self.cache.note_diverted(diverted.len());
        for ((flow, turn), answer) in diverted.iter().zip(answers) {
            match (turn, answer) {
                (Turn::Loses(echo), Answer::Counted(stats)) => {
                    let used = last_sent(&stats, self.cache.book.turned_at(*flow));
                    self.note_sent(now, truth, *echo, used);
                }
                (Turn::Loses(_), Answer::Refused(refusal)) if refusal.is_not_found() => {}
                (Turn::Loses(echo), _) => self.note_sent(now, truth, *echo, Some(now)),
                (Turn::Gains, Answer::Counted(stats)) => {
                    self.cache.book.note_turned(*flow, stats.packets);
                }
                (Turn::Gains, _) => {}
            }
        }
    }
}

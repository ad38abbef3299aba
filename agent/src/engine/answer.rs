//! Answers to what was asked of the datapath, and what follows from a refusal.

use datapath::Refusal;
use datapath::flow::FlowId;
use vlan::time::Instant;

use super::Engine;
use crate::counters::{Loss, PortKey};
use crate::event::Event;
use crate::input::Answer;

/// What was asked and is not answered yet.
#[derive(Debug)]
pub(super) enum Asked {
    /// Make a link a vport.
    Attach(String),
    /// Release a vport.
    Detach,
    /// Put and withdraw flows.
    Flows(Vec<FlowAsked>),
    /// Send frames, counted for these ports.
    Frames(Vec<PortKey>),
    /// Put flows and send frames, which are answered one behind the other.
    SetUp(Box<[Asked; 2]>),
    /// Set and remove meters.
    Meters,
}

impl Asked {
    /// How many answers there are to be.
    fn count(&self) -> usize {
        match self {
            Asked::Flows(flows) => flows.len(),
            Asked::Frames(ports) => ports.len(),
            Asked::SetUp(parts) => parts.iter().map(Asked::count).sum(),
            Asked::Attach(_) | Asked::Detach | Asked::Meters => 1,
        }
    }
}

/// What was asked about a flow.
#[derive(Debug, Clone, Copy)]
pub(super) enum FlowAsked {
    /// Put it.
    Put(FlowId),
    /// Withdraw it.
    Delete(FlowId),
}

impl Engine {
    /// Takes in the answers to an output; an answer that is missing counts as done.
    pub(super) fn note_answers(&mut self, now: Instant, id: u64, answers: Vec<Answer>) {
        if let Some(asked) = self.asked.remove(&id) {
            self.note_answers_to(now, asked, answers);
        }
    }

    fn note_answers_to(&mut self, now: Instant, asked: Asked, mut answers: Vec<Answer>) {
        match asked {
            Asked::Attach(link) => {
                answers.into_iter().for_each(|answer| self.note_attached(now, &link, answer))
            }
            Asked::Detach => self.note_refusals(now, "detach", answers),
            Asked::Flows(flows) => self.note_flows(now, &flows, answers),
            Asked::Frames(ports) => self.note_frames(&ports, answers),
            Asked::SetUp(parts) => {
                let [flows, frames] = *parts;
                let behind = answers.split_off(flows.count().min(answers.len()));
                self.note_answers_to(now, flows, answers);
                self.note_answers_to(now, frames, behind);
            }
            Asked::Meters => self.note_refusals(now, "set-meter", answers),
        }
    }

    fn note_attached(&mut self, now: Instant, link: &str, answer: Answer) {
        match answer {
            Answer::Attached(vport) => self.links.note_attached(link, vport),
            Answer::Done | Answer::Withdrawn(_) => {}
            Answer::Refused(refusal) => {
                self.counts.refuse("attach", refusal.cause.name());
                if self.links.note_attach_refused(now, link, &refusal) {
                    self.tell(Event::Refused { what: refusal.to_string(), retried: true });
                }
            }
        }
    }

    fn note_flows(&mut self, now: Instant, flows: &[FlowAsked], answers: Vec<Answer>) {
        let mut answers = answers.into_iter();
        for asked in flows {
            let (refusal, counted) = match answers.next() {
                Some(Answer::Refused(refusal)) => (Some(refusal), None),
                Some(Answer::Withdrawn(counted)) => (None, Some(counted)),
                _ => (None, None),
            };
            match asked {
                FlowAsked::Put(id) => self.note_put(now, *id, refusal),
                FlowAsked::Delete(id) => {
                    self.count_withdrawn(*id, counted);
                    self.note_deleted(now, *id, refusal);
                }
            }
        }
    }

    /// A flow that was not put is struck out: its frames go on coming up, and the next of them tries again.
    fn note_put(&mut self, now: Instant, id: FlowId, refusal: Option<Refusal>) {
        if let Some(record) = self.book.get_mut(id) {
            record.unanswered = record.unanswered.saturating_sub(1);
        }
        let Some(refusal) = refusal else { return };
        if let Some(record) = self.book.remove(id) {
            self.meters.release(&record.actions);
            // What it replaced may still be there.
            self.changes.delete_flow(id);
        }
        self.note_refusal(now, "put-flow", &refusal, true);
    }

    fn note_deleted(&mut self, now: Instant, id: FlowId, refusal: Option<Refusal>) {
        let Some(refusal) = refusal else { return };
        let is_retried = refusal.is_retryable() && self.book.get(id).is_none();
        if is_retried {
            self.time.delete_later(now, id);
        }
        self.note_refusal(now, "delete-flow", &refusal, is_retried);
    }

    fn note_frames(&mut self, ports: &[PortKey], answers: Vec<Answer>) {
        for (port, answer) in ports.iter().zip(answers) {
            let Answer::Refused(refusal) = answer else { continue };
            let counts = self.counts.port(*port);
            counts.executed = counts.executed.saturating_sub(1);
            counts.lose(Loss::Refused, 1);
            self.counts.refuse("execute", refusal.cause.name());
        }
    }

    fn note_refusals(&mut self, now: Instant, what: &'static str, answers: Vec<Answer>) {
        for answer in answers {
            if let Answer::Refused(refusal) = answer {
                self.note_refusal(now, what, &refusal, false);
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
        if self.time.may_tell(now, (what, cause.to_owned())) {
            self.tell(Event::Refused { what: refusal.to_string(), retried });
        }
    }
}

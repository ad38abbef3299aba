//! Answers to what was asked of the datapath, and what follows from a refusal.

use std::vec::IntoIter;

use datapath::flow::{FlowId, MeterId};
use datapath::{Refusal, RefusalCause};
use vlan::time::Instant;
use vlan::verdict::StormClass;

use super::doubt::Doubt;
use super::meters::{Length, Metered, Scope};
use super::turn::Turn;
use crate::counters::{Loss, PortKey};
use crate::engine::Engine;
use crate::event::Event;
use crate::input::Answer;

/// What was asked and is not answered yet.
#[derive(Debug)]
pub(in crate::engine) enum Asked {
    /// Make a link a vport.
    Attach(String),
    /// Release a vport.
    Detach,
    /// Put and withdraw flows.
    Flows(Vec<FlowAsked>),
    /// Send frames, counted for these ports.
    Frames(Vec<PortKey>),
    /// Put flows and send frames counted for these ports; the flows are answered first.
    SetUp(Vec<FlowAsked>, Vec<PortKey>),
    /// Set and remove meters.
    Meters(Vec<MeterId>),
    /// Read when flows were last used that go elsewhere from then on, and what may come back of what they sent.
    Diverted(Vec<(FlowId, Turn)>),
    /// Read when flows were last used, for frames that wait for it.
    Uses(Vec<Doubt>),
}

/// What was asked about a flow.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) enum FlowAsked {
    /// Put it.
    Put(FlowId),
    /// Withdraw it.
    Delete(FlowId),
}

impl Engine {
    /// Takes in the answers to an output; an answer that is missing counts as done.
    pub(in crate::engine) fn note_answers(&mut self, now: Instant, id: u64, answers: Vec<Answer>) {
        let Some(asked) = self.asked.remove(&id) else { return };
        match asked {
            Asked::Attach(link) => {
                answers.into_iter().for_each(|answer| self.note_attached(now, &link, answer))
            }
            Asked::Detach => self.note_refusals(now, "detach", answers),
            Asked::Flows(flows) => self.note_flows(now, &flows, &mut answers.into_iter()),
            Asked::Frames(ports) => self.note_frames(&ports, &mut answers.into_iter()),
            Asked::SetUp(flows, ports) => {
                let mut answers = answers.into_iter();
                self.note_flows(now, &flows, &mut answers);
                self.note_frames(&ports, &mut answers);
            }
            Asked::Meters(meters) => self.note_meters(now, &meters, answers),
            Asked::Diverted(flows) => self.note_diverted_uses(now, flows, answers),
            Asked::Uses(doubts) => self.note_uses(now, doubts, answers),
        }
    }

    fn note_attached(&mut self, now: Instant, link: &str, answer: Answer) {
        match answer {
            Answer::Attached(vport) => self.links.note_attached(link, vport),
            Answer::Done | Answer::Withdrawn(_) | Answer::Counted(_) => {}
            Answer::Refused(refusal) => {
                self.counts.refuse("attach", refusal.cause.name());
                if self.links.note_attach_refused(now, link, &refusal) {
                    self.tell(Event::Refused { what: refusal.to_string(), retried: true });
                }
            }
        }
    }

    fn note_flows(&mut self, now: Instant, flows: &[FlowAsked], answers: &mut IntoIter<Answer>) {
        for asked in flows {
            let (refusal, counted) = match answers.next() {
                Some(Answer::Refused(refusal)) => (Some(refusal), None),
                Some(Answer::Withdrawn(counted)) => (None, Some(counted)),
                _ => (None, None),
            };
            match asked {
                FlowAsked::Put(id) => self.note_put(now, *id, refusal),
                FlowAsked::Delete(id) => {
                    self.count_withdrawn(now, *id, counted);
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
        let Some(mut refusal) = refusal else { return };
        if let Some(record) = self.book.remove(id) {
            self.meters.release(&record.actions);
            // What it replaced may still be there.
            self.changes.delete_flow(id);
            let (header, port) = (&record.key.header, self.counts.name(record.port));
            refusal.what = format!("put a flow for {} to {} from {port}", header.src, header.dst);
        }
        self.note_refusal(now, "put-flow", &refusal, true);
    }

    fn note_deleted(&mut self, now: Instant, id: FlowId, refusal: Option<Refusal>) {
        let Some(mut refusal) = refusal else { return };
        let is_retried = refusal.is_retryable() && self.book.get(id).is_none();
        refusal.what = "delete a flow".to_owned();
        if is_retried {
            self.time.delete_later(now, id);
        }
        self.note_refusal(now, "delete-flow", &refusal, is_retried);
    }

    fn note_frames(&mut self, ports: &[PortKey], answers: &mut IntoIter<Answer>) {
        for (port, answer) in ports.iter().zip(answers) {
            let Answer::Refused(refusal) = answer else { continue };
            let counts = self.counts.port(*port);
            counts.executed = counts.executed.saturating_sub(1);
            self.counts.lose(*port, Loss::Refused, None, 1);
            self.counts.refuse("execute", refusal.cause.name());
        }
    }

    /// A limit that was refused for now is asked for again; its flows are without it until then.
    fn note_meters(&mut self, now: Instant, meters: &[MeterId], answers: Vec<Answer>) {
        for (id, answer) in meters.iter().zip(answers) {
            let Answer::Refused(refusal) = answer else {
                self.meters.note_done(*id);
                continue;
            };
            // A datapath that is made anew gets all of them.
            let is_gone = matches!(refusal.cause, RefusalCause::DatapathGone | RefusalCause::TakenOver);
            if refusal.is_retryable() {
                self.meters.retry_later(now, *id);
            }
            let is_retried = is_gone || refusal.is_retryable();
            let refusal = match self.meters.what(*id) {
                Some(what) => {
                    Refusal { what: format!("{} ({})", self.limit_name(what), refusal.what), ..refusal }
                }
                None => refusal,
            };
            self.note_refusal(now, "set-meter", &refusal, is_retried);
        }
    }

    /// What a meter limits, in words.
    pub(in crate::engine) fn limit_name(&self, what: Metered) -> String {
        let what = match what {
            Metered::Storm(what) => what,
            Metered::Length(Length { port, exit, .. }) => {
                let (port, exit) = (self.counts.name(port), self.counts.name(exit));
                return format!("count of frames from {port} that are too long for {exit}");
            }
        };
        let class = match what.class {
            StormClass::Broadcast => "broadcast",
            StormClass::Multicast => "multicast",
            StormClass::Unknown => "unknown unicast",
        };
        let port = self.counts.name(what.port);
        match what.vlan {
            Scope::Vlan(Some(vid)) => format!("limit of {class} of VLAN {vid} from {port}"),
            Scope::Vlan(None) | Scope::Port => format!("limit of {class} from {port}"),
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
    pub(in crate::engine) fn note_refusal(
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

//! What the datapath answers of flows, and what follows from a refusal.

use std::vec::IntoIter;

use datapath::flow::{FlowId, FlowStats};
use vlan::time::Instant;

use super::Flows;
use super::counted::Withdrawn;
use super::turn::last_sent;
use crate::engine::outbox::FlowAsked;
use crate::engine::truth::Truth;
use crate::input::Answer;

impl Flows {
    /// Takes in the answers to changes of flows; one that is missing counts as done.
    pub(in crate::engine) fn note_flows(
        &mut self,
        now: Instant,
        truth: &mut Truth,
        flows: &[FlowAsked],
        answers: &mut IntoIter<Answer>,
    ) {
        for asked in flows {
            let (refusal, counted) = match answers.next() {
                Some(Answer::Refused(refusal)) => (Some(refusal), None),
                Some(Answer::Withdrawn(counted)) => (None, Some(counted)),
                _ => (None, None),
            };
            match asked {
                FlowAsked::Put(id) => self.cache.note_put(now, *id, refusal, &mut truth.telling),
                FlowAsked::Delete(id) => {
                    self.count_withdrawn(now, truth, *id, counted);
                    if let Some(refusal) = refusal {
                        self.cache.note_undeleted(now, *id, refusal, &mut truth.telling);
                    }
                }
            }
        }
    }

    /// The last frames of a flow that is gone. What it sent last may still come back.
    fn count_withdrawn(&mut self, now: Instant, truth: &mut Truth, id: FlowId, stats: Option<FlowStats>) {
        let Some((Withdrawn { counted, last_words }, stats)) = self.cache.take_withdrawn(id).zip(stats)
        else {
            return;
        };
        counted.go_on(&stats, &mut self.cache.meters, &mut truth.telling.counts);
        let used = last_sent(&stats, last_words.turned_at);
        for echo in last_words.echoes {
            self.note_sent(now, truth, echo, used);
        }
    }
}

//! Frames that may be our own, come back. Whether one was sent by a flow of the kernel only the kernel knows: the flows that may have
//! done it are asked when they did so last, and the frame waits for the answer.
//!
//! ```text
//!   a source known on the virtual side is heard from a fabric
//!     ├── such a frame is known to have been sent there within the last second ───────────► reflected
//!     ├── no flow can have sent one ──────────────────────────────────────────────────────► a move
//!     └── those that can are asked ── what they say is known from then on ── judged ──► one of the two
//! ```
//! Readings of all flows decide nothing here: half a second old, they would say of a frame that has just been sent that it never was.
//!
//! A flow that is replaced in place keeps its counts, though it sends elsewhere from then on. So it is asked once more, right before: what
//! it sent until then may come back as it may no longer later, and what it sends from then on is what it counts beyond.

use datapath::flow::{FlowId, FlowKey, FlowStats};
use smallvec::SmallVec;
use vlan::fdb::reflect::{Echo, Evidence};
use vlan::model::id::PortId;
use vlan::time::Instant;

use super::answer::Asked;
use super::book::Record;
use super::doubt::Doubt;
use super::turn::{LastWords, Turn, last_sent};
use crate::counters::Loss;
use crate::engine::Engine;
use crate::input::Answer;
use crate::output::Output;

impl Engine {
    /// Has a frame wait until the flows that may have sent it were asked; where there is nothing to wait for, it is judged.
    pub(in crate::engine) fn doubt(
        &mut self,
        now: Instant,
        port: PortId,
        echo: Echo,
        key: FlowKey,
        frame: Vec<u8>,
    ) {
        let flows = self.book.may_have_sent(&echo);
        // One that is being withdrawn or diverted tells with an answer that comes before the one to what is asked now.
        if flows.is_empty() && self.withdrawn.is_empty() && self.diverting == 0 {
            return self.judge_frame(now, (port, Evidence::Complete), key, frame);
        }
        if self.waiting >= MOST_WAITING {
            let key = self.key_of(port);
            return self.counts.lose(key, Loss::OverBudget, None, 1);
        }
        self.waiting += 1;
        self.changes.doubts.push(Doubt { echo, key, frame, flows });
    }

    /// Asks the flows.
    pub(in crate::engine) fn ask_flows(&mut self, mut doubts: Vec<Doubt>) {
        while !doubts.is_empty() {
            let rest = doubts.split_off(doubts.len().min(ASKED_AT_ONCE));
            let flows = doubts.iter().flat_map(|doubt| doubt.flows.iter().copied()).collect();
            let id = self.ask(Asked::Uses(doubts));
            self.outputs.push_back(Output::ReadFlows { id, flows });
            doubts = rest;
        }
    }

    /// Judges the frames that waited for these answers.
    pub(in crate::engine) fn note_uses(&mut self, now: Instant, doubts: Vec<Doubt>, answers: Vec<Answer>) {
        let mut answers = answers.into_iter();
        for doubt in &doubts {
            for (flow, answer) in doubt.flows.iter().zip(answers.by_ref()) {
                let used = self.last_use(now, *flow, answer);
                self.note_use(now, doubt.echo, used);
            }
        }
        for Doubt { key, frame, .. } in doubts {
            self.waiting -= 1;
            match self.links.port_of(key.vport) {
                Some(port) => self.judge_frame(now, (port, Evidence::Complete), key, frame),
                None => self.counts.strangers += 1,
            }
        }
    }

    /// When a flow was last used. One that cannot be asked is taken to have been used when it was last known to be.
    fn last_use(&mut self, now: Instant, flow: FlowId, answer: Answer) -> Option<Instant> {
        match answer {
            Answer::Counted(stats) => self.used_since_it_turned(flow, &stats),
            Answer::Refused(refusal) if !refusal.is_not_found() => {
                self.note_refusal(now, "read-flow", &refusal, false);
                self.book.get(flow).map(|record| record.used)
            }
            _ => None,
        }
    }

    /// When a flow was last used, if that was since it sends what it sends now.
    fn used_since_it_turned(&self, flow: FlowId, stats: &FlowStats) -> Option<Instant> {
        last_sent(stats, self.book.get(flow).map_or(0, |record| record.turned_at))
    }

    fn note_use(&mut self, now: Instant, echo: Echo, used: Option<Instant>) {
        let Some(used) = used.filter(|used| now.since(*used) <= vlan::fdb::ECHO) else { return };
        self.switch.fdb.addresses.touch(now, echo.segment, echo.mac, used);
        self.switch.fdb.sent.note(used, echo);
    }

    /// What a flow that is gone sent last may still come back.
    pub(in crate::engine) fn note_last_words(&mut self, now: Instant, words: &LastWords, stats: &FlowStats) {
        let used = last_sent(stats, words.turned_at);
        for echo in &words.echoes {
            self.note_use(now, *echo, used);
        }
    }

    /// A flow is about to go elsewhere than before: it is asked how often, and when last, it was used until then.
    pub(in crate::engine) fn note_diverted(&mut self, before: SmallVec<[Echo; 1]>, after: &Record) {
        // Identifiers of another topology say nothing in this one.
        if self.heritage.in_force.is_some() {
            return;
        }
        let gains = after.echoes().any(|new| !before.contains(&new));
        let lost = before.into_iter().filter(|echo| !after.echoes().any(|still| still == *echo));
        let turns = lost.map(Turn::Loses).chain(gains.then_some(Turn::Gains));
        self.changes.diverted.extend(turns.map(|turn| (after.id, turn)));
    }

    /// Asks how often and when diverted flows were used.
    pub(in crate::engine) fn ask_diverted(&mut self, diverted: Vec<(FlowId, Turn)>) {
        self.diverting += diverted.len();
        for batch in diverted.chunks(ASKED_AT_ONCE * MOST_ASKED) {
            let flows = batch.iter().map(|(flow, _)| *flow).collect();
            let id = self.ask(Asked::Diverted(batch.to_vec()));
            self.outputs.push_back(Output::ReadFlows { id, flows });
        }
    }

    /// Remembers when diverted flows were last used, and how often. One that cannot be asked is taken to have been used just now.
    pub(in crate::engine) fn note_diverted_uses(
        &mut self,
        now: Instant,
        diverted: Vec<(FlowId, Turn)>,
        answers: Vec<Answer>,
    ) {
        self.diverting -= diverted.len();
        for ((flow, turn), answer) in diverted.iter().zip(answers) {
            match (turn, answer) {
                (Turn::Loses(echo), Answer::Counted(stats)) => {
                    let used = self.used_since_it_turned(*flow, &stats);
                    self.note_use(now, *echo, used);
                }
                (Turn::Loses(_), Answer::Refused(refusal)) if refusal.is_not_found() => {}
                (Turn::Loses(echo), _) => self.note_use(now, *echo, Some(now)),
                (Turn::Gains, Answer::Counted(stats)) => self.book.note_turned(*flow, stats.packets),
                (Turn::Gains, _) => {}
            }
        }
    }
}

/// Most frames that wait at once.
const MOST_WAITING: usize = 1_024;
/// Frames whose flows are asked by one output: with [`MOST_ASKED`] flows each, 1 024 flows.
const ASKED_AT_ONCE: usize = 64;
/// Flows that are asked for one frame: the last ones put of those that may have sent it. They differ in priorities and inner tags.
pub(in crate::engine) const MOST_ASKED: usize = 16;

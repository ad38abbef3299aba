//! What the datapath is to keep: the flows of the book, the meters and groups that they name, and what of it is on its way.
//!
//! A flow of the book holds the meters that it names, and lets go of them when it is struck out.

use std::collections::BTreeSet;
use std::time::Duration;

use datapath::Refusal;
use datapath::flow::{FlowChange, FlowId};
use datapath::port::VportNo;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use vlan::fdb::reflect::Echo;
use vlan::time::Instant;

use super::book::{Book, Record};
use super::changes::{Changes, Wanted};
use super::class::Class;
use super::counted::Withdrawn;
use super::groups::Groups;
use super::meters::Meters;
use super::turn::Turn;
use crate::engine::outbox::Outbox;
use crate::engine::telling::Telling;
use crate::output::Output;

/// What the datapath is to keep.
#[derive(Debug)]
pub(in crate::engine) struct Cache {
    pub(in crate::engine) book: Book,
    pub(in crate::engine) meters: Meters,
    pub(super) groups: Groups,
    pub(super) changes: Changes,
    /// Flows whose withdrawal is under way: what they count until then is counted when the answer comes.
    withdrawn: FxHashMap<FlowId, Withdrawn>,
    /// How many flows are asked when they were last used before they go elsewhere.
    diverting: usize,
    /// Flows whose withdrawal was refused for now.
    undeleted: BTreeSet<FlowId>,
    delete_at: Option<Instant>,
}

impl Cache {
    /// Nothing.
    pub(super) fn new(seed: u64) -> Cache {
        Cache {
            book: Book::new(seed),
            meters: Meters::default(),
            groups: Groups::default(),
            changes: Changes::default(),
            withdrawn: FxHashMap::default(),
            diverting: 0,
            undeleted: BTreeSet::new(),
            delete_at: None,
        }
    }

    /// Writes a flow, whose class this is, into the book, or over the one of its id.
    pub(super) fn enter(&mut self, mut record: Box<Record>, class: Class) {
        self.meters.hold(&record.actions);
        record.judge = self.meters.judge_of(&record.actions);
        if let Some(before) = self.book.enter(record, class) {
            self.meters.release(&before.actions);
        }
    }

    /// Strikes a flow out of the book.
    pub(super) fn strike_out(&mut self, id: FlowId) -> Option<Box<Record>> {
        let record = self.book.remove(id)?;
        self.meters.release(&record.actions);
        Some(record)
    }

    /// Has a flow put once more, as it is.
    pub(super) fn put_again(&mut self, flow: Wanted) {
        if let Some(record) = self.book.get_mut(flow.id) {
            record.unanswered += 1;
        }
        self.changes.put_flow(flow, false);
    }

    /// Withdraws a flow.
    pub(super) fn withdraw(&mut self, id: FlowId) {
        if let Some(record) = self.strike_out(id) {
            self.withdrawn.insert(id, Withdrawn::of(&record));
            self.changes.delete_flow(id);
        }
    }

    /// A flow is withdrawn: what it was counted as until then.
    pub(super) fn take_withdrawn(&mut self, id: FlowId) -> Option<Withdrawn> {
        self.withdrawn.remove(&id)
    }

    /// A flow goes elsewhere than before: what may come back of it is asked, how often and when last it was used until then. Where it is not
    /// known what may, all that it was used for is taken for what it does now.
    pub(super) fn divert(&mut self, before: Option<SmallVec<[Echo; 1]>>, after: &Record) {
        let Some(before) = before else { return };
        let after_all = self.book.echoes_of(after).unwrap_or_default();
        let gains = after_all.iter().any(|new| !before.contains(new));
        let lost = before.into_iter().filter(|echo| !after_all.contains(echo));
        let lost = lost.map(|echo| Turn::Loses(self.book.eras.date(echo)));
        let turns = lost.chain(gains.then_some(Turn::Gains));
        self.changes.diverted.extend(turns.map(|turn| (after.id, turn)));
    }

    /// Diverted flows have told.
    pub(super) fn note_diverted(&mut self, flows: usize) {
        self.diverting -= flows;
    }

    /// Whether a flow is being withdrawn or diverted: what it sent last it tells with an answer that is still to come.
    pub(super) fn is_one_to_tell(&self) -> bool {
        !self.withdrawn.is_empty() || self.diverting > 0
    }

    /// No flow of the book names anything by an earlier topology. If none that is gone, or goes elsewhere, is to tell what it sent, nothing does.
    pub(super) fn forget_past(&mut self) {
        if !self.is_one_to_tell() {
            self.book.eras.forget_past();
        }
    }

    /// A flow was put. One that was not is struck out: its frames go on coming up, and the next of them tries again.
    pub(super) fn note_put(
        &mut self,
        now: Instant,
        id: FlowId,
        refusal: Option<Refusal>,
        telling: &mut Telling,
    ) {
        if let Some(record) = self.book.get_mut(id) {
            record.unanswered = record.unanswered.saturating_sub(1);
        }
        let Some(mut refusal) = refusal else { return };
        if let Some(record) = self.strike_out(id) {
            // What it replaced may still be there.
            self.changes.delete_flow(id);
            let (header, port) = (&record.key.header, telling.counts.name(record.port));
            refusal.what = format!("put a flow for {} to {} from {port}", header.src, header.dst);
        }
        telling.note_refusal(now, "put-flow", &refusal, true);
    }

    /// A flow could not be deleted.
    pub(super) fn note_undeleted(
        &mut self,
        now: Instant,
        id: FlowId,
        mut refusal: Refusal,
        telling: &mut Telling,
    ) {
        let is_retried = refusal.is_retryable() && self.book.get(id).is_none();
        refusal.what = "delete a flow".to_owned();
        if is_retried {
            self.delete_later(now, id);
        }
        telling.note_refusal(now, "delete-flow", &refusal, is_retried);
    }

    /// The deletion of a flow was refused for now.
    fn delete_later(&mut self, now: Instant, id: FlowId) {
        self.undeleted.insert(id);
        self.delete_at.get_or_insert(now + DELETE_AFTER);
    }

    /// Asks again for what was refused.
    pub(in crate::engine) fn keep_time(&mut self, now: Instant) {
        self.meters.retry_due(now);
        if self.delete_at.take_if(|at| *at <= now).is_some() {
            for id in std::mem::take(&mut self.undeleted) {
                if self.book.get(id).is_none() {
                    self.changes.delete_flow(id);
                }
            }
        }
    }

    /// When something is to be asked again.
    pub(in crate::engine) fn next_due(&self) -> Option<Instant> {
        [self.meters.next_due(), self.delete_at].into_iter().flatten().min()
    }

    /// Sends off what became of flows and meters, and the frames that came up.
    pub(in crate::engine) fn hand_over(&mut self, outbox: &mut Outbox) {
        // Most answers lead to nothing.
        if self.changes.are_none() && !self.meters.has_changes() && !self.groups.has_changes() {
            return;
        }
        let (changes, meters) = (std::mem::take(&mut self.changes), self.meters.take_changes());
        self.diverting += changes.diverted.len();
        let (set, unset) = self.groups.take_changes();
        outbox.ask_all(set, |id, groups| Output::Groups { id, groups });
        changes.hand_over(meters, outbox);
        outbox.ask_all(unset, |id, groups| Output::Groups { id, groups });
    }

    /// The vports, some of them where they are many, whose frames led to flows that are still to be put.
    pub(in crate::engine) fn ports_of_new_flows(&self) -> SmallVec<[VportNo; 4]> {
        let mut ports = SmallVec::new();
        for change in &self.changes.new_flows {
            match change {
                FlowChange::Put { key, .. } if ports.len() < 4 && !ports.contains(&key.vport) => {
                    ports.push(key.vport);
                }
                _ => {}
            }
        }
        ports
    }
}

/// A deletion that was refused for now is asked for again after this.
const DELETE_AFTER: Duration = Duration::from_secs(1);

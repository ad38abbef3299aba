//! What an earlier run left behind: its flows, still in force in the kernel, and the addresses that it saved.
//!
//! Flows say where addresses are, and when they were last heard. Then each is looked over like any flow whose ground has shifted:
//! what it would be under the topology in force decides whether it stays.

use datapath::flow::Flow;
use datapath::port::Vport;
use smallvec::SmallVec;
use vlan::fdb::reflect::Likeness;
use vlan::fdb::saved::Saved;
use vlan::time::Instant;
use vlan::trace::Silent;
use vlan::verdict::Verdict;

use super::book::{Purpose, Record};
use super::renew::Renewed;
use super::upcall::kernel_mask;
use crate::engine::Engine;
use crate::event::Event;
use crate::input::SavedAddress;

/// What was found at the start and is not settled yet.
#[derive(Debug, Default)]
pub(in crate::engine) struct Heritage {
    flows: Vec<Flow>,
    /// Addresses that an earlier run saved.
    pub(in crate::engine) saved: Vec<SavedAddress>,
    has_begun: bool,
    /// Counts flows as they are looked over; `None` when the event was told.
    tally: Option<Tally>,
    /// A revision that is in force when no stale flow is left.
    pub(in crate::engine) in_force: Option<u64>,
}

#[derive(Debug, Default)]
struct Tally {
    kept: usize,
    replaced: usize,
    deleted: usize,
    addresses: usize,
}

impl Engine {
    /// What the datapath has at the start; later, what it has after it was opened anew: nothing that is ours if somebody had removed it.
    pub(in crate::engine) fn observe(&mut self, now: Instant, vports: Vec<Vport>, flows: Vec<Flow>) {
        self.links.note_all_vports(vports);
        if !self.heritage.has_begun {
            self.heritage.flows = flows;
            return;
        }
        self.meters.make_again();
        let there: Vec<_> = flows.iter().map(|flow| (flow.id, flow.stats)).collect();
        self.read_flow_stats(now, &there, true);
        self.tell(Event::DatapathAnew);
    }

    /// Once ports and topology are known: learns from the flows, writes them into the book, and has them looked over.
    pub(in crate::engine) fn begin_with_heritage(&mut self, now: Instant) {
        if std::mem::replace(&mut self.heritage.has_begun, true) {
            return;
        }
        let flows = std::mem::take(&mut self.heritage.flows);
        let mut addresses: Vec<Saved> = flows.iter().filter_map(|flow| self.lesson_of(now, flow)).collect();
        let saved = std::mem::take(&mut self.heritage.saved);
        addresses.extend(saved.iter().filter_map(|one| self.located(one)));
        let mut tally = Tally { addresses: self.switch.restore(now, addresses), ..Tally::default() };
        for flow in flows {
            let id = flow.id;
            self.book.know_run_of(id);
            self.meters.inherit(flow.actions.as_deref().unwrap_or_default());
            match self.record_of(now, flow) {
                Some(record) => self.enter(record),
                None => {
                    self.changes.delete_flow(id);
                    tally.deleted += 1;
                }
            }
        }
        self.book.spoil_all();
        self.heritage.tally = Some(tally);
    }

    /// Where the source of a flow that was used is, and when it was last heard. Frames that were dropped teach nothing: their port may
    /// have been blocked.
    fn lesson_of(&self, now: Instant, flow: &Flow) -> Option<Saved> {
        flow.actions.as_ref().filter(|actions| !actions.is_empty())?;
        let (port, used) = (self.links.port_of(flow.key.vport)?, flow.stats.used?);
        let mut verdict = Verdict::default();
        self.switch.judge(now, port, &flow.key.header, &mut verdict, &mut Silent);
        let seen = verdict.source?;
        let idle = now.since(used);
        Some(Saved {
            segment: seen.segment,
            mac: seen.mac,
            location: seen.location,
            idle,
            known: idle,
            mobility: 0,
        })
    }

    /// A flow of the kernel as the book has it; `None` if it is not one that we would make.
    fn record_of(&self, now: Instant, flow: Flow) -> Option<Record> {
        let port = self.links.port_of(flow.key.vport)?;
        let mask = kernel_mask(flow.mask?);
        Some(Record {
            id: flow.id,
            key: flow.key,
            mask,
            actions: flow.actions?,
            port: self.key_of(port),
            purpose: Purpose::Forward,
            judge: None,
            source: None,
            likeness: Likeness::default(),
            depends: SmallVec::new(),
            into_fabrics: SmallVec::new(),
            turned_at: 0,
            stats: flow.stats,
            used: flow.stats.used.unwrap_or(now),
            unanswered: 0,
            heat: 1,
        })
    }

    /// Whether something waits to be told and can be.
    pub(in crate::engine) fn can_tell_of_renewal(&self) -> bool {
        let Heritage { has_begun, tally, in_force, .. } = &self.heritage;
        *has_begun && (tally.is_some() || in_force.is_some()) && !self.links.is_busy() && self.book.is_fresh()
    }

    pub(in crate::engine) fn note_renewed(&mut self, renewed: Renewed) {
        let Some(tally) = &mut self.heritage.tally else { return };
        match renewed {
            Renewed::Kept => tally.kept += 1,
            Renewed::Replaced => tally.replaced += 1,
            Renewed::Withdrawn => tally.deleted += 1,
        }
    }

    /// No stale flow is left: what waited for that is told.
    pub(in crate::engine) fn tell_of_renewal(&mut self) {
        if !self.heritage.has_begun {
            return;
        }
        let tally = self.heritage.tally.take();
        if tally.is_some() {
            self.meters.disown();
        }
        if let Some(Tally { kept, replaced, deleted, addresses }) = tally
            && kept + replaced + deleted + addresses > 0
        {
            self.tell(Event::Adopted { kept, replaced, deleted, addresses });
        }
        if let Some(revision) = self.heritage.in_force.take() {
            self.tell(Event::Applied { revision });
        }
    }
}

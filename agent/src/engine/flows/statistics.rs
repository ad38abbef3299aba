//! Hits of flows: they are counted for their ports, refresh addresses, and say which flows are idle.

use std::time::Duration;

use datapath::flow::{FlowId, FlowStats};
use vlan::fdb::addresses::Touched;
use vlan::time::Instant;
use vlan::verdict::{Dependency, Seen};

use super::Flows;
use super::book::heat;
use super::counted::Counted;
use crate::engine::truth::Truth;
use crate::engine::truth::feed::Hearing;
use crate::lower::Lowering;

impl Flows {
    /// Takes in a slice of the flows' hits.
    pub(in crate::engine) fn read_flow_stats(
        &mut self,
        now: Instant,
        truth: &mut Truth,
        slice: &[(FlowId, FlowStats)],
        is_last: bool,
    ) {
        let idle_for = self.idle_limit();
        let mut idle = Vec::new();
        for (id, stats) in slice {
            match self.read_flow(truth, *id, stats) {
                // A flow that we do not know, such as one whose withdrawal was lost.
                None => self.remove_unknown(now, *id),
                Some(read) => {
                    self.refresh(now, truth, *id, &read);
                    if now.since(read.used) >= idle_for {
                        idle.push(*id);
                    }
                }
            }
        }
        idle.into_iter().for_each(|id| self.cache.withdraw(id));
        if is_last {
            self.cache.book.end_reading();
        }
    }

    /// The fuller the table, the less idleness is put up with.
    fn idle_limit(&self) -> Duration {
        let (len, limit) = (self.cache.book.len() as u64, self.most.max(1) as u64);
        match len * 100 / limit {
            0..80 => self.idle,
            80..100 => self.idle / 4,
            _ => self.idle / 20,
        }
    }

    fn read_flow(&mut self, truth: &mut Truth, id: FlowId, stats: &FlowStats) -> Option<Read> {
        let record = self.cache.book.see(id)?;
        let counted = Counted::of(record);
        let packets = stats.packets.saturating_sub(record.stats.packets);
        record.stats = *stats;
        record.heat = heat(packets);
        record.used = record.used.max(stats.used.unwrap_or(Instant::ZERO));
        let (is_hit, is_local) = (packets > 0, record.key.tunnel.is_none());
        let read = Read { used: record.used, is_hit, is_local, source: record.source };
        counted.go_on(stats, &mut self.cache.meters, &mut truth.telling.counts);
        Some(read)
    }

    /// A flow that the book does not have is withdrawn; one that is not of our making is told.
    fn remove_unknown(&mut self, now: Instant, id: FlowId) {
        if !self.cache.book.ids.may_be_ours(id) {
            self.hands.note_foreign(now, 1);
        }
        self.cache.changes.delete_flow(id);
    }

    /// A hit is as good as a frame that was seen: the source is there.
    fn refresh(&mut self, now: Instant, truth: &mut Truth, id: FlowId, read: &Read) {
        if self.cache.book.is_stale(id) {
            return;
        }
        let Some(seen) = read.source.filter(|_| read.is_hit) else { return };
        match truth.switch.fdb.addresses.touch(now, seen.segment, seen.mac, read.used) {
            Touched::Refreshed => {}
            Touched::Told if read.is_local => Hearing::new(now, truth, self).hear_by_flow(&seen),
            Touched::Told => {}
            Touched::Revived => self.spoil(Dependency::Address(seen.segment, seen.mac)),
            // It passes unlearned: the next frame is to be seen.
            Touched::Unknown => self.cache.withdraw(id),
        }
    }

    /// Flows that the datapath does not have any more: somebody else removed them. A bounded part of the book at a time.
    pub(in crate::engine) fn strike_out_missing(&mut self, now: Instant, truth: &mut Truth) {
        for id in self.cache.book.next_missing(SEARCHED_AT_ONCE) {
            if self.cache.strike_out(id).is_some() {
                truth.telling.counts.refuse("keep-flow", "not-found");
                self.hands.note_gone(now, 1);
            }
        }
    }
}

/// What a reading said of a flow.
struct Read {
    used: Instant,
    is_hit: bool,
    /// Whether its frames come by a port of this host.
    is_local: bool,
    source: Option<Seen>,
}

/// Places of the book that are searched for one input: each is a visit to memory.
const SEARCHED_AT_ONCE: u32 = 5_000;

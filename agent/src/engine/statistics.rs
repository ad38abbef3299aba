//! Hits of flows: they are counted for their ports, refresh addresses, and say which flows are idle.

use std::time::Duration;

use datapath::flow::{FlowId, FlowStats};
use rustc_hash::FxHashSet;
use vlan::fdb::learn::Touched;
use vlan::time::Instant;
use vlan::verdict::{Dependency, Seen};

use super::Engine;
use super::book::{Purpose, Record, heat};
use crate::counters::{Loss, PortKey};

impl Engine {
    pub(super) fn read_flow_stats(&mut self, now: Instant, all: &[(FlowId, FlowStats)]) {
        let (idle_for, held) = (self.idle_limit(), self.book.len());
        let (mut idle, mut read_of_held) = (Vec::new(), 0);
        for (id, stats) in all {
            match self.read_flow(*id, stats) {
                // A flow that we do not know, such as one whose withdrawal was lost.
                None => self.changes.delete_flow(*id),
                Some(read) => {
                    read_of_held += 1;
                    self.refresh(now, *id, &read);
                    if now.since(read.used) >= idle_for {
                        idle.push(*id);
                    }
                }
            }
        }
        if read_of_held < held {
            self.strike_out_missing(all);
        }
        idle.into_iter().for_each(|id| self.withdraw(id));
    }

    /// The fuller the table, the less idleness is put up with.
    fn idle_limit(&self) -> Duration {
        let (len, limit) = (self.book.len() as u64, self.settings.flow_limit.max(1) as u64);
        match len * 100 / limit {
            0..80 => self.settings.flow_idle,
            80..100 => self.settings.flow_idle / 4,
            _ => self.settings.flow_idle / 20,
        }
    }

    fn read_flow(&mut self, id: FlowId, stats: &FlowStats) -> Option<Read> {
        let record = self.book.get_mut(id)?;
        let counted = Counted::of(record);
        let packets = stats.packets.saturating_sub(record.stats.packets);
        record.stats = *stats;
        record.heat = heat(packets);
        record.used = record.used.max(stats.used.unwrap_or(Instant::ZERO));
        let read = Read { used: record.used, is_hit: packets > 0, source: record.source };
        self.count_flow(&counted, stats);
        Some(read)
    }

    /// The last frames of a flow that is gone.
    pub(super) fn count_withdrawn(&mut self, id: FlowId, stats: Option<FlowStats>) {
        if let (Some(counted), Some(stats)) = (self.withdrawn.remove(&id), stats) {
            self.count_flow(&counted, &stats);
        }
    }

    fn count_flow(&mut self, counted: &Counted, stats: &FlowStats) {
        let packets = stats.packets.saturating_sub(counted.stats.packets);
        let bytes = stats.bytes.saturating_sub(counted.stats.bytes);
        if packets == 0 {
            return;
        }
        let counts = self.counts.port(counted.port);
        match counted.purpose {
            Purpose::Forward => {
                counts.flow_frames += packets;
                counts.flow_bytes += bytes;
            }
            Purpose::Drop(reason, vid) => counts.lose(Loss::Verdict(reason, vid), packets),
        }
    }

    /// A hit is as good as a frame that was seen: the source is there, and may come back from where it was sent.
    fn refresh(&mut self, now: Instant, id: FlowId, read: &Read) {
        if self.book.is_stale(id) {
            return;
        }
        let Some(seen) = read.source.filter(|_| read.is_hit) else { return };
        match self.switch.fdb.touch(now, seen.segment, seen.mac, read.used) {
            Touched::Refreshed => {}
            Touched::Revived => self.spoil(Dependency::Address(seen.segment, seen.mac)),
            // It passes unlearned: the next frame is to be seen.
            Touched::Unknown => self.withdraw(id),
        }
        let fabrics = self.book.get(id).map(|record| record.into_fabrics.clone()).unwrap_or_default();
        self.note_sent(read.used, seen, fabrics);
    }

    /// Flows that the datapath does not have any more: somebody else removed them.
    fn strike_out_missing(&mut self, all: &[(FlowId, FlowStats)]) {
        let there: FxHashSet<FlowId> = all.iter().map(|(id, _)| *id).collect();
        let is_missing = |record: &&Record| record.unanswered == 0 && !there.contains(&record.id);
        let missing: Vec<FlowId> = self.book.records().filter(is_missing).map(|record| record.id).collect();
        for id in missing {
            if let Some(record) = self.book.remove(id) {
                self.meters.release(&record.actions);
                self.counts.refuse("keep-flow", "not-found");
            }
        }
    }
}

/// How far a flow's frames have been counted, and as what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    port: PortKey,
    purpose: Purpose,
    stats: FlowStats,
}

impl Counted {
    pub(super) fn of(record: &Record) -> Counted {
        Counted { port: record.port, purpose: record.purpose, stats: record.stats }
    }
}

/// What a reading said of a flow.
struct Read {
    used: Instant,
    is_hit: bool,
    source: Option<Seen>,
}

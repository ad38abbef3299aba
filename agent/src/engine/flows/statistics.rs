//! Hits of flows: they are counted for their ports, refresh addresses, and say which flows are idle.

use std::time::Duration;

use datapath::flow::{FlowId, FlowStats, MeterId};
use vlan::fdb::addresses::Touched;
use vlan::time::Instant;
use vlan::verdict::{Dependency, Seen};

use super::book::{Purpose, Record, heat};
use super::turn::LastWords;
use crate::counters::{Loss, PortKey};
use crate::engine::Engine;

impl Engine {
    /// Takes in a slice of the flows' hits.
    pub(in crate::engine) fn read_flow_stats(
        &mut self,
        now: Instant,
        slice: &[(FlowId, FlowStats)],
        is_last: bool,
    ) {
        let idle_for = self.idle_limit();
        let mut idle = Vec::new();
        for (id, stats) in slice {
            match self.read_flow(*id, stats) {
                // A flow that we do not know, such as one whose withdrawal was lost.
                None => self.remove_unknown(now, *id),
                Some(read) => {
                    self.refresh(now, *id, &read);
                    if now.since(read.used) >= idle_for {
                        idle.push(*id);
                    }
                }
            }
        }
        idle.into_iter().for_each(|id| self.withdraw(id));
        if is_last {
            self.book.end_reading();
        }
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
        let record = self.book.see(id)?;
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
    pub(in crate::engine) fn count_withdrawn(&mut self, now: Instant, id: FlowId, stats: Option<FlowStats>) {
        if let (Some(Withdrawn { counted, last_words }), Some(stats)) = (self.withdrawn.remove(&id), stats) {
            self.count_flow(&counted, &stats);
            self.note_last_words(now, &last_words, &stats);
        }
    }

    fn count_flow(&mut self, counted: &Counted, stats: &FlowStats) {
        let packets = stats.packets.saturating_sub(counted.stats.packets);
        let bytes = stats.bytes.saturating_sub(counted.stats.bytes);
        if packets == 0 {
            return;
        }
        match counted.purpose {
            Purpose::Forward => {
                let is_put_off = counted.judge.is_some_and(|meter| self.meters.put_off(meter, packets));
                let counts = self.counts.port(counted.port);
                counts.flow_frames += if is_put_off { 0 } else { packets };
                counts.flow_bytes += bytes;
            }
            Purpose::Drop(reason, vid) => {
                self.counts.lose(counted.port, Loss::of(reason, vid), vid, packets);
            }
        }
    }

    /// A hit is as good as a frame that was seen: the source is there.
    fn refresh(&mut self, now: Instant, id: FlowId, read: &Read) {
        if self.book.is_stale(id) {
            return;
        }
        let Some(seen) = read.source.filter(|_| read.is_hit) else { return };
        match self.switch.fdb.addresses.touch(now, seen.segment, seen.mac, read.used) {
            Touched::Refreshed => {}
            Touched::Revived => self.spoil(Dependency::Address(seen.segment, seen.mac)),
            // It passes unlearned: the next frame is to be seen.
            Touched::Unknown => self.withdraw(id),
        }
    }

    /// Flows that the datapath does not have any more: somebody else removed them. A bounded part of the book at a time.
    pub(in crate::engine) fn strike_out_missing(&mut self, now: Instant) {
        for id in self.book.next_missing(SEARCHED_AT_ONCE) {
            if let Some(record) = self.book.remove(id) {
                self.meters.release(&record.actions);
                self.counts.refuse("keep-flow", "not-found");
                self.hands.note_gone(now, 1);
            }
        }
    }
}

/// How far a flow's frames have been counted, and as what.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Counted {
    port: PortKey,
    purpose: Purpose,
    stats: FlowStats,
    judge: Option<MeterId>,
}

impl Counted {
    pub(in crate::engine) fn of(record: &Record) -> Counted {
        let Record { port, purpose, stats, judge, .. } = *record;
        Counted { port, purpose, stats, judge }
    }
}

/// A flow whose withdrawal is under way.
#[derive(Debug)]
pub(in crate::engine) struct Withdrawn {
    counted: Counted,
    last_words: LastWords,
}

impl Withdrawn {
    pub(in crate::engine) fn of(record: &Record) -> Withdrawn {
        Withdrawn { counted: Counted::of(record), last_words: LastWords::of(record) }
    }
}

/// What a reading said of a flow.
struct Read {
    used: Instant,
    is_hit: bool,
    source: Option<Seen>,
}

/// Places of the book that are searched for one input: each is a visit to memory.
const SEARCHED_AT_ONCE: u32 = 5_000;

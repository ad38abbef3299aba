//! How far a flow's frames have been counted, and as what.

use datapath::flow::{FlowStats, MeterId};

use super::book::{Purpose, Record};
use super::meters::Meters;
use super::turn::LastWords;
use crate::counters::{Counts, Loss, PortKey};

/// How far a flow's frames have been counted, and as what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    port: PortKey,
    purpose: Purpose,
    stats: FlowStats,
    judge: Option<MeterId>,
}

impl Counted {
    pub(super) fn of(record: &Record) -> Counted {
        let Record { port, purpose, stats, judge, .. } = *record;
        Counted { port, purpose, stats, judge }
    }

    /// Counts what a flow has counted since.
    pub(super) fn go_on(&self, stats: &FlowStats, meters: &mut Meters, counts: &mut Counts) {
        let packets = stats.packets.saturating_sub(self.stats.packets);
        let bytes = stats.bytes.saturating_sub(self.stats.bytes);
        if packets == 0 {
            return;
        }
        match self.purpose {
            Purpose::Forward => {
                let is_put_off = self.judge.is_some_and(|meter| meters.put_off(meter, packets));
                let counts = counts.port(self.port);
                counts.flow_frames += if is_put_off { 0 } else { packets };
                counts.flow_bytes += bytes;
            }
            Purpose::Drop(reason, vid) => {
                counts.lose(self.port, Loss::of(reason, vid), vid, packets);
            }
        }
    }
}

/// A flow whose withdrawal is under way.
#[derive(Debug)]
pub(super) struct Withdrawn {
    pub(super) counted: Counted,
    pub(super) last_words: LastWords,
}

impl Withdrawn {
    pub(super) fn of(record: &Record) -> Withdrawn {
        Withdrawn { counted: Counted::of(record), last_words: LastWords::of(record) }
    }
}

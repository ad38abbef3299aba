//! What may come back of a flow's frames, when that becomes another or ends.

use datapath::flow::FlowStats;
use smallvec::SmallVec;
use vlan::time::Instant;

use super::book::Record;
use super::book::eras::Dated;

/// How it is another what may come back of a flow's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Turn {
    /// This may not any more.
    Loses(Dated),
    /// Something may that could not before. It comes behind what is lost of the same flow.
    Gains,
}

/// What may come back of the last frames of a flow that is withdrawn.
#[derive(Debug, Clone, Default)]
pub(in crate::engine) struct LastWords {
    pub(in crate::engine) echoes: SmallVec<[Dated; 1]>,
    /// As the flow's.
    pub(in crate::engine) turned_at: u64,
}

impl LastWords {
    pub(in crate::engine) fn of(record: &Record) -> LastWords {
        LastWords { echoes: record.echoes().collect(), turned_at: record.turned_at }
    }
}

/// When a flow last sent what it sends since it had counted `turned_at` packets.
pub(in crate::engine) fn last_sent(stats: &FlowStats, turned_at: u64) -> Option<Instant> {
    stats.used.filter(|_| stats.packets > turned_at)
}

//! What may come back of a flow's frames, when that becomes another or ends.

use datapath::flow::FlowStats;
use smallvec::SmallVec;
use vlan::fdb::reflect::Echo;
use vlan::time::Instant;

use super::book::Record;

/// How it is another what may come back of a flow's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// This may not any more.
    Loses(Echo),
    /// Something may that could not before. It comes behind what is lost of the same flow.
    Gains,
}

/// What may come back of the last frames of a flow that is withdrawn.
#[derive(Debug, Clone, Default)]
pub(super) struct LastWords {
    pub(super) echoes: SmallVec<[Echo; 1]>,
    /// As the flow's.
    pub(super) turned_at: u64,
}

impl LastWords {
    pub(super) fn of(record: &Record) -> LastWords {
        LastWords { echoes: record.echoes().collect(), turned_at: record.turned_at }
    }
}

/// When a flow last sent what it sends since it had counted `turned_at` packets.
pub(super) fn last_sent(stats: &FlowStats, turned_at: u64) -> Option<Instant> {
    stats.used.filter(|_| stats.packets > turned_at)
}

//! What may come back of a flow's frames, when that becomes another or ends.

use smallvec::SmallVec;
use vlan::fdb::reflect::Echo;

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

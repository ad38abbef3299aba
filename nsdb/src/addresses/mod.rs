//! The trait [`AddressFeed`], what it hands out, and its errors.

pub(crate) mod feed;
pub(crate) mod record;
mod runs;
pub(crate) mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use thiserror::Error;

use crate::addresses::feed::Following;
use crate::addresses::record::{AddressRecord, HostId, SegmentId};
use crate::error::StoreError;

/// Which host has which address.
///
/// This is the busiest of the traits and the one whose loss hurts least: an unknown address floods. So a record is not
/// durable by itself. Its owner announces it, announces it again after it lost its session or its store, and
/// withdraws it. What the feed adds is one order per segment that all readers see, and one answer to "who has it":
/// the higher [mobility counter](crate::Mobility), then the lower host id (RFC 7432 section 7.7), then what that host
/// said last. A record that loses is dropped on arrival and no reader sees it; its sender learns by following that
/// somebody else was right.
///
/// An owner's words carry the [session](AddressRecord::session) of its daemon and a [number](AddressRecord::number)
/// within it. So a word that is sent again after a lost connection, and comes after the owner's farewell, changes
/// nothing: which words came decides what is known, not their order, nor how often each came. Two inner tags of one
/// segment are two addresses.
///
/// ```text
/// follow ─► snapshot up to sequence 17 ─► tail: 18, 19, 20 … ─► Lagged? ─► follow again
/// ```
///
/// A reader takes a snapshot and then a stream that begins exactly after it: no gap, no repetition. A reader that
/// stops reading must not hold up anyone, so the feed keeps a bounded backlog per segment; who falls further behind is
/// told ([`is_lagged`](FeedError::is_lagged)) and follows again.
///
/// A withdrawn address is remembered with its last word, so that an old word about it does not count again, up to a
/// number per segment; then the longest-gone are forgotten.
///
/// A feed keeps a bounded number of addresses per segment. One that does not fit is not known, as one that nobody announced.
///
/// On ZooKeeper this is a log of sequential nodes of batches per segment, a snapshot node and a head; in one process
/// it is a table and a channel.
pub trait AddressFeed: Send + Sync {
    /// Announces the records of `owner`, in this order. Records of several segments may be mixed; each segment sees
    /// its own in order, and each batch of at most 1 024 of one segment arrives whole.
    ///
    /// # Errors
    /// [`FeedError::ForeignRecord`] if a record names another owner; then none of them is taken.
    fn announce(
        &self,
        owner: HostId,
        records: Vec<AddressRecord>,
    ) -> impl Future<Output = Result<(), FeedError>> + Send;

    /// Everything that these owners have is gone: their hosts died, and somebody else says so. An owner's next word counts again. Returns of how
    /// many words of each that was said; an owner that had none is not in it. Every segment is read for it.
    fn withdraw(
        &self,
        owners: BTreeSet<HostId>,
    ) -> impl Future<Output = Result<BTreeMap<HostId, usize>, FeedError>> + Send;

    /// What is known of a segment now, and everything that comes after it.
    fn follow(&self, segment: SegmentId) -> impl Future<Output = Result<Following, FeedError>> + Send;
}

/// What was known of a segment at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedSnapshot {
    /// The segment.
    pub segment: SegmentId,
    /// Sequence number of the last record in it; 0 if there never was one.
    pub sequence: u64,
    /// One record per address, by inner VID and MAC, withdrawn ones included.
    pub records: Vec<AddressRecord>,
}

/// Records that were accepted together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedBatch {
    /// Sequence number of the first; the others follow without a gap.
    pub first_sequence: u64,
    /// The records, at least one, in order.
    pub records: Vec<AddressRecord>,
}

impl FeedBatch {
    /// Sequence number of the last record.
    pub fn last_sequence(&self) -> u64 {
        self.first_sequence + (self.records.len() as u64).saturating_sub(1)
    }
}

/// Why addresses could not be announced or followed.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum FeedError {
    /// The reader fell behind.
    #[error("the reader of segment {} missed {missed} batches: follow the segment again", .segment.0)]
    Lagged {
        /// The segment.
        segment: SegmentId,
        /// How many batches were missed.
        missed: u64,
    },
    /// The log went on without its reader, or the feed was closed.
    #[error("what comes in segment {} can no longer be told without a gap: follow the segment again", .segment.0)]
    Ended {
        /// The segment.
        segment: SegmentId,
    },
    /// A record of another host was announced.
    #[error("host {} announced {} as owned by host {}: a host announces its own addresses", .owner.0, .record.key, .record.owner.0)]
    ForeignRecord {
        /// The host that announced.
        owner: HostId,
        /// What it announced.
        record: AddressRecord,
    },
    /// The backend failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl FeedError {
    /// Whether the reader must follow again: it fell behind, or the log went on without it.
    pub fn is_lagged(&self) -> bool {
        matches!(self, Self::Lagged { .. } | Self::Ended { .. })
    }

    /// Whether the same call may succeed later. Announcing twice does no harm.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_retryable())
    }
}

/// Most records in one batch: at most 60 bytes each encoded, so that one fits the 64 KiB nodes of a ZooKeeper log.
pub(crate) const MAX_BATCH_RECORDS: usize = 1_024;

//! The trait [`Journal`] and its errors.

pub(crate) mod entry;

use std::future::Future;

use thiserror::Error;

use crate::clock::WallTime;
use crate::error::StoreError;
use crate::journal::entry::{EntryId, EntryKind, JournalEntry, NewEntry, Query};
use crate::schema::SchemaError;

/// What happened, for people who ask later: address moves with their cause, counters, revisions with author and diff.
///
/// Nothing is decided by reading the journal, so it may be slow, may be on another server than the rest, and may lose
/// its oldest part. It must not grow for ever: entries older than
/// [`keep`](crate::JournalLimits::keep) go at the next [`trim`](Self::trim), and when the whole is larger than
/// [`max_bytes`](crate::JournalLimits::max_bytes) the oldest go at once.
///
/// Entries are ordered by when they were written, not by their wall time, which may jump. A wall clock that was far
/// ahead for a while leaves entries that [`trim`](Self::trim) keeps until their time has come; the size limit still
/// holds.
///
/// On Cassandra a partition is a host's day, the time to live is `keep`, and a query by kind reads the partitions of
/// its time span.
pub trait Journal: Send + Sync {
    /// Writes `entries`, in this order and together: all of them or, on an error, none.
    fn append(
        &self,
        entries: Vec<NewEntry>,
    ) -> impl Future<Output = Result<Vec<EntryId>, JournalError>> + Send;

    /// The entries that match, the first written first.
    fn query(&self, query: Query) -> impl Future<Output = Result<Vec<JournalEntry>, JournalError>> + Send;

    /// Forgets what is older than `keep` at the wall time `now`. Returns how many entries that were.
    fn trim(&self, now: WallTime) -> impl Future<Output = Result<usize, JournalError>> + Send;
}

/// Why the journal could not be written or read.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The body is too long.
    #[error("an entry of kind {kind} has {length} bytes: at most {MAX_ENTRY_BYTES} are allowed")]
    TooLarge {
        /// The kind of the entry.
        kind: EntryKind,
        /// Length of its body in bytes.
        length: usize,
    },
    /// The entry could not be encoded.
    #[error("an entry cannot be encoded")]
    Schema(#[from] SchemaError),
    /// The backend failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl JournalError {
    /// Whether the same call may succeed later; it may also have been carried out, so that an entry appears twice.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_retryable())
    }

    /// Whether stored data is damaged.
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_corrupt())
    }
}

/// The stored forms of `entries`, if each is small enough.
pub(crate) fn encode_all(entries: &[NewEntry]) -> Result<Vec<Vec<u8>>, JournalError> {
    let too_large = entries.iter().find(|entry| entry.body.len() > MAX_ENTRY_BYTES);
    if let Some(entry) = too_large {
        return Err(JournalError::TooLarge { kind: entry.kind.clone(), length: entry.body.len() });
    }
    entries.iter().map(|entry| entry.encode().map_err(JournalError::from)).collect()
}

/// Largest body of an entry in bytes: what is larger is a document, not an event.
pub const MAX_ENTRY_BYTES: usize = 65_536;

//! The trait [`Journal`] and its errors.

pub(crate) mod backlog;
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
/// What hosts share is each host's own part of a cluster: an append is about the own part, and so are its limits.
pub trait Journal: Send + Sync {
    /// Writes `entries`, in this order and together: all of them or, on an error that is not retryable, none. On a cluster whoever tries
    /// again with the same entries, before any other, writes them once.
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
    /// The cluster does not answer, or not to us. What was to be written may have been.
    #[error("the journal on {cluster} cannot be used: {why}")]
    Away {
        /// The nodes that are asked first.
        cluster: String,
        /// Why it cannot be used now.
        why: String,
    },
    /// The backend failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl JournalError {
    /// Whether the same call may succeed later; it may also have been carried out.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Away { .. } => true,
            Self::Store(error) => error.is_retryable(),
            Self::TooLarge { .. } | Self::Schema(_) => false,
        }
    }

    /// Whether stored data is damaged.
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_corrupt())
    }
}

/// Whether each of `entries` is small enough.
pub(crate) fn check_sizes(entries: &[NewEntry]) -> Result<(), JournalError> {
    let too_large = entries.iter().find(|entry| entry.body.len() > MAX_ENTRY_BYTES);
    match too_large {
        None => Ok(()),
        Some(entry) => Err(JournalError::TooLarge { kind: entry.kind.clone(), length: entry.body.len() }),
    }
}

/// The stored forms of `entries`, if each is small enough.
pub(crate) fn encode_all(entries: &[NewEntry]) -> Result<Vec<Vec<u8>>, JournalError> {
    check_sizes(entries)?;
    entries.iter().map(|entry| entry.encode().map_err(JournalError::from)).collect()
}

/// Largest body of an entry in bytes: what is larger is a document, not an event.
pub const MAX_ENTRY_BYTES: usize = 65_536;

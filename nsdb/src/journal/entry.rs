//! Entries of the journal: what is written, what is asked for, and how an entry is stored.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::WallTime;
use crate::path::{NameError, check_name};
use crate::schema::{self, SchemaError};

/// What sort of thing happened, such as `address-moved`: 1 to 255 printable ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EntryKind(String);

impl EntryKind {
    /// Checks and takes `kind`.
    ///
    /// # Errors
    /// [`NameError`] names the rule that `kind` breaks.
    pub fn new(kind: impl Into<String>) -> Result<Self, NameError> {
        let kind = kind.into();
        check_name("kind", &kind).map(|()| Self(kind))
    }

    /// The kind as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for EntryKind {
    type Error = NameError;

    fn try_from(kind: String) -> Result<Self, NameError> {
        Self::new(kind)
    }
}

impl From<EntryKind> for String {
    fn from(kind: EntryKind) -> Self {
        kind.0
    }
}

impl fmt::Display for EntryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Place of an entry in its journal: later entries have higher ids, without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub(crate) u64);

impl EntryId {
    /// Its number, at least 1.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// An entry to be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewEntry {
    /// What sort of thing happened.
    pub kind: EntryKind,
    /// When, by the wall clock of the host it happened on.
    pub at: WallTime,
    /// The details, usually JSON, up to [`MAX_ENTRY_BYTES`](crate::MAX_ENTRY_BYTES).
    pub body: Vec<u8>,
}

impl NewEntry {
    /// The stored form.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, SchemaError> {
        schema::encode(ENTRY_VERSION, self)
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, SchemaError> {
        schema::decode(ENTRY_VERSION, bytes)
    }
}

/// An entry that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// Its place.
    pub id: EntryId,
    /// What sort of thing happened.
    pub kind: EntryKind,
    /// When.
    pub at: WallTime,
    /// The details.
    pub body: Vec<u8>,
}

impl JournalEntry {
    pub(crate) fn new(id: EntryId, entry: NewEntry) -> Self {
        Self { id, kind: entry.kind, at: entry.at, body: entry.body }
    }
}

/// Which entries are wanted. The default is the newest 100 of every kind and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Only this kind.
    pub kind: Option<EntryKind>,
    /// Only entries at or after this time.
    pub from: Option<WallTime>,
    /// Only entries before this time.
    pub until: Option<WallTime>,
    /// At most this many, the last written ones.
    pub newest: usize,
}

impl Default for Query {
    fn default() -> Self {
        Self { kind: None, from: None, until: None, newest: 100 }
    }
}

impl Query {
    pub(crate) fn matches(&self, kind: &EntryKind, at: WallTime) -> bool {
        self.kind.as_ref().is_none_or(|wanted| wanted == kind)
            && self.from.is_none_or(|from| at >= from)
            && self.until.is_none_or(|until| at < until)
    }
}

/// How much a journal keeps; whichever limit is met first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalLimits {
    /// How old an entry may become.
    pub keep: Duration,
    /// Bytes of all entries, each counted with 24 bytes for its key and checksum.
    pub max_bytes: u64,
}

impl Default for JournalLimits {
    /// 30 days, 64 MiB: half a million address moves.
    fn default() -> Self {
        Self { keep: Duration::from_secs(30 * 86_400), max_bytes: 64 << 20 }
    }
}

/// What an entry counts for beside its encoded bytes: 8 for its key, 16 for its checksum.
pub(crate) const ENTRY_OVERHEAD: u64 = 24;

const ENTRY_VERSION: u8 = 1;

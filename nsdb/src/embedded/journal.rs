//! [`Journal`] in the file: entries by number without gaps, their extent in `meta`.

use std::sync::Arc;

use redb::ReadableTable;
use serde::{Deserialize, Serialize};

use crate::again::reread_document;
use crate::clock::WallTime;
use crate::embedded::Embedded;
use crate::embedded::tables::{JOURNAL, META, Reading, Sealed, Writing};
use crate::error::StoreError;
use crate::journal::entry::{ENTRY_OVERHEAD, EntryId, JournalEntry, NewEntry, Query};
use crate::journal::{Journal, JournalError, encode_all};
use crate::schema;

impl Journal for Embedded {
    async fn append(&self, entries: Vec<NewEntry>) -> Result<Vec<EntryId>, JournalError> {
        let encoded = encode_all(&entries)?;
        let bytes = encoded.iter().map(Vec::len).sum();
        let max_bytes = self.journal_limits.max_bytes;
        self.writer.run(bytes, move |writing| append(writing, &encoded, max_bytes).map(Ok), |_| ()).await
    }

    async fn query(&self, query: Query) -> Result<Vec<JournalEntry>, JournalError> {
        let file = Arc::clone(&self.file);
        let read = move || file.read(|reading| matching(reading, &query));
        // A rare kind in a full journal is a scan of tenths of a second.
        Ok(self.aside("the journal", read).await?)
    }

    async fn trim(&self, now: WallTime) -> Result<usize, JournalError> {
        let oldest = now.before(self.journal_limits.keep);
        let mut trimmed = 0;
        loop {
            // One bounded step per group, so that other writers are not held up by a long journal.
            let step = self.writer.run(0, move |writing| trim(writing, oldest).map(Ok), |_| ());
            match step.await {
                Ok(0) => return Ok(trimmed),
                Ok(count) => trimmed += count,
                Err(error) => return Err(error),
            }
        }
    }
}

/// Which entries there are: `first` to `last`, none if `last` is before `first`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Extent {
    first: u64,
    last: u64,
    bytes: u64,
}

impl Extent {
    const EMPTY: Self = Self { first: 1, last: 0, bytes: 0 };

    fn load<T>(meta: &Sealed<'_, T>) -> Result<Self, StoreError>
    where
        T: ReadableTable<&'static [u8], &'static [u8]>,
    {
        let Some(bytes) = meta.load(EXTENT_KEY)? else { return Ok(Self::EMPTY) };
        schema::decode(EXTENT_VERSION, &bytes).map_err(|e| meta.damaged(EXTENT_KEY, e.to_string()))
    }

    fn save(self, writing: &Writing<'_>) -> Result<(), StoreError> {
        let mut meta = writing.table(META)?;
        let bytes =
            schema::encode(EXTENT_VERSION, &self).map_err(|e| meta.damaged(EXTENT_KEY, e.to_string()))?;
        meta.save(EXTENT_KEY, &bytes).map(drop)
    }

    /// Notes that the first entry, of `stored` bytes with its checksum, is gone.
    fn without_first(self, stored: usize) -> Self {
        let bytes = self.bytes.saturating_sub(stored as u64 + KEY_BYTES);
        Self { first: self.first + 1, bytes, ..self }
    }
}

/// Reads bytes as an extent, if they are one, and writes and reads it again.
pub(crate) fn reread_extent(bytes: &[u8]) -> Result<(), String> {
    reread_document::<Extent>(EXTENT_VERSION, bytes).map(drop)
}

fn append(writing: &Writing<'_>, encoded: &[Vec<u8>], max_bytes: u64) -> Result<Vec<EntryId>, StoreError> {
    let mut extent = Extent::load(&writing.table(META)?)?;
    let mut journal = writing.table(JOURNAL)?;
    let mut ids = Vec::with_capacity(encoded.len());
    for entry in encoded {
        extent.last += 1;
        extent.bytes += entry.len() as u64 + ENTRY_OVERHEAD;
        journal.save(&extent.last.to_be_bytes(), entry)?;
        ids.push(EntryId(extent.last));
    }
    while extent.bytes > max_bytes {
        let Some((_, stored)) = journal.remove_first()? else { break };
        extent = extent.without_first(stored);
    }
    extent.save(writing)?;
    Ok(ids)
}

fn trim(writing: &Writing<'_>, oldest: WallTime) -> Result<usize, StoreError> {
    let mut extent = Extent::load(&writing.table(META)?)?;
    let mut journal = writing.table(JOURNAL)?;
    let mut old = 0;
    for number in (extent.first..=extent.last).take(TRIMMED_AT_ONCE) {
        if entry(&journal, number)?.at >= oldest {
            break;
        }
        old += 1;
    }
    for _ in 0..old {
        let Some((_, stored)) = journal.remove_first()? else { break };
        extent = extent.without_first(stored);
    }
    extent.save(writing)?;
    Ok(old)
}

fn entry<T>(journal: &Sealed<'_, T>, number: u64) -> Result<NewEntry, StoreError>
where
    T: ReadableTable<&'static [u8], &'static [u8]>,
{
    let key = number.to_be_bytes();
    let bytes = journal.load(&key)?.ok_or_else(|| journal.damaged(&key, MISSING))?;
    NewEntry::decode(&bytes).map_err(|e| journal.damaged(&key, e.to_string()))
}

/// Reads from the newest entry back. Each number must be one less than the last: a hole is damage, not an answer.
fn matching(reading: &Reading<'_>, query: &Query) -> Result<Vec<JournalEntry>, StoreError> {
    let extent = Extent::load(&reading.table(META)?)?;
    let journal = reading.table(JOURNAL)?;
    let mut expected = extent.last;
    let mut found = Vec::new();
    journal.each_from_last(|key, bytes| {
        if found.len() >= query.newest {
            return Ok(false);
        }
        if key != expected.to_be_bytes() {
            return Err(journal.damaged(&expected.to_be_bytes(), MISSING));
        }
        let entry = NewEntry::decode(bytes).map_err(|e| journal.damaged(key, e.to_string()))?;
        if query.matches(&entry.kind, entry.at) {
            found.push(JournalEntry::new(EntryId(expected), entry));
        }
        expected -= 1;
        Ok(true)
    })?;
    if found.len() < query.newest && expected >= extent.first {
        return Err(journal.damaged(&expected.to_be_bytes(), MISSING));
    }
    found.reverse();
    Ok(found)
}

const MISSING: &str = "this entry of the journal is missing";
const EXTENT_KEY: &[u8] = b"journal";
const EXTENT_VERSION: u8 = 1;
/// Bytes of an entry's key. With the checksum, which is part of what is stored, this is [`ENTRY_OVERHEAD`].
const KEY_BYTES: u64 = 8;
const TRIMMED_AT_ONCE: usize = 1_024;

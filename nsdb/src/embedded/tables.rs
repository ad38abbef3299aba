//! Tables of the file and their records: every value carries a checksum over table, key and value.
//!
//! redb checks its pages when the file is opened, not when it reads them later; and no page checksum helps against a
//! value that is whole but stands under the wrong key. So each record vouches for itself.

use std::path::Path;

use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

use crate::digest::{CHECKSUM_BYTES, checksum};
use crate::error::{Corruption, Extent, StoreError};

/// A table of the file: bytes to sealed bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct TableName(pub(super) &'static str);

/// Counters and the root.
pub(super) const META: TableName = TableName("meta");
/// Number of a revision that is kept and not the newest, big-endian → its root.
pub(super) const HISTORY: TableName = TableName("history");
/// Id of a shard or page → content.
pub(super) const SHARDS: TableName = TableName("shards");
/// Id of a shard or page → since when it is known that no revision names it (`collect`).
pub(super) const UNREFERENCED: TableName = TableName("unreferenced");
/// Entry id, big-endian → entry.
pub(super) const JOURNAL: TableName = TableName("journal");
/// Key → local value.
pub(super) const LOCAL: TableName = TableName("local");
/// All of them. A file of format 1 has no history until it is opened.
pub(super) const ALL: [TableName; 6] = [META, HISTORY, SHARDS, UNREFERENCED, JOURNAL, LOCAL];

type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;
type Bytes = &'static [u8];

impl TableName {
    fn definition(self) -> Definition {
        TableDefinition::new(self.0)
    }
}

/// A transaction that reads the file.
pub(super) struct Reading<'a> {
    pub(super) file: &'a Path,
    pub(super) transaction: &'a ReadTransaction,
}

impl<'a> Reading<'a> {
    pub(super) fn table(
        &self,
        name: TableName,
    ) -> Result<Sealed<'a, redb::ReadOnlyTable<Bytes, Bytes>>, StoreError> {
        let table = self.transaction.open_table(name.definition());
        Ok(Sealed { file: self.file, name, table: table.map_err(|e| refused(self.file, "read", e))? })
    }
}

/// A transaction that changes the file.
pub(super) struct Writing<'a> {
    pub(super) file: &'a Path,
    pub(super) transaction: &'a WriteTransaction,
}

impl<'a> Writing<'a> {
    pub(super) fn table(
        &self,
        name: TableName,
    ) -> Result<Sealed<'a, redb::Table<'a, Bytes, Bytes>>, StoreError> {
        let table = self.transaction.open_table(name.definition());
        Ok(Sealed { file: self.file, name, table: table.map_err(|e| refused(self.file, "write", e))? })
    }
}

/// An open table whose records are sealed.
pub(super) struct Sealed<'a, T> {
    file: &'a Path,
    name: TableName,
    table: T,
}

impl<T: ReadableTable<Bytes, Bytes>> Sealed<'_, T> {
    /// The value under `key`, if there is one; verified.
    pub(super) fn load(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self.table.get(key).map_err(|e| self.refused(e))?;
        found.map(|value| self.unseal(key, value.value()).map(<[u8]>::to_vec)).transpose()
    }

    /// The number under `key`, if there is one.
    pub(super) fn load_number(&self, key: &[u8]) -> Result<Option<u64>, StoreError> {
        let Some(bytes) = self.load(key)? else { return Ok(None) };
        let number =
            bytes.try_into().map_err(|_| self.damaged(key, "its value is not a number of 8 bytes"))?;
        Ok(Some(u64::from_be_bytes(number)))
    }

    /// Shows every record, the last key first, until `visit` says `false`. Records are verified.
    pub(super) fn each_from_last(
        &self,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        for record in self.table.iter().map_err(|e| self.refused(e))?.rev() {
            let (key, value) = record.map_err(|e| self.refused(e))?;
            let key = key.value();
            if !visit(key, self.unseal(key, value.value())?)? {
                break;
            }
        }
        Ok(())
    }

    /// The keys at or after `first`, in order, as long as `wanted`.
    pub(super) fn keys_while(
        &self,
        first: &[u8],
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut keys = Vec::new();
        for record in self.table.range::<&[u8]>(first..).map_err(|e| self.refused(e))? {
            let (key, _) = record.map_err(|e| self.refused(e))?;
            if !wanted(key.value()) {
                break;
            }
            keys.push(key.value().to_vec());
        }
        Ok(keys)
    }

    /// An error that names the record under `key`.
    pub(super) fn damaged(&self, key: &[u8], why: impl Into<String>) -> StoreError {
        StoreError::corrupt(Corruption {
            file: self.file.to_path_buf(),
            place: format!("{}[{}]", self.name.0, printed(key)),
            why: why.into(),
            remedy: REMEDY.to_owned(),
            extent: Extent::Record,
        })
    }

    /// An error that says that a newer program wrote a document in here.
    pub(super) fn newer(&self, found: u64, known: u64) -> StoreError {
        StoreError::Newer { file: self.file.to_path_buf(), found, known }
    }

    fn unseal<'v>(&self, key: &[u8], sealed: &'v [u8]) -> Result<&'v [u8], StoreError> {
        let split = sealed.len().checked_sub(CHECKSUM_BYTES);
        let (value, sum) = split.map(|at| sealed.split_at(at)).unwrap_or((&[], &[]));
        if sum == checksum(&[self.name.0.as_bytes(), key, value]) {
            Ok(value)
        } else {
            Err(self.damaged(key, "its checksum does not match"))
        }
    }

    fn refused(&self, error: impl Into<redb::Error>) -> StoreError {
        refused(self.file, "read", error)
    }
}

impl Sealed<'_, redb::Table<'_, Bytes, Bytes>> {
    /// Puts `value` under `key`. Returns the number of bytes stored for it.
    pub(super) fn save(&mut self, key: &[u8], value: &[u8]) -> Result<usize, StoreError> {
        let sealed = [value, &checksum(&[self.name.0.as_bytes(), key, value])].concat();
        self.table.insert(key, sealed.as_slice()).map_err(|e| refused(self.file, "write", e))?;
        Ok(sealed.len())
    }

    pub(super) fn save_number(&mut self, key: &[u8], number: u64) -> Result<(), StoreError> {
        self.save(key, &number.to_be_bytes()).map(drop)
    }

    /// Removes `key`; says whether it was there.
    pub(super) fn remove(&mut self, key: &[u8]) -> Result<bool, StoreError> {
        let removed = self.table.remove(key).map_err(|e| refused(self.file, "write", e))?;
        Ok(removed.is_some())
    }

    /// Removes the first record without verifying it. Returns its key and the bytes that were stored for it.
    pub(super) fn remove_first(&mut self) -> Result<Option<(Vec<u8>, usize)>, StoreError> {
        let first = self.table.pop_first().map_err(|e| refused(self.file, "write", e))?;
        Ok(first.map(|(key, value)| (key.value().to_vec(), value.value().len())))
    }
}

/// Sorts what redb said while `doing` something to `file`.
pub(super) fn refused(file: &Path, doing: &'static str, error: impl Into<redb::Error>) -> StoreError {
    use std::io::ErrorKind::{InvalidData, UnexpectedEof};
    match error.into() {
        redb::Error::Io(e) if matches!(e.kind(), InvalidData | UnexpectedEof) => {
            unreadable(file, e.to_string())
        }
        redb::Error::Io(e) => StoreError::io(doing, file, e),
        redb::Error::DatabaseAlreadyOpen => {
            StoreError::Held { dir: file.parent().unwrap_or(file).to_path_buf(), pid: None }
        }
        e @ (redb::Error::PreviousIo | redb::Error::DatabaseClosed | redb::Error::LockPoisoned(_)) => {
            StoreError::Unavailable { what: "the state file", why: e.to_string() }
        }
        e => unreadable(file, e.to_string()),
    }
}

/// An error that says that `file` as a whole is damaged.
pub(super) fn unreadable(file: &Path, why: String) -> StoreError {
    StoreError::corrupt(Corruption {
        file: file.to_path_buf(),
        place: "pages".to_owned(),
        why,
        remedy: REMEDY.to_owned(),
        extent: Extent::File,
    })
}

fn printed(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) => text.to_owned(),
        _ => key.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

const REMEDY: &str =
    "restore a copy of the state directory, or move it away and apply the configuration again";

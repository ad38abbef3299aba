//! What a store keeps against itself, for tests: bytes are read as every kind of record, and what was read is written and read again.
//!
//! Nothing here is used by a running program. It is public so that a fuzzer can reach the records without their being public.

use crate::again::expect_same;
use crate::documents::layout::{decode_root, encode_root};
use crate::documents::revision::Root;
use crate::embedded::{reread_extent, reread_mark};
use crate::journal::entry::NewEntry;

/// As which kinds of records bytes can be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reread {
    /// A whole revision.
    pub root: Option<Root>,
    /// An entry of a journal.
    pub entry: Option<NewEntry>,
    /// Why they are no revision and why they are no entry, in the words of an error.
    pub refused: Vec<String>,
}

/// Reads bytes as a revision, an entry of a journal, the extent of a journal and the mark of a commit.
///
/// # Errors
/// What came back as something else, or could not be written although it was read.
pub fn reread(bytes: &[u8]) -> Result<Reread, String> {
    let mut found = Reread::default();
    match decode_root(bytes) {
        Ok(root) => {
            let again = encode_root(&root).map_err(|error| format!("{root:?}: {error}"))?;
            expect_same(&root, decode_root(&again).ok())?;
            found.root = Some(root);
        }
        Err(error) => found.refused.push(error.to_string()),
    }
    match NewEntry::decode(bytes) {
        Ok(entry) => {
            let again = entry.encode().map_err(|error| format!("{entry:?}: {error}"))?;
            expect_same(&entry, NewEntry::decode(&again).ok())?;
            found.entry = Some(entry);
        }
        Err(error) => found.refused.push(error.to_string()),
    }
    reread_extent(bytes)?;
    reread_mark(bytes)?;
    Ok(found)
}

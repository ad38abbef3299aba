//! The roots in the file, and what they name: read by whoever asks for a document, and by whoever collects the rest.

use std::collections::BTreeSet;

use redb::ReadableTable;

use crate::documents::layout::{LayoutError, decode_page, decode_root};
use crate::documents::revision::Root;
use crate::documents::shard::ShardId;
use crate::documents::walk;
use crate::embedded::tables::{HISTORY, META, Reading, SHARDS, Sealed};
use crate::error::StoreError;

/// The root in `meta`, if any was ever published.
pub(super) fn stored_root<T>(meta: &Sealed<'_, T>) -> Result<Option<Root>, StoreError>
where
    T: ReadableTable<&'static [u8], &'static [u8]>,
{
    root_in(meta, ROOT_KEY)
}

/// The root under a key, if there is one.
pub(super) fn root_in<T>(table: &Sealed<'_, T>, key: &[u8]) -> Result<Option<Root>, StoreError>
where
    T: ReadableTable<&'static [u8], &'static [u8]>,
{
    let Some(bytes) = table.load(key)? else { return Ok(None) };
    decode_root(&bytes).map(Some).map_err(|error| unusable(table, key, error))
}

/// The newest root and those before it.
pub(super) fn kept_roots(reading: &Reading<'_>) -> Result<Vec<Root>, StoreError> {
    let mut roots = Vec::from_iter(stored_root(&reading.table(META)?)?);
    let history = reading.table(HISTORY)?;
    for key in history.keys_while(&[], |_| true)? {
        roots.extend(root_in(&history, &key)?);
    }
    Ok(roots)
}

/// The ids of every page and shard that a kept revision names.
pub(super) fn all_named(reading: &Reading<'_>) -> Result<BTreeSet<ShardId>, StoreError> {
    let roots = kept_roots(reading)?;
    let contents = reading.table(SHARDS)?;
    walk::named(&roots, |page, depth| {
        let key = page.as_bytes();
        let bytes = load(&contents, page)?.ok_or_else(|| contents.damaged(key, MISSING))?;
        decode_page(&bytes, depth).map_err(|error| unusable(&contents, key, error))
    })
}

/// The document under `id`, if it is there; verified.
pub(super) fn load<T>(contents: &Sealed<'_, T>, id: ShardId) -> Result<Option<Vec<u8>>, StoreError>
where
    T: ReadableTable<&'static [u8], &'static [u8]>,
{
    match contents.load(id.as_bytes())? {
        Some(content) if ShardId::of(&content) != id => {
            Err(contents.damaged(id.as_bytes(), "its content has another hash"))
        }
        found => Ok(found),
    }
}

/// A record that is whole, and that this version cannot use.
pub(super) fn unusable<T>(table: &Sealed<'_, T>, key: &[u8], error: LayoutError) -> StoreError
where
    T: ReadableTable<&'static [u8], &'static [u8]>,
{
    match error {
        LayoutError::Newer { found, known } => table.newer(found, known),
        error => table.damaged(key, error.to_string()),
    }
}

/// Where `meta` has the newest root.
pub(super) const ROOT_KEY: &[u8] = b"root";
/// What is said of a page or shard that is not there.
pub(super) const MISSING: &str = "a revision that is kept names it, and it is missing";

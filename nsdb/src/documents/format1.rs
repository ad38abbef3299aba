//! The root as format 1 stored it: a byte 1, then this type by postcard, with every shard in it. Nothing writes it any more; a store to
//! which nothing was published since holds it still. Frozen: postcard knows no names, so a field added, left out or moved would be read
//! as another.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::clock::WallTime;
use crate::documents::revision::{Revision, Root};
use crate::documents::shard::{Page, ShardId, ShardName};
use crate::schema::{self, SchemaError};

/// The byte that roots of this format begin with.
pub(super) const FORMAT: u8 = 1;

#[derive(Deserialize)]
struct FirstRoot {
    revision: Revision,
    shards: BTreeMap<ShardName, [u8; 32]>,
    author: String,
    at: WallTime,
    note: String,
}

/// Reads a root of format 1: one page, however long.
pub(super) fn read(bytes: &[u8]) -> Result<Root, SchemaError> {
    let FirstRoot { revision, shards, author, at, note } = schema::decode(FORMAT, bytes)?;
    let entries = shards.into_iter().map(|(name, id)| (name, ShardId::from_bytes(id))).collect();
    Ok(Root { revision, author, at, note, confirm_within: None, top: Page { depth: 0, entries } })
}

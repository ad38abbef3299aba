//! What publishing means, apart from any backend: which root follows, which shards are written, which fall out of use.

use std::collections::{BTreeMap, BTreeSet};

use crate::documents::DocumentsError;
use crate::documents::revision::{Change, Revision, Root};
use crate::documents::shard::{ShardId, ShardName};
use crate::schema;

/// A publication that may go ahead.
#[derive(Debug)]
pub(crate) struct Publication {
    /// The root that follows.
    pub(crate) root: Root,
    /// That root as it is stored.
    pub(crate) root_bytes: Vec<u8>,
    /// Content of every shard of the new root; those already stored need not be written again.
    pub(crate) contents: BTreeMap<ShardId, Vec<u8>>,
    /// Shards of the old root that the new one does not name.
    pub(crate) unreferenced: Vec<ShardId>,
}

impl Publication {
    /// Checks sizes and the expected revision, and works out what follows `current`.
    pub(crate) fn after(
        current: Option<&Root>,
        expected: Option<Revision>,
        shards: BTreeMap<ShardName, Vec<u8>>,
        change: Change,
    ) -> Result<Self, DocumentsError> {
        let found = current.map(|root| root.revision);
        if found != expected {
            return Err(DocumentsError::Conflict { expected, found });
        }
        check_change(&change)?;
        let mut names = BTreeMap::new();
        let mut contents = BTreeMap::new();
        for (name, content) in shards {
            check_shard(&name, content.len())?;
            let id = ShardId::of(&content);
            names.insert(name, id);
            contents.insert(id, content);
        }
        let revision = found.map_or(Revision::FIRST, Revision::next);
        let root = Root { revision, shards: names, author: change.author, at: change.at, note: change.note };
        let root_bytes = encode_root(&root)?;
        let unreferenced = current.map_or_else(Vec::new, |old| dropped(old, &contents));
        Ok(Self { root, root_bytes, contents, unreferenced })
    }
}

/// The stored form of `root`.
pub(crate) fn encode_root(root: &Root) -> Result<Vec<u8>, DocumentsError> {
    let bytes = schema::encode(ROOT_VERSION, root)?;
    if bytes.len() > MAX_ROOT_BYTES {
        return Err(DocumentsError::RootTooLarge { shards: root.shards.len(), length: bytes.len() });
    }
    Ok(bytes)
}

/// Reads what [`Publication::root_bytes`] holds.
pub(crate) fn decode_root(bytes: &[u8]) -> Result<Root, schema::SchemaError> {
    schema::decode(ROOT_VERSION, bytes)
}

fn check_shard(name: &ShardName, length: usize) -> Result<(), DocumentsError> {
    if length > MAX_SHARD_BYTES {
        return Err(DocumentsError::ShardTooLarge { name: name.clone(), length });
    }
    Ok(())
}

fn check_change(change: &Change) -> Result<(), DocumentsError> {
    for (what, length, allowed) in
        [("author", change.author.len(), MAX_AUTHOR_BYTES), ("note", change.note.len(), MAX_NOTE_BYTES)]
    {
        if length > allowed {
            return Err(DocumentsError::TextTooLong { what, length, allowed });
        }
    }
    Ok(())
}

fn dropped(old: &Root, contents: &BTreeMap<ShardId, Vec<u8>>) -> Vec<ShardId> {
    let old_ids: BTreeSet<_> = old.shards.values().copied().collect();
    old_ids.into_iter().filter(|id| !contents.contains_key(id)).collect()
}

/// Largest shard in bytes. ZooKeeper refuses a packet over 1 048 575 bytes (`jute.maxbuffer`); what is left is for its
/// path and header.
pub const MAX_SHARD_BYTES: usize = 1_000_000;

/// Largest encoded root in bytes: some 10 000 shards with names of 60 characters. Same source as [`MAX_SHARD_BYTES`].
pub const MAX_ROOT_BYTES: usize = 1_000_000;

const MAX_AUTHOR_BYTES: usize = 255;
const MAX_NOTE_BYTES: usize = 4_096;
const ROOT_VERSION: u8 = 1;

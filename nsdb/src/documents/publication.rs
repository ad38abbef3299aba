//! What publishing means, apart from any backend: which root follows, and which documents it needs.

use std::collections::BTreeMap;

use crate::documents::DocumentsError;
use crate::documents::layout::encode_root;
use crate::documents::page::Pages;
use crate::documents::revision::{Change, Revision, Root};
use crate::documents::shard::{ShardId, ShardName};

/// A publication that may go ahead.
#[derive(Debug)]
pub(crate) struct Publication {
    /// The root that follows.
    pub(crate) root: Root,
    /// That root as it is stored.
    pub(crate) root_bytes: Vec<u8>,
    /// Every page and shard of the new root; those already stored need not be written again.
    pub(crate) contents: BTreeMap<ShardId, Vec<u8>>,
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
        let Pages { top, stored } = Pages::of(names)?;
        contents.extend(stored);
        let revision = found.map_or(Revision::FIRST, Revision::next);
        let Change { author, at, note, confirm_within } = change;
        let root = Root { revision, author, at, note, confirm_within, top };
        let root_bytes = encode_root(&root)?;
        Ok(Self { root, root_bytes, contents })
    }
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

/// Largest shard in bytes. ZooKeeper refuses a packet over 1 048 575 bytes (`jute.maxbuffer`); what is left is for its
/// path and header.
pub const MAX_SHARD_BYTES: usize = 1_000_000;

const MAX_AUTHOR_BYTES: usize = 255;
const MAX_NOTE_BYTES: usize = 4_096;

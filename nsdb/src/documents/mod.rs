//! The trait [`Documents`] and its errors.

pub(crate) mod publication;
pub(crate) mod revision;
pub(crate) mod shard;

use std::collections::BTreeMap;
use std::future::Future;

use thiserror::Error;
use tokio::sync::watch;

use crate::clock::WallTime;
use crate::documents::publication::{MAX_ROOT_BYTES, MAX_SHARD_BYTES};
use crate::documents::revision::{Change, Revision, Root};
use crate::documents::shard::{ShardId, ShardName};
use crate::error::StoreError;
use crate::schema::SchemaError;

/// The topology, as a line of whole revisions.
///
/// A revision is a [`Root`]: a map from shard names (per bridge, per host) to shard ids. A shard is immutable and is
/// stored under the hash of its content, so two revisions share what they have in common and a reader can prove what
/// it read. Publishing writes the shards that are new and then moves the root by compare-and-set:
///
/// ```text
/// root 41 ─► {bridge/vab1: a3…, bridge/vub8: 77…}        shards a3…, 77…, c0…
/// root 42 ─► {bridge/vab1: a3…, bridge/vub8: c0…}        77… falls out of use, is collected later
/// ```
///
/// The moment the root moves is the moment the change happens. A reader that took the root before reads the old shards
/// undisturbed, one that takes it after sees all of the new ones; there is nothing between. No transaction is needed,
/// so this fits a server that can only swap one node. Two writers cannot both follow the same revision: the slower
/// gets a [conflict](DocumentsError::is_conflict), plans again, and nothing of its change is visible.
///
/// Unreferenced shards stay for a while ([`collect`](Self::collect) with an hour), for readers that hold an older root.
/// A publication that takes longer than that from its first shard to its root could lose a shard to the collector on
/// a backend without transactions; it must start again.
///
/// The bytes are the caller's ([`crate::schema`] gives them a version). At most [`MAX_SHARD_BYTES`] per shard.
pub trait Documents: Send + Sync {
    /// The newest revision, `None` if none was ever published.
    fn root(&self) -> impl Future<Output = Result<Option<Root>, DocumentsError>> + Send;

    /// The content of a shard, verified against its id.
    ///
    /// # Errors
    /// [`DocumentsError::Missing`] if it was collected or never written.
    fn read(&self, shard: ShardId) -> impl Future<Output = Result<Vec<u8>, DocumentsError>> + Send;

    /// Makes `shards` (all of them, not only the changed ones) the revision after `expected`.
    ///
    /// `expected` is the revision the caller planned against, `None` for an empty store. Publishing what is already
    /// there makes a new revision with the same shards; ask [`Root::differs_from`] first if that is not wanted.
    ///
    /// # Errors
    /// A [conflict](DocumentsError::is_conflict) names the revision that is there instead; nothing was changed.
    fn publish(
        &self,
        expected: Option<Revision>,
        shards: BTreeMap<ShardName, Vec<u8>>,
        change: Change,
    ) -> impl Future<Output = Result<Revision, DocumentsError>> + Send;

    /// Removes shards that fell out of use before `unreferenced_before` (by the [`Change::at`] of the publication that
    /// dropped them). Returns how many.
    fn collect(
        &self,
        unreferenced_before: WallTime,
    ) -> impl Future<Output = Result<usize, DocumentsError>> + Send;

    /// The newest revision, now and whenever it changes. Several changes may arrive as one.
    fn watch_root(&self) -> watch::Receiver<Option<Revision>>;

    /// The contents of those shards of `root` whose name is `wanted`: what an agent reads of a revision.
    ///
    /// # Errors
    /// The first failure of [`read`](Self::read).
    fn read_shards(
        &self,
        root: &Root,
        wanted: impl Fn(&ShardName) -> bool + Send,
    ) -> impl Future<Output = Result<BTreeMap<ShardName, Vec<u8>>, DocumentsError>> + Send {
        let wanted: Vec<_> = root
            .shards
            .iter()
            .filter(|(name, _)| wanted(name))
            .map(|(name, id)| (name.clone(), *id))
            .collect();
        async move {
            let mut contents = BTreeMap::new();
            for (name, id) in wanted {
                contents.insert(name, self.read(id).await?);
            }
            Ok(contents)
        }
    }
}

/// Why a document could not be read or published.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum DocumentsError {
    /// Somebody else published first.
    #[error("cannot publish after {}: {} is there; read it and plan again", named(*.expected), named(*.found))]
    Conflict {
        /// The revision the caller planned against.
        expected: Option<Revision>,
        /// The revision that is there.
        found: Option<Revision>,
    },
    /// The shard is not in the store.
    #[error("shard {shard} is not in the store: its revision is too old, read the root again")]
    Missing {
        /// The shard.
        shard: ShardId,
    },
    /// The shard is larger than every backend could store.
    #[error("shard {name} has {length} bytes: at most {MAX_SHARD_BYTES} are allowed")]
    ShardTooLarge {
        /// Its name.
        name: ShardName,
        /// Its length in bytes.
        length: usize,
    },
    /// The root is larger than every backend could store.
    #[error(
        "a root of {shards} shards has {length} bytes: at most {MAX_ROOT_BYTES} are allowed, use fewer shards"
    )]
    RootTooLarge {
        /// Number of shards.
        shards: usize,
        /// Encoded length in bytes.
        length: usize,
    },
    /// Author or note is too long.
    #[error("the {what} of a change has {length} bytes: at most {allowed} are allowed")]
    TextTooLong {
        /// "author" or "note".
        what: &'static str,
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        allowed: usize,
    },
    /// The root could not be encoded.
    #[error("the root cannot be encoded")]
    Schema(#[from] SchemaError),
    /// The backend failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DocumentsError {
    /// Whether somebody else published first: read the root and plan again.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }

    /// Whether what was to be published is more than a store takes: the caller's to change.
    pub fn is_too_large(&self) -> bool {
        matches!(self, Self::ShardTooLarge { .. } | Self::RootTooLarge { .. } | Self::TextTooLong { .. })
    }

    /// Whether the same call may succeed later. It may also have been carried out: read the root first.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_retryable())
    }

    /// Whether stored data is damaged.
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_corrupt())
    }
}

fn named(revision: Option<Revision>) -> String {
    revision.map_or_else(|| "no revision".to_owned(), |revision| format!("revision {revision}"))
}

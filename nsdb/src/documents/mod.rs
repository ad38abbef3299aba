//! The trait [`Documents`] and its errors.

pub(crate) mod collection;
pub(crate) mod confirm;
mod format1;
pub(crate) mod keeping;
pub(crate) mod kept;
pub(crate) mod layout;
pub(crate) mod page;
pub(crate) mod publication;
pub(crate) mod revision;
pub(crate) mod shard;
pub(crate) mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use thiserror::Error;
use tokio::sync::watch;

use crate::documents::layout::LayoutError;
use crate::documents::publication::MAX_SHARD_BYTES;
use crate::documents::revision::{Change, Revision, RevisionInfo, Root};
use crate::documents::shard::{ShardId, ShardName};
use crate::documents::walk::{Walk, Wanted};
use crate::error::StoreError;

/// The topology, as a line of whole revisions.
///
/// A revision is a [`Root`], from which pages lead to shards: each has a name (per bridge, per host) and a content. Pages and shards are
/// documents: immutable, and stored under the hash of their content, so two revisions share what they have in common and a reader can
/// prove what it read. Publishing writes the documents that are new and then moves the root by compare-and-set:
///
/// ```text
/// root 41 ─┬─► page 5e… ─► bridges/vab1: a3…, bridges/vub8: 77…        shards a3…, 77…, …
///          └─► page 09… ─► hosts/gw1: 1c…
/// root 42 ─┬─► page d1… ─► bridges/vab1: a3…, bridges/vub8: c0…        one shard changed: that shard,
///          └─► page 09…                                                its page and the root are written
/// ```
///
/// The moment the root moves is the moment the change happens. A reader that took the root before reads the old shards
/// undisturbed, one that takes it after sees all of the new ones; there is nothing between. No transaction is needed,
/// so this fits a server that can only swap one node. Two writers cannot both follow the same revision: the slower
/// gets a [conflict](DocumentsError::is_conflict), plans again, and nothing of its change is visible.
///
/// The last [`KEPT_REVISIONS`](crate::KEPT_REVISIONS) stay readable. Before the root moves, who publishes writes the root that is there under
/// its number; whoever does writes the same, so this needs no transaction either. What is older falls out, and the documents that only
/// it named with it.
///
/// Documents that no kept revision names any more stay for a while ([`collect`](Self::collect) with an hour), for readers that hold an older
/// root. How a collection may not take what a publication is about to name:
/// - Whoever publishes touches each document that is there already and that the revision before does not name; then its age begins anew.
/// - Age is told by the store's own clock. What authors say of time is not believed.
/// - A removal names the version that was judged, so that it fails when the document was touched since; or it is one transaction with a
///   look at the root, which fails when a revision came since.
///
/// A publication that takes longer than `unused_for` from its first document to its root could lose one on a backend without
/// transactions; it must start again.
///
/// A revision may be published on condition that it is confirmed ([`Change::to_be_confirmed`]): its root says within which time. The store
/// only says so; whoever follows it goes back to the revision before when that time is over, and whoever publishes the next one ends it.
///
/// The bytes are the caller's ([`crate::schema`] gives them a version). At most [`MAX_SHARD_BYTES`] per shard.
pub trait Documents: Send + Sync {
    /// The newest revision, `None` if none was ever published.
    fn root(&self) -> impl Future<Output = Result<Option<Root>, DocumentsError>> + Send;

    /// The revisions that are kept, the newest first, without a gap: the last [`KEPT_REVISIONS`](crate::KEPT_REVISIONS). One before the
    /// newest whose root somebody else has written over says so, and hides no other.
    fn revisions(&self) -> impl Future<Output = Result<Vec<RevisionInfo>, DocumentsError>> + Send;

    /// The root of `revision`, `None` if there is none yet or it has fallen out.
    fn root_of(
        &self,
        revision: Revision,
    ) -> impl Future<Output = Result<Option<Root>, DocumentsError>> + Send;

    /// The content of a shard or page, verified against its id.
    ///
    /// # Errors
    /// [`DocumentsError::Missing`] if it was collected or never written.
    fn read(&self, document: ShardId) -> impl Future<Output = Result<Vec<u8>, DocumentsError>> + Send;

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

    /// Removes documents that no kept revision names and that an earlier collection, at least `unused_for` ago, found so already; one with
    /// zero removes them at once. Returns how many. What a publication comes in between with may be left to the next.
    fn collect(&self, unused_for: Duration) -> impl Future<Output = Result<usize, DocumentsError>> + Send;

    /// The newest revision, now and whenever it changes. Several changes may arrive as one.
    fn watch_root(&self) -> watch::Receiver<Option<Revision>>;

    /// The names and ids of those shards of `root` that are `within`: each of these is a whole name (`hosts/gw1`) or, with a slash at
    /// its end, all names below it (`parts/vub8/`); the empty text is every name. Reads the pages that can hold them, and no others.
    ///
    /// # Errors
    /// The first failure of [`read`](Self::read); a page that is not one.
    fn names(
        &self,
        root: &Root,
        within: &[&str],
    ) -> impl Future<Output = Result<BTreeMap<ShardName, ShardId>, DocumentsError>> + Send {
        async move {
            let mut walk = Walk::begin(root, Wanted::new(within));
            loop {
                let steps: Vec<_> = std::iter::from_fn(|| walk.next()).collect();
                if steps.is_empty() {
                    return Ok(walk.found());
                }
                let pages = self.read_all(steps.iter().map(|(step, _)| step.id).collect()).await?;
                for step in steps {
                    let page = step.0.id;
                    walk.take(step, pages.get(&page).ok_or(DocumentsError::Missing { shard: page })?)?;
                }
            }
        }
    }

    /// The contents of several documents, many of them at the same time.
    ///
    /// # Errors
    /// The first failure of [`read`](Self::read).
    fn read_all(
        &self,
        documents: BTreeSet<ShardId>,
    ) -> impl Future<Output = Result<BTreeMap<ShardId, Vec<u8>>, DocumentsError>> + Send {
        async move {
            let read = |id: ShardId| async move { self.read(id).await.map(|bytes| (id, bytes)) };
            stream::iter(documents).map(read).buffer_unordered(AT_ONCE).try_collect().await
        }
    }

    /// The contents of the shards of `root` that are `within`, as for [`names`](Self::names): what an agent reads of a revision.
    ///
    /// # Errors
    /// As for [`names`](Self::names).
    fn read_shards(
        &self,
        root: &Root,
        within: &[&str],
    ) -> impl Future<Output = Result<BTreeMap<ShardName, Vec<u8>>, DocumentsError>> + Send {
        async move {
            let names = self.names(root, within).await?;
            let contents = self.read_all(names.values().copied().collect()).await?;
            Ok(names.into_iter().filter_map(|(name, id)| Some((name, contents.get(&id)?.clone()))).collect())
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
    /// The shard or page is not in the store.
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
    /// A root or page cannot be read or written.
    #[error("a root or page cannot be used: {0}")]
    Layout(#[from] LayoutError),
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
        matches!(self, Self::ShardTooLarge { .. } | Self::TextTooLong { .. })
    }

    /// Whether the same call may succeed later. It may also have been carried out: read the root first.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_retryable())
    }

    /// Whether a server does not let us: another kind of host may.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Store(StoreError::Denied { .. }))
    }

    /// Whether stored data is damaged.
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_corrupt())
    }
}

/// A revision in words.
pub(crate) fn named(revision: Option<Revision>) -> String {
    revision.map_or_else(|| "no revision".to_owned(), |revision| format!("revision {revision}"))
}

/// Documents that are read at the same time: enough that the way to a server is no matter, few enough that others get their turn.
const AT_ONCE: usize = 64;

//! The topology in the shared store: publishing a revision, and following the newest.

mod back;
mod built;
mod follow;
mod kept;
mod scope;
pub mod standing;
mod trial;

use std::collections::BTreeMap;
use std::sync::Arc;

use nsdb::{
    Change, ConfirmWithin, Documents, DocumentsError, Revision, RevisionInfo, Root, ShardName, Store,
    WallTime,
};
use vlan::model::numbers::Numbers;
use vlan::model::topology::Topology;

use crate::clock;
use crate::documents::{self, DocumentError, FileText, Stored};
use crate::tree::{Sources, TreeMistake};
use scope::Scope;

pub use back::confirm;
pub use built::Built;
pub use follow::follow;
pub use trial::Waits;

/// Why a topology could not be read or published.
#[derive(Debug, thiserror::Error)]
pub enum TopologyError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] DocumentsError),
    /// What is stored cannot be read.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Somebody else published in between.
    #[error(
        "not published: it was made for revision {expected}, but revision {there} is there; look at it (`l2gw plan`, `l2gw show revisions`) and try again"
    )]
    Conflict {
        /// What the caller planned against; 0 for an empty store.
        expected: u64,
        /// What is there; 0 for an empty store.
        there: u64,
    },
    /// Somebody else published again and again.
    #[error("not applied: somebody else published a revision in between, {tries} times in a row; try again")]
    Contended {
        /// How often it was tried.
        tries: u32,
    },
    /// A declared VNI is another segment's, or no number is left.
    #[error("{}", words_of(.0))]
    Numbers(Vec<TreeMistake>),
    /// No server of the store has answered for a while.
    #[error("the store has been away for {seconds} s: {why}")]
    Away {
        /// For how long.
        seconds: u64,
        /// Which servers, and what is known of them.
        why: String,
    },
    /// What is to be published again cannot be.
    #[error("revision {revision} cannot be read, or does not build any more: there is no way back to it")]
    NoWayBack {
        /// The revision.
        revision: u64,
    },
    /// The daemon is at its end.
    #[error("the daemon is stopping")]
    Stopping,
}

fn words_of(mistakes: &[TreeMistake]) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl TopologyError {
    /// Whether somebody else published in between.
    pub fn is_conflict(&self) -> bool {
        matches!(self, TopologyError::Conflict { .. } | TopologyError::Contended { .. })
    }

    /// Whether the store does not let this host publish.
    pub fn is_denied(&self) -> bool {
        matches!(self, TopologyError::Store(error) if error.is_denied())
    }

    /// Whether what was to be published cannot be stored: a name that cannot be a shard's, more bytes than a store takes.
    pub fn is_unstorable(&self) -> bool {
        match self {
            TopologyError::Store(error) => error.is_too_large(),
            TopologyError::Document(error) => error.is_of_topology(),
            TopologyError::Numbers(_) => true,
            TopologyError::Conflict { .. }
            | TopologyError::Contended { .. }
            | TopologyError::Away { .. }
            | TopologyError::NoWayBack { .. }
            | TopologyError::Stopping => false,
        }
    }
}

/// Who publishes, and what they say of it.
#[derive(Debug, Clone)]
pub struct Authorship {
    /// Who.
    pub author: String,
    /// What it is about.
    pub note: String,
    /// The file that it was read from.
    pub text: Option<FileText>,
    /// Where its objects came from.
    pub sources: Sources,
    /// Within which time it has to be confirmed, if it has to be.
    pub confirm_within: Option<ConfirmWithin>,
}

/// A revision, mostly the newest.
#[derive(Debug)]
pub struct Newest {
    /// Its number.
    pub revision: Revision,
    /// Who published it; empty of what a host has kept.
    pub author: String,
    /// Within which time it has to be confirmed, if it has to be.
    pub confirm_within: Option<ConfirmWithin>,
    /// What is stored of it; why it cannot be read, where a newer version wrote it or it is damaged.
    pub stored: Result<Stored, String>,
}

/// The newest revision, as a whole; `None` from an empty store.
///
/// # Errors
/// The store cannot be read now.
pub async fn newest(store: &Store) -> Result<Option<Newest>, TopologyError> {
    match newest_root(store).await? {
        Some(root) => Scope::Whole.read(store, &root).await.map(Some),
        None => Ok(None),
    }
}

/// A revision, as a whole, if it is still kept.
///
/// # Errors
/// The store cannot be read now.
pub async fn of(store: &Store, revision: Revision) -> Result<Option<Newest>, TopologyError> {
    standing::check_there(store)?;
    match store.root_of(revision).await? {
        Some(root) => Scope::Whole.read(store, &root).await.map(Some),
        None => Ok(None),
    }
}

/// The newest revision that can be read, of those that the store keeps.
///
/// # Errors
/// The store cannot be read now.
pub async fn last_readable(store: &Store) -> Result<Option<Newest>, TopologyError> {
    Scope::Whole.last_readable(store).await
}

/// The newest revision, without what it declares; `None` from an empty store.
///
/// # Errors
/// The store cannot be read.
pub async fn newest_root(store: &Store) -> Result<Option<Root>, TopologyError> {
    standing::check_there(store)?;
    Ok(store.root().await?)
}

/// The same, no older than anything that was published before this was called.
///
/// # Errors
/// The store cannot be read.
pub async fn fresh_root(store: &Store) -> Result<Option<Root>, TopologyError> {
    standing::check_there(store)?;
    store.catch_up().await.map_err(DocumentsError::from)?;
    Ok(store.root().await?)
}

/// The revisions that the store keeps, the newest first.
///
/// # Errors
/// The store cannot be read.
pub async fn revisions(store: &Store) -> Result<Vec<RevisionInfo>, TopologyError> {
    standing::check_there(store)?;
    Ok(store.revisions().await?)
}

/// What `host` has kept of the revision that was in force last, its share: it is there without the store.
pub async fn kept_of(store: &Store, host: &str) -> Option<Newest> {
    kept::load(store, host).await
}

fn read(shards: &BTreeMap<ShardName, Vec<u8>>) -> Result<Stored, DocumentError> {
    documents::from_shards(shards.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())))
}

/// Makes a topology the revision after `before`, whatever it declares; [`crate::door`] has checked it. Its numbers are dealt out here, and
/// with them it is offered to whoever follows the store by what was `built`.
///
/// # Errors
/// A conflict if `before` is not the newest any more; a VNI that is another segment's; the store refused.
pub async fn publish(
    store: &Store,
    topology: &mut Arc<Topology>,
    before: Option<&Newest>,
    by: &Authorship,
    built: &Built,
) -> Result<Revision, TopologyError> {
    let kept = before.and_then(|newest| newest.stored.as_ref().ok());
    let numbers = match (before, kept) {
        (_, Some(stored)) => stored.numbers.clone().unwrap_or_default(),
        (None, None) => Numbers::default(),
        (Some(newest), None) => numbers_of(store, newest.revision).await?,
    };
    let numbers = numbers.after(topology).map_err(|mistakes| {
        let with_name = |mistake| TreeMistake::in_description(mistake, topology.description());
        TopologyError::Numbers(mistakes.into_iter().map(with_name).collect())
    })?;
    Arc::make_mut(topology).take_numbers(&numbers);
    let stored = Stored::after(kept, topology.description(), numbers, by.text.clone(), by.sources.clone());
    let shards = documents::to_shards(&stored)?;
    documents::check_read_back(&stored, &shards)?;
    let change = Change::new(by.author.clone(), WallTime::from_millis(clock::wall_ms()), by.note.clone())
        .to_be_confirmed(by.confirm_within);
    let expected = before.map(|newest| newest.revision);
    // Who follows a store of several hosts reads less than was built.
    if let Some(numbers) = stored.numbers.as_ref().filter(|_| store.is_of_one_host()) {
        built.offer(expected, numbers, topology);
    }
    let published = store.publish(expected, shards, change).await;
    if published.is_err() {
        built.withdraw();
    }
    match published {
        Ok(revision) => Ok(revision),
        Err(error) if error.is_conflict() => {
            let there = store.root().await?.map_or(0, |root| root.revision.get());
            Err(TopologyError::Conflict { expected: expected.map_or(0, Revision::get), there })
        }
        Err(error) => Err(error.into()),
    }
}

/// The numbers of a revision that cannot be read as a whole: those of the last one that can be, and none may be dealt out twice.
async fn numbers_of(store: &Store, revision: Revision) -> Result<Numbers, TopologyError> {
    let root = newest_root(store).await?.filter(|root| root.revision == revision);
    let Some(root) = root else {
        return Err(TopologyError::Contended { tries: 1 });
    };
    let shards = store.read_shards(&root, &[documents::NUMBERS]).await;
    let counters = shards.ok().and_then(|shards| read(&shards).ok()?.numbers);
    let before = last_readable(store).await?.and_then(|newest| newest.stored.ok()?.numbers);
    let mut before = before.unwrap_or_default();
    // Of a damaged page not even the names are known.
    for shard in store.names(&root, &[""]).await.unwrap_or_default().into_values() {
        // A shard that is lost says nothing, whichever it is.
        let Ok(bytes) = store.read(shard).await else { continue };
        documents::take_segments(&bytes, &mut before);
    }
    let (next_host, next_vni) = match &counters {
        Some(counters) => (counters.next_host, counters.next_vni),
        // Which were dealt out is lost with it; one revision never deals out so many.
        None => (before.next_host.saturating_add(SKIPPED), before.next_vni.saturating_add(SKIPPED)),
    };
    let retired = counters.map_or_else(|| before.retired.clone(), |counters| counters.retired);
    Ok(Numbers { next_host, next_vni, retired, ..before })
}

/// Numbers that are passed over where it is lost which were dealt out.
const SKIPPED: u32 = 1 << 20;

#[cfg(test)]
mod tests;

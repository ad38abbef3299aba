//! The topology in the shared store: publishing a revision, and following the newest.

use std::sync::Arc;

use nsdb::{Change, Documents, DocumentsError, Revision, Root, Store, WallTime};
use tokio::sync::mpsc;
use tracing::warn;
use vlan::model::description::Description;
use vlan::model::topology::Topology;

use crate::clock;
use crate::documents::{self, DocumentError};
use crate::runtime::Arrived;

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
        "cannot apply: it was planned against revision {expected}, but revision {there} is there; run `l2gw plan` again"
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
    /// The daemon is at its end.
    #[error("the daemon is stopping")]
    Stopping,
}

impl TopologyError {
    /// Whether somebody else published in between.
    pub fn is_conflict(&self) -> bool {
        matches!(self, TopologyError::Conflict { .. } | TopologyError::Contended { .. })
    }

    /// Whether what was to be published cannot be stored: a name that cannot be a shard's, more bytes than a store takes.
    pub fn is_unstorable(&self) -> bool {
        match self {
            TopologyError::Store(error) => error.is_too_large(),
            TopologyError::Document(error) => {
                matches!(error, DocumentError::Name { .. } | DocumentError::Differs { .. })
            }
            TopologyError::Conflict { .. } | TopologyError::Contended { .. } | TopologyError::Stopping => {
                false
            }
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
}

/// The newest revision and what it declares; `None` from an empty store.
///
/// # Errors
/// The store cannot be read, or what it holds is not a topology.
pub async fn newest(store: &Store) -> Result<Option<(Revision, Description)>, TopologyError> {
    match store.root().await? {
        Some(root) => Ok(Some((root.revision, read(store, &root).await?))),
        None => Ok(None),
    }
}

/// The newest revision, without what it declares; `None` from an empty store.
///
/// # Errors
/// The store cannot be read.
pub async fn newest_root(store: &Store) -> Result<Option<Root>, TopologyError> {
    Ok(store.root().await?)
}

async fn read(store: &Store, root: &Root) -> Result<Description, TopologyError> {
    let shards = store.read_shards(root, &[""]).await?;
    Ok(documents::from_shards(shards.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())))?)
}

/// Makes `description` the revision after `there` (0: an empty store), whatever it declares; [`crate::door`] has checked it.
///
/// # Errors
/// A conflict if `there` is not the newest any more; the store refused.
pub async fn publish(
    store: &Store,
    description: &Description,
    there: u64,
    by: &Authorship,
) -> Result<Revision, TopologyError> {
    let shards = documents::to_shards(description)?;
    documents::check_read_back(description, &shards)?;
    let change = Change::new(by.author.clone(), WallTime::from_millis(clock::wall_ms()), by.note.clone());
    match store.publish(Revision::new(there), shards, change).await {
        Ok(revision) => Ok(revision),
        Err(error) if error.is_conflict() => {
            let now_there = store.root().await?.map_or(0, |root| root.revision.get());
            Err(TopologyError::Conflict { expected: there, there: now_there })
        }
        Err(error) => Err(error.into()),
    }
}

/// The newest revision, read and compiled where nobody waits for the thread: of thousands of ports that takes a while, and this thread
/// answers questions. One that does not build comes without a topology; the engine finds the mistakes again, and tells them.
async fn arrive(store: &Store) -> Result<Option<Arrived>, TopologyError> {
    let Some(root) = store.root().await? else { return Ok(None) };
    let shards = store.read_shards(&root, &[""]).await?;
    let read = move || {
        let shards = shards.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
        let description = Box::new(documents::from_shards(shards)?);
        let built = Topology::build(&description).ok().map(Arc::new);
        Ok(Some(Arrived { revision: root.revision.get(), description, built }))
    };
    tokio::task::spawn_blocking(read).await.map_err(|_| TopologyError::Stopping)?
}

/// Passes on the newest revision, now and whenever it changes, until the receiver is gone.
pub async fn follow(store: Arc<Store>, arrivals: mpsc::Sender<Arrived>) {
    let mut changes = store.watch_root();
    loop {
        changes.borrow_and_update();
        match arrive(&store).await {
            Ok(Some(arrived)) => {
                if arrivals.send(arrived).await.is_err() {
                    return;
                }
            }
            Ok(None) => {}
            Err(error) => warn!(%error, "the topology cannot be read, the one in force stays"),
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

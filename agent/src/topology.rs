//! The topology in the shared store: publishing a revision, and following the newest.

use std::sync::Arc;

use nsdb::{Change, Documents, DocumentsError, Revision, Root, Store, WallTime};
use tokio::sync::mpsc;
use tracing::warn;
use vlan::model::description::Description;

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
}

impl TopologyError {
    /// Whether somebody else published in between.
    pub fn is_conflict(&self) -> bool {
        matches!(self, TopologyError::Conflict { .. })
    }

    /// Whether what was to be published cannot be stored: a name that cannot be a shard's, more bytes than a store takes.
    pub fn is_unstorable(&self) -> bool {
        match self {
            TopologyError::Store(error) => error.is_too_large(),
            TopologyError::Document(error) => matches!(error, DocumentError::Name { .. }),
            TopologyError::Conflict { .. } => false,
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

async fn read(store: &Store, root: &Root) -> Result<Description, TopologyError> {
    let shards = store.read_shards(root, |_| true).await?;
    Ok(documents::from_shards(shards.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())))?)
}

/// Makes `description` the revision after `expected` (`None`: whatever is there). What is already there makes no new revision.
///
/// # Errors
/// A conflict if `expected` is not the newest any more; the store refused.
pub async fn publish(
    store: &Store,
    description: &Description,
    expected: Option<u64>,
    by: &Authorship,
) -> Result<(Revision, bool), TopologyError> {
    let shards = documents::to_shards(description)?;
    let root = store.root().await?;
    let there = root.as_ref().map_or(0, |root| root.revision.get());
    if let Some(expected) = expected.filter(|expected| *expected != there) {
        return Err(TopologyError::Conflict { expected, there });
    }
    if let Some(root) = root.as_ref().filter(|root| !root.differs_from(&shards)) {
        return Ok((root.revision, false));
    }
    let change = Change::new(by.author.clone(), WallTime::from_millis(clock::wall_ms()), by.note.clone());
    match store.publish(root.map(|root| root.revision), shards, change).await {
        Ok(revision) => Ok((revision, true)),
        Err(error) if error.is_conflict() => {
            let now_there = store.root().await?.map_or(0, |root| root.revision.get());
            Err(TopologyError::Conflict { expected: there, there: now_there })
        }
        Err(error) => Err(error.into()),
    }
}

/// Passes on the newest revision, now and whenever it changes, until the receiver is gone.
pub async fn follow(store: Arc<Store>, arrivals: mpsc::Sender<Arrived>) {
    let mut changes = store.watch_root();
    loop {
        changes.borrow_and_update();
        match newest(&store).await {
            Ok(Some((revision, description))) => {
                let arrived = Arrived { revision: revision.get(), description: Box::new(description) };
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

//! Revisions as operators see them: the same whether a daemon is asked by its socket, or the store by whoever has opened it.

use nsdb::{ConfirmWithin, Revision, RevisionInfo, Store};
use serde::{Deserialize, Serialize};
use vlan::model::numbers::Numbers;

use crate::clock;
use crate::documents::{FileText, Stored};
use crate::topology::{self, Built, Newest, TopologyError, Waits};
use crate::tree::{Sources, Tree};

/// A revision, in the words of the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Published {
    /// Its number; 0 for an empty store.
    pub revision: u64,
    /// What it declares.
    pub topology: Tree,
    /// The numbers that were dealt out up to it, as whoever publishes the next has to heed them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Numbers>,
    /// The file that it was published from, if it was and its text was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<FileText>,
    /// Where its objects came from: those that did not from the daemon's own file.
    #[serde(default, skip_serializing_if = "Sources::is_empty")]
    pub sources: Sources,
    /// The host of which it is the share, where it is not all of the revision but what that host has kept of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_of: Option<String>,
    /// Within how many seconds it has to be confirmed, if it has to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_within_s: Option<ConfirmWithin>,
}

impl Published {
    /// All of a revision.
    pub(crate) fn whole(revision: u64, stored: Stored) -> Published {
        let topology = Tree::from(&stored.description);
        let Stored { numbers, text, sources, .. } = stored;
        Published { revision, topology, numbers, text, sources, share_of: None, confirm_within_s: None }
    }
}

/// Who published a revision, when and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionView {
    /// Its number.
    pub revision: u64,
    /// When, in milliseconds since 1970 by the publisher's wall clock.
    pub at_ms: u64,
    /// Who: the user that connected, or `file` for the daemon's own.
    pub author: String,
    /// What about, in the publisher's words.
    pub note: String,
    /// Why nothing else is known of it, if what is stored of it cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
    /// Within how many seconds it has to be confirmed, or had to be; what came of that stands in the note of the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_within_s: Option<ConfirmWithin>,
    /// Whether it waits for that now: only the newest can.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_unconfirmed: bool,
    /// How long it still waits, by the host that was asked, in seconds; of the newest only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<u64>,
    /// Of the newest: which of its objects did not come from the daemon's own file as they are, with their origins and authors.
    #[serde(default, skip_serializing_if = "Sources::is_empty")]
    pub sources: Sources,
}

impl From<RevisionInfo> for RevisionView {
    fn from(info: RevisionInfo) -> RevisionView {
        let RevisionInfo { revision, author, at, note, confirm_within, unreadable } = info;
        let (revision, at_ms, sources) = (revision.get(), at.as_millis(), Sources::default());
        RevisionView {
            revision,
            at_ms,
            author,
            note,
            unreadable,
            confirm_within_s: confirm_within,
            is_unconfirmed: false,
            seconds_left: None,
            sources,
        }
    }
}

/// A revision that has to be confirmed and is not yet, as one host sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unconfirmed {
    /// Its number.
    pub revision: u64,
    /// How long it is in force here, in seconds, rounded up; `None` where this host has gone back to the revision before.
    pub seconds_left: Option<u64>,
}

impl Unconfirmed {
    /// The revision that waits for its confirmation, as this host counts its time, if there is one.
    pub(crate) fn here(built: &Built) -> Option<Unconfirmed> {
        let now = clock::now();
        built.waits().map(|Waits { revision, until }| {
            let left = until.map(|until| until.since(now).as_millis().div_ceil(1_000) as u64);
            Unconfirmed { revision: revision.get(), seconds_left: left }
        })
    }
}

/// Why a revision cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum Unshown {
    /// It is too old, or there never was one of this number.
    #[error("revision {0} is not kept; `l2gw show revisions` lists those that are")]
    NotKept(Revision),
    /// It is there, and what is stored of it cannot be read.
    #[error("revision {revision} in the store cannot be read: {why}")]
    Unreadable {
        /// The revision.
        revision: Revision,
        /// Why not.
        why: String,
    },
    /// The store cannot be read now.
    #[error(transparent)]
    Store(#[from] TopologyError),
}

/// The newest revision; number 0 and nothing declared of an empty store.
///
/// # Errors
/// It cannot be read, or the store cannot be read now.
pub async fn newest(store: &Store) -> Result<Published, Unshown> {
    match topology::newest(store).await? {
        Some(there) => read(there),
        None => Ok(Published::whole(0, Stored::default())),
    }
}

/// One of those that are kept.
///
/// # Errors
/// It is not kept, cannot be read, or the store cannot be read now.
pub async fn one(store: &Store, revision: Revision) -> Result<Published, Unshown> {
    topology::of(store, revision).await?.map_or(Err(Unshown::NotKept(revision)), read)
}

/// Those that are kept, the newest first.
///
/// # Errors
/// The store cannot be read now.
pub async fn known(store: &Store) -> Result<Vec<RevisionView>, TopologyError> {
    let known = topology::revisions(store).await?;
    let mut known: Vec<RevisionView> = known.into_iter().map(RevisionView::from).collect();
    if let Some(newest) = known.first_mut() {
        newest.is_unconfirmed = newest.confirm_within_s.is_some();
    }
    // The list is there without it too, and one that has come in between is in the next list.
    let newest = topology::newest(store).await.ok().flatten();
    if let (Some(first), Some(Newest { revision, stored: Ok(stored), .. })) = (known.first_mut(), newest)
        && first.revision == revision.get()
    {
        first.sources = stored.sources;
    }
    Ok(known)
}

fn read(Newest { revision, confirm_within, stored, .. }: Newest) -> Result<Published, Unshown> {
    match stored {
        Ok(stored) => {
            let whole = Published::whole(revision.get(), stored);
            Ok(Published { confirm_within_s: confirm_within, ..whole })
        }
        Err(why) => Err(Unshown::Unreadable { revision, why }),
    }
}

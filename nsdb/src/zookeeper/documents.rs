//! [`Documents`](crate::Documents) on the ensemble: reading. How a revision comes in is in [`publishing`](super::publishing), how documents
//! go in [`collecting`](super::collecting).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::stream::{self, StreamExt, TryStreamExt};
use tokio::sync::{RwLock, watch};

use crate::documents::kept::Kept;
use crate::documents::layout::{decode_page, decode_root};
use crate::documents::revision::{Revision, Root};
use crate::documents::shard::{Page, ShardId};
use crate::documents::{DocumentsError, named, walk};
use crate::error::{Corruption, Extent, StoreError};
use crate::zookeeper::acquainted::Acquainted;
use crate::zookeeper::coordinator::Watch;
use crate::zookeeper::ground::{Ground, Origin};

/// The revisions under a root.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) ground: Arc<Ground>,
    /// The newest revision that was seen.
    pub(super) newest: watch::Sender<Option<Revision>>,
    /// Why the newest revision cannot be followed, where a server answers.
    pub(super) trouble: watch::Sender<Option<String>>,
    /// The newest root that was taken, by this process or one before it, and of which database.
    pub(super) acquainted: watch::Sender<Option<Acquainted>>,
    /// The connection on which the database was last seen to go on from it. Held while a root is taken.
    going_on: Mutex<Option<u64>>,
    /// What was read, for as long as a revision in hand names it.
    pub(super) read: Arc<Kept>,
    /// Documents that were not there, or damaged: who publishes them again writes them again.
    lost: Mutex<BTreeSet<ShardId>>,
    /// Held by the one collection of this process that is under way.
    pub(super) collecting: tokio::sync::Mutex<()>,
    /// Read by each publication of this process that is under way.
    pub(super) publishing: RwLock<()>,
}

/// Pages that were read on the way.
pub(super) type Pages = BTreeMap<ShardId, Arc<Page>>;

/// A root as it lies in its node.
#[derive(Debug)]
pub(super) struct StoredRoot {
    pub(super) root: Root,
    pub(super) bytes: Vec<u8>,
    /// The version of the node, for compare-and-set.
    pub(super) version: i32,
}

impl Shelf {
    /// `acquainted` is what a process before this one knew.
    pub(super) fn new(ground: Arc<Ground>, acquainted: Option<Acquainted>) -> Self {
        Self {
            ground,
            acquainted: watch::Sender::new(acquainted),
            newest: watch::Sender::new(None),
            trouble: watch::Sender::new(None),
            going_on: Mutex::default(),
            read: Arc::default(),
            lost: Mutex::default(),
            collecting: tokio::sync::Mutex::default(),
            publishing: RwLock::default(),
        }
    }

    /// The newest root. A server that has not heard of the one we know is asked to catch up.
    pub(super) async fn newest_root(&self) -> Result<Option<StoredRoot>, DocumentsError> {
        let (found, origin) = self.stored_root().await?;
        match self.contradiction(found.as_ref().map(|found| &found.root), &origin).await? {
            None => {
                self.note_trouble(None);
                Ok(found)
            }
            Some(_) => Ok(self.fresh_root().await?.0),
        }
    }

    /// The newest root of all that were published before this was asked, and where it was read.
    pub(super) async fn fresh_root(&self) -> Result<(Option<StoredRoot>, Origin), DocumentsError> {
        let coordinator = &self.ground.coordinator;
        loop {
            coordinator.catch_up().await.map_err(self.ground.error("read", ROOT))?;
            let (found, origin) = self.stored_root().await?;
            let Some(why) = self.contradiction(found.as_ref().map(|found| &found.root), &origin).await?
            else {
                self.note_trouble(None);
                return Ok((found, origin));
            };
            // Whose root this is says more than what is wrong with it; and it may have been accepted.
            self.ground.doubt();
            if self.ground.origin().await? == origin {
                let path = self.full_path(ROOT).into();
                return Err(StoreError::Unexpected { doing: "follow", path, why }.into());
            }
        }
    }

    /// What is wrong with a root that is found where another was known.
    pub(super) async fn contradiction(
        &self,
        found: Option<&Root>,
        origin: &Origin,
    ) -> Result<Option<String>, DocumentsError> {
        let known = self.acquainted.borrow().clone();
        // Of a database that an operator has accepted in the place of the one before any is right.
        let known = known.filter(|known| known.incarnation == origin.incarnation);
        let Some(root) = known.and_then(|known| known.root) else { return Ok(None) };
        let why = match contradiction(&root, found) {
            None if *lock(&self.going_on) == Some(origin.connection) => return Ok(None),
            None => self.gap(&root, found).await?,
            why => why,
        };
        if why.is_none() {
            *lock(&self.going_on) = Some(origin.connection);
        }
        let of = &origin.incarnation;
        Ok(why.map(|why| format!("{why}: was it put back from a backup? If it is meant, `l2gw store accept {of} FILE` tells all hosts")))
    }

    /// What is behind a new connection may have been put back, and have come past the root that is known: then the database has another
    /// root of its number, for as long as it has one.
    async fn gap(&self, known: &Root, found: Option<&Root>) -> Result<Option<String>, DocumentsError> {
        if found == Some(known) {
            return Ok(None);
        }
        match self.kept_root(known.revision).await {
            Ok(Some(kept)) if kept != *known => {
                Ok(Some(format!("it went on from another revision {} than was known", known.revision)))
            }
            Err(error) if error.is_retryable() => Err(error),
            // One that cannot be read says nothing.
            _ => Ok(None),
        }
    }

    /// The newest root, where it was read, and what wakes when it moves.
    pub(super) async fn watched_root(&self) -> Result<(Option<Root>, Origin, Watch), DocumentsError> {
        let coordinator = &self.ground.coordinator;
        loop {
            let origin = self.ground.origin().await?;
            let error = |refusal| self.ground.error("watch", ROOT)(refusal);
            let found = match coordinator.read_and_watch(ROOT).await.map_err(error)? {
                Some((bytes, _, watch)) => Some((Some(self.decode(ROOT, &bytes)?), watch)),
                None => {
                    let (stat, watch) = coordinator.look_and_watch(ROOT).await.map_err(error)?;
                    stat.is_none().then_some((None, watch))
                }
            };
            // Of another connection nobody knows yet which database is behind it.
            if let Some((root, watch)) = found.filter(|_| coordinator.is_on(origin.connection)) {
                return Ok((root, origin, watch));
            }
        }
    }

    /// The root of a revision before the newest.
    pub(super) async fn kept_root(&self, revision: Revision) -> Result<Option<Root>, DocumentsError> {
        let path = kept_path(revision);
        let found = self.ground.coordinator.read(&path).await.map_err(self.ground.error("read", &path))?;
        found.map(|(bytes, _)| self.decode(&path, &bytes)).transpose()
    }

    /// The numbers of the revisions before the newest that are there.
    pub(super) async fn kept_revisions(&self) -> Result<BTreeSet<Revision>, DocumentsError> {
        let found = self.ground.coordinator.list(KEPT).await.map_err(self.ground.error("list", KEPT))?;
        let number = |name: String| name.parse().ok().and_then(Revision::new);
        Ok(found.unwrap_or_default().into_iter().filter_map(number).collect())
    }

    /// The roots that are kept, the newest first, without a gap: each by its number, or why it cannot be read.
    pub(super) async fn kept(&self) -> Result<Vec<(Revision, Result<Root, DocumentsError>)>, DocumentsError> {
        let Some(newest) = self.newest_root().await? else { return Ok(Vec::new()) };
        let (first, last) = (newest.root.revision.first_kept().get(), newest.root.revision.get());
        let older = (first..last).rev().filter_map(Revision::new);
        let read = |revision| async move { (revision, self.kept_root(revision).await) };
        let mut reading = stream::iter(older).map(read).buffered(AT_ONCE);
        let mut kept = vec![(newest.root.revision, Ok(newest.root))];
        while let Some((revision, root)) = reading.next().await {
            match root {
                Ok(None) => break,
                Err(error) if error.is_retryable() => return Err(error),
                root => kept.extend(root.transpose().map(|root| (revision, root))),
            }
        }
        Ok(kept)
    }

    /// The same, where all of them have to be read: one that cannot be may name anything.
    pub(super) async fn kept_roots(&self) -> Result<Vec<Root>, DocumentsError> {
        self.kept().await?.into_iter().map(|(_, root)| root).collect()
    }

    /// A document, verified. One that is not there may not have come to this server yet, so that it is asked once more.
    pub(super) async fn load(&self, id: ShardId) -> Result<Vec<u8>, DocumentsError> {
        let path = document_path(id);
        let mut found = self.bytes_at(&path).await?;
        if found.is_none() {
            let coordinator = &self.ground.coordinator;
            coordinator.catch_up().await.map_err(self.ground.error("read", &path))?;
            found = self.bytes_at(&path).await?;
        }
        match found {
            Some(bytes) if ShardId::of(&bytes) == id => Ok(bytes),
            found => {
                lock(&self.lost).insert(id);
                let why = "its content does not have this hash".to_owned();
                Err(found.map_or(DocumentsError::Missing { shard: id }, |_| self.damaged(&path, why).into()))
            }
        }
    }

    async fn bytes_at(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self.ground.coordinator.read(path).await.map_err(self.ground.error("read", path))?;
        Ok(found.map(|(bytes, _)| bytes))
    }

    /// What a root names and what is there of it, as far as is known: nothing, where its pages cannot be read.
    pub(super) async fn there_of(&self, root: Option<&Root>) -> Result<BTreeSet<ShardId>, DocumentsError> {
        let roots: Vec<_> = root.into_iter().cloned().collect();
        match self.named_by(&roots, &mut Pages::new()).await {
            Ok(named) => Ok(named.difference(&lock(&self.lost)).copied().collect()),
            Err(error) if error.is_retryable() => Err(error),
            Err(_) => Ok(BTreeSet::new()),
        }
    }

    /// A document was written: it is there.
    pub(super) fn note_written(&self, id: ShardId) {
        lock(&self.lost).remove(&id);
    }

    /// The ids of every page and shard that these roots name. Pages that are not kept are read into `pages`.
    pub(super) async fn named_by(
        &self,
        roots: &[Root],
        pages: &mut Pages,
    ) -> Result<BTreeSet<ShardId>, DocumentsError> {
        loop {
            let mut missing = BTreeMap::new();
            let known = |id: ShardId, depth: u8| {
                let known = self.read.page(id, depth).or_else(|| pages.get(&id).cloned());
                Ok::<_, DocumentsError>(known.unwrap_or_else(|| {
                    missing.insert(id, depth);
                    Arc::default()
                }))
            };
            let named = walk::named(roots, known)?;
            if missing.is_empty() {
                return Ok(named);
            }
            let load = |(id, depth)| async move {
                Ok::<_, DocumentsError>((id, Arc::new(decode_page(&self.load(id).await?, depth)?)))
            };
            let read: Vec<_> =
                stream::iter(missing).map(load).buffer_unordered(AT_ONCE).try_collect().await?;
            pages.extend(read);
        }
    }

    /// Of the documents that kept revisions name, those that are not `stored` are lost: they are read again, which tells it, and written
    /// again by whoever publishes them.
    pub(super) fn note_lost(&self, named: &BTreeSet<ShardId>, stored: &BTreeSet<ShardId>) {
        let gone: BTreeSet<_> = named.difference(stored).copied().collect();
        self.read.forget(&gone);
        let mut lost = lock(&self.lost);
        lost.extend(gone);
        lost.retain(|id| named.contains(id));
    }

    /// Takes a root for the newest, and tells watchers, unless a newer one of the same database is known.
    pub(super) fn take(&self, root: Option<Root>, origin: &Origin) {
        let mut going_on = lock(&self.going_on);
        let revision = root.as_ref().map(|root| root.revision);
        let acquainted = Some(Acquainted { incarnation: origin.incarnation.clone(), root });
        let is_older = |known: &Acquainted| {
            let before = known.root.as_ref().map(|root| root.revision);
            known.incarnation == origin.incarnation && revision < before
        };
        if self.acquainted.borrow().as_ref().is_some_and(is_older) {
            return;
        }
        *going_on = Some(origin.connection);
        let is_news = self
            .acquainted
            .send_if_modified(|known| std::mem::replace(known, acquainted.clone()) != acquainted);
        // Another of the same number is news too.
        self.newest.send_if_modified(|known| std::mem::replace(known, revision) != revision || is_news);
    }

    pub(super) fn note_trouble(&self, trouble: Option<String>) {
        self.trouble.send_if_modified(|known| std::mem::replace(known, trouble.clone()) != trouble);
    }

    pub(super) fn full_path(&self, path: &str) -> String {
        self.ground.coordinator.settings().full_path(path)
    }

    /// The root that is there, and where it was read.
    async fn stored_root(&self) -> Result<(Option<StoredRoot>, Origin), DocumentsError> {
        let coordinator = &self.ground.coordinator;
        loop {
            let origin = self.ground.origin().await?;
            let found = coordinator.read(ROOT).await.map_err(self.ground.error("read", ROOT))?;
            // As where it is watched.
            if !coordinator.is_on(origin.connection) {
                continue;
            }
            let Some((bytes, stat)) = found else { return Ok((None, origin)) };
            let root = self.decode(ROOT, &bytes)?;
            return Ok((Some(StoredRoot { root, bytes, version: stat.version }), origin));
        }
    }

    fn decode(&self, path: &str, bytes: &[u8]) -> Result<Root, DocumentsError> {
        decode_root(bytes).map_err(|error| {
            StoreError::Unexpected {
                doing: "read",
                path: self.full_path(path).into(),
                why: error.to_string(),
            }
            .into()
        })
    }

    fn damaged(&self, path: &str, why: String) -> StoreError {
        StoreError::corrupt(Corruption {
            file: self.full_path("/").into(),
            place: path.to_owned(),
            why,
            remedy: "publish the same topology again, which writes it anew".to_owned(),
            extent: Extent::Record,
        })
    }
}

/// What is wrong with a root that follows another in time: its number went back, or it is another of the same number.
fn contradiction(known: &Root, found: Option<&Root>) -> Option<String> {
    let there = match found {
        Some(found) if found.revision > known.revision || found == known => return None,
        Some(found) if found.revision == known.revision => format!("another revision {}", found.revision),
        found => named(found.map(|found| found.revision)),
    };
    Some(format!("it has {there}, and had revision {} before", known.revision))
}

/// Each step under these locks leaves its data whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where a document is. Its directory bounds how many children one node has: a list of all would be many megabytes.
pub(super) fn document_path(id: ShardId) -> String {
    let id = id.to_string();
    format!("{DOCUMENTS}/{}/{id}", &id[..2])
}

/// Where the root of a revision before the newest is.
pub(super) fn kept_path(revision: Revision) -> String {
    format!("{KEPT}/{:010}", revision.get())
}

/// Calls under way at once: enough that the way to the server is no matter, few enough that others get their turn.
pub(super) const AT_ONCE: usize = 64;

pub(super) const ROOT: &str = "/root";
pub(super) const KEPT: &str = "/kept";
pub(super) const DOCUMENTS: &str = "/documents";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::revision::Revision;
    use crate::documents::shard::Page;

    #[test]
    fn a_root_that_goes_back_or_is_another_of_its_number_is_told() {
        let root = |number: u64, note: &str| Root {
            revision: Revision::new(number).unwrap(),
            author: "alice".to_owned(),
            at: Default::default(),
            note: note.to_owned(),
            confirm_within: None,
            top: Page::default(),
        };
        let known = root(7, "");
        for (found, told) in [
            (Some(root(8, "")), None),
            (Some(root(7, "")), None),
            (Some(root(7, "another")), Some("another revision 7")),
            (Some(root(6, "")), Some("it has revision 6, and had revision 7")),
            (None, Some("no revision")),
        ] {
            let said = contradiction(&known, found.as_ref());
            assert_eq!(said.is_some(), told.is_some(), "{said:?}");
            assert!(said.is_none_or(|said| said.contains(told.unwrap())));
        }
    }
}

//! How a revision comes in.
//!
//! ```text
//! 1  /publishing/…         "somebody is publishing": it lives with our session
//! 2  /documents/a3/a3…     each document that is new is made, each that the newest revision does not name is touched
//! 3  /kept/0000000041      the root that is there
//! 4  /root                 moved by compare-and-set: from here on the revision is there
//! 5  what fell out of /kept, and our node under /publishing, are deleted
//! ```
//! A publication that ends before step 4 leaves documents that nobody names. One that ends behind it left all there is to leave.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt, TryStreamExt};

use crate::documents::DocumentsError;
use crate::documents::publication::Publication;
use crate::documents::revision::{Change, Revision};
use crate::documents::shard::{ShardId, ShardName};
use crate::error::StoreError;
use crate::zookeeper::access::Access;
use crate::zookeeper::coordinator::Life;
use crate::zookeeper::documents::{AT_ONCE, DOCUMENTS, ROOT, Shelf, StoredRoot, document_path, kept_path};
use crate::zookeeper::refusal::Refusal;

impl Shelf {
    /// Makes `shards` the revision after `expected`.
    pub(super) async fn publish(
        &self,
        expected: Option<Revision>,
        shards: BTreeMap<ShardName, Vec<u8>>,
        change: Change,
    ) -> Result<Revision, DocumentsError> {
        // What others published through another server counts.
        let (current, origin) = self.fresh_root().await?;
        let publication =
            Publication::after(current.as_ref().map(|root| &root.root), expected, shards, change)?;
        let access = self.ground.access_of_topology().await?;
        let _under_way = self.publishing.read().await;
        let marker = self.begin(&access).await?;
        let (revision, root) = (publication.root.revision, publication.root.clone());
        let published = self.carry_out(current.as_ref(), publication, &access).await;
        // What is left of it the next collection takes back, or it goes with our session.
        let _ = self.ground.coordinator.delete(&marker, None).await;
        published?;
        self.take(Some(root), &origin);
        self.forget_before(revision.first_kept()).await;
        Ok(revision)
    }

    /// Says that somebody is publishing; returns where.
    async fn begin(&self, access: &Access) -> Result<String, DocumentsError> {
        let path = format!("{PUBLISHING}/{}", uuid::Uuid::new_v4().simple());
        let made = self.ground.coordinator.create(&path, &[], Life::OfSession, access).await;
        made.map_err(self.ground.error("make", &path))?;
        Ok(path)
    }

    async fn carry_out(
        &self,
        current: Option<&StoredRoot>,
        publication: Publication,
        access: &Access,
    ) -> Result<(), DocumentsError> {
        let Publication { root_bytes, contents, .. } = publication;
        let there = self.there_of(current.map(|current| &current.root)).await?;
        let anew: Vec<_> = contents.into_iter().filter(|(id, _)| !there.contains(id)).collect();
        self.make_directories(anew.iter().map(|(id, _)| directory(*id)).collect(), access).await?;
        stream::iter(anew)
            .map(|(id, content)| self.put(id, content, access))
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        match current {
            Some(current) => self.replace(current, &root_bytes, access).await,
            None => self.make_first(&root_bytes, access).await,
        }
    }

    async fn make_directories(
        &self,
        directories: BTreeSet<String>,
        access: &Access,
    ) -> Result<(), DocumentsError> {
        let make = |path: String| async move { self.ground.make(&path, &[], access).await };
        stream::iter(directories).map(make).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        Ok(())
    }

    /// Makes a document, or touches it where it is there: a collection that has judged it finds another version.
    async fn put(&self, id: ShardId, content: Vec<u8>, access: &Access) -> Result<(), StoreError> {
        let (coordinator, path) = (&self.ground.coordinator, document_path(id));
        loop {
            match coordinator.create(&path, &content, Life::Stays, access).await {
                Ok(_) => break,
                Err(Refusal::Exists) => {}
                Err(refusal) => return Err(self.ground.error("make", &path)(refusal)),
            }
            match coordinator.write(&path, &content, None).await {
                Ok(_) => break,
                // It was collected in between.
                Err(Refusal::NoNode) => {}
                Err(refusal) => return Err(self.ground.error("touch", &path)(refusal)),
            }
        }
        self.note_written(id);
        Ok(())
    }

    async fn make_first(&self, root: &[u8], access: &Access) -> Result<(), DocumentsError> {
        let made = self.ground.coordinator.create(ROOT, root, Life::Stays, access).await;
        match made {
            Ok(_) => Ok(()),
            Err(Refusal::Exists) => Err(self.overtaken(None).await),
            Err(refusal) => Err(self.ground.error("make", ROOT)(refusal).into()),
        }
    }

    async fn replace(
        &self,
        current: &StoredRoot,
        root: &[u8],
        access: &Access,
    ) -> Result<(), DocumentsError> {
        self.ground.make(&kept_path(current.root.revision), &current.bytes, access).await?;
        match self.ground.coordinator.write(ROOT, root, Some(current.version)).await {
            Ok(_) => Ok(()),
            Err(Refusal::BadVersion) => Err(self.overtaken(Some(current.root.revision)).await),
            Err(refusal) => Err(self.ground.error("move", ROOT)(refusal).into()),
        }
    }

    /// Somebody else published first: what is there now.
    async fn overtaken(&self, expected: Option<Revision>) -> DocumentsError {
        match self.newest_root().await {
            Ok(found) => DocumentsError::Conflict { expected, found: found.map(|found| found.root.revision) },
            Err(error) => error,
        }
    }

    /// Deletes the roots that are too old. What fails is left to the next publication.
    async fn forget_before(&self, first: Revision) {
        let Ok(kept) = self.kept_revisions().await else { return };
        let old = kept.into_iter().take_while(|revision| *revision < first).map(kept_path);
        let forget = |path: String| async move { drop(self.ground.coordinator.delete(&path, None).await) };
        stream::iter(old).for_each_concurrent(AT_ONCE, forget).await;
    }
}

fn directory(id: ShardId) -> String {
    format!("{DOCUMENTS}/{:02x}", id.as_bytes()[0])
}

/// Where whoever is publishing says so.
pub(super) const PUBLISHING: &str = "/publishing";

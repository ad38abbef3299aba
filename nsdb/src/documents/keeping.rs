//! A wrapper that reads no page and no shard twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use tokio::sync::watch;

use crate::documents::kept::Kept;
use crate::documents::layout::decode_page;
use crate::documents::revision::{Change, Revision, RevisionInfo, Root};
use crate::documents::shard::{Page, ShardId, ShardName};
use crate::documents::walk::{Walk, Wanted};
use crate::documents::{AT_ONCE, Documents, DocumentsError};

/// Documents of which each page and shard is read once, as long as a revision in hand names it ([`Kept`]); without a shelf, the documents
/// that it wraps. The root is always read: what it says is news, what it names is not.
#[derive(Debug)]
pub(crate) struct Keeping<D> {
    documents: D,
    kept: Option<Arc<Kept>>,
}

impl<D: Documents> Keeping<D> {
    /// Wraps `documents`.
    pub(crate) fn new(documents: D, kept: Option<Arc<Kept>>) -> Self {
        Self { documents, kept }
    }

    /// Lets go of all that was read, so that it is read again. Whether there was a shelf: without one all is read always.
    pub(crate) fn forget_read(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| {
            kept.forget_all();
            true
        })
    }

    async fn walk(
        &self,
        kept: &Kept,
        root: &Root,
        within: &[&str],
    ) -> Result<BTreeMap<ShardName, ShardId>, DocumentsError> {
        let mut walk = Walk::begin(root, Wanted::new(within));
        loop {
            let steps: Vec<_> = std::iter::from_fn(|| walk.next()).collect();
            if steps.is_empty() {
                return Ok(walk.found());
            }
            let asked = steps.iter().map(|(step, _)| (step.id, step.depth)).collect();
            let pages = self.pages(kept, asked).await?;
            for step in steps {
                let page = step.0.id;
                walk.pass(step, pages.get(&page).ok_or(DocumentsError::Missing { shard: page })?);
            }
        }
    }

    async fn pages(
        &self,
        kept: &Kept,
        asked: BTreeMap<ShardId, u8>,
    ) -> Result<BTreeMap<ShardId, Arc<Page>>, DocumentsError> {
        let page = |(id, depth): (ShardId, u8)| async move {
            if let Some(page) = kept.page(id, depth) {
                return Ok((id, page));
            }
            let page = Arc::new(decode_page(&self.documents.read(id).await?, depth)?);
            kept.put_page(id, Arc::clone(&page));
            Ok::<_, DocumentsError>((id, page))
        };
        stream::iter(asked).map(page).buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn shards(
        &self,
        kept: &Kept,
        asked: BTreeSet<ShardId>,
    ) -> Result<BTreeMap<ShardId, Arc<[u8]>>, DocumentsError> {
        let shard = |id: ShardId| async move {
            if let Some(shard) = kept.shard(id) {
                return Ok((id, shard));
            }
            let shard: Arc<[u8]> = self.documents.read(id).await?.into();
            kept.put_shard(id, Arc::clone(&shard));
            Ok::<_, DocumentsError>((id, shard))
        };
        stream::iter(asked).map(shard).buffer_unordered(AT_ONCE).try_collect().await
    }
}

impl<D: Documents> Documents for Keeping<D> {
    async fn root(&self) -> Result<Option<Root>, DocumentsError> {
        self.documents.root().await
    }

    async fn revisions(&self) -> Result<Vec<RevisionInfo>, DocumentsError> {
        self.documents.revisions().await
    }

    async fn root_of(&self, revision: Revision) -> Result<Option<Root>, DocumentsError> {
        self.documents.root_of(revision).await
    }

    async fn read(&self, document: ShardId) -> Result<Vec<u8>, DocumentsError> {
        match self.kept.as_ref().and_then(|kept| kept.shard(document)) {
            Some(shard) => Ok(shard.to_vec()),
            None => self.documents.read(document).await,
        }
    }

    async fn publish(
        &self,
        expected: Option<Revision>,
        shards: BTreeMap<ShardName, Vec<u8>>,
        change: Change,
    ) -> Result<Revision, DocumentsError> {
        self.documents.publish(expected, shards, change).await
    }

    /// What falls out of the store is not kept here either.
    async fn collect(&self, unused_for: Duration) -> Result<usize, DocumentsError> {
        let collected = self.documents.collect(unused_for).await?;
        let newest = *self.documents.watch_root().borrow();
        if let Some((kept, newest)) = self.kept.as_ref().zip(newest) {
            kept.let_go_before(newest.first_kept());
        }
        Ok(collected)
    }

    fn watch_root(&self) -> watch::Receiver<Option<Revision>> {
        self.documents.watch_root()
    }

    async fn names(
        &self,
        root: &Root,
        within: &[&str],
    ) -> Result<BTreeMap<ShardName, ShardId>, DocumentsError> {
        let Some(kept) = &self.kept else { return self.documents.names(root, within).await };
        kept.take_in_hand(root, within.contains(&EVERYTHING));
        self.walk(kept, root, within).await
    }

    async fn read_shards(
        &self,
        root: &Root,
        within: &[&str],
    ) -> Result<BTreeMap<ShardName, Vec<u8>>, DocumentsError> {
        let Some(kept) = &self.kept else { return self.documents.read_shards(root, within).await };
        kept.take_in_hand(root, within.contains(&EVERYTHING));
        let names = self.walk(kept, root, within).await?;
        let contents = self.shards(kept, names.values().copied().collect()).await?;
        Ok(names.into_iter().filter_map(|(name, id)| Some((name, contents.get(&id)?.to_vec()))).collect())
    }
}

/// As [`Documents::names`] has it.
const EVERYTHING: &str = "";

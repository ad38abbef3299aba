//! How documents go that no kept revision names.
//!
//! Nobody who publishes waits for it, and no transaction is needed, because of the order in which one session reads:
//! 1. the documents that no kept revision names, and then their versions;
//! 2. who is publishing: somebody, and nothing is collected now;
//! 3. the roots that are kept, again: what they name by now is in use.
//!
//! A document that a publication made or touched before its version was read had its publisher under `/publishing` before that. So either
//! 2 finds the publisher, or the publication has ended, and 3 finds its root. A document that a publication touches later has another
//! version then, and its deletion fails; if it was deleted first, the publication makes it again.
//!
//! One collects at a time, on all hosts together: a node that is made again has the first version again, so that another collection, which
//! judged the old one, could delete the new one. Who collects has a node for that, which lives with the session. Whether a marker was made
//! or deleted may never be heard, so that one of ours that is found is taken back: else nobody would collect until this session ends.
//!
//! Since when a document is out of use stands in a node of the same name, whose age is told by the servers' clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};

use crate::documents::DocumentsError;
use crate::documents::collection::Sweep;
use crate::documents::shard::ShardId;
use crate::error::StoreError;
use crate::zookeeper::access::Access;
use crate::zookeeper::coordinator::Life;
use crate::zookeeper::documents::{AT_ONCE, DOCUMENTS, Pages, Shelf, document_path};
use crate::zookeeper::publishing::PUBLISHING;
use crate::zookeeper::refusal::Refusal;

impl Shelf {
    /// Removes what was out of use for `unused_for`, and notes what is so now. Returns how many were removed.
    pub(super) async fn collect(&self, unused_for: Duration) -> Result<usize, DocumentsError> {
        let Ok(_alone) = self.collecting.try_lock() else { return Ok(0) };
        if !self.begin_collecting().await? {
            return Ok(0);
        }
        let collected = self.collect_alone(unused_for).await;
        // What is left of it the next one takes back.
        let _ = self.ground.coordinator.delete(COLLECTING, None).await;
        collected
    }

    /// Keeps others from collecting. Whether nobody does.
    async fn begin_collecting(&self) -> Result<bool, DocumentsError> {
        self.take_back(COLLECTING).await?;
        let access = self.ground.access_of_topology().await?;
        match self.ground.coordinator.create(COLLECTING, &[], Life::OfSession, &access).await {
            Ok(_) => Ok(true),
            Err(Refusal::Exists) => Ok(false),
            Err(refusal) => Err(self.ground.error("make", COLLECTING)(refusal).into()),
        }
    }

    /// Whether nobody is publishing. What publications of ours have left behind is taken back, for the next collection.
    async fn is_nobody_publishing(&self) -> Result<bool, DocumentsError> {
        let markers = self.ground.children(PUBLISHING).await?;
        if let Ok(_none_of_ours) = self.publishing.try_write() {
            for marker in &markers {
                self.take_back(&format!("{PUBLISHING}/{marker}")).await?;
            }
        }
        Ok(markers.is_empty())
    }

    /// Deletes a marker if it is of our session. Nothing that is under way may have it.
    async fn take_back(&self, path: &str) -> Result<(), StoreError> {
        let coordinator = &self.ground.coordinator;
        let Some(stat) = coordinator.look(path).await.map_err(self.ground.error("look at", path))? else {
            return Ok(());
        };
        match coordinator.delete_own(path, stat.owner).await {
            Ok(()) | Err(Refusal::NoNode) => Ok(()),
            Err(refusal) => Err(self.ground.error("delete", path)(refusal)),
        }
    }

    async fn collect_alone(&self, unused_for: Duration) -> Result<usize, DocumentsError> {
        let stored = self.ids_under(DOCUMENTS).await?;
        let mut pages = Pages::new();
        let named = self.named_by(&self.kept_roots().await?, &mut pages).await?;
        // One that was published since the list was made is written once more at worst.
        self.note_lost(&named, &stored);
        let unused = stored.difference(&named).copied().collect();
        let versions = self.stats_of(&unused, document_path).await?;
        if !self.is_nobody_publishing().await? {
            return Ok(0);
        }
        let named = self.named_by(&self.kept_roots().await?, &mut pages).await?;
        let notes = self.ids_under(UNUSED).await?;
        let now = self.server_time().await?;
        let since = self.stats_of(&notes, note_path).await?;
        // Whoever publishes touches what it names: its age begins anew, whatever an older note says.
        let touched = |id: &ShardId| versions.get(id).map_or(0, |judged| judged.at);
        let since = since
            .into_iter()
            .map(|(id, note)| (id, Duration::from_millis(note.at.max(touched(&id)))))
            .collect();
        let sweep = Sweep::over(unused, &named, &since, (now, unused_for));
        self.carry_sweep_out(sweep, &versions).await
    }

    async fn carry_sweep_out(
        &self,
        sweep: Sweep,
        versions: &BTreeMap<ShardId, Judged>,
    ) -> Result<usize, DocumentsError> {
        let access = self.ground.access_of_topology().await?;
        let remove = |id: ShardId| async move {
            match versions.get(&id) {
                Some(judged) => self.ground.delete(&document_path(id), Some(judged.version)).await,
                None => Ok(false),
            }
        };
        let removed: Vec<bool> =
            stream::iter(sweep.removed.clone()).map(remove).buffer_unordered(AT_ONCE).try_collect().await?;
        let stale: Vec<_> = sweep.cleared.iter().chain(&sweep.removed).map(|id| note_path(*id)).collect();
        let forget = |path: String| async move { self.ground.delete(&path, None).await.map(drop) };
        stream::iter(stale).map(forget).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        let note = |id: ShardId| self.note(id, &access);
        stream::iter(sweep.noted).map(note).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        Ok(removed.into_iter().filter(|removed| *removed).count())
    }

    /// Notes that a document is out of use since now.
    async fn note(&self, id: ShardId, access: &Access) -> Result<(), StoreError> {
        let path = note_path(id);
        let (directory, _) = path.rsplit_once('/').unwrap_or((UNUSED, ""));
        self.ground.make(directory, &[], access).await?;
        self.ground.make(&path, &[], access).await
    }

    /// The time of a server, as one has just written it down.
    async fn server_time(&self) -> Result<Duration, DocumentsError> {
        let stat = self
            .ground
            .coordinator
            .write(UNUSED, &[], None)
            .await
            .map_err(self.ground.error("touch", UNUSED))?;
        Ok(Duration::from_millis(stat.changed_at.unsigned_abs()))
    }

    async fn ids_under(&self, path: &'static str) -> Result<BTreeSet<ShardId>, DocumentsError> {
        let directories = self.ground.children(path).await?;
        let list = |name: String| async move { self.ground.children(&format!("{path}/{name}")).await };
        let lists: Vec<_> =
            stream::iter(directories).map(list).buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(lists.into_iter().flatten().filter_map(|name| ShardId::try_from(name).ok()).collect())
    }

    async fn stats_of(
        &self,
        ids: &BTreeSet<ShardId>,
        path: impl Fn(ShardId) -> String + Copy,
    ) -> Result<BTreeMap<ShardId, Judged>, DocumentsError> {
        let look = |id: ShardId| async move {
            let path = path(id);
            let found =
                self.ground.coordinator.look(&path).await.map_err(self.ground.error("look at", &path))?;
            Ok::<_, StoreError>(
                found.map(|stat| (id, Judged { version: stat.version, at: stat.changed_at.unsigned_abs() })),
            )
        };
        let found: Vec<_> =
            stream::iter(ids.clone()).map(look).buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }
}

/// What a node was when it was judged.
#[derive(Debug, Clone, Copy)]
struct Judged {
    version: i32,
    /// When it was changed last, in milliseconds since 1970.
    at: u64,
}

fn note_path(id: ShardId) -> String {
    let id = id.to_string();
    format!("{UNUSED}/{}/{id}", &id[..2])
}

const UNUSED: &str = "/unused";
/// Somebody is collecting: it lives with its session.
const COLLECTING: &str = "/collecting";

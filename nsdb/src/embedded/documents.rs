//! [`Documents`] in the file: shards and pages by id, the newest root in `meta`, those before it in `history`.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::documents::publication::Publication;
use crate::documents::revision::{Change, Revision, RevisionInfo, Root};
use crate::documents::shard::{ShardId, ShardName};
use crate::documents::{Documents, DocumentsError};
use crate::embedded::Embedded;
use crate::embedded::collect::{self, Moment};
use crate::embedded::file::mark_format;
use crate::embedded::roots::{MISSING, ROOT_KEY, all_named, kept_roots, load, root_in, stored_root};
use crate::embedded::tables::{HISTORY, META, SHARDS, UNREFERENCED, Writing};
use crate::error::StoreError;

impl Documents for Embedded {
    async fn root(&self) -> Result<Option<Root>, DocumentsError> {
        Ok(self.file.read(|reading| stored_root(&reading.table(META)?))?)
    }

    async fn revisions(&self) -> Result<Vec<RevisionInfo>, DocumentsError> {
        let mut roots = self.file.read(kept_roots)?;
        roots.sort_by_key(|root| Reverse(root.revision));
        Ok(roots.iter().map(RevisionInfo::from).collect())
    }

    async fn root_of(&self, revision: Revision) -> Result<Option<Root>, DocumentsError> {
        let root = self.file.read(|reading| {
            let newest = stored_root(&reading.table(META)?)?;
            match newest.filter(|root| root.revision == revision) {
                Some(newest) => Ok(Some(newest)),
                None => root_in(&reading.table(HISTORY)?, &revision.get().to_be_bytes()),
            }
        })?;
        Ok(root)
    }

    async fn read(&self, document: ShardId) -> Result<Vec<u8>, DocumentsError> {
        let content = self.file.read(|reading| {
            let contents = reading.table(SHARDS)?;
            match load(&contents, document)? {
                None if all_named(reading)?.contains(&document) => {
                    Err(contents.damaged(document.as_bytes(), MISSING))
                }
                found => Ok(found),
            }
        })?;
        content.ok_or(DocumentsError::Missing { shard: document })
    }

    async fn publish(
        &self,
        expected: Option<Revision>,
        shards: BTreeMap<ShardName, Vec<u8>>,
        change: Change,
    ) -> Result<Revision, DocumentsError> {
        let bytes = shards.values().map(Vec::len).sum();
        let revisions = self.revisions.clone();
        self.writer
            .run(
                bytes,
                move |writing| publish(writing, expected, shards, change),
                move |revision| {
                    revisions.send_replace(Some(*revision));
                },
            )
            .await
    }

    async fn collect(&self, unused_for: Duration) -> Result<usize, DocumentsError> {
        let file = Arc::clone(&self.file);
        let moment = Moment { opening: self.opening, opened: self.opened, now: self.clock.now() };
        let judge = move || file.read(|reading| collect::judge(reading, moment, unused_for));
        let mut collected = 0;
        for step in self.aside("the documents", judge).await? {
            let count = step.removed();
            match self.writer.run(0, move |writing| step.carry_out(writing, moment).map(Ok), |_| ()).await {
                Ok(true) => collected += count,
                // A revision came since: what it names is for the next collection to find out.
                Ok(false) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(collected)
    }

    fn watch_root(&self) -> watch::Receiver<Option<Revision>> {
        self.revisions.subscribe()
    }
}

fn publish(
    writing: &Writing<'_>,
    expected: Option<Revision>,
    shards: BTreeMap<ShardName, Vec<u8>>,
    change: Change,
) -> Result<Result<Revision, DocumentsError>, StoreError> {
    let mut meta = writing.table(META)?;
    let current = stored_root(&meta)?;
    let publication = match Publication::after(current.as_ref(), expected, shards, change) {
        Ok(publication) => publication,
        Err(error) => return Ok(Err(error)),
    };
    let mut stored = writing.table(SHARDS)?;
    let mut unreferenced = writing.table(UNREFERENCED)?;
    for (id, content) in &publication.contents {
        // A stored document that is damaged is written again: publishing the same file mends it.
        match stored.load(id.as_bytes()) {
            Ok(Some(known)) if known == *content => {}
            Err(error) if !error.is_one_record() => return Err(error),
            _ => drop(stored.save(id.as_bytes(), content)?),
        }
        unreferenced.remove(id.as_bytes())?;
    }
    let revision = publication.root.revision;
    if let (Some(old), Some(bytes)) = (current, meta.load(ROOT_KEY)?) {
        keep(writing, old.revision, &bytes, revision)?;
    }
    meta.save(ROOT_KEY, &publication.root_bytes)?;
    mark_format(&mut meta)?;
    Ok(Ok(revision))
}

/// Keeps the root of `old`, and no longer what is too old when `newest` is the newest.
fn keep(writing: &Writing<'_>, old: Revision, bytes: &[u8], newest: Revision) -> Result<(), StoreError> {
    let mut history = writing.table(HISTORY)?;
    history.save(&old.get().to_be_bytes(), bytes)?;
    let first = newest.first_kept().get().to_be_bytes();
    for key in history.keys_while(&[], |key| *key < first[..])? {
        history.remove(&key)?;
    }
    Ok(())
}

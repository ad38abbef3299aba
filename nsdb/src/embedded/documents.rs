//! [`Documents`] in the file: shards and pages by id, the newest root in `meta`, those before it in `history`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use redb::ReadableTable;
use tokio::sync::watch;

use crate::documents::layout::{LayoutError, decode_page, decode_root};
use crate::documents::publication::Publication;
use crate::documents::revision::{Change, Revision, RevisionInfo, Root};
use crate::documents::shard::{ShardId, ShardName};
use crate::documents::{Documents, DocumentsError, walk};
use crate::embedded::Embedded;
use crate::embedded::collect::{self, Moment};
use crate::embedded::file::mark_format;
use crate::embedded::tables::{HISTORY, META, Reading, SHARDS, Sealed, UNREFERENCED, Writing};
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

/// The root in `meta`, if any was ever published.
pub(super) fn stored_root<T>(meta: &Sealed<'_, T>) -> Result<Option<Root>, StoreError>
where
    T: ReadableTable<&'static [u8], &'static [u8]>,
{
    root_in(meta, ROOT_KEY)
}

fn root_in<T>(table: &Sealed<'_, T>, key: &[u8]) -> Result<Option<Root>, StoreError>
where
    T: ReadableTable<&'static [u8], &'static [u8]>,
{
    let Some(bytes) = table.load(key)? else { return Ok(None) };
    decode_root(&bytes).map(Some).map_err(|error| unusable(table, key, error))
}

/// The newest root and those before it.
fn kept_roots(reading: &Reading<'_>) -> Result<Vec<Root>, StoreError> {
    let mut roots = Vec::from_iter(stored_root(&reading.table(META)?)?);
    let history = reading.table(HISTORY)?;
    for key in history.keys_while(&[], |_| true)? {
        roots.extend(root_in(&history, &key)?);
    }
    Ok(roots)
}

/// The ids of every page and shard that a kept revision names.
pub(super) fn all_named(reading: &Reading<'_>) -> Result<BTreeSet<ShardId>, StoreError> {
    let roots = kept_roots(reading)?;
    let contents = reading.table(SHARDS)?;
    walk::named(&roots, |page, depth| {
        let key = page.as_bytes();
        let bytes = load(&contents, page)?.ok_or_else(|| contents.damaged(key, MISSING))?;
        decode_page(&bytes, depth).map_err(|error| unusable(&contents, key, error))
    })
}

/// The document under `id`, if it is there; verified.
fn load<T>(contents: &Sealed<'_, T>, id: ShardId) -> Result<Option<Vec<u8>>, StoreError>
where
    T: ReadableTable<&'static [u8], &'static [u8]>,
{
    match contents.load(id.as_bytes())? {
        Some(content) if ShardId::of(&content) != id => {
            Err(contents.damaged(id.as_bytes(), "its content has another hash"))
        }
        found => Ok(found),
    }
}

/// A record that is whole, and that this version cannot use.
fn unusable<T>(table: &Sealed<'_, T>, key: &[u8], error: LayoutError) -> StoreError
where
    T: ReadableTable<&'static [u8], &'static [u8]>,
{
    match error {
        LayoutError::Newer { found } => table.newer(found),
        error => table.damaged(key, error.to_string()),
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

const ROOT_KEY: &[u8] = b"root";
const MISSING: &str = "a revision that is kept names it, and it is missing";

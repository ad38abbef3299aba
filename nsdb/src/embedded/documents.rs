//! [`Documents`] in the file: shards by id, the root in `meta`.

use std::collections::BTreeMap;

use redb::ReadableTable;
use tokio::sync::watch;

use crate::clock::WallTime;
use crate::documents::publication::{Publication, decode_root};
use crate::documents::revision::{Change, Revision, Root};
use crate::documents::shard::{ShardId, ShardName};
use crate::documents::{Documents, DocumentsError};
use crate::embedded::Embedded;
use crate::embedded::tables::{META, Reading, SHARDS, Sealed, UNREFERENCED, Writing};
use crate::error::StoreError;

impl Documents for Embedded {
    async fn root(&self) -> Result<Option<Root>, DocumentsError> {
        Ok(self.file.read(|reading| stored_root(&reading.table(META)?))?)
    }

    async fn read(&self, shard: ShardId) -> Result<Vec<u8>, DocumentsError> {
        let content = self.file.read(|reading| {
            let shards = reading.table(SHARDS)?;
            let key = shard.as_bytes();
            match shards.load(key)? {
                Some(content) if ShardId::of(&content) == shard => Ok(Some(content)),
                Some(_) => Err(shards.damaged(key, "its content has another hash")),
                None if is_named(reading, shard)? => {
                    Err(shards.damaged(key, "the root names this shard, and it is missing"))
                }
                None => Ok(None),
            }
        })?;
        content.ok_or(DocumentsError::Missing { shard })
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

    async fn collect(&self, unreferenced_before: WallTime) -> Result<usize, DocumentsError> {
        let mut collected = 0;
        loop {
            // One bounded step per group, so that other writers are not held up by a long list.
            let step =
                self.writer.run(0, move |writing| collect(writing, unreferenced_before).map(Ok), |_| ());
            match step.await {
                Ok(0) => return Ok(collected),
                Ok(count) => collected += count,
                Err(error) => return Err(error),
            }
        }
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
    let Some(bytes) = meta.load(ROOT_KEY)? else { return Ok(None) };
    decode_root(&bytes).map(Some).map_err(|e| meta.damaged(ROOT_KEY, e.to_string()))
}

fn is_named(reading: &Reading<'_>, shard: ShardId) -> Result<bool, StoreError> {
    let root = stored_root(&reading.table(META)?)?;
    Ok(root.is_some_and(|root| root.shards.values().any(|id| *id == shard)))
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
        // A stored shard that is damaged is written again: publishing the same file mends it.
        match stored.load(id.as_bytes()) {
            Ok(Some(known)) if known == *content => {}
            Err(error) if !error.is_one_record() => return Err(error),
            _ => drop(stored.save(id.as_bytes(), content)?),
        }
        unreferenced.remove(id.as_bytes())?;
    }
    for id in &publication.unreferenced {
        unreferenced.save_number(id.as_bytes(), publication.root.at.as_millis())?;
    }
    meta.save(ROOT_KEY, &publication.root_bytes)?;
    Ok(Ok(publication.root.revision))
}

fn collect(writing: &Writing<'_>, before: WallTime) -> Result<usize, StoreError> {
    let mut unreferenced = writing.table(UNREFERENCED)?;
    let mut old = Vec::new();
    unreferenced.each_from_last(|id, since| {
        let since = since.try_into().map_or(0, u64::from_be_bytes);
        if since < before.as_millis() {
            old.push(id.to_vec());
        }
        Ok(old.len() < COLLECTED_AT_ONCE)
    })?;
    let mut shards = writing.table(SHARDS)?;
    for id in &old {
        unreferenced.remove(id)?;
        shards.remove(id)?;
    }
    Ok(old.len())
}

const ROOT_KEY: &[u8] = b"root";
const COLLECTED_AT_ONCE: usize = 256;

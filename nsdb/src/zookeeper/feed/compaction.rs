//! How a log stays short: what its batches come to is written as a snapshot, and the batches go.
//!
//! 1. The head is read, then snapshot and batches are folded up to number N.
//! 2. The parts of the new snapshot are made, with N in their names.
//! 3. The head is moved by compare-and-set, at the version that was read in 1. Somebody else was faster: our parts go.
//! 4. Batches before N go, but for the last thousand, so that a reader who is a little behind need not begin anew; so do parts of numbers before N.
//!
//! A compaction that ends between two of these leaves parts, or batches, that nobody needs: the next one deletes them. Parts of a number
//! behind N are left alone: they may be those of the next.

use futures::stream::{self, StreamExt, TryStreamExt};

use crate::addresses::feed::FeedLimits;
use crate::addresses::record::AddressRecord;
use crate::error::StoreError;
use crate::zookeeper::access::Access;
use crate::zookeeper::coordinator::Life;
use crate::zookeeper::documents::AT_ONCE;
use crate::zookeeper::feed::log::{Head, Known, Log, encode_part};
use crate::zookeeper::refusal::Refusal;

impl Log {
    /// Writes a snapshot of everything that is there; nothing is done if hardly anything came since the last.
    pub(super) async fn compact(&self, limits: &FeedLimits) -> Result<(), StoreError> {
        let before = self.head().await?;
        let known = self.load(limits).await?;
        let (from, version) = before.map_or((0, None), |(head, version)| (head.next, Some(version)));
        if known.next < from + EVERY / 2 {
            return Ok(());
        }
        let head = self.write_parts(&known, &self.ground.access_of_words().await?).await?;
        let access = self.ground.access_of_hosts().await?;
        if self.move_head(&head, version, &access).await? {
            self.clear_before(&head).await
        } else {
            self.delete_parts(head.parts).await
        }
    }

    async fn write_parts(&self, known: &Known, access: &Access) -> Result<Head, StoreError> {
        let mine = uuid::Uuid::new_v4().simple().to_string();
        let records: Vec<(AddressRecord, u64)> = known.table.records().collect();
        let mut parts = Vec::new();
        for (number, part) in records.chunks(PART_RECORDS).enumerate() {
            let name = format!("{:010}-{mine}-{number}", known.next);
            let path = format!("{}/{name}", self.parts_path());
            let made = self.ground.coordinator.create(&path, &encode_part(part)?, Life::Stays, access).await;
            made.map_err(self.ground.error("make", &path))?;
            parts.push(name);
        }
        Ok(Head { next: known.next, parts, sequence: known.table.sequence() })
    }

    /// Whether the head was moved.
    async fn move_head(
        &self,
        head: &Head,
        version: Option<i32>,
        access: &Access,
    ) -> Result<bool, StoreError> {
        let (coordinator, path) = (&self.ground.coordinator, self.head_path());
        let content = serde_json::to_vec(head).map_err(|error| self.damaged(&path, &error.to_string()))?;
        let moved = match version {
            Some(version) => coordinator.write(&path, &content, Some(version)).await.map(drop),
            None => coordinator.create(&path, &content, Life::Stays, access).await.map(drop),
        };
        match moved {
            Ok(()) => Ok(true),
            Err(Refusal::BadVersion | Refusal::Exists) => Ok(false),
            Err(refusal) => Err(self.ground.error("move", &path)(refusal)),
        }
    }

    /// Deletes what the snapshot at `head` makes superfluous.
    async fn clear_before(&self, head: &Head) -> Result<(), StoreError> {
        let number = |name: &str| name.split('-').next().and_then(|number| number.parse::<u64>().ok());
        let parts = self.ground.children(&self.parts_path()).await?;
        let old = parts.into_iter().filter(|name| number(name).is_some_and(|number| number < head.next));
        self.delete_parts(old.collect()).await?;
        let first = head.next.saturating_sub(KEPT_BEHIND);
        let log = self.entries();
        let entries = self.ground.children(log.trim_end_matches('/')).await?;
        let old = entries.into_iter().filter(|name| number(name).is_some_and(|number| number < first));
        self.delete_all(old.map(|name| format!("{log}{name}")).collect()).await
    }

    async fn delete_parts(&self, names: Vec<String>) -> Result<(), StoreError> {
        let parts = self.parts_path();
        self.delete_all(names.into_iter().map(|name| format!("{parts}/{name}")).collect()).await
    }

    async fn delete_all(&self, paths: Vec<String>) -> Result<(), StoreError> {
        let delete = |path: String| async move { self.ground.delete(&path, None).await.map(drop) };
        stream::iter(paths).map(delete).buffer_unordered(AT_ONCE).try_collect::<()>().await
    }
}

/// Batches between two compactions.
pub(super) const EVERY: u64 = 1_024;

/// Batches before the snapshot that stay for readers who are behind.
const KEPT_BEHIND: u64 = 1_024;

/// Records of a part: at most 70 bytes each, so that a part is below 512 KiB.
pub(super) const PART_RECORDS: usize = 7_400;

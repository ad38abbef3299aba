//! The nodes of one segment's log: what is in them, and what they come to.

use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use crate::addresses::feed::FeedLimits;
use crate::addresses::record::{AddressRecord, SegmentId};
use crate::addresses::table::SegmentTable;
use crate::error::StoreError;
use crate::schema;
use crate::zookeeper::access::Access;
use crate::zookeeper::coordinator::Watch;
use crate::zookeeper::ground::Ground;

/// The log of a segment.
#[derive(Debug, Clone)]
pub(super) struct Log {
    pub(super) ground: Arc<Ground>,
    pub(super) segment: SegmentId,
}

/// What is known of a segment before a number.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) table: SegmentTable,
    /// The number of the batch that comes next.
    pub(super) next: u64,
}

/// The node that says where the snapshot is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Head {
    /// The number of the first batch that is not in the snapshot.
    pub(super) next: u64,
    /// The names of its parts, in order.
    pub(super) parts: Vec<String>,
    /// How many words were accepted before.
    pub(super) sequence: u64,
}

impl Log {
    pub(super) fn new(ground: Arc<Ground>, segment: SegmentId) -> Self {
        Self { ground, segment }
    }

    /// The path under which batches are made; their numbers come behind it.
    pub(super) fn entries(&self) -> String {
        format!("{FEED}/{}/log/", self.segment.0)
    }

    pub(super) fn entry(&self, number: u64) -> String {
        format!("{}{number:010}", self.entries())
    }

    pub(super) fn head_path(&self) -> String {
        format!("{FEED}/{}/head", self.segment.0)
    }

    pub(super) fn parts_path(&self) -> String {
        format!("{FEED}/{}/parts", self.segment.0)
    }

    /// Makes the nodes of a segment that has none.
    pub(super) async fn make(&self, access: &Access) -> Result<(), StoreError> {
        let segment = format!("{FEED}/{}", self.segment.0);
        for path in [segment.clone(), self.parts_path(), format!("{segment}/log")] {
            self.ground.make(&path, &[], access).await?;
        }
        Ok(())
    }

    /// The head and the version of its node, `None` before the first compaction.
    pub(super) async fn head(&self) -> Result<Option<(Head, i32)>, StoreError> {
        let path = self.head_path();
        let found = self.ground.coordinator.read(&path).await.map_err(self.ground.error("read", &path))?;
        let Some((bytes, stat)) = found else { return Ok(None) };
        let head: Head =
            serde_json::from_slice(&bytes).map_err(|error| self.damaged(&path, &error.to_string()))?;
        if head.next > LAST_NUMBER {
            return Err(self.damaged(&path, "it names a batch behind the last that there can be"));
        }
        Ok(Some((head, stat.version)))
    }

    /// What the snapshot says.
    pub(super) async fn snapshot(&self) -> Result<Known, StoreError> {
        let mut tried = None;
        loop {
            let Some((head, version)) = self.head().await? else { return Ok(Known::default()) };
            let read = |name: String| async move { self.part(&name).await };
            let parts: Vec<_> =
                stream::iter(head.parts).map(read).buffered(PARTS_AT_ONCE).try_collect().await?;
            if let Some(parts) = parts.into_iter().collect::<Option<Vec<_>>>() {
                let table = SegmentTable::restored(head.sequence, parts.into_iter().flatten());
                return Ok(Known { table, next: head.next });
            }
            // A part that is gone belongs to a head that is gone, or somebody took it away.
            if tried.replace(version) == Some(version) {
                return Err(self.damaged(&self.head_path(), "it names a part that is not there"));
            }
        }
    }

    /// What the snapshot and all batches behind it come to.
    pub(super) async fn load(&self, limits: &FeedLimits) -> Result<Known, StoreError> {
        let mut behind = None;
        loop {
            let mut known = match behind.take() {
                Some(known) => known,
                None => self.snapshot().await?,
            };
            loop {
                let batches = self.read_ahead(known.next, AHEAD).await?;
                let is_end = batches.len() < AHEAD;
                for batch in &batches {
                    known.fold(batch, limits);
                }
                if is_end {
                    break;
                }
            }
            if self.is_cut_before(known.next).await? {
                continue;
            }
            if !self.has_gap_at(known.next).await? {
                return Ok(known);
            }
            known.next += 1;
            behind = Some(known);
        }
    }

    /// Whether batch `number` was given to somebody and is not there: a node was made or deleted by hand. All who read the log pass it over.
    pub(super) async fn has_gap_at(&self, number: u64) -> Result<bool, StoreError> {
        let log = self.entries();
        let path = log.trim_end_matches('/');
        let stat = self.ground.coordinator.look(path).await.map_err(self.ground.error("look at", path))?;
        if stat.is_none_or(|stat| stat.made_below <= number) {
            return Ok(false);
        }
        // A server that lags may not have it yet.
        self.ground.coordinator.catch_up().await.map_err(self.ground.error("look at", path))?;
        let is_there = !self.read_ahead(number, 1).await?.is_empty();
        if !is_there {
            tracing::warn!(
                segment = self.segment.0,
                number,
                "a batch is missing in a log of addresses: it is passed over"
            );
        }
        Ok(!is_there && !self.is_cut_before(number).await?)
    }

    /// The batches from `number` on, up to the first that is not there, at most `most`.
    pub(super) async fn read_ahead(
        &self,
        number: u64,
        most: usize,
    ) -> Result<Vec<Vec<AddressRecord>>, StoreError> {
        let numbers = (number..).take(most);
        let read = |number: u64| async move {
            let path = self.entry(number);
            let found =
                self.ground.coordinator.read(&path).await.map_err(self.ground.error("read", &path))?;
            Ok::<_, StoreError>(found.map(|(bytes, _)| self.decode_batch(&path, &bytes)))
        };
        let mut reading = std::pin::pin!(stream::iter(numbers).map(read).buffered(most));
        let mut batches = Vec::new();
        while let Some(Some(batch)) = reading.try_next().await? {
            batches.push(batch);
        }
        Ok(batches)
    }

    /// Whether batch `number` is not there because it was compacted away.
    pub(super) async fn is_cut_before(&self, number: u64) -> Result<bool, StoreError> {
        Ok(self.head().await?.is_some_and(|(head, _)| head.next > number))
    }

    /// What wakes when batch `number` comes; `None` if it is there.
    pub(super) async fn watch(&self, number: u64) -> Result<Option<Watch>, StoreError> {
        let path = self.entry(number);
        let looked = self.ground.coordinator.look_and_watch(&path).await;
        let (stat, watch) = looked.map_err(self.ground.error("watch", &path))?;
        Ok(stat.is_none().then_some(watch))
    }

    /// A batch that cannot be read says nothing. All who read it do the same.
    fn decode_batch(&self, path: &str, bytes: &[u8]) -> Vec<AddressRecord> {
        schema::decode(BATCH_VERSION, bytes).unwrap_or_else(|error| {
            tracing::warn!(path, %error, "a batch of addresses cannot be read: it is left out");
            Vec::new()
        })
    }

    async fn part(&self, name: &str) -> Result<Option<Vec<(AddressRecord, u64)>>, StoreError> {
        let path = format!("{}/{name}", self.parts_path());
        let found = self.ground.coordinator.read(&path).await.map_err(self.ground.error("read", &path))?;
        let Some((bytes, _)) = found else { return Ok(None) };
        let part = schema::decode(PART_VERSION, &bytes);
        part.map(Some).map_err(|error| self.damaged(&path, &error.to_string()))
    }

    pub(super) fn damaged(&self, path: &str, why: &str) -> StoreError {
        let path = self.ground.coordinator.settings().full_path(path).into();
        StoreError::Unexpected { doing: "read", path, why: why.to_owned() }
    }
}

impl Known {
    /// Takes the next batch; returns what counts of it.
    pub(super) fn fold(&mut self, batch: &[AddressRecord], limits: &FeedLimits) -> Vec<AddressRecord> {
        use crate::addresses::table::Taken;
        self.next += 1;
        let mut take = |record: &AddressRecord| self.table.take(*record, limits.addresses, limits.tombstones);
        batch.iter().filter(|record| take(record) == Taken::Accepted).copied().collect()
    }
}

pub(super) fn encode_batch(batch: &[AddressRecord]) -> Result<Vec<u8>, StoreError> {
    schema::encode(BATCH_VERSION, &batch).map_err(unencodable)
}

pub(super) fn encode_part(part: &[(AddressRecord, u64)]) -> Result<Vec<u8>, StoreError> {
    schema::encode(PART_VERSION, &part).map_err(unencodable)
}

fn unencodable(error: schema::SchemaError) -> StoreError {
    StoreError::Unexpected { doing: "write", path: FEED.into(), why: error.to_string() }
}

pub(super) const FEED: &str = "/feed";

/// Numbers of sequential nodes are an `int` of Java.
pub(super) const LAST_NUMBER: u64 = i32::MAX as u64;

/// Version 1 had no inner tag, session, number and `by`; no daemon wrote it.
const BATCH_VERSION: u8 = 2;
/// As [`BATCH_VERSION`].
const PART_VERSION: u8 = 2;

/// Parts of a snapshot that are read at the same time: 512 KiB each.
const PARTS_AT_ONCE: usize = 4;

/// Batches that a reader who is behind reads at the same time: up to 60 KiB each.
pub(super) const AHEAD: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addresses::MAX_BATCH_RECORDS;
    use crate::addresses::record::{AddressKey, HostId, Mac, Mobility, Presence};
    use crate::zookeeper::feed::compaction::PART_RECORDS;

    /// The largest values that the types have, so that each takes as many bytes as it can.
    fn largest() -> AddressRecord {
        AddressRecord {
            key: AddressKey { segment: SegmentId(u64::MAX), inner: u16::MAX, mac: Mac([255; 6]) },
            owner: HostId(u32::MAX),
            mobility: Mobility(u64::MAX),
            session: u64::MAX,
            number: u64::MAX,
            by: u32::MAX,
            presence: Presence::Gone,
        }
    }

    #[test]
    fn a_batch_of_the_largest_records_fits_its_node() {
        let batch = vec![largest(); MAX_BATCH_RECORDS];
        let bytes = encode_batch(&batch).unwrap();
        assert!(bytes.len() <= 64 * 1024, "{} bytes", bytes.len());
        assert_eq!(schema::decode::<Vec<AddressRecord>>(BATCH_VERSION, &bytes), Ok(batch));
    }

    #[test]
    fn a_part_of_the_largest_records_fits_its_node() {
        let part = vec![(largest(), u64::MAX); PART_RECORDS];
        let bytes = encode_part(&part).unwrap();
        assert!(bytes.len() <= 512 * 1024, "{} bytes", bytes.len());
        assert_eq!(schema::decode::<Vec<(AddressRecord, u64)>>(PART_VERSION, &bytes), Ok(part));
    }
}

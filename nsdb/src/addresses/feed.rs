//! The feed of one process: the address tables of all segments behind a lock, with a channel per followed segment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast;
use tracing::warn;

use crate::addresses::record::{AddressRecord, HostId, SegmentId};
use crate::addresses::table::{SegmentTable, Taken};
use crate::addresses::{AddressFeed, FeedBatch, FeedError, FeedSnapshot, MAX_BATCH_RECORDS};

/// How much a feed keeps. All hosts that share one keep the same, so that all know the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedLimits {
    /// Batches that a reader of a segment may be behind, at least 1.
    pub backlog: usize,
    /// Addresses per segment.
    pub addresses: usize,
    /// Withdrawn addresses remembered per segment.
    pub tombstones: usize,
}

impl Default for FeedLimits {
    /// 32 batches behind, twice what is read at once: room for each is there from the beginning, and a host may follow 4 094 segments.
    /// 262 144 addresses (more than the largest FDB asked for, 200 000), 65 536 withdrawn ones.
    fn default() -> Self {
        Self { backlog: 32, addresses: 262_144, tombstones: 65_536 }
    }
}

/// A snapshot and what comes after it.
#[derive(Debug)]
pub struct Following {
    /// What was known when following began.
    pub snapshot: FeedSnapshot,
    /// What came after.
    pub tail: FeedTail,
}

/// Reads the batches of one segment, one after the other.
#[derive(Debug)]
pub struct FeedTail {
    segment: SegmentId,
    batches: broadcast::Receiver<Arc<FeedBatch>>,
}

impl FeedTail {
    pub(crate) const fn new(segment: SegmentId, batches: broadcast::Receiver<Arc<FeedBatch>>) -> Self {
        Self { segment, batches }
    }

    /// The next batch; waits for it. May be dropped while waiting without losing a batch.
    ///
    /// # Errors
    /// [lagged](FeedError::is_lagged): follow the segment again.
    pub async fn next(&mut self) -> Result<Arc<FeedBatch>, FeedError> {
        self.batches.recv().await.map_err(|error| match error {
            broadcast::error::RecvError::Lagged(missed) => {
                FeedError::Lagged { segment: self.segment, missed }
            }
            broadcast::error::RecvError::Closed => FeedError::Ended { segment: self.segment },
        })
    }
}

/// The feed of one process.
#[derive(Debug)]
pub struct ProcessFeed {
    limits: FeedLimits,
    segments: Mutex<BTreeMap<SegmentId, Segment>>,
}

#[derive(Debug, Default)]
struct Segment {
    table: SegmentTable,
    /// Made when somebody follows: most segments of a store have no reader on this host.
    batches: Option<broadcast::Sender<Arc<FeedBatch>>>,
    /// Whether it was told that it is full.
    is_told: bool,
}

impl ProcessFeed {
    /// An empty feed.
    pub fn new(limits: FeedLimits) -> Self {
        Self { limits, segments: Mutex::default() }
    }

    fn with<T>(&self, step: impl FnOnce(&mut BTreeMap<SegmentId, Segment>) -> T) -> T {
        step(&mut self.segments.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl AddressFeed for ProcessFeed {
    async fn announce(&self, owner: HostId, records: Vec<AddressRecord>) -> Result<(), FeedError> {
        if let Some(record) = records.iter().find(|record| record.owner != owner) {
            return Err(FeedError::ForeignRecord { owner, record: *record });
        }
        self.with(|segments| {
            for (segment, records) in by_segment(records) {
                segments.entry(segment).or_default().take(segment, records, &self.limits);
            }
        });
        Ok(())
    }

    async fn withdraw(&self, owners: BTreeSet<HostId>) -> Result<BTreeMap<HostId, usize>, FeedError> {
        Ok(self.with(|segments| {
            let mut withdrawn = BTreeMap::new();
            for (number, segment) in segments {
                let farewells = segment.table.farewells(&owners);
                count_by_owner(&farewells, &mut withdrawn);
                segment.take(*number, farewells, &self.limits);
            }
            withdrawn
        }))
    }

    async fn follow(&self, segment: SegmentId) -> Result<Following, FeedError> {
        Ok(self.with(|segments| {
            let entry = segments.entry(segment).or_default();
            let backlog = self.limits.backlog.max(1);
            let batches = entry.batches.get_or_insert_with(|| broadcast::Sender::new(backlog)).subscribe();
            Following { snapshot: entry.table.snapshot(segment), tail: FeedTail::new(segment, batches) }
        }))
    }
}

impl Segment {
    /// Takes `records` and passes on those that count. What does not fit is told once, until all fit again.
    fn take(&mut self, number: SegmentId, records: Vec<AddressRecord>, limits: &FeedLimits) {
        let mut refused = 0_usize;
        for chunk in records.chunks(MAX_BATCH_RECORDS) {
            let mut accepted = Vec::new();
            for record in chunk {
                match self.table.take(*record, limits.addresses, limits.tombstones) {
                    Taken::Accepted => accepted.push(*record),
                    Taken::Outdated => {}
                    Taken::Refused => refused += 1,
                }
            }
            self.pass_on(accepted);
        }
        if refused > 0 && !self.is_told {
            let (segment, allowed) = (number.0, limits.addresses);
            warn!(
                segment,
                allowed, refused, "a segment has as many addresses as are kept: frames to others are flooded"
            );
        }
        self.is_told = refused > 0;
    }

    fn pass_on(&self, accepted: Vec<AddressRecord>) {
        if let (Some(batches), false) = (&self.batches, accepted.is_empty()) {
            // Nobody listening is no error: who follows later gets it in the snapshot.
            let _ = batches.send(Arc::new(self.table.batch(accepted)));
        }
    }
}

/// Adds how many records there are of each owner.
pub(crate) fn count_by_owner(records: &[AddressRecord], counts: &mut BTreeMap<HostId, usize>) {
    records.iter().for_each(|record| *counts.entry(record.owner).or_default() += 1);
}

/// The same records, those of each segment in their order.
pub(crate) fn by_segment(records: Vec<AddressRecord>) -> BTreeMap<SegmentId, Vec<AddressRecord>> {
    let mut sorted: BTreeMap<SegmentId, Vec<AddressRecord>> = BTreeMap::new();
    for record in records {
        sorted.entry(record.key.segment).or_default().push(record);
    }
    sorted
}

//! [`AddressFeed`](crate::AddressFeed) on the ensemble: a log for each segment.
//!
//! ```text
//! /feed/8 ─┬─ log/0000001734   a batch: the words of one host, in the order in which the servers took them
//!          │  log/0000001735
//!          ├─ head             which number is next behind the snapshot, and in which parts that is
//!          └─ parts/…          what all batches before that number come to
//! ```
//! Who announces makes the next node of the log; the servers give it its number. Who follows takes the snapshot, reads on from its number,
//! and waits for the number that is not there yet: only a compaction ever lists a log. Folding is the same everywhere, so that all who have read up to
//! a number know the same. A batch that is in the log twice, because the answer to the first attempt was lost, changes nothing.

mod compaction;
mod follower;
mod log;
mod pace;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::warn;

use crate::addresses::feed::{FeedLimits, Following, by_segment, count_by_owner};
use crate::addresses::record::{AddressRecord, HostId, SegmentId};
use crate::addresses::{FeedError, MAX_BATCH_RECORDS};
use crate::error::StoreError;
use crate::zookeeper::access::Access;
use crate::zookeeper::coordinator::Life;
use crate::zookeeper::feed::follower::Follower;
use crate::zookeeper::feed::log::Log;
use crate::zookeeper::feed::pace::Pace;
use crate::zookeeper::ground::Ground;
use crate::zookeeper::refusal::Refusal;

/// The logs under a root, and those that this process follows.
#[derive(Debug)]
pub(super) struct Feed {
    ground: Arc<Ground>,
    limits: FeedLimits,
    pace: Pace,
    followers: Mutex<BTreeMap<SegmentId, Arc<Follower>>>,
}

impl Feed {
    pub(super) fn new(ground: Arc<Ground>, limits: FeedLimits) -> Self {
        Self { ground, limits, pace: Pace::new(), followers: Mutex::default() }
    }

    pub(super) async fn announce(&self, owner: HostId, records: Vec<AddressRecord>) -> Result<(), FeedError> {
        if let Some(record) = records.iter().find(|record| record.owner != owner) {
            return Err(FeedError::ForeignRecord { owner, record: *record });
        }
        for (segment, records) in by_segment(records) {
            self.append_all(segment, &records).await?;
        }
        Ok(())
    }

    pub(super) async fn withdraw(
        &self,
        owners: &BTreeSet<HostId>,
    ) -> Result<BTreeMap<HostId, usize>, FeedError> {
        let mut withdrawn = BTreeMap::new();
        let names = self.ground.children(log::FEED).await?;
        let segments = names.into_iter().filter_map(|name| name.parse().ok()).map(SegmentId);
        for segment in segments {
            let known = self.log(segment).load(&self.limits).await?;
            let farewells = known.table.farewells(owners);
            self.append_all(segment, &farewells).await?;
            count_by_owner(&farewells, &mut withdrawn);
        }
        Ok(withdrawn)
    }

    /// Follows a segment; what this process has announced is in the snapshot.
    pub(super) async fn follow(&self, segment: SegmentId) -> Result<Following, FeedError> {
        self.ground.store().await?;
        loop {
            let follower = self.follower(segment);
            if let Some(following) = follower.join(self.ground.coordinator.settings().patience).await? {
                return Ok(following);
            }
        }
    }

    /// The follower of a segment, begun if there is none.
    fn follower(&self, segment: SegmentId) -> Arc<Follower> {
        let mut followers = self.followers.lock().unwrap_or_else(PoisonError::into_inner);
        followers.retain(|_, follower| !follower.has_ended());
        let begin = || Follower::begin(self.log(segment), self.limits);
        Arc::clone(followers.entry(segment).or_insert_with(begin))
    }

    fn log(&self, segment: SegmentId) -> Log {
        Log::new(Arc::clone(&self.ground), segment)
    }

    async fn append_all(&self, segment: SegmentId, records: &[AddressRecord]) -> Result<(), FeedError> {
        let access = self.ground.access_of_words().await?;
        for batch in records.chunks(MAX_BATCH_RECORDS) {
            self.pace.turn().await;
            let number = self.append(segment, batch, &access).await?;
            self.note_announced(segment, number);
            if number % compaction::EVERY == compaction::EVERY - 1 {
                self.compact_aside(segment);
            }
        }
        Ok(())
    }

    /// Puts a batch behind the log; returns its number.
    async fn append(
        &self,
        segment: SegmentId,
        batch: &[AddressRecord],
        access: &Access,
    ) -> Result<u64, StoreError> {
        let (log, content) = (self.log(segment), log::encode_batch(batch)?);
        loop {
            match self.ground.coordinator.create(&log.entries(), &content, Life::Numbered, access).await {
                Ok((number, _)) => {
                    let number = u64::try_from(number).ok().filter(|number| *number <= log::LAST_NUMBER);
                    return number.ok_or_else(|| log.damaged(&log.entries(), "it has no number left"));
                }
                Err(Refusal::NoNode) => log.make(&self.ground.access_of_hosts().await?).await?,
                Err(refusal) => return Err(self.ground.error("announce in", &log.entries())(refusal)),
            }
        }
    }

    fn note_announced(&self, segment: SegmentId, number: u64) {
        let followers = self.followers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(follower) = followers.get(&segment) {
            follower.expect(number);
        }
    }

    /// Whoever was given such a number compacts: that is one host, whichever it is, and the next number is another's turn.
    fn compact_aside(&self, segment: SegmentId) {
        let (log, limits) = (self.log(segment), self.limits);
        tokio::spawn(async move {
            if let Err(error) = log.compact(&limits).await {
                warn!(segment = segment.0, %error, "the log of a segment was not compacted: the next turn tries again");
            }
        });
    }
}

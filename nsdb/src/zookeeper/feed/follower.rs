//! The task that reads one segment's log and hands it on to those who follow the segment in this process.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{broadcast, watch};
use tracing::debug;

use crate::addresses::feed::{FeedLimits, FeedTail, Following};
use crate::addresses::record::AddressRecord;
use crate::addresses::{FeedBatch, FeedError};
use crate::error::StoreError;
use crate::zookeeper::feed::log::{AHEAD, Known, Log};
use crate::zookeeper::refusal::ENSEMBLE;
use crate::zookeeper::watching::{AFTER_FAILURE, LOOK_AGAIN, UNTIL_SOMEBODY_MENDS};

/// What this process knows of a segment, and who wants to hear more.
#[derive(Debug)]
pub(super) struct Follower {
    log: Log,
    limits: FeedLimits,
    heard: Mutex<Heard>,
    /// The number of the batch that comes next, `None` before the log was read for the first time.
    position: watch::Sender<Option<u64>>,
    /// The number behind the last batch that this process announced.
    expected: AtomicU64,
    ended: AtomicBool,
}

#[derive(Debug)]
struct Heard {
    known: Known,
    /// The incarnation of the database in which it was read.
    of: Option<String>,
    readers: broadcast::Sender<Arc<FeedBatch>>,
    /// Those who wait for their snapshot.
    joining: usize,
}

impl Follower {
    /// Begins to read the log.
    pub(super) fn begin(log: Log, limits: FeedLimits) -> Arc<Self> {
        let readers = broadcast::Sender::new(limits.backlog.max(1));
        let follower = Arc::new(Self {
            log,
            limits,
            heard: Mutex::new(Heard { known: Known::default(), of: None, readers, joining: 0 }),
            position: watch::Sender::new(None),
            expected: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        });
        tokio::spawn(Arc::clone(&follower).run());
        follower
    }

    /// This process has announced batch `number`: a snapshot has it.
    pub(super) fn expect(&self, number: u64) {
        self.expected.fetch_max(number + 1, Ordering::Relaxed);
    }

    /// A snapshot, which has what this process announced, and what comes after it; `None` if the task has ended.
    pub(super) async fn join(&self, patience: Duration) -> Result<Option<Following>, FeedError> {
        if !self.is_joined_by_one_more() {
            return Ok(None);
        }
        let waited = self.caught_up(patience).await;
        let mut heard = self.lock();
        heard.joining -= 1;
        waited?;
        let snapshot = heard.known.table.snapshot(self.log.segment);
        Ok(Some(Following { snapshot, tail: FeedTail::new(self.log.segment, heard.readers.subscribe()) }))
    }

    /// Keeps the task from ending; false if it has.
    fn is_joined_by_one_more(&self) -> bool {
        let mut heard = self.lock();
        let is_there = !self.has_ended();
        heard.joining += usize::from(is_there);
        is_there
    }

    async fn caught_up(&self, patience: Duration) -> Result<(), FeedError> {
        let expected = self.expected.load(Ordering::Relaxed);
        let mut position = self.position.subscribe();
        let reached = position.wait_for(|position| position.is_some_and(|next| next >= expected));
        let waited = tokio::time::timeout(patience, reached).await;
        waited.map(drop).map_err(|_| {
            let why = format!(
                "the log of segment {} was not read within {} s",
                self.log.segment.0,
                patience.as_secs()
            );
            StoreError::Unanswered { what: ENSEMBLE, why }.into()
        })
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Reads until nobody listens.
    async fn run(self: Arc<Self>) {
        let mut is_behind = true;
        while !self.may_end() {
            let of = match self.log.ground.origin().await {
                Ok(origin) => Some(origin.incarnation),
                Err(error) => {
                    self.wait_after(&error).await;
                    continue;
                }
            };
            // The log of a database in the place of the former has other numbers.
            if is_behind || of != self.lock().of {
                match self.log.snapshot().await {
                    Ok(known) => self.begin_anew(known, of),
                    Err(error) => self.wait_after(&error).await,
                }
            }
            match self.read_on().await {
                Ok(is_cut) => is_behind = is_cut,
                Err(error) => self.wait_after(&error).await,
            }
        }
    }

    /// Reads what is there, then waits for more; whether the log was cut before what we know.
    async fn read_on(&self) -> Result<bool, StoreError> {
        let mut next = self.lock().known.next;
        let mut most = 1;
        loop {
            let batches = self.log.read_ahead(next, most).await?;
            let is_end = batches.len() < most;
            next += batches.len() as u64;
            self.fold(&batches);
            if is_end {
                break;
            }
            // One that comes alone is the rule, and each that is asked for and not there costs the servers as much as one that is.
            most = (most * 2).min(AHEAD);
        }
        if self.log.is_cut_before(next).await? {
            return Ok(true);
        }
        if self.position.borrow().is_none() && self.log.has_gap_at(next).await? {
            self.lock().known.next += 1;
            return Ok(false);
        }
        self.position.send_replace(Some(next));
        if let Some(watch) = self.log.watch(next).await? {
            // A watch is a hint; that it may be lost costs a while.
            let woken = tokio::time::timeout(LOOK_AGAIN, watch.changed()).await;
            let mut at = next;
            while woken.is_err() && self.log.has_gap_at(at).await? {
                at += 1;
            }
            self.lock().known.next = at;
        }
        Ok(false)
    }

    fn fold(&self, batches: &[Vec<AddressRecord>]) {
        let mut heard = self.lock();
        for batch in batches {
            let accepted = heard.known.fold(batch, &self.limits);
            if !accepted.is_empty() {
                let batch = heard.known.table.batch(accepted);
                // Nobody listening is no error.
                let _ = heard.readers.send(Arc::new(batch));
            }
        }
    }

    /// The log went on without us: whoever follows has to follow again.
    fn begin_anew(&self, known: Known, of: Option<String>) {
        let mut heard = self.lock();
        if std::mem::replace(&mut heard.of, of.clone()) != of {
            self.expected.store(0, Ordering::Relaxed);
        }
        if self.position.borrow().is_some() {
            heard.readers = broadcast::Sender::new(self.limits.backlog.max(1));
        }
        heard.known = known;
    }

    /// Ends when nobody listens, and nobody is about to.
    fn may_end(&self) -> bool {
        let heard = self.lock();
        let is_idle = heard.joining == 0 && heard.readers.receiver_count() == 0;
        let is_over = is_idle && self.position.borrow().is_some();
        if is_over {
            self.ended.store(true, Ordering::Release);
        }
        is_over
    }

    async fn wait_after(&self, error: &StoreError) {
        debug!(segment = self.log.segment.0, %error, "the log of a segment cannot be read now");
        let is_for_an_operator = matches!(error, StoreError::AnotherDatabase { .. });
        tokio::time::sleep(if is_for_an_operator { UNTIL_SOMEBODY_MENDS } else { AFTER_FAILURE }).await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Heard> {
        // Each step leaves what is known whole.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

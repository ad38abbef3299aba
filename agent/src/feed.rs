//! The address feed of the store, for the engine: hears what hosts say of the segments that this one shares, and says what it has.
//!
//! ```text
//!   engine ── segments ──► a task for each segment ── snapshot in pieces, then batches ──► engine
//!          ── words ─────► the store, one lot at a time ── taken or refused ─────────────► engine
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use nsdb::{AddressFeed, AddressRecord, FeedError, FeedSnapshot, HostId, SegmentId, Store};
use tokio::sync::{Mutex, mpsc, watch};
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

use crate::input::{FeedNews, Input};
use crate::supervise::keep;

/// What the engine asks of the feed.
#[derive(Debug)]
pub struct FeedAsks {
    /// The segments that are followed, by VNI.
    pub follow: watch::Sender<Vec<u32>>,
    /// Words that are to be announced: one lot at a time, each is answered.
    pub announce: mpsc::Sender<Vec<AddressRecord>>,
}

/// The other end of [`FeedAsks`].
#[derive(Debug)]
pub struct FeedAsked {
    follow: watch::Receiver<Vec<u32>>,
    announce: mpsc::Receiver<Vec<AddressRecord>>,
}

/// Both ends.
pub fn asks() -> (FeedAsks, FeedAsked) {
    let (follow, followed) = watch::channel(Vec::new());
    let (announce, announced) = mpsc::channel(1);
    (FeedAsks { follow, announce }, FeedAsked { follow: followed, announce: announced })
}

/// Starts the tasks, which can be started again at any moment.
pub fn keep_feed(
    store: &Arc<Store>,
    asked: FeedAsked,
    arrivals: &mpsc::Sender<Input>,
) -> [AbortOnDropHandle<()>; 2] {
    let (follower, announcer) = (Arc::clone(store), Arc::clone(store));
    let (news, answers) = (arrivals.clone(), arrivals.clone());
    let announced = Arc::new(Mutex::new(asked.announce));
    [
        keep("follow addresses", move || follow(Arc::clone(&follower), asked.follow.clone(), news.clone())),
        keep("announce addresses", move || {
            announce(Arc::clone(&announcer), Arc::clone(&announced), answers.clone())
        }),
    ]
}

/// Follows the segments that are asked for, each by a task of its own, until nobody asks any more.
async fn follow(store: Arc<Store>, mut asked: watch::Receiver<Vec<u32>>, arrivals: mpsc::Sender<Input>) {
    let mut followed: BTreeMap<u32, AbortOnDropHandle<()>> = BTreeMap::new();
    loop {
        let wanted: BTreeSet<u32> = asked.borrow_and_update().iter().copied().collect();
        followed.retain(|vni, _| wanted.contains(vni));
        for vni in wanted {
            followed.entry(vni).or_insert_with(|| {
                let task = follow_segment(Arc::clone(&store), vni, arrivals.clone());
                AbortOnDropHandle::new(tokio::spawn(task))
            });
        }
        if asked.changed().await.is_err() {
            return;
        }
    }
}

/// Passes on what was said of a segment, and what is said, for as long as somebody takes it.
async fn follow_segment(store: Arc<Store>, vni: u32, arrivals: mpsc::Sender<Input>) {
    let segment = SegmentId(u64::from(vni));
    let mut pause = AGAIN;
    loop {
        match store.follow(segment).await {
            Ok(following) => {
                pause = AGAIN;
                if pass_snapshot_on(vni, following.snapshot, &arrivals).await.is_err() {
                    return;
                }
                let mut tail = following.tail;
                while let Ok(batch) = tail.next().await {
                    let words = Arc::unwrap_or_clone(batch).records;
                    if arrivals.send(Input::Feed(FeedNews::Words(words))).await.is_err() {
                        return;
                    }
                }
            }
            Err(error) => {
                debug!(vni, %error, "the addresses of a segment cannot be followed now");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

async fn pass_snapshot_on(
    vni: u32,
    snapshot: FeedSnapshot,
    arrivals: &mpsc::Sender<Input>,
) -> Result<(), Gone> {
    let mut rest = snapshot.records.as_slice();
    loop {
        let (piece, behind) = rest.split_at(rest.len().min(WORDS_AT_ONCE));
        let news = FeedNews::Snapshot { vni, records: piece.to_vec(), is_last: behind.is_empty() };
        arrivals.send(Input::Feed(news)).await.map_err(|_| Gone)?;
        if behind.is_empty() {
            return Ok(());
        }
        rest = behind;
    }
}

/// Nobody takes what arrives any more.
struct Gone;

/// Announces what it is given, and answers.
async fn announce(
    store: Arc<Store>,
    asked: Arc<Mutex<mpsc::Receiver<Vec<AddressRecord>>>>,
    arrivals: mpsc::Sender<Input>,
) {
    // Held for as long as the task runs; when it is started again after a panic, the one before has let it go.
    let mut asked = asked.lock().await;
    while let Some(words) = asked.recv().await {
        let said = match words.first() {
            Some(first) => say(&store, first.owner, words).await,
            None => Ok(()),
        };
        let refused = said.err().map(|error| error.to_string());
        if arrivals.send(Input::Feed(FeedNews::Announced { refused })).await.is_err() {
            return;
        }
    }
}

/// A store that does not answer is given up after a while: its words are said again.
async fn say(store: &Store, owner: HostId, words: Vec<AddressRecord>) -> Result<(), FeedError> {
    match tokio::time::timeout(PATIENCE, store.announce(owner, words)).await {
        Ok(said) => said,
        Err(_) => {
            let why = format!("no answer within {} s", PATIENCE.as_secs());
            Err(nsdb::StoreError::Unanswered { what: "the store", why }.into())
        }
    }
}

/// Words of a snapshot that the engine takes in at once: some microseconds each.
const WORDS_AT_ONCE: usize = 500;
/// When a segment that cannot be followed is tried again; twice as long after each time.
const AGAIN: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How long the store may take for a lot of words.
const PATIENCE: Duration = Duration::from_secs(10);

//! The daemon: opens the datapath, starts the tasks, and ends them in order.
//!
//! The channels between the tasks, each with what fits into it and what becomes of more:
//! ```text
//!                                              ┌────────────────┐
//!   links of the host ──── 1024, a new list ──►│                │
//!   follow, watch the store, be there in it,   │                ├── 4, with the next round ──────► save addresses
//!   follow addresses ────────── 1, they wait ─►│    runtime     ├── 1, answered before the next ─► announce addresses
//!   socket, be there ──── 256, askers wait ───►│ engine thread  ├── 1024, then 16 MiB, then lost ► keep the journal
//!   whoever stops it ──────────── a watch ────►│                │
//!                                              └────────────────┘
//! ```
//! Into the runtime also come frames and answers of the datapath, which it reads from sockets itself. Out of it nothing waits: what it gives
//! away it gives without waiting, so that no slow disk keeps frames.

use std::sync::Arc;
use std::time::Duration;

use datapath::port::LinkEvent;
use datapath::{FlowTable, Refusal, RefusalCause};
use nsdb::{Documents, Local, Store, StoreError};
use tokio::sync::{Mutex, mpsc, watch};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::{info, warn};

use crate::absent;
use crate::driver::{Driver, NoDriver};
use crate::engine::{Engine, Settings};
use crate::feed;
use crate::input::{Input, SavedAddress};
use crate::journal;
use crate::output::SavedPiece;
use crate::presence::{self, Pace};
use crate::record::{RecordError, RecordFile, Recorder};
use crate::runtime::{Opener, Request, Wiring};
use crate::serving::{OPENING, Serving};
use crate::supervise::keep;
use crate::topology::{self, Built};

/// What a daemon is started with.
#[derive(Debug)]
pub struct Launch {
    /// The engine's settings.
    pub settings: Settings,
    /// The socket, which answers already.
    pub serving: Serving,
    /// What the door has built, which is not built again.
    pub built: Built,
    /// Remove the datapath at the end; otherwise it goes on forwarding.
    pub teardown: bool,
    /// Record every input to this file.
    pub record: Option<RecordFile>,
}

/// Why a daemon ended or did not start.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The datapath refused something that nothing works without.
    #[error("datapath: {refusal}{advice}", refusal = .0, advice = advice(.0))]
    Datapath(#[from] Refusal),
    /// Another daemon drives it.
    #[error("datapath {device}: another daemon drives it; stop it, or give this one another by --device")]
    Held {
        /// The datapath.
        device: String,
    },
    /// It cannot be found out whether another daemon drives it.
    #[error("datapath {device} cannot be held: {source}")]
    Hold {
        /// The datapath.
        device: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The engine's thread cannot be started.
    #[error("the engine's thread cannot be started: {0}")]
    Thread(#[source] std::io::Error),
    /// Links cannot be watched.
    #[error("links cannot be watched: {0}")]
    Links(#[source] std::io::Error),
    /// The record cannot be made.
    #[error("--record {0}")]
    Record(#[from] RecordError),
}

impl From<NoDriver> for DaemonError {
    fn from(why: NoDriver) -> DaemonError {
        match why {
            NoDriver::Thread(error) => DaemonError::Thread(error),
            NoDriver::Datapath(refusal) => DaemonError::Datapath(refusal),
        }
    }
}

fn advice(refusal: &Refusal) -> &'static str {
    if refusal.cause == RefusalCause::Unsupported {
        "; `modprobe openvswitch` loads it where the kernel has it, --datapath fake tries a file without it"
    } else {
        ""
    }
}

/// Runs until `stop` becomes true. `ready` is called when there is an engine to ask.
///
/// # Errors
/// Whatever keeps it from starting. Once it runs, faults are events and counters.
pub async fn run<D: FlowTable + 'static>(
    launch: Launch,
    store: Arc<Store>,
    opener: impl Opener<D> + 'static,
    links: mpsc::Receiver<LinkEvent>,
    stop: watch::Receiver<bool>,
    ready: impl FnOnce(),
) -> Result<(), DaemonError> {
    let (arrivals, arrived) = mpsc::channel(1);
    let (saves, saved) = mpsc::channel(PIECES);
    let (events, told) = mpsc::channel(QUEUE);
    let tasks = TaskTracker::new();
    launch.serving.tell(OPENING);
    let requests = launch.serving.requests();
    let (asked, answering) = launch.serving.split();
    let (feed, feed_asked) = feed::asks();
    let feeding = feed::keep_feed(&store, feed_asked, &arrivals);
    let present = keep_present(&store, (&launch.settings.host, launch.built.clone()), requests, &arrivals);
    let kept = keep_tasks(&store, (&launch.settings.host, launch.built), arrivals, saved);
    tasks.spawn(journal::keep(Arc::clone(&store), told));
    let outlives = launch.settings.datapath != "fake";
    let mut settings = launch.settings;
    settings.bound = load_bound(&store).await;
    let recorder = launch.record.map(|file| Recorder::begin(file, &settings)).transpose()?;
    let wiring = Wiring { links, topology: arrived, requests: asked, saves, events, feed, stop, recorder };
    let engine = Engine::new(settings);
    let before = load_addresses(&store).await;
    let driver = Driver::start(engine, opener, wiring, before).await?;
    answering.has_started();
    ready();
    let (ended, rest) = driver.ended().await;
    drop(answering);
    drop((kept, feeding, present));
    tasks.close();
    let addresses = match ended {
        Ok(addresses) => addresses,
        Err(why) => {
            // What tells why it ends is written.
            let _ = tokio::time::timeout(LAST_WRITES, tasks.wait()).await;
            return Err(why.into());
        }
    };
    write_last(&store, &addresses, &tasks).await;
    rest.finish(launch.teardown)?;
    if launch.teardown {
        info!("the datapath is removed");
    } else if outlives {
        info!("stopped; the kernel goes on forwarding by the flows it has");
    } else {
        info!("stopped");
    }
    Ok(())
}

/// Writes the last addresses, and has the last events written, each for so long at most.
async fn write_last(store: &Store, addresses: &[SavedAddress], tasks: &TaskTracker) {
    let saving = tokio::time::timeout(LAST_WRITES, save_addresses(store, addresses));
    let (saved, told) = tokio::join!(saving, tokio::time::timeout(LAST_WRITES, tasks.wait()));
    if saved.is_err() {
        warn!("the state directory does not take the last addresses in time; those saved before are there");
    }
    if told.is_err() {
        let waiting = store.backlog().waiting();
        warn!(waiting, "the journal does not take the last events in time; the log has them");
    }
}

/// The task by which other hosts see that this one is there, and the one that looks after those that are not.
fn keep_present(
    store: &Arc<Store>,
    (host, built): (&str, Built),
    requests: mpsc::Sender<Request>,
    arrivals: &mpsc::Sender<Input>,
) -> [AbortOnDropHandle<()>; 2] {
    let (being, looking) = (Arc::clone(store), Arc::clone(store));
    let (session, held) = watch::channel(None);
    let (host, arrivals) = (host.to_owned(), arrivals.clone());
    let looks = absent::Ends { session: held, requests: requests.clone(), arrivals: arrivals.clone() };
    let ends = presence::Ends { requests, arrivals, session };
    [
        keep("be there in the store", move || {
            presence::keep(Arc::clone(&being), host.clone(), Pace::default(), built.clone(), ends.clone())
        }),
        keep("look after absent hosts", move || {
            absent::keep(Arc::clone(&looking), absent::LOOK_EVERY, looks.clone())
        }),
    ]
}

/// The tasks that can be started again at any moment.
fn keep_tasks(
    store: &Arc<Store>,
    (host, built): (&str, Built),
    arrivals: mpsc::Sender<Input>,
    saved: mpsc::Receiver<SavedPiece>,
) -> [AbortOnDropHandle<()>; 5] {
    let store = || Arc::clone(store);
    let (follower, saver, collector, trimmer) = (store(), store(), store(), store());
    let (shared, absences) = (store(), arrivals.clone());
    let (saved, host) = (Arc::new(Mutex::new(saved)), host.to_owned());
    [
        keep("follow the topology", move || {
            topology::follow(Arc::clone(&follower), host.clone(), built.clone(), arrivals.clone())
        }),
        keep("watch the store", move || topology::standing::watch(Arc::clone(&shared), absences.clone())),
        keep("save addresses", move || keep_addresses(Arc::clone(&saver), Arc::clone(&saved))),
        keep("collect shards", move || collect_shards(Arc::clone(&collector))),
        keep("trim the journal", move || journal::trim(Arc::clone(&trimmer))),
    ]
}

async fn keep_addresses(store: Arc<Store>, saved: Arc<Mutex<mpsc::Receiver<SavedPiece>>>) {
    // Held for as long as the task runs; when it is started again after a panic, the one before has let it go.
    let mut saved = saved.lock().await;
    while let Some(piece) = saved.recv().await {
        if let Some(bound) = &piece.bound {
            save_bound(&store, bound).await;
        }
        save_piece(&store, piece.number, &piece.addresses, piece.is_last).await;
    }
}

/// Learned addresses, all of them, as a daemon writes them at its end and reads them when it starts. What the store does not take is logged.
pub async fn save_addresses(store: &Store, addresses: &[SavedAddress]) {
    let mut pieces: Vec<&[SavedAddress]> = addresses.chunks(ADDRESSES_A_PIECE).collect();
    if pieces.is_empty() {
        pieces.push(&[]);
    }
    for (number, piece) in pieces.iter().enumerate() {
        save_piece(store, number, piece, number + 1 == pieces.len()).await;
    }
}

/// Kept in pieces, since one record of the store has a limit. Behind the last one, pieces of an earlier round are removed.
async fn save_piece(store: &Store, number: usize, piece: &[SavedAddress], is_last: bool) {
    let saved = match nsdb::schema::encode(ADDRESS_VERSION, &piece) {
        Ok(bytes) => store.save(&piece_key(number), bytes).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = saved {
        warn!(error, "learned addresses cannot be saved");
        return;
    }
    let mut number = number + 1;
    while is_last && matches!(store.delete(&piece_key(number)).await, Ok(true)) {
        number += 1;
    }
}

/// The links that are bound, by name.
async fn save_bound(store: &Store, links: &[String]) {
    let saved = match nsdb::schema::encode(BOUND_VERSION, &links) {
        Ok(bytes) => store.save(BOUND, bytes).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = saved {
        warn!(error, "the links that are bound cannot be saved");
    }
}

async fn load_bound(store: &Store) -> Vec<String> {
    let loaded = match store.load(BOUND).await {
        Ok(Some(bytes)) => nsdb::schema::decode(BOUND_VERSION, &bytes).map_err(|error| error.to_string()),
        Ok(None) => Ok(Vec::new()),
        Err(error) => Err(error.to_string()),
    };
    loaded.unwrap_or_else(|error: String| {
        warn!(
            error,
            "the links that were bound cannot be read: one that the host uses now is not bound again"
        );
        Vec::new()
    })
}

async fn load_addresses(store: &Store) -> Vec<SavedAddress> {
    let mut addresses = Vec::new();
    for number in 0.. {
        let piece = match store.load(&piece_key(number)).await {
            Ok(Some(bytes)) => {
                nsdb::schema::decode::<Vec<SavedAddress>>(ADDRESS_VERSION, &bytes).map_err(|e| e.to_string())
            }
            Ok(None) => break,
            // Where one cannot be read it cannot be told either whether there are more.
            Err(error) => {
                warn!(%error, "saved addresses cannot be read, they are learned anew");
                break;
            }
        };
        match piece {
            Ok(piece) => addresses.extend(piece),
            Err(error) => warn!(error, "saved addresses cannot be read, they are learned anew"),
        }
    }
    addresses
}

async fn collect_shards(store: Arc<Store>) {
    loop {
        tokio::time::sleep(SHARDS_KEPT).await;
        if let Err(error) = store.collect(SHARDS_KEPT).await {
            // An agent may not; the gateways do.
            if error.is_denied() {
                return std::future::pending().await;
            }
            warn!(%error, "shards that are out of use cannot be collected");
        }
    }
}

fn piece_key(number: usize) -> String {
    format!("addresses/{number}")
}

const QUEUE: usize = 1024;
/// How long the last writes may take: whoever stops a gateway waits for them.
const LAST_WRITES: Duration = Duration::from_secs(1);
/// Pieces of addresses that may wait for the store.
const PIECES: usize = 4;
const ADDRESSES_A_PIECE: usize = 10_000;
const ADDRESS_VERSION: u8 = 1;
/// Where the links that are bound are remembered.
const BOUND: &str = "bound";
const BOUND_VERSION: u8 = 1;
/// How long a shard that no revision names any more stays.
const SHARDS_KEPT: Duration = Duration::from_secs(3600);

//! A daemon's life, from its first moment to its last, whichever program runs it.
//!
//! ```text
//! signals are listened to ─► log ─► the caller reads its file ─► state directory ─► socket ─► record ─► the file comes in ─► datapath
//! ```
//! Signals come first, so that none ends the daemon out of order. The state directory is locked before the socket is opened, and both are
//! there before anything of the kernel is touched: a second daemon fails before it has touched anything of the first.
//!
//! A caller parses its command line and, inside [`block_on`], lets [`begin`] read its file, makes a [`Life`] of both, and calls [`Life::live`].
//! One whose file has no topology gives no [`FileSource`]: then what the store has is in force, until another revision comes by the socket.

pub mod exit;
pub mod file;
pub mod log;
pub mod signals;
mod systemd;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nsdb::zookeeper::ZooKeeperSettings;
use nsdb::{JournalPlace, Store};
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use crate::budget::Rates;
use crate::daemon::DaemonError;
use crate::door::Door;
use crate::record::RecordFile;
use crate::runtime::Request;
use crate::serving::{OPENING, Serving};
use crate::socket::Socket;
use crate::start::{self, Choice, Start};
use file::FileSource;
use signals::Signals;

/// What a caller gives.
#[derive(Debug)]
pub struct Life {
    /// Which host of the topology this is.
    pub host: String,
    /// The state directory.
    pub state: PathBuf,
    /// The ensemble where the topology is that this host shares with others; `None`: it is in the state directory.
    pub ensemble: Option<ZooKeeperSettings>,
    /// Where its journal is, and how long that keeps what happened.
    pub journal: (JournalPlace, Duration),
    /// Path of the socket.
    pub socket: PathBuf,
    /// The datapath.
    pub datapath: Choice,
    /// Name of the kernel's datapath and of its own link, 1 to 15 bytes.
    pub device: String,
    /// Rates of first frames.
    pub rates: Rates,
    /// Remove the datapath at the end; otherwise it goes on forwarding.
    pub teardown: bool,
    /// Record every input to this file, which must not be there.
    pub record: Option<PathBuf>,
    /// The daemon's own file of the topology, which is proposed at the start and at each SIGHUP, if it has one.
    pub file: Option<FileSource>,
}

/// Why a daemon did not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The file is not to be run as it is.
    #[error("{0}")]
    Configuration(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl Failure {
    /// The exit code of a program that ends by it.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Configuration(_) => exit::BAD_CONFIGURATION,
            Failure::Other(_) => exit::FAILED,
        }
    }
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Other(error.to_string())
}

/// Runs a daemon's task on a runtime of its own.
///
/// # Errors
/// There is no runtime.
pub fn block_on<T>(task: impl Future<Output = T>) -> io::Result<T> {
    // The allocator asks for huge pages (madvise(2)), and each thread takes some for itself: 17 MiB of memory where 2.4 are used.
    // What is given up by that, with a million addresses, is told in docs/benchmarks.md. A kernel without huge pages refuses, and needs nothing.
    let _ = nix::sys::prctl::set_thp_disable(true);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ended = runtime.block_on(task);
    runtime.shutdown_timeout(PATIENCE);
    Ok(ended)
}

/// The first steps: signals are listened to, the log is started, and `read` reads what the daemon is started with, which may block.
/// `None` if a signal ended it meanwhile.
///
/// # Errors
/// Signals cannot be listened to; or `read` panicked.
pub async fn begin<T: Send + 'static>(
    read: impl FnOnce() -> T + Send + 'static,
) -> Result<Option<(T, Signals)>, Failure> {
    let mut signals =
        Signals::listen().map_err(|error| Failure::Other(format!("cannot listen for signals: {error}")))?;
    log::start();
    let reading = tokio::task::spawn_blocking(read);
    tokio::select! {
        read = reading => Ok(Some((read.map_err(failed)?, signals))),
        () = signals.ended() => {
            tell_stopping();
            Ok(None)
        }
    }
}

/// Says that the daemon stops, to the log and to systemd.
fn tell_stopping() {
    info!("stopping");
    systemd::tell(sd_notify::NotifyState::Stopping);
}

impl Life {
    /// Runs until SIGTERM or SIGINT.
    ///
    /// # Errors
    /// Whatever keeps it from starting or from going on.
    pub async fn live(self, mut signals: Signals) -> Result<(), Failure> {
        allow_many_ports();
        let mut opening = std::pin::pin!(self.open());
        let opened = tokio::select! {
            opened = &mut opening => opened?,
            () = signals.ended() => {
                tell_stopping();
                // What is being published is told of.
                let _ = tokio::time::timeout(PATIENCE, opening).await;
                return Ok(());
            }
        };
        let Opened { start, store, door, file } = opened;
        let (stop, stopped) = watch::channel(false);
        let obeying = tokio::spawn(obey(signals, file, door, stop));
        let engine = start.serving.requests();
        let ready = || tell_ready(engine);
        let ended = start::run(start, Arc::clone(&store), stopped, ready).await.map_err(failed);
        // A file that is being published is told of.
        if ended.is_ok() {
            let _ = tokio::time::timeout(PATIENCE, obeying).await;
        }
        store.close().await;
        ended
    }

    /// Opens what is there before the datapath is.
    async fn open(self) -> Result<Opened, Failure> {
        let Life {
            host,
            state,
            ensemble,
            journal,
            socket,
            datapath,
            device,
            rates,
            teardown,
            record,
            mut file,
        } = self;
        // It reads the whole file, and SIGTERM is obeyed meanwhile.
        let store = tokio::task::spawn_blocking(move || start::open_store(&state, ensemble, journal)).await;
        let store = store.map_err(failed)?.map_err(failed)?;
        if let Some(ensemble) = store.ensemble() {
            info!(%ensemble, "the topology is the one on the ensemble; `l2gw apply` changes it there");
        }
        let socket = Socket::open(&socket).await.map_err(failed)?;
        let path = file.as_ref().map(|file| file.path.clone());
        let door = Arc::new(Door::new(Arc::clone(&store), &host, path));
        let step = if file.is_some() { PUBLISHING } else { OPENING };
        let serving = Serving::begin(socket, Arc::clone(&store), Arc::clone(&door), step);
        let record = record.as_deref().map(RecordFile::create).transpose();
        let record = record.map_err(|error| failed(DaemonError::from(error)))?;
        if let Some(file) = &mut file {
            file.publish_first(&door).await?;
        }
        let built = door.built();
        let start = Start { host, datapath, device, serving, built, teardown, rates, record };
        Ok(Opened { start, store, door, file })
    }
}

/// What is there before the datapath is opened.
struct Opened {
    start: Start,
    store: Arc<Store>,
    door: Arc<Door>,
    file: Option<FileSource>,
}

/// SIGTERM and SIGINT end the daemon; SIGHUP has its file read again, and published if it is right.
///
/// ```text
/// signals ──1──► file: read, published through the door
///         └────► stop
/// ```
async fn obey(mut signals: Signals, file: Option<FileSource>, door: Arc<Door>, stop: watch::Sender<bool>) {
    let (asked, asking) = tokio::sync::mpsc::channel(1);
    let reloading = match file {
        Some(file) => tokio::spawn(file.keep(door, asking)),
        None => tokio::spawn(file::keep_none(asking)),
    };
    // Where one waits already, the file is going to be read after this one as well.
    let ask = || {
        let _ = asked.try_send(());
    };
    signals.ended_after(ask).await;
    tell_stopping();
    let _ = stop.send(true);
    drop(asked);
    let _ = reloading.await;
}

/// Every port has an upcall socket, and the usual limit of 1 024 open files is not many ports. The kernel's own limit stays.
fn allow_many_ports() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        warn!(%error, "the limit of open files stays as it is");
    }
}

/// Says that the daemon is ready, and that the engine answers for as long as it does.
fn tell_ready(engine: mpsc::Sender<Request>) {
    info!("ready");
    systemd::tell(sd_notify::NotifyState::Ready);
    systemd::keep_watched(engine);
}

/// What the start is at while the file comes in.
const PUBLISHING: &str = "the file is being published";
/// How long what goes on in other threads may take at the end: a check of a large proposal is of no use to anyone then.
const PATIENCE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use std::path::Path;

    use file::tests::contents;

    use super::*;
    use crate::topology;

    fn life(directory: &Path, file: Option<FileSource>) -> Life {
        Life {
            host: "gw1".to_owned(),
            state: directory.join("state"),
            ensemble: None,
            journal: (JournalPlace::State, Duration::from_secs(3_600)),
            socket: directory.join("l2gw.sock"),
            datapath: Choice::Fake,
            device: "l2gw".to_owned(),
            rates: Rates::default(),
            teardown: false,
            record: None,
            file,
        }
    }

    fn file(link: &str) -> Option<FileSource> {
        Some(FileSource {
            path: PathBuf::from("gateway.toml"),
            first: Some(contents(link)),
            without_hosts: Vec::new(),
            read: |_| Err("not read again".to_owned()),
        })
    }

    /// The newest revision once all is open; 0 of none.
    async fn opened(directory: &Path, file: Option<FileSource>) -> Result<u64, Failure> {
        let opened = life(directory, file).open().await?;
        let newest = topology::newest_root(&opened.store).await.unwrap();
        // The socket's task lets the state directory go a little later.
        let store = Arc::downgrade(&opened.store);
        drop(opened);
        while store.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
        Ok(newest.map_or(0, |newest| newest.revision.get()))
    }

    #[tokio::test]
    async fn a_file_comes_in_at_the_start() {
        let directory = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            assert_eq!(opened(directory.path(), file("tap1")).await.unwrap(), 1);
        }
        assert_eq!(opened(directory.path(), file("tap2")).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn without_a_file_there_is_what_the_store_has() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(opened(directory.path(), None).await.unwrap(), 0);
        assert_eq!(opened(directory.path(), file("tap1")).await.unwrap(), 1);
        assert_eq!(opened(directory.path(), None).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_file_that_does_not_come_in_is_a_wrong_configuration() {
        let directory = tempfile::tempdir().unwrap();
        let refused = opened(directory.path(), file("a tap")).await;
        assert!(matches!(refused, Err(Failure::Configuration(_))), "{refused:?}");
        std::fs::write(directory.path().join("not-a-directory"), "").unwrap();
        let mut nowhere = life(directory.path(), file("tap1"));
        nowhere.state = directory.path().join("not-a-directory");
        assert!(matches!(nowhere.open().await.err(), Some(Failure::Other(_))));
    }
}

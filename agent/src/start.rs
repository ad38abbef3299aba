//! Starts a daemon on the datapath that it is told to drive.

use std::collections::HashSet;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::ValueEnum;
use datapath::Refusal;
use datapath::fake::{FakeDatapath, FakeWire, Options as FakeOptions};
use datapath::link::Links;
use datapath::ovs::Ovs;
use nsdb::zookeeper::ZooKeeperSettings;
use nsdb::{JournalLimits, JournalPlace, Store, StoreConfig, StoreError, StorePlace};
use tokio::sync::watch;
use tracing::info;
use vlan::model::description::Description;
use vlan::model::words::Worded;

use crate::budget::Rates;
use crate::clock;
use crate::daemon::{self, DaemonError, Launch};
use crate::engine::Settings;
use crate::record::RecordFile;
use crate::runtime::Opener;
use crate::serving::Serving;
use crate::topology::{self, Built};

pub use datapath::ovs::{Held, Removed};

/// The datapath to be driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Choice {
    // That is openvswitch.ko, until there is another.
    /// The best that this host has
    #[default]
    Auto,
    /// openvswitch.ko
    Ovs,
    // Its links exist in memory only: to try a file and the commands.
    /// In memory, without root and without a network
    Fake,
}

impl Worded for Choice {
    const WORDS: &'static [(&'static str, Self)] =
        &[("auto", Choice::Auto), ("ovs", Choice::Ovs), ("fake", Choice::Fake)];
}

/// What a daemon is started with.
#[derive(Debug)]
pub struct Start {
    /// Which host of the topology this is.
    pub host: String,
    /// The datapath.
    pub datapath: Choice,
    /// Name of the kernel's datapath and of its own link, 1 to 15 bytes.
    pub device: String,
    /// The socket, which answers already.
    pub serving: Serving,
    /// What the door has built, which is not built again.
    pub built: Built,
    /// Remove the datapath at the end; otherwise it goes on forwarding.
    pub teardown: bool,
    /// Rates of first frames.
    pub rates: Rates,
    /// Record every input to this file.
    pub record: Option<RecordFile>,
}

/// Opens the state directory, and makes it if it is missing. The journal is where it is said to be, and kept for so long. The topology is on
/// the ensemble, if there is one. Neither an ensemble nor a cluster is waited for.
///
/// # Errors
/// Another process has the directory, it is corrupt, of a newer version, not writable.
pub fn open_store(
    state: &Path,
    ensemble: Option<ZooKeeperSettings>,
    (journal, keep): (JournalPlace, Duration),
) -> Result<Arc<Store>, StoreError> {
    let journal_limits = JournalLimits { keep, ..JournalLimits::default() };
    let config = StoreConfig { journal, journal_limits, ..StoreConfig::in_directory(state) };
    let documents = ensemble.map_or(StorePlace::State, StorePlace::Ensemble);
    Store::open(StoreConfig { documents, ..config }).map(Arc::new)
}

/// Runs a daemon until `stop` becomes true; `ready` is called when the datapath is open and the engine answers.
///
/// # Errors
/// Whatever keeps it from starting.
pub async fn run(
    start: Start,
    store: Arc<Store>,
    stop: watch::Receiver<bool>,
    ready: impl FnOnce(),
) -> Result<(), DaemonError> {
    let mut settings = Settings::new(&start.host);
    settings.seed = random_seed();
    settings.session = clock::wall_ms();
    settings.rates = start.rates;
    settings.datapath = if start.datapath == Choice::Fake { "fake" } else { "ovs" }.to_owned();
    let Start { serving, built, teardown, record, .. } = start;
    let launch = Launch { settings, serving, built, teardown, record };
    if start.datapath == Choice::Fake {
        let wire = FakeWire::new(FakeOptions::default());
        let links = FakeLinks { wire: wire.clone(), host: start.host, made: Mutex::default() };
        // Those of the start are there before there is anybody to miss them; a store that is away has no say in it yet.
        let newest = tokio::time::timeout(FAKE_PATIENCE, topology::newest(&store)).await;
        let stored = newest.ok().and_then(|newest| newest.ok().flatten()?.stored.ok());
        stored.inspect(|stored| links.make(&stored.description));
        launch.built.show_to(move |topology| links.make(topology.description()));
        let ticking = tokio::spawn(keep_clock(wire.clone()));
        let ended = daemon::run(launch, store, InMemory(wire.clone()), wire.watch_links(), stop, ready).await;
        ticking.abort();
        return ended;
    }
    let _held = hold(&start.device)?;
    let (links, events) = Links::open().map_err(DaemonError::Links)?;
    let ended = daemon::run(launch, store, Kernel { device: start.device }, events, stop, ready).await;
    drop(links);
    ended
}

/// Removes the datapath `device` of openvswitch.ko that an earlier run left, with all it has; none is no error.
///
/// # Errors
/// A daemon, or another program, drives it; there is no openvswitch.ko; not permitted.
pub fn teardown(device: &str) -> Result<Removed, DaemonError> {
    let _held = hold(device)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(DaemonError::Thread)?;
    let _inside = runtime.enter();
    Ok(runtime.block_on(Ovs::remove(device))?)
}

/// Opens openvswitch.ko.
struct Kernel {
    device: String,
}

impl Opener<Ovs> for Kernel {
    async fn open(&mut self) -> Result<Ovs, Refusal> {
        let datapath = Ovs::open(&self.device).await?;
        info!(device = self.device, "openvswitch.ko is driven");
        Ok(datapath)
    }
}

/// Opens the datapath of a wire in memory.
struct InMemory(FakeWire);

impl Opener<FakeDatapath> for InMemory {
    async fn open(&mut self) -> Result<FakeDatapath, Refusal> {
        Ok(FakeDatapath::open(&self.0))
    }
}

/// Every link that the topology names for a host, on a wire in memory.
struct FakeLinks {
    wire: FakeWire,
    host: String,
    made: Mutex<HashSet<String>>,
}

impl FakeLinks {
    /// Makes the links that a revision names and that are not there yet.
    fn make(&self, description: &Description) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let ports = description.trunks.iter().chain(&description.ports);
        for port in ports.filter(|port| port.host == self.host) {
            if made.insert(port.link.clone()) {
                self.wire.add_link(&port.link);
            }
        }
    }
}

/// Its clock is virtual: keeps it at the running one.
async fn keep_clock(wire: FakeWire) {
    loop {
        wire.advance(clock::now().since(wire.now()));
        tokio::time::sleep(CLOCK_STEP).await;
    }
}

/// Keeps a second daemon from the datapath `device`, by a name in the abstract socket namespace: like the datapath it belongs to the
/// network namespace, and it goes with the process, however that ends.
fn hold(device: &str) -> Result<UnixListener, DaemonError> {
    let claimed = SocketAddr::from_abstract_name(format!("l2gw/datapath/{device}"))
        .and_then(|name| UnixListener::bind_addr(&name));
    claimed.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => DaemonError::Held { device: device.to_owned() },
        _ => DaemonError::Hold { device: device.to_owned(), source: error },
    })
}

/// From the kernel's random numbers, by way of the standard library's hash keys.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(clock::wall_ms())
}

/// How long a start in memory waits for the names of its links.
const FAKE_PATIENCE: Duration = Duration::from_secs(1);
const CLOCK_STEP: Duration = Duration::from_millis(50);

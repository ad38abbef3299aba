//! Starts a daemon on the datapath that it is told to drive.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use datapath::fake::{FakeDatapath, FakeWire, Options as FakeOptions};
use datapath::link::Links;
use datapath::ovs::Ovs;
use nsdb::{Embedded, EmbeddedOptions, Store, StoreError};
use tokio::sync::watch;
use tracing::info;
use vlan::model::description::Description;

use crate::clock;
use crate::daemon::{self, DaemonError, Options};
use crate::engine::Settings;
use crate::topology::{self, TopologyError};

/// The datapath to be driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// The best that the host has. That is openvswitch.ko, until there is another.
    #[default]
    Auto,
    /// openvswitch.ko.
    Ovs,
    /// In memory, on links that exist in memory only: to try a file and the commands without root and without a network.
    Fake,
}

/// What a daemon is started with.
#[derive(Debug, Clone)]
pub struct Start {
    /// Which host of the topology this is.
    pub host: String,
    /// The datapath.
    pub datapath: Choice,
    /// Name of the kernel's datapath and of its own link, 1 to 15 bytes.
    pub device: String,
    /// The socket.
    pub socket: PathBuf,
    /// Remove the datapath at the end; otherwise it goes on forwarding.
    pub teardown: bool,
    /// Record every input to this file.
    pub record: Option<PathBuf>,
}

/// Opens the state directory, and makes it if it is missing.
///
/// # Errors
/// Another process has it, it is corrupt, of a newer version, not writable.
pub fn open_store(state: &Path) -> Result<Arc<Store>, StoreError> {
    Embedded::open(state, EmbeddedOptions::default()).map(|store| Arc::new(Store::Embedded(store)))
}

/// Runs a daemon until `stop` becomes true; `ready` is called when the socket answers and the datapath is open.
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
    settings.datapath = if start.datapath == Choice::Fake { "fake" } else { "ovs" }.to_owned();
    let options = Options { settings, socket: start.socket, teardown: start.teardown, record: start.record };
    if start.datapath == Choice::Fake {
        let description = newest_description(&store).await;
        let wire = fake_wire(&description, &start.host);
        let ticking = tokio::spawn(keep_clock(wire.clone()));
        let ended =
            daemon::run(options, store, FakeDatapath::open(&wire), wire.watch_links(), stop, ready).await;
        ticking.abort();
        return ended;
    }
    let datapath = Ovs::open(&start.device).await?;
    let (links, events) = Links::open().map_err(DaemonError::Links)?;
    info!(device = start.device, "openvswitch.ko is driven");
    let ended = daemon::run(options, store, datapath, events, stop, ready).await;
    drop(links);
    ended
}

async fn newest_description(store: &Store) -> Description {
    let newest: Result<_, TopologyError> = topology::newest(store).await;
    newest.ok().flatten().map(|(_, description)| description).unwrap_or_default()
}

/// A wire with every link that the topology names for the host.
fn fake_wire(description: &Description, host: &str) -> FakeWire {
    let wire = FakeWire::new(FakeOptions::default());
    for port in description.trunks.iter().chain(&description.ports).filter(|port| port.host == host) {
        wire.add_link(&port.link);
    }
    wire
}

/// Its clock is virtual: keeps it at the running one.
async fn keep_clock(wire: FakeWire) {
    loop {
        wire.advance(clock::now().since(wire.now()));
        tokio::time::sleep(CLOCK_STEP).await;
    }
}

/// From the kernel's random numbers, by way of the standard library's hash keys.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(clock::wall_ms())
}

const CLOCK_STEP: Duration = Duration::from_millis(50);

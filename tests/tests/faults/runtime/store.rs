//! The whole daemon over a store that fails: it goes on forwarding, says what it could not do, and does it when the store is back.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use agent::daemon::{self, DaemonError};
use agent::door::{Door, DoorError, Proposal};
use agent::engine::Settings;
use agent::runtime::Opener;
use agent::serving::Serving;
use agent::socket::Socket;
use datapath::Refusal;
use datapath::fake::{FakeDatapath, FakeWire, Options};
use l2gw::config;
use nsdb::{
    Change, Documents, Fault, Faults, Journal, Local, Operation, Query, ShardName, Store, StoreConfig,
    WallTime,
};
use tests::lab::standard;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::{LINKS, PATIENCE, SETTLED, STEP, VM, known_to_all, nth};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_takes_nothing_stops_no_frame_and_gets_all_of_it_later() {
    let said = Said::from_now();
    let mut daemon = Daemon::start(|_| {}).await;
    daemon.wait_for("all ports", "\"ports_up\":4").await;
    for operation in [Operation::Publish, Operation::Save, Operation::Append] {
        daemon.faults.always(operation, Fault::Refuse);
    }
    let error = daemon.publish(&with_vm5_in_vlan_7()).await.unwrap_err();
    assert!(error.to_string().contains("publishing is not available"), "{error}");
    assert!(!error.is_conflict() && !error.is_wrong(), "it may be tried again: {error}");
    daemon.wire.rename_link("vm5", "other");
    said.wait_for("events wait here until it is back").await;
    assert_eq!(daemon.send(&known_to_all(nth(1))).await, ["leaf1", "vm8b"]);
    said.wait_for("learned addresses cannot be saved").await;
    assert_eq!(daemon.send(&known_to_all(nth(2))).await, ["leaf1", "vm8b"]);
    assert!(daemon.ask("/v1/status").await.contains("\"revision\":1,"), "the revision in force stays");
    assert_eq!(daemon.store.load("addresses/0").await.unwrap(), None);

    daemon.faults.clear();
    daemon.wire.rename_link("other", "vm5");
    assert_eq!(daemon.publish(&with_vm5_in_vlan_7()).await.unwrap().revision, 2);
    daemon.wait_for("the new revision", "\"revision\":2,").await;
    assert_eq!(daemon.send(&known_to_all(nth(3))).await, ["leaf1", "vm8b"]);
    // The log is that of all tests: another's journal may be back. What was told meanwhile is in this one.
    let until = tokio::time::Instant::now() + PATIENCE;
    for kind in ["port-down", "journal-away", "journal-back"] {
        let kind = format!("\"event\":\"{kind}\"");
        loop {
            let noted = daemon.store.query(Query::default()).await.unwrap();
            if noted.iter().any(|entry| String::from_utf8_lossy(&entry.body).contains(&kind)) {
                break;
            }
            assert!(tokio::time::Instant::now() < until, "{kind} is not in the journal");
            tokio::time::sleep(STEP).await;
        }
    }
    daemon.stop().await.unwrap();
    assert!(daemon.store.load("addresses/0").await.unwrap().is_some(), "saved at the end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_read_again_without_another_change() {
    let said = Said::from_now();
    let mut daemon = Daemon::start(|faults| {
        for operation in [Operation::Root, Operation::Load] {
            faults.always(operation, Fault::Refuse);
        }
    })
    .await;
    said.wait_for("the root is not available").await;
    said.wait_for("saved addresses cannot be read").await;
    daemon.faults.clear();
    daemon.wait_for("the revision that was there at the start", "\"ports_up\":4").await;

    let root = daemon.store.root().await.unwrap().unwrap();
    // What is as it was is not read again.
    let shards = shards_of(&with_vm5_in_vlan_7()).await;
    daemon.faults.always(Operation::Read, Fault::Refuse);
    let change = Change::new("alice", WallTime::from_millis(1), "vm5 goes elsewhere");
    daemon.store.publish(Some(root.revision), shards.clone(), change.clone()).await.unwrap();
    said.wait_for("a shard is not available").await;
    assert!(daemon.ask("/v1/status").await.contains("\"revision\":1,"));
    assert_eq!(daemon.send(&known_to_all(VM)).await, ["leaf1", "vm8b"]);
    daemon.faults.clear();
    daemon.wait_for("what was published meanwhile", "\"revision\":2,").await;

    // A server that lags behind tells of the revision before.
    daemon.faults.next(Operation::Root, Fault::Stale);
    daemon.store.publish(root.revision.next().into(), shards, change).await.unwrap();
    said.wait_for("the store reads an older revision than it announced").await;
    daemon.wait_for("the newest all the same", "\"revision\":3,").await;
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_at_random_cost_no_frame_and_no_revision_that_was_acknowledged() {
    let mut daemon = Daemon::start(|_| {}).await;
    daemon.wait_for("all ports", "\"ports_up\":4").await;
    let seed = 11;
    println!("seed {seed}");
    daemon.faults.at_random(seed, 300);
    for round in 0..20_u8 {
        let file = if round % 2 == 0 { with_vm5_in_vlan_7() } else { standard::file() };
        // What is acknowledged is there; of what is not, either is true.
        let acknowledged = daemon.publish(&file).await.ok().map(|accepted| accepted.revision);
        assert_eq!(daemon.send(&known_to_all(nth(round))).await, ["leaf1", "vm8b"], "round {round}");
        let newest = daemon.newest();
        assert!(acknowledged.is_none_or(|revision| newest >= revision), "round {round}: {newest}");
    }
    assert!(daemon.faults.struck() > 10, "{} faults", daemon.faults.struck());
    daemon.faults.clear();
    let newest = daemon.newest();
    daemon.wait_for("the newest in the end", &format!("\"revision\":{newest},")).await;
    daemon.stop().await.unwrap();
}

/// A file as it is stored where nothing was before.
async fn shards_of(file: &str) -> BTreeMap<ShardName, Vec<u8>> {
    let store = Arc::new(Store::open(StoreConfig::in_memory()).expect("memory is there"));
    let door = Door::new(Arc::clone(&store), "gw1", None);
    door.publish(proposal(file)).await.expect("a network that is right");
    let root = store.root().await.expect("it answers").expect("it was published");
    store.read_shards(&root, &[""]).await.expect("it answers")
}

/// A daemon on a wire in memory, with everything but a kernel.
struct Daemon {
    wire: FakeWire,
    store: Arc<Store>,
    faults: Faults,
    door: Arc<Door>,
    directory: tempfile::TempDir,
    stop: watch::Sender<bool>,
    running: Option<JoinHandle<Result<(), DaemonError>>>,
    ticking: JoinHandle<()>,
}

impl Daemon {
    /// With the standard network as revision 1, and what `break_it` makes of the store then.
    async fn start(break_it: impl FnOnce(&Faults)) -> Daemon {
        let wire = FakeWire::new(Options::default());
        wire.advance(agent::clock::now().since(wire.now()));
        LINKS.iter().for_each(|link| wire.add_link(link));
        let faults = Faults::none();
        let store = Store::open(StoreConfig { faults: faults.clone(), ..StoreConfig::in_memory() });
        let store = Arc::new(store.expect("memory is there"));
        let door = Arc::new(Door::new(Arc::clone(&store), "gw1", None));
        door.publish(proposal(&standard::file())).await.expect("a network that is right");
        break_it(&faults);
        let directory = tempfile::tempdir().expect("a directory of its own");
        let socket = Socket::open(&directory.path().join("socket")).await.expect("a socket");
        let serving = Serving::begin(socket, Arc::clone(&store), Arc::clone(&door), "the test begins");
        let mut settings = Settings::new("gw1");
        settings.datapath = "fake".to_owned();
        let built = door.built();
        let launch = daemon::Launch { settings, serving, built, teardown: false, record: None };
        let (stop, stopped) = watch::channel(false);
        let (tell, ready) = oneshot::channel();
        let links = wire.watch_links();
        let (shared, opener) = (Arc::clone(&store), InMemory(wire.clone()));
        let running = tokio::spawn(async move {
            daemon::run(launch, shared, opener, links, stopped, || tell.send(()).expect("a test that waits"))
                .await
        });
        let clockwork = wire.clone();
        let ticking = tokio::spawn(async move {
            loop {
                clockwork.advance(agent::clock::now().since(clockwork.now()));
                tokio::time::sleep(STEP).await;
            }
        });
        ready.await.expect("a daemon that starts");
        Daemon { wire, store, faults, door, directory, stop, running: Some(running), ticking }
    }

    async fn stop(&mut self) -> Result<(), DaemonError> {
        self.stop.send_replace(true);
        let running = self.running.take().expect("stopped once");
        running.await.expect("no panic")
    }

    async fn publish(&self, file: &str) -> Result<agent::door::Accepted, DoorError> {
        self.door.publish(proposal(file)).await
    }

    /// The newest revision, whatever faults there are.
    fn newest(&self) -> u64 {
        self.store.watch_root().borrow().map_or(0, |revision| revision.get())
    }

    /// Sends a frame from vm8 and says by which links it left.
    async fn send(&self, frame: &[u8]) -> Vec<&'static str> {
        let there = || {
            let links = self.wire.links();
            LINKS.iter().copied().filter(move |name| links.iter().any(|link| link.name == **name))
        };
        there().for_each(|link| drop(self.wire.sent(link)));
        self.wire.inject("vm8", frame);
        let until = tokio::time::Instant::now() + SETTLED;
        let mut left = Vec::new();
        while left.is_empty() && tokio::time::Instant::now() < until {
            tokio::time::sleep(STEP).await;
            left = there().filter(|name| !self.wire.sent(name).is_empty()).collect();
        }
        left
    }

    async fn ask(&self, what: &str) -> String {
        get(&self.directory.path().join("socket"), what).await
    }

    async fn wait_for(&self, what: &str, in_status: &str) {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let status = self.ask("/v1/status").await;
            if status.contains(in_status) {
                return;
            }
            assert!(tokio::time::Instant::now() < until, "waited {PATIENCE:?} for {what}: {status}");
            tokio::time::sleep(STEP).await;
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.ticking.abort();
        self.running.iter().for_each(JoinHandle::abort);
    }
}

struct InMemory(FakeWire);

impl Opener<FakeDatapath> for InMemory {
    async fn open(&mut self) -> Result<FakeDatapath, Refusal> {
        Ok(FakeDatapath::open(&self.0))
    }
}

async fn get(socket: &Path, what: &str) -> String {
    let mut stream = UnixStream::connect(socket).await.expect("a daemon that listens");
    let request = format!("GET {what} HTTP/1.1\r\nhost: l2gw\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("a daemon that reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer in text");
    answer
}

fn proposal(file: &str) -> Proposal {
    let description = config::parse("gateway.toml", file).expect("a file that is right").description;
    Proposal::new(&description, "alice", "")
}

/// The standard network with vm5 in VLAN 7: VLAN 8 is as it was.
fn with_vm5_in_vlan_7() -> String {
    standard::file().replace("vid = 5", "vid = 7")
}

/// What this process has logged since a moment; all its tests log to one place.
struct Said {
    from: usize,
}

impl Said {
    fn from_now() -> Said {
        Said { from: log().lock().unwrap_or_else(PoisonError::into_inner).len() }
    }

    async fn wait_for(&self, text: &str) {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let said = log().lock().unwrap_or_else(PoisonError::into_inner)[self.from..].to_vec();
            let said = String::from_utf8_lossy(&said).into_owned();
            if said.contains(text) {
                return;
            }
            assert!(
                tokio::time::Instant::now() < until,
                "waited {PATIENCE:?} for {text:?}, said was: {said}"
            );
            tokio::time::sleep(STEP).await;
        }
    }
}

fn log() -> &'static Mutex<Vec<u8>> {
    static LOG: OnceLock<Mutex<Vec<u8>>> = OnceLock::new();
    LOG.get_or_init(|| {
        tracing_subscriber::fmt().with_ansi(false).with_writer(|| ToLog).init();
        Mutex::default()
    })
}

struct ToLog;

impl Write for ToLog {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        log().lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

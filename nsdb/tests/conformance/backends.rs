//! The stores under test, each with small limits so that a test can reach them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use nsdb::cassandra::CassandraSettings;
use nsdb::zookeeper::{Coordinator, ZooKeeperSettings, make};
use nsdb::{
    Faults, Faulty, FeedLimits, JournalLimits, JournalPlace, ManualClock, Store, StoreConfig, StorePlace,
};
use servers::{Cassandra, CassandraOptions, Ensemble, Options};

/// A store under test, its clock, and what it lives in.
pub(crate) struct Fixture<S> {
    pub(crate) store: Arc<S>,
    /// The time of sessions.
    pub(crate) clock: Arc<ManualClock>,
    /// How long a document has to be out of use in these tests.
    pub(crate) unused_for: Duration,
    ensemble: Option<Arc<Ensemble>>,
    _node: Option<Arc<Cassandra>>,
    _dir: Option<tempfile::TempDir>,
}

impl<S> Fixture<S> {
    /// Lets time pass by the clock that tells how long documents are out of use.
    pub(crate) async fn pass(&self, time: Duration) {
        match self.ensemble {
            Some(_) => tokio::time::sleep(time).await,
            None => self.clock.advance(time),
        }
    }

    /// Waits until what was written has come back to those who watch, where that takes a while.
    pub(crate) async fn settle(&self) {
        if self.ensemble.is_some() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

pub(crate) const JOURNAL: JournalLimits = JournalLimits { keep: Duration::from_secs(3600), max_bytes: 4096 };
pub(crate) const FEED: FeedLimits = FeedLimits { backlog: 4, addresses: 8, tombstones: 2 };

fn fixture(dir: Option<tempfile::TempDir>, config: StoreConfig) -> Fixture<Store> {
    let clock = Arc::new(ManualClock::default());
    let limits = StoreConfig { journal_limits: JOURNAL, feed_limits: FEED, clock: clock.clone(), ..config };
    let store = Arc::new(Store::open(limits).unwrap());
    Fixture { store, clock, unused_for: Duration::from_secs(3600), ensemble: None, _node: None, _dir: dir }
}

/// Everything in memory.
pub(crate) struct Memory;

impl Memory {
    pub(crate) async fn fixture() -> Option<Fixture<Store>> {
        Some(fixture(None, StoreConfig::in_memory()))
    }
}

/// Everything in a directory.
pub(crate) struct Embedded;

impl Embedded {
    pub(crate) async fn fixture() -> Option<Fixture<Store>> {
        let dir = tempfile::tempdir().unwrap();
        let config = StoreConfig::in_directory(dir.path().join("state"));
        Some(fixture(Some(dir), config))
    }
}

/// Revisions in memory, the rest in a directory.
pub(crate) struct Mixed;

impl Mixed {
    pub(crate) async fn fixture() -> Option<Fixture<Store>> {
        let dir = tempfile::tempdir().unwrap();
        let config = StoreConfig {
            documents: StorePlace::Memory,
            ..StoreConfig::in_directory(dir.path().join("state"))
        };
        Some(fixture(Some(dir), config))
    }
}

/// The faulty wrapper without faults must not be noticed.
pub(crate) struct Faultless;

impl Faultless {
    pub(crate) async fn fixture() -> Option<Fixture<Faulty<Store>>> {
        let Fixture { store, clock, unused_for, ensemble, _node, _dir } = Memory::fixture().await?;
        let store = Arc::into_inner(store).unwrap();
        Some(Fixture {
            store: Arc::new(Faulty::new(store, Faults::none())),
            clock,
            unused_for,
            ensemble,
            _node,
            _dir,
        })
    }
}

/// What hosts share on a real ensemble, each test under a root of its own.
pub(crate) struct OnEnsemble;

impl OnEnsemble {
    pub(crate) async fn fixture() -> Option<Fixture<Store>> {
        static TESTS: AtomicUsize = AtomicUsize::new(0);
        if !servers::are_there() {
            return None;
        }
        let ensemble = shared();
        let root = format!("/conformance/{}", TESTS.fetch_add(1, Ordering::Relaxed));
        let servers = ensemble.connection_string().split(',').map(str::to_owned).collect();
        let settings = ZooKeeperSettings::new(servers, root, "this machine");
        let maker = Coordinator::open(settings.clone());
        make(&maker, None).await.unwrap();
        maker.close().await;
        let config = StoreConfig { documents: StorePlace::Ensemble(settings), ..StoreConfig::in_memory() };
        let unused_for = Duration::from_secs(10);
        Some(Fixture { unused_for, ensemble: Some(ensemble), ..fixture(None, config) })
    }
}

/// The journal on a real node, each test as a host of its own.
pub(crate) struct OnCluster;

impl OnCluster {
    pub(crate) async fn fixture() -> Option<Fixture<Store>> {
        static TESTS: AtomicUsize = AtomicUsize::new(0);
        if !servers::cassandra_is_there() {
            return None;
        }
        let node = tokio::task::spawn_blocking(shared_node).await.unwrap();
        let host = format!("host-{}", TESTS.fetch_add(1, Ordering::Relaxed));
        let settings = CassandraSettings {
            patience: Duration::from_secs(20),
            ..CassandraSettings::new(vec![node.contact_point().to_string()], "conformance", host)
        };
        let config = StoreConfig { journal: JournalPlace::Cluster(settings), ..StoreConfig::in_memory() };
        Some(Fixture { _node: Some(node), ..fixture(None, config) })
    }
}

/// One node for all tests that run at a time.
fn shared_node() -> Arc<Cassandra> {
    static SHARED: Mutex<Weak<Cassandra>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap();
    shared.upgrade().unwrap_or_else(|| {
        let node = Arc::new(Cassandra::start(CassandraOptions::plain()).unwrap());
        *shared = Arc::downgrade(&node);
        node
    })
}

/// One ensemble for all tests that run at a time; it ends with the last of them.
fn shared() -> Arc<Ensemble> {
    static SHARED: Mutex<Weak<Ensemble>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap();
    shared.upgrade().unwrap_or_else(|| {
        let ensemble = Arc::new(Ensemble::start(Options::three()).unwrap());
        *shared = Arc::downgrade(&ensemble);
        ensemble
    })
}

//! The stores under test, each with small limits so that a test can reach them.

use std::sync::Arc;
use std::time::Duration;

use nsdb::{Faults, Faulty, FeedLimits, JournalLimits, ManualClock, Store, StoreConfig, StorePlace};

/// A store under test, its clock, and the directory it lives in.
pub(crate) struct Fixture<S> {
    pub(crate) store: Arc<S>,
    pub(crate) clock: Arc<ManualClock>,
    _dir: Option<tempfile::TempDir>,
}

pub(crate) const JOURNAL: JournalLimits = JournalLimits { keep: Duration::from_secs(3600), max_bytes: 4096 };
pub(crate) const FEED: FeedLimits = FeedLimits { backlog: 4, addresses: 8, tombstones: 2 };

fn fixture(dir: Option<tempfile::TempDir>, config: StoreConfig) -> Fixture<Store> {
    let clock = Arc::new(ManualClock::default());
    let limits = StoreConfig { journal_limits: JOURNAL, feed_limits: FEED, clock: clock.clone(), ..config };
    Fixture { store: Arc::new(Store::open(limits).unwrap()), clock, _dir: dir }
}

/// Everything in memory.
pub(crate) struct Memory;

impl Memory {
    pub(crate) fn fixture() -> Fixture<Store> {
        fixture(None, StoreConfig::in_memory())
    }
}

/// Everything in a directory.
pub(crate) struct Embedded;

impl Embedded {
    pub(crate) fn fixture() -> Fixture<Store> {
        let dir = tempfile::tempdir().unwrap();
        let config = StoreConfig::in_directory(dir.path().join("state"));
        fixture(Some(dir), config)
    }
}

/// Revisions in memory, the rest in a directory.
pub(crate) struct Mixed;

impl Mixed {
    pub(crate) fn fixture() -> Fixture<Store> {
        let dir = tempfile::tempdir().unwrap();
        let config = StoreConfig {
            documents: StorePlace::Memory,
            ..StoreConfig::in_directory(dir.path().join("state"))
        };
        fixture(Some(dir), config)
    }
}

/// The faulty wrapper without faults must not be noticed.
pub(crate) struct Faultless;

impl Faultless {
    pub(crate) fn fixture() -> Fixture<Faulty<Store>> {
        let Fixture { store, clock, _dir } = Memory::fixture();
        let store = Arc::into_inner(store).unwrap();
        Fixture { store: Arc::new(Faulty::new(store, Faults::none())), clock, _dir }
    }
}

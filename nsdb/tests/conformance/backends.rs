//! The stores under test, each with small limits so that a test can reach them.

use std::sync::Arc;
use std::time::Duration;

use nsdb::{Faults, Faulty, FeedLimits, JournalLimits, ManualClock, Place, Store, StoreConfig};

/// A store under test, its clock, and the directory it lives in.
pub(crate) struct Bench<S> {
    pub(crate) store: Arc<S>,
    pub(crate) clock: Arc<ManualClock>,
    _dir: Option<tempfile::TempDir>,
}

pub(crate) const JOURNAL: JournalLimits = JournalLimits { keep: Duration::from_secs(3600), max_bytes: 4096 };
pub(crate) const FEED: FeedLimits = FeedLimits { backlog: 4, addresses: 8, tombstones: 2 };

fn bench(dir: Option<tempfile::TempDir>, config: StoreConfig) -> Bench<Store> {
    let clock = Arc::new(ManualClock::default());
    let limits = StoreConfig { journal_limits: JOURNAL, feed_limits: FEED, clock: clock.clone(), ..config };
    Bench { store: Arc::new(Store::open(limits).unwrap()), clock, _dir: dir }
}

/// Everything in memory.
pub(crate) struct Memory;

impl Memory {
    pub(crate) fn bench() -> Bench<Store> {
        bench(None, StoreConfig::in_memory())
    }
}

/// Everything in a directory.
pub(crate) struct Embedded;

impl Embedded {
    pub(crate) fn bench() -> Bench<Store> {
        let dir = tempfile::tempdir().unwrap();
        let config = StoreConfig::in_directory(dir.path().join("state"));
        bench(Some(dir), config)
    }
}

/// Revisions in memory, the rest in a directory.
pub(crate) struct Mixed;

impl Mixed {
    pub(crate) fn bench() -> Bench<Store> {
        let dir = tempfile::tempdir().unwrap();
        let config =
            StoreConfig { documents: Place::Memory, ..StoreConfig::in_directory(dir.path().join("state")) };
        bench(Some(dir), config)
    }
}

/// The faulty wrapper without faults must not be noticed.
pub(crate) struct Faultless;

impl Faultless {
    pub(crate) fn bench() -> Bench<Faulty<Store>> {
        let Bench { store, clock, _dir } = Memory::bench();
        let store = Arc::into_inner(store).unwrap();
        Bench { store: Arc::new(Faulty::new(store, Faults::none())), clock, _dir }
    }
}

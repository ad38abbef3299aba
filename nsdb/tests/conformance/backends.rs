//! The backends under test, each with small limits so that a test can reach them.

use std::sync::Arc;
use std::time::Duration;

use nsdb::{
    EmbeddedOptions, Faults, Faulty, FeedLimits, JournalLimits, ManualClock, Memory as MemoryStore, Store,
};

/// A store under test, its clock, and the directory it lives in.
pub(crate) struct Bench<S> {
    pub(crate) store: Arc<S>,
    pub(crate) clock: Arc<ManualClock>,
    _dir: Option<tempfile::TempDir>,
}

pub(crate) const JOURNAL: JournalLimits = JournalLimits { keep: Duration::from_secs(3600), max_bytes: 4096 };
pub(crate) const FEED: FeedLimits = FeedLimits { backlog: 4, addresses: 8, tombstones: 2 };

pub(crate) struct Memory;

impl Memory {
    pub(crate) fn bench() -> Bench<MemoryStore> {
        let clock = Arc::new(ManualClock::default());
        let store = Arc::new(MemoryStore::with(clock.clone(), JOURNAL, FEED));
        Bench { store, clock, _dir: None }
    }
}

pub(crate) struct Embedded;

impl Embedded {
    pub(crate) fn bench() -> Bench<nsdb::Embedded> {
        let clock = Arc::new(ManualClock::default());
        let dir = tempfile::tempdir().unwrap();
        let options = EmbeddedOptions { journal: JOURNAL, feed: FEED, clock: clock.clone() };
        let store = Arc::new(nsdb::Embedded::open(dir.path().join("state"), options).unwrap());
        Bench { store, clock, _dir: Some(dir) }
    }
}

/// The enum of backends, holding the embedded one.
pub(crate) struct Chosen;

impl Chosen {
    pub(crate) fn bench() -> Bench<Store> {
        let Bench { store, clock, _dir } = Embedded::bench();
        let store = Arc::new(Store::Embedded(Arc::into_inner(store).unwrap()));
        Bench { store, clock, _dir }
    }
}

/// The faulty wrapper without faults must not be noticed.
pub(crate) struct Faultless;

impl Faultless {
    pub(crate) fn bench() -> Bench<Faulty<Store>> {
        let Bench { store, clock, _dir } = Memory::bench();
        let store = Store::Memory(Arc::into_inner(store).unwrap());
        Bench { store: Arc::new(Faulty::new(store, Faults::none())), clock, _dir }
    }
}

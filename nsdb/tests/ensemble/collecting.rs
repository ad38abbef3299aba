//! One collects at a time while nobody publishes, and what was cut off keeps nobody from it.

use std::collections::BTreeMap;
use std::time::Duration;

use nsdb::zookeeper::{Access, Coordinator, Life, ZooKeeperSettings};
use nsdb::{Change, Documents, ShardId, ShardName, Store, StoreConfig, StorePlace, WallTime};
use servers::{Ensemble, Options};
use tokio::time::timeout;

use crate::host::{database, straight};

/// A store, and a hand on its nodes that has a session of its own.
struct Database {
    store: Store,
    raw: Coordinator,
    strays: u32,
}

impl Database {
    fn open(settings: ZooKeeperSettings) -> Database {
        let documents = StorePlace::Ensemble(settings.clone());
        let store = Store::open(StoreConfig { documents, ..StoreConfig::in_memory() }).unwrap();
        Database { store, raw: Coordinator::open(settings), strays: 0 }
    }

    /// A document more that no revision names.
    async fn stray(&mut self) {
        self.strays += 1;
        let content = self.strays.to_be_bytes();
        let id = ShardId::of(&content).to_string();
        let directory = format!("/documents/{}", &id[..2]);
        // Others may be in the same directory.
        let _ = self.raw.create(&directory, &[], Life::Stays, &Access::open()).await;
        self.make(&format!("{directory}/{id}"), &content, Life::Stays).await;
    }

    async fn make(&self, path: &str, content: &[u8], life: Life) {
        self.raw.create(path, content, life, &Access::open()).await.unwrap();
    }

    async fn collect(&self) -> usize {
        self.store.collect(Duration::ZERO).await.unwrap()
    }

    async fn publish(&self) {
        let there = self.store.root().await.unwrap().map(|root| root.revision);
        let shards: BTreeMap<_, _> = [(ShardName::new("numbers").unwrap(), b"{}".to_vec())].into();
        let change = Change::new("alice", WallTime::from_millis(1), "");
        self.store.publish(there, shards, change).await.unwrap();
    }

    /// Whether somebody collects, or publishes, by the markers.
    async fn is_marked(&self, by: &str) -> bool {
        match by {
            "/publishing" => !self.raw.list(by).await.unwrap().unwrap().is_empty(),
            _ => self.raw.look(by).await.unwrap().is_some(),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_collects_beside_another_collection_or_publication() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::one()).unwrap();
    let mut database = Database::open(database(straight(&ensemble), "/beside").await);
    for marker in ["/collecting", "/publishing/somebody"] {
        database.stray().await;
        database.make(marker, &[], Life::OfSession).await;
        assert_eq!(database.collect().await, 0, "{marker}");
        assert_eq!(database.collect().await, 0, "{marker} of another session stays");
        database.raw.delete(marker, None).await.unwrap();
        assert_eq!(database.collect().await, 1, "{marker}");
    }
}

/// What was asked for last is done although nobody waits for its answer any more, as where a server goes away in the middle of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_cut_off_keeps_nobody_from_collecting() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::one()).unwrap();
    let mut database = Database::open(database(straight(&ensemble), "/cut-off").await);
    for marker in ["/collecting", "/publishing"] {
        let mut left = 0;
        for round in 1..400 {
            let span = Duration::from_micros(150 * round);
            let is_cut = match marker {
                "/collecting" => timeout(span, database.collect()).await.is_err(),
                _ => timeout(span, database.publish()).await.is_err(),
            };
            left += u32::from(is_cut && database.is_marked(marker).await);
            if left == 5 {
                break;
            }
        }
        assert_eq!(left, 5, "nothing was cut off while {marker} was there");
        database.stray().await;
        // The first may find a marker of ours, and takes it back.
        assert!(database.collect().await + database.collect().await >= 1, "{marker}");
        assert!(!database.is_marked(marker).await, "{marker}");
    }
}

//! What was read of a revision is not asked for again, and what is lost meanwhile is found all the same.

use std::collections::BTreeMap;
use std::time::Duration;

use nsdb::zookeeper::{Coordinator, ZooKeeperSettings};
use nsdb::{Change, Documents, Revision, Root, ShardId, ShardName, Store, StoreConfig, StorePlace, WallTime};
use servers::{Ensemble, Options};

use crate::host::{database, straight};

/// A host that reads revisions, and what it has asked the servers so far.
struct Reader(Store);

impl Reader {
    fn new(settings: &ZooKeeperSettings) -> Self {
        let documents = StorePlace::Ensemble(settings.clone());
        Self(Store::open(StoreConfig { documents, ..StoreConfig::in_memory() }).unwrap())
    }

    fn questions(&self) -> u64 {
        let calls = self.0.ensemble().unwrap().costs().calls();
        calls.iter().find(|(call, _)| *call == "read").unwrap().1
    }

    async fn root(&self) -> Root {
        self.0.root().await.unwrap().unwrap()
    }

    /// Reads the newest revision; how many questions that took.
    async fn read(&self, expected: &BTreeMap<ShardName, Vec<u8>>) -> u64 {
        let before = self.questions();
        let root = self.root().await;
        assert_eq!(&self.0.read_shards(&root, &[""]).await.unwrap(), expected);
        self.questions() - before
    }

    /// Publishes these behind the newest revision; how many questions that took.
    async fn publish(&self, shards: &BTreeMap<ShardName, Vec<u8>>) -> u64 {
        let before = self.questions();
        let there = self.0.root().await.unwrap().map(|root| root.revision);
        let change = Change::new("alice", WallTime::from_millis(1), "");
        self.0.publish(there, shards.clone(), change).await.unwrap();
        self.questions() - before
    }
}

fn name(number: usize) -> ShardName {
    ShardName::new(format!("bridges/vub{number:05}")).unwrap()
}

fn shards(count: usize) -> BTreeMap<ShardName, Vec<u8>> {
    (0..count).map(|n| (name(n), format!("the content of {n}").into_bytes())).collect()
}

/// A host that follows, and one that publishes: each asks as much about one changed shard of 2 400 as of 600. Printed, for the documents:
/// `cargo test -p nsdb --test ensemble one_changed_shard -- --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_changed_shard_costs_the_way_to_it_and_no_more() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::one()).unwrap();
    for count in [600, 2_400] {
        let settings = database(straight(&ensemble), &format!("/of-{count}")).await;
        let (publisher, follower) = (Reader::new(&settings), Reader::new(&settings));
        let mut shards = shards(count);
        publisher.publish(&shards).await;
        let first = [publisher.read(&shards).await, follower.read(&shards).await];
        assert!(first.iter().all(|asked| *asked > count as u64), "{first:?}");
        for round in 0..5 {
            shards.insert(name(count / 2), format!("changed {round}").into_bytes());
            let published = publisher.publish(&shards).await;
            let read = [publisher.read(&shards).await, follower.read(&shards).await];
            println!("{count} shards, one changed: {published} questions to publish it, {read:?} to read it");
            // The root, pages one below the other, the shard; and a word with the other tasks of a connection.
            assert!(read.iter().all(|asked| *asked <= 8), "{read:?}");
            assert!(published <= 12, "{published}");
        }
        follower.0.close().await;
        publisher.0.close().await;
    }
}

/// A document goes, or changes, on the servers while a host has it: whoever reads all anew is told, and so is whoever collects.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_on_the_servers_is_found_although_it_was_read() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::one()).unwrap();
    let settings = database(straight(&ensemble), "/lost").await;
    let (store, raw) = (Reader::new(&settings), Coordinator::open(settings.clone()));
    let shards = shards(300);
    store.publish(&shards).await;
    store.read(&shards).await;
    let id = ShardId::of(&shards[&name(7)]).to_string();
    let document = format!("/documents/{}/{id}", &id[..2]);
    raw.write(&document, b"damaged", None).await.unwrap();
    assert_eq!(store.read(&shards).await, 1, "the root alone");
    assert!(store.0.forget_read());
    let root = store.root().await;
    let told = store.0.read_shards(&root, &[""]).await.unwrap_err().to_string();
    assert!(told.contains("hash"), "{told}");
    store.publish(&shards).await;
    store.0.forget_read();
    assert!(store.read(&shards).await > 300);
    raw.delete(&document, None).await.unwrap();
    store.0.collect(Duration::from_secs(3600)).await.unwrap();
    let told = store.0.read_shards(&store.root().await, &[""]).await.unwrap_err().to_string();
    assert!(told.contains("is not in the store"), "{told}");
    store.publish(&shards).await;
    assert!(store.read(&shards).await < 10, "nothing else was let go");
    assert_eq!(store.root().await.revision, Revision::new(3).unwrap());
    assert!(Reader::new(&settings).read(&shards).await > 300);
}

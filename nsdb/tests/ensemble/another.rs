//! Another database in the place of the one that a host follows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nsdb::zookeeper::{Coordinator, ZooKeeper, ZooKeeperSettings, make};
use nsdb::{Change, Documents, FeedLimits, MonotonicClock, Revision, ShardName, WallTime};
use servers::{Ensemble, Options, Relay};

use crate::host::{database, relayed, straight, within};

fn open(settings: &ZooKeeperSettings) -> ZooKeeper {
    let clock = Arc::new(MonotonicClock::default());
    ZooKeeper::open(Coordinator::open(settings.clone()), clock, FeedLimits::default())
}

async fn publish(store: &ZooKeeper, expected: u64) {
    let shards = BTreeMap::from([(ShardName::new("bridges/a").unwrap(), expected.to_be_bytes().to_vec())]);
    let change = Change::new("alice", WallTime::from_millis(1), "");
    store.publish(Revision::new(expected), shards, change).await.unwrap();
}

/// Deletes a node and all below it.
async fn delete_all(raw: &Coordinator, path: &str) {
    for child in raw.list(path).await.unwrap().unwrap_or_default() {
        Box::pin(delete_all(raw, &format!("{}/{child}", path.trim_end_matches('/')))).await;
    }
    if path != "/" {
        raw.delete(path, None).await.unwrap();
    }
}

/// A database is made anew, and its revisions come past those of the former, while a host is connected or while it is not: the host does
/// not take them, says why, and follows again when the former is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_made_anew_is_not_followed_and_told() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::one()).unwrap();
    for (root, silence) in [("/connected", None), ("/away", Some(Relay::cut as fn(&Relay)))] {
        let settings = database(straight(&ensemble), root).await;
        let host = open(&ZooKeeperSettings { root: root.to_owned(), ..relayed(&ensemble) });
        let raw = Coordinator::open(settings.clone());
        publish(&open(&settings), 0).await;
        let mut newest = host.watch_root();
        within(Duration::from_secs(10), "revision 1", newest.wait_for(Option::is_some)).await.unwrap();
        host.root().await.unwrap().unwrap();
        let (before, _) = raw.read("/store").await.unwrap().unwrap();
        silence.inspect(|silence| silence(&ensemble.relays()[0]));
        delete_all(&raw, "/").await;
        make(&raw, None).await.unwrap();
        let other = open(&settings);
        for expected in 0..3 {
            publish(&other, expected).await;
        }
        ensemble.relays()[0].heal();
        let mut trouble = host.trouble();
        let is_told =
            |told: &Option<String>| told.as_ref().is_some_and(|told| told.contains("another database"));
        // Where no watch tells, it is seen at the next look, which is up to 30 s away.
        let told =
            within(Duration::from_secs(40), "a word", trouble.wait_for(is_told)).await.unwrap().clone();
        let told = told.unwrap();
        let (found, known) = (other.store().await.unwrap(), String::from_utf8(before.clone()).unwrap());
        assert!(told.contains(&found.incarnation) && told.starts_with(root), "{told}");
        let refused = host.root().await.unwrap_err();
        assert!(!refused.is_retryable() && refused.to_string() == told, "{refused}");
        let known_one = told.split("in the place of ").nth(1).unwrap().split(':').next().unwrap();
        assert!(
            known.contains(known_one) && told.contains(&format!("`l2gw store accept {known_one} FILE`")),
            "{told}"
        );
        let change = Change::new("alice", WallTime::from_millis(1), "");
        let refused = host.publish(Revision::new(3), BTreeMap::new(), change).await.unwrap_err();
        assert_eq!(refused.to_string(), told);
        assert_eq!(*newest.borrow(), Revision::new(1), "{root}");
        // As if the former had been put back, and had gone on elsewhere.
        raw.write("/store", &before, None).await.unwrap();
        within(Duration::from_secs(40), "revision 3", newest.wait_for(|newest| *newest == Revision::new(3)))
            .await
            .unwrap();
        assert_eq!(host.root().await.unwrap().unwrap().revision, Revision::new(3).unwrap());
        within(Duration::from_secs(10), "no more word", trouble.wait_for(Option::is_none)).await.unwrap();
    }
}

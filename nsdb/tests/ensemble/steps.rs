//! A process that is killed between any two of its changes leaves the old or the new.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nsdb::zookeeper::{Coordinator, ZooKeeper, ZooKeeperSettings};
use nsdb::{Change, Documents, FeedLimits, MonotonicClock, Revision, ShardName, WallTime};
use servers::{Ensemble, Options};

use crate::host::{database, straight};

fn opened(coordinator: Coordinator) -> ZooKeeper {
    ZooKeeper::open(coordinator, Arc::new(MonotonicClock::default()), FeedLimits::default())
}

fn open(settings: &ZooKeeperSettings) -> ZooKeeper {
    opened(Coordinator::open(settings.clone()))
}

/// Enough shards for pages; each says the number of its revision, but for a few.
fn shards(number: u64) -> BTreeMap<ShardName, Vec<u8>> {
    let text = |n: u64| if n.is_multiple_of(30) { format!("{n} in {number}") } else { format!("{n}") };
    (0..150).map(|n| (ShardName::new(format!("s/{n}")).unwrap(), text(n).into_bytes())).collect()
}

fn change(number: u64) -> Change {
    Change::new(format!("author {number}"), WallTime::from_millis(number), "")
}

/// Publishing dies after none, one, two … changes. Each time a reader has the revision before or the next, whole; and who publishes then
/// succeeds, and what the dead one left is collected.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publication_that_dies_leaves_the_old_or_the_new_revision() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::one()).unwrap();
    let settings = database(straight(&ensemble), "/steps").await;
    let store = open(&settings);
    let mut number = store.publish(None, shards(1), change(1)).await.unwrap().get();
    let (mut kept, mut moved, mut changes) = (0, 0, 0);
    while moved < 3 {
        let dying = Coordinator::open(settings.clone());
        dying.session().await.unwrap();
        let dying = opened(dying.dying_after(changes));
        let next = number + 1;
        let ended = dying.publish(Revision::new(number), shards(next), change(next)).await;
        // As a process that is killed: its connection is gone with it.
        dying.close().await;
        let reader = open(&settings);
        let root = reader.root().await.unwrap().unwrap();
        let found = root.revision.get();
        assert!(found == number || found == next, "{found} after {number}, {changes} changes");
        assert_eq!(reader.read_shards(&root, &[""]).await.unwrap(), shards(found), "{changes} changes");
        assert!(ended.is_err() || found == next, "it said that it had published");
        if found == next {
            moved += 1;
        } else {
            kept += 1;
            reader.publish(Revision::new(number), shards(next), change(next)).await.unwrap();
        }
        number = next;
        let older = reader.root_of(Revision::new(number - 1).unwrap()).await.unwrap().unwrap();
        assert_eq!(reader.read_shards(&older, &[""]).await.unwrap(), shards(number - 1));
        changes += 1;
    }
    println!("died after 0 to {} changes: {kept} times before, {moved} times behind the move", changes - 1);
    assert!(kept > 5, "{kept}");
    // A revision that nobody publishes again leaves documents that nobody names.
    let dying = Coordinator::open(settings.clone());
    dying.session().await.unwrap();
    let dying = opened(dying.dying_after(16));
    assert!(dying.publish(Revision::new(number), shards(9_999), change(1)).await.is_err());
    assert_eq!(store.collect(Duration::ZERO).await.unwrap(), 0, "its marker is there as long as its session");
    dying.close().await;
    let collected = store.collect(Duration::ZERO).await.unwrap();
    assert!(collected > 0, "what the dead one left");
    let root = store.root().await.unwrap().unwrap();
    assert_eq!(store.read_shards(&root, &[""]).await.unwrap(), shards(number));
}

/// Two publish at once, again and again, each through a connection of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_publish_at_once_one_wins_whole_and_the_other_is_told() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::three()).unwrap();
    let settings = database(straight(&ensemble), "/two").await;
    let (one, two) = (open(&settings), open(&settings));
    let mut expected = None;
    for number in 1..=20_u64 {
        let published = [&one, &two].map(|store| store.publish(expected, shards(number), change(number)));
        let ended = futures::future::join_all(published).await;
        let won: Vec<_> = ended.iter().filter_map(|ended| ended.as_ref().ok()).collect();
        assert_eq!(won.len(), 1, "{ended:?}");
        let lost = ended.iter().find_map(|ended| ended.as_ref().err()).unwrap();
        assert!(lost.is_conflict(), "{lost}");
        expected = Some(*won[0]);
    }
    assert_eq!(one.revisions().await.unwrap().len(), 20);
}

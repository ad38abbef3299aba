//! What every backend of `Documents` must do.

use std::collections::BTreeMap;
use std::time::Duration;

use nsdb::{Change, Documents, MAX_SHARD_BYTES, Revision, ShardId, ShardName, WallTime};
use tokio::task::JoinSet;

use crate::backends::Bench;

fn shards(contents: &[(&str, &str)]) -> BTreeMap<ShardName, Vec<u8>> {
    contents.iter().map(|(name, text)| (ShardName::new(*name).unwrap(), text.as_bytes().to_vec())).collect()
}

fn change(at: u64) -> Change {
    Change::new("alice", WallTime::from_millis(at), "because")
}

fn revision(number: u64) -> Revision {
    Revision::new(number).unwrap()
}

pub(crate) async fn an_empty_store_has_no_root<S: Documents>(bench: Bench<S>) {
    assert_eq!(bench.store.root().await.unwrap(), None);
    assert_eq!(*bench.store.watch_root().borrow(), None);
}

pub(crate) async fn a_revision_is_read_back_whole<S: Documents>(bench: Bench<S>) {
    let written = shards(&[("bridge/vab1", "vlan 8"), ("host/gw1", ""), ("host/gw2", "vlan 8")]);
    let made = bench.store.publish(None, written.clone(), change(7)).await.unwrap();
    assert_eq!(made, Revision::FIRST);
    let root = bench.store.root().await.unwrap().unwrap();
    assert_eq!(root.revision, Revision::FIRST);
    assert_eq!((root.author.as_str(), root.at.as_millis(), root.note.as_str()), ("alice", 7, "because"));
    assert_eq!(bench.store.read_shards(&root, &[""]).await.unwrap(), written);
    let hosts = bench.store.read_shards(&root, &["host/"]).await.unwrap();
    assert_eq!(hosts, shards(&[("host/gw1", ""), ("host/gw2", "vlan 8")]));
    assert!(!root.differs_from(&written));
    assert!(root.differs_from(&shards(&[("bridge/vab1", "vlan 8"), ("host/gw1", ""), ("host/gw2", "9")])));
    assert!(root.differs_from(&shards(&[("bridge/vab1", "vlan 8"), ("host/gw1", "")])));
}

pub(crate) async fn a_conflict_names_what_is_there_and_changes_nothing<S: Documents>(bench: Bench<S>) {
    let first = shards(&[("a", "1")]);
    bench.store.publish(None, first.clone(), change(1)).await.unwrap();
    let before = bench.store.root().await.unwrap();
    for (expected, text) in [
        (None, "cannot publish after no revision: revision 1 is there; read it and plan again"),
        (Some(revision(2)), "cannot publish after revision 2: revision 1 is there; read it and plan again"),
    ] {
        let error = bench.store.publish(expected, shards(&[("a", "2")]), change(2)).await.unwrap_err();
        assert!(error.is_conflict() && !error.is_retryable(), "{error:?}");
        assert_eq!(error.to_string(), text);
    }
    assert_eq!(bench.store.root().await.unwrap(), before);
    let lost = bench.store.read(ShardId::of(b"2")).await;
    assert!(lost.is_err(), "a refused publication left its shard: {lost:?}");
    let next = bench.store.publish(Some(Revision::FIRST), first, change(3)).await.unwrap();
    assert_eq!(next.get(), 2);
}

pub(crate) async fn one_of_many_writers_wins<S: Documents + 'static>(bench: Bench<S>) {
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        let store = bench.store.clone();
        writers.spawn(async move {
            let mine = shards(&[("winner", &format!("{writer}"))]);
            (writer, store.publish(None, mine, change(writer)).await)
        });
    }
    let results = writers.join_all().await;
    let winners: Vec<_> = results.iter().filter(|(_, result)| result.is_ok()).map(|(w, _)| *w).collect();
    assert_eq!(winners.len(), 1, "{results:?}");
    assert!(results.iter().all(|(_, result)| result.as_ref().map_or_else(|e| e.is_conflict(), |_| true)));
    let root = bench.store.root().await.unwrap().unwrap();
    let content = bench.store.read_shards(&root, &[""]).await.unwrap();
    assert_eq!(content, shards(&[("winner", &format!("{}", winners[0]))]));
}

/// Every revision says its number in each of its shards; a reader that mixes two would find different numbers.
pub(crate) async fn a_reader_sees_a_whole_revision<S: Documents + 'static>(bench: Bench<S>) {
    const LAST: u64 = 40;
    let mut readers = JoinSet::new();
    for _ in 0..2 {
        let store = bench.store.clone();
        readers.spawn(async move {
            let mut seen = 0;
            while seen < LAST {
                tokio::task::yield_now().await;
                let Some(root) = store.root().await.unwrap() else { continue };
                assert!(root.revision.get() >= seen, "went back from {seen} to {}", root.revision);
                seen = root.revision.get();
                let contents = store.read_shards(&root, &[""]).await.unwrap();
                let expected = format!("{seen}").into_bytes();
                assert!(contents.values().all(|c| c.starts_with(&expected)), "{seen}: {contents:?}");
            }
        });
    }
    let mut expected = None;
    for number in 1..=LAST {
        let all: Vec<_> = (0..5).map(|n| (format!("shard/{n}"), format!("{number} in {n}"))).collect();
        let all: Vec<_> = all.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        expected = Some(bench.store.publish(expected, shards(&all), change(number)).await.unwrap());
    }
    readers.join_all().await;
}

pub(crate) async fn watchers_hear_of_the_newest_revision<S: Documents>(bench: Bench<S>) {
    let mut watcher = bench.store.watch_root();
    bench.store.publish(None, shards(&[("a", "1")]), change(1)).await.unwrap();
    watcher.changed().await.unwrap();
    assert_eq!(*watcher.borrow_and_update(), Some(revision(1)));
    for number in 1..4 {
        bench.store.publish(Some(revision(number)), shards(&[("a", "1")]), change(1)).await.unwrap();
    }
    watcher.wait_for(|seen| *seen == Some(revision(4))).await.unwrap();
    assert_eq!(*bench.store.watch_root().borrow(), Some(revision(4)));
    let refused = bench.store.publish(Some(revision(1)), shards(&[("a", "2")]), change(1)).await;
    assert!(refused.is_err());
    assert!(!watcher.has_changed().unwrap(), "a refused publication was announced");
}

pub(crate) async fn shards_out_of_use_are_collected_when_old<S: Documents>(bench: Bench<S>) {
    const HOUR: Duration = Duration::from_secs(3600);
    let store = &bench.store;
    // What an author's clock says has no say in it.
    let first = store.publish(None, shards(&[("a", "old"), ("b", "kept")]), change(u64::MAX)).await.unwrap();
    store.publish(Some(first), shards(&[("a", "new"), ("b", "kept")]), change(0)).await.unwrap();
    assert_eq!(store.collect(HOUR).await.unwrap(), 0, "found out of use now");
    bench.clock.advance(HOUR - Duration::from_millis(1));
    assert_eq!(store.collect(HOUR).await.unwrap(), 0);
    assert_eq!(store.read(ShardId::of(b"old")).await.unwrap(), b"old");
    bench.clock.advance(Duration::from_millis(1));
    assert_eq!(store.collect(HOUR).await.unwrap(), 1);
    assert!(store.read(ShardId::of(b"old")).await.is_err());
    assert_eq!(store.collect(Duration::ZERO).await.unwrap(), 0);
    let root = store.root().await.unwrap().unwrap();
    let contents = store.read_shards(&root, &[""]).await.unwrap();
    assert_eq!(contents, shards(&[("a", "new"), ("b", "kept")]));
}

pub(crate) async fn a_shard_used_again_is_not_collected<S: Documents>(bench: Bench<S>) {
    const HOUR: Duration = Duration::from_secs(3600);
    let store = &bench.store;
    let mut expected = None;
    for (at, content) in [(1, "x"), (2, "y")] {
        expected = Some(store.publish(expected, shards(&[("a", content)]), change(at)).await.unwrap());
    }
    assert_eq!(store.collect(HOUR).await.unwrap(), 0);
    bench.clock.advance(HOUR);
    for (at, content) in [(3, "x"), (4, "y")] {
        expected = Some(store.publish(expected, shards(&[("a", content)]), change(at)).await.unwrap());
    }
    assert_eq!(store.collect(HOUR).await.unwrap(), 0, "x was used meanwhile: its hour begins anew");
    bench.clock.advance(HOUR);
    assert_eq!(store.collect(HOUR).await.unwrap(), 1, "only x is out of use");
    assert_eq!(store.read(ShardId::of(b"y")).await.unwrap(), b"y");
    assert!(store.read(ShardId::of(b"x")).await.is_err());
}

/// Many shards, so that they lie on pages; of these, too, only what is out of use is collected.
pub(crate) async fn many_shards_are_read_by_name_and_their_pages_are_collected<S: Documents>(
    bench: Bench<S>,
) {
    let store = &bench.store;
    let all = |text: &str| -> BTreeMap<ShardName, Vec<u8>> {
        let names = (0..500).map(|n| (ShardName::new(format!("bridge/{n}")).unwrap(), vec![]));
        names
            .chain(shards(&[("parts/7/1", text), ("parts/7/2", "second"), ("parts/70/1", "other")]))
            .collect()
    };
    let first = store.publish(None, all("first"), change(1)).await.unwrap();
    let old = store.root().await.unwrap().unwrap();
    let root = store.publish(Some(first), all("third"), change(2)).await.unwrap();
    let new = store.root().await.unwrap().unwrap();
    assert_eq!(root, new.revision);
    assert!(!new.differs_from(&all("third")) && new.differs_from(&all("first")));
    assert_eq!(store.read_shards(&new, &[""]).await.unwrap(), all("third"));
    assert_eq!(store.read_shards(&old, &[""]).await.unwrap(), all("first"));
    let parts = store.read_shards(&new, &["parts/7/", "bridge/8", "bridge/nine"]).await.unwrap();
    assert_eq!(parts, shards(&[("bridge/8", ""), ("parts/7/1", "third"), ("parts/7/2", "second")]));
    let collected = store.collect(Duration::ZERO).await.unwrap();
    assert!((2..=5).contains(&collected), "{collected}: the shard and the page or two that named it");
    assert_eq!(store.read_shards(&new, &[""]).await.unwrap(), all("third"));
    assert!(store.read_shards(&old, &[""]).await.is_err());
}

/// One publishes the same few contents in turn, so that each falls out of use and is used again; two collect all the time. What the newest
/// root names is always there.
pub(crate) async fn a_collection_takes_nothing_that_is_being_published<S: Documents + 'static>(
    bench: Bench<S>,
) {
    let mut collectors = JoinSet::new();
    let (done, watched) = tokio::sync::watch::channel(false);
    for _ in 0..2 {
        let (store, watched) = (bench.store.clone(), watched.clone());
        collectors.spawn(async move {
            let mut collected = 0;
            while !*watched.borrow() {
                collected += store.collect(Duration::ZERO).await.unwrap();
                tokio::task::yield_now().await;
            }
            collected
        });
    }
    let mut expected = None;
    for number in 0..150 {
        let all: BTreeMap<_, _> = (0..150)
            .map(|n| {
                (ShardName::new(format!("s/{n}")).unwrap(), format!("{}", (number + n) % 3).into_bytes())
            })
            .collect();
        expected = Some(bench.store.publish(expected, all.clone(), change(number)).await.unwrap());
        let root = bench.store.root().await.unwrap().unwrap();
        assert_eq!(bench.store.read_shards(&root, &[""]).await.unwrap(), all);
        tokio::task::yield_now().await;
    }
    done.send(true).unwrap();
    let collected: usize = collectors.join_all().await.into_iter().sum();
    println!("{collected} collected meanwhile");
}

pub(crate) async fn an_unknown_shard_is_missing<S: Documents>(bench: Bench<S>) {
    let error = bench.store.read(ShardId::of(b"nobody wrote this")).await.unwrap_err();
    assert!(!error.is_retryable() && !error.is_corrupt() && !error.is_conflict());
    assert_eq!(
        error.to_string(),
        format!(
            "shard {} is not in the store: its revision is too old, read the root again",
            ShardId::of(b"nobody wrote this")
        )
    );
}

pub(crate) async fn what_is_too_large_is_refused<S: Documents>(bench: Bench<S>) {
    let store = &bench.store;
    let name = ShardName::new("big").unwrap();
    let refused = |content: Vec<u8>, change: Change| {
        let shards = BTreeMap::from([(name.clone(), content)]);
        async move { store.publish(None, shards, change).await.map_err(|e| e.to_string()) }
    };
    let largest = vec![0; MAX_SHARD_BYTES];
    assert_eq!(
        refused([largest.as_slice(), &[0]].concat(), change(1)).await,
        Err("shard big has 1000001 bytes: at most 1000000 are allowed".to_owned())
    );
    let mut wordy = change(1);
    wordy.note = "x".repeat(4_097);
    assert_eq!(
        refused(vec![], wordy).await,
        Err("the note of a change has 4097 bytes: at most 4096 are allowed".to_owned())
    );
    assert_eq!(store.root().await.unwrap(), None);
    refused(largest, change(1)).await.unwrap();
}

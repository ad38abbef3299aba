//! What every backend of `Documents` must do.

use std::collections::BTreeMap;
use std::time::Duration;

use nsdb::{
    Change, ConfirmWithin, Documents, KEPT_REVISIONS, MAX_SHARD_BYTES, Revision, ShardId, ShardName, WallTime,
};
use tokio::task::JoinSet;

use crate::backends::Fixture;

fn shards(contents: &[(&str, &str)]) -> BTreeMap<ShardName, Vec<u8>> {
    contents.iter().map(|(name, text)| (ShardName::new(*name).unwrap(), text.as_bytes().to_vec())).collect()
}

fn change(at: u64) -> Change {
    Change::new("alice", WallTime::from_millis(at), "because")
}

fn revision(number: u64) -> Revision {
    Revision::new(number).unwrap()
}

pub(crate) async fn an_empty_store_has_no_root<S: Documents>(fixture: Fixture<S>) {
    assert_eq!(fixture.store.root().await.unwrap(), None);
    assert_eq!(*fixture.store.watch_root().borrow(), None);
}

pub(crate) async fn a_revision_is_read_back_whole<S: Documents>(fixture: Fixture<S>) {
    let written = shards(&[("bridge/vab1", "vlan 8"), ("host/gw1", ""), ("host/gw2", "vlan 8")]);
    let made = fixture.store.publish(None, written.clone(), change(7)).await.unwrap();
    assert_eq!(made, Revision::FIRST);
    let root = fixture.store.root().await.unwrap().unwrap();
    assert_eq!(root.revision, Revision::FIRST);
    assert_eq!((root.author.as_str(), root.at.as_millis(), root.note.as_str()), ("alice", 7, "because"));
    assert_eq!(fixture.store.read_shards(&root, &[""]).await.unwrap(), written);
    let hosts = fixture.store.read_shards(&root, &["host/"]).await.unwrap();
    assert_eq!(hosts, shards(&[("host/gw1", ""), ("host/gw2", "vlan 8")]));
    assert!(!root.differs_from(&written));
    assert!(root.differs_from(&shards(&[("bridge/vab1", "vlan 8"), ("host/gw1", ""), ("host/gw2", "9")])));
    assert!(root.differs_from(&shards(&[("bridge/vab1", "vlan 8"), ("host/gw1", "")])));
}

pub(crate) async fn a_conflict_names_what_is_there_and_changes_nothing<S: Documents>(fixture: Fixture<S>) {
    let first = shards(&[("a", "1")]);
    fixture.store.publish(None, first.clone(), change(1)).await.unwrap();
    let before = fixture.store.root().await.unwrap();
    for (expected, text) in [
        (None, "cannot publish after no revision: revision 1 is there; read it and plan again"),
        (Some(revision(2)), "cannot publish after revision 2: revision 1 is there; read it and plan again"),
    ] {
        let error = fixture.store.publish(expected, shards(&[("a", "2")]), change(2)).await.unwrap_err();
        assert!(error.is_conflict() && !error.is_retryable(), "{error:?}");
        assert_eq!(error.to_string(), text);
    }
    assert_eq!(fixture.store.root().await.unwrap(), before);
    let lost = fixture.store.read(ShardId::of(b"2")).await;
    assert!(lost.is_err(), "a refused publication left its shard: {lost:?}");
    let next = fixture.store.publish(Some(Revision::FIRST), first, change(3)).await.unwrap();
    assert_eq!(next.get(), 2);
}

pub(crate) async fn one_of_many_writers_wins<S: Documents + 'static>(fixture: Fixture<S>) {
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        let store = fixture.store.clone();
        writers.spawn(async move {
            let mine = shards(&[("winner", &format!("{writer}"))]);
            (writer, store.publish(None, mine, change(writer)).await)
        });
    }
    let results = writers.join_all().await;
    let winners: Vec<_> = results.iter().filter(|(_, result)| result.is_ok()).map(|(w, _)| *w).collect();
    assert_eq!(winners.len(), 1, "{results:?}");
    assert!(results.iter().all(|(_, result)| result.as_ref().map_or_else(|e| e.is_conflict(), |_| true)));
    let root = fixture.store.root().await.unwrap().unwrap();
    let content = fixture.store.read_shards(&root, &[""]).await.unwrap();
    assert_eq!(content, shards(&[("winner", &format!("{}", winners[0]))]));
}

pub(crate) async fn what_has_to_be_confirmed_says_so_for_as_long_as_it_is_kept<S: Documents>(
    fixture: Fixture<S>,
) {
    let store = &fixture.store;
    let within = ConfirmWithin::new(Duration::from_secs(60));
    let content = shards(&[("a", "1")]);
    for number in 0..3 {
        let expected = Revision::new(number);
        let change = change(number).to_be_confirmed(within.filter(|_| number == 1));
        store.publish(expected, content.clone(), change).await.unwrap();
        let newest = store.root().await.unwrap().unwrap();
        assert_eq!(newest.confirm_within, within.filter(|_| number == 1));
    }
    for (number, expected) in [(1, None), (2, within), (3, None)] {
        let root = store.root_of(revision(number)).await.unwrap().unwrap();
        assert_eq!((root.revision.get(), root.confirm_within), (number, expected));
        assert_eq!(store.read_shards(&root, &[""]).await.unwrap(), content);
    }
    let known = store.revisions().await.unwrap();
    let known: Vec<_> = known.iter().map(|known| (known.revision.get(), known.confirm_within)).collect();
    assert_eq!(known, [(3, None), (2, within), (1, None)]);
    assert_eq!(store.collect(Duration::ZERO).await.unwrap(), 0);
}

/// Every revision says its number in each of its shards; a reader that mixes two would find different numbers.
pub(crate) async fn a_reader_sees_a_whole_revision<S: Documents + 'static>(fixture: Fixture<S>) {
    const LAST: u64 = 40;
    let mut readers = JoinSet::new();
    for _ in 0..2 {
        let store = fixture.store.clone();
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
        expected = Some(fixture.store.publish(expected, shards(&all), change(number)).await.unwrap());
    }
    readers.join_all().await;
}

pub(crate) async fn watchers_hear_of_the_newest_revision<S: Documents>(fixture: Fixture<S>) {
    let mut watcher = fixture.store.watch_root();
    fixture.store.publish(None, shards(&[("a", "1")]), change(1)).await.unwrap();
    watcher.changed().await.unwrap();
    assert_eq!(*watcher.borrow_and_update(), Some(revision(1)));
    for number in 1..4 {
        fixture.store.publish(Some(revision(number)), shards(&[("a", "1")]), change(1)).await.unwrap();
    }
    watcher.wait_for(|seen| *seen == Some(revision(4))).await.unwrap();
    assert_eq!(*fixture.store.watch_root().borrow(), Some(revision(4)));
    let refused = fixture.store.publish(Some(revision(1)), shards(&[("a", "2")]), change(1)).await;
    assert!(refused.is_err());
    assert!(!watcher.has_changed().unwrap(), "a refused publication was announced");
}

/// Publishes `contents` until no other revision is kept.
async fn publish_until_alone<S: Documents>(store: &S, contents: &BTreeMap<ShardName, Vec<u8>>) {
    for _ in 0..KEPT_REVISIONS {
        let newest = store.root().await.unwrap().map(|root| root.revision);
        store.publish(newest, contents.clone(), change(0)).await.unwrap();
    }
}

pub(crate) async fn the_last_hundred_revisions_can_be_read<S: Documents>(fixture: Fixture<S>) {
    let store = &fixture.store;
    assert_eq!(store.revisions().await.unwrap(), []);
    let contents = |number: u64| shards(&[("a", &format!("{number}")), ("b", "the same")]);
    let mut expected = None;
    for number in 1..=KEPT_REVISIONS + 3 {
        let change =
            Change::new(format!("author {number}"), WallTime::from_millis(number), format!("note {number}"));
        expected = Some(store.publish(expected, contents(number), change).await.unwrap());
    }
    assert_eq!(store.collect(Duration::ZERO).await.unwrap(), 3, "of the three that fell out, and none else");
    let known = store.revisions().await.unwrap();
    let numbers: Vec<_> = known.iter().map(|info| info.revision.get()).collect();
    assert_eq!(numbers, (4..=KEPT_REVISIONS + 3).rev().collect::<Vec<_>>());
    for info in known {
        let number = info.revision.get();
        assert_eq!((info.author, info.at.as_millis()), (format!("author {number}"), number));
        assert_eq!(info.note, format!("note {number}"));
        let root = store.root_of(info.revision).await.unwrap().unwrap();
        assert_eq!(root.revision, info.revision);
        assert_eq!(store.read_shards(&root, &[""]).await.unwrap(), contents(number));
    }
    assert_eq!(store.root_of(revision(3)).await.unwrap(), None);
    assert_eq!(store.root_of(revision(KEPT_REVISIONS + 4)).await.unwrap(), None);
    assert!(store.read(ShardId::of(b"3")).await.is_err());
    let newest = store.root_of(revision(KEPT_REVISIONS + 3)).await.unwrap();
    assert_eq!(newest, store.root().await.unwrap());
}

pub(crate) async fn an_old_revision_published_again_keeps_its_shards<S: Documents>(fixture: Fixture<S>) {
    let store = &fixture.store;
    let (old, new) = (shards(&[("a", "old")]), shards(&[("a", "new")]));
    let first = store.publish(None, old.clone(), change(1)).await.unwrap();
    store.publish(Some(first), new.clone(), change(2)).await.unwrap();
    let root = store.root_of(first).await.unwrap().unwrap();
    let again = store.read_shards(&root, &[""]).await.unwrap();
    publish_until_alone(&**store, &again).await;
    assert_eq!(store.root_of(first).await.unwrap(), None);
    assert_eq!(store.collect(Duration::ZERO).await.unwrap(), 1, "new alone");
    let root = store.root().await.unwrap().unwrap();
    assert_eq!(store.read_shards(&root, &[""]).await.unwrap(), old);
}

pub(crate) async fn shards_out_of_use_are_collected_when_old<S: Documents>(fixture: Fixture<S>) {
    let store = &fixture.store;
    // What an author's clock says has no say in it.
    store.publish(None, shards(&[("a", "old"), ("b", "kept")]), change(u64::MAX)).await.unwrap();
    publish_until_alone(&**store, &shards(&[("a", "new"), ("b", "kept")])).await;
    let long = fixture.unused_for;
    assert_eq!(store.collect(long).await.unwrap(), 0, "found out of use now");
    fixture.pass(long / 2).await;
    assert_eq!(store.collect(long).await.unwrap(), 0);
    assert_eq!(store.read(ShardId::of(b"old")).await.unwrap(), b"old");
    fixture.pass(long / 2).await;
    assert_eq!(store.collect(long).await.unwrap(), 1);
    assert!(store.read(ShardId::of(b"old")).await.is_err());
    assert_eq!(store.collect(Duration::ZERO).await.unwrap(), 0);
    let root = store.root().await.unwrap().unwrap();
    let contents = store.read_shards(&root, &[""]).await.unwrap();
    assert_eq!(contents, shards(&[("a", "new"), ("b", "kept")]));
}

pub(crate) async fn a_shard_used_again_is_not_collected<S: Documents>(fixture: Fixture<S>) {
    let store = &fixture.store;
    let (x, y) = (shards(&[("a", "x")]), shards(&[("a", "y")]));
    store.publish(None, x.clone(), change(1)).await.unwrap();
    publish_until_alone(&**store, &y).await;
    let long = fixture.unused_for;
    assert_eq!(store.collect(long).await.unwrap(), 0);
    fixture.pass(long).await;
    let newest = store.root().await.unwrap().map(|root| root.revision);
    store.publish(newest, x, change(2)).await.unwrap();
    publish_until_alone(&**store, &y).await;
    assert_eq!(store.collect(long).await.unwrap(), 0, "x was used meanwhile: its time begins anew");
    fixture.pass(long).await;
    assert_eq!(store.collect(long).await.unwrap(), 1, "only x is out of use");
    assert_eq!(store.read(ShardId::of(b"y")).await.unwrap(), b"y");
    assert!(store.read(ShardId::of(b"x")).await.is_err());
}

/// Many shards, so that they lie on pages; of these, too, only what is out of use is collected.
pub(crate) async fn many_shards_are_read_by_name_and_their_pages_are_collected<S: Documents>(
    fixture: Fixture<S>,
) {
    let store = &fixture.store;
    let all = |text: &str| -> BTreeMap<ShardName, Vec<u8>> {
        let names = (0..500).map(|n| (ShardName::new(format!("bridge/{n}")).unwrap(), vec![]));
        names
            .chain(shards(&[("parts/7/1", text), ("parts/7/2", "second"), ("parts/70/1", "other")]))
            .collect()
    };
    store.publish(None, all("first"), change(1)).await.unwrap();
    let old = store.root().await.unwrap().unwrap();
    publish_until_alone(&**store, &all("third")).await;
    let new = store.root().await.unwrap().unwrap();
    assert!(!new.differs_from(&all("third")) && new.differs_from(&all("first")));
    assert_eq!(store.read_shards(&new, &[""]).await.unwrap(), all("third"));
    assert_eq!(store.read_shards(&old, &[""]).await.unwrap(), all("first"));
    let parts = store.read_shards(&new, &["parts/7/", "bridge/8", "bridge/nine"]).await.unwrap();
    assert_eq!(parts, shards(&[("bridge/8", ""), ("parts/7/1", "third"), ("parts/7/2", "second")]));
    assert_eq!(store.collect(Duration::ZERO).await.unwrap(), 2, "the shard, and the page that named it");
    assert_eq!(store.read_shards(&new, &[""]).await.unwrap(), all("third"));
    assert!(store.read_shards(&old, &[""]).await.is_err());
}

/// Each content falls out of use, since a hundred revisions came after it, and is used again by the next revision or thirty later; two
/// collect all the time. What a kept revision names is always there.
pub(crate) async fn a_collection_takes_nothing_that_is_being_published<S: Documents + 'static>(
    fixture: Fixture<S>,
) {
    let mut collectors = JoinSet::new();
    let (done, watched) = tokio::sync::watch::channel(false);
    for _ in 0..2 {
        let (store, watched) = (fixture.store.clone(), watched.clone());
        collectors.spawn(async move {
            let mut collected = 0;
            while !*watched.borrow() {
                collected += store.collect(Duration::ZERO).await.unwrap();
                tokio::task::yield_now().await;
            }
            collected
        });
    }
    let contents = |number: u64| -> BTreeMap<ShardName, Vec<u8>> {
        let round = |n| number % (KEPT_REVISIONS + if n % 2 == 0 { 1 } else { 30 });
        let shard =
            |n| (ShardName::new(format!("s/{n}")).unwrap(), format!("{n} of {}", round(n)).into_bytes());
        (0..70).map(shard).collect()
    };
    for number in 1..=260 {
        let expected = Revision::new(number - 1);
        fixture.store.publish(expected, contents(number), change(number)).await.unwrap();
        let oldest = fixture
            .store
            .root_of(revision(number.saturating_sub(KEPT_REVISIONS - 1).max(1)))
            .await
            .unwrap()
            .unwrap();
        let read = fixture.store.read_shards(&oldest, &[""]).await.unwrap();
        assert_eq!(read, contents(oldest.revision.get()), "at {number}");
        tokio::task::yield_now().await;
    }
    done.send(true).unwrap();
    let mut collected: usize = collectors.join_all().await.into_iter().sum();
    collected += fixture.store.collect(Duration::ZERO).await.unwrap();
    for info in fixture.store.revisions().await.unwrap() {
        let root = fixture.store.root_of(info.revision).await.unwrap().unwrap();
        assert_eq!(fixture.store.read_shards(&root, &[""]).await.unwrap(), contents(info.revision.get()));
    }
    assert!(collected > 70, "{collected}");
}

pub(crate) async fn an_unknown_shard_is_missing<S: Documents>(fixture: Fixture<S>) {
    let error = fixture.store.read(ShardId::of(b"nobody wrote this")).await.unwrap_err();
    assert!(!error.is_retryable() && !error.is_corrupt() && !error.is_conflict());
    assert_eq!(
        error.to_string(),
        format!(
            "shard {} is not in the store: its revision is too old, read the root again",
            ShardId::of(b"nobody wrote this")
        )
    );
}

pub(crate) async fn what_is_too_large_is_refused<S: Documents>(fixture: Fixture<S>) {
    let store = &fixture.store;
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

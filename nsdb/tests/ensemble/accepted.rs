//! A database that was put back from a backup: who knew it does not follow it, also after a restart, until it is accepted.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use nsdb::zookeeper::{Coordinator, ZooKeeperSettings, accept};
use nsdb::{
    AddressFeed, AddressKey, AddressRecord, Change, Documents, Following, HostId, Mac, Mobility, Presence,
    Revision, SegmentId, ShardName, Store, StoreConfig, StorePlace, WallTime,
};
use servers::{Ensemble, Options};

use crate::host::{database, straight, within};

/// A host with a directory of its own, or somebody who remembers nothing.
fn open(settings: &ZooKeeperSettings, state: Option<&Path>) -> Store {
    let config = state.map_or_else(StoreConfig::in_memory, StoreConfig::in_directory);
    Store::open(StoreConfig { documents: StorePlace::Ensemble(settings.clone()), ..config }).unwrap()
}

async fn publish(store: &Store, expected: u64, note: &str) {
    let shards = BTreeMap::from([(ShardName::new("bridges/a").unwrap(), note.as_bytes().to_vec())]);
    let change = Change::new("alice", WallTime::from_millis(1), note);
    store.publish(Revision::new(expected), shards, change).await.unwrap();
}

/// What keeps a store from being followed, and the incarnation that has to be named.
async fn refused(store: &Store) -> (String, String) {
    let error = store.root().await.unwrap_err();
    assert!(!error.is_retryable(), "{error}");
    let said = error.to_string();
    let known = said.split("`l2gw store accept ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    (said, known)
}

async fn newest(store: &Store) -> u64 {
    store.root().await.unwrap().map_or(0, |root| root.revision.get())
}

/// Ends a store as a daemon does; what it knew is in its directory.
async fn close(store: Store) {
    // What was taken last is written by a task of its own.
    tokio::time::sleep(Duration::from_millis(500)).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_went_back_is_followed_by_those_who_knew_it_once_it_is_accepted() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::one()).unwrap();
    let settings = database(straight(&ensemble), "/back").await;
    let raw = Coordinator::open(settings.clone());
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (running, restarted) = (open(&settings, Some(dirs[0].path())), open(&settings, Some(dirs[1].path())));
    publish(&running, 0, "one").await;
    let (old, _) = raw.read("/root").await.unwrap().unwrap();
    publish(&running, 1, "two").await;
    within(
        Duration::from_secs(10),
        "revision 2",
        restarted.watch_root().wait_for(|n| *n == Revision::new(2)),
    )
    .await
    .unwrap();
    let mut followed = running.follow(SEGMENT).await.unwrap();
    close(restarted).await;
    raw.write("/root", &old, None).await.unwrap();
    let restarted = open(&settings, Some(dirs[1].path()));
    for host in [&running, &restarted] {
        let (said, known) = refused(host).await;
        assert!(said.contains("it has revision 1, and had revision 2 before"), "{said}");
        assert_eq!(known, incarnation(&running).await);
    }
    // Whoever remembers nothing takes what is there.
    assert_eq!(newest(&open(&settings, None)).await, 1);
    let (_, known) = refused(&running).await;
    let accepted = accept(&raw, &known).await.unwrap();
    assert!(
        accepted.is_new && accepted.store.incarnation != known && accepted.store.replaces == [known.clone()]
    );
    assert_eq!(accepted.newest.unwrap().revision, Revision::FIRST);
    let mut watched = running.watch_root();
    within(Duration::from_secs(15), "revision 1", watched.wait_for(|newest| *newest == Revision::new(1)))
        .await
        .unwrap();
    for host in [&running, &restarted] {
        assert_eq!(newest(host).await, 1);
    }
    addresses_are_followed_anew(&mut followed, &restarted, &running).await;
    publish(&restarted, 1, "another two").await;
    within(Duration::from_secs(10), "the next", watched.wait_for(|newest| *newest == Revision::new(2)))
        .await
        .unwrap();
    assert_eq!(running.root().await.unwrap().unwrap().note, "another two");
    // What was accepted holds over a restart, and to say it again changes nothing.
    close(restarted).await;
    assert_eq!(newest(&open(&settings, Some(dirs[1].path()))).await, 2);
    let again = accept(&raw, &known.to_ascii_uppercase()).await.unwrap();
    assert!(!again.is_new && again.store == accepted.store);
}

/// The log that was followed ends, and what is said afterwards is heard.
async fn addresses_are_followed_anew(followed: &mut Following, speaker: &Store, hearer: &Store) {
    let ended = async { while followed.tail.next().await.is_ok() {} };
    within(Duration::from_secs(40), "the end of the log that was followed", ended).await;
    speaker.announce(HostId(1), vec![word()]).await.unwrap();
    let heard = hearer.follow(SEGMENT).await.unwrap();
    assert!(
        followed.snapshot.records.is_empty() && heard.snapshot.records == [word()],
        "{:?}",
        heard.snapshot
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_went_back_and_came_past_meanwhile_is_told() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::one()).unwrap();
    let settings = database(straight(&ensemble), "/past").await;
    let raw = Coordinator::open(settings.clone());
    let dir = tempfile::tempdir().unwrap();
    let host = open(&settings, Some(dir.path()));
    publish(&host, 0, "one").await;
    let (old, _) = raw.read("/root").await.unwrap().unwrap();
    publish(&host, 1, "two").await;
    close(host).await;
    // While it is away nobody else went back: it goes on by itself.
    publish(&open(&settings, None), 2, "three").await;
    let host = open(&settings, Some(dir.path()));
    assert_eq!(newest(&host).await, 3);
    close(host).await;
    for at in ["/kept/0000000001", "/kept/0000000002"] {
        raw.delete(at, None).await.unwrap();
    }
    raw.write("/root", &old, None).await.unwrap();
    let other = open(&settings, None);
    for expected in 1..4 {
        publish(&other, expected, "of another history").await;
    }
    let host = open(&settings, Some(dir.path()));
    let (said, known) = refused(&host).await;
    assert!(said.contains("it went on from another revision 3 than was known"), "{said}");
    accept(&raw, &known).await.unwrap();
    assert_eq!(newest(&host).await, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_accepted_is_left_as_it_is() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::one()).unwrap();
    let settings = database(straight(&ensemble), "/left").await;
    let raw = Coordinator::open(settings.clone());
    publish(&open(&settings, None), 0, "one").await;
    let (before, _) = raw.read("/store").await.unwrap().unwrap();
    let known = "0".repeat(32);
    for wrong in ["", "e558", &"g".repeat(32), "/store"] {
        let error = accept(&raw, wrong).await.unwrap_err().to_string();
        assert!(error.contains(&format!("\"{wrong}\" is no incarnation: 32 hexadecimal digits")), "{error}");
    }
    let (root, _) = raw.read("/root").await.unwrap().unwrap();
    raw.write("/root", b"junk", None).await.unwrap();
    let error = accept(&raw, &known).await.unwrap_err().to_string();
    assert!(error.starts_with("cannot read /left/root: "), "{error}");
    raw.write("/root", &root, None).await.unwrap();
    assert_eq!(raw.read("/store").await.unwrap().unwrap().0, before);
    // Whoever follows it already goes on as well.
    let accepted = accept(&raw, &known).await.unwrap();
    assert!(accepted.store.replaces[0] == known && accepted.store.replaces.len() == 2);
    assert!(String::from_utf8(before).unwrap().contains(&accepted.store.replaces[1]));
}

/// Two backups from before and after an acceptance, each put back: neither is followed by who has come to what came after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_from_before_an_acceptance_is_never_in_the_place_of_what_came_after() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::one()).unwrap();
    let settings = database(straight(&ensemble), "/copies").await;
    let raw = Coordinator::open(settings.clone());
    let dir = tempfile::tempdir().unwrap();
    publish(&open(&settings, Some(dir.path())), 0, "one").await;
    let mut copies = vec![raw.read("/store").await.unwrap().unwrap().0];
    for _ in 0..2 {
        let known = incarnation(&open(&settings, None)).await;
        accept(&raw, &known).await.unwrap();
        copies.push(raw.read("/store").await.unwrap().unwrap().0);
        // The oldest is put back, and accepted in the place of the newest.
        raw.write("/store", &copies[0], None).await.unwrap();
        let newest: serde_json::Value = serde_json::from_slice(copies.last().unwrap()).unwrap();
        accept(&raw, newest["incarnation"].as_str().unwrap()).await.unwrap();
    }
    let host = open(&settings, Some(dir.path()));
    assert_eq!(newest(&host).await, 1);
    let followed = incarnation(&host).await;
    close(host).await;
    for copy in copies {
        raw.write("/store", &copy, None).await.unwrap();
        let (said, known) = refused(&open(&settings, Some(dir.path()))).await;
        assert!(said.contains("another database") && known == followed, "{said}");
    }
}

async fn incarnation(store: &Store) -> String {
    store.ensemble().unwrap().store().await.unwrap().incarnation.clone()
}

fn word() -> AddressRecord {
    let key = AddressKey { segment: SEGMENT, inner: 0, mac: Mac([2, 0, 0, 0, 0, 1]) };
    let (owner, mobility) = (HostId(1), Mobility(1));
    AddressRecord { key, owner, mobility, session: 1, number: 1, by: 8, presence: Presence::Present }
}

const SEGMENT: SegmentId = SegmentId(8);

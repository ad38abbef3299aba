//! Logs of addresses that grow, are compacted, and are read by hosts that were away.

use std::sync::Arc;
use std::time::Duration;

use nsdb::zookeeper::{Access, Coordinator, Life, ZooKeeper, ZooKeeperSettings};
use nsdb::{
    AddressFeed, AddressKey, AddressRecord, FeedLimits, Following, HostId, Mac, Mobility, MonotonicClock,
    Presence, SegmentId,
};
use servers::{Ensemble, Options};

use crate::host::{TIMEOUT, database, relayed, straight, within};

const SEGMENT: SegmentId = SegmentId(8);

fn open(settings: &ZooKeeperSettings) -> ZooKeeper {
    let (clock, limits) =
        (Arc::new(MonotonicClock::default()), FeedLimits { backlog: 8_192, ..FeedLimits::default() });
    ZooKeeper::open(Coordinator::open(settings.clone()), clock, limits)
}

fn record(mac: u32, owner: u32, mobility: u64) -> AddressRecord {
    let [a, b, c, d] = mac.to_be_bytes();
    let key = AddressKey { segment: SEGMENT, inner: 0, mac: Mac([2, 0, a, b, c, d]) };
    let (owner, mobility) = (HostId(owner), Mobility(mobility));
    AddressRecord { key, owner, mobility, session: 1, number: 1, by: 8, presence: Presence::Present }
}

/// Announces `count` batches, many at a time, as many hosts would.
async fn announce_many(stores: &[ZooKeeper], count: u64) {
    for round in 0..count.div_ceil(stores.len() as u64) {
        let announced = stores.iter().enumerate().map(|(at, store)| {
            let owner = at as u32 + 1;
            store
                .announce(HostId(owner), vec![record(owner * 1_000 + (round % 500) as u32, owner, round + 1)])
        });
        futures::future::try_join_all(announced).await.unwrap();
    }
}

/// A log is compacted while it is read: who follows sees each word once, in order; who comes later knows the same; the log stays short.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_is_compacted_under_those_who_follow_it() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::one()).unwrap();
    let settings = database(straight(&ensemble), "/feed-1").await;
    let stores: Vec<_> = (0..16).map(|_| open(&settings)).collect();
    let reader = open(&settings);
    let Following { snapshot, mut tail } = reader.follow(SEGMENT).await.unwrap();
    assert_eq!(snapshot.sequence, 0);
    announce_many(&stores, 5_000).await;
    stores[0].announce(HostId(1), vec![record(7, 1, 1)]).await.unwrap();
    let (mut sequence, mut seen) = (0, 0);
    let read = async {
        loop {
            let batch = tail.next().await.unwrap();
            assert_eq!(batch.first_sequence, sequence + 1, "a gap or a repetition");
            sequence = batch.last_sequence();
            seen += 1;
            if batch.records.contains(&record(7, 1, 1)) {
                break;
            }
        }
    };
    within(Duration::from_secs(60), "the last word", read).await;
    println!("{seen} batches read while the log was compacted");
    let raw = Coordinator::open(settings.clone());
    let short = async {
        loop {
            let entries = raw.list("/feed/8/log").await.unwrap().unwrap().len();
            let head = raw.read("/feed/8/head").await.unwrap();
            if head.is_some() && entries < 3_000 {
                break entries;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let entries = within(Duration::from_secs(30), "a short log", short).await;
    println!("{entries} entries are left of 5 009");
    let late = open(&settings).follow(SEGMENT).await.unwrap().snapshot;
    let known = reader.follow(SEGMENT).await.unwrap().snapshot;
    assert_eq!(late, known);
    assert_eq!(known.sequence, sequence);
}

/// A host that was away while the log was cut is told to follow again, and then knows what the others know.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_was_away_too_long_follows_again() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::one()).unwrap();
    let settings = database(straight(&ensemble), "/feed-2").await;
    let away = open(&ZooKeeperSettings { root: settings.root.clone(), ..relayed(&ensemble) });
    let stores: Vec<_> = (0..16).map(|_| open(&settings)).collect();
    announce_many(&stores, 16).await;
    let mut tail = away.follow(SEGMENT).await.unwrap().tail;
    ensemble.relays()[0].drop_packets();
    announce_many(&stores, 5_000).await;
    tokio::time::sleep(2 * TIMEOUT).await;
    ensemble.relays()[0].heal();
    let ended = async {
        loop {
            match tail.next().await {
                Ok(_) => {}
                Err(error) => break error,
            }
        }
    };
    let ended = within(Duration::from_secs(60), "the end of the tail", ended).await;
    assert!(ended.is_lagged(), "{ended}");
    let known = stores[0].follow(SEGMENT).await.unwrap().snapshot;
    assert_eq!(away.follow(SEGMENT).await.unwrap().snapshot, known);
    // And it goes on.
    let mut tail = away.follow(SEGMENT).await.unwrap().tail;
    stores[0].announce(HostId(1), vec![record(9, 1, 1)]).await.unwrap();
    let batch = within(Duration::from_secs(5), "one more word", tail.next()).await.unwrap();
    assert_eq!(batch.records, [record(9, 1, 1)]);
}

/// A compaction dies after none, one, two … changes. Whoever follows afterwards knows what the others know, and the next compaction clears
/// up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compaction_that_dies_loses_no_word() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::one()).unwrap();
    let settings = database(straight(&ensemble), "/feed-3").await;
    let stores: Vec<_> = (0..16).map(|_| open(&settings)).collect();
    let reader = open(&settings);
    let following = reader.follow(SEGMENT).await.unwrap();
    let mut parts = Vec::new();
    let raw = Coordinator::open(settings.clone());
    for changes in 0..8 {
        // One batch less than calls for a compaction, …
        announce_many(&stores, 1_024 - 16).await;
        for mac in 0..15 {
            stores[0].announce(HostId(1), vec![record(mac, 1, changes + 1)]).await.unwrap();
        }
        // … which falls to one that dies in it.
        let dying = Coordinator::open(settings.clone());
        dying.session().await.unwrap();
        let clock = Arc::new(MonotonicClock::default());
        let dying = ZooKeeper::open(dying.dying_after(1 + changes), clock, FeedLimits::default());
        dying.announce(HostId(99), vec![record(99, 99, changes + 1)]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let fresh = open(&settings).follow(SEGMENT).await.unwrap().snapshot;
        assert_eq!(fresh, reader.follow(SEGMENT).await.unwrap().snapshot, "died after {changes} changes");
        assert!(fresh.records.contains(&record(99, 99, changes + 1)));
        parts.push(raw.list("/feed/8/parts").await.unwrap().unwrap().len());
    }
    drop(following);
    announce_many(&stores, 1_024).await;
    let cleared = async {
        while raw.list("/feed/8/parts").await.unwrap().unwrap().len() > 1
            || raw.list("/feed/8/log").await.unwrap().unwrap().len() > 2_100
        {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    println!("parts after each death: {parts:?}");
    within(Duration::from_secs(20), "a cleared log", cleared).await;
}

/// A word that comes alone, as most do, costs each host that follows its segment five calls: that batch, the two behind it, the head, a watch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_word_that_comes_alone_costs_its_reader_few_calls() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::one()).unwrap();
    let settings = database(straight(&ensemble), "/feed-5").await;
    let (store, reader) = (open(&settings), open(&settings));
    store.announce(HostId(1), vec![record(0, 1, 1)]).await.unwrap();
    let mut tail = reader.follow(SEGMENT).await.unwrap().tail;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let received = || ensemble.servers()[0].statistics().unwrap().received;
    let before = received();
    for mac in 1..=20 {
        store.announce(HostId(1), vec![record(mac, 1, 1)]).await.unwrap();
        assert_eq!(tail.next().await.unwrap().records, [record(mac, 1, 1)]);
        // Until it has left its watch.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let asked = received() - before;
    println!("{asked} packets for 20 words");
    // Each is one more of who says it; some are signs of life.
    assert!((100..=140).contains(&asked), "{asked} packets for 20 words");
}

/// Somebody makes a node in a log and deletes another, by hand, and a batch is of a version that nobody reads: what comes behind them is known
/// all the same. A head that names a part that is not there is told, and not asked for again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_somebody_has_touched_goes_on() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::one()).unwrap();
    let settings = database(straight(&ensemble), "/feed-4").await;
    let (store, raw) = (open(&settings), Coordinator::open(settings.clone()));
    for mac in 0..3 {
        store.announce(HostId(1), vec![record(mac, 1, 1)]).await.unwrap();
    }
    raw.delete("/feed/8/log/0000000001", None).await.unwrap();
    raw.create("/feed/8/log/by-hand", &[], Life::Stays, &Access::open()).await.unwrap();
    // Version 1: one record of segment 8, MAC, owner 1, counter 1, present.
    let earlier = [1, 1, 8, 2, 0, 0, 0, 0, 9, 1, 1, 0];
    raw.create("/feed/8/log/", &earlier, Life::Numbered, &Access::open()).await.unwrap();
    store.announce(HostId(1), vec![record(3, 1, 1)]).await.unwrap();
    let expected = [record(0, 1, 1), record(2, 1, 1), record(3, 1, 1)];
    assert_eq!(open(&settings).follow(SEGMENT).await.unwrap().snapshot.records, expected);
    let torn = br#"{"next":4,"parts":["0000000004-x-0"],"sequence":4}"#;
    raw.create("/feed/8/head", torn, Life::Stays, &Access::open()).await.unwrap();
    let before = ensemble.servers()[0].statistics().unwrap().received;
    let host = open(&ZooKeeperSettings { patience: Duration::from_secs(2), ..settings.clone() });
    assert!(host.follow(SEGMENT).await.is_err());
    let asked = ensemble.servers()[0].statistics().unwrap().received - before;
    assert!(asked < 100, "{asked} packets in two seconds");
    let far = br#"{"next":18446744073709551615,"parts":[],"sequence":4}"#;
    raw.write("/feed/8/head", far, None).await.unwrap();
    assert!(
        open(&ZooKeeperSettings { patience: Duration::from_secs(1), ..settings })
            .follow(SEGMENT)
            .await
            .is_err()
    );
}

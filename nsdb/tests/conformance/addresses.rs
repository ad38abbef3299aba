//! What every backend of `AddressFeed` must do.

use std::collections::{BTreeMap, BTreeSet};

use nsdb::{
    AddressFeed, AddressKey, AddressRecord, FeedSnapshot, Following, HostId, Mac, Mobility, Presence,
    SegmentId,
};
use tokio::task::JoinSet;

use crate::backends::{FEED, Fixture};

const SEGMENT: SegmentId = SegmentId(8);

fn record(mac: u8, owner: u32, mobility: u64) -> AddressRecord {
    let key = AddressKey { segment: SEGMENT, inner: 0, mac: Mac([2, 0, 0, 0, 0, mac]) };
    let (owner, mobility) = (HostId(owner), Mobility(mobility));
    AddressRecord { key, owner, mobility, session: 1, number: 1, by: 8, presence: Presence::Present }
}

/// The same as word `number` of the owner's run `session`.
fn said(record: AddressRecord, session: u64, number: u64) -> AddressRecord {
    AddressRecord { session, number, ..record }
}

fn gone(record: AddressRecord) -> AddressRecord {
    AddressRecord { presence: Presence::Gone, ..record }
}

async fn announce<S: AddressFeed>(fixture: &Fixture<S>, record: AddressRecord) {
    fixture.store.announce(record.owner, vec![record]).await.unwrap();
}

async fn snapshot<S: AddressFeed>(fixture: &Fixture<S>) -> FeedSnapshot {
    fixture.store.follow(SEGMENT).await.unwrap().snapshot
}

pub(crate) async fn a_tail_begins_where_the_snapshot_ends<S: AddressFeed>(fixture: Fixture<S>) {
    fixture.store.announce(HostId(1), vec![record(1, 1, 1), record(2, 1, 1)]).await.unwrap();
    let Following { snapshot, mut tail } = fixture.store.follow(SEGMENT).await.unwrap();
    assert_eq!((snapshot.segment, snapshot.sequence), (SEGMENT, 2));
    assert_eq!(snapshot.records, [record(1, 1, 1), record(2, 1, 1)]);
    fixture.store.announce(HostId(1), vec![record(3, 1, 1), record(1, 1, 1), record(4, 1, 1)]).await.unwrap();
    announce(&fixture, gone(record(3, 1, 1))).await;
    let batch = tail.next().await.unwrap();
    assert_eq!((batch.first_sequence, batch.last_sequence()), (3, 4));
    assert_eq!(batch.records, [record(3, 1, 1), record(4, 1, 1)], "a repetition is not news");
    let batch = tail.next().await.unwrap();
    assert_eq!((batch.first_sequence, batch.records.as_slice()), (5, [gone(record(3, 1, 1))].as_slice()));
}

pub(crate) async fn the_higher_counter_then_the_lower_host_counts<S: AddressFeed>(fixture: Fixture<S>) {
    for (next, expected) in [
        (record(1, 5, 1), record(1, 5, 1)),
        (record(1, 7, 1), record(1, 5, 1)),
        (record(1, 3, 1), record(1, 3, 1)),
        (record(1, 9, 2), record(1, 9, 2)),
        (record(1, 1, 1), record(1, 9, 2)),
        (gone(record(1, 3, 1)), record(1, 9, 2)),
        (gone(record(1, 9, 2)), gone(record(1, 9, 2))),
        (record(1, 3, 1), gone(record(1, 9, 2))),
        (record(1, 3, 3), record(1, 3, 3)),
    ] {
        announce(&fixture, next).await;
        assert_eq!(snapshot(&fixture).await.records, [expected], "after {next:?}");
    }
}

pub(crate) async fn a_withdrawn_host_leaves_its_counters<S: AddressFeed>(fixture: Fixture<S>) {
    fixture.store.announce(HostId(1), vec![record(1, 1, 4), record(2, 1, 1)]).await.unwrap();
    announce(&fixture, record(3, 2, 1)).await;
    let mut tail = fixture.store.follow(SEGMENT).await.unwrap().tail;
    let dead = BTreeSet::from([HostId(1), HostId(9)]);
    assert_eq!(fixture.store.withdraw(dead.clone()).await.unwrap(), BTreeMap::from([(HostId(1), 2)]));
    assert_eq!(tail.next().await.unwrap().records, [gone(record(1, 1, 4)), gone(record(2, 1, 1))]);
    assert_eq!(fixture.store.withdraw(dead).await.unwrap(), BTreeMap::new());
    assert_eq!(snapshot(&fixture).await.sequence, 5, "what is gone does not go again");
    announce(&fixture, record(1, 3, 3)).await;
    let expected = [gone(record(1, 1, 4)), gone(record(2, 1, 1)), record(3, 2, 1)];
    assert_eq!(snapshot(&fixture).await.records, expected, "an old word must not bring an address back");
    announce(&fixture, record(1, 1, 4)).await;
    assert_eq!(snapshot(&fixture).await.records, expected, "nor its dead owner's word that comes once more");
    for next in [said(record(1, 1, 4), 1, 2), said(record(2, 1, 1), 2, 1)] {
        announce(&fixture, next).await;
        let known = snapshot(&fixture).await.records;
        assert!(known.contains(&next), "its owner may announce it again: {known:?}");
    }
}

pub(crate) async fn a_word_that_is_repeated_after_its_farewell_does_not_come_back<S: AddressFeed>(
    fixture: Fixture<S>,
) {
    let (word, farewell) = (record(1, 1, 1), said(gone(record(1, 1, 1)), 1, 2));
    let mut tail = fixture.store.follow(SEGMENT).await.unwrap().tail;
    // The last of these sends everything again, as after a lost connection.
    for records in [vec![word], vec![farewell], vec![word], vec![word, farewell]] {
        fixture.store.announce(HostId(1), records).await.unwrap();
    }
    assert_eq!(snapshot(&fixture).await.records, [farewell]);
    let restarted = said(word, 2, 1);
    announce(&fixture, restarted).await;
    for old in [farewell, word] {
        announce(&fixture, old).await;
        assert_eq!(snapshot(&fixture).await.records, [restarted], "after {old:?}");
    }
    for (sequence, expected) in [(1, word), (2, farewell), (3, restarted)] {
        let batch = tail.next().await.unwrap();
        assert_eq!((batch.first_sequence, batch.records.as_slice()), (sequence, [expected].as_slice()));
    }
}

pub(crate) async fn two_inner_tags_of_one_segment_are_two_addresses<S: AddressFeed>(fixture: Fixture<S>) {
    let behind = |inner: u16, owner: u32| {
        let record = record(1, owner, 1);
        AddressRecord { key: AddressKey { inner, ..record.key }, by: 100, ..record }
    };
    let (plain, low, high) = (record(1, 1, 1), behind(7, 2), behind(4094, 3));
    for record in [high, plain, low] {
        announce(&fixture, record).await;
    }
    assert_eq!(snapshot(&fixture).await.records, [plain, low, high]);
    fixture.store.withdraw(BTreeSet::from([HostId(2)])).await.unwrap();
    announce(&fixture, said(gone(plain), 1, 2)).await;
    assert_eq!(snapshot(&fixture).await.records, [said(gone(plain), 1, 2), gone(low), high]);
    let error = fixture.store.announce(HostId(1), vec![low]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "host 1 announced 02:00:00:00:00:01 in segment 8 with inner VID 7 as owned by host 2: a host announces its own addresses"
    );
}

pub(crate) async fn a_reader_that_fell_behind_follows_again<S: AddressFeed>(fixture: Fixture<S>) {
    let mut tail = fixture.store.follow(SEGMENT).await.unwrap().tail;
    let announced = FEED.backlog as u64 + 3;
    for mobility in 1..=announced {
        announce(&fixture, record(1, 1, mobility)).await;
    }
    fixture.settle().await;
    let error = tail.next().await.unwrap_err();
    assert!(error.is_lagged() && !error.is_retryable());
    assert_eq!(error.to_string(), "the reader of segment 8 missed 3 batches: follow the segment again");
    let Following { snapshot, mut tail } = fixture.store.follow(SEGMENT).await.unwrap();
    assert_eq!((snapshot.sequence, snapshot.records), (announced, vec![record(1, 1, announced)]));
    announce(&fixture, record(1, 1, announced + 1)).await;
    assert_eq!(tail.next().await.unwrap().first_sequence, announced + 1);
}

pub(crate) async fn a_host_announces_only_its_own<S: AddressFeed>(fixture: Fixture<S>) {
    let error = fixture.store.announce(HostId(1), vec![record(1, 1, 1), record(2, 6, 1)]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "host 1 announced 02:00:00:00:00:02 in segment 8 as owned by host 6: a host announces its own addresses"
    );
    assert_eq!(snapshot(&fixture).await.records, []);
}

pub(crate) async fn segments_do_not_disturb_each_other<S: AddressFeed>(fixture: Fixture<S>) {
    let mut there = record(1, 1, 1);
    there.key.segment = SegmentId(5);
    let mut tail = fixture.store.follow(SEGMENT).await.unwrap().tail;
    fixture.store.announce(HostId(1), vec![there, record(1, 1, 2)]).await.unwrap();
    let other = fixture.store.follow(SegmentId(5)).await.unwrap().snapshot;
    assert_eq!((other.sequence, other.records), (1, vec![there]));
    assert_eq!(tail.next().await.unwrap().records, [record(1, 1, 2)]);
}

pub(crate) async fn a_full_segment_keeps_what_it_has_and_forgets_the_longest_gone<S: AddressFeed>(
    fixture: Fixture<S>,
) {
    let all: Vec<_> = (0..FEED.addresses as u8 + 2).map(|mac| record(mac, 1, 1)).collect();
    fixture.store.announce(HostId(1), all.clone()).await.unwrap();
    assert_eq!(snapshot(&fixture).await.records, all[..FEED.addresses]);
    for mac in [4, 2, 7] {
        announce(&fixture, gone(record(mac, 1, 1))).await;
    }
    let known: Vec<_> = snapshot(&fixture).await.records.iter().map(|record| record.key.mac.0[5]).collect();
    assert_eq!(known, [0, 1, 2, 3, 5, 6, 7], "of the three that are gone, 4 went first and is forgotten");
    announce(&fixture, record(9, 1, 1)).await;
    assert_eq!(snapshot(&fixture).await.records.len(), 8);
}

/// Hosts race for the same addresses. A reader that followed from the start and one that only takes the snapshot at
/// the end must agree, and that must be what the rule says, whatever the order was.
pub(crate) async fn racing_hosts_leave_every_reader_with_the_same<S: AddressFeed + 'static>(
    fixture: Fixture<S>,
) {
    let store = fixture.store.clone();
    let Following { snapshot: start, mut tail } = store.follow(SEGMENT).await.unwrap();
    let reader = tokio::spawn(async move {
        let mut known = BTreeMap::new();
        let mut sequence = start.sequence;
        while !known.contains_key(&record(7, 0, 0).key) {
            match tail.next().await {
                Ok(batch) => {
                    assert_eq!(batch.first_sequence, sequence + 1, "a gap or a repetition");
                    sequence = batch.last_sequence();
                    known.extend(batch.records.iter().map(|record| (record.key, *record)));
                }
                Err(error) => {
                    // With a backlog of four the reader may rightly fall behind.
                    assert!(error.is_lagged(), "{error}");
                    let Following { snapshot, tail: again } = store.follow(SEGMENT).await.unwrap();
                    assert!(snapshot.sequence > sequence);
                    (sequence, tail) = (snapshot.sequence, again);
                    known = snapshot.records.iter().map(|record| (record.key, *record)).collect();
                }
            }
        }
        known
    });
    let mut hosts = JoinSet::new();
    for host in 1..=4_u32 {
        let store = fixture.store.clone();
        hosts.spawn(async move {
            for mobility in 1..=10 {
                let records = (0..4).map(|mac| record(mac, host, mobility)).collect();
                store.announce(HostId(host), records).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
    }
    hosts.join_all().await;
    announce(&fixture, record(7, 9, 1)).await;
    let expected: Vec<_> = (0..4).map(|mac| record(mac, 1, 10)).chain([record(7, 9, 1)]).collect();
    assert_eq!(snapshot(&fixture).await.records, expected);
    assert_eq!(reader.await.unwrap().into_values().collect::<Vec<_>>(), expected);
}

//! What every backend of `Journal` must do.

use std::time::Duration;

use nsdb::{EntryKind, Journal, JournalEntry, MAX_ENTRY_BYTES, NewEntry, Query, WallTime};

use crate::backends::{Fixture, JOURNAL};

fn entry(kind: &str, at: u64, body: &str) -> NewEntry {
    NewEntry {
        kind: EntryKind::new(kind).unwrap(),
        at: WallTime::from_millis(at),
        body: body.as_bytes().to_vec(),
    }
}

fn all() -> Query {
    Query { newest: usize::MAX, ..Query::default() }
}

fn bodies(entries: &[JournalEntry]) -> Vec<&str> {
    entries.iter().map(|entry| std::str::from_utf8(&entry.body).unwrap()).collect()
}

pub(crate) async fn entries_come_back_in_the_order_they_were_written<S: Journal>(fixture: Fixture<S>) {
    assert_eq!(fixture.store.query(all()).await.unwrap(), []);
    let first = fixture.store.append(vec![entry("move", 9, "a"), entry("flap", 3, "b")]).await.unwrap();
    let second = fixture.store.append(vec![entry("move", 5, "c")]).await.unwrap();
    assert_eq!(fixture.store.append(vec![]).await.unwrap(), []);
    let found = fixture.store.query(all()).await.unwrap();
    assert_eq!(bodies(&found), ["a", "b", "c"]);
    let ids: Vec<_> = found.iter().map(|entry| entry.id).collect();
    assert_eq!(ids, [first, second].concat());
    assert_eq!(ids.iter().map(|id| id.get()).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((found[1].kind.as_str(), found[1].at.as_millis()), ("flap", 3));
}

pub(crate) async fn a_query_narrows_by_kind_time_and_number<S: Journal>(fixture: Fixture<S>) {
    let entries = (0..9).map(|n| entry(["move", "flap"][n % 2], n as u64 * 10, &n.to_string())).collect();
    fixture.store.append(entries).await.unwrap();
    let moves = Some(EntryKind::new("move").unwrap());
    let at = |millis| Some(WallTime::from_millis(millis));
    for (query, expected) in [
        (all(), vec!["0", "1", "2", "3", "4", "5", "6", "7", "8"]),
        (Query { newest: 2, ..all() }, vec!["7", "8"]),
        (Query { newest: 0, ..all() }, vec![]),
        (Query { kind: moves.clone(), ..all() }, vec!["0", "2", "4", "6", "8"]),
        (Query { from: at(60), ..all() }, vec!["6", "7", "8"]),
        (Query { until: at(20), ..all() }, vec!["0", "1"]),
        (Query { kind: moves, from: at(20), until: at(80), newest: 2 }, vec!["4", "6"]),
        (Query { kind: EntryKind::new("other").ok(), ..all() }, vec![]),
    ] {
        let found = fixture.store.query(query.clone()).await.unwrap();
        assert_eq!(bodies(&found), expected, "{query:?}");
    }
}

pub(crate) async fn what_is_too_old_is_trimmed<S: Journal>(fixture: Fixture<S>) {
    let entries = [10, 20, 90, 30].map(|at| entry("move", at, &at.to_string())).to_vec();
    fixture.store.append(entries).await.unwrap();
    let keep = u64::try_from(JOURNAL.keep.as_millis()).unwrap();
    let now = |oldest: u64| WallTime::from_millis(keep + oldest);
    assert_eq!(fixture.store.trim(WallTime::from_millis(5)).await.unwrap(), 0);
    assert_eq!(fixture.store.trim(now(10)).await.unwrap(), 0, "as old as may be, not older");
    assert_eq!(fixture.store.trim(now(50)).await.unwrap(), 2);
    assert_eq!(
        bodies(&fixture.store.query(all()).await.unwrap()),
        ["90", "30"],
        "the one behind a later time waits"
    );
    assert_eq!(fixture.store.trim(now(91)).await.unwrap(), 2);
    let next = fixture.store.append(vec![entry("move", 95, "next")]).await.unwrap();
    assert_eq!(next[0].get(), 5, "numbers go on");
    assert_eq!(WallTime::from_millis(7).before(Duration::from_secs(9)).as_millis(), 0);
}

pub(crate) async fn the_whole_stays_within_its_size<S: Journal>(fixture: Fixture<S>) {
    let body = "x".repeat(200);
    let mut kept = 0;
    for n in 1..=60_u64 {
        fixture.store.append(vec![entry("move", n, &body)]).await.unwrap();
        let found = fixture.store.query(all()).await.unwrap();
        let bytes: u64 =
            found.iter().map(|entry| (entry.body.len() + entry.kind.as_str().len() + 24) as u64).sum();
        assert!(bytes <= JOURNAL.max_bytes, "{bytes} bytes after {n}");
        assert_eq!(found.last().unwrap().id.get(), n);
        assert!(found.windows(2).all(|pair| pair[0].id.get() + 1 == pair[1].id.get()));
        kept = found.len();
    }
    // 200 of body, 4 of kind, 24 of key and checksum, and a few of version and lengths.
    assert!((16..=17).contains(&kept), "{kept} entries kept");
}

pub(crate) async fn a_long_entry_is_refused_and_nothing_written<S: Journal>(fixture: Fixture<S>) {
    let long = "x".repeat(MAX_ENTRY_BYTES + 1);
    let error =
        fixture.store.append(vec![entry("move", 1, "short"), entry("diff", 1, &long)]).await.unwrap_err();
    assert_eq!(error.to_string(), "an entry of kind diff has 65537 bytes: at most 65536 are allowed");
    assert!(!error.is_retryable());
    assert_eq!(fixture.store.query(all()).await.unwrap(), []);
}

//! How a journal grows, and is found again by the next run of its host.

use std::sync::Arc;
use std::time::Duration;

use nsdb::cassandra::Cassandra;
use nsdb::{Journal, JournalLimits, Query, WallTime};

use super::host::{event, open, settings, shared, told};

const DAY: u64 = 86_400_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_run_of_a_host_goes_on_where_the_last_one_ended() {
    let Some(node) = shared().await else { return };
    let at = || settings(&node, "runs", "gw1");
    let first = open(at());
    first.append(vec![event(1, "a"), event(2, "b")]).await.unwrap();
    first.append(vec![event(DAY, "c")]).await.unwrap();
    let second = open(at());
    let ids = second.append(vec![event(DAY + 1, "d"), event(3 * DAY, "e")]).await.unwrap();
    assert_eq!(ids.iter().map(|id| id.get()).collect::<Vec<_>>(), [4, 5]);
    assert_eq!(told(&second).await, ["a", "b", "c", "d", "e"]);
    let of_a_day = Query {
        from: Some(WallTime::from_millis(DAY)),
        until: Some(WallTime::from_millis(2 * DAY)),
        ..Query::default()
    };
    let found = second.query(of_a_day).await.unwrap();
    assert_eq!(found.iter().map(|entry| entry.body.as_slice()).collect::<Vec<_>>(), [b"c", b"d"]);
    // Another host has a part of its own.
    let other = open(settings(&node, "runs", "gw2"));
    assert_eq!(told(&other).await, Vec::<String>::new());
    assert_eq!(other.append(vec![event(1, "x")]).await.unwrap()[0].get(), 1);
}

/// A host that was copied, or whose old daemon has not ended: nobody's entries are written over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runs_of_a_host_at_one_time_lose_nothing() {
    let Some(node) = shared().await else { return };
    let runs = [open(settings(&node, "twice", "gw1")), open(settings(&node, "twice", "gw1"))];
    for number in 0..10 {
        for (run, journal) in runs.iter().enumerate() {
            journal.append(vec![event(number, &format!("{run}-{number}"))]).await.unwrap();
        }
    }
    let mut all = told(&runs[0]).await;
    all.sort_unstable();
    let mut expected: Vec<String> =
        (0..2).flat_map(|run| (0..10).map(move |n| format!("{run}-{n}"))).collect();
    expected.sort_unstable();
    assert_eq!(all, expected);
}

/// More than a batch, a page of a read and a stretch hold: 20 MB in 400 entries, then 12 000 small ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_and_large_entries_come_back_in_their_order() {
    let Some(node) = shared().await else { return };
    let journal = open(settings(&node, "many", "gw1"));
    let large: Vec<_> = (0..400).map(|n| event(n, &format!("{n:05}{}", "x".repeat(50_000)))).collect();
    for some in large.chunks(100) {
        journal.append(some.to_vec()).await.unwrap();
    }
    let small: Vec<_> = (400..12_400).map(|n| event(n, &format!("{n:05}"))).collect();
    for some in small.chunks(3_000) {
        journal.append(some.to_vec()).await.unwrap();
    }
    let numbers: Vec<String> = told(&journal).await.into_iter().map(|body| body[..5].to_owned()).collect();
    assert_eq!(numbers.len(), 12_400);
    assert!(numbers.iter().enumerate().all(|(n, body)| *body == format!("{n:05}")));
    // A limit that was made smaller holds at the next write, by the next run.
    let limits = JournalLimits { max_bytes: 1 << 20, keep: Duration::from_secs(3_600) };
    let smaller = Cassandra::open(settings(&node, "many", "gw1"), limits);
    smaller.append(vec![event(1, "12400")]).await.unwrap();
    let left = told(&smaller).await;
    assert!((20_000..30_000).contains(&(left.len() * 2)), "{} entries of 34 bytes in 1 MiB", left.len());
    assert_eq!(left.last().unwrap(), "12400");
}

/// The answers of a call that is given up are not waited for, and what was begun is no hindrance.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_are_given_up_leave_the_journal_usable() {
    let Some(node) = shared().await else { return };
    let journal = Arc::new(open(settings(&node, "given_up", "gw1")));
    let mut given_up = 0;
    for number in 0..20_u64 {
        let entries = vec![event(number, &number.to_string())];
        let taken =
            tokio::time::timeout(Duration::from_micros(300 * number), journal.append(entries.clone())).await;
        if taken.is_err() {
            given_up += u64::from(number > 0);
            journal.append(entries).await.unwrap();
        }
    }
    let expected: Vec<String> = (0..20).map(|number: u64| number.to_string()).collect();
    assert!(given_up > 0, "a call that takes less than 300 µs");
    assert_eq!(told(&journal).await, expected, "the same entries again are the same entries");
}

//! A node that is killed, frozen, cut off, or whose disk is full.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nsdb::cassandra::{Cassandra, CassandraSettings};
use nsdb::{Journal, NewEntry};
use servers::CassandraOptions;

use super::host::{event, node, open, refused, settings, told};

fn impatient(node: &servers::Cassandra, host: &str) -> CassandraSettings {
    CassandraSettings { patience: Duration::from_secs(2), ..settings(node, "faults", host) }
}

/// Tries as an agent does: the same entries until they are taken.
async fn write(journal: &Cassandra, entries: Vec<NewEntry>) {
    let begun = Instant::now();
    while let Err(error) = journal.append(entries.clone()).await {
        assert!(error.is_retryable() && begun.elapsed() < Duration::from_secs(90), "{error}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Does what takes the thread that asks.
async fn aside(node: &Arc<servers::Cassandra>, act: impl FnOnce(&servers::Cassandra) + Send + 'static) {
    let node = Arc::clone(node);
    tokio::task::spawn_blocking(move || act(&node)).await.unwrap();
}

/// One story, since a node takes its time to start: killed, frozen, cut off by the network; each time what was told is written once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_tried_again_is_written_once_when_the_node_is_back() {
    let Some(node) = node(CassandraOptions::plain()).await else { return };
    let journal = open(impatient(&node, "gw1"));
    journal.append(vec![event(1, "before")]).await.unwrap();

    // A node that is alone loses what it has not synced: this one does so each second (`commitlog_sync: periodic`).
    tokio::time::sleep(Duration::from_secs(3)).await;
    aside(&node, |node| node.kill().unwrap()).await;
    let begun = Instant::now();
    let killed = vec![event(2, "killed 1"), event(2, "killed 2")];
    assert!(journal.append(killed.clone()).await.unwrap_err().is_retryable());
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
    aside(&node, |node| node.restart().unwrap()).await;
    write(&journal, killed).await;

    aside(&node, |node| node.freeze().unwrap()).await;
    let begun = Instant::now();
    let frozen = vec![event(3, "frozen")];
    // What is sent now may be carried out when the node goes on, before or after it is sent again.
    for _ in 0..2 {
        assert!(journal.append(frozen.clone()).await.unwrap_err().is_retryable());
    }
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
    let why = journal.append(frozen.clone()).await.unwrap_err().to_string();
    assert!(why.contains("cannot be used: ") && !why.ends_with(": "), "{why}");
    aside(&node, |node| node.thaw().unwrap()).await;
    write(&journal, frozen).await;

    assert_eq!(told(&journal).await, ["before", "killed 1", "killed 2", "frozen"]);
    // The next run finds the same.
    assert_eq!(told(&open(impatient(&node, "gw1"))).await.len(), 4);
}

/// A host that starts while the node is away says why, and writes once it is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_starts_before_the_node_is_answered_later() {
    let Some(node) = node(CassandraOptions::plain()).await else { return };
    aside(&node, |node| node.kill().unwrap()).await;
    let journal = open(impatient(&node, "gw1"));
    assert_eq!(refused(&journal).await, "connection refused");
    aside(&node, |node| node.restart().unwrap()).await;
    write(&journal, vec![event(1, "a")]).await;
    assert_eq!(told(&journal).await, ["a"]);
}

/// The disk of the node is full: that is told, within a time, and may be tried again. What becomes of the node is its operator's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_disk_is_full_is_no_end() {
    let Some(node) = node(CassandraOptions::plain().small_disk(24 << 20)).await else { return };
    let journal = open(impatient(&node, "gw1"));
    journal.append(vec![event(0, "first")]).await.unwrap();
    let mut file = std::fs::File::create(node.data().join("filler")).unwrap();
    while std::io::Write::write_all(&mut file, &[1; 1 << 16]).is_ok() {}
    let mut refused = None;
    for number in 1..400 {
        let entries: Vec<NewEntry> = (0..20).map(|_| event(number, &"x".repeat(10_000))).collect();
        let begun = Instant::now();
        if let Err(error) = journal.append(entries).await {
            refused = Some((error, begun.elapsed()));
            break;
        }
    }
    let (error, after) = refused.expect("80 MB do not fit on a disk of 24");
    assert!(error.is_retryable() && after < Duration::from_secs(15), "{error} after {after:?}");
}

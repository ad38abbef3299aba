//! The tables: by whom they are made, and what is refused.

use std::sync::Arc;

use nsdb::Journal;
use nsdb::cassandra::CassandraSettings;

use super::host::{ask, event, open, refused, settings, shared, told};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_that_start_at_one_time_make_the_tables_once() {
    let Some(node) = shared().await else { return };
    let begin = |number: usize| {
        let journal = open(settings(&node, "at_once", &format!("gw{number}")));
        tokio::spawn(async move {
            journal.append(vec![event(1, &number.to_string())]).await.unwrap();
            journal
        })
    };
    let begun: Vec<_> = (0..12).map(begin).collect();
    for (number, journal) in begun.into_iter().enumerate() {
        assert_eq!(told(&journal.await.unwrap()).await, [number.to_string()]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_a_newer_program_are_left_alone() {
    let Some(node) = shared().await else { return };
    let at = || settings(&node, "newer", "gw1");
    open(at()).append(vec![event(1, "before")]).await.unwrap();
    let set = |version: &str| {
        let sql = format!("INSERT INTO newer.about (name, value) VALUES ('version', '{version}')");
        let node = Arc::clone(&node);
        async move { ask(&node, &sql).await }
    };
    set("7").await;
    let why = refused(&open(at())).await;
    assert_eq!(
        why,
        "the tables of keyspace newer are of version 7, this program knows version 1: start the newer program"
    );
    set("oak").await;
    let why = refused(&open(at())).await;
    assert_eq!(why, "keyspace newer has a table `about` that is not ours: its version is \"oak\"");
    set("1").await;
    assert_eq!(told(&open(at())).await, ["before"], "nothing was written");
}

/// A host began to make the tables and has died: another one does when the turn has ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_was_not_given_back_ends() {
    let Some(node) = shared().await else { return };
    let at = || settings(&node, "turns", "gw1");
    open(at()).append(vec![event(1, "a")]).await.unwrap();
    for sql in [
        "INSERT INTO turns.about (name, value) VALUES ('turn', 'somebody') USING TTL 4",
        "DELETE FROM turns.about WHERE name = 'version'",
    ] {
        ask(&node, sql).await;
    }
    let begun = std::time::Instant::now();
    assert_eq!(told(&open(at())).await, ["a"]);
    assert!(begun.elapsed().as_millis() > 2_000, "somebody else's turn is waited for: {:?}", begun.elapsed());
}

/// A word that CQL has a meaning for, and letters of both cases.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keyspace_may_be_called_anything_that_the_file_may_say() {
    let Some(node) = shared().await else { return };
    for keyspace in ["Table", "MixedCase"] {
        let journal = open(settings(&node, keyspace, "gw1"));
        journal.append(vec![event(1, keyspace)]).await.unwrap();
        assert_eq!(told(&open(settings(&node, &keyspace.to_lowercase(), "gw1"))).await, [keyspace]);
    }
}

/// Somebody drops the keyspace under a host that runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_were_dropped_are_made_anew() {
    let Some(node) = shared().await else { return };
    let journal = open(settings(&node, "dropped", "gw1"));
    journal.append(vec![event(1, "a"), event(1, "b")]).await.unwrap();
    ask(&node, "DROP KEYSPACE dropped").await;
    let entries = vec![event(2, "c")];
    let mut tries = 0;
    while journal.append(entries.clone()).await.is_err() {
        tries += 1;
        assert!(tries < 5, "the tables are not made anew");
    }
    assert_eq!(told(&journal).await, ["c"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_centre_or_a_node_that_is_none_is_named() {
    let Some(node) = shared().await else { return };
    let with = |datacenter: &str| CassandraSettings {
        datacenter: Some(datacenter.to_owned()),
        ..settings(&node, "centre", "gw1")
    };
    let why = refused(&open(with("east"))).await;
    assert_eq!(why, "no data centre is called \"east\", there are: datacenter1");
    open(with("datacenter1")).append(vec![event(1, "a")]).await.unwrap();
    let nowhere = CassandraSettings::new(vec!["no-such-host.invalid:9042".to_owned()], "centre", "gw1");
    let why = refused(&open(nowhere)).await;
    assert!(why.contains("no-such-host.invalid:9042"), "{why}");
    let nobody = CassandraSettings::new(vec!["127.0.0.1:1".to_owned()], "centre", "gw1");
    assert_eq!(refused(&open(nobody)).await, "connection refused");
}

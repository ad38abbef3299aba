//! What the cases share: nodes, hosts, and what is told.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nsdb::cassandra::{Cassandra, CassandraSettings};
use nsdb::{EntryKind, Journal, JournalError, JournalLimits, NewEntry, Query, WallTime};
use servers::CassandraOptions;

/// A node of these options; `None` where there is none on this machine.
pub(crate) async fn node(options: CassandraOptions) -> Option<Arc<servers::Cassandra>> {
    if !servers::cassandra_is_there() {
        return None;
    }
    let start = move || servers::Cassandra::start(options).unwrap();
    Some(Arc::new(tokio::task::spawn_blocking(start).await.unwrap()))
}

/// One node for all tests that do it no harm. It ends with the last of them, since a node takes ten seconds to start.
pub(crate) async fn shared() -> Option<Shared> {
    if !servers::cassandra_is_there() {
        return None;
    }
    let find = || {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let start = || Arc::new(servers::Cassandra::start(CassandraOptions::plain()).unwrap());
        Shared(Arc::clone(shared.0.get_or_insert_with(start)))
    };
    Some(tokio::task::spawn_blocking(find).await.unwrap())
}

/// A test's part of the node.
pub(crate) struct Shared(Arc<servers::Cassandra>);

impl std::ops::Deref for Shared {
    type Target = Arc<servers::Cassandra>;

    fn deref(&self) -> &Arc<servers::Cassandra> {
        &self.0
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.1 += 1;
        if shared.1 == SHARED_BY {
            shared.0 = None;
        }
    }
}

/// The node, and how many tests have ended that had it.
static SHARED: Mutex<(Option<Arc<servers::Cassandra>>, usize)> = Mutex::new((None, 0));
/// How many tests there are that have it. Where only some of them run, it ends with the process.
const SHARED_BY: usize = 11;

/// How `host` reaches a node, in a keyspace.
pub(crate) fn settings(node: &servers::Cassandra, keyspace: &str, host: &str) -> CassandraSettings {
    let patience = Duration::from_secs(10);
    CassandraSettings {
        patience,
        ..CassandraSettings::new(vec![node.contact_point().to_string()], keyspace, host)
    }
}

pub(crate) fn open(settings: CassandraSettings) -> Cassandra {
    Cassandra::open(settings, JournalLimits::default())
}

pub(crate) fn event(at: u64, body: &str) -> NewEntry {
    let kind = EntryKind::new("event").unwrap();
    NewEntry { kind, at: WallTime::from_millis(at), body: body.as_bytes().to_vec() }
}

/// All that a journal has, in its order.
pub(crate) async fn told(journal: &Cassandra) -> Vec<String> {
    let all = Query { newest: usize::MAX, ..Query::default() };
    let found = journal.query(all).await.unwrap();
    found.into_iter().map(|entry| String::from_utf8(entry.body).unwrap()).collect()
}

/// Why a journal does not take an event.
pub(crate) async fn refused(journal: &Cassandra) -> String {
    let error = journal.append(vec![event(1, "refused")]).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    match error {
        JournalError::Away { why, .. } => why,
        other => panic!("{other}"),
    }
}

/// Has the node itself do something, as its first role.
pub(crate) async fn ask(node: &Arc<servers::Cassandra>, sql: &str) {
    let (node, sql) = (Arc::clone(node), sql.to_owned());
    tokio::task::spawn_blocking(move || node.run(&sql).unwrap()).await.unwrap();
}

//! A wrapper that makes any store fail on demand, for tests of what stands on it.

pub(crate) mod plan;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::addresses::feed::Following;
use crate::addresses::record::{AddressRecord, HostId, SegmentId};
use crate::addresses::{AddressFeed, FeedError};
use crate::clock::WallTime;
use crate::documents::revision::{Change, Revision, RevisionInfo, Root};
use crate::documents::shard::{ShardId, ShardName};
use crate::documents::{Documents, DocumentsError};
use crate::error::StoreError;
use crate::faulty::plan::{Fault, Faults, Operation};
use crate::journal::entry::{EntryId, JournalEntry, NewEntry, Query};
use crate::journal::{Journal, JournalError};
use crate::local::{Local, LocalError};
use crate::sessions::lease::{Lease, SessionId, SessionInfo};
use crate::sessions::{Sessions, SessionsError};

/// A store whose calls meet the faults that [`Faults`] says. Without faults it is the store it wraps.
#[derive(Debug)]
pub struct Faulty<S> {
    store: S,
    faults: Faults,
    seen: Mutex<Seen>,
}

/// The last two different roots that a caller was shown.
#[derive(Debug, Default)]
struct Seen {
    newest: Option<Root>,
    before: Option<Root>,
}

impl<S> Faulty<S> {
    /// Wraps `store`.
    pub fn new(store: S, faults: Faults) -> Self {
        Self { store, faults, seen: Mutex::default() }
    }

    /// The store inside, which does not fail.
    pub fn inner(&self) -> &S {
        &self.store
    }

    async fn call<T, E: From<StoreError>>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        Self::carry_out(operation, self.faults.meet(operation).await, call).await
    }

    async fn carry_out<T, E: From<StoreError>>(
        operation: Operation,
        fault: Option<Fault>,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        match fault {
            Some(Fault::Refuse) => Err(unavailable(operation)),
            Some(Fault::LoseAnswer) => {
                call.await?;
                Err(unavailable(operation))
            }
            _ => call.await,
        }
    }

    fn show(&self, root: Option<Root>, fault: Option<Fault>) -> Option<Root> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if root != seen.newest {
            seen.before = std::mem::replace(&mut seen.newest, root);
        }
        let shown = if fault == Some(Fault::Stale) { &seen.before } else { &seen.newest };
        shown.clone()
    }
}

impl<S: Sessions> Faulty<S> {
    /// As [`call`](Self::call), after which `session` may have ended.
    async fn call_in<T>(
        &self,
        operation: Operation,
        session: SessionId,
        call: impl Future<Output = Result<T, SessionsError>> + Send,
    ) -> Result<T, SessionsError> {
        let fault = self.faults.meet(operation).await;
        if fault == Some(Fault::EndSession) {
            self.store.close_session(session).await?;
        }
        Self::carry_out(operation, fault, call).await
    }
}

impl<S: Documents> Documents for Faulty<S> {
    async fn root(&self) -> Result<Option<Root>, DocumentsError> {
        let fault = self.faults.meet(Operation::Root).await;
        let root = Self::carry_out(Operation::Root, fault, self.store.root()).await?;
        Ok(self.show(root, fault))
    }

    async fn revisions(&self) -> Result<Vec<RevisionInfo>, DocumentsError> {
        self.call(Operation::Revisions, self.store.revisions()).await
    }

    async fn root_of(&self, revision: Revision) -> Result<Option<Root>, DocumentsError> {
        self.call(Operation::Revisions, self.store.root_of(revision)).await
    }

    async fn read(&self, document: ShardId) -> Result<Vec<u8>, DocumentsError> {
        self.faults.note_read(document);
        self.call(Operation::Read, self.store.read(document)).await
    }

    async fn publish(
        &self,
        expected: Option<Revision>,
        shards: BTreeMap<ShardName, Vec<u8>>,
        change: Change,
    ) -> Result<Revision, DocumentsError> {
        self.call(Operation::Publish, self.store.publish(expected, shards, change)).await
    }

    async fn collect(&self, unused_for: Duration) -> Result<usize, DocumentsError> {
        self.call(Operation::Collect, self.store.collect(unused_for)).await
    }

    fn watch_root(&self) -> watch::Receiver<Option<Revision>> {
        self.store.watch_root()
    }
}

impl<S: Sessions> Sessions for Faulty<S> {
    async fn open_session(&self, name: &str, ttl: Duration) -> Result<SessionId, SessionsError> {
        self.call(Operation::OpenSession, self.store.open_session(name, ttl)).await
    }

    async fn keep_alive(&self, session: SessionId) -> Result<(), SessionsError> {
        self.call_in(Operation::KeepAlive, session, self.store.keep_alive(session)).await
    }

    async fn say(&self, session: SessionId, word: String) -> Result<(), SessionsError> {
        self.call_in(Operation::KeepAlive, session, self.store.say(session, word)).await
    }

    async fn close_session(&self, session: SessionId) -> Result<(), SessionsError> {
        self.call(Operation::OtherSessions, self.store.close_session(session)).await
    }

    async fn sessions(&self) -> Result<Vec<SessionInfo>, SessionsError> {
        self.call(Operation::OtherSessions, self.store.sessions()).await
    }

    async fn session_named(&self, name: &str) -> Result<Option<SessionInfo>, SessionsError> {
        self.call(Operation::OtherSessions, self.store.session_named(name)).await
    }

    async fn acquire(&self, session: SessionId, name: &str) -> Result<Lease, SessionsError> {
        self.call_in(Operation::Acquire, session, self.store.acquire(session, name)).await
    }

    async fn release(&self, session: SessionId, name: &str) -> Result<(), SessionsError> {
        self.call(Operation::OtherSessions, self.store.release(session, name)).await
    }

    async fn holder(&self, name: &str) -> Result<Option<Lease>, SessionsError> {
        self.call(Operation::OtherSessions, self.store.holder(name)).await
    }

    async fn expire(&self) -> Result<Option<Duration>, SessionsError> {
        self.call(Operation::OtherSessions, self.store.expire()).await
    }

    fn watch_sessions(&self) -> watch::Receiver<u64> {
        self.store.watch_sessions()
    }
}

impl<S: AddressFeed> AddressFeed for Faulty<S> {
    async fn announce(&self, owner: HostId, records: Vec<AddressRecord>) -> Result<(), FeedError> {
        self.call(Operation::Announce, self.store.announce(owner, records)).await
    }

    async fn withdraw(&self, owners: BTreeSet<HostId>) -> Result<BTreeMap<HostId, usize>, FeedError> {
        self.call(Operation::Announce, self.store.withdraw(owners)).await
    }

    async fn follow(&self, segment: SegmentId) -> Result<Following, FeedError> {
        self.call(Operation::Follow, self.store.follow(segment)).await
    }
}

impl<S: Journal> Journal for Faulty<S> {
    async fn append(&self, entries: Vec<NewEntry>) -> Result<Vec<EntryId>, JournalError> {
        self.call(Operation::Append, self.store.append(entries)).await
    }

    async fn query(&self, query: Query) -> Result<Vec<JournalEntry>, JournalError> {
        self.call(Operation::Query, self.store.query(query)).await
    }

    async fn trim(&self, now: WallTime) -> Result<usize, JournalError> {
        self.call(Operation::Query, self.store.trim(now)).await
    }
}

impl<S: Local> Local for Faulty<S> {
    async fn save(&self, key: &str, value: Vec<u8>) -> Result<(), LocalError> {
        self.call(Operation::Save, self.store.save(key, value)).await
    }

    async fn load(&self, key: &str) -> Result<Option<Vec<u8>>, LocalError> {
        self.call(Operation::Load, self.store.load(key)).await
    }

    async fn delete(&self, key: &str) -> Result<bool, LocalError> {
        self.call(Operation::Save, self.store.delete(key)).await
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<String>, LocalError> {
        self.call(Operation::Load, self.store.keys(prefix)).await
    }
}

fn unavailable<E: From<StoreError>>(operation: Operation) -> E {
    StoreError::Unavailable { what: name(operation), why: "a fault was asked for".to_owned() }.into()
}

fn name(operation: Operation) -> &'static str {
    match operation {
        Operation::Root => "the root",
        Operation::Revisions => "the list of revisions",
        Operation::Read => "a shard",
        Operation::Publish => "publishing",
        Operation::Collect => "collecting",
        Operation::OpenSession => "opening a session",
        Operation::KeepAlive => "a sign of life",
        Operation::Acquire => "a lease",
        Operation::OtherSessions => "sessions",
        Operation::Announce => "announcing",
        Operation::Follow => "following",
        Operation::Append => "appending",
        Operation::Query => "the journal",
        Operation::Save => "saving",
        Operation::Load => "loading",
    }
}

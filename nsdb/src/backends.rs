//! For each trait, the backends that have it, as one type that is chosen at run time; and how a holder passes its calls on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::addresses::feed::{Following, ProcessFeed};
use crate::addresses::record::{AddressRecord, HostId, SegmentId};
use crate::addresses::{AddressFeed, FeedError};
use crate::clock::WallTime;
use crate::documents::revision::{Change, Revision, RevisionInfo, Root};
use crate::documents::shard::{ShardId, ShardName};
use crate::documents::{Documents, DocumentsError};
use crate::embedded::Embedded;
use crate::journal::entry::{EntryId, JournalEntry, NewEntry, Query};
use crate::journal::{Journal, JournalError};
use crate::local::{Local, LocalError};
use crate::memory::Memory;
use crate::sessions::book::ProcessSessions;
use crate::sessions::lease::{Lease, SessionId, SessionInfo};
use crate::sessions::{Sessions, SessionsError};
use crate::store::Store;

/// Where revisions are.
#[derive(Debug)]
pub(crate) enum DocumentsBackend {
    Memory(Arc<Memory>),
    Embedded(Arc<Embedded>),
}

/// Where sessions are.
#[derive(Debug)]
pub(crate) enum SessionsBackend {
    Process(ProcessSessions),
}

/// Where addresses are.
#[derive(Debug)]
pub(crate) enum AddressBackend {
    Process(ProcessFeed),
}

/// Where the journal is.
#[derive(Debug)]
pub(crate) enum JournalBackend {
    Memory(Arc<Memory>),
    Embedded(Arc<Embedded>),
}

/// Where the host's own notes are.
#[derive(Debug)]
pub(crate) enum LocalBackend {
    Memory(Arc<Memory>),
    Embedded(Arc<Embedded>),
}

/// Makes a type have [`Documents`] by what it holds: `$to` in each of its forms.
macro_rules! pass_documents_on {
    ($type:ty, $to:ident: $($held:pat),+) => {
        impl Documents for $type {
            async fn root(&self) -> Result<Option<Root>, DocumentsError> {
                match self { $($held => $to.root().await),+ }
            }

            async fn revisions(&self) -> Result<Vec<RevisionInfo>, DocumentsError> {
                match self { $($held => $to.revisions().await),+ }
            }

            async fn root_of(&self, revision: Revision) -> Result<Option<Root>, DocumentsError> {
                match self { $($held => $to.root_of(revision).await),+ }
            }

            async fn read(&self, document: ShardId) -> Result<Vec<u8>, DocumentsError> {
                match self { $($held => $to.read(document).await),+ }
            }

            async fn publish(
                &self,
                expected: Option<Revision>,
                shards: BTreeMap<ShardName, Vec<u8>>,
                change: Change,
            ) -> Result<Revision, DocumentsError> {
                match self { $($held => $to.publish(expected, shards, change).await),+ }
            }

            async fn collect(&self, unused_for: Duration) -> Result<usize, DocumentsError> {
                match self { $($held => $to.collect(unused_for).await),+ }
            }

            fn watch_root(&self) -> watch::Receiver<Option<Revision>> {
                match self { $($held => $to.watch_root()),+ }
            }
        }
    };
}

/// The same for [`Sessions`].
macro_rules! pass_sessions_on {
    ($type:ty, $to:ident: $($held:pat),+) => {
        impl Sessions for $type {
            async fn open_session(&self, name: &str, ttl: Duration) -> Result<SessionId, SessionsError> {
                match self { $($held => $to.open_session(name, ttl).await),+ }
            }

            async fn keep_alive(&self, session: SessionId) -> Result<(), SessionsError> {
                match self { $($held => $to.keep_alive(session).await),+ }
            }

            async fn close_session(&self, session: SessionId) -> Result<(), SessionsError> {
                match self { $($held => $to.close_session(session).await),+ }
            }

            async fn sessions(&self) -> Result<Vec<SessionInfo>, SessionsError> {
                match self { $($held => $to.sessions().await),+ }
            }

            async fn acquire(&self, session: SessionId, name: &str) -> Result<Lease, SessionsError> {
                match self { $($held => $to.acquire(session, name).await),+ }
            }

            async fn release(&self, session: SessionId, name: &str) -> Result<(), SessionsError> {
                match self { $($held => $to.release(session, name).await),+ }
            }

            async fn holder(&self, name: &str) -> Result<Option<Lease>, SessionsError> {
                match self { $($held => $to.holder(name).await),+ }
            }

            async fn expire(&self) -> Result<Option<Duration>, SessionsError> {
                match self { $($held => $to.expire().await),+ }
            }

            fn watch_sessions(&self) -> watch::Receiver<u64> {
                match self { $($held => $to.watch_sessions()),+ }
            }
        }
    };
}

/// The same for [`AddressFeed`].
macro_rules! pass_addresses_on {
    ($type:ty, $to:ident: $($held:pat),+) => {
        impl AddressFeed for $type {
            async fn announce(&self, owner: HostId, records: Vec<AddressRecord>) -> Result<(), FeedError> {
                match self { $($held => $to.announce(owner, records).await),+ }
            }

            async fn withdraw(&self, owner: HostId) -> Result<(), FeedError> {
                match self { $($held => $to.withdraw(owner).await),+ }
            }

            async fn follow(&self, segment: SegmentId) -> Result<Following, FeedError> {
                match self { $($held => $to.follow(segment).await),+ }
            }
        }
    };
}

/// The same for [`Journal`].
macro_rules! pass_journal_on {
    ($type:ty, $to:ident: $($held:pat),+) => {
        impl Journal for $type {
            async fn append(&self, entries: Vec<NewEntry>) -> Result<Vec<EntryId>, JournalError> {
                match self { $($held => $to.append(entries).await),+ }
            }

            async fn query(&self, query: Query) -> Result<Vec<JournalEntry>, JournalError> {
                match self { $($held => $to.query(query).await),+ }
            }

            async fn trim(&self, now: WallTime) -> Result<usize, JournalError> {
                match self { $($held => $to.trim(now).await),+ }
            }
        }
    };
}

/// The same for [`Local`].
macro_rules! pass_local_on {
    ($type:ty, $to:ident: $($held:pat),+) => {
        impl Local for $type {
            async fn save(&self, key: &str, value: Vec<u8>) -> Result<(), LocalError> {
                match self { $($held => $to.save(key, value).await),+ }
            }

            async fn load(&self, key: &str) -> Result<Option<Vec<u8>>, LocalError> {
                match self { $($held => $to.load(key).await),+ }
            }

            async fn delete(&self, key: &str) -> Result<bool, LocalError> {
                match self { $($held => $to.delete(key).await),+ }
            }

            async fn keys(&self, prefix: &str) -> Result<Vec<String>, LocalError> {
                match self { $($held => $to.keys(prefix).await),+ }
            }
        }
    };
}

pass_documents_on!(DocumentsBackend, held: Self::Memory(held), Self::Embedded(held));
pass_sessions_on!(SessionsBackend, held: Self::Process(held));
pass_addresses_on!(AddressBackend, held: Self::Process(held));
pass_journal_on!(JournalBackend, held: Self::Memory(held), Self::Embedded(held));
pass_local_on!(LocalBackend, held: Self::Memory(held), Self::Embedded(held));

pass_documents_on!(Store, held: Self { documents: held, .. });
pass_sessions_on!(Store, held: Self { sessions: held, .. });
pass_addresses_on!(Store, held: Self { addresses: held, .. });
pass_journal_on!(Store, held: Self { journal: held, .. });
pass_local_on!(Store, held: Self { local: held, .. });

//! The backend that a configuration asks for, chosen at run time.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;

use crate::addresses::feed::Following;
use crate::addresses::record::{AddressRecord, HostId, SegmentId};
use crate::addresses::{AddressFeed, FeedError};
use crate::clock::WallTime;
use crate::documents::revision::{Change, Revision, RevisionInfo, Root};
use crate::documents::shard::{ShardId, ShardName};
use crate::documents::{Documents, DocumentsError};
use crate::embedded::Embedded;
use crate::journal::entry::{Entry, EntryId, NewEntry, Query};
use crate::journal::{Journal, JournalError};
use crate::local::{Local, LocalError};
use crate::memory::Memory;
use crate::sessions::lease::{Lease, SessionId, SessionInfo};
use crate::sessions::{Sessions, SessionsError};

/// One of the backends. Implements every trait by passing the call on.
#[derive(Debug)]
pub enum Store {
    /// Ends with the process.
    Memory(Memory),
    /// A file in a state directory.
    Embedded(Embedded),
}

/// Passes a call on to whichever backend it is; `.await`s it if the method is async.
macro_rules! pass_on {
    ($self:ident, $method:ident($($argument:expr),*)) => {
        match $self {
            Self::Memory(store) => store.$method($($argument),*),
            Self::Embedded(store) => store.$method($($argument),*),
        }
    };
    (async $self:ident, $method:ident($($argument:expr),*)) => {
        match $self {
            Self::Memory(store) => store.$method($($argument),*).await,
            Self::Embedded(store) => store.$method($($argument),*).await,
        }
    };
}

impl Documents for Store {
    async fn root(&self) -> Result<Option<Root>, DocumentsError> {
        pass_on!(async self, root())
    }

    async fn revisions(&self) -> Result<Vec<RevisionInfo>, DocumentsError> {
        pass_on!(async self, revisions())
    }

    async fn root_of(&self, revision: Revision) -> Result<Option<Root>, DocumentsError> {
        pass_on!(async self, root_of(revision))
    }

    async fn read(&self, document: ShardId) -> Result<Vec<u8>, DocumentsError> {
        pass_on!(async self, read(document))
    }

    async fn publish(
        &self,
        expected: Option<Revision>,
        shards: BTreeMap<ShardName, Vec<u8>>,
        change: Change,
    ) -> Result<Revision, DocumentsError> {
        pass_on!(async self, publish(expected, shards, change))
    }

    async fn collect(&self, unused_for: Duration) -> Result<usize, DocumentsError> {
        pass_on!(async self, collect(unused_for))
    }

    fn watch_root(&self) -> watch::Receiver<Option<Revision>> {
        pass_on!(self, watch_root())
    }
}

impl Sessions for Store {
    async fn open_session(&self, name: &str, ttl: Duration) -> Result<SessionId, SessionsError> {
        pass_on!(async self, open_session(name, ttl))
    }

    async fn keep_alive(&self, session: SessionId) -> Result<(), SessionsError> {
        pass_on!(async self, keep_alive(session))
    }

    async fn close_session(&self, session: SessionId) -> Result<(), SessionsError> {
        pass_on!(async self, close_session(session))
    }

    async fn sessions(&self) -> Result<Vec<SessionInfo>, SessionsError> {
        pass_on!(async self, sessions())
    }

    async fn acquire(&self, session: SessionId, name: &str) -> Result<Lease, SessionsError> {
        pass_on!(async self, acquire(session, name))
    }

    async fn release(&self, session: SessionId, name: &str) -> Result<(), SessionsError> {
        pass_on!(async self, release(session, name))
    }

    async fn holder(&self, name: &str) -> Result<Option<Lease>, SessionsError> {
        pass_on!(async self, holder(name))
    }

    async fn expire(&self) -> Result<Option<Duration>, SessionsError> {
        pass_on!(async self, expire())
    }

    fn watch_sessions(&self) -> watch::Receiver<u64> {
        pass_on!(self, watch_sessions())
    }
}

impl AddressFeed for Store {
    async fn announce(&self, owner: HostId, records: Vec<AddressRecord>) -> Result<(), FeedError> {
        pass_on!(async self, announce(owner, records))
    }

    async fn withdraw(&self, owner: HostId) -> Result<usize, FeedError> {
        pass_on!(async self, withdraw(owner))
    }

    async fn follow(&self, segment: SegmentId) -> Result<Following, FeedError> {
        pass_on!(async self, follow(segment))
    }
}

impl Journal for Store {
    async fn append(&self, entries: Vec<NewEntry>) -> Result<Vec<EntryId>, JournalError> {
        pass_on!(async self, append(entries))
    }

    async fn query(&self, query: Query) -> Result<Vec<Entry>, JournalError> {
        pass_on!(async self, query(query))
    }

    async fn trim(&self, now: WallTime) -> Result<usize, JournalError> {
        pass_on!(async self, trim(now))
    }
}

impl Local for Store {
    async fn save(&self, key: &str, value: Vec<u8>) -> Result<(), LocalError> {
        pass_on!(async self, save(key, value))
    }

    async fn load(&self, key: &str) -> Result<Option<Vec<u8>>, LocalError> {
        pass_on!(async self, load(key))
    }

    async fn delete(&self, key: &str) -> Result<bool, LocalError> {
        pass_on!(async self, delete(key))
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<String>, LocalError> {
        pass_on!(async self, keys(prefix))
    }
}

//! [`Sessions`] and [`AddressFeed`] of an embedded store: in memory, because they end with the process.

use std::time::Duration;

use tokio::sync::watch;

use crate::addresses::feed::Following;
use crate::addresses::record::{AddressRecord, HostId, SegmentId};
use crate::addresses::{AddressFeed, FeedError};
use crate::embedded::Embedded;
use crate::sessions::lease::{Lease, SessionId, SessionInfo};
use crate::sessions::{Sessions, SessionsError};

impl Sessions for Embedded {
    async fn open_session(&self, name: &str, ttl: Duration) -> Result<SessionId, SessionsError> {
        self.sessions.open(name, ttl)
    }

    async fn keep_alive(&self, session: SessionId) -> Result<(), SessionsError> {
        self.sessions.keep_alive(session)
    }

    async fn close_session(&self, session: SessionId) -> Result<(), SessionsError> {
        self.sessions.close(session);
        Ok(())
    }

    async fn sessions(&self) -> Result<Vec<SessionInfo>, SessionsError> {
        Ok(self.sessions.sessions())
    }

    async fn acquire(&self, session: SessionId, name: &str) -> Result<Lease, SessionsError> {
        self.sessions.acquire(session, name)
    }

    async fn release(&self, session: SessionId, name: &str) -> Result<(), SessionsError> {
        self.sessions.release(session, name);
        Ok(())
    }

    async fn holder(&self, name: &str) -> Result<Option<Lease>, SessionsError> {
        Ok(self.sessions.holder(name))
    }

    async fn expire(&self) -> Result<Option<Duration>, SessionsError> {
        Ok(self.sessions.expire())
    }

    fn watch_sessions(&self) -> watch::Receiver<u64> {
        self.sessions.watch()
    }
}

impl AddressFeed for Embedded {
    async fn announce(&self, owner: HostId, records: Vec<AddressRecord>) -> Result<(), FeedError> {
        self.feed.announce(owner, records)
    }

    async fn withdraw(&self, owner: HostId) -> Result<usize, FeedError> {
        Ok(self.feed.withdraw(owner))
    }

    async fn follow(&self, segment: SegmentId) -> Result<Following, FeedError> {
        Ok(self.feed.follow(segment))
    }
}

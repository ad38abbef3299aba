//! The table of sessions behind a lock, with a clock and watchers: what backends of one process use.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::sessions::lease::{Lease, SessionId, SessionInfo};
use crate::sessions::table::SessionTable;
use crate::sessions::{Sessions, SessionsError};

/// Sessions of one process. They end with it, as the sessions of a server end with their connection.
#[derive(Debug)]
pub struct ProcessSessions {
    clock: Arc<dyn Clock>,
    table: Mutex<SessionTable>,
    changes: watch::Sender<u64>,
}

impl ProcessSessions {
    /// No sessions; those to come, and the tokens of their leases, have numbers after `last_number`.
    pub fn new(clock: Arc<dyn Clock>, last_number: u64) -> Self {
        Self { clock, table: Mutex::new(SessionTable::new(last_number)), changes: watch::Sender::new(0) }
    }

    /// Runs `step` at one moment, then tells watchers if it changed anything.
    fn with<T>(&self, step: impl FnOnce(&mut SessionTable, Duration) -> T) -> T {
        // A panic under this lock leaves the table as a failed step left it, which every step tolerates.
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let done = step(&mut table, self.clock.now());
        let changes = table.changes();
        self.changes.send_if_modified(|seen| std::mem::replace(seen, changes) != changes);
        done
    }
}

impl Sessions for ProcessSessions {
    async fn open_session(&self, name: &str, ttl: Duration) -> Result<SessionId, SessionsError> {
        self.with(|table, now| table.open(now, name, ttl))
    }

    async fn keep_alive(&self, session: SessionId) -> Result<(), SessionsError> {
        self.with(|table, now| table.keep_alive(now, session))
    }

    async fn say(&self, session: SessionId, word: String) -> Result<(), SessionsError> {
        self.with(|table, now| table.say(now, session, word))
    }

    async fn close_session(&self, session: SessionId) -> Result<(), SessionsError> {
        self.with(|table, _| table.end(session));
        Ok(())
    }

    async fn sessions(&self) -> Result<Vec<SessionInfo>, SessionsError> {
        Ok(self.with(SessionTable::sessions))
    }

    async fn session_named(&self, name: &str) -> Result<Option<SessionInfo>, SessionsError> {
        Ok(self.with(|table, now| table.session_named(now, name)))
    }

    async fn acquire(&self, session: SessionId, name: &str) -> Result<Lease, SessionsError> {
        self.with(|table, now| table.acquire(now, session, name))
    }

    async fn release(&self, session: SessionId, name: &str) -> Result<(), SessionsError> {
        self.with(|table, _| table.release(session, name));
        Ok(())
    }

    async fn holder(&self, name: &str) -> Result<Option<Lease>, SessionsError> {
        Ok(self.with(|table, now| table.holder(now, name)))
    }

    async fn expire(&self) -> Result<Option<Duration>, SessionsError> {
        Ok(self.with(SessionTable::expire))
    }

    fn watch_sessions(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

//! The table of sessions behind a lock, with a clock and watchers: what backends of one process use.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::sessions::SessionsError;
use crate::sessions::lease::{Lease, SessionId, SessionInfo};
use crate::sessions::table::SessionTable;

/// Sessions of one process. They end with it, as the sessions of a server end with their connection.
#[derive(Debug)]
pub(crate) struct SessionBook {
    clock: Arc<dyn Clock>,
    table: Mutex<SessionTable>,
    changes: watch::Sender<u64>,
}

impl SessionBook {
    pub(crate) fn new(clock: Arc<dyn Clock>, last_number: u64) -> Self {
        Self { clock, table: Mutex::new(SessionTable::new(last_number)), changes: watch::Sender::new(0) }
    }

    pub(crate) fn open(&self, name: &str, ttl: Duration) -> Result<SessionId, SessionsError> {
        self.with(|table, now| table.open(now, name, ttl))
    }

    pub(crate) fn keep_alive(&self, id: SessionId) -> Result<(), SessionsError> {
        self.with(|table, now| table.keep_alive(now, id))
    }

    pub(crate) fn close(&self, id: SessionId) {
        self.with(|table, _| table.end(id));
    }

    pub(crate) fn sessions(&self) -> Vec<SessionInfo> {
        self.with(SessionTable::sessions)
    }

    pub(crate) fn acquire(&self, id: SessionId, name: &str) -> Result<Lease, SessionsError> {
        self.with(|table, now| table.acquire(now, id, name))
    }

    pub(crate) fn release(&self, id: SessionId, name: &str) {
        self.with(|table, _| table.release(id, name));
    }

    pub(crate) fn holder(&self, name: &str) -> Option<Lease> {
        self.with(|table, now| table.holder(now, name))
    }

    pub(crate) fn expire(&self) -> Option<Duration> {
        self.with(SessionTable::expire)
    }

    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
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

//! What one process asks of the servers: counted, since a thousand of them ask the same three.

use std::sync::atomic::{AtomicU64, Ordering};

/// Calls and bytes since the process began.
#[derive(Debug, Default)]
pub struct Costs {
    pub(super) questions: AtomicU64,
    pub(super) changes: AtomicU64,
    pub(super) watches: AtomicU64,
    pub(super) unanswered: AtomicU64,
    bytes_written: AtomicU64,
    bytes_read: AtomicU64,
}

impl Costs {
    /// Each count with its name: questions that were asked (`read`), changes (`write`), questions of the first that left a watch behind
    /// (`watch`), and calls that no server answered in time (`unanswered`).
    pub fn calls(&self) -> [(&'static str, u64); 4] {
        [
            ("read", count(&self.questions)),
            ("write", count(&self.changes)),
            ("watch", count(&self.watches)),
            ("unanswered", count(&self.unanswered)),
        ]
    }

    /// Bytes of nodes that were read and written, names and headers not among them.
    pub fn bytes(&self) -> [(&'static str, u64); 2] {
        [("read", count(&self.bytes_read)), ("write", count(&self.bytes_written))]
    }

    pub(super) fn note_change(&self, content: &[u8]) {
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.bytes_written.fetch_add(content.len() as u64, Ordering::Relaxed);
    }

    pub(super) fn noted_answer(&self, content: Vec<u8>) -> Vec<u8> {
        self.bytes_read.fetch_add(content.len() as u64, Ordering::Relaxed);
        content
    }
}

fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

//! The engine's clock and tokio's, told from one another, and when they were read last.

use tokio::time::Instant as TokioInstant;
use vlan::time::Instant;

use crate::clock;

/// Both clocks. They run alike, so that to read one is enough: each reading may be a system call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clocks {
    /// One moment, as both tell it.
    epoch: (TokioInstant, Instant),
    /// When one was read last.
    looked_at: TokioInstant,
    /// Nothing has been waited for since then.
    has_just_looked: bool,
}

impl Clocks {
    pub(super) fn new() -> Clocks {
        let tokio = TokioInstant::now();
        Clocks { epoch: (tokio, clock::now()), looked_at: tokio, has_just_looked: false }
    }

    /// What the engine's clock says now.
    pub(super) fn read(&mut self) -> Instant {
        let now = clock::now();
        (self.looked_at, self.has_just_looked) = (self.to_tokio(now), true);
        now
    }

    /// Before something is waited for: what tokio's clock says, or said a moment ago.
    pub(super) fn look(&mut self) -> TokioInstant {
        if !std::mem::take(&mut self.has_just_looked) {
            self.looked_at = TokioInstant::now();
        }
        self.looked_at
    }

    /// When one of them was read last.
    pub(super) fn looked_at(&self) -> TokioInstant {
        self.looked_at
    }

    pub(super) fn to_tokio(self, at: Instant) -> TokioInstant {
        self.epoch.0 + at.since(self.epoch.1)
    }
}

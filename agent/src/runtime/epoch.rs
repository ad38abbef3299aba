//! The engine's clock and tokio's, told from one another.

use tokio::time::Instant as TokioInstant;
use vlan::time::Instant;

use crate::clock;

/// One moment as both clocks tell it. They run alike, so that to read one is enough: each reading may be a system call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Epoch {
    tokio: TokioInstant,
    clock: Instant,
}

impl Epoch {
    pub(super) fn now() -> Epoch {
        Epoch { tokio: TokioInstant::now(), clock: clock::now() }
    }

    pub(super) fn to_tokio(self, at: Instant) -> TokioInstant {
        self.tokio + at.since(self.clock)
    }
}

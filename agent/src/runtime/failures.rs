//! How often in a row the datapath could not be read, and whether it is to be opened anew.

use datapath::{Refusal, RefusalCause};
use tracing::warn;

/// What went wrong since it was read last.
#[derive(Debug, Default)]
pub(super) struct Failures {
    is_gone: bool,
    /// How often in a row upcalls could not be read.
    upcalls: u32,
    /// How often in a row the rest could not be read.
    rest: u32,
}

impl Failures {
    /// Whether it is to be opened anew.
    pub(super) fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// Upcalls could be read.
    pub(super) fn note_upcalls(&mut self) {
        self.upcalls = 0;
    }

    /// Upcalls could not be read.
    pub(super) fn note_no_upcalls(&mut self, refusal: &Refusal) {
        self.upcalls += 1;
        self.note(refusal, self.upcalls);
    }

    /// The rest could be read.
    pub(super) fn note_rest(&mut self) {
        self.rest = 0;
    }

    /// The rest could not be read.
    pub(super) fn note_no_rest(&mut self, refusal: &Refusal) {
        self.rest += 1;
        self.note(refusal, self.rest);
    }

    /// It was opened anew.
    pub(super) fn note_opened(&mut self) {
        (self.is_gone, self.upcalls) = (false, 0);
    }

    /// Sockets that fail again and again, whatever the reason, are no better than a datapath that is gone: both are opened anew.
    fn note(&mut self, refusal: &Refusal, in_a_row: u32) {
        self.is_gone |= is_gone(refusal) || in_a_row >= FAILURES_IN_A_ROW;
        warn!(%refusal, in_a_row, "the datapath cannot be read");
    }
}

/// Whether the datapath is ours no longer, and is to be opened again.
fn is_gone(refusal: &Refusal) -> bool {
    matches!(refusal.cause, RefusalCause::DatapathGone | RefusalCause::TakenOver)
}

/// About a second of them.
const FAILURES_IN_A_ROW: u32 = 5;

//! Why an address is not learned where it was seen.

use crate::model::id::Location;
use crate::time::Instant;
use crate::verdict::DropReason;

/// Why an address was not learned though its frame goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotLearned {
    /// Its slot is full.
    AtLimit {
        /// Where it was known to be: it is there no longer, and is known nowhere now.
        forgotten: Option<Location>,
    },
    /// It left the host from which its frame comes less than a second ago (behaviour.md 8).
    JustLeft,
    /// Frames of the host that it comes from have said too much within a second (behaviour.md 8).
    TooManyHints,
    /// It is all zeros.
    Zero,
    /// It is a group address, which no station has (802-2014 8.2.2).
    Group,
}

/// Why an address was not believed to be where it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It is declared elsewhere, or sticks there.
    Pinned {
        /// Where.
        at: Location,
    },
    /// It is frozen elsewhere after too many moves.
    Frozen {
        /// Where it is kept.
        at: Location,
        /// When it thaws.
        until: Instant,
    },
    /// We sent a frame with this source into the fabric that it comes back from.
    Reflected {
        /// Where the address is.
        at: Location,
    },
    /// It is known elsewhere, and the port it was heard at is sticky.
    Elsewhere {
        /// Where it is known to be.
        at: Location,
    },
    /// Its slot is full and `on-limit` is `drop`.
    AtLimitDrop,
}

impl Refused {
    /// The reason that the frame's drop is counted by.
    pub fn reason(self) -> DropReason {
        match self {
            Refused::Pinned { .. } => DropReason::Pinned,
            Refused::Frozen { .. } => DropReason::Frozen,
            Refused::Reflected { .. } => DropReason::Reflected,
            Refused::Elsewhere { .. } => DropReason::Sticky,
            Refused::AtLimitDrop => DropReason::AddressLimit,
        }
    }
}

//! An address that turns up somewhere.

use std::time::Duration;

use super::entry::Kind;
use super::{Learn, Slot};
use crate::model::id::Location;

/// Where an address turns up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub(super) location: Location,
    pub(super) kind: Kind,
    pub(super) slot: Option<Slot>,
    pub(super) ageing: Duration,
    pub(super) is_hint: bool,
}

impl Arrival {
    pub(super) fn new(learn: &Learn) -> Arrival {
        Arrival {
            location: learn.location,
            kind: Kind::Dynamic,
            slot: Some(Slot::of(learn.location)),
            ageing: learn.policy.ageing,
            is_hint: learn.is_hint,
        }
    }

    pub(super) fn remote(location: Location) -> Arrival {
        Arrival { location, kind: Kind::Remote, slot: None, ageing: Duration::ZERO, is_hint: false }
    }

    /// Whether the address comes from another port, trunk group or host: from one VLAN of these to another is no move.
    pub(super) fn is_move_from(&self, at: Location) -> bool {
        Slot::of(at) != Slot::of(self.location)
    }
}

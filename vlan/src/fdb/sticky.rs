//! Ports to which the addresses heard first are pinned (behaviour.md 4).
//!
//! How many, and that further ones are dropped, is the limit of the port: see [`LearnPolicy`](super::LearnPolicy). They never age, which
//! is the port's ageing time. What is left is here: a sticky address goes to no other port, and none comes to a sticky port from
//! elsewhere. The addresses stay dynamic: counted by their slot, saved over a restart, and gone when the slot is flushed.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::refusal::Refused;
use super::{Fdb, Slot};
use crate::model::id::{Location, PortId};

impl Fdb {
    /// Says which ports are sticky; all others are not. What is learned behind one is pinned from here on, and what was is no longer.
    /// Limits are not enforced: see [`Fdb::trim`].
    pub fn set_sticky(&mut self, ports: BTreeSet<PortId>) {
        self.sticky = Arc::new(ports);
        // No address goes back by a freeze to where it would have to make room.
        self.moves.retain_stays(|stay| !is_of(&self.sticky, stay.location));
    }

    /// Whether what is learned at a location is pinned.
    pub fn is_sticky(&self, location: Location) -> bool {
        is_of(&self.sticky, location)
    }

    /// Why an address that is alive at one location, and neither declared nor frozen there, is not to be heard at another: from one VLAN
    /// of a port to another it goes as it likes.
    pub(super) fn sticks_apart(&self, at: Location, seen: Location) -> Option<Refused> {
        if self.sticky.is_empty() || Slot::of(at).is_some_and(|slot| Slot::of(seen) == Some(slot)) {
            return None;
        }
        match (self.is_sticky(at), self.is_sticky(seen)) {
            (true, _) => Some(Refused::Pinned { at }),
            (false, true) => Some(Refused::Elsewhere { at }),
            (false, false) => None,
        }
    }

    /// Whether as many addresses stick to a port as may. From then on frames of which nothing is learned, such as control frames, are
    /// dropped there too, unless their source sticks.
    pub fn is_stuck_full(&self, port: PortId) -> bool {
        self.sticky.contains(&port) && self.queues.is_full(Slot::Port(port))
    }

    /// Why an address that is known nowhere is not to be heard at a location.
    pub(super) fn has_no_room(&self, seen: Location) -> Option<Refused> {
        let is_full = matches!(seen, Location::Port { port, .. } if self.is_stuck_full(port));
        is_full.then_some(Refused::AtLimitDrop)
    }
}

fn is_of(sticky: &BTreeSet<PortId>, location: Location) -> bool {
    matches!(location, Location::Port { port, .. } if sticky.contains(&port))
}

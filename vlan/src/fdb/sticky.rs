//! Ports to which the addresses heard first are pinned (behaviour.md 4).
//!
//! How many, and that further ones are dropped, is the limit of the port: see [`LearnPolicy`](super::LearnPolicy). They never age, which
//! is the port's ageing time. What is left is here: a sticky address goes to no other port, and none comes to a sticky port from
//! elsewhere. The addresses stay dynamic: counted by their slot, saved over a restart, and gone when the slot is flushed.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Slot;
use super::refusal::Refused;
use crate::model::id::{Location, PortId};

/// Which ports are sticky; none at first.
#[derive(Debug, Clone, Default)]
pub struct Sticky(Arc<BTreeSet<PortId>>);

impl Sticky {
    pub(super) fn new(ports: BTreeSet<PortId>) -> Sticky {
        Sticky(Arc::new(ports))
    }

    /// Whether what is learned at a location is pinned.
    pub fn pins(&self, location: Location) -> bool {
        matches!(location, Location::Port { port, .. } if self.has(port))
    }

    pub(super) fn has(&self, port: PortId) -> bool {
        self.0.contains(&port)
    }

    /// Why an address that is alive at one location, and neither declared nor frozen there, is not to be heard at another: from one VLAN
    /// of a port to another it goes as it likes.
    pub(super) fn keeps_apart(&self, at: Location, seen: Location) -> Option<Refused> {
        if self.0.is_empty() || Slot::of(at) == Slot::of(seen) {
            return None;
        }
        match (self.pins(at), self.pins(seen)) {
            (true, _) => Some(Refused::Pinned { at }),
            (false, true) => Some(Refused::Elsewhere { at }),
            (false, false) => None,
        }
    }
}

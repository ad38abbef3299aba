//! Addresses that may not move until they thaw. They are in no queue, so they are neither aged nor evicted, but their slot counts them.

use std::collections::BTreeSet;
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::Slot;
use super::place::Place;
use crate::time::Instant;

/// The frozen addresses.
#[derive(Debug, Clone, Default)]
pub(super) struct Frozen {
    of: FxHashMap<Place, Freeze>,
    /// By when they thaw.
    thaws: BTreeSet<(Instant, Place)>,
}

impl Frozen {
    pub(super) fn put(&mut self, place: Place, freeze: Freeze) {
        self.thaws.insert((freeze.until, place));
        self.of.insert(place, freeze);
    }

    pub(super) fn take(&mut self, place: Place) -> Option<Freeze> {
        let freeze = self.of.remove(&place)?;
        self.thaws.remove(&(freeze.until, place));
        Some(freeze)
    }

    /// Has an address age by another time once it has thawed.
    pub(super) fn set_ageing(&mut self, place: Place, ageing: Duration) {
        if let Some(freeze) = self.of.get_mut(&place) {
            freeze.ageing = ageing;
        }
    }

    pub(super) fn of(&self, place: Place) -> Option<&Freeze> {
        self.of.get(&place)
    }

    /// When the next one thaws, and which that is.
    pub(super) fn first(&self) -> Option<(Instant, Place)> {
        self.thaws.first().copied()
    }

    /// Those that a slot counts, by when they thaw.
    pub(super) fn in_slot(&self, slot: Slot) -> impl Iterator<Item = Place> + '_ {
        let places = self.thaws.iter().map(|(_, place)| *place);
        places.filter(move |place| self.of(*place).is_some_and(|freeze| freeze.slot == Some(slot)))
    }
}

/// Until when an address may not move, and how it is counted and ages after that.
#[derive(Debug, Clone, Copy)]
pub(super) struct Freeze {
    pub(super) until: Instant,
    pub(super) slot: Option<Slot>,
    pub(super) ageing: Duration,
}

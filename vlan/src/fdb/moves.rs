//! Where addresses have been: what is remembered of those that have moved or were claimed. Most never do.

use std::time::Duration;

use arrayvec::ArrayVec;
use rustc_hash::FxHashMap;

use super::entry::Kind;
use super::place::Place;
use super::{ECHO, Slot};
use crate::model::id::Location;
use crate::time::Instant;

/// The past of every address that has one.
#[derive(Debug, Clone, Default)]
pub(super) struct Moves {
    of: FxHashMap<Place, Moved>,
    flushes: Flushes,
}

impl Moves {
    pub(super) fn of(&self, place: Place) -> Option<&Moved> {
        self.of.get(&place)
    }

    /// How often an address has moved.
    pub(super) fn mobility(&self, place: Place) -> u64 {
        self.of(place).map_or(0, |moved| moved.mobility)
    }

    /// The past of an address, which has one from here on.
    pub(super) fn of_mut(&mut self, place: Place) -> &mut Moved {
        self.of.entry(place).or_default()
    }

    pub(super) fn forget(&mut self, place: Place) {
        self.of.remove(&place);
    }

    /// Counts no move or claim of an address until now towards a freeze.
    pub(super) fn calm(&mut self, place: Place) {
        if let Some(moved) = self.of.get_mut(&place) {
            moved.counted.clear();
        }
    }

    /// Forgets where an address was, and its moves but for how many there were.
    pub(super) fn settle(&mut self, place: Place) {
        if let Some(moved) = self.of.get_mut(&place) {
            moved.stays.clear();
            moved.counted.clear();
        }
    }

    /// Whether one more move or claim of an address is the one that freezes it.
    pub(super) fn is_last_straw(&mut self, now: Instant, place: Place) -> bool {
        let Some(moved) = self.of.get_mut(&place) else { return false };
        moved.prune(now, &self.flushes);
        moved.counted.len() + 1 >= MOVES
    }

    /// Remembers a stay as it ends.
    pub(super) fn note_stay(&mut self, now: Instant, place: Place, stay: Stay) {
        let moved = self.of.entry(place).or_default();
        moved.prune(now, &self.flushes);
        moved.note(stay);
    }

    /// Whether an address left a place so short a time ago that a frame from there may still be under way.
    pub(super) fn has_just_left(&self, now: Instant, place: Place, location: Location) -> bool {
        let stays = self.of(place).map(|moved| &moved.stays);
        let has_left = |stay: &Stay| stay.location == location && now.since(stay.left) < ECHO;
        stays.into_iter().flatten().any(|stay| has_left(stay) && !self.flushes.covers(stay))
    }

    /// Counts a move for good: see [`Entry::mobility`](super::entry::Entry::mobility).
    pub(super) fn count_move(&mut self, place: Place) {
        let moved = self.of_mut(place);
        moved.mobility = moved.mobility.saturating_add(1);
    }

    /// Never counts back: of two words the one with the higher counter is the later one.
    pub(super) fn adopt_mobility(&mut self, place: Place, mobility: u64) {
        if mobility > self.mobility(place) {
            self.of_mut(place).mobility = mobility;
        }
    }

    /// Has no address go back by a freeze to a place for which `keep` is false.
    pub(super) fn retain_stays(&mut self, mut keep: impl FnMut(&Stay) -> bool) {
        #[expect(clippy::iter_over_hash_type, reason = "each is changed by itself")]
        for moved in self.of.values_mut() {
            moved.stays.retain(&mut keep);
        }
    }

    /// A slot is flushed now: no address was there before.
    pub(super) fn note_flush(&mut self, slot: Slot) {
        self.flushes.note(slot);
    }

    /// How many flushes there have been.
    pub(super) fn flushes(&self) -> u64 {
        self.flushes.count
    }

    /// Forgets the stays that flushes cover, and the flushes: slots have other names from here on.
    pub(super) fn settle_flushes(&mut self) {
        let flushes = std::mem::take(&mut self.flushes);
        self.retain_stays(|stay| !flushes.covers(stay));
        self.flushes.count = flushes.count;
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Moved> {
        self.of.values()
    }

    /// Knows of a slot's flushes what is known of them elsewhere.
    pub(super) fn note_flush_as(&mut self, other: &Moves, slot: Slot) {
        self.flushes.note_as(&other.flushes, slot);
    }
}

/// What is kept of an address that has moved or was claimed.
#[derive(Debug, Clone, Default)]
pub(super) struct Moved {
    pub(super) mobility: u64,
    /// Where it was within [`MEMORY`] before it came where it is, in the order in which it came to each first.
    pub(super) stays: Vec<Stay>,
    /// When it moved, or was claimed, within [`WINDOW`].
    pub(super) counted: ArrayVec<Instant, MOVES>,
    /// When it was last claimed, of the claims that count.
    pub(super) claimed: Option<Instant>,
}

impl Moved {
    fn prune(&mut self, now: Instant, flushes: &Flushes) {
        self.counted.retain(|at| now.since(*at) <= WINDOW);
        self.stays.retain(|stay| now.since(stay.left) <= MEMORY && !flushes.covers(stay));
    }

    pub(super) fn count(&mut self, now: Instant) {
        if self.counted.is_full() {
            self.counted.remove(0);
        }
        self.counted.push(now);
    }

    /// Adds a stay to those at the same place. Where there are too many places, the shortest is forgotten, the first one last.
    fn note(&mut self, stay: Stay) {
        if let Some(known) = self.stays.iter_mut().find(|known| known.location == stay.location) {
            *known = Stay { lasted: (known.lasted + stay.lasted).min(MEMORY), ..stay };
            return;
        }
        if self.stays.len() >= PLACES {
            let later = self.stays.iter().enumerate().skip(1);
            if let Some((shortest, _)) = later.min_by_key(|(_, stay)| stay.lasted) {
                self.stays.remove(shortest);
            }
        }
        self.stays.push(stay);
    }

    /// The place where it was longest, if that is longer than it has been `here`; of two equals the earlier place.
    pub(super) fn longest(&self, here: Stay) -> Stay {
        let mut places = self.clone();
        places.note(here);
        let mut best = places.stays[0];
        for stay in &places.stays {
            if stay.lasted > best.lasted {
                best = *stay;
            }
        }
        best
    }
}

/// Slots that were flushed, and when, so that no address is found a home at a port that was down since: without a look at every address
/// that ever moved.
#[derive(Debug, Clone, Default)]
struct Flushes {
    /// All there were so far.
    count: u64,
    of: FxHashMap<Slot, u64>,
}

impl Flushes {
    fn note(&mut self, slot: Slot) {
        self.count += 1;
        self.of.insert(slot, self.count);
    }

    fn note_as(&mut self, other: &Flushes, slot: Slot) {
        self.count = other.count;
        self.of.extend(other.of.get(&slot).map(|flushed| (slot, *flushed)));
    }

    /// Whether the place of a stay was flushed since.
    fn covers(&self, stay: &Stay) -> bool {
        let flushed = stay.slot.and_then(|slot| self.of.get(&slot));
        flushed.is_some_and(|flushed| stay.noted < *flushed)
    }
}

/// The time that an address has spent at a place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stay {
    pub(super) location: Location,
    pub(super) kind: Kind,
    pub(super) slot: Option<Slot>,
    pub(super) ageing: Duration,
    /// The limit of the slot, which may be forgotten with the slot's last address.
    pub(super) limit: Option<u32>,
    /// How long, stays of less than [`LEAST_STAY`] left out.
    pub(super) lasted: Duration,
    pub(super) left: Instant,
    /// How many flushes there had been when it was noted.
    pub(super) noted: u64,
}

/// Moves that freeze an address (RFC 7432 15.1).
pub(super) const MOVES: usize = 5;
/// The time in which they count (RFC 7432 15.1).
pub(super) const WINDOW: Duration = Duration::from_secs(180);
/// How long it is remembered where an address was.
pub(super) const MEMORY: Duration = Duration::from_secs(24 * 60 * 60);
/// A shorter stay is none: a frame that flies around a loop is everywhere for a moment.
pub(super) const LEAST_STAY: Duration = Duration::from_secs(1);
/// Most places of one address that are remembered besides the one where it is.
pub(super) const PLACES: usize = 8;

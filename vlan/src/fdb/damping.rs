//! Moves and their damping.
//!
//! An address that is in two places at once, by a loop, a copied VM or a thief, moves with every frame, and with it every flow that
//! leads to it. At the fifth move or claim in 180 s (RFC 7432 15.1: N = 5, M = 180 s) it is *frozen* for 300 s where it was longest in
//! the last 24 h, which is where it most likely belongs; a declared address never gets that far. A move is from one port, trunk group
//! or host to another; from one VLAN of a trunk group to another on the same segment is none. A *claim* is a frame that does not move
//! the address, but says that it is elsewhere too: our own, come back. Claims within a second of one that counts are part of it: a loop outside makes thousands of one frame.
//!
//! A stay of less than a second is none: an address that flies around a loop from its first frame on is held where it was heard
//! first.

use std::time::Duration;

use arrayvec::ArrayVec;
use rustc_hash::FxHashMap;

use super::entry::{Gone, Kind};
use super::key::Key;
use super::place::Place;
use super::{ECHO, Fdb, Learn, Learned, Slot};
use crate::addr::MacAddr;
use crate::model::id::{Location, SegmentId};
use crate::time::Instant;

/// What is kept of an address that has moved or was claimed.
#[derive(Debug, Clone, Default)]
pub(super) struct Moved {
    pub(super) mobility: u64,
    /// Where it was within [`MEMORY`] before it came where it is, in the order in which it came to each first.
    pub(super) stays: Vec<Stay>,
    /// When it moved, or was claimed, within [`WINDOW`].
    pub(super) counted: ArrayVec<Instant, MOVES>,
    /// When it was last claimed, of the claims that count.
    claimed: Option<Instant>,
    pub(super) freeze: Option<Freeze>,
}

impl Moved {
    fn prune(&mut self, now: Instant, flushes: &Flushes) {
        self.counted.retain(|at| now.since(*at) <= WINDOW);
        self.stays.retain(|stay| now.since(stay.left) <= MEMORY && !flushes.covers(stay));
    }

    fn count(&mut self, now: Instant) {
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
    fn longest(&self, here: Stay) -> Stay {
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
pub(super) struct Flushes {
    /// All there were so far.
    count: u64,
    of: FxHashMap<Slot, u64>,
}

impl Flushes {
    /// A slot is flushed now.
    pub(super) fn note(&mut self, slot: Slot) {
        self.count += 1;
        self.of.insert(slot, self.count);
    }

    /// Forgets all: slots have other names from here on.
    pub(super) fn clear(&mut self) {
        self.of.clear();
    }

    /// Knows of a slot what is known of it elsewhere.
    pub(super) fn note_as(&mut self, other: &Flushes, slot: Slot) {
        self.count = other.count;
        self.of.extend(other.of.get(&slot).map(|flushed| (slot, *flushed)));
    }

    /// Whether the place of a stay was flushed since.
    pub(super) fn covers(&self, stay: &Stay) -> bool {
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
    limit: Option<u32>,
    /// How long, stays of less than [`LEAST_STAY`] left out.
    lasted: Duration,
    left: Instant,
    /// How many flushes there had been when it was noted.
    noted: u64,
}

/// An address that may not move. It is in no queue, so it is neither aged nor evicted, but its slot counts it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Freeze {
    pub(super) until: Instant,
    pub(super) slot: Option<Slot>,
    pub(super) ageing: Duration,
}

/// Where an address turns up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub(super) location: Location,
    pub(super) kind: Kind,
    pub(super) slot: Option<Slot>,
    pub(super) ageing: Duration,
}

impl Arrival {
    pub(super) fn new(learn: &Learn) -> Arrival {
        Arrival {
            location: learn.location,
            kind: Kind::Dynamic,
            slot: Some(learn.policy.slot_at(learn.location)),
            ageing: learn.policy.ageing,
        }
    }

    pub(super) fn remote(location: Location) -> Arrival {
        Arrival { location, kind: Kind::Remote, slot: None, ageing: Duration::ZERO }
    }
}

impl Fdb {
    /// Lets a frozen address move again, as an operator may ask. False if it is not frozen.
    pub fn thaw(&mut self, segment: SegmentId, mac: MacAddr) -> bool {
        let Some(place) = self.table.find(Key::new(segment, mac)) else { return false };
        let is_frozen = self.moved_of(place).is_some_and(|moved| moved.freeze.is_some());
        if is_frozen {
            self.release(place);
        }
        is_frozen
    }

    /// Ends a freeze; the address ages and is counted as before.
    pub(super) fn release(&mut self, place: Place) {
        let Some(freeze) = self.moved.get_mut(&place).and_then(|moved| moved.freeze.take()) else { return };
        self.frozen.remove(&(freeze.until, place));
        self.counters.thawed += 1;
        if let Some(slot) = freeze.slot {
            self.queues.link(&mut self.table, place, slot, freeze.ageing);
        }
    }

    pub(super) fn is_other_group(&self, place: Place, arrival: &Arrival) -> bool {
        let at = self.table[place].location;
        at != arrival.location && (Slot::of(at).is_none() || Slot::of(at) != Slot::of(arrival.location))
    }

    /// Whether the move that is about to happen is the one that freezes the address.
    pub(super) fn is_one_too_many(&mut self, now: Instant, place: Place, arrival: &Arrival) -> bool {
        self.table[place].has_moved && self.is_other_group(place, arrival) && self.is_last_straw(now, place)
    }

    fn is_last_straw(&mut self, now: Instant, place: Place) -> bool {
        let Some(moved) = self.moved.get_mut(&place) else { return false };
        moved.prune(now, &self.flushes);
        moved.counted.len() + 1 >= MOVES
    }

    /// Counts that an address is claimed at `seen` though it stays where it is. Returns what became of it if that was once too often.
    /// A claim within a second of one that counts is part of that.
    pub(super) fn note_claim(&mut self, now: Instant, place: Place, seen: Location) -> Option<Learned> {
        let last = self.moved_of(place).and_then(|moved| moved.claimed);
        if last.is_some_and(|last| now.since(last) < ECHO) || self.is_settled_for_good(now, place) {
            return None;
        }
        if self.is_last_straw(now, place) {
            return Some(self.freeze(now, place, seen));
        }
        let moved = self.moved_mut(place);
        moved.count(now);
        moved.claimed = Some(now);
        None
    }

    /// Whether no claim counts against an address: it is declared or frozen, or sticks where it is.
    fn is_settled_for_good(&mut self, now: Instant, place: Place) -> bool {
        self.is_sticky(self.table[place].location) || self.fixed(now, place).is_some()
    }

    /// Whether an address came to where it is so short a time ago that it may be flying around a loop.
    pub fn is_unsettled(&self, now: Instant, segment: SegmentId, mac: MacAddr) -> bool {
        let Some(place) = self.table.find(Key::new(segment, mac)) else { return false };
        let node = &self.table[place];
        node.has_moved && node.kind == Kind::Dynamic && now.since(node.learned) < LEAST_STAY
    }

    /// Counts that a frame of an address came back to where the address is taken to be, which says that it is elsewhere. Returns what
    /// became of it if that was once too often.
    pub fn note_return(&mut self, now: Instant, segment: SegmentId, mac: MacAddr) -> Option<Learned> {
        let key = Key::new(segment, mac);
        let place = self.table.find(key).filter(|_| self.shared.places(key).is_none())?;
        if self.is_settled_for_good(now, place) {
            return None;
        }
        self.moved_mut(place);
        if self.is_last_straw(now, place) {
            let frozen = self.freeze(now, place, self.table[place].location);
            self.counters.note(&frozen);
            return Some(frozen);
        }
        self.moved_mut(place).count(now);
        None
    }

    /// Freezes an address that is seen at `seen` instead of moving it there.
    pub(super) fn freeze(&mut self, now: Instant, place: Place, seen: Location) -> Learned {
        let from = self.table[place].location;
        let here = self.stay(now, place);
        let longest = self.moved_of(place).map_or(here, |moved| moved.longest(here));
        let (home, evicted) = match self.make_room_to_return(now, place, longest.slot) {
            Ok(evicted) => (longest, evicted),
            Err(NoRoom) => (here, None),
        };
        if home.location != from {
            self.moved_mut(place).note(here);
            self.count_move(place);
        }
        self.detach(place);
        let node = &mut self.table[place];
        node.learned = if home.location == from { node.learned } else { now };
        (node.location, node.kind) = (home.location, home.kind);
        if seen == home.location {
            node.used = node.used.max(now);
        }
        self.attach(place, home.slot, home.ageing);
        if let (Some(slot), Some(limit)) = (home.slot, home.limit) {
            self.queues.set_limit(slot, self.queues.limit(slot).unwrap_or(limit));
        }
        let until = now + FREEZE;
        self.hold(place, Freeze { until, slot: home.slot, ageing: home.ageing });
        Learned::Frozen { at: home.location, from, seen, until, evicted }
    }

    /// Takes an attached address out of its queue until it thaws.
    pub(super) fn hold(&mut self, place: Place, freeze: Freeze) {
        self.queues.unlink(&mut self.table, place);
        self.frozen.insert((freeze.until, place));
        let moved = self.moved_mut(place);
        moved.counted.clear();
        moved.freeze = Some(freeze);
    }

    /// Remembers where an address was, and for how long, as it leaves.
    pub(super) fn note_stay(&mut self, now: Instant, place: Place) {
        let stay = self.stay(now, place);
        self.moved_mut(place);
        if let Some(moved) = self.moved.get_mut(&place) {
            moved.prune(now, &self.flushes);
            moved.note(stay);
        }
    }

    /// Counts a move for damping.
    pub(super) fn count_for_damping(&mut self, now: Instant, place: Place) {
        self.moved_mut(place).count(now);
    }

    fn stay(&self, now: Instant, place: Place) -> Stay {
        let node = &self.table[place];
        let slot = self.slot_of(place);
        let lasted = now.since(node.learned);
        Stay {
            location: node.location,
            kind: node.kind,
            slot,
            limit: slot.and_then(|slot| self.queues.limit(slot)),
            ageing: self.ageing_of(place),
            lasted: if lasted < LEAST_STAY { Duration::ZERO } else { lasted },
            left: now,
            noted: self.flushes.count,
        }
    }

    pub(super) fn count_move(&mut self, place: Place) {
        let moved = self.moved_mut(place);
        moved.mobility = moved.mobility.saturating_add(1);
    }

    pub(super) fn moved_mut(&mut self, place: Place) -> &mut Moved {
        self.table[place].has_moved = true;
        self.moved.entry(place).or_default()
    }

    /// The limit of the slot is the one of its last learned address; a frozen address that comes back counts like any.
    fn make_room_to_return(
        &mut self,
        now: Instant,
        place: Place,
        slot: Option<Slot>,
    ) -> Result<Option<Gone>, NoRoom> {
        let Some(slot) = slot else { return Ok(None) };
        if self.slot_of(place) == Some(slot) || !self.queues.is_full(slot) {
            return Ok(None);
        }
        let victim = self.queues.oldest(&mut self.table, now, slot).ok_or(NoRoom)?;
        Ok(Some(self.evict(now, victim)))
    }
}

/// A slot is full of frozen addresses.
struct NoRoom;

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
/// How long an address is frozen (802.1Q table 8-6's ageing time: by then switches have forgotten it).
pub(super) const FREEZE: Duration = Duration::from_secs(300);

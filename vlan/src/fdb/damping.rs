//! Moves and their damping.
//!
//! An address that is in two places at once, by a loop or a copied VM, moves with every frame, and with it every flow that
//! leads to it. At the fifth move in 180 s (RFC 7432 15.1: N = 5, M = 180 s) it is *frozen* for 300 s where it was longest,
//! which is where it most likely belongs; a declared address never gets that far. A move is from one port, trunk group or host
//! to another; from one VLAN of a trunk group to another on the same segment is none.

use std::time::Duration;

use super::entry::{Gone, Kind};
use super::key::Key;
use super::learn::slot_for;
use super::table::Place;
use super::{Fdb, Learn, Learned, Slot};
use crate::addr::MacAddr;
use crate::model::id::{Location, SegmentId};
use crate::time::Instant;

/// What is kept of an address that has moved.
#[derive(Debug, Clone, Default)]
pub(super) struct Moved {
    pub(super) mobility: u64,
    /// Where it was before its recent moves, oldest first; at most [`MOVES`].
    pub(super) stays: Vec<Stay>,
    pub(super) freeze: Option<Freeze>,
}

impl Moved {
    fn prune(&mut self, now: Instant) {
        self.stays.retain(|stay| now.since(stay.left) <= WINDOW);
    }

    /// The last stay at the place where all stays together lasted longest; of two equals the earlier place.
    fn longest(&self) -> Option<Stay> {
        let total = |at: Location| -> Duration {
            self.stays.iter().filter(|s| s.location == at).map(|s| s.left.since(s.since)).sum()
        };
        let mut best: Option<(Duration, Location)> = None;
        for stay in &self.stays {
            let lasted = total(stay.location);
            if best.is_none_or(|(longest, _)| lasted > longest) {
                best = Some((lasted, stay.location));
            }
        }
        let (_, home) = best?;
        self.stays.iter().rfind(|stay| stay.location == home).copied()
    }
}

/// A time that an address spent somewhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stay {
    pub(super) location: Location,
    pub(super) kind: Kind,
    pub(super) slot: Option<Slot>,
    pub(super) ageing: Duration,
    /// The limit of the slot, which may be forgotten with the slot's last address.
    limit: Option<u32>,
    since: Instant,
    left: Instant,
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
            slot: Some(slot_for(learn.location, &learn.policy)),
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
        if !self.table[place].has_moved || !self.is_other_group(place, arrival) {
            return false;
        }
        let Some(moved) = self.moved.get_mut(&place) else { return false };
        moved.prune(now);
        moved.stays.len() + 1 >= MOVES
    }

    /// Freezes an address that is seen at `seen` instead of moving it there.
    pub(super) fn freeze(&mut self, now: Instant, place: Place, seen: Location) -> Learned {
        let from = self.table[place].location;
        let here = self.note_stay(now, place);
        self.count_move(place);
        let longest = self.moved_of(place).and_then(Moved::longest).unwrap_or(here);
        let (home, evicted) = match self.make_room_to_return(now, place, longest.slot) {
            Ok(evicted) => (longest, evicted),
            Err(NoRoom) => (here, None),
        };
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
        moved.stays.clear();
        moved.freeze = Some(freeze);
    }

    /// Remembers where an address was, and since when, as it leaves.
    pub(super) fn note_stay(&mut self, now: Instant, place: Place) -> Stay {
        let node = &self.table[place];
        let slot = self.slot_of(place);
        let stay = Stay {
            location: node.location,
            kind: node.kind,
            slot,
            limit: slot.and_then(|slot| self.queues.limit(slot)),
            ageing: self.ageing_of(place),
            since: node.learned,
            left: now,
        };
        let moved = self.moved_mut(place);
        moved.prune(now);
        moved.stays.push(stay);
        stay
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
/// How long an address is frozen (802.1Q table 8-6's ageing time: by then switches have forgotten it).
pub(super) const FREEZE: Duration = Duration::from_secs(300);

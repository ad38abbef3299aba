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

use super::addresses::Addresses;
use super::arrival::Arrival;
use super::key::Key;
use super::moves::{LEAST_STAY, Stay};
use super::place::Place;
use super::room::Full;
use super::{ECHO, Fdb, Learned};
use crate::addr::MacAddr;
use crate::model::id::{Location, SegmentId};
use crate::time::Instant;

impl Fdb {
    /// Whether the move that is about to happen is the one that freezes the address.
    pub(super) fn is_one_too_many(&mut self, now: Instant, place: Place, arrival: &Arrival) -> bool {
        arrival.is_move_from(self.addresses.table[place].location)
            && self.addresses.moves.is_last_straw(now, place)
    }

    /// Counts that an address is claimed at `seen` though it stays where it is. Returns what became of it if that was once too often.
    /// A claim within a second of one that counts is part of that.
    pub(super) fn note_claim(&mut self, now: Instant, place: Place, seen: Location) -> Option<Learned> {
        let last = self.addresses.moves.of(place).and_then(|moved| moved.claimed);
        if last.is_some_and(|last| now.since(last) < ECHO) || self.is_settled_for_good(now, place) {
            return None;
        }
        if self.addresses.moves.is_last_straw(now, place) {
            return Some(self.freeze(now, place, seen));
        }
        let moved = self.addresses.moves.of_mut(place);
        moved.count(now);
        moved.claimed = Some(now);
        None
    }

    /// Whether no claim counts against an address: it is declared or frozen, or sticks where it is.
    fn is_settled_for_good(&mut self, now: Instant, place: Place) -> bool {
        self.sticky.pins(self.addresses.table[place].location) || self.fixed(now, place).is_some()
    }

    /// Counts that a frame of an address came back to where the address is taken to be, which says that it is elsewhere. Returns what
    /// became of it if that was once too often.
    pub fn note_return(&mut self, now: Instant, segment: SegmentId, mac: MacAddr) -> Option<Learned> {
        let key = Key::new(segment, mac);
        let place = self.addresses.table.find(key).filter(|_| self.shared.places(key).is_none())?;
        if self.is_settled_for_good(now, place) {
            return None;
        }
        if self.addresses.moves.is_last_straw(now, place) {
            let frozen = self.freeze(now, place, self.addresses.table[place].location);
            self.counters.note(&frozen);
            return Some(frozen);
        }
        self.addresses.moves.of_mut(place).count(now);
        None
    }

    /// Freezes an address that is seen at `seen` instead of moving it there.
    pub(super) fn freeze(&mut self, now: Instant, place: Place, seen: Location) -> Learned {
        let from = self.addresses.table[place].location;
        let here = self.stay(now, place);
        let longest = self.addresses.moves.of(place).map_or(here, |moved| moved.longest(here));
        let (home, evicted) = match self.addresses.make_room_to_return(now, place, longest.slot) {
            Ok(evicted) => (longest, evicted),
            Err(Full) => (here, None),
        };
        let Addresses { table, queues, moves, .. } = &mut self.addresses;
        if home.location != from {
            moves.note_stay(now, place, here);
            moves.count_move(place);
        }
        queues.dismiss(table, place);
        let node = &mut table[place];
        node.learned = if home.location == from { node.learned } else { now };
        node.is_hint &= home.location == from;
        (node.location, node.kind) = (home.location, home.kind);
        if seen == home.location {
            node.hear(now);
        }
        self.addresses.attach(place, home.slot, home.ageing);
        let Addresses { table, queues, moves, .. } = &mut self.addresses;
        if let (Some(slot), Some(limit)) = (home.slot, home.limit) {
            queues.set_limit(slot, queues.limit(slot).unwrap_or(limit));
        }
        let until = now + FREEZE;
        queues.hold(table, place, until);
        moves.calm(place);
        Learned::Frozen { at: home.location, from, seen, until, evicted }
    }

    /// Remembers where an address was, and for how long, as it leaves.
    pub(super) fn note_stay(&mut self, now: Instant, place: Place) {
        let stay = self.stay(now, place);
        self.addresses.moves.note_stay(now, place, stay);
    }

    fn stay(&self, now: Instant, place: Place) -> Stay {
        let Addresses { table, queues, moves, .. } = &self.addresses;
        let (node, slot) = (&table[place], queues.slot_of(table, place));
        let lasted = now.since(node.learned);
        Stay {
            location: node.location,
            kind: node.kind,
            slot,
            limit: slot.and_then(|slot| queues.limit(slot)),
            ageing: queues.ageing_of(table, place),
            lasted: if lasted < LEAST_STAY { Duration::ZERO } else { lasted },
            left: now,
            noted: moves.flushes(),
        }
    }
}

/// How long an address is frozen (802.1Q table 8-6's ageing time: by then switches have forgotten it).
pub(super) const FREEZE: Duration = Duration::from_secs(300);

//! What a frame's source address teaches, and what it may not.

use super::addresses::Addresses;
use super::arrival::Arrival;
use super::entry::Kind;
use super::key::Key;
use super::place::Place;
use super::reflect::{self, Evidence};
use super::refusal::{NotLearned, Refused};
use super::room::Full;
use super::table::{FROZEN, Node};
use super::{Fdb, Learn, Learned, Slot};
use crate::addr::MacAddr;
use crate::model::description::OnLimit;
use crate::model::id::{Location, SegmentId};
use crate::time::Instant;

impl Fdb {
    /// Learns where an address is from a frame that has it as its source. Whether the frame may go on is said by
    /// [`Learned::refusal`].
    pub fn learn(&mut self, now: Instant, learn: Learn) -> Learned {
        let place = self.addresses.table.find(Key::new(learn.segment, learn.mac));
        self.learn_at(now, &learn, place)
    }

    /// Learns a source, and says where a frame's destination is then. Both are looked up before either is used: with many addresses
    /// each look-up waits for memory, and the two wait together.
    pub fn learn_and_find(
        &mut self,
        now: Instant,
        learn: Learn,
        dst: MacAddr,
    ) -> (Learned, Option<Location>) {
        let from = self.addresses.table.find(Key::new(learn.segment, learn.mac));
        let to = if dst.is_group() { None } else { self.addresses.table.find(Key::new(learn.segment, dst)) };
        let at = to
            .filter(|place| self.addresses.is_live(now, *place))
            .map(|place| self.addresses.table[place].location);
        let learned = self.learn_at(now, &learn, from);
        match learned {
            Learned::Refreshed => (learned, at),
            // The destination may be the source, or may have had to go for it.
            _ => (learned, self.addresses.find(now, learn.segment, dst)),
        }
    }

    fn learn_at(&mut self, now: Instant, learn: &Learn, place: Option<Place>) -> Learned {
        let learned = self.judge(now, learn, place);
        self.counters.note(&learned);
        learned
    }

    /// Why a frame with this source is dropped at `location` whatever else happens: the address is declared or frozen elsewhere, or
    /// sticks there; or what is heard here sticks, and the address is none of those. Learns nothing; what only learning finds out (a full
    /// slot whose addresses do not stick, an echo, one move too many) is not foreseen.
    pub fn keeps_out(
        &self,
        now: Instant,
        segment: SegmentId,
        mac: MacAddr,
        location: Location,
    ) -> Option<Refused> {
        let key = Key::new(segment, mac);
        if let Some(at) = self.shared.keeps_out(key, location) {
            return Some(Refused::Pinned { at });
        }
        let Some(place) = self.addresses.table.find(key) else { return self.has_no_room(location) };
        let node = &self.addresses.table[place];
        let at = node.location;
        if at == location {
            return None;
        }
        if node.kind == Kind::Declared {
            return Some(Refused::Pinned { at });
        }
        let freeze = self.addresses.queues.freeze_of(&self.addresses.table, place);
        if let Some(freeze) = freeze.filter(|freeze| now < freeze.until) {
            return Some(Refused::Frozen { at, until: freeze.until });
        }
        match self.addresses.is_live(now, place) {
            true => self.sticky.keeps_apart(at, location),
            false => self.has_no_room(location),
        }
    }

    /// Why an address that is known nowhere is not to be heard at a location.
    fn has_no_room(&self, seen: Location) -> Option<Refused> {
        let is_full = matches!(seen, Location::Port { port, .. } if self.is_stuck_full(port));
        is_full.then_some(Refused::AtLimitDrop)
    }

    fn judge(&mut self, now: Instant, learn: &Learn, place: Option<Place>) -> Learned {
        if let Some(why) = not_a_station(learn.mac) {
            return Learned::NotLearned(why);
        }
        let keeps_out = || self.shared.keeps_out(Key::new(learn.segment, learn.mac), learn.location);
        let live = place.filter(|place| self.addresses.is_live(now, *place));
        if let Some(at) = keeps_out().filter(|_| live.is_none()) {
            return Learned::Refused(Refused::Pinned { at });
        }
        let is_known_there = live.is_some_and(|place| self.addresses.table[place].location == learn.location);
        if learn.is_hint && !is_known_there && !self.hints.allow(now, Slot::of(learn.location)) {
            return Learned::NotLearned(NotLearned::TooManyHints);
        }
        let Some(place) = place else { return self.learn_new(now, learn) };
        let Addresses { table, queues, .. } = &mut self.addresses;
        let is_here = table[place].location == learn.location;
        match (live.is_some(), is_here) {
            (true, true) if is_told(&table[place]) && !learn.is_hint => {
                self.hear_what_was_told(now, place, learn)
            }
            (true, true) => {
                table[place].hear(now);
                let known = queues.ageing_of(table, place);
                // A hint is no reason to forget sooner what was heard here.
                let is_shorter = learn.is_hint && (known.is_zero() || known >= learn.policy.ageing);
                if !is_shorter {
                    queues.queue_by(table, place, learn.policy.ageing);
                }
                if !learn.is_hint && std::mem::take(&mut table[place].is_hint) {
                    self.addresses.news.note(self.addresses.table[place].key);
                }
                Learned::Refreshed
            }
            (true, false) => self.hear_elsewhere(now, place, learn),
            (false, _) => self.replace(now, place, learn),
        }
    }

    fn learn_new(&mut self, now: Instant, learn: &Learn) -> Learned {
        let slot = Slot::of(learn.location);
        match self.addresses.make_room(now, None, slot, &learn.policy) {
            Err(Full) => self.not_learned(learn.policy.on_limit, None),
            Ok(evicted) => {
                let key = Key::new(learn.segment, learn.mac);
                let mut node = Node::new(key, learn.location, Kind::Dynamic, now);
                node.is_hint = learn.is_hint;
                self.addresses.enter(node, Some(slot), learn.policy.ageing);
                self.addresses.queues.set_limit(slot, learn.policy.limit);
                Learned::New { evicted }
            }
        }
    }

    /// An address past its age is no evidence of a move: it is learned as if it had not been known.
    fn replace(&mut self, now: Instant, place: Place, learn: &Learn) -> Learned {
        let (arrival, slot) = (Arrival::new(learn), Slot::of(learn.location));
        let evicted = match self.addresses.make_room(now, Some(place), slot, &learn.policy) {
            Ok(evicted) => evicted,
            Err(Full) => return self.not_learned(learn.policy.on_limit, Some(place)),
        };
        self.addresses.moves.calm(place);
        if arrival.is_move_from(self.addresses.table[place].location) {
            self.note_stay(self.addresses.table[place].used, place);
            self.addresses.moves.count_move(place);
        }
        self.addresses.settle(now, place, &arrival);
        self.addresses.queues.set_limit(slot, learn.policy.limit);
        Learned::New { evicted }
    }

    /// An address is heard by a trunk of this host that another host has said is behind that trunk's group: from here on it is this host's
    /// to say. If there is no room for it, it stays as it was.
    fn hear_what_was_told(&mut self, now: Instant, place: Place, learn: &Learn) -> Learned {
        let slot = Slot::of(learn.location);
        self.addresses.table[place].hear(now);
        let Ok(evicted) = self.addresses.make_room(now, Some(place), slot, &learn.policy) else {
            return Learned::Refreshed;
        };
        let since = self.addresses.table[place].learned;
        self.addresses.settle(now, place, &Arrival::new(learn));
        self.addresses.table[place].learned = since;
        self.addresses.queues.set_limit(slot, learn.policy.limit);
        if evicted.is_some() { Learned::New { evicted } } else { Learned::Refreshed }
    }

    fn hear_elsewhere(&mut self, now: Instant, place: Place, learn: &Learn) -> Learned {
        let node = &self.addresses.table[place];
        let (at, key) = (node.location, node.key);
        let echo = reflect::echo_of(at, learn);
        let is_own = learn.evidence == Evidence::OurOwn || echo.is_some_and(|echo| self.sent.has(now, echo));
        if is_own {
            let reflected = Learned::Refused(Refused::Reflected { at });
            let is_shared = self.shared.places(key).is_some();
            let claim = if is_shared { None } else { self.note_claim(now, place, learn.location) };
            return claim.unwrap_or(reflected);
        }
        if learn.is_hint && self.addresses.moves.has_just_left(now, place, learn.location) {
            return Learned::NotLearned(NotLearned::JustLeft);
        }
        let may_be_own = echo.is_some() || matches!(learn.location, Location::Port { .. });
        if learn.evidence == Evidence::FlowsUnasked && may_be_own {
            return Learned::Undecided { at, echo };
        }
        if let Some(refused) = self.fixed(now, place).or_else(|| self.sticky.keeps_apart(at, learn.location))
        {
            return Learned::Refused(refused);
        }
        let (arrival, slot) = (Arrival::new(learn), Slot::of(learn.location));
        if let Some(at) = self.shared.keeps_out(key, learn.location) {
            return Learned::Refused(Refused::Pinned { at });
        }
        // What other hosts hear they have asked for themselves: asked is only for what this host hears from a fabric.
        let may_be_theirs = echo.is_some() && matches!(at, Location::Host(_)) && !learn.is_hint;
        if learn.evidence == Evidence::HostUnasked && may_be_theirs {
            return Learned::Undecided { at, echo };
        }
        if self.shared.places(key).is_some() {
            return self.hand_over(now, place, learn, &arrival);
        }
        if self.is_one_too_many(now, place, &arrival) {
            return self.freeze(now, place, learn.location);
        }
        match self.addresses.make_room(now, Some(place), slot, &learn.policy) {
            Err(Full) => self.not_learned(learn.policy.on_limit, Some(place)),
            Ok(evicted) => {
                let from = self.relocate(now, place, &arrival);
                self.addresses.queues.set_limit(slot, learn.policy.limit);
                Learned::Moved { from, evicted }
            }
        }
    }

    /// An address that is declared for several ports goes from one to another of them as often as it likes.
    fn hand_over(&mut self, now: Instant, place: Place, learn: &Learn, arrival: &Arrival) -> Learned {
        let slot = Slot::of(learn.location);
        let evicted = match self.addresses.make_room(now, Some(place), slot, &learn.policy) {
            Ok(evicted) => evicted,
            Err(Full) => return self.not_learned(learn.policy.on_limit, Some(place)),
        };
        let from = self.addresses.table[place].location;
        if arrival.is_move_from(from) {
            self.addresses.moves.count_move(place);
        }
        self.addresses.settle(now, place, arrival);
        self.addresses.queues.set_limit(slot, learn.policy.limit);
        Learned::Moved { from, evicted }
    }

    /// Why a live address stays where it is, wherever it is heard or claimed. Of one that sticks this says nothing.
    pub(super) fn fixed(&mut self, now: Instant, place: Place) -> Option<Refused> {
        let at = self.addresses.table[place].location;
        if self.addresses.table[place].kind == Kind::Declared {
            return Some(Refused::Pinned { at });
        }
        let until = self.addresses.queues.freeze_of(&self.addresses.table, place)?.until;
        if now < until {
            return Some(Refused::Frozen { at, until });
        }
        self.addresses.release(place);
        None
    }

    /// Moves an address and remembers that it did. Returns where it was.
    pub(super) fn relocate(&mut self, now: Instant, place: Place, arrival: &Arrival) -> Location {
        let from = self.addresses.table[place].location;
        if arrival.is_move_from(from) {
            self.note_stay(now, place);
            self.addresses.moves.of_mut(place).count(now);
            self.addresses.moves.count_move(place);
        }
        self.addresses.settle(now, place, arrival);
        from
    }

    /// An address seen at a full slot is not where it was known to be: only if its frame is dropped may it stay there.
    fn not_learned(&mut self, on_limit: OnLimit, known: Option<Place>) -> Learned {
        match on_limit {
            OnLimit::Drop => Learned::Refused(Refused::AtLimitDrop),
            OnLimit::Evict | OnLimit::Flood => Learned::NotLearned(NotLearned::AtLimit {
                forgotten: known.map(|place| self.addresses.remove(place).location),
            }),
        }
    }
}

/// Whether an address is where it is by another host's word.
fn is_told(node: &Node) -> bool {
    node.kind == Kind::Remote && node.queue != FROZEN
}

/// Why an address is no station's.
pub(super) fn not_a_station(mac: MacAddr) -> Option<NotLearned> {
    if mac.is_group() {
        Some(NotLearned::Group)
    } else if mac.is_zero() {
        Some(NotLearned::Zero)
    } else {
        None
    }
}

//! Addresses that are not learned from frames: declared by the operator, or claimed by another host.

use std::time::Duration;

use super::arrival::Arrival;
use super::entry::{Gone, Kind};
use super::key::Key;
use super::learn::not_a_station;
use super::place::Place;
use super::refusal::Refused;
use super::table::Node;
use super::{Fdb, Learned};
use crate::addr::MacAddr;
use crate::model::id::{HostId, Location, SegmentId};
use crate::time::Instant;

/// What a declaration changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declared {
    /// The address was not known, or was known there by other means.
    New,
    /// It was declared there already.
    Unchanged,
    /// It was declared, learned or remote elsewhere.
    Replaced {
        /// Where.
        from: Location,
    },
}

/// Another host's word that it has an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The segment.
    pub segment: SegmentId,
    /// The address.
    pub mac: MacAddr,
    /// Who has it.
    pub host: HostId,
    /// The mobility counter that it was published with (RFC 7432 7.7).
    pub mobility: u64,
    /// This host: the lower of two hosts wins between equal counters.
    pub own: HostId,
}

impl Fdb {
    /// Puts an address where the operator says it is: it does not age or move, and counts towards no limit. Of two
    /// declarations of one address on a segment the later one holds.
    pub fn declare(&mut self, segment: SegmentId, mac: MacAddr, location: Location) -> Declared {
        let key = Key::new(segment, mac);
        let Some(place) = self.table.find(key) else {
            self.enter(Node::new(key, location, Kind::Declared, Instant::ZERO), None, Duration::ZERO);
            return Declared::New;
        };
        let Node { kind, location: from, .. } = self.table[place];
        if (kind, from) == (Kind::Declared, location) {
            return Declared::Unchanged;
        }
        self.queues.dismiss(&mut self.table, place);
        self.moves.settle(place);
        let node = &mut self.table[place];
        (node.location, node.kind) = (location, Kind::Declared);
        if from != location {
            node.learned = Instant::ZERO;
        }
        self.attach(place, None, Duration::ZERO);
        if from == location { Declared::New } else { Declared::Replaced { from } }
    }

    /// Takes a declaration back: the address is not known until it is heard.
    pub fn undeclare(&mut self, segment: SegmentId, mac: MacAddr) -> Option<Gone> {
        let place = self.table.find(Key::new(segment, mac))?;
        (self.table[place].kind == Kind::Declared).then(|| self.remove(place))
    }

    /// Takes every declaration back, those of shared addresses too.
    pub fn undeclare_all(&mut self) -> Vec<Gone> {
        self.shared.clear();
        self.retain(|entry| entry.kind != Kind::Declared)
    }

    /// Believes another host's claim, unless a later one is known: a higher mobility counter wins, between equals the lower
    /// host (behaviour.md 8). Damping and declarations hold as for learning; a claim fills no slot.
    pub fn claim(&mut self, now: Instant, claim: Claim) -> Learned {
        let learned = self.judge_claim(now, &claim);
        self.counters.note(&learned);
        learned
    }

    /// Takes a claim back. Nothing happens if the address is no longer that host's.
    pub fn withdraw(&mut self, segment: SegmentId, mac: MacAddr, host: HostId) -> Option<Gone> {
        let place = self.table.find(Key::new(segment, mac))?;
        let node = &self.table[place];
        (node.kind == Kind::Remote && node.location == Location::Host(host)).then(|| self.remove(place))
    }

    fn judge_claim(&mut self, now: Instant, claim: &Claim) -> Learned {
        if let Some(why) = not_a_station(claim.mac) {
            return Learned::NotLearned(why);
        }
        let key = Key::new(claim.segment, claim.mac);
        let arrival = Arrival::remote(Location::Host(claim.host));
        if let Some(at) = self.shared.keeps_out(key, arrival.location) {
            return Learned::Refused(Refused::Pinned { at });
        }
        let Some(place) = self.table.find(key) else {
            let place = self.enter(Node::new(key, arrival.location, Kind::Remote, now), None, Duration::ZERO);
            self.moves.adopt_mobility(place, claim.mobility);
            return Learned::New { evicted: None };
        };
        if !self.is_live(now, place) {
            self.settle(now, place, &arrival);
            self.moves.adopt_mobility(place, claim.mobility);
            return Learned::New { evicted: None };
        }
        self.contest(now, place, claim, &arrival)
    }

    fn contest(&mut self, now: Instant, place: Place, claim: &Claim, arrival: &Arrival) -> Learned {
        let Node { kind, location: at, .. } = self.table[place];
        if at == arrival.location {
            if kind == Kind::Dynamic {
                self.settle(now, place, arrival);
            }
            self.moves.adopt_mobility(place, claim.mobility);
            return Learned::Refreshed;
        }
        if let Some(refused) = self.fixed(now, place).or_else(|| self.sticks_apart(at, arrival.location)) {
            return Learned::Refused(refused);
        }
        let holder = if let Location::Host(host) = at { host } else { claim.own };
        let known = self.moves.mobility(place);
        let wins = claim.mobility > known || (claim.mobility == known && claim.host < holder);
        if !wins {
            return Learned::Refused(Refused::Stale { at });
        }
        let is_shared = self.shared.places(self.table[place].key).is_some();
        if !is_shared && self.is_one_too_many(now, place, arrival) {
            let learned = self.freeze(now, place, arrival.location);
            self.moves.adopt_mobility(place, claim.mobility);
            return learned;
        }
        let from = self.relocate(now, place, arrival);
        self.moves.of_mut(place).mobility = claim.mobility;
        Learned::Moved { from, evicted: None }
    }
}

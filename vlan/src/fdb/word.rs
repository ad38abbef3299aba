//! Addresses that another host says it has.

use std::time::Duration;

use super::addresses::Addresses;
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

/// Another host's word that it has an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
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
    /// Believes another host's word, unless a later one is known: a higher mobility counter wins, between equals the lower
    /// host (behaviour.md 8). Damping and declarations hold as for learning; it fills no slot.
    pub fn believe(&mut self, now: Instant, word: Word) -> Learned {
        let learned = self.judge_word(now, &word);
        self.counters.note(&learned);
        learned
    }

    fn judge_word(&mut self, now: Instant, word: &Word) -> Learned {
        if let Some(why) = not_a_station(word.mac) {
            return Learned::NotLearned(why);
        }
        let key = Key::new(word.segment, word.mac);
        let arrival = Arrival::remote(Location::Host(word.host));
        if let Some(at) = self.shared.keeps_out(key, arrival.location) {
            return Learned::Refused(Refused::Pinned { at });
        }
        let Some(place) = self.addresses.table.find(key) else {
            let place = self.addresses.enter(
                Node::new(key, arrival.location, Kind::Remote, now),
                None,
                Duration::ZERO,
            );
            self.addresses.moves.adopt_mobility(place, word.mobility);
            return Learned::New { evicted: None };
        };
        if !self.addresses.is_live(now, place) {
            self.addresses.settle(now, place, &arrival);
            self.addresses.moves.adopt_mobility(place, word.mobility);
            return Learned::New { evicted: None };
        }
        self.contest(now, place, word, &arrival)
    }

    fn contest(&mut self, now: Instant, place: Place, word: &Word, arrival: &Arrival) -> Learned {
        let Node { kind, location: at, .. } = self.addresses.table[place];
        if at == arrival.location {
            if kind == Kind::Dynamic {
                self.addresses.settle(now, place, arrival);
            }
            self.addresses.moves.adopt_mobility(place, word.mobility);
            return Learned::Refreshed;
        }
        if let Some(refused) =
            self.fixed(now, place).or_else(|| self.sticky.keeps_apart(at, arrival.location))
        {
            return Learned::Refused(refused);
        }
        let holder = if let Location::Host(host) = at { host } else { word.own };
        let known = self.addresses.moves.mobility(place);
        let wins = word.mobility > known || (word.mobility == known && word.host < holder);
        if !wins {
            return Learned::Refused(Refused::Stale { at });
        }
        let is_shared = self.shared.places(self.addresses.table[place].key).is_some();
        if !is_shared && self.is_one_too_many(now, place, arrival) {
            let learned = self.freeze(now, place, arrival.location);
            self.addresses.moves.adopt_mobility(place, word.mobility);
            return learned;
        }
        let from = self.relocate(now, place, arrival);
        self.addresses.moves.of_mut(place).mobility = word.mobility;
        Learned::Moved { from, evicted: None }
    }
}

impl Addresses {
    /// A host takes its word back. Nothing happens if the address is no longer that host's.
    pub fn withdraw(&mut self, segment: SegmentId, mac: MacAddr, host: HostId) -> Option<Gone> {
        let place = self.table.find(Key::new(segment, mac))?;
        let node = &self.table[place];
        (node.kind == Kind::Remote && node.location == Location::Host(host)).then(|| self.remove(place))
    }
}

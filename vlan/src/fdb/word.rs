//! Addresses that another host says it has. Which of several words holds is decided before (RFC 7432 7.7): here it is put where the table
//! allows it.

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
use crate::model::id::{Location, SegmentId};
use crate::time::Instant;

/// Another host's word that it has an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    /// The segment.
    pub segment: SegmentId,
    /// The address.
    pub mac: MacAddr,
    /// Where it is: at that host, or behind a trunk group that it has a trunk of.
    pub location: Location,
}

impl Fdb {
    /// Believes another host's word. Damping and declarations hold as for learning; it fills no slot, and does not age.
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
        let arrival = Arrival::remote(word.location);
        if let Some(at) = self.shared.keeps_out(key, arrival.location) {
            return Learned::Refused(Refused::Pinned { at });
        }
        match self.addresses.table.find(key) {
            None => {
                let node = Node::new(key, arrival.location, Kind::Remote, now);
                self.addresses.enter(node, None, Duration::ZERO);
                Learned::New { evicted: None }
            }
            Some(place) if !self.addresses.is_live(now, place) => {
                self.addresses.settle(now, place, &arrival);
                Learned::New { evicted: None }
            }
            Some(place) => self.believe_known(now, place, &arrival),
        }
    }

    fn believe_known(&mut self, now: Instant, place: Place, arrival: &Arrival) -> Learned {
        let Node { kind, location: at, key, .. } = self.addresses.table[place];
        if at == arrival.location {
            let is_frozen = self.addresses.queues.freeze_of(&self.addresses.table, place).is_some();
            if kind == Kind::Dynamic && !is_frozen {
                self.addresses.settle(now, place, arrival);
            }
            return Learned::Refreshed;
        }
        if let Some(refused) =
            self.fixed(now, place).or_else(|| self.sticky.keeps_apart(at, arrival.location))
        {
            return Learned::Refused(refused);
        }
        let is_shared = self.shared.places(key).is_some();
        if !is_shared && self.is_one_too_many(now, place, arrival) {
            return self.freeze(now, place, arrival.location);
        }
        let from = self.relocate(now, place, arrival);
        Learned::Moved { from, evicted: None }
    }
}

impl Addresses {
    /// A word is taken back. Nothing happens if the address is not known by one, or not there.
    pub fn withdraw(&mut self, segment: SegmentId, mac: MacAddr, at: Location) -> Option<Gone> {
        let place = self.table.find(Key::new(segment, mac))?;
        let node = &self.table[place];
        (node.kind == Kind::Remote && node.location == at).then(|| self.remove(place))
    }
}

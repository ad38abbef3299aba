//! The addresses that are known: each in the table, in a queue or frozen if it is counted, and with its past if it has one.
//!
//! What is here keeps these in step, answers who asks, and has addresses end: by age (`age`), for want of room (`room`), or because what
//! they were known by is gone (`flush`). Which address comes where is decided by [`Fdb`](super::Fdb).

use std::time::Duration;

use super::Slot;
use super::arrival::Arrival;
use super::counters::Ends;
use super::entry::{Entry, Gone, Kind};
use super::key::{Key, Seed};
use super::moves::{LEAST_STAY, Moves};
use super::news::News;
use super::place::Place;
use super::queues::Queues;
use super::table::{Node, Table};
use crate::addr::MacAddr;
use crate::model::id::{Location, SegmentId};
use crate::time::Instant;

/// The addresses that one host knows, of all segments.
#[derive(Debug, Clone)]
pub struct Addresses {
    pub(super) table: Table,
    pub(super) queues: Queues,
    pub(super) moves: Moves,
    pub(super) ends: Ends,
    /// What of them is new.
    pub news: News,
    /// How often an address was put somewhere.
    generation: u32,
}

impl Addresses {
    pub(super) fn new(seed: Seed) -> Addresses {
        Addresses {
            table: Table::new(seed),
            queues: Queues::default(),
            moves: Moves::default(),
            ends: Ends::default(),
            news: News::new(seed),
            generation: 0,
        }
    }

    /// Where an address is. An address past its age is not found, even if [`Addresses::age`] has not removed it yet.
    pub fn find(&self, now: Instant, segment: SegmentId, mac: MacAddr) -> Option<Location> {
        let place = self.table.find(Key::new(segment, mac))?;
        self.is_live(now, place).then(|| self.table[place].location)
    }

    /// All that is known of an address. As with [`Addresses::find`], nothing if it is past its age.
    pub fn entry(&self, now: Instant, segment: SegmentId, mac: MacAddr) -> Option<Entry> {
        let place = self.table.find(Key::new(segment, mac))?;
        self.is_live(now, place).then(|| self.view(place))
    }

    /// All in no order, with those past their age that [`Addresses::age`] has not removed yet.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.table.places().map(|place| self.view(place))
    }

    /// How many are held, of every kind.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.table.len() == 0
    }

    /// How many dynamic addresses a slot has: what its limit is about.
    pub fn count(&self, slot: Slot) -> u32 {
        self.queues.count(slot)
    }

    /// How often an address or a freeze has come to an end.
    pub fn ends(&self) -> &Ends {
        &self.ends
    }

    /// Whether an address came to where it is so short a time ago that it may be flying around a loop.
    pub fn is_unsettled(&self, now: Instant, segment: SegmentId, mac: MacAddr) -> bool {
        let Some(place) = self.table.find(Key::new(segment, mac)) else { return false };
        let node = &self.table[place];
        let is_new = node.kind == Kind::Dynamic && now.since(node.learned) < LEAST_STAY;
        is_new && self.moves.of(place).is_some()
    }

    /// Says that the data plane saw a frame from an address at `used`, not after `now`, where the address is known to be.
    pub fn touch(&mut self, now: Instant, segment: SegmentId, mac: MacAddr, used: Instant) -> Touched {
        let Some(place) = self.table.find(Key::new(segment, mac)) else { return Touched::Unknown };
        let was_live = self.is_live(now, place);
        self.table[place].hear(used.min(now));
        match (was_live, self.is_live(now, place)) {
            (true, _) if self.table[place].kind == Kind::Remote => Touched::Told,
            (true, _) => Touched::Refreshed,
            (false, true) => Touched::Revived,
            (false, false) => Touched::Unknown,
        }
    }

    pub(super) fn is_live(&self, now: Instant, place: Place) -> bool {
        self.queues.is_live(&self.table, now, place)
    }

    pub(super) fn view(&self, place: Place) -> Entry {
        let node = &self.table[place];
        Entry {
            segment: node.key.segment(),
            mac: node.key.mac(),
            location: node.location,
            kind: node.kind,
            is_hint: node.is_hint,
            learned: node.learned,
            used: node.used,
            ageing: self.queues.ageing_of(&self.table, place),
            mobility: self.moves.mobility(place),
            generation: node.generation,
            frozen_until: self.queues.freeze_of(&self.table, place).map(|freeze| freeze.until),
        }
    }

    /// Puts in an address that is not known.
    pub(super) fn enter(&mut self, node: Node, slot: Option<Slot>, ageing: Duration) -> Place {
        let place = self.table.insert(node);
        self.attach(place, slot, ageing);
        place
    }

    /// Puts an address where it has arrived.
    pub(super) fn settle(&mut self, now: Instant, place: Place, arrival: &Arrival) {
        self.queues.dismiss(&mut self.table, place);
        let node = &mut self.table[place];
        (node.location, node.kind, node.learned) = (arrival.location, arrival.kind, now);
        node.is_hint = arrival.is_hint;
        node.hear(now);
        self.attach(place, arrival.slot, arrival.ageing);
    }

    /// Puts an address that is in no slot and no queue where its node says it is.
    pub(super) fn attach(&mut self, place: Place, slot: Option<Slot>, ageing: Duration) {
        let node = &mut self.table[place];
        self.generation = self.generation.wrapping_add(1);
        node.generation = self.generation;
        self.news.note(self.table[place].key);
        if let Some(slot) = slot {
            self.queues.admit(&mut self.table, place, slot, ageing);
        }
    }

    pub(super) fn remove(&mut self, place: Place) -> Gone {
        self.queues.dismiss(&mut self.table, place);
        self.moves.forget(place);
        self.news.note(self.table[place].key);
        self.table.remove(place)
    }
}

/// What a data-plane hit meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touched {
    /// The address is not known, or the hit itself is past its age.
    Unknown,
    /// It is as it was, and fresh.
    Refreshed,
    /// It is where another host says that it is.
    Told,
    /// It was past its age and no longer found, and is found again: what depended on it is to be withdrawn.
    Revived,
}

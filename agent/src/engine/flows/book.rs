//! The flow book: every flow that the datapath is to have, what each rests on, and which of them are to be looked over.
//!
//! A flow is found by its id, by the class of frames that it is for, and by each piece of state that it rests on. When state changes, the
//! flows that rest on it become *stale* (`stale`). Flows that send frames into fabrics are found by what their frames look like when they
//! come back (`alike`).

use std::collections::hash_map::HashMap;

use datapath::flow::{Action, FlowId, FlowKey, FlowStats, MeterId};
use smallvec::SmallVec;
use vlan::fdb::key::Seed;
use vlan::fdb::reflect::Likeness;
use vlan::model::id::FabricId;
use vlan::time::Instant;
use vlan::verdict::{Consulted, Dependency, DropReason, Seen};

use super::class::Class;
use crate::counters::PortKey;

use alike::Alike;
use eras::{Dated, Era, Eras};
use ids::Ids;
use reading::Readings;
use stale::{Dependents, Stale, keep_distinct};

pub(in crate::engine) use stale::heat;

pub(in crate::engine) mod alike;
pub(in crate::engine) mod eras;
mod ids;
mod reading;
mod stale;

/// The flows that the datapath is to have.
#[derive(Debug)]
pub(in crate::engine) struct Book {
    records: Vec<Slot>,
    free: Vec<u32>,
    by_id: HashMap<FlowId, u32, Seed>,
    by_class: HashMap<Class, u32, Seed>,
    by_state: HashMap<Dependency, Dependents, Seed>,
    alike: Alike,
    pub(in crate::engine) eras: Eras,
    stale: Stale,
    pub(in crate::engine) readings: Readings,
    pub(in crate::engine) ids: Ids,
}

/// What a flow does, as far as counting goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Purpose {
    /// It forwards.
    Forward,
    /// It drops, for this reason; with the VID of the first tag, if that was looked at.
    Drop(DropReason, Option<u16>),
}

/// A flow of the book.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Record {
    /// Its identity.
    pub(in crate::engine) id: FlowId,
    /// Its key as it came from the datapath.
    pub(in crate::engine) key: FlowKey,
    /// Which fields of the key count.
    pub(in crate::engine) mask: Consulted,
    /// What it does.
    pub(in crate::engine) actions: Vec<Action>,
    /// Whom its frames are counted for.
    pub(in crate::engine) port: PortKey,
    /// What its frames are counted as.
    pub(in crate::engine) purpose: Purpose,
    /// The meter that tells which of its frames were too long to be forwarded.
    pub(in crate::engine) judge: Option<MeterId>,
    /// Where its source address must be for it to be right.
    pub(in crate::engine) source: Option<Seen>,
    /// That of the topology by which it was made, or looked over last: whose identifiers those of segments and fabrics are.
    pub(in crate::engine) era: Era,
    /// What its frames look like if they come back.
    pub(in crate::engine) likeness: Likeness,
    /// What it rests on; in the book, where that is much, each once.
    pub(in crate::engine) depends: SmallVec<[Dependency; 6]>,
    /// Fabrics that its frames reach: their source may come back from there.
    pub(in crate::engine) into_fabrics: SmallVec<[FabricId; 1]>,
    /// Packets that it had counted when it began to send into those fabrics: none of these can come back from there.
    pub(in crate::engine) turned_at: u64,
    /// Hits as last read.
    pub(in crate::engine) stats: FlowStats,
    /// When it was put, or last hit as far as is known.
    pub(in crate::engine) used: Instant,
    /// Changes of it that the datapath has not answered yet.
    pub(in crate::engine) unanswered: u16,
    /// How much it is used: frames between the last two readings, as a power of two.
    pub(in crate::engine) heat: u8,
}

impl Record {
    /// The frames that it is for.
    pub(in crate::engine) fn class(&self) -> Class {
        Class::of(&self.key, &self.mask)
    }

    /// Whether it rests on these pieces of state and no others.
    pub(in crate::engine) fn rests_on(&self, states: &SmallVec<[Dependency; 6]>) -> bool {
        if self.depends == *states {
            return true;
        }
        let mut distinct = states.clone();
        keep_distinct(&mut distinct);
        self.depends == distinct
    }

    /// What may come back of its frames.
    pub(in crate::engine) fn echoes(&self) -> impl Iterator<Item = Dated> {
        let Record { source, era, .. } = *self;
        let echo = move |to: &FabricId| Some(Dated { era, echo: source?.echo(self.likeness, *to) });
        self.into_fabrics.iter().filter_map(echo)
    }
}

/// A place in the book that holds a record, or held one.
#[derive(Debug, Default)]
struct Slot {
    record: Option<Box<Record>>,
    /// Differs for each record that the place has held.
    stamp: u32,
    /// The reading by which the datapath was last known to have the flow.
    seen: u16,
    is_stale: bool,
    /// The place of another flow whose frames look alike; [`NO_SLOT`]: none.
    next_alike: u32,
}

/// A record that may be gone by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reference {
    slot: u32,
    stamp: u32,
}

impl Book {
    pub(in crate::engine) fn new(seed: u64) -> Book {
        let hashing = Seed::new(seed);
        Book {
            records: Vec::new(),
            free: Vec::new(),
            by_id: HashMap::with_hasher(hashing),
            by_class: HashMap::with_hasher(hashing),
            by_state: HashMap::with_hasher(hashing),
            alike: Alike::new(hashing),
            eras: Eras::default(),
            stale: Stale::default(),
            readings: Readings::default(),
            ids: Ids::new(seed),
        }
    }

    /// How many flows there are.
    pub(in crate::engine) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// An id that no flow has.
    pub(in crate::engine) fn new_id(&mut self) -> FlowId {
        loop {
            let id = self.ids.next();
            if !self.by_id.contains_key(&id) {
                return id;
            }
        }
    }

    /// The flow of a class of frames.
    pub(in crate::engine) fn find_class(&self, class: Class) -> Option<FlowId> {
        let slot = self.by_class.get(&class)?;
        self.records[*slot as usize].record.as_ref().map(|record| record.id)
    }

    /// The flow with an id.
    pub(in crate::engine) fn get(&self, id: FlowId) -> Option<&Record> {
        self.records[*self.by_id.get(&id)? as usize].record.as_deref()
    }

    /// The flow with an id, to note what was heard of it. What it is found by must not change: see [`Book::enter`].
    pub(in crate::engine) fn get_mut(&mut self, id: FlowId) -> Option<&mut Record> {
        self.records[*self.by_id.get(&id)? as usize].record.as_deref_mut()
    }

    /// How many places there are, empty ones too.
    pub(in crate::engine) fn places(&self) -> usize {
        self.records.len()
    }

    /// The flow in a place.
    pub(in crate::engine) fn at(&self, place: usize) -> Option<&Record> {
        self.records.get(place)?.record.as_deref()
    }

    /// Writes a flow, whose class this is, into the book, in the place of the one with its id; that one, if there was one.
    pub(in crate::engine) fn enter(&mut self, mut record: Box<Record>, class: Class) -> Option<Box<Record>> {
        keep_distinct(&mut record.depends);
        let replaced = self.remove(record.id);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.records.push(Slot::default());
            self.records.len() as u32 - 1
        });
        let reference = Reference { slot, stamp: self.records[slot as usize].stamp };
        self.by_id.insert(record.id, slot);
        self.by_class.insert(class, slot);
        for state in &record.depends {
            let dependents = self.by_state.entry(*state).or_default();
            dependents.list.push(reference);
            dependents.live += 1;
        }
        let before = self.alike.hash_of(&record).and_then(|hash| self.alike.put_first(hash, slot));
        let place = &mut self.records[slot as usize];
        place.next_alike = before.unwrap_or(NO_SLOT);
        place.record = Some(record);
        place.seen = self.readings.number();
        replaced
    }

    /// The flow with an id, of which the datapath has just told that it has it.
    pub(in crate::engine) fn see(&mut self, id: FlowId) -> Option<&mut Record> {
        let place = &mut self.records[*self.by_id.get(&id)? as usize];
        place.seen = self.readings.number();
        place.record.as_deref_mut()
    }

    /// The datapath has told every flow that it has.
    pub(in crate::engine) fn end_reading(&mut self) {
        self.readings.end(self.records.len() as u32);
    }

    /// Flows that the datapath has no more, of the next `most` places.
    pub(in crate::engine) fn next_missing(&mut self, most: u32) -> Vec<FlowId> {
        let places = self.readings.take_unsearched(most);
        let slots = self.records[places].iter().filter(|slot| self.readings.is_missing(slot.seen));
        let records = slots.filter_map(|slot| slot.record.as_deref());
        records.filter(|record| record.unanswered == 0).map(|record| record.id).collect()
    }

    /// Strikes a flow out.
    pub(in crate::engine) fn remove(&mut self, id: FlowId) -> Option<Box<Record>> {
        let slot = self.by_id.remove(&id)?;
        let place = &mut self.records[slot as usize];
        let record = place.record.take()?;
        place.stamp = place.stamp.wrapping_add(1);
        place.is_stale = false;
        self.free.push(slot);
        let class = record.class();
        if self.by_class.get(&class) == Some(&slot) {
            self.by_class.remove(&class);
        }
        if let Some(hash) = self.alike.hash_of(&record) {
            self.forget_likeness(hash, slot);
        }
        for state in &record.depends {
            self.leave(*state);
        }
        Some(record)
    }
}

/// No place.
const NO_SLOT: u32 = u32::MAX;

#[cfg(test)]
mod tests;

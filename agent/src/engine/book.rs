//! The flow book: every flow that the datapath is to have, what each rests on, and which of them are to be looked over.
//!
//! A flow is found by its id, by the class of frames that it is for, and by each *tag*: a piece of state that it rests on, or a vport
//! that it names. When state changes, the flows with its tag become *stale*; stale flows are looked over most used first, a bounded
//! number at a time, so that the loss of a trunk with 200 000 flows keeps nobody waiting.

use std::collections::hash_map::{Entry, HashMap};
use std::collections::{BTreeSet, VecDeque};
use std::hash::BuildHasher;

use datapath::flow::{Action, FlowId, FlowKey, FlowStats, MeterId};
use datapath::port::VportNo;
use smallvec::SmallVec;
use vlan::addr::MacAddr;
use vlan::fdb::key::Seed;
use vlan::fdb::reflect::{Echo, Likeness};
use vlan::model::id::{FabricId, SegmentId};
use vlan::time::Instant;
use vlan::verdict::{Consulted, Dependency, DropReason, Seen};

use super::class::Class;
use super::echo::MOST_ASKED;
use crate::counters::PortKey;
use crate::lower::flows::for_each_vport;

/// The flows that the datapath is to have.
#[derive(Debug)]
pub(super) struct Book {
    records: Vec<Slot>,
    free: Vec<u32>,
    by_id: HashMap<FlowId, u32, Seed>,
    by_class: HashMap<Class, u32, Seed>,
    by_tag: HashMap<Tagged, Dependents, Seed>,
    /// The last flow put of those that send frames which look alike into fabrics, by a hash; the others follow by `next_alike`.
    by_likeness: HashMap<u64, u32, Seed>,
    hashing: Seed,
    stale: [VecDeque<Reference>; HEATS],
    /// What is still to be marked as stale.
    unmarked: VecDeque<Unmarked>,
    /// The number of the reading of all flows that is under way, or comes next.
    reading: u16,
    /// The places that are still to be searched for flows that the datapath has no more.
    unsearched: std::ops::Range<u32>,
    /// The upper half of new ids, so that an earlier run's are not met again.
    ids_of_this_run: u64,
    /// Of ids of flows that were found at the start.
    earlier_runs: BTreeSet<u64>,
    last_id: u64,
}

/// What a flow does, as far as counting goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It forwards.
    Forward,
    /// It drops, for this reason; with the VID of the first tag, if that was looked at.
    Drop(DropReason, Option<u16>),
}

/// A flow of the book.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// Its identity.
    pub(super) id: FlowId,
    /// Its key as it came from the datapath.
    pub(super) key: FlowKey,
    /// Which fields of the key count.
    pub(super) mask: Consulted,
    /// What it does.
    pub(super) actions: Vec<Action>,
    /// Whom its frames are counted for.
    pub(super) port: PortKey,
    /// What its frames are counted as.
    pub(super) purpose: Purpose,
    /// The meter that tells which of its frames were too long to be forwarded.
    pub(super) judge: Option<MeterId>,
    /// Where its source address must be for it to be right.
    pub(super) source: Option<Seen>,
    /// What its frames look like if they come back.
    pub(super) likeness: Likeness,
    /// What it rests on.
    pub(super) depends: SmallVec<[Dependency; 6]>,
    /// Fabrics that its frames reach: their source may come back from there.
    pub(super) into_fabrics: SmallVec<[FabricId; 1]>,
    /// Hits as last read.
    pub(super) stats: FlowStats,
    /// When it was put, or last hit as far as is known.
    pub(super) used: Instant,
    /// Changes of it that the datapath has not answered yet.
    pub(super) unanswered: u16,
    /// How much it is used: frames between the last two readings, as a power of two.
    pub(super) heat: u8,
}

impl Record {
    /// What may come back of its frames.
    pub(super) fn echoes(&self) -> impl Iterator<Item = Echo> {
        let source = self.source;
        self.into_fabrics.iter().filter_map(move |to| Some(source?.echo(self.likeness, *to)))
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

/// What flows are found by besides their own identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Tagged {
    /// They rest on it.
    State(Dependency),
    /// They come in by it or leave by it.
    Vport(VportNo),
}

/// Flows whose ground has shifted, of which those before `next` are marked as stale.
#[derive(Debug)]
enum Unmarked {
    /// These.
    Listed { list: Vec<Reference>, next: usize },
    /// Those in the places up to `end`.
    Places { next: u32, end: u32 },
}

/// Flows with one tag, some of which are gone.
#[derive(Debug, Default)]
struct Dependents {
    list: SmallVec<[Reference; 2]>,
    live: u32,
}

impl Book {
    pub(super) fn new(seed: u64) -> Book {
        let hashing = Seed::new(seed);
        Book {
            records: Vec::new(),
            free: Vec::new(),
            by_id: HashMap::with_hasher(hashing),
            by_class: HashMap::with_hasher(hashing),
            by_tag: HashMap::with_hasher(hashing),
            by_likeness: HashMap::with_hasher(hashing),
            hashing,
            stale: Default::default(),
            unmarked: VecDeque::new(),
            reading: 0,
            unsearched: 0..0,
            ids_of_this_run: seed,
            earlier_runs: BTreeSet::new(),
            last_id: 0,
        }
    }

    /// How many flows there are.
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether an id is one that this run has dealt out, or a run whose flows were found at the start.
    pub(super) fn may_be_ours(&self, id: FlowId) -> bool {
        let run = run_of(id);
        run == self.ids_of_this_run || self.earlier_runs.contains(&run)
    }

    /// Flows with such ids are an earlier run's.
    pub(super) fn know_run_of(&mut self, id: FlowId) {
        self.earlier_runs.insert(run_of(id));
    }

    /// An id that no flow has.
    pub(super) fn new_id(&mut self) -> FlowId {
        loop {
            self.last_id += 1;
            let id = FlowId(u128::from(self.ids_of_this_run) << 64 | u128::from(self.last_id));
            if !self.by_id.contains_key(&id) {
                return id;
            }
        }
    }

    /// The flow of a class of frames.
    pub(super) fn find_class(&self, key: &FlowKey, mask: &Consulted) -> Option<FlowId> {
        let slot = self.by_class.get(&Class::of(key, mask))?;
        self.records[*slot as usize].record.as_ref().map(|record| record.id)
    }

    /// The flow with an id.
    pub(super) fn get(&self, id: FlowId) -> Option<&Record> {
        self.records[*self.by_id.get(&id)? as usize].record.as_deref()
    }

    /// The flow with an id, to note what was heard of it. What it is found by must not change: see [`Book::enter`].
    pub(super) fn get_mut(&mut self, id: FlowId) -> Option<&mut Record> {
        self.records[*self.by_id.get(&id)? as usize].record.as_deref_mut()
    }

    /// How many places there are, empty ones too.
    pub(super) fn places(&self) -> usize {
        self.records.len()
    }

    /// The flow in a place.
    pub(super) fn at(&self, place: usize) -> Option<&Record> {
        self.records.get(place)?.record.as_deref()
    }

    /// Writes a flow into the book, in the place of the one with its id if there is one.
    pub(super) fn enter(&mut self, record: Record) {
        self.remove(record.id);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.records.push(Slot::default());
            self.records.len() as u32 - 1
        });
        let reference = Reference { slot, stamp: self.records[slot as usize].stamp };
        self.by_id.insert(record.id, slot);
        self.by_class.insert(Class::of(&record.key, &record.mask), slot);
        for tag in tags_of(&record) {
            let dependents = self.by_tag.entry(tag).or_default();
            dependents.list.push(reference);
            dependents.live += 1;
        }
        let before = self.hash_of(&record).and_then(|hash| self.by_likeness.insert(hash, slot));
        let place = &mut self.records[slot as usize];
        place.next_alike = before.unwrap_or(NO_SLOT);
        place.record = Some(Box::new(record));
        place.seen = self.reading;
    }

    /// Flows that may have sent a frame of which an echo is heard, at most [`MOST_ASKED`].
    pub(super) fn may_have_sent(&self, echo: &Echo) -> SmallVec<[FlowId; 2]> {
        let hash = self.hashing.hash_one((echo.segment, echo.mac, echo.likeness));
        let mut next = self.by_likeness.get(&hash).copied().unwrap_or(NO_SLOT);
        let mut flows = SmallVec::new();
        while let Some(slot) = self.records.get(next as usize).filter(|_| flows.len() < MOST_ASKED) {
            let its = slot.record.as_ref().filter(|record| record.echoes().any(|its| its == *echo));
            flows.extend(its.map(|record| record.id));
            next = slot.next_alike;
        }
        flows
    }

    /// What a flow is found by that sends frames into fabrics.
    fn hash_of(&self, record: &Record) -> Option<u64> {
        let source = record.source.filter(|_| !record.into_fabrics.is_empty())?;
        Some(self.hashing.hash_one((source.segment, source.mac, record.likeness)))
    }

    fn forget_likeness(&mut self, hash: u64, slot: u32) {
        let behind = std::mem::replace(&mut self.records[slot as usize].next_alike, NO_SLOT);
        let Entry::Occupied(mut first) = self.by_likeness.entry(hash) else { return };
        let mut at = *first.get();
        if at == slot {
            if behind == NO_SLOT {
                first.remove();
            } else {
                first.insert(behind);
            }
            return;
        }
        while let Some(place) = self.records.get_mut(at as usize) {
            if place.next_alike == slot {
                place.next_alike = behind;
                return;
            }
            at = place.next_alike;
        }
    }

    /// The flow with an id, of which the datapath has just told that it has it.
    pub(super) fn see(&mut self, id: FlowId) -> Option<&mut Record> {
        let place = &mut self.records[*self.by_id.get(&id)? as usize];
        place.seen = self.reading;
        place.record.as_deref_mut()
    }

    /// The datapath has told every flow that it has.
    pub(super) fn end_reading(&mut self) {
        self.unsearched = 0..self.records.len() as u32;
        self.reading = self.reading.wrapping_add(1);
    }

    /// Whether there are places that are still to be searched for flows that the datapath has no more.
    pub(super) fn is_missing_some(&self) -> bool {
        !self.unsearched.is_empty()
    }

    /// Flows that the datapath did not tell in its last two readings, of the next `most` places. A single reading proves nothing: while
    /// it is under way the kernel may give its table another size, and then skips some.
    pub(super) fn next_missing(&mut self, most: u32) -> Vec<FlowId> {
        let end = self.unsearched.end.min(self.unsearched.start + most);
        let places = self.unsearched.start..end;
        self.unsearched.start = end;
        let ended = self.reading.wrapping_sub(1);
        let is_missing = |slot: &&Slot| (2..1 << 15).contains(&ended.wrapping_sub(slot.seen));
        let slots = self.records[places.start as usize..places.end as usize].iter();
        let records = slots.filter(is_missing).filter_map(|slot| slot.record.as_deref());
        records.filter(|record| record.unanswered == 0).map(|record| record.id).collect()
    }

    /// Strikes a flow out.
    pub(super) fn remove(&mut self, id: FlowId) -> Option<Record> {
        let slot = self.by_id.remove(&id)?;
        let place = &mut self.records[slot as usize];
        let record = place.record.take()?;
        place.stamp = place.stamp.wrapping_add(1);
        place.is_stale = false;
        self.free.push(slot);
        let class = Class::of(&record.key, &record.mask);
        if self.by_class.get(&class) == Some(&slot) {
            self.by_class.remove(&class);
        }
        if let Some(hash) = self.hash_of(&record) {
            self.forget_likeness(hash, slot);
        }
        for tag in tags_of(&record) {
            self.untag(tag);
        }
        Some(*record)
    }

    /// Lists are cleared of flows that are gone when these are the greater part: each removal pays for one step of that.
    fn untag(&mut self, tag: Tagged) {
        let Entry::Occupied(mut entry) = self.by_tag.entry(tag) else { return };
        let dependents = entry.get_mut();
        dependents.live = dependents.live.saturating_sub(1);
        if dependents.live == 0 {
            entry.remove();
        } else if dependents.list.len() > 2 * dependents.live as usize + 8 {
            let records = &self.records;
            dependents.list.retain(|reference| is_live(records, *reference));
        }
    }

    /// Whether a flow waits to be looked over: what it names by identifier may be of a topology that is gone.
    pub(super) fn is_stale(&self, id: FlowId) -> bool {
        let Some(slot) = self.by_id.get(&id) else { return false };
        let is_ahead = |unmarked: &Unmarked| matches!(unmarked, Unmarked::Places { next, end } if (*next..*end).contains(slot));
        self.records[*slot as usize].is_stale || self.unmarked.iter().any(is_ahead)
    }

    /// Has the flows with a tag looked over. Where they are many they are marked by and by, see [`Book::mark`].
    pub(super) fn spoil(&mut self, tag: Tagged) {
        let Some(dependents) = self.by_tag.get(&tag) else { return };
        if dependents.list.len() > MANY {
            self.unmarked.push_back(Unmarked::Listed { list: dependents.list.to_vec(), next: 0 });
            return;
        }
        for reference in dependents.list.clone() {
            self.mark_one(reference);
        }
    }

    /// Flows that rest on the whereabouts of an address, at most `most`, those of its own frames first.
    pub(super) fn of_address(&self, segment: SegmentId, mac: MacAddr, most: usize) -> Vec<FlowId> {
        let tag = Tagged::State(Dependency::Address(segment, mac));
        let list = self.by_tag.get(&tag).map_or(&[][..], |dependents| dependents.list.as_slice());
        let live = list.iter().take(MANY).filter(|reference| is_live(&self.records, **reference));
        let records = live.filter_map(|reference| self.records[reference.slot as usize].record.as_deref());
        let is_own = |record: &&Record| record.key.header.src == mac;
        let (own, others): (Vec<&Record>, Vec<&Record>) = records.partition(is_own);
        own.into_iter().chain(others).take(most).map(|record| record.id).collect()
    }

    /// Has every flow looked over.
    pub(super) fn spoil_all(&mut self) {
        // Those that were to be marked are among them.
        self.unmarked.clear();
        self.unmarked.push_back(Unmarked::Places { next: 0, end: self.records.len() as u32 });
    }

    /// Marks flows that are to be looked over as stale, at most `most`; whether all are marked, so that the most used can be told.
    pub(super) fn mark(&mut self, most: usize) -> bool {
        for _ in 0..most {
            let Some(unmarked) = self.unmarked.front_mut() else { return true };
            let next = match unmarked {
                Unmarked::Listed { list, next } => list.get(*next).copied().inspect(|_| *next += 1),
                Unmarked::Places { next, end } => (*next < *end).then(|| {
                    let slot = *next;
                    *next += 1;
                    Reference { slot, stamp: self.records[slot as usize].stamp }
                }),
            };
            match next {
                Some(reference) => self.mark_one(reference),
                None => drop(self.unmarked.pop_front()),
            }
        }
        self.unmarked.is_empty()
    }

    fn mark_one(&mut self, reference: Reference) {
        let slot = &mut self.records[reference.slot as usize];
        let Some(record) = slot.record.as_ref().filter(|_| slot.stamp == reference.stamp) else { return };
        if !slot.is_stale {
            slot.is_stale = true;
            self.stale[heat_of(record)].push_back(reference);
        }
    }

    /// The next stale flow, most used first; it is stale no longer.
    pub(super) fn next_stale(&mut self) -> Option<FlowId> {
        for heat in (0..HEATS).rev() {
            while let Some(reference) = self.stale[heat].pop_front() {
                let slot = &mut self.records[reference.slot as usize];
                let is_it = slot.stamp == reference.stamp && std::mem::take(&mut slot.is_stale);
                if let Some(record) = slot.record.as_ref().filter(|_| is_it) {
                    return Some(record.id);
                }
            }
        }
        None
    }

    /// Whether no flow waits to be looked over.
    pub(super) fn is_fresh(&self) -> bool {
        self.unmarked.is_empty() && self.stale.iter().all(VecDeque::is_empty)
    }
}

/// What a flow is found by, each once.
fn tags_of(record: &Record) -> SmallVec<[Tagged; 10]> {
    let mut tags: SmallVec<[Tagged; 10]> = record.depends.iter().copied().map(Tagged::State).collect();
    tags.push(Tagged::Vport(record.key.vport));
    for_each_vport(&record.actions, &mut |vport| tags.push(Tagged::Vport(vport)));
    keep_distinct(&mut tags);
    tags
}

/// A flood may name thousands; most flows have a handful, for which comparing each with each is less than sorting.
fn keep_distinct(tags: &mut SmallVec<[Tagged; 10]>) {
    if tags.len() > FEW {
        tags.sort_unstable();
        tags.dedup();
        return;
    }
    let mut kept = 0;
    for next in 0..tags.len() {
        if !tags[..kept].contains(&tags[next]) {
            tags[kept] = tags[next];
            kept += 1;
        }
    }
    tags.truncate(kept);
}

fn is_live(records: &[Slot], reference: Reference) -> bool {
    let slot = &records[reference.slot as usize];
    slot.record.is_some() && slot.stamp == reference.stamp
}

fn heat_of(record: &Record) -> usize {
    usize::from(record.heat).min(HEATS - 1)
}

/// No place.
const NO_SLOT: u32 = u32::MAX;

/// Tags that are compared each with each.
const FEW: usize = 16;

/// Flows that are marked at once; more are a matter of milliseconds.
const MANY: usize = 1_000;

/// Degrees of use: idle, 1 frame between two readings, 2 to 3, … 64 and more.
const HEATS: usize = 8;

/// The degree of use of a flow that was hit `frames` times between two readings.
pub(super) fn heat(frames: u64) -> u8 {
    (u64::BITS - frames.leading_zeros()).min(HEATS as u32 - 1) as u8
}

/// The part of an id that all flows of a run have in common.
fn run_of(id: FlowId) -> u64 {
    (id.0 >> 64) as u64
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use vlan::addr::MacAddr;
    use vlan::frame::Header;
    use vlan::model::id::SegmentId;

    use super::*;

    fn address(last: u8) -> Dependency {
        Dependency::Address(SegmentId { number: 1, inner: 0 }, MacAddr([2, 0, 0, 0, 0, last]))
    }

    fn record(book: &mut Book, last: u8, heat: u8, depends: &[Dependency]) -> Record {
        let header = Header {
            dst: MacAddr([2, 0, 0, 0, 0, 99]),
            src: MacAddr([2, 0, 0, 0, 0, last]),
            tags: Default::default(),
            ether_type: 0x0800,
        };
        Record {
            id: book.new_id(),
            key: FlowKey { vport: VportNo(1), header, recirc: 0, opaque: Bytes::new() },
            mask: Consulted { dst: true, ..Consulted::default() },
            actions: vec![Action::Output(VportNo(2))],
            port: PortKey(0),
            purpose: Purpose::Forward,
            judge: None,
            source: None,
            likeness: Likeness::default(),
            depends: depends.iter().copied().collect(),
            into_fabrics: SmallVec::new(),
            stats: FlowStats::default(),
            used: Instant::ZERO,
            unanswered: 0,
            heat,
        }
    }

    fn spoiled(book: &mut Book, tag: Tagged) -> Vec<FlowId> {
        book.spoil(tag);
        stale(book)
    }

    fn stale(book: &mut Book) -> Vec<FlowId> {
        assert!(book.mark(usize::MAX));
        std::iter::from_fn(|| book.next_stale()).collect()
    }

    #[test]
    fn flows_are_found_by_what_they_rest_on_and_by_vport() {
        let mut book = Book::new(1);
        let (a, b) =
            (record(&mut book, 1, 0, &[address(1)]), record(&mut book, 2, 0, &[address(1), address(2)]));
        let (a_id, b_id) = (a.id, b.id);
        book.enter(a);
        book.enter(b);
        assert_eq!(spoiled(&mut book, Tagged::State(address(1))), [a_id, b_id]);
        assert_eq!(spoiled(&mut book, Tagged::State(address(2))), [b_id]);
        assert_eq!(spoiled(&mut book, Tagged::Vport(VportNo(2))), [a_id, b_id]);
        book.remove(a_id);
        assert_eq!(spoiled(&mut book, Tagged::State(address(1))), [b_id]);
        book.remove(b_id);
        assert!(book.by_tag.is_empty() && book.by_class.is_empty(), "{book:?}");
    }

    #[test]
    fn stale_flows_come_most_used_first_and_once() {
        let mut book = Book::new(1);
        let records: Vec<Record> =
            [(1, 0), (2, 7), (3, 3)].iter().map(|(n, h)| record(&mut book, *n, *h, &[address(9)])).collect();
        let ids: Vec<FlowId> = records.iter().map(|record| record.id).collect();
        records.into_iter().for_each(|record| book.enter(record));
        book.spoil(Tagged::State(address(9)));
        book.spoil_all();
        book.remove(ids[2]);
        let order = stale(&mut book);
        assert_eq!(order, [ids[1], ids[0]]);
        assert!(book.is_fresh());
    }

    #[test]
    fn where_many_are_stale_they_are_marked_by_and_by_and_then_come_most_used_first() {
        let mut book = Book::new(1);
        for number in 0..3_000_u32 {
            let heat = u8::from(number == 2_999);
            let mut record = record(&mut book, 1, heat, &[address(9)]);
            record.key.recirc = number;
            book.enter(record);
        }
        for spoil in
            [|book: &mut Book| book.spoil(Tagged::State(address(9))), |book: &mut Book| book.spoil_all()]
        {
            spoil(&mut book);
            assert!(!book.mark(2_000) && !book.is_fresh());
            let last = (0..book.places())
                .filter_map(|place| book.at(place))
                .last()
                .map(|record| (record.id, record.heat))
                .unwrap();
            let order = stale(&mut book);
            assert_eq!((order.len(), order[0], last.1), (3_000, last.0, 1));
            assert!(book.is_fresh());
        }
    }

    #[test]
    fn a_flow_that_is_not_marked_yet_is_stale_already_where_all_are() {
        let mut book = Book::new(1);
        let record = record(&mut book, 1, 0, &[]);
        let id = record.id;
        book.enter(record);
        book.spoil_all();
        assert!(book.is_stale(id));
        assert_eq!(stale(&mut book), [id]);
        assert!(!book.is_stale(id));
    }

    #[test]
    fn a_class_leaves_out_what_was_not_looked_at() {
        let mut book = Book::new(1);
        let mut first = record(&mut book, 1, 0, &[]);
        first.mask.dst = false;
        let (id, mut other_destination, mask) = (first.id, first.key.clone(), first.mask);
        book.enter(first);
        other_destination.header.dst = MacAddr([2, 0, 0, 0, 0, 50]);
        assert_eq!(book.find_class(&other_destination, &mask), Some(id));
        other_destination.header.src = MacAddr([2, 0, 0, 0, 0, 51]);
        assert_eq!(book.find_class(&other_destination, &mask), None, "the source address always counts");
    }

    #[test]
    fn a_place_that_is_used_again_is_another_flow() {
        let mut book = Book::new(1);
        let old = record(&mut book, 1, 0, &[address(1)]);
        let old_id = old.id;
        book.enter(old);
        book.spoil(Tagged::State(address(1)));
        book.remove(old_id);
        let new = record(&mut book, 2, 0, &[]);
        book.enter(new);
        assert_eq!(book.next_stale(), None);
    }

    #[test]
    fn degrees_of_use_are_powers_of_two() {
        assert_eq!([0, 1, 2, 3, 4, 63, 64, u64::MAX].map(heat), [0, 1, 2, 2, 3, 6, 7, 7]);
    }
}

//! The order in which addresses age, thaw and are evicted, and how many a slot has.
//!
//! A dynamic address is counted by its slot, and is in a queue of that slot or frozen. The dynamic addresses of one slot with one ageing
//! time are a *queue*: buckets by the second in which an address was last heard, oldest first. One structure answers both questions: the
//! oldest bucket of a queue is the next to age, and the oldest of a slot's queues (nearly always it has one) holds the address that has
//! to go when the slot is full.
//!
//! Hearing an address again only writes `used` into its node. That an address waits in too old a bucket is noticed when it
//! comes to the front; then it goes into the bucket where it belongs. So an address that is always busy is linked once
//! per ageing time, not once per frame, and no step looks at addresses that are not due: 1 000 000 busy
//! addresses of 300 s cost 3 400 links a second. The price is a second: an address is known up to a second longer than its age (see
//! `lifetime`), and the evicted one is the oldest to the second.

use std::collections::BTreeSet;
use std::time::Duration;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::Slot;
use super::frozen::{Freeze, Frozen};
use super::lifetime::{self, NEVER, second_of};
use super::page::Reached;
use super::place::Place;
use super::queue::Queue;
use super::table::{FROZEN, NO_QUEUE, Node, Table};
use crate::time::Instant;

/// All queues, by slot and by when they are due.
#[derive(Debug, Clone, Default)]
pub(super) struct Queues {
    slots: FxHashMap<Slot, Tally>,
    queues: Vec<Queue>,
    /// Queues without addresses, to be used again.
    idle: Vec<u32>,
    /// The second in which the first bucket of a queue has aged, and the queue.
    due: BTreeSet<(u32, u32)>,
    /// The first ageing times that queues had, by class. There are as many as bridges have settings: few.
    ageings: Vec<Duration>,
    frozen: Frozen,
}

impl Queues {
    /// The queue that a node is in.
    pub(super) fn of(&self, node: &Node) -> Option<&Queue> {
        self.queues.get(node.queue as usize)
    }

    /// Whether an address is past its age and will not be found again unless it is heard. Declared and remote addresses never are, a
    /// frozen one is not before it thaws.
    #[inline]
    pub(super) fn is_live(&self, table: &Table, now: Instant, place: Place) -> bool {
        let node = &table[place];
        match node.queue {
            NO_QUEUE => true,
            FROZEN => self
                .frozen
                .of(place)
                .is_none_or(|freeze| now < freeze.until || !lifetime::is_over(now, node.used, freeze.ageing)),
            _ => !lifetime::is_over(now, node.used, self.ageing(node)),
        }
    }

    /// The time by which an address ages, or will once it has thawed; zero is never.
    pub(super) fn ageing_of(&self, table: &Table, place: Place) -> Duration {
        let node = &table[place];
        match node.queue {
            NO_QUEUE => Duration::ZERO,
            FROZEN => self.frozen.of(place).map_or(Duration::ZERO, |freeze| freeze.ageing),
            _ => self.ageing(node),
        }
    }

    /// The slot that an address is counted in: a dynamic one's, frozen or not.
    pub(super) fn slot_of(&self, table: &Table, place: Place) -> Option<Slot> {
        match self.of(&table[place]) {
            Some(queue) => Some(queue.slot),
            None => self.freeze_of(table, place)?.slot,
        }
    }

    /// Until when a frozen address may not move; that may be over.
    pub(super) fn freeze_of(&self, table: &Table, place: Place) -> Option<&Freeze> {
        if table[place].queue == FROZEN { self.frozen.of(place) } else { None }
    }

    /// The ageing time of a node that is in a queue. Asked of every frame's addresses, so it spares the queue a visit.
    fn ageing(&self, node: &Node) -> Duration {
        match self.ageings.get(usize::from(node.class)) {
            Some(ageing) => *ageing,
            None => self.of(node).map_or(Duration::ZERO, |queue| queue.ageing),
        }
    }

    fn class(&mut self, ageing: Duration) -> u8 {
        let known = self.ageings.iter().position(|known| *known == ageing);
        let class = known.unwrap_or_else(|| {
            if self.ageings.len() < usize::from(NO_CLASS) {
                self.ageings.push(ageing);
                return self.ageings.len() - 1;
            }
            usize::from(NO_CLASS)
        });
        class as u8
    }

    pub(super) fn count(&self, slot: Slot) -> u32 {
        self.slots.get(&slot).map_or(0, |tally| tally.count)
    }

    /// Counts one more address in a slot, and puts it in a queue.
    pub(super) fn admit(&mut self, table: &mut Table, place: Place, slot: Slot, ageing: Duration) {
        self.slots.entry(slot).or_default().count += 1;
        self.link(table, place, slot, ageing);
    }

    /// Takes an address out of its slot, and out of its queue or the frozen ones. Without a slot it may be frozen too.
    pub(super) fn dismiss(&mut self, table: &mut Table, place: Place) {
        let slot = self.slot_of(table, place);
        self.unlink(table, place);
        if table[place].queue == FROZEN {
            self.frozen.take(place);
            table[place].queue = NO_QUEUE;
        }
        let Some(tally) = slot.and_then(|slot| self.slots.get_mut(&slot)) else { return };
        tally.count -= 1;
        if let Some(slot) = slot.filter(|_| tally.count == 0) {
            self.slots.remove(&slot);
        }
    }

    /// Has an address wait out of its queue until it thaws.
    pub(super) fn hold(&mut self, table: &mut Table, place: Place, until: Instant) {
        let (slot, ageing) = (self.slot_of(table, place), self.ageing_of(table, place));
        self.unlink(table, place);
        self.freeze(table, place, Freeze { until, slot, ageing });
    }

    /// Has an address that is in no queue be frozen.
    pub(super) fn freeze(&mut self, table: &mut Table, place: Place, freeze: Freeze) {
        self.frozen.put(place, freeze);
        table[place].queue = FROZEN;
    }

    /// Lets a frozen address age and move as before. False if it is not frozen.
    pub(super) fn thaw(&mut self, table: &mut Table, place: Place) -> bool {
        let Some(freeze) = self.frozen.take(place) else { return false };
        table[place].queue = NO_QUEUE;
        if let Some(slot) = freeze.slot {
            self.link(table, place, slot, freeze.ageing);
        }
        true
    }

    /// When the next frozen address thaws, and which that is.
    pub(super) fn next_thaw(&self) -> Option<(Instant, Place)> {
        self.frozen.first()
    }

    /// Has an address age by another time, if it ages; a frozen one will once it has thawed.
    pub(super) fn set_ageing(&mut self, table: &mut Table, place: Place, ageing: Duration) {
        if table[place].queue == FROZEN {
            self.frozen.set_ageing(place, ageing);
        } else {
            self.queue_by(table, place, ageing);
        }
    }

    /// Has an address that is in a queue age by another time.
    pub(super) fn queue_by(&mut self, table: &mut Table, place: Place, ageing: Duration) {
        let node = &table[place];
        let slot = self.of(node).filter(|_| self.ageing(node) != ageing).map(|queue| queue.slot);
        if let Some(slot) = slot {
            self.unlink(table, place);
            self.link(table, place, slot, ageing);
        }
    }

    /// Remembers the limit of a slot that has addresses.
    pub(super) fn set_limit(&mut self, slot: Slot, limit: u32) {
        if let Some(tally) = self.slots.get_mut(&slot) {
            tally.limit = Some(limit);
        }
    }

    /// The limit that a slot last learned under; `None` if it has no addresses or none was learned.
    pub(super) fn limit(&self, slot: Slot) -> Option<u32> {
        self.slots.get(&slot)?.limit
    }

    /// Whether a slot has as many addresses as were allowed there last.
    pub(super) fn is_full(&self, slot: Slot) -> bool {
        self.slots.get(&slot).is_some_and(|tally| tally.limit.is_some_and(|limit| tally.count >= limit))
    }

    /// Puts a node that is in no queue behind those last heard in the same second.
    pub(super) fn link(&mut self, table: &mut Table, place: Place, slot: Slot, ageing: Duration) {
        let queue = self.queue_for(slot, ageing);
        table[place].queue = queue;
        table[place].class = self.class(ageing);
        self.queues[queue as usize].put_in(table, place);
        self.reckon(queue);
    }

    /// Takes a node out of its queue, if it is in one.
    pub(super) fn unlink(&mut self, table: &mut Table, place: Place) {
        let queue = table[place].queue;
        if queue == NO_QUEUE || queue == FROZEN {
            return;
        }
        self.queues[queue as usize].take_out(table, place);
        table[place].queue = NO_QUEUE;
        self.reckon(queue);
        if self.queues[queue as usize].is_empty() {
            let slot = self.queues[queue as usize].slot;
            if let Some(tally) = self.slots.get_mut(&slot) {
                tally.queues.retain(|q| *q != queue);
            }
            self.idle.push(queue);
        }
    }

    /// The first address of a queue that is due at `now`; it has aged unless it waits in too old a bucket.
    pub(super) fn due(&self, now: Instant) -> Option<Place> {
        let (second, queue) = *self.due.first()?;
        if second > second_of(now) { None } else { self.queues[queue as usize].first() }
    }

    /// The address that [`Queues::due`] says, and those behind it in its queue.
    pub(super) fn all_due<'a>(&'a self, table: &'a Table, now: Instant) -> impl Iterator<Item = Place> + 'a {
        let first = self.due.first().filter(|(second, _)| *second <= second_of(now));
        first.into_iter().flat_map(|(_, queue)| self.queues[*queue as usize].places(table))
    }

    /// When an address may have aged.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(second, _)| Instant::from_secs(u64::from(*second)))
    }

    /// Puts a node that was heard since into the bucket where it belongs. False if it is there already.
    pub(super) fn requeue(&mut self, table: &mut Table, place: Place) -> bool {
        let node = &table[place];
        let queue = node.queue;
        if node.second == second_of(node.used) {
            return false;
        }
        self.queues[queue as usize].take_out(table, place);
        self.queues[queue as usize].put_in(table, place);
        self.reckon(queue);
        true
    }

    /// The address of a slot to be evicted: one past its age, else the one heard longest ago.
    pub(super) fn oldest(&mut self, table: &mut Table, now: Instant, slot: Slot) -> Option<Place> {
        let queues = self.slots.get(&slot)?.queues.clone();
        let mut oldest = None;
        for queue in queues {
            let Some(place) = self.oldest_of(table, queue) else { continue };
            if !self.is_live(table, now, place) {
                return Some(place);
            }
            if oldest.is_none_or(|other| is_older(table, place, other)) {
                oldest = Some(place);
            }
        }
        oldest
    }

    /// Whether the oldest address of any of a slot's queues is past its age.
    pub(super) fn past(&mut self, table: &mut Table, now: Instant, slot: Slot) -> Option<Place> {
        let place = self.oldest(table, now, slot)?;
        (!self.is_live(table, now, place)).then_some(place)
    }

    /// Of each of a slot's queues the addresses at its front, as many as one look for the oldest may meet.
    pub(super) fn front(&self, table: &Table, slot: Slot) -> Vec<Place> {
        let Some(tally) = self.slots.get(&slot) else { return Vec::new() };
        let mut places = Vec::new();
        for queue in &tally.queues {
            places.extend(self.queues[*queue as usize].places(table).take(FRONT_STEPS));
        }
        places
    }

    /// Has a slot count as it does elsewhere.
    pub(super) fn count_as(&mut self, other: &Queues, slot: Slot) {
        if let Some(Tally { count, limit, .. }) = other.slots.get(&slot) {
            let tally = self.slots.entry(slot).or_default();
            (tally.count, tally.limit) = (*count, *limit);
        }
    }

    /// All addresses that a slot counts, the frozen ones last.
    pub(super) fn places(&self, table: &Table, slot: Slot) -> Vec<Place> {
        let Some(tally) = self.slots.get(&slot) else { return Vec::new() };
        let mut places = Vec::with_capacity(tally.count as usize);
        places.extend(tally.queues.iter().flat_map(|queue| self.queues[*queue as usize].places(table)));
        places.extend(self.frozen.in_slot(slot));
        places
    }

    /// The addresses in a slot's queues from a point on, in an order that stays while there is a walk: an address that changes its place in
    /// it is either heard, and goes behind, or attached anew.
    pub(super) fn places_from<'a>(
        &'a self,
        table: &'a Table,
        slot: Slot,
        from: Option<Reached>,
    ) -> impl Iterator<Item = Place> + 'a {
        let mut queues = self.slots.get(&slot).map(|tally| tally.queues.clone()).unwrap_or_default();
        queues.sort_unstable();
        queues.retain(|queue| from.is_none_or(|from| *queue >= from.queue));
        queues.into_iter().flat_map(move |queue| {
            let from = from.filter(|from| from.queue == queue);
            let (second, place) = from.map_or((0, None), |from| (from.second, from.place_in(table)));
            self.queues[queue as usize].places_from(table, second, place)
        })
    }

    /// The front of a queue once those heard since have left it. At most [`FRONT_STEPS`] do so in one call, so that no
    /// frame waits for a million; then the oldest of those seen is the answer.
    fn oldest_of(&mut self, table: &mut Table, queue: u32) -> Option<Place> {
        let mut oldest = None;
        for _ in 0..FRONT_STEPS {
            let place = self.queues[queue as usize].first()?;
            if !self.requeue(table, place) {
                return Some(place);
            }
            if oldest.is_none_or(|other| is_older(table, place, other)) {
                oldest = Some(place);
            }
        }
        oldest
    }

    fn queue_for(&mut self, slot: Slot, ageing: Duration) -> u32 {
        let tally = self.slots.entry(slot).or_default();
        let with_ageing = |q: &&u32| self.queues[**q as usize].ageing == ageing;
        if let Some(queue) = tally.queues.iter().find(with_ageing) {
            return *queue;
        }
        let empty = Queue::new(slot, ageing);
        let queue = match self.idle.pop() {
            Some(queue) => {
                self.queues[queue as usize] = empty;
                queue
            }
            None => {
                self.queues.push(empty);
                (self.queues.len() - 1) as u32
            }
        };
        tally.queues.push(queue);
        queue
    }

    /// Brings `due` up to date after the first bucket of a queue may have changed.
    fn reckon(&mut self, queue: u32) {
        let entry = &mut self.queues[queue as usize];
        let due = entry.reckoned_due();
        if due == entry.due {
            return;
        }
        let before = std::mem::replace(&mut entry.due, due);
        if before != NEVER {
            self.due.remove(&(before, queue));
        }
        if due != NEVER {
            self.due.insert((due, queue));
        }
    }
}

/// What is counted of a slot.
#[derive(Debug, Clone, Default)]
struct Tally {
    count: u32,
    limit: Option<u32>,
    queues: SmallVec<[u32; 2]>,
}

/// Whether `place` was last heard before `other`.
fn is_older(table: &Table, place: Place, other: Place) -> bool {
    table[place].used < table[other].used
}

/// The class of ageing times that were one too many; the queue knows them.
const NO_CLASS: u8 = u8::MAX;
/// Most addresses that one eviction moves to where they belong.
const FRONT_STEPS: usize = 32;

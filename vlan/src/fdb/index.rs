//! From key to place: open addressing with linear probing, at most half full, 8 bytes a slot.
//!
//! With a million addresses a look-up is two cache lines, this index' and the node's, and little else: memory is what it costs. A
//! slot holds half of the hash, from which its home follows, so that neither growing nor closing a gap reads nodes. The
//! hash is secret (see `key`), so nobody can fill one neighbourhood.

use super::place::Place;

/// Places by hash.
#[derive(Debug, Clone)]
pub(super) struct Index {
    /// A power of two of them, at least [`LEAST`].
    slots: Vec<Slot>,
    len: usize,
}

impl Index {
    pub(super) fn new() -> Index {
        Index { slots: vec![EMPTY; LEAST], len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The place under a hash for which `is_it` holds.
    #[inline]
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(Place) -> bool) -> Option<Place> {
        let mark = mark_of(hash);
        let mut at = self.home(mark);
        loop {
            let slot = self.slots[at];
            if slot.place == Place::NONE {
                return None;
            }
            if slot.mark == mark && is_it(slot.place) {
                return Some(slot.place);
            }
            at = self.after(at);
        }
    }

    /// What the first slot for a hash says, for who will look there soon.
    #[inline]
    pub(super) fn near(&self, hash: u64) -> u32 {
        self.slots[self.home(mark_of(hash))].mark
    }

    /// Puts in a place that is not there.
    pub(super) fn insert(&mut self, hash: u64, place: Place) {
        if (self.len + 1) * 2 > self.slots.len() {
            self.grow();
        }
        self.put(Slot { mark: mark_of(hash), place });
        self.len += 1;
    }

    /// Takes a place out, and moves those behind it nearer to their homes, so that no look-up ends at the gap.
    pub(super) fn remove(&mut self, hash: u64, place: Place) {
        let mut gap = self.home(mark_of(hash));
        while self.slots[gap].place != place {
            if self.slots[gap].place == Place::NONE {
                return;
            }
            gap = self.after(gap);
        }
        self.len -= 1;
        let mut next = self.after(gap);
        while self.slots[next].place != Place::NONE {
            let from_home = self.distance(self.home(self.slots[next].mark), next);
            if from_home >= self.distance(gap, next) {
                self.slots[gap] = self.slots[next];
                gap = next;
            }
            next = self.after(next);
        }
        self.slots[gap] = EMPTY;
    }

    fn grow(&mut self) {
        let slots = vec![EMPTY; self.slots.len() * 2];
        for slot in std::mem::replace(&mut self.slots, slots) {
            if slot.place != Place::NONE {
                self.put(slot);
            }
        }
    }

    fn put(&mut self, slot: Slot) {
        let mut at = self.home(slot.mark);
        while self.slots[at].place != Place::NONE {
            at = self.after(at);
        }
        self.slots[at] = slot;
    }

    /// The first slot for a mark: its highest bits.
    fn home(&self, mark: u32) -> usize {
        ((u64::from(mark) * self.slots.len() as u64) >> 32) as usize
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & (self.slots.len() - 1)
    }
}

/// A place and what is kept of its hash.
#[derive(Debug, Clone, Copy)]
struct Slot {
    mark: u32,
    place: Place,
}

/// Both halves of the hash, as the lower one alone may be the better mixed.
fn mark_of(hash: u64) -> u32 {
    (hash ^ hash >> 32) as u32
}

const EMPTY: Slot = Slot { mark: 0, place: Place::NONE };
/// Slots of an empty index.
const LEAST: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn find(index: &Index, hash: u64) -> Option<Place> {
        index.find(hash, |place| u64::from(place.0) == hash & 0xffff)
    }

    proptest! {
        /// Against a plain list. Hashes are few and close together, so that neighbourhoods meet and wrap around.
        #[test]
        fn holds_what_was_put_in_and_not_taken_out(steps in prop::collection::vec((any::<bool>(), 0..60_u64), 1..400)) {
            let (mut index, mut list) = (Index::new(), Vec::new());
            for (is_in, number) in steps {
                // Homes at both ends of the array; the low bits are the place.
                let hash = (number % 4 * 0x5555_5555 + number / 4) << 32 | number;
                let mark = (hash ^ hash >> 32) & 0xffff_ffff;
                let hash = hash & !0xffff_ffff | (mark ^ hash >> 32);
                let place = Place((hash & 0xffff) as u32);
                match (is_in, list.contains(&hash)) {
                    (true, false) => { index.insert(hash, place); list.push(hash); }
                    (false, true) => { index.remove(hash, place); list.retain(|other| *other != hash); }
                    _ => {}
                }
                prop_assert_eq!(index.len(), list.len());
                for hash in &list {
                    prop_assert_eq!(find(&index, *hash), Some(Place((*hash & 0xffff) as u32)));
                }
            }
        }
    }

    #[test]
    fn is_at_most_half_full() {
        let mut index = Index::new();
        for number in 0..1_000_u64 {
            index.insert(number.wrapping_mul(0x9e37_79b9_7f4a_7c15), Place(number as u32));
            assert!(index.len() * 2 <= index.slots.len());
        }
    }
}

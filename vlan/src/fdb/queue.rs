//! One queue: the dynamic addresses of one slot with one ageing time, in buckets by the second in which each was last heard.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Slot;
use super::lifetime::{NEVER, end_of, second_of};
use super::place::Place;
use super::table::{Node, Table};

/// The dynamic addresses of one slot with one ageing time.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    pub(super) slot: Slot,
    pub(super) ageing: Duration,
    buckets: BTreeMap<u32, Bucket>,
    /// The second in which the first bucket has aged, as `Queues` was told last.
    pub(super) due: u32,
}

impl Queue {
    pub(super) fn new(slot: Slot, ageing: Duration) -> Queue {
        Queue { slot, ageing, buckets: BTreeMap::new(), due: NEVER }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    pub(super) fn first(&self) -> Option<Place> {
        self.buckets.first_key_value().map(|(_, bucket)| bucket.first)
    }

    /// All, as they stand in the queue.
    pub(super) fn places<'a>(&'a self, table: &'a Table) -> impl Iterator<Item = Place> + 'a {
        self.places_from(table, 0, None)
    }

    /// Those from a second on, of that second from a place in its bucket on.
    pub(super) fn places_from<'a>(
        &'a self,
        table: &'a Table,
        second: u32,
        place: Option<Place>,
    ) -> impl Iterator<Item = Place> + 'a {
        let next = |place: &Place| Some(table[*place].next).filter(|next| *next != Place::NONE);
        self.buckets.range(second..).flat_map(move |(at, bucket)| {
            let first = place.filter(|_| *at == second).unwrap_or(bucket.first);
            std::iter::successors(Some(first), next)
        })
    }

    pub(super) fn put_in(&mut self, table: &mut Table, place: Place) {
        let second = second_of(table[place].used);
        let bucket = self.buckets.entry(second).or_insert(Bucket { first: Place::NONE, last: Place::NONE });
        let last = std::mem::replace(&mut bucket.last, place);
        if last == Place::NONE {
            bucket.first = place;
        } else {
            table[last].next = place;
        }
        let node = &mut table[place];
        (node.second, node.previous, node.next) = (second, last, Place::NONE);
    }

    pub(super) fn take_out(&mut self, table: &mut Table, place: Place) {
        let Node { second, previous, next, .. } = table[place];
        let Some(bucket) = self.buckets.get_mut(&second) else { return };
        if previous == Place::NONE {
            bucket.first = next;
        } else {
            table[previous].next = next;
        }
        if next == Place::NONE {
            bucket.last = previous;
        } else {
            table[next].previous = previous;
        }
        if bucket.first == Place::NONE {
            self.buckets.remove(&second);
        }
    }

    /// The second at whose start all of the first bucket is past its age.
    pub(super) fn reckoned_due(&self) -> u32 {
        match self.buckets.first_key_value() {
            Some((second, _)) if !self.ageing.is_zero() => end_of(*second, self.ageing),
            _ => NEVER,
        }
    }
}

/// Nodes last heard, as far as the queue knows, in one second.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    first: Place,
    last: Place,
}

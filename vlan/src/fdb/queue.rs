//! One queue: the dynamic addresses of one slot with one ageing time, in buckets by the second in which each was last heard.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Slot;
use super::place::Place;
use super::table::{Node, Table};
use crate::time::Instant;

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

    /// Whether an address of this queue that was last heard at `used` is past its age.
    pub(super) fn is_past(&self, now: Instant, used: Instant) -> bool {
        is_past(now, used, self.ageing)
    }

    pub(super) fn first(&self) -> Option<Place> {
        self.buckets.first_key_value().map(|(_, bucket)| bucket.first)
    }

    /// All, as they stand in the queue.
    pub(super) fn places<'a>(&'a self, table: &'a Table) -> impl Iterator<Item = Place> + 'a {
        let next = |place: &Place| Some(table[*place].next).filter(|next| *next != Place::NONE);
        self.buckets.values().flat_map(move |bucket| std::iter::successors(Some(bucket.first), next))
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
            Some((second, _)) if !self.ageing.is_zero() => {
                let end = Instant::from_secs(u64::from(*second) + 1) + self.ageing;
                u32::try_from(end.as_nanos().div_ceil(NANOS)).unwrap_or(NEVER)
            }
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

/// The second of the clock that a moment is in.
pub(super) fn second_of(at: Instant) -> u32 {
    u32::try_from(at.as_nanos() / NANOS).unwrap_or(u32::MAX)
}

/// Whether an address last heard at `used` is past an ageing time; zero is never.
pub(super) fn is_past(now: Instant, used: Instant, ageing: Duration) -> bool {
    !ageing.is_zero() && now >= used + ageing
}

/// Nanoseconds in a second.
const NANOS: u64 = 1_000_000_000;
/// A second that does not come: 136 years after the start of the clock.
pub(super) const NEVER: u32 = u32::MAX;

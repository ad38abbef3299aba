//! Where addresses are kept: one array of nodes, and an index from key to node.
//!
//! A node keeps its [`Place`] while its address is known, so queues link nodes by 4-byte places instead of pointers.

use std::hash::BuildHasher;
use std::ops;

use super::entry::{Gone, Kind};
use super::index::Index;
use super::key::{Key, Seed};
use super::place::Place;
use crate::model::id::Location;
use crate::time::Instant;

/// Nodes by place and by key.
#[derive(Debug, Clone)]
pub(super) struct Table {
    index: Index,
    seed: Seed,
    nodes: Vec<Node>,
    /// The first of the vacant nodes, which are linked by `next`.
    vacant: Place,
}

impl Table {
    pub(super) fn new(seed: Seed) -> Table {
        Table { index: Index::new(), seed, nodes: Vec::new(), vacant: Place::NONE }
    }

    #[inline]
    pub(super) fn find(&self, key: Key) -> Option<Place> {
        self.index.find(self.seed.hash_one(key), |place| self[place].key == key)
    }

    /// Puts in a node whose key is not in the table.
    pub(super) fn insert(&mut self, node: Node) -> Place {
        let place = self.vacant;
        let place = if place == Place::NONE {
            self.nodes.push(node);
            // 2^32 nodes are 256 GiB: memory ends first.
            Place((self.nodes.len() - 1) as u32)
        } else {
            self.vacant = self[place].next;
            self[place] = node;
            place
        };
        self.index.insert(self.seed.hash_one(node.key), place);
        place
    }

    /// Takes out a node that is in no queue.
    pub(super) fn remove(&mut self, place: Place) -> Gone {
        let vacant = self.vacant;
        let node = &mut self[place];
        let (key, location) = (node.key, node.location);
        node.queue = VACANT;
        node.next = vacant;
        self.vacant = place;
        self.index.remove(self.seed.hash_one(key), place);
        Gone { segment: key.segment(), mac: key.mac(), location }
    }

    /// Looks at what [`Table::remove`] will look at for each of these. In a large table that is memory which is far away: reads that do
    /// not wait for each other are waited for once.
    pub(super) fn bring_near(&self, places: impl Iterator<Item = Place>) {
        let looked_at = places.map(|place| self.index.near(self.seed.hash_one(self[place].key)));
        std::hint::black_box(looked_at.fold(0, |all, one| all ^ one));
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// The places of all nodes, in the order of the array.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> + '_ {
        self.places_from(0, self.nodes.len())
    }

    /// The places of the nodes among `most` of the array from one place on, in its order.
    pub(super) fn places_from(&self, from: u32, most: usize) -> impl Iterator<Item = Place> + '_ {
        let nodes = self.nodes.iter().skip(from as usize).take(most);
        (from..).map(Place).zip(nodes).filter(|(_, node)| node.queue != VACANT).map(|(place, _)| place)
    }

    /// How many places there are, vacant ones too.
    pub(super) fn room(&self) -> usize {
        self.nodes.len()
    }
}

impl ops::Index<Place> for Table {
    type Output = Node;

    fn index(&self, place: Place) -> &Node {
        &self.nodes[place.0 as usize]
    }
}

impl ops::IndexMut<Place> for Table {
    fn index_mut(&mut self, place: Place) -> &mut Node {
        &mut self.nodes[place.0 as usize]
    }
}

/// What is kept of an address: one cache line. What only few addresses have is kept beside, see `Frozen` and `Moves`.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(super) struct Node {
    pub(super) learned: Instant,
    pub(super) used: Instant,
    pub(super) key: Key,
    pub(super) location: Location,
    pub(super) generation: u32,
    /// The queue it is in; [`FROZEN`], or [`NO_QUEUE`] if none.
    pub(super) queue: u32,
    /// The second of the bucket it is in: not after `used`.
    pub(super) second: u32,
    pub(super) previous: Place,
    pub(super) next: Place,
    pub(super) kind: Kind,
    /// Which of the few ageing times there are its queue has, see `Queues::ageing`.
    pub(super) class: u8,
    /// Whether no port of this host has heard it there: another host's frame said so.
    pub(super) is_hint: bool,
}

impl Node {
    /// A node in no queue, learned and last heard at `used`.
    pub(super) fn new(key: Key, location: Location, kind: Kind, used: Instant) -> Node {
        Node {
            learned: used,
            used,
            key,
            location,
            generation: 0,
            queue: NO_QUEUE,
            second: 0,
            previous: Place::NONE,
            next: Place::NONE,
            kind,
            class: 0,
            is_hint: false,
        }
    }

    /// Notes that the address was heard at `used`, at the latest.
    #[inline]
    pub(super) fn hear(&mut self, used: Instant) {
        self.used = self.used.max(used);
    }
}

/// The queue of a node that is in none.
pub(super) const NO_QUEUE: u32 = u32::MAX;
/// The queue of a node that waits until it thaws.
pub(super) const FROZEN: u32 = u32::MAX - 1;
/// No address is there.
const VACANT: u32 = u32::MAX - 2;

const _: () = assert!(size_of::<Node>() == 64, "a node is one cache line");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::MacAddr;
    use crate::model::id::{HostId, SegmentId};

    fn node(last: u8) -> Node {
        let key = Key::new(SegmentId { number: 1, inner: 0 }, MacAddr([2, 0, 0, 0, 0, last]));
        Node::new(key, Location::Host(HostId(1)), Kind::Remote, Instant::ZERO)
    }

    #[test]
    fn a_vacant_place_is_used_again_and_not_listed_meanwhile() {
        let mut table = Table::new(Seed::new(1));
        let places: Vec<Place> = (0..3).map(|i| table.insert(node(i))).collect();
        table.remove(places[1]);
        assert_eq!(table.places().collect::<Vec<_>>(), [places[0], places[2]]);
        assert_eq!(table.find(node(1).key), None);
        assert_eq!(table.insert(node(9)), places[1]);
        assert_eq!(table.insert(node(10)), Place(3));
        assert_eq!(table.len(), 4);
    }
}

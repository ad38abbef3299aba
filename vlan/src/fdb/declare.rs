//! Addresses that are declared by the operator.

use std::time::Duration;

use super::addresses::Addresses;
use super::entry::Kind;
use super::key::Key;
use super::table::Node;
use crate::addr::MacAddr;
use crate::model::id::{Location, SegmentId};
use crate::time::Instant;

/// What a declaration changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declared {
    /// The address was not known, or was known there by other means.
    New,
    /// It was declared there already.
    Unchanged,
    /// It was declared, learned or remote elsewhere.
    Replaced {
        /// Where.
        from: Location,
    },
}

impl Addresses {
    /// Puts an address where the operator says it is: it does not age or move, and counts towards no limit. Of two
    /// declarations of one address on a segment the later one holds.
    pub fn declare(&mut self, segment: SegmentId, mac: MacAddr, location: Location) -> Declared {
        let key = Key::new(segment, mac);
        let Some(place) = self.table.find(key) else {
            self.enter(Node::new(key, location, Kind::Declared, Instant::ZERO), None, Duration::ZERO);
            return Declared::New;
        };
        let Node { kind, location: from, .. } = self.table[place];
        if (kind, from) == (Kind::Declared, location) {
            return Declared::Unchanged;
        }
        self.queues.dismiss(&mut self.table, place);
        self.moves.settle(place);
        let node = &mut self.table[place];
        (node.location, node.kind) = (location, Kind::Declared);
        if from != location {
            node.learned = Instant::ZERO;
        }
        self.attach(place, None, Duration::ZERO);
        if from == location { Declared::New } else { Declared::Replaced { from } }
    }
}

//! The forwarding database: where on a segment each address is.
//!
//! An address is *learned* from a frame's source and *ages* when it is no longer heard ([`age`]); or it is *declared* by the
//! operator, or *remote*, owned by another host ([`declare`]). It *moves* when it is heard elsewhere ([`learn`]), unless it is
//! declared, sticks (`sticky`), is frozen after too many moves (`damping`), or the frame is our own, come back through a fabric (`reflect`).
//! Addresses are counted by [`Slot`], and a full slot gives up its own oldest.
//!
//! The topology is not known here: ageing and limits come with each [`Learn`]. Nothing is withdrawn here either: each
//! change that may alter a verdict is returned, so that the caller can withdraw what depended on that address.
//!
//! ```text
//!            learn                      5th move in 180 s
//!   unknown ───────► dynamic ─┬─ moves ──────────────────► frozen ── 300 s, thaw ──► dynamic
//!      ▲                      │
//!      └── age, evict, flush ─┘
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::addr::MacAddr;
use crate::model::description::OnLimit;
use crate::model::id::{FabricId, Location, PortId, SegmentId};
use crate::time::Instant;
use crate::verdict::DropReason;

use counters::Counters;
use entry::{Entry, Gone};
use key::{Key, Seed};
use moves::Moves;
use place::Place;
use queues::Queues;
use reflect::{Echo, Evidence, Likeness, Sent};
use refusal::{NotLearned, Refused};
use shared::Shared;
use table::Table;

pub mod age;
mod arrival;
pub mod counters;
mod damping;
pub mod declare;
pub mod entry;
mod excerpt;
mod flush;
mod frozen;
mod index;
pub mod key;
pub mod learn;
mod moves;
mod page;
mod place;
mod queue;
mod queues;
#[cfg(test)]
mod reference;
pub mod reflect;
pub mod refusal;
mod remap;
pub mod saved;
mod shared;
mod sticky;
#[cfg(test)]
mod stories;
mod table;
#[cfg(test)]
mod tests;

/// The addresses that one host knows, of all segments.
#[derive(Debug, Clone)]
pub struct Fdb {
    table: Table,
    queues: Queues,
    moves: Moves,
    shared: Shared,
    sticky: Arc<BTreeSet<PortId>>,
    sent: Sent,
    generation: u32,
    counters: Counters,
}

impl Fdb {
    /// An empty database with a fixed hash seed: for traces and tests, where the addresses are not chosen by an attacker.
    pub fn new() -> Fdb {
        Fdb::with_seed(0)
    }

    /// An empty database. `seed` should be random and secret where addresses come from a network: see `key`.
    pub fn with_seed(seed: u64) -> Fdb {
        let seed = Seed::new(seed);
        Fdb {
            table: Table::new(seed),
            queues: Queues::default(),
            moves: Moves::default(),
            shared: Shared::default(),
            sticky: Arc::default(),
            sent: Sent::new(seed),
            generation: 0,
            counters: Counters::default(),
        }
    }

    /// Where an address is. An address past its age is not found, even if [`Fdb::age`] has not removed it yet.
    pub fn find(&self, now: Instant, segment: SegmentId, mac: MacAddr) -> Option<Location> {
        let place = self.table.find(Key::new(segment, mac))?;
        self.is_live(now, place).then(|| self.table[place].location)
    }

    /// All that is known of an address. As with [`Fdb::find`], nothing if it is past its age.
    pub fn entry(&self, now: Instant, segment: SegmentId, mac: MacAddr) -> Option<Entry> {
        let place = self.table.find(Key::new(segment, mac))?;
        self.is_live(now, place).then(|| self.view(place))
    }

    /// All addresses in no order, with those past their age that [`Fdb::age`] has not removed yet.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.table.places().map(|place| self.view(place))
    }

    /// How many addresses are held, of every kind.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether no address is held.
    pub fn is_empty(&self) -> bool {
        self.table.len() == 0
    }

    /// How many dynamic addresses a slot has: what its limit is about.
    pub fn count(&self, slot: Slot) -> u32 {
        self.queues.count(slot)
    }

    /// What has happened since the database was made.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn view(&self, place: Place) -> Entry {
        let node = &self.table[place];
        Entry {
            segment: node.key.segment(),
            mac: node.key.mac(),
            location: node.location,
            kind: node.kind,
            learned: node.learned,
            used: node.used,
            ageing: self.queues.ageing_of(&self.table, place),
            mobility: self.moves.mobility(place),
            generation: node.generation,
            frozen_until: self.queues.freeze_of(&self.table, place).map(|freeze| freeze.until),
        }
    }

    fn is_live(&self, now: Instant, place: Place) -> bool {
        self.queues.is_live(&self.table, now, place)
    }

    /// Puts an address that is in no slot and no queue where its node says it is.
    fn attach(&mut self, place: Place, slot: Option<Slot>, ageing: Duration) {
        let node = &mut self.table[place];
        self.generation = self.generation.wrapping_add(1);
        node.generation = self.generation;
        if let Some(slot) = slot {
            self.queues.admit(&mut self.table, place, slot, ageing);
        }
    }

    /// The slot that an address is counted in: a dynamic one's, frozen or not.
    fn slot_of(&self, place: Place) -> Option<Slot> {
        self.queues.slot_of(&self.table, place)
    }

    fn remove(&mut self, place: Place) -> Gone {
        self.queues.dismiss(&mut self.table, place);
        self.moves.forget(place);
        self.table.remove(place)
    }
}

impl Default for Fdb {
    fn default() -> Fdb {
        Fdb::new()
    }
}

/// What limits count by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Slot {
    /// A port of its own.
    Port(PortId),
    /// All trunks of a fabric together, whatever the segment.
    Fabric(FabricId),
}

impl Slot {
    /// The slot of what is behind a port or a trunk group; an address behind another host has none by itself.
    pub fn of(location: Location) -> Option<Slot> {
        match location {
            Location::Port { port, .. } => Some(Slot::Port(port)),
            Location::Fabric { fabric, .. } => Some(Slot::Fabric(fabric)),
            Location::Host(_) => None,
        }
    }
}

/// How addresses at a location are learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LearnPolicy {
    /// Time until an address not heard from is forgotten; zero is never.
    pub ageing: Duration,
    /// Most dynamic addresses of the slot.
    pub limit: u32,
    /// What happens to the address that is one too many.
    pub on_limit: OnLimit,
    /// The slot of an address behind another host: the port that tunnels to it. For any other location [`Slot::of`] it
    /// decides, and this has no effect.
    pub limited_by: Slot,
}

impl LearnPolicy {
    /// The slot that a dynamic address at a location counts in.
    fn slot_at(&self, location: Location) -> Slot {
        Slot::of(location).unwrap_or(self.limited_by)
    }
}

/// A source address seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learn {
    /// The segment it was seen in.
    pub segment: SegmentId,
    /// The address.
    pub mac: MacAddr,
    /// Where it was seen.
    pub location: Location,
    /// How addresses are learned there.
    pub policy: LearnPolicy,
    /// What its frame looks like, where it may be one of ours that has come back; `None`: it is none.
    pub likeness: Option<Likeness>,
    /// Whether all is known of what we have sent.
    pub evidence: Evidence,
}

impl Learn {
    /// One that is none of our own frames come back, as far as is known.
    pub fn new(segment: SegmentId, mac: MacAddr, location: Location, policy: LearnPolicy) -> Learn {
        Learn { segment, mac, location, policy, likeness: None, evidence: Evidence::Complete }
    }
}

/// What became of a source address. Where it says that an address is now elsewhere, or nowhere, what depended on that
/// address has to be withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learned {
    /// It was not known, or past its age, and is now.
    New {
        /// Another one, which had to go for it.
        evicted: Option<Gone>,
    },
    /// It was known there.
    Refreshed,
    /// It was elsewhere and is here now.
    Moved {
        /// Where it was.
        from: Location,
        /// Another one, which had to go for it.
        evicted: Option<Gone>,
    },
    /// It has moved or was claimed too often (RFC 7432 15.1) and stays where it was longest.
    Frozen {
        /// Where it is from now on.
        at: Location,
        /// Where it was until now.
        from: Location,
        /// Where it was seen this time; its frame is dropped if that is not `at`.
        seen: Location,
        /// When it thaws.
        until: Instant,
        /// Another one, which had to go for it.
        evicted: Option<Gone>,
    },
    /// It is not learned; its frame goes on.
    NotLearned(NotLearned),
    /// It is heard from a fabric and known on the virtual side. A flow may have sent the frame there: nothing is learned before that is
    /// known. Said only where [`Evidence::FlowsUnasked`] was.
    Undecided {
        /// Where it is known to be.
        at: Location,
        /// What that flow would have sent into a fabric; `None`: it is heard from a port, and may be the very frame that we have sent.
        echo: Option<Echo>,
    },
    /// It is not learned and its frame is dropped.
    Refused(Refused),
}

impl Learned {
    /// Why the frame is dropped, if it is.
    pub fn refusal(&self) -> Option<DropReason> {
        match self {
            Learned::Refused(refused) => Some(refused.reason()),
            Learned::Frozen { at, seen, .. } if at != seen => Some(DropReason::Frozen),
            Learned::NotLearned(NotLearned::Group) => Some(DropReason::GroupSource),
            _ => None,
        }
    }

    /// Another address that had to go.
    pub fn evicted(&self) -> Option<Gone> {
        match self {
            Learned::New { evicted } | Learned::Moved { evicted, .. } | Learned::Frozen { evicted, .. } => {
                *evicted
            }
            _ => None,
        }
    }

    /// Whether the address is elsewhere, or known or unknown other than before: what depended on it is to be withdrawn.
    pub fn is_change(&self) -> bool {
        match self {
            Learned::New { .. } | Learned::Moved { .. } | Learned::Frozen { .. } => true,
            Learned::NotLearned(NotLearned::AtLimit { forgotten }) => forgotten.is_some(),
            Learned::Refreshed | Learned::NotLearned(_) | Learned::Undecided { .. } | Learned::Refused(_) => {
                false
            }
        }
    }
}

/// How long a frame of ours may be under way in a fabric before it comes back (behaviour.md 4).
pub const ECHO: Duration = Duration::from_secs(1);

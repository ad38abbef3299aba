//! The forwarding database: where on a segment each address is.
//!
//! An address is *learned* from a frame's source and *ages* when it is no longer heard ([`age`], [`lifetime`]); or it is *declared* by
//! the operator ([`declare`]), or *remote*, owned by another host ([`word`]). It *moves* when it is heard elsewhere (`learn`), unless
//! it is declared, sticks ([`sticky`]), is frozen after too many moves (`damping`), or the frame is our own, come back through a fabric
//! ([`reflect`]).
//! Addresses are counted by [`Slot`], and a full slot gives up its own oldest.
//!
//! ```text
//!                 ┌─ Addresses ── Table · Queues with Frozen · Moves   what is known, and when that ends
//!   learn ─► Fdb ─┤
//!   believe       └─ Shared · Sticky · Sent · Hints · Counters         who may be where
//! ```
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
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::addr::MacAddr;
use crate::model::description::OnLimit;
use crate::model::id::{FabricId, HostId, Location, PortId, SegmentId};
use crate::time::Instant;
use crate::verdict::DropReason;

use addresses::Addresses;
use counters::Counters;
use entry::{Gone, Kind};
use hints::Hints;
use key::Seed;
use place::Place;
use reflect::{Echo, Evidence, Likeness, Sent};
use refusal::{NotLearned, Refused};
use shared::Shared;
use sticky::Sticky;
use table::Node;

pub mod addresses;
pub mod age;
mod arrival;
pub mod counters;
mod damping;
pub mod declare;
pub mod entry;
mod excerpt;
mod flush;
mod frozen;
mod hints;
mod index;
pub mod key;
mod learn;
pub mod lifetime;
mod moves;
pub mod news;
pub mod page;
mod place;
mod queue;
mod queues;
#[cfg(test)]
mod reference;
pub mod reflect;
pub mod refusal;
mod remap;
mod room;
pub mod saved;
pub mod shared;
pub mod sticky;
#[cfg(test)]
mod stories;
mod table;
#[cfg(test)]
mod tests;
pub mod word;

/// Where the addresses are that one host knows, and by which rules they come there.
#[derive(Debug, Clone)]
pub struct Fdb {
    /// What is known.
    pub addresses: Addresses,
    /// Which addresses several ports have in turn.
    pub shared: Shared,
    /// To which ports addresses stick.
    pub sticky: Sticky,
    /// What we have sent and may come back.
    pub sent: Sent,
    hints: Hints,
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
            addresses: Addresses::new(seed),
            shared: Shared::default(),
            sticky: Sticky::default(),
            sent: Sent::new(seed),
            hints: Hints::default(),
            counters: Counters::default(),
        }
    }

    /// What came of frames and words of other hosts since the database was made.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Says which ports are sticky; all others are not. What is learned behind one is pinned from here on, and what was is no longer.
    /// Limits are not enforced: see [`Addresses::trim`].
    pub fn set_sticky(&mut self, ports: BTreeSet<PortId>) {
        self.sticky = Sticky::new(ports);
        // No address goes back by a freeze to where it would have to make room.
        self.addresses.moves.retain_stays(|stay| !self.sticky.pins(stay.location));
    }

    /// Whether as many addresses stick to a port as may. From then on frames of which nothing is learned, such as control frames, are
    /// dropped there too, unless their source sticks.
    pub fn is_stuck_full(&self, port: PortId) -> bool {
        self.sticky.has(port) && self.addresses.queues.is_full(Slot::Port(port))
    }

    /// Forgets shared addresses that are known where they may not be, and lets frozen ones move: after the last [`Shared::allow`].
    pub fn settle_shared(&mut self) -> Vec<Gone> {
        let known = self.shared.keys().filter_map(|key| self.addresses.table.find(key));
        let known: Vec<Place> = known.collect();
        let mut gone = Vec::new();
        for place in known {
            self.addresses.release(place);
            let Node { key, location, .. } = self.addresses.table[place];
            if self.shared.keeps_out(key, location).is_some() {
                gone.push(self.addresses.remove(place));
            }
        }
        gone
    }

    /// Takes every declaration back, those of shared addresses too.
    pub fn undeclare_all(&mut self) -> Vec<Gone> {
        self.shared.clear();
        self.addresses.retain(|entry| entry.kind != Kind::Declared)
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
    /// All that is heard from another host, whatever the segment.
    Host(HostId),
}

impl Slot {
    /// The slot of what is learned at a location.
    pub fn of(location: Location) -> Slot {
        match location {
            Location::Port { port, .. } => Slot::Port(port),
            Location::Fabric { fabric, .. } => Slot::Fabric(fabric),
            Location::Host(host) => Slot::Host(host),
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
    /// Whether another host has heard it, and sent the frame on to this one: a hint, which that host's [word] may follow.
    pub is_hint: bool,
}

impl Learn {
    /// One that is none of our own frames come back, as far as is known.
    pub fn new(segment: SegmentId, mac: MacAddr, location: Location, policy: LearnPolicy) -> Learn {
        Learn { segment, mac, location, policy, likeness: None, evidence: Evidence::Complete, is_hint: false }
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
    /// It is heard from a fabric and known on the virtual side. A flow, or another host, may have sent the frame there: nothing is learned
    /// before that is known. Said only where [`Evidence::FlowsUnasked`] or [`Evidence::HostUnasked`] was.
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

/// How long a hint is believed where hosts give each other their word of what they have (behaviour.md 8).
pub const HINT: Duration = Duration::from_secs(10);

/// How long a frame of ours may be under way in a fabric before it comes back (behaviour.md 4).
pub const ECHO: Duration = Duration::from_secs(1);

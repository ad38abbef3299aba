//! The forwarding database (interim; the full one is being finished).

use std::fmt;
use std::time::Duration;

use rustc_hash::FxHashMap;

use crate::addr::MacAddr;
use crate::model::description::OnLimit;
use crate::model::id::{FabricId, Location, PortId, SegmentId};
use crate::time::Instant;
use crate::verdict::DropReason;

/// What limits count by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Slot {
    /// A port.
    Port(PortId),
    /// A fabric's trunks.
    Fabric(FabricId),
}

/// How addresses at a location are learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LearnPolicy {
    /// Ageing; zero is never.
    pub ageing: Duration,
    /// Most dynamic addresses of the slot.
    pub limit: u32,
    /// What happens to one too many.
    pub on_limit: OnLimit,
    /// The slot.
    pub limited_by: Slot,
}

/// A source address seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learn {
    /// The segment.
    pub segment: SegmentId,
    /// The address.
    pub mac: MacAddr,
    /// Where.
    pub location: Location,
    /// How.
    pub policy: LearnPolicy,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learned {
    /// It was not known.
    New,
    /// It was known there.
    Refreshed,
    /// It was elsewhere.
    Moved {
        /// Where.
        from: Location,
    },
    /// It is declared elsewhere.
    Pinned,
}

impl Learned {
    /// Why its frame is dropped, if it is.
    pub fn refusal(&self) -> Option<DropReason> {
        matches!(self, Learned::Pinned).then_some(DropReason::Pinned)
    }
}

impl fmt::Display for Learned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// The table.
#[derive(Debug, Default)]
pub struct Fdb {
    entries: FxHashMap<(SegmentId, MacAddr), (Location, Instant, Duration, bool)>,
}

impl Fdb {
    /// Empty.
    pub fn with_seed(_: u64) -> Fdb {
        Fdb::default()
    }

    /// Learns.
    pub fn learn(&mut self, now: Instant, learn: Learn) -> Learned {
        let key = (learn.segment, learn.mac);
        let before = self.entries.get(&key).copied();
        if let Some((at, _, _, true)) = before {
            return if at == learn.location { Learned::Refreshed } else { Learned::Pinned };
        }
        self.entries.insert(key, (learn.location, now, learn.policy.ageing, false));
        match before {
            None => Learned::New,
            Some((at, ..)) if at == learn.location => Learned::Refreshed,
            Some((from, ..)) => Learned::Moved { from },
        }
    }

    /// Where an address is.
    pub fn find(&self, now: Instant, segment: SegmentId, mac: MacAddr) -> Option<Location> {
        let (at, used, ageing, is_declared) = *self.entries.get(&(segment, mac))?;
        (is_declared || ageing.is_zero() || now.since(used) < ageing).then_some(at)
    }

    /// Declares.
    pub fn declare(&mut self, segment: SegmentId, mac: MacAddr, location: Location) {
        self.entries.insert((segment, mac), (location, Instant::ZERO, Duration::ZERO, true));
    }

    /// Takes every declaration back.
    pub fn undeclare_all(&mut self) {
        self.entries.retain(|_, entry| !entry.3);
    }

    /// Renumbers.
    pub fn remap(&mut self, mut to: impl FnMut(SegmentId, Location) -> Option<(SegmentId, Location)>) {
        for ((segment, mac), (at, used, ageing, declared)) in std::mem::take(&mut self.entries) {
            if let Some((segment, at)) = to(segment, at) {
                self.entries.insert((segment, mac), (at, used, ageing, declared));
            }
        }
    }
}

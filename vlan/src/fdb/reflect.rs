//! Our own frames that come back.
//!
//! A frame that we sent into a fabric may return by another of its trunks while a switch still learns, or while two of our
//! gateways both believe that a trunk is theirs. Taking it for a move would turn a VM's address over to the fabric. So what
//! was sent into each fabric within the last second is remembered: source, destination and EtherType. A frame that looks the same is
//! a *reflection*, no evidence of where its source is, but a *claim* of the trunk (see `damping`). Any other frame from that source is
//! a move: a VM that has migrated to a host behind the trunk is followed by its first announcement that differs, or by the first one
//! after that second.
//!
//! What a flow of the kernel has sent is not seen here. Who has flows asks them first: [`Evidence::FlowsUnasked`]. Nor is what another host
//! has sent by another gateway: who hears from other hosts asks the one that has the address, [`Evidence::HostUnasked`].

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::key::Seed;
use super::{ECHO, Learn};
use crate::addr::MacAddr;
use crate::model::id::{FabricId, Location, SegmentId};
use crate::time::Instant;

/// What frames of one source are told apart by when one of them comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Likeness {
    /// The destination address.
    pub dst: MacAddr,
    /// The type behind the tags by which its VLAN was found: the same on every port of the segment.
    pub ether_type: u16,
}

/// A frame of ours that may come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Echo {
    /// The segment it was sent in.
    pub segment: SegmentId,
    /// Its source address.
    pub mac: MacAddr,
    /// What it looks like.
    pub likeness: Likeness,
    /// The fabric it was sent into.
    pub fabric: FabricId,
}

/// What is known of a frame that may be our own, come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Evidence {
    /// All that there is: decide.
    #[default]
    Complete,
    /// Flows may have sent it, or the daemon itself, and have not been asked: where that would decide, nothing is learned.
    FlowsUnasked,
    /// Our flows have been asked, and the host that has the address has not: where it may have sent it, and that would decide, nothing is
    /// learned.
    HostUnasked,
    /// It is ours: we sent these very bytes within the last second, for a source elsewhere, or the host that has the address says that it
    /// sent one that looks the same.
    OurOwn,
}

/// Which frames went into which fabric lately: two maps, of which the older one is dropped as a whole.
#[derive(Debug, Clone)]
pub struct Sent {
    recent: Map,
    earlier: Map,
    /// When `recent` was begun.
    begun: Instant,
}

type Map = HashMap<Echo, Instant, Seed>;

impl Sent {
    pub(super) fn new(seed: Seed) -> Sent {
        let map = HashMap::with_hasher(seed);
        Sent { recent: map.clone(), earlier: map, begun: Instant::ZERO }
    }

    /// Says when a frame or announcement left by a trunk of a fabric. At least the last 65 536 different ones are remembered, for one
    /// second each.
    pub fn note(&mut self, at: Instant, what: Echo) {
        let is_known = self.recent.contains_key(&what);
        if at.since(self.begun) > ECHO || (self.recent.len() >= CAPACITY && !is_known) {
            std::mem::swap(&mut self.recent, &mut self.earlier);
            self.recent.clear();
            // A burst must not be paid for ever after.
            self.recent.shrink_to(self.earlier.len());
            self.begun = self.begun.max(at);
        }
        let last = self.recent.entry(what).or_insert(at);
        *last = (*last).max(at);
    }

    /// Whether it was sent within the last second.
    pub(super) fn has(&self, now: Instant, what: Echo) -> bool {
        self.last(now, what).is_some()
    }

    /// When it was sent last, if that was within the last second.
    pub fn last(&self, now: Instant, what: Echo) -> Option<Instant> {
        let times = [&self.recent, &self.earlier].into_iter().filter_map(|map| map.get(&what).copied());
        times.max().filter(|at| now.since(*at) <= ECHO)
    }

    /// Knows of a frame what is known of it elsewhere.
    pub(super) fn note_as(&mut self, other: &Sent, what: Echo) {
        self.recent.extend(other.recent.get(&what).map(|at| (what, *at)));
        self.earlier.extend(other.earlier.get(&what).map(|at| (what, *at)));
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.recent.len() + self.earlier.len()
    }

    /// Renames what was sent within the last second. `to` is given a segment and a fabric that something was sent into, and returns the
    /// new ones, or `None` where that fabric has no VLAN on the segment any more: nothing comes back from there.
    pub fn rename(&mut self, mut to: impl FnMut(SegmentId, FabricId) -> Option<(SegmentId, FabricId)>) {
        for map in [&mut self.recent, &mut self.earlier] {
            let before: Vec<(Echo, Instant)> = map.drain().collect();
            map.extend(before.into_iter().filter_map(|(echo, at)| {
                let (segment, fabric) = to(echo.segment, echo.fabric)?;
                Some((Echo { segment, fabric, ..echo }, at))
            }));
        }
    }
}

/// What a frame would be the echo of, if it is one: an address that is known on the virtual side is heard from a fabric.
pub(super) fn echo_of(known: Location, learn: &Learn) -> Option<Echo> {
    match (known, learn.location) {
        (Location::Port { .. } | Location::Host(_), Location::Fabric { fabric, .. }) => {
            let Learn { segment, mac, likeness, .. } = *learn;
            Some(Echo { segment, mac, likeness: likeness?, fabric })
        }
        _ => None,
    }
}

/// Most frames in one of the two maps.
const CAPACITY: usize = 65_536;

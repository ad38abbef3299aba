//! Our own frames that come back.
//!
//! A frame that we sent into a fabric may return by another of its trunks while a switch still learns, or while two of our
//! gateways both believe that a trunk is theirs. Taking it for a move would turn a VM's address over to the fabric. So what
//! was sent into each fabric within the last second is remembered. Returning frames are never evidence; an address
//! that has really moved to the fabric is believed there a second after our last frame with it.

use std::collections::HashMap;

use super::key::{Key, Seed};
use super::{ECHO, Fdb};
use crate::addr::MacAddr;
use crate::model::id::{FabricId, Location, SegmentId};
use crate::time::Instant;

/// Who was sent into which fabric lately: two maps, of which the older one is dropped as a whole.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    recent: HashMap<(Key, FabricId), Instant, Seed>,
    earlier: HashMap<(Key, FabricId), Instant, Seed>,
    /// When `recent` was begun.
    begun: Instant,
}

impl Sent {
    pub(super) fn new(seed: Seed) -> Sent {
        let map = HashMap::with_hasher(seed);
        Sent { recent: map.clone(), earlier: map, begun: Instant::ZERO }
    }

    fn note(&mut self, at: Instant, key: Key, fabric: FabricId) {
        let is_known = self.recent.contains_key(&(key, fabric));
        if at.since(self.begun) > ECHO || (self.recent.len() >= CAPACITY && !is_known) {
            std::mem::swap(&mut self.recent, &mut self.earlier);
            self.recent.clear();
            self.begun = self.begun.max(at);
        }
        let last = self.recent.entry((key, fabric)).or_insert(at);
        *last = (*last).max(at);
    }

    /// Whether an address known on the virtual side is heard from a fabric only because we sent it there.
    pub(super) fn is_echo(&self, now: Instant, key: Key, known: Location, heard: Location) -> bool {
        let (Location::Port { .. } | Location::Host(_), Location::Fabric { fabric, .. }) = (known, heard)
        else {
            return false;
        };
        let was_sent = |at: &Instant| now.since(*at) <= ECHO;
        [&self.recent, &self.earlier].into_iter().any(|map| map.get(&(key, fabric)).is_some_and(was_sent))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.recent.len() + self.earlier.len()
    }

    pub(super) fn clear(&mut self) {
        self.recent.clear();
        self.earlier.clear();
    }
}

impl Fdb {
    /// Says that a frame or announcement with this source address left by a trunk of `fabric` at `now`. At least the last
    /// 65 536 addresses are remembered, for one second each.
    pub fn note_sent(&mut self, now: Instant, segment: SegmentId, mac: MacAddr, fabric: FabricId) {
        self.sent.note(now, Key::new(segment, mac), fabric);
    }
}

/// Most addresses in one of the two maps.
const CAPACITY: usize = 65_536;

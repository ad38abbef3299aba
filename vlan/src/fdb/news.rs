//! Which addresses have become known, moved, changed their kind, thawed or gone, for who tells other hosts of them.

use std::collections::{HashSet, VecDeque};

use super::key::{Key, Seed};
use crate::addr::MacAddr;
use crate::model::id::SegmentId;

/// The addresses of which there is news, each once, the oldest news first. Without somebody who wants it none is kept.
#[derive(Debug, Clone)]
pub struct News {
    is_kept: bool,
    keys: VecDeque<Key>,
    has: HashSet<Key, Seed>,
}

impl News {
    pub(super) fn new(seed: Seed) -> News {
        News { is_kept: false, keys: VecDeque::new(), has: HashSet::with_hasher(seed) }
    }

    /// Forgets all news, and keeps what there is from now on, or none. Of what is known already there is none.
    pub fn begin(&mut self, is_kept: bool) {
        self.is_kept = is_kept;
        self.keys = VecDeque::new();
        self.has.clear();
    }

    pub(super) fn note(&mut self, key: Key) {
        if self.is_kept && self.has.insert(key) {
            self.keys.push_back(key);
        }
    }

    /// There is news of an address from elsewhere.
    pub fn add(&mut self, segment: SegmentId, mac: MacAddr) {
        self.note(Key::new(segment, mac));
    }

    /// An address of which there is news: what is so of it now is to be looked up.
    pub fn take(&mut self) -> Option<(SegmentId, MacAddr)> {
        let key = self.keys.pop_front()?;
        self.has.remove(&key);
        // A burst must not be paid for ever after.
        if self.keys.is_empty() {
            self.keys.shrink_to(KEPT);
            self.has.shrink_to(KEPT);
        }
        Some((key.segment(), key.mac()))
    }

    /// Whether there is any.
    pub fn is_any(&self) -> bool {
        !self.keys.is_empty()
    }
}

/// Room for so many is kept.
const KEPT: usize = 1_024;

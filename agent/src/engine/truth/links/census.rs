//! How far the vports of the datapath have been read, slice by slice; what each counted; and which are gone.

use datapath::port::{VportNo, VportStats};
use rustc_hash::{FxHashMap, FxHashSet};

/// The readings of all vports.
#[derive(Debug, Default)]
pub(in crate::engine) struct Census {
    /// The number of the one that is under way, or was last.
    number: u64,
    is_under_way: bool,
    /// Those that the reading before did not come to.
    missed: FxHashSet<VportNo>,
    /// A vport went meanwhile: the kernel's list may have skipped another in its place.
    is_shaken: bool,
    /// What each vport counted, and the reading that told it last.
    told: FxHashMap<VportNo, Told>,
}

/// What was last read of a vport.
#[derive(Debug, Clone, Copy, Default)]
struct Told {
    stats: VportStats,
    /// By which reading.
    reading: u64,
}

impl Census {
    /// What was read before of a reading that is under way does not count.
    pub(super) fn begin_anew(&mut self) {
        self.is_under_way = false;
        self.missed.clear();
        self.is_shaken = false;
    }

    /// A slice comes; the first of a reading begins it.
    pub(super) fn begin_slice(&mut self, is_last: bool) {
        if !std::mem::replace(&mut self.is_under_way, !is_last) {
            self.number += 1;
            self.is_shaken = false;
        }
    }

    /// A vport is there, and counted so much if that is known.
    pub(super) fn tell(&mut self, no: VportNo, stats: Option<VportStats>) {
        let told = self.told.entry(no).or_default();
        told.reading = self.number;
        told.stats = stats.unwrap_or(told.stats);
    }

    /// A vport or its link went, or is about to.
    pub(super) fn shake(&mut self) {
        self.is_shaken = true;
    }

    /// A vport is known no more.
    pub(super) fn forget(&mut self, no: VportNo) {
        self.told.remove(&no);
    }

    /// A reading has ended: those of the known vports that are gone. One that was not told may have been skipped, once.
    pub(super) fn end(&mut self, known: impl Iterator<Item = VportNo>) -> Vec<VportNo> {
        let is_told = |no: &VportNo| self.told.get(no).is_some_and(|told| told.reading == self.number);
        let untold: FxHashSet<VportNo> = known.filter(|no| !is_told(no)).collect();
        let is_sure = |no: &&VportNo| !self.is_shaken || self.missed.contains(no);
        let mut gone: Vec<VportNo> = untold.iter().filter(is_sure).copied().collect();
        gone.sort_unstable();
        self.missed = untold;
        gone
    }

    /// What a vport counted when last read.
    pub(in crate::engine) fn stats(&self, vport: VportNo) -> VportStats {
        self.told.get(&vport).map(|told| told.stats).unwrap_or_default()
    }
}

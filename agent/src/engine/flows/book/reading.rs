//! The readings of all flows of the datapath, and the search behind each for flows that it has no more.

use std::ops::Range;

/// How far the datapath has told its flows, and the book was searched for those that it did not tell.
#[derive(Debug, Default)]
pub(in crate::engine) struct Readings {
    /// The number of the one that is under way, or comes next.
    number: u16,
    /// The places that are still to be searched.
    unsearched: Range<u32>,
}

impl Readings {
    /// The number of the reading that is under way, or comes next.
    pub(super) fn number(&self) -> u16 {
        self.number
    }

    /// The datapath has told every flow that it has; so many places are to be searched.
    pub(super) fn end(&mut self, places: u32) {
        self.unsearched = 0..places;
        self.number = self.number.wrapping_add(1);
    }

    /// The next places to be searched, at most `most`.
    pub(super) fn take_unsearched(&mut self, most: u32) -> Range<usize> {
        let end = self.unsearched.end.min(self.unsearched.start + most);
        let places = self.unsearched.start as usize..end as usize;
        self.unsearched.start = end;
        places
    }

    /// Whether a flow that the datapath was last known to have by reading `seen` is missing: it was not told in the last two. A single
    /// reading proves nothing: while it is under way the kernel may give its table another size, and then skips some.
    pub(super) fn is_missing(&self, seen: u16) -> bool {
        let ended = self.number.wrapping_sub(1);
        (2..1 << 15).contains(&ended.wrapping_sub(seen))
    }

    /// Whether there are places that are still to be searched.
    pub(in crate::engine) fn is_searching(&self) -> bool {
        !self.unsearched.is_empty()
    }
}

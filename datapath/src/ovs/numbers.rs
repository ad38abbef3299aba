//! Which number the next port gets: not one that is in use, and not soon one that a flow may still name.

use std::collections::HashSet;

use super::transact::Denial;
use super::{VportNo, vport};

/// The numbers that ports must not get, and the one that was given last.
#[derive(Debug)]
pub(super) struct Numbers {
    /// In use, or named by a flow when the datapath was opened.
    taken: HashSet<VportNo>,
    last: VportNo,
}

impl Numbers {
    /// Those of a new datapath: its own port has one.
    pub(super) fn new() -> Numbers {
        Numbers { taken: HashSet::from([vport::LOCAL]), last: vport::LOCAL }
    }

    /// The number after the last one given, skipping those taken; after the highest it begins again at 1.
    pub(super) fn next(&self) -> Result<VportNo, Denial> {
        let above = self.last.0 + 1..=vport::LAST.0;
        let free = above.chain(1..=self.last.0).map(VportNo).find(|no| !self.taken.contains(no));
        free.ok_or(Denial::Errno { errno: libc::EFBIG, message: None })
    }

    /// Notes that a port got the one that was next.
    pub(super) fn give(&mut self, no: VportNo) {
        self.taken.insert(no);
        self.last = no;
    }

    /// Notes that others have these. Whether one of them was not known.
    pub(super) fn note(&mut self, others: impl IntoIterator<Item = VportNo>) -> bool {
        let before = self.taken.len();
        self.taken.extend(others);
        self.taken.len() > before
    }

    /// Begins behind the highest that is taken.
    pub(super) fn begin_behind(&mut self) {
        self.last = self.taken.iter().copied().max().unwrap_or(vport::LOCAL);
    }

    /// Notes that a port is gone. Its number comes again last.
    pub(super) fn free(&mut self, no: VportNo) {
        self.taken.remove(&no);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_comes_again_when_all_others_were_given() {
        let mut numbers = Numbers::new();
        for expected in 1..=vport::LAST.0 {
            let no = numbers.next().unwrap();
            assert_eq!(no, VportNo(expected));
            numbers.give(no);
            numbers.free(no);
        }
        assert_eq!(numbers.next(), Ok(VportNo(1)));
    }

    #[test]
    fn what_others_have_is_passed_over() {
        let mut numbers = Numbers::new();
        assert!(numbers.note([VportNo(1), VportNo(3)]));
        assert!(!numbers.note([VportNo(3)]), "it is known");
        assert_eq!(numbers.next(), Ok(VportNo(2)));
        numbers.begin_behind();
        assert_eq!(numbers.next(), Ok(VportNo(4)));
    }

    #[test]
    fn there_is_an_end_of_numbers() {
        let mut numbers = Numbers::new();
        numbers.note((1..=vport::LAST.0).map(VportNo));
        assert!(numbers.next().is_err_and(|denial| denial.is(libc::EFBIG)));
        numbers.free(VportNo(7));
        assert_eq!(numbers.next(), Ok(VportNo(7)));
    }
}

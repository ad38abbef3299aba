//! Which stretches a host's journal has, and what goes into which. Pure: nothing here asks a node.
//!
//! A *stretch* is what is in one partition: entries with consecutive numbers, of a day and some megabytes at most. So no partition grows
//! without bound, however much a host tells.

use std::collections::VecDeque;
use std::ops::Range;

use crate::clock::WallTime;
use crate::journal::entry::ENTRY_OVERHEAD;
use crate::{JournalLimits, NewEntry, Query};

/// What is known of a stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Which one it is, from 0; later ones have higher numbers.
    pub(super) number: i32,
    /// The day, counted from 1970-01-01, on which it was begun: it has no entry of a later day.
    pub(super) day: i64,
    /// The first and the last entry that it has; none if the last is before the first.
    pub(super) first: u64,
    pub(super) last: u64,
    /// The times of its entries are within these.
    pub(super) earliest: WallTime,
    pub(super) latest: WallTime,
    /// What its entries count for.
    pub(super) bytes: u64,
}

impl Stretch {
    fn begin(number: i32, first: u64, at: WallTime) -> Self {
        Self { number, day: day_of(at), first, last: first - 1, earliest: at, latest: at, bytes: 0 }
    }

    /// How many entries it has.
    pub(super) fn count(&self) -> u64 {
        (self.last + 1).saturating_sub(self.first)
    }

    /// Whether it may have entries that a query is about.
    pub(super) fn may_match(&self, query: &Query) -> bool {
        self.count() > 0
            && query.from.is_none_or(|from| self.latest >= from)
            && query.until.is_none_or(|until| self.earliest < until)
    }

    fn has_room(&self, at: WallTime, bytes: u64) -> bool {
        let is_fresh = self.count() == 0;
        day_of(at) <= self.day && (is_fresh || self.bytes + bytes <= STRETCH_BYTES)
    }

    fn take(&mut self, at: WallTime, bytes: u64) {
        if self.count() == 0 {
            (self.earliest, self.latest) = (at, at);
        }
        self.last += 1;
        (self.earliest, self.latest) = (self.earliest.min(at), self.latest.max(at));
        self.bytes += bytes;
    }

    /// Notes that its first entries up to `last` are gone, which counted for `bytes`.
    fn lose(&mut self, last: u64, bytes: u64) {
        // Another run of the host may have written behind what this one knows of.
        self.last = self.last.max(last);
        self.first = self.first.max(last + 1);
        self.bytes = if self.count() == 0 { 0 } else { self.bytes.saturating_sub(bytes) };
    }
}

/// Some entries of an append, and the stretch that they go into, as it is with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) stretch: Stretch,
    /// The number of the first of them.
    pub(super) first: u64,
    /// Which of the entries of the append.
    pub(super) entries: Range<usize>,
}

/// The stretches of a host's journal, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ledger {
    stretches: VecDeque<Stretch>,
}

impl Ledger {
    /// As they were found, in any order.
    pub(super) fn of(mut stretches: Vec<Stretch>) -> Self {
        stretches.sort_unstable_by_key(|stretch| stretch.number);
        Self { stretches: stretches.into() }
    }

    /// Gives entries their numbers and their stretches.
    pub(super) fn place(&mut self, entries: &[NewEntry]) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let (at, bytes) = (entry.at, size(entry));
            let is_another = self.stretches.back().is_none_or(|last| !last.has_room(at, bytes));
            if is_another {
                let (number, next) =
                    self.stretches.back().map_or((0, 1), |last| (last.number + 1, last.last + 1));
                self.stretches.push_back(Stretch::begin(number, next, at));
            }
            let Some(stretch) = self.stretches.back_mut() else { return runs };
            stretch.take(at, bytes);
            match runs.last_mut().filter(|_| !is_another) {
                Some(run) => (run.stretch, run.entries.end) = (*stretch, index + 1),
                None => runs.push(Run { stretch: *stretch, first: stretch.last, entries: index..index + 1 }),
            }
        }
        runs
    }

    /// Notes a stretch with entries that were given their places before the stretches were looked at anew.
    pub(super) fn include(&mut self, stretch: Stretch) {
        let place = self.stretches.partition_point(|other| other.number < stretch.number);
        match self.stretches.get_mut(place).filter(|other| other.number == stretch.number) {
            Some(known) if known.last >= stretch.last => {}
            Some(known) => *known = stretch,
            None => self.stretches.insert(place, stretch),
        }
    }

    /// The newest stretch, with entries or without.
    pub(super) fn newest(&self) -> Option<&Stretch> {
        self.stretches.back()
    }

    /// The newest stretch has an entry of this number.
    pub(super) fn has_at_least(&mut self, last: u64) {
        if let Some(newest) = self.stretches.back_mut() {
            newest.last = newest.last.max(last);
        }
    }

    /// The oldest stretch that has entries, and whether it is the newest too.
    pub(super) fn oldest(&self) -> Option<(Stretch, bool)> {
        let place = self.stretches.iter().position(|stretch| stretch.count() > 0)?;
        Some((self.stretches[place], place + 1 == self.stretches.len()))
    }

    /// Notes what has become of the oldest stretch with entries: those up to `last` are gone, which counted for `bytes`. As it is now; `None` if
    /// it is not needed any more. The newest is: by it numbers go on.
    pub(super) fn lose(&mut self, last: u64, bytes: u64) -> Option<Stretch> {
        let place = self.stretches.iter().position(|stretch| stretch.count() > 0)?;
        self.stretches[place].lose(last, bytes);
        let left = self.stretches[place];
        if left.count() > 0 || place + 1 == self.stretches.len() {
            return Some(left);
        }
        self.stretches.remove(place);
        None
    }

    /// How many bytes have to go for the whole to be within its limit again: some more than it is over, so that not each entry costs one.
    pub(super) fn surplus(&self, limits: &JournalLimits) -> u64 {
        let bytes: u64 = self.stretches.iter().map(|stretch| stretch.bytes).sum();
        let over = bytes.saturating_sub(limits.max_bytes);
        if over == 0 { 0 } else { over + limits.max_bytes / SPARE }
    }
}

/// What an entry counts for.
pub(super) fn size(entry: &NewEntry) -> u64 {
    (entry.kind.as_str().len() + entry.body.len()) as u64 + ENTRY_OVERHEAD
}

fn day_of(at: WallTime) -> i64 {
    i64::try_from(at.as_millis() / DAY_MS).unwrap_or(i64::MAX)
}

const DAY_MS: u64 = 86_400_000;
/// Cassandra reads and compacts partitions of up to 100 MB well; a quarter leaves room for what it stores beside the entries.
const STRETCH_BYTES: u64 = 16 << 20;
/// The share of the limit that is made free at once.
const SPARE: u64 = 64;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::EntryKind;

    fn entry(at: u64, bytes: usize) -> NewEntry {
        let kind = EntryKind::new("move").unwrap();
        NewEntry { kind, at: WallTime::from_millis(at), body: vec![0; bytes] }
    }

    fn numbers(runs: &[Run]) -> Vec<(i32, u64, Range<usize>)> {
        runs.iter().map(|run| (run.stretch.number, run.first, run.entries.clone())).collect()
    }

    #[test]
    fn a_stretch_has_a_day_and_some_megabytes_at_most() {
        let mut ledger = Ledger::default();
        let day = DAY_MS;
        let runs = ledger.place(&[entry(1, 10), entry(day, 10), entry(day - 1, 10), entry(day + 5, 10)]);
        assert_eq!(numbers(&runs), [(0, 1, 0..1), (1, 2, 1..4)], "an earlier day goes with the later one");
        assert_eq!(runs[1].stretch.earliest, WallTime::from_millis(day - 1));
        let large: Vec<NewEntry> = (0..300).map(|_| entry(day, 65_536)).collect();
        let runs = ledger.place(&large);
        assert!(runs.len() == 2 && runs.iter().all(|run| run.stretch.bytes <= STRETCH_BYTES), "{runs:?}");
        assert_eq!(runs[1].first, 5 + runs[0].entries.len() as u64);
        assert_eq!(ledger.place(&[]), []);
    }

    #[test]
    fn numbers_go_on_when_all_is_gone_and_after_a_restart() {
        let mut ledger = Ledger::default();
        ledger.place(&[entry(1, 10), entry(DAY_MS, 10)]);
        assert_eq!(ledger.lose(1, 38), None, "the first stretch is not needed");
        let (newest, is_newest) = ledger.oldest().unwrap();
        assert!(is_newest && newest.first == 2, "{newest:?}");
        let left = ledger.lose(2, 38).unwrap();
        assert_eq!((left.count(), left.bytes, ledger.oldest()), (0, 0, None));
        let mut behind = Ledger::of(vec![left]);
        behind.has_at_least(7);
        assert_eq!(
            numbers(&behind.place(&[entry(7, 1)])),
            [(1, 8, 0..1)],
            "an entry was there that the row did not know"
        );
        let mut again = Ledger::of(vec![left]);
        assert_eq!(numbers(&again.place(&[entry(7, 1)])), [(1, 3, 0..1)]);
        assert_eq!(again.oldest().unwrap().0.earliest, WallTime::from_millis(7));
    }

    #[test]
    fn what_is_over_the_limit_goes_with_some_more() {
        let mut ledger = Ledger::default();
        let limits = JournalLimits { keep: Duration::from_secs(9), max_bytes: 6_400 };
        ledger.place(&[entry(1, 6_400 - 28)]);
        assert_eq!(ledger.surplus(&limits), 0);
        ledger.place(&[entry(1, 2)]);
        assert_eq!(ledger.surplus(&limits), 30 + 100);
    }

    #[test]
    fn places_that_were_given_before_a_new_look_are_kept() {
        let mut ledger = Ledger::default();
        ledger.place(&[entry(1, 10)]);
        let tried = ledger.place(&[entry(DAY_MS, 10)]);
        let mut anew = Ledger::default();
        tried.iter().for_each(|run| anew.include(run.stretch));
        assert_eq!(numbers(&anew.place(&[entry(DAY_MS, 10)])), [(1, 3, 0..1)]);
        anew.include(tried[0].stretch);
        assert_eq!(anew.newest().unwrap().last, 3, "what is known better stays");
    }

    #[test]
    fn entries_of_another_run_that_are_removed_leave_no_hole() {
        let mut ledger = Ledger::default();
        ledger.place(&[entry(1, 10)]);
        let left = ledger.lose(9, 100).unwrap();
        assert_eq!((left.count(), left.first, left.last), (0, 10, 9));
        assert_eq!(numbers(&ledger.place(&[entry(1, 10)])), [(0, 10, 0..1)]);
    }

    #[test]
    fn a_query_skips_stretches_of_other_times() {
        let mut ledger = Ledger::default();
        ledger.place(&[entry(10, 1), entry(20, 1)]);
        let (stretch, _) = ledger.oldest().unwrap();
        let at = |millis| Some(WallTime::from_millis(millis));
        for (from, until, expected) in [
            (None, None, true),
            (at(20), None, true),
            (at(21), None, false),
            (None, at(11), true),
            (None, at(10), false),
        ] {
            let query = Query { from, until, ..Query::default() };
            assert_eq!(stretch.may_match(&query), expected, "{query:?}");
        }
        let none = Stretch { first: 3, ..stretch };
        assert!(!none.may_match(&Query::default()));
    }
}

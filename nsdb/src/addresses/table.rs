//! The addresses of one segment as plain data.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::addresses::record::{AddressKey, AddressRecord, HostId, Mac, Mobility, Presence, SegmentId};
use crate::addresses::runs::Runs;
use crate::addresses::{FeedBatch, FeedSnapshot};

/// What is known of one segment: the words of hosts, folded. All who have folded the same words have the same table.
///
/// A gateway has as many words as there are addresses in its network, so that what most of them have in common is kept once.
#[derive(Debug, Default)]
pub struct SegmentTable {
    /// That of the words that came.
    segment: SegmentId,
    sequence: u64,
    known: BTreeMap<Place, Known>,
    runs: Runs,
    /// Withdrawn addresses, the longest-gone first.
    gone: BTreeSet<(u64, Place)>,
    /// The same by address.
    gone_at: BTreeMap<Place, u64>,
}

/// An address within its segment: the inner VID, or 0, and the MAC.
type Place = (u16, Mac);

const fn place(record: &AddressRecord) -> Place {
    (record.key.inner, record.key.mac)
}

/// A word without its address: 24 bytes.
#[derive(Debug, Clone, Copy)]
struct Known {
    mobility: Mobility,
    number: u64,
    /// Who said it in which run, and whether the address is [`GONE`].
    run: u32,
    by: u32,
}

/// The bit of [`Known::run`] that says so.
const GONE: u32 = 1 << 31;

/// What became of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It counts and is passed on.
    Accepted,
    /// Something better, or the same, is known.
    Outdated,
    /// It would be one address too many.
    Refused,
}

impl SegmentTable {
    /// Takes `record` unless something better is known. At most `addresses` present and `tombstones` withdrawn ones
    /// are kept. Within these, which records are known in the end does not depend on their order, nor on how often
    /// each came.
    pub fn take(&mut self, record: AddressRecord, addresses: usize, tombstones: usize) -> Taken {
        let place = place(&record);
        let was = self.get(place.0, place.1);
        if was.is_some_and(|known| !record.supersedes(&known)) {
            return Taken::Outdated;
        }
        let was_present = was.is_some_and(|known| known.presence == Presence::Present);
        let is_present = record.presence == Presence::Present;
        if is_present && !was_present && self.present() >= addresses {
            return Taken::Refused;
        }
        self.sequence += 1;
        self.put(&record, self.sequence);
        self.forget_beyond(tombstones);
        Taken::Accepted
    }

    /// The word that holds of an address; `inner` as in [`AddressKey`].
    pub fn get(&self, inner: u16, mac: Mac) -> Option<AddressRecord> {
        self.known.get(&(inner, mac)).map(|known| self.record((inner, mac), *known))
    }

    /// The words that hold of the addresses behind one, in the order of addresses; of all where there is none.
    pub fn behind(&self, place: Option<(u16, Mac)>) -> impl Iterator<Item = AddressRecord> {
        let from = place.map_or(Bound::Unbounded, Bound::Excluded);
        self.known.range((from, Bound::Unbounded)).map(|(place, known)| self.record(*place, *known))
    }

    /// The records that say that everything `owner` has is gone.
    pub(crate) fn farewells(&self, owners: &BTreeSet<HostId>) -> Vec<AddressRecord> {
        self.behind(None)
            .filter(|record| owners.contains(&record.owner) && record.presence == Presence::Present)
            .map(AddressRecord::farewell)
            .collect()
    }

    pub(crate) fn snapshot(&self, segment: SegmentId) -> FeedSnapshot {
        FeedSnapshot { segment, sequence: self.sequence, records: self.behind(None).collect() }
    }

    /// Every record, a withdrawn one with the sequence number under which it was accepted: what [`restored`](Self::restored) takes.
    pub(crate) fn records(&self) -> impl Iterator<Item = (AddressRecord, u64)> {
        self.behind(None)
            .map(|record| (record, self.gone_at.get(&place(&record)).copied().unwrap_or_default()))
    }

    /// The table that had these records after `sequence` were accepted.
    pub(crate) fn restored(sequence: u64, records: impl IntoIterator<Item = (AddressRecord, u64)>) -> Self {
        let mut table = Self { sequence, ..Self::default() };
        for (record, sequence) in records {
            table.put(&record, sequence);
        }
        table
    }

    /// How many records were accepted.
    pub(crate) const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// A batch of what was just accepted.
    pub(crate) fn batch(&self, records: Vec<AddressRecord>) -> FeedBatch {
        FeedBatch { first_sequence: self.sequence + 1 - records.len() as u64, records }
    }

    /// How many addresses somebody has.
    pub fn present(&self) -> usize {
        self.known.len() - self.gone.len()
    }

    /// Puts a word in the place of what is known of its address. `sequence` is when one of a withdrawn address was accepted.
    fn put(&mut self, record: &AddressRecord, sequence: u64) {
        let place = place(record);
        self.forget(place);
        let is_gone = record.presence == Presence::Gone;
        if is_gone {
            self.gone.insert((sequence, place));
            self.gone_at.insert(place, sequence);
        }
        let run = self.runs.add((record.owner, record.session)) | if is_gone { GONE } else { 0 };
        let (mobility, number, by) = (record.mobility, record.number, record.by);
        self.segment = record.key.segment;
        self.known.insert(place, Known { mobility, number, run, by });
    }

    fn forget(&mut self, place: Place) {
        let Some(known) = self.known.remove(&place) else { return };
        self.runs.remove(known.run & !GONE);
        if let Some(sequence) = self.gone_at.remove(&place) {
            self.gone.remove(&(sequence, place));
        }
    }

    fn forget_beyond(&mut self, tombstones: usize) {
        while self.gone.len() > tombstones {
            let Some((_, place)) = self.gone.first().copied() else { return };
            self.forget(place);
        }
    }

    fn record(&self, (inner, mac): Place, Known { mobility, number, run, by }: Known) -> AddressRecord {
        let key = AddressKey { segment: self.segment, inner, mac };
        let (owner, session) = self.runs.get(run & !GONE);
        let presence = if run & GONE == 0 { Presence::Present } else { Presence::Gone };
        AddressRecord { key, owner, mobility, session, number, by, presence }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Any word of a few hosts about a few addresses.
    pub(crate) fn word() -> impl Strategy<Value = AddressRecord> {
        let key = (0..2_u16, 0..3_u8).prop_map(|(inner, mac)| AddressKey {
            segment: SegmentId(1),
            inner,
            mac: Mac([2, 0, 0, 0, 0, mac]),
        });
        let presence = prop_oneof![Just(Presence::Present), Just(Presence::Gone)];
        (key, 0..3_u32, 0..3_u64, 1..3_u64, 1..4_u64, 1..3_u32, presence).prop_map(
            |(key, owner, mobility, session, number, by, presence)| {
                let (owner, mobility) = (HostId(owner), Mobility(mobility));
                AddressRecord { key, owner, mobility, session, number, by, presence }
            },
        )
    }

    /// Words, and the same in another order, some of them twice.
    fn words_and_how_else_they_may_come() -> impl Strategy<Value = (Vec<AddressRecord>, Vec<AddressRecord>)> {
        prop::collection::vec(word(), 0..24).prop_flat_map(|words| {
            let again = prop::sample::subsequence(words.clone(), 0..=words.len());
            let mixed = again.prop_map({
                let words = words.clone();
                move |again| [words.clone(), again].concat()
            });
            (Just(words), mixed.prop_shuffle())
        })
    }

    fn unlimited(table: &mut SegmentTable, record: AddressRecord) -> Taken {
        table.take(record, 100, 100)
    }

    fn folded(words: &[AddressRecord]) -> SegmentTable {
        let mut table = SegmentTable::default();
        for word in words {
            unlimited(&mut table, *word);
        }
        table
    }

    #[test]
    fn a_farewell_for_a_dead_owner_counts_until_its_next_word() {
        let key = AddressKey { segment: SegmentId(1), inner: 0, mac: Mac([2, 0, 0, 0, 0, 1]) };
        let (owner, mobility) = (HostId(1), Mobility(3));
        let presence = Presence::Present;
        let word = AddressRecord { key, owner, mobility, session: 5, number: 7, by: 1, presence };
        for next in [
            AddressRecord { number: 8, ..word },
            AddressRecord { session: 6, number: 1, ..word },
            AddressRecord { owner: HostId(2), mobility: mobility.next(), session: 1, number: 1, ..word },
        ] {
            let mut table = folded(&[word]);
            let farewells = table.farewells(&BTreeSet::from([owner]));
            assert_eq!(farewells, [AddressRecord { presence: Presence::Gone, ..word }]);
            assert_eq!(unlimited(&mut table, farewells[0]), Taken::Accepted);
            assert_eq!(unlimited(&mut table, word), Taken::Outdated);
            assert_eq!(table.farewells(&BTreeSet::from([owner])), [], "what is gone does not go again");
            assert_eq!(unlimited(&mut table, next), Taken::Accepted, "{next:?}");
            assert_eq!(unlimited(&mut table, farewells[0]), Taken::Outdated);
            assert_eq!(table.snapshot(SegmentId(1)).records, [next]);
        }
    }

    proptest! {
        /// What is known depends on which words came, not on their order, nor on how often each came.
        #[test]
        fn words_in_any_order_with_repeats_give_one_table(
            (words, mixed) in words_and_how_else_they_may_come(),
        ) {
            let (one, mut other) = (folded(&words), folded(&mixed));
            let known = other.snapshot(SegmentId(1));
            prop_assert_eq!(&one.snapshot(SegmentId(1)).records, &known.records);
            for word in words {
                prop_assert_eq!(unlimited(&mut other, word), Taken::Outdated);
            }
            prop_assert_eq!(other.snapshot(SegmentId(1)), known);
        }

        /// A word that is sent again after the farewell of its session changes nothing, whatever else was said.
        #[test]
        fn a_word_that_comes_after_its_farewell_changes_nothing(
            before in prop::collection::vec(word(), 0..8),
            word in word(),
            later in 1..4_u64,
            after in prop::collection::vec(word(), 0..8),
        ) {
            let word = AddressRecord { presence: Presence::Present, ..word };
            let farewell = AddressRecord { number: word.number + later, presence: Presence::Gone, ..word };
            let mut table = folded(&[before, vec![word, farewell], after].concat());
            let known = table.snapshot(SegmentId(1));
            prop_assert_eq!(unlimited(&mut table, word), Taken::Outdated);
            prop_assert_eq!(table.snapshot(SegmentId(1)), known);
        }

        /// The daemon was started again, and counts its words from 1: they count.
        #[test]
        fn a_new_sessions_word_counts_with_the_same_counter(
            word in word(),
            later in 1..4_u64,
            next in prop_oneof![Just(Presence::Present), Just(Presence::Gone)],
        ) {
            let mut table = folded(&[word]);
            let next = AddressRecord { session: word.session + later, number: 1, presence: next, ..word };
            prop_assert_eq!(unlimited(&mut table, next), Taken::Accepted);
            prop_assert_eq!(unlimited(&mut table, word), Taken::Outdated);
            prop_assert_eq!(table.snapshot(SegmentId(1)).records, [next]);
        }

        /// A table that was written down and read goes on as the one it was: also what it forgets first.
        #[test]
        fn a_restored_table_goes_on_as_the_one_it_was(
            before in prop::collection::vec(word(), 0..30),
            after in prop::collection::vec(word(), 0..30),
        ) {
            let mut table = SegmentTable::default();
            for record in before {
                table.take(record, 3, 2);
            }
            let records: Vec<_> = table.records().collect();
            let mut again = SegmentTable::restored(table.sequence(), records);
            for record in after {
                prop_assert_eq!(table.take(record, 3, 2), again.take(record, 3, 2));
            }
            prop_assert_eq!(table.snapshot(SegmentId(1)), again.snapshot(SegmentId(1)));
        }

        #[test]
        fn limits_hold_and_sequences_have_no_gap(records in prop::collection::vec(word(), 0..60)) {
            let mut table = SegmentTable::default();
            let mut accepted = 0;
            for record in records {
                accepted += u64::from(table.take(record, 2, 1) == Taken::Accepted);
                prop_assert!(table.present() <= 2);
                prop_assert!(table.gone.len() <= 1);
            }
            prop_assert_eq!(table.sequence, accepted);
        }
    }
}

//! The addresses of one segment as plain data.

use std::collections::{BTreeMap, BTreeSet};

use crate::addresses::record::{AddressRecord, HostId, Mac, Presence, SegmentId};
use crate::addresses::{FeedBatch, FeedSnapshot};

/// What is known of one segment.
#[derive(Debug, Default)]
pub(crate) struct SegmentTable {
    sequence: u64,
    known: BTreeMap<Mac, Known>,
    /// Withdrawn addresses, the longest-gone first.
    gone: BTreeSet<(u64, Mac)>,
}

#[derive(Debug)]
struct Known {
    record: AddressRecord,
    sequence: u64,
}

/// What became of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It counts and is passed on.
    Accepted,
    /// Something better, or the same, is known.
    Outdated,
    /// It would be one address too many.
    Refused,
}

impl SegmentTable {
    /// Takes `record` unless something better is known. At most `addresses` present and `tombstones` withdrawn ones
    /// are kept.
    pub(crate) fn take(&mut self, record: AddressRecord, addresses: usize, tombstones: usize) -> Taken {
        let mac = record.key.mac;
        let was = self.known.get(&mac);
        if was.is_some_and(|known| !record.supersedes(&known.record)) {
            return Taken::Outdated;
        }
        let was_present = was.is_some_and(|known| known.record.presence == Presence::Present);
        let is_present = record.presence == Presence::Present;
        if is_present && !was_present && self.present() >= addresses {
            return Taken::Refused;
        }
        if let Some(known) = was {
            self.gone.remove(&(known.sequence, mac));
        }
        self.sequence += 1;
        self.known.insert(mac, Known { record, sequence: self.sequence });
        if !is_present {
            self.gone.insert((self.sequence, mac));
            self.forget_beyond(tombstones);
        }
        Taken::Accepted
    }

    /// The records that say that everything `owner` has is gone.
    pub(crate) fn farewells(&self, owner: HostId) -> Vec<AddressRecord> {
        self.known
            .values()
            .map(|known| known.record)
            .filter(|record| record.owner == owner && record.presence == Presence::Present)
            .map(|record| AddressRecord { presence: Presence::Gone, ..record })
            .collect()
    }

    pub(crate) fn snapshot(&self, segment: SegmentId) -> FeedSnapshot {
        let records = self.known.values().map(|known| known.record).collect();
        FeedSnapshot { segment, sequence: self.sequence, records }
    }

    /// Every record with the sequence number under which it was accepted: what [`restored`](Self::restored) takes.
    pub(crate) fn records(&self) -> impl Iterator<Item = (AddressRecord, u64)> {
        self.known.values().map(|known| (known.record, known.sequence))
    }

    /// The table that had these records after `sequence` were accepted.
    pub(crate) fn restored(sequence: u64, records: impl IntoIterator<Item = (AddressRecord, u64)>) -> Self {
        let mut table = Self { sequence, ..Self::default() };
        for (record, sequence) in records {
            if record.presence == Presence::Gone {
                table.gone.insert((sequence, record.key.mac));
            }
            table.known.insert(record.key.mac, Known { record, sequence });
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

    fn present(&self) -> usize {
        self.known.len() - self.gone.len()
    }

    fn forget_beyond(&mut self, tombstones: usize) {
        while self.gone.len() > tombstones {
            if let Some((_, mac)) = self.gone.pop_first() {
                self.known.remove(&mac);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::addresses::record::{AddressKey, Mobility};

    fn record() -> impl Strategy<Value = AddressRecord> {
        (0..4_u8, 0..3_u32, 0..4_u64, any::<bool>()).prop_map(|(mac, owner, mobility, here)| AddressRecord {
            key: AddressKey { segment: SegmentId(1), mac: Mac([2, 0, 0, 0, 0, mac]) },
            owner: HostId(owner),
            mobility: Mobility(mobility),
            presence: if here { Presence::Present } else { Presence::Gone },
        })
    }

    proptest! {
        /// Who wins depends on the records, not on the order in which different hosts' words arrive.
        #[test]
        fn every_order_of_hosts_ends_the_same(records in prop::collection::vec(record(), 0..12)) {
            let winner = |records: &[AddressRecord]| {
                let mut table = SegmentTable::default();
                for record in records {
                    table.take(*record, 100, 100);
                }
                let found = table.snapshot(SegmentId(1)).records;
                found.into_iter().map(|r| (r.key, r.owner, r.mobility)).collect::<Vec<_>>()
            };
            let mut reversed = records.clone();
            reversed.reverse();
            prop_assert_eq!(winner(&records), winner(&reversed));
        }

        /// A table that was written down and read goes on as the one it was: also what it forgets first.
        #[test]
        fn a_restored_table_goes_on_as_the_one_it_was(
            before in prop::collection::vec(record(), 0..30),
            after in prop::collection::vec(record(), 0..30),
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
        fn limits_hold_and_sequences_have_no_gap(records in prop::collection::vec(record(), 0..60)) {
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

//! What is known about an address, and which of two opinions about it counts.

use std::cmp::Reverse;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A layer 2 segment, by its VXLAN network identifier (1..2^24-1; behaviour.md 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct SegmentId(pub u64);

/// A host, by its number in the topology. Of equal counters that of the lower host counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HostId(pub u32);

/// A MAC address, in the order of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// How often an address has moved (RFC 7432 section 7.7): who sees it announces the known counter plus one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Mobility(pub u64);

impl Mobility {
    /// The counter of the next move.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Whether an address is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Presence {
    /// The owner delivers frames to it.
    Present,
    /// The owner no longer does; the counter is remembered.
    Gone,
}

/// An address in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AddressKey {
    /// The segment.
    pub segment: SegmentId,
    /// The next tag's VID (IEEE 802.1Q, 1..=4094) where one segment of the topology stands for many, else 0.
    pub inner: u16,
    /// The address.
    pub mac: Mac,
}

impl fmt::Display for AddressKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in segment {}", self.mac, self.segment.0)?;
        if self.inner == 0 { Ok(()) } else { write!(f, " with inner VID {}", self.inner) }
    }
}

/// One host's word about one address. Its session and number tell it from the owner's other words, so that one that
/// comes twice, or late, is known as such (behaviour.md 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AddressRecord {
    /// Which address, where.
    pub key: AddressKey,
    /// The host that says so.
    pub owner: HostId,
    /// How often the address had moved when it said so.
    pub mobility: Mobility,
    /// Which run of the owner's daemon says it: a later run has a greater one.
    pub session: u64,
    /// Which word of that run it is, counted from 1.
    pub number: u64,
    /// The VXLAN network identifier (1..2^24-1) by which frames from the address come: the segment's own where the
    /// address is at the owner itself, that of a trunk group where it is behind one.
    pub by: u32,
    /// What it says.
    pub presence: Presence,
}

impl AddressRecord {
    /// Whether this record counts although `known`, of the same address, is there: the higher counter wins, then the
    /// lower host id (RFC 7432 section 7.7), then the owner's later word, by session and number.
    ///
    /// Where session and number are the same too, gone counts over present: somebody else said it for a dead owner.
    /// Two words that differ in [`by`](Self::by) alone cannot come from one owner; that with the greater counts, so
    /// that of two different words always exactly one does.
    pub fn supersedes(&self, known: &Self) -> bool {
        self.rank() > known.rank()
    }

    /// What somebody else says for a dead owner of this word: it is gone. The owner's next word counts again.
    pub(crate) const fn farewell(self) -> Self {
        Self { presence: Presence::Gone, ..self }
    }

    /// Everything but the address, what decides first in front.
    fn rank(&self) -> (Mobility, Reverse<HostId>, u64, u64, bool, u32) {
        let is_gone = self.presence == Presence::Gone;
        (self.mobility, Reverse(self.owner), self.session, self.number, is_gone, self.by)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Presence::{Gone, Present};
    use super::*;

    fn word(owner: u32, mobility: u64, session: u64, number: u64, presence: Presence) -> AddressRecord {
        let key = AddressKey { segment: SegmentId(8), inner: 0, mac: Mac([2, 0, 0, 0, 0, 1]) };
        let (owner, mobility) = (HostId(owner), Mobility(mobility));
        AddressRecord { key, owner, mobility, session, number, by: 8, presence }
    }

    fn by(by: u32, record: AddressRecord) -> AddressRecord {
        AddressRecord { by, ..record }
    }

    #[test]
    fn higher_counter_then_lower_host_then_later_word_then_gone() {
        let one = word(2, 2, 2, 2, Present);
        for (better, worse) in [
            (word(9, 3, 1, 1, Present), one),
            (word(9, 3, 1, 1, Present), word(2, 2, 2, 2, Gone)),
            (word(1, 2, 1, 1, Present), one),
            (word(1, 2, 1, 1, Present), word(2, 2, 9, 9, Gone)),
            (word(2, 2, 3, 1, Present), one),
            (word(2, 2, 3, 1, Present), word(2, 2, 2, 9, Gone)),
            (word(2, 2, 2, 3, Present), one),
            (word(2, 2, 2, 3, Present), word(2, 2, 2, 2, Gone)),
            (word(2, 2, 2, 3, Gone), one),
            (word(2, 2, 2, 2, Gone), one),
            (word(2, 2, 2, 2, Gone), by(9, one)),
            (word(2, 2, 2, 3, Present), by(9, one)),
            (by(9, one), one),
        ] {
            assert!(better.supersedes(&worse), "{better:?} over {worse:?}");
            assert!(!worse.supersedes(&better), "{worse:?} over {better:?}");
            assert!(!better.supersedes(&better), "{better:?} is news");
        }
    }

    #[test]
    fn an_address_is_told_with_its_inner_tag_if_it_has_one() {
        let key = AddressKey { segment: SegmentId(8), inner: 0, mac: Mac([2, 0, 0, 0, 0, 1]) };
        assert_eq!(key.to_string(), "02:00:00:00:00:01 in segment 8");
        let key = AddressKey { inner: 7, ..key };
        assert_eq!(key.to_string(), "02:00:00:00:00:01 in segment 8 with inner VID 7");
    }

    proptest! {
        /// Of two words that differ in anything, exactly one counts.
        #[test]
        fn one_of_two_different_words_counts(
            a in crate::addresses::table::tests::word(),
            b in crate::addresses::table::tests::word(),
        ) {
            let b = AddressRecord { key: a.key, ..b };
            prop_assert_eq!(u8::from(a.supersedes(&b)) + u8::from(b.supersedes(&a)), u8::from(a != b));
        }
    }
}

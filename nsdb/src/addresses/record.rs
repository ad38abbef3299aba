//! What is known about an address, and which of two opinions about it counts.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A layer 2 segment, by its number in the topology.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SegmentId(pub u64);

/// A host, by its number in the topology. Also the tie-breaker between equal counters.
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
    /// The address.
    pub mac: Mac,
}

/// One host's word about one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AddressRecord {
    /// Which address, where.
    pub key: AddressKey,
    /// The host that says so.
    pub owner: HostId,
    /// How often the address had moved when it said so.
    pub mobility: Mobility,
    /// What it says.
    pub presence: Presence,
}

impl AddressRecord {
    /// Whether this record counts although `known` is there: a higher counter wins, then the lower host id, and the
    /// same host with the same counter replaces its own word if it says something else.
    pub fn supersedes(&self, known: &Self) -> bool {
        use std::cmp::Ordering::{Equal, Greater, Less};
        match (self.mobility.cmp(&known.mobility), self.owner.cmp(&known.owner)) {
            (Greater, _) | (Equal, Less) => true,
            (Less, _) | (Equal, Greater) => false,
            (Equal, Equal) => self.presence != known.presence,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(owner: u32, mobility: u64, presence: Presence) -> AddressRecord {
        let key = AddressKey { segment: SegmentId(8), mac: Mac([2, 0, 0, 0, 0, 1]) };
        AddressRecord { key, owner: HostId(owner), mobility: Mobility(mobility), presence }
    }

    #[test]
    fn higher_counter_then_lower_host_then_change_of_mind() {
        use Presence::{Gone, Present};
        for (new, known, expected) in [
            (record(9, 2, Present), record(1, 1, Present), true),
            (record(1, 1, Present), record(9, 2, Present), false),
            (record(1, 1, Present), record(2, 1, Present), true),
            (record(2, 1, Present), record(1, 1, Present), false),
            (record(1, 1, Gone), record(1, 1, Present), true),
            (record(1, 1, Present), record(1, 1, Gone), true),
            (record(1, 1, Present), record(1, 1, Present), false),
            (record(2, 1, Gone), record(1, 1, Present), false),
        ] {
            assert_eq!(new.supersedes(&known), expected, "{new:?} over {known:?}");
        }
    }
}

//! The 802.1Q tag: TPID and TCI.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::vid::Vid;

/// The two tag protocol identifiers that a bridge here can speak (802.1Q table 9-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub enum Tpid {
    /// 0x8100, the customer tag.
    #[default]
    Customer,
    /// 0x88a8, the service tag.
    Service,
}

impl Tpid {
    /// `None` for any EtherType that is not a tag we speak; 0x9100 is not (see [`is_tag_type`]).
    pub const fn from_ether_type(ether_type: u16) -> Option<Tpid> {
        match ether_type {
            0x8100 => Some(Tpid::Customer),
            0x88a8 => Some(Tpid::Service),
            _ => None,
        }
    }

    /// The EtherType on the wire.
    pub const fn ether_type(self) -> u16 {
        match self {
            Tpid::Customer => 0x8100,
            Tpid::Service => 0x88a8,
        }
    }
}

impl fmt::Display for Tpid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#06x}", self.ether_type())
    }
}

/// Whether a switch might take a frame with this EtherType for a tagged one: 0x8100, 0x88a8 and the
/// pre-standard 0x9100.
pub const fn is_tag_type(ether_type: u16) -> bool {
    matches!(ether_type, 0x8100 | 0x88a8 | 0x9100)
}

/// A priority code point, 0..=7 (802.1Q 6.9.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Pcp(u8);

impl Pcp {
    /// Best effort.
    pub const ZERO: Pcp = Pcp(0);

    /// `None` above 7.
    pub const fn new(pcp: u8) -> Option<Pcp> {
        if pcp <= 7 { Some(Pcp(pcp)) } else { None }
    }

    /// The number, 0..=7.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Pcp {
    type Error = String;

    fn try_from(pcp: u8) -> Result<Pcp, String> {
        Pcp::new(pcp).ok_or_else(|| format!("{pcp} is not a priority code point, allowed is 0 to 7"))
    }
}

impl From<Pcp> for u8 {
    fn from(pcp: Pcp) -> u8 {
        pcp.0
    }
}

impl fmt::Display for Pcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Pcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// One tag as it is on the wire. The VID may be any of 0..=4095: what arrives is not what is allowed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tag {
    tpid: Tpid,
    tci: u16,
}

impl Tag {
    /// Bytes a tag adds to a frame.
    pub const LEN: usize = 4;

    /// A tag of ours: usable VID, DEI 0.
    pub const fn new(tpid: Tpid, vid: Vid, pcp: Pcp) -> Tag {
        Tag { tpid, tci: (pcp.0 as u16) << 13 | vid.get() }
    }

    /// A priority tag: VID 0 (802.1Q 6.9.1).
    pub const fn priority(tpid: Tpid, pcp: Pcp) -> Tag {
        Tag { tpid, tci: (pcp.0 as u16) << 13 }
    }

    /// A tag as it arrived: PCP in bits 15..13, DEI in bit 12, VID in bits 11..0 (802.1Q 9.6).
    pub const fn from_wire(tpid: Tpid, tci: u16) -> Tag {
        Tag { tpid, tci }
    }

    /// The tag protocol identifier.
    pub const fn tpid(self) -> Tpid {
        self.tpid
    }

    /// All sixteen bits of tag control information.
    pub const fn tci(self) -> u16 {
        self.tci
    }

    /// The twelve bits of VID, 0..=4095.
    pub const fn raw_vid(self) -> u16 {
        self.tci & 0x0fff
    }

    /// The VID if it is a usable one.
    pub const fn vid(self) -> Option<Vid> {
        Vid::new(self.raw_vid())
    }

    /// Whether this is a priority tag, VID 0.
    pub const fn is_priority(self) -> bool {
        self.raw_vid() == 0
    }

    /// The priority code point.
    pub const fn pcp(self) -> Pcp {
        Pcp((self.tci >> 13) as u8)
    }

    /// The drop eligible indicator.
    pub const fn dei(self) -> bool {
        self.tci & 0x1000 != 0
    }

    /// The four bytes on the wire.
    pub const fn to_bytes(self) -> [u8; 4] {
        let [a, b] = self.tpid.ether_type().to_be_bytes();
        let [c, d] = self.tci.to_be_bytes();
        [a, b, c, d]
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VID {} PCP {}", self.raw_vid(), self.pcp())?;
        if self.dei() {
            f.write_str(" DEI")?;
        }
        if self.tpid == Tpid::Service { write!(f, " ({})", self.tpid) } else { Ok(()) }
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{self}]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priority_is_not_part_of_the_vid() {
        let tag = Tag::from_wire(Tpid::Customer, 0x600a);
        assert_eq!(tag.vid(), Vid::new(10));
        assert_eq!(tag.pcp().get(), 3);
        assert!(!tag.dei());
    }

    #[test]
    fn bytes_are_tpid_then_tci() {
        let tag = Tag::new(Tpid::Service, Vid::new(8).unwrap(), Pcp::new(7).unwrap());
        assert_eq!(tag.to_bytes(), [0x88, 0xa8, 0xe0, 0x08]);
    }
}

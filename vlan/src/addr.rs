//! MAC addresses: individual and group, and their text form.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A 48-bit MAC address (IEEE 802-2014 8.2), bytes in wire order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// All ones: every station.
    pub const BROADCAST: MacAddr = MacAddr([0xff; 6]);
    /// All zeros: no station; never learned.
    pub const ZERO: MacAddr = MacAddr([0; 6]);

    /// The I/G bit (802-2014 8.2.2): a multicast or broadcast address.
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// All ones.
    pub fn is_broadcast(self) -> bool {
        self == MacAddr::BROADCAST
    }

    /// All zeros.
    pub fn is_zero(self) -> bool {
        self == MacAddr::ZERO
    }

    /// The address as a number, first byte on the wire highest.
    pub fn to_u64(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_be_bytes([0, 0, a, b, c, d, e, f])
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not a MAC address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a MAC address such as 52:54:00:00:00:01")]
pub struct ParseMacError(String);

impl FromStr for MacAddr {
    type Err = ParseMacError;

    /// Six two-digit hexadecimal bytes, separated by `:` or by `-`.
    fn from_str(text: &str) -> Result<MacAddr, ParseMacError> {
        let refuse = || ParseMacError(text.to_owned());
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut bytes = [0; 6];
        let mut parts = text.split(separator);
        for byte in &mut bytes {
            let part = parts.next().filter(|p| p.len() == 2).ok_or_else(refuse)?;
            if !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(refuse());
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| refuse())?;
        }
        if parts.next().is_some() { Err(refuse()) } else { Ok(MacAddr(bytes)) }
    }
}

impl Serialize for MacAddr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for MacAddr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<MacAddr, D::Error> {
        if deserializer.is_human_readable() {
            let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            <[u8; 6]>::deserialize(deserializer).map(MacAddr)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_goes_both_ways() {
        let mac: MacAddr = "52:54:00:00:00:0A".parse().unwrap();
        assert_eq!(mac.to_string(), "52:54:00:00:00:0a");
        assert_eq!("52-54-00-00-00-0a".parse(), Ok(mac));
    }

    #[test]
    fn refuses_what_is_not_six_bytes() {
        for text in [
            "",
            "52:54:00:00:00",
            "52:54:00:00:00:01:02",
            "5254.0000.0001",
            "+2:54:00:00:00:01",
            "é2:54:00:00:00:01",
        ] {
            assert!(text.parse::<MacAddr>().is_err(), "{text}");
        }
    }

    #[test]
    fn group_bit_is_the_lowest_of_the_first_byte() {
        assert!(MacAddr([1, 0x80, 0xc2, 0, 0, 0]).is_group());
        assert!(!MacAddr([0x52, 0xff, 0xff, 0xff, 0xff, 0xff]).is_group());
    }
}

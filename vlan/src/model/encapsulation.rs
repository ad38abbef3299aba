//! Which values are right of what goes around a frame, and how long it may be then.

use super::value::Range;

/// VXLAN network identifiers of segments: 24 bits (RFC 7348 5), but for the last, which is that of hellos.
pub const VNIS: Range = Range::new(1, HELLO_VNI - 1, "");
/// The VNI of what hosts say to each other.
pub const HELLO_VNI: u32 = (1 << 24) - 1;
/// Payload MTUs: from what IPv4 needs (RFC 791 3.2) to what its length field can say.
pub const MTUS: Range = Range::new(68, 65_535, "bytes");
/// UDP ports that datagrams are sent to; 0 is none (RFC 768).
pub const UDP_PORTS: Range = Range::new(1, 65_535, "");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_are_allowed_and_their_neighbours_are_not() {
        assert_eq!(MTUS.check(68), Ok(()));
        assert_eq!(MTUS.check(65_535), Ok(()));
        assert_eq!(MTUS.check(67), Err("67 is out of range, allowed is 68 to 65535 bytes".to_owned()));
        assert_eq!(VNIS.check(1 << 24), Err("16777216 is out of range, allowed is 1 to 16777214".to_owned()));
        assert_eq!(VNIS.check(HELLO_VNI - 1), Ok(()));
    }
}

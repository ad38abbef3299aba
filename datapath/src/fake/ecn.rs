//! Congestion marks across a tunnel (RFC 6040, as `include/net/inet_ecn.h` does it): a router of the underlay marks the outer header, and
//! whoever takes it off says so to the inner one.

use std::borrow::Cow;

use vlan::frame::Header;
use vlan::tag::Tag;

use super::length::ETHERNET_HEADER;
use super::packet::Packet;

/// The ECN field of the packet that a frame is put into.
pub(super) fn outer(frame: &[u8]) -> u8 {
    match Inner::find(frame).map(|inner| inner.ecn) {
        Some(CONGESTED) => CAPABLE_0,
        Some(ecn) => ecn,
        None => INCAPABLE,
    }
}

/// The frame of a packet, marked as the packet is; `None` if its sender would not understand the mark: then it is dropped.
pub(super) fn inner(packet: &Packet) -> Option<Cow<'_, [u8]>> {
    let frame = Cow::Borrowed(&packet.frame[..]);
    let Some(inner) = Inner::find(&frame) else { return Some(frame) };
    match (packet.ecn, inner.ecn) {
        (CONGESTED, INCAPABLE) => None,
        (CONGESTED, _) => Some(inner.marked(frame, CONGESTED)),
        (CAPABLE_1, CAPABLE_0) => Some(inner.marked(frame, CAPABLE_1)),
        _ => Some(frame),
    }
}

/// The IP header of a frame.
#[derive(Debug, Clone, Copy)]
struct Inner {
    /// Where it begins.
    at: usize,
    version: Version,
    ecn: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V4,
    V6,
}

impl Inner {
    fn find(frame: &[u8]) -> Option<Inner> {
        let header = Header::parse(frame).ok()?;
        let at = ETHERNET_HEADER + header.tags.len() * Tag::LEN;
        let packet = frame.get(at..)?;
        match header.ether_type {
            IPV4 if packet.len() >= IPV4_HEADER => {
                Some(Inner { at, version: Version::V4, ecn: packet[1] & MASK })
            }
            IPV6 if packet.len() >= IPV6_HEADER => {
                Some(Inner { at, version: Version::V6, ecn: packet[1] >> 4 & MASK })
            }
            _ => None,
        }
    }

    /// The frame with another ECN field, and an IPv4 checksum that is as right as it was (RFC 1624).
    fn marked(self, mut frame: Cow<'_, [u8]>, ecn: u8) -> Cow<'_, [u8]> {
        let packet = &mut frame.to_mut()[self.at..];
        if self.version == Version::V6 {
            packet[1] = packet[1] & !(MASK << 4) | ecn << 4;
            return frame;
        }
        let old = u16::from_be_bytes([packet[0], packet[1]]);
        packet[1] = packet[1] & !MASK | ecn;
        let new = u16::from_be_bytes([packet[0], packet[1]]);
        let checksum = u16::from_be_bytes([packet[10], packet[11]]);
        let sum = [!checksum, !old, new].into_iter().fold(0, add);
        packet[10..12].copy_from_slice(&(!sum).to_be_bytes());
        frame
    }
}

/// One's complement addition (RFC 1071).
fn add(a: u16, b: u16) -> u16 {
    let (sum, carry) = a.overflowing_add(b);
    sum + u16::from(carry)
}

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;

/// The field, and what is in it (RFC 3168 5).
const MASK: u8 = 3;
const INCAPABLE: u8 = 0;
const CAPABLE_1: u8 = 1;
const CAPABLE_0: u8 = 2;
const CONGESTED: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(tags: usize, version: Version, ecn: u8) -> Vec<u8> {
        let mut frame = vec![2; 12];
        (0..tags).for_each(|_| frame.extend([0x81, 0, 0, 8]));
        let packet: &[u8] = match version {
            Version::V4 => &[0x45, 0xa0 | ecn, 0, 40, 0, 0, 0, 0, 64, 17],
            Version::V6 => &[0x6a, ecn << 4 | 0x0f, 0xff, 0xff],
        };
        frame.extend(if version == Version::V4 { IPV4 } else { IPV6 }.to_be_bytes());
        let at = frame.len();
        frame.extend(packet);
        frame.resize(at + 40, 0);
        if version == Version::V4 {
            let sum = !sum_of(&frame[at..at + IPV4_HEADER]);
            frame[at + 10..at + 12].copy_from_slice(&sum.to_be_bytes());
        }
        frame
    }

    fn sum_of(header: &[u8]) -> u16 {
        header.chunks(2).map(|two| u16::from_be_bytes([two[0], two[1]])).fold(0, add)
    }

    fn packet(ecn: u8, frame: Vec<u8>) -> Packet {
        let address = std::net::Ipv4Addr::LOCALHOST.into();
        Packet { from: address, to: address, port: 4789, vni: 1, class: 0, ecn, path: 0, frame }
    }

    #[test]
    fn a_mark_goes_through_a_tunnel_and_congestion_is_told_to_those_who_understand_it() {
        for (tags, version) in [(0, Version::V4), (1, Version::V4), (2, Version::V6), (0, Version::V6)] {
            let outer_of = |ecn| outer(&frame(tags, version, ecn));
            assert_eq!([0, 1, 2, 3].map(outer_of), [0, 1, 2, 2]);
            for (outside, inside, expected) in [
                (0, 0, Some(0)),
                (1, 0, Some(0)),
                (2, 0, Some(0)),
                (3, 0, None),
                (0, 2, Some(2)),
                (1, 2, Some(1)),
                (2, 1, Some(1)),
                (3, 1, Some(3)),
                (3, 2, Some(3)),
                (0, 3, Some(3)),
            ] {
                let packet = packet(outside, frame(tags, version, inside));
                let expected = expected.map(|ecn| frame(tags, version, ecn));
                let got = inner(&packet).map(Cow::into_owned);
                assert_eq!(got, expected, "{outside} outside, {inside} inside, {tags} tags, {version:?}");
            }
        }
    }

    #[test]
    fn what_is_no_ip_is_left_as_it_is() {
        let arp = [&[2; 12][..], &[8, 6], &[0xff; 46]].concat();
        assert_eq!(outer(&arp), INCAPABLE);
        let whole = frame(1, Version::V4, 0);
        for len in 0..18 + IPV4_HEADER {
            let cut = packet(CONGESTED, whole[..len].to_vec());
            assert_eq!(inner(&cut).as_deref(), Some(&whole[..len]));
        }
        assert_eq!(inner(&packet(CONGESTED, arp.clone())).as_deref(), Some(&arp[..]));
    }
}

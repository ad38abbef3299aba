//! Frames as a sender writes them, byte by byte, right or wrong.
//!
//! ```
//! use tests::lab::frames::Frame;
//! let frame = Frame::new([2, 0, 0, 0, 0, 1], [0xff; 6]).tag(10, 5).payload(0x88b5, b"hello");
//! assert_eq!(frame[12..16], [0x81, 0x00, 0xa0, 0x0a]);
//! ```
//! Nothing is padded: a short frame stays short, as on a veth. A tagged frame needs two bytes of payload at least: the kernel
//! drops a shorter one when it takes the tag off (`skb_vlan_untag` looks at the two bytes behind the tag).

use std::net::{Ipv4Addr, Ipv6Addr};

/// A hardware address in the order of the wire.
pub type Mac = [u8; 6];

/// The hardware address that every station listens to.
pub const BROADCAST: Mac = [0xff; 6];

/// IEEE 802 local experimental ethertype 1, for frames whose content means nothing.
pub const EXPERIMENTAL: u16 = 0x88b5;

/// Which ethertype announces a tag (802.1Q 9.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tpid {
    /// 0x8100.
    Customer,
    /// 0x88a8.
    Service,
}

impl Tpid {
    /// The number on the wire.
    pub const fn ethertype(self) -> u16 {
        match self {
            Self::Customer => 0x8100,
            Self::Service => 0x88a8,
        }
    }
}

/// An Ethernet frame in the making: addresses and tags; the method that adds the rest returns the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    source: Mac,
    bytes: Vec<u8>,
}

impl Frame {
    /// A frame from `source` to `destination`.
    pub fn new(source: Mac, destination: Mac) -> Self {
        Self { source, bytes: [destination, source].concat() }
    }

    /// Adds an 802.1Q tag, innermost so far; `vid` 0..=4095, `pcp` 0..=7.
    pub fn tag(self, vid: u16, pcp: u8) -> Self {
        self.tag_as(Tpid::Customer, vid, pcp)
    }

    /// Adds a tag of either kind, innermost so far; `vid` 0..=4095, `pcp` 0..=7.
    pub fn tag_as(self, tpid: Tpid, vid: u16, pcp: u8) -> Self {
        self.tag_raw(tpid.ethertype(), u16::from(pcp & 7) << 13 | vid & 0x0fff)
    }

    /// Adds a tag by its two words: ethertype, then PCP, DEI and VID (802.1Q 9.6).
    pub fn tag_raw(mut self, ethertype: u16, tci: u16) -> Self {
        self.bytes.extend(ethertype.to_be_bytes());
        self.bytes.extend(tci.to_be_bytes());
        self
    }

    /// The frame with this ethertype and payload.
    pub fn payload(mut self, ethertype: u16, payload: &[u8]) -> Vec<u8> {
        self.bytes.extend(ethertype.to_be_bytes());
        self.bytes.extend(payload);
        self.bytes
    }

    /// The frame as an 802.3 LLC frame: a length, and a payload that begins with DSAP and SSAP, such as a BPDU's `42 42 03`.
    pub fn llc(self, payload: &[u8]) -> Vec<u8> {
        self.payload(payload.len() as u16, payload)
    }

    /// An ARP request of the frame's source: who has `wanted`, tell `sender` (RFC 826).
    pub fn arp_request(self, sender: Ipv4Addr, wanted: Ipv4Addr) -> Vec<u8> {
        let source = self.source;
        self.payload(ETHERTYPE_ARP, &arp(1, (source, sender), ([0; 6], wanted)))
    }

    /// An ARP reply of the frame's source: `sender` is at it, told to `receiver` (RFC 826).
    pub fn arp_reply(self, sender: Ipv4Addr, receiver: (Mac, Ipv4Addr)) -> Vec<u8> {
        let source = self.source;
        self.payload(ETHERTYPE_ARP, &arp(2, (source, sender), receiver))
    }

    /// An IPv4 packet with this protocol and payload, time to live 64.
    pub fn ipv4(self, from: Ipv4Addr, to: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let packet = [&ipv4_header(from, to, protocol, payload.len())[..], payload].concat();
        self.payload(ETHERTYPE_IPV4, &packet)
    }

    /// An IPv6 packet with this next header and payload, hop limit 64.
    pub fn ipv6(self, from: Ipv6Addr, to: Ipv6Addr, next_header: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend((payload.len() as u16).to_be_bytes());
        packet.extend([next_header, HOP_LIMIT]);
        packet.extend(from.octets());
        packet.extend(to.octets());
        packet.extend(payload);
        self.payload(ETHERTYPE_IPV6, &packet)
    }

    /// A UDP datagram over IPv4, from and to (address, port).
    pub fn udp4(self, from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), payload: &[u8]) -> Vec<u8> {
        let pseudo = [from.0.octets(), to.0.octets()].concat();
        self.ipv4(from.0, to.0, PROTOCOL_UDP, &udp(&pseudo, from.1, to.1, payload))
    }

    /// A UDP datagram over IPv6, from and to (address, port).
    pub fn udp6(self, from: (Ipv6Addr, u16), to: (Ipv6Addr, u16), payload: &[u8]) -> Vec<u8> {
        let pseudo = [from.0.octets(), to.0.octets()].concat();
        self.ipv6(from.0, to.0, PROTOCOL_UDP, &udp(&pseudo, from.1, to.1, payload))
    }

    /// An ICMP echo request over IPv4 (RFC 792).
    pub fn echo4(self, from: Ipv4Addr, to: Ipv4Addr, sequence: u16) -> Vec<u8> {
        let mut message = vec![8, 0, 0, 0, 0, 1];
        message.extend(sequence.to_be_bytes());
        let sum = internet_checksum(&[&message]);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        self.ipv4(from, to, PROTOCOL_ICMP, &message)
    }
}

/// The tags of a frame, outermost first, each as ethertype and (PCP, DEI, VID) word; as many as there are.
pub fn tags(frame: &[u8]) -> Vec<(u16, u16)> {
    let word = |at: usize| Some(u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?]));
    let tag = |at: usize| word(at).filter(|kind| TAGS.contains(kind)).zip(word(at + 2));
    (0..).map_while(|n| tag(ADDRESSES + 4 * n)).collect()
}

/// The checksum of RFC 1071 over the parts as one message; every part but the last has an even length.
pub fn internet_checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let sum: u32 = words.map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}

fn arp(operation: u16, sender: (Mac, Ipv4Addr), target: (Mac, Ipv4Addr)) -> Vec<u8> {
    let mut message = vec![0, 1, 8, 0, 6, 4];
    message.extend(operation.to_be_bytes());
    for (mac, address) in [sender, target] {
        message.extend(mac);
        message.extend(address.octets());
    }
    message
}

fn ipv4_header(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, payload: usize) -> [u8; 20] {
    let mut header = [0; 20];
    header[0] = 0x45;
    header[2..4].copy_from_slice(&((20 + payload) as u16).to_be_bytes());
    header[8] = HOP_LIMIT;
    header[9] = protocol;
    header[12..16].copy_from_slice(&from.octets());
    header[16..20].copy_from_slice(&to.octets());
    let sum = internet_checksum(&[&header]);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header
}

/// RFC 768; `pseudo` is the two addresses, the rest of the pseudo header is put in here.
fn udp(pseudo: &[u8], from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len()) as u16;
    let mut header = [from, to, length, 0].map(u16::to_be_bytes).concat();
    let rest = [[0, PROTOCOL_UDP], length.to_be_bytes()].concat();
    // A sum of 0 would mean that there is none.
    let sum = match internet_checksum(&[pseudo, &rest, &header, payload]) {
        0 => 0xffff,
        sum => sum,
    };
    header[6..8].copy_from_slice(&sum.to_be_bytes());
    [&header, payload].concat()
}

const ADDRESSES: usize = 12;
const TAGS: [u16; 2] = [Tpid::Customer.ethertype(), Tpid::Service.ethertype()];
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const PROTOCOL_ICMP: u8 = 1;
const PROTOCOL_UDP: u8 = 17;
const HOP_LIMIT: u8 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const A: Mac = [2, 0, 0, 0, 0, 1];

    #[test]
    fn tags_are_written_and_read_outermost_first() {
        let frame =
            Frame::new(A, BROADCAST).tag_as(Tpid::Service, 100, 3).tag(4095, 7).payload(EXPERIMENTAL, b"x");
        assert_eq!(tags(&frame), [(0x88a8, 0x6064), (0x8100, 0xefff)]);
        assert_eq!(frame[20..], [0x88, 0xb5, b'x']);
        assert_eq!(tags(&Frame::new(A, BROADCAST).payload(EXPERIMENTAL, b"")), []);
        assert_eq!(tags(&frame[..14]), [], "a tag that is cut short is none");
    }

    /// The example of RFC 1071, section 3.
    #[test]
    fn the_checksum_is_that_of_the_rfc() {
        assert_eq!(internet_checksum(&[&[0x00, 0x01, 0xf2, 0x03], &[0xf4, 0xf5, 0xf6, 0xf7]]), !0xddf2);
        assert_eq!(internet_checksum(&[&[0xff, 0xff, 0x01]]), !0x0100);
    }

    #[test]
    fn a_packet_checks_to_zero() {
        let (from, to) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        let frame = Frame::new(A, BROADCAST).udp4((from, 1000), (to, 2000), b"odd");
        let (header, datagram) = frame[14..].split_at(20);
        assert_eq!(internet_checksum(&[header]), 0);
        assert_eq!(internet_checksum(&[&header[12..20], &[0, 17, 0, datagram.len() as u8], datagram]), 0);
    }

    #[test]
    fn an_arp_request_has_28_bytes_and_the_source_as_sender() {
        let frame =
            Frame::new(A, BROADCAST).arp_request(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        assert_eq!(frame.len(), 14 + 28);
        assert_eq!(frame[22..28], A);
        assert_eq!(frame[38..42], [10, 0, 0, 2]);
    }
}

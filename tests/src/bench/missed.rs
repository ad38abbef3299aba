//! A frame without a flow, as openvswitch.ko of Linux 6.1 sends it up: attribute by attribute what `datapath/src/ovs/captured.txt` has.

use std::net::Ipv4Addr;

use crate::lab::frames::{Frame, Mac};
use crate::lab::genl::{attribute, number};

/// The datagram with a UDP packet of one tag; `family` is the number of `ovs_packet`.
pub fn upcall(family: u16, vport: u32, source: Mac, destination: Mac, vid: u16) -> Vec<u8> {
    let (from, to) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
    let frame = Frame::new(source, destination).tag(vid, 0).udp4((from, 9), (to, 9), &[0; 18]);
    let body = [
        attribute(PACKET_KEY, &key(vport, source, destination, vid, (from, to))),
        attribute(PACKET_HASH, &[0; 8]),
        attribute(PACKET_FRAME, &frame),
    ];
    let body = body.concat();
    let mut datagram = Vec::new();
    datagram.extend(((HEADERS_LEN + body.len()) as u32).to_ne_bytes());
    datagram.extend(family.to_ne_bytes());
    // No flags, sequence and port number 0.
    datagram.extend([0; 10]);
    datagram.extend([MISS, 1, 0, 0]);
    datagram.extend(DATAPATH.to_ne_bytes());
    datagram.extend(body);
    datagram
}

fn key(vport: u32, source: Mac, destination: Mac, vid: u16, (from, to): (Ipv4Addr, Ipv4Addr)) -> Vec<u8> {
    let ipv4 = [&from.octets()[..], &to.octets(), &[UDP, 0, 64, 0]].concat();
    let behind_tag = [
        attribute(KEY_ETHERTYPE, &0x0800_u16.to_be_bytes()),
        attribute(KEY_IPV4, &ipv4),
        attribute(KEY_UDP, &[0, 9, 0, 9]),
    ];
    let parts = [
        number(KEY_RECIRC_ID, 0),
        number(KEY_DP_HASH, 0),
        number(KEY_PRIORITY, 0),
        number(KEY_IN_PORT, vport),
        number(KEY_SKB_MARK, 0),
        number(KEY_CT_STATE, 0),
        number(KEY_CT_MARK, 0),
        attribute(KEY_CT_LABELS, &[0; 16]),
        attribute(KEY_ETHERNET, &[source, destination].concat()),
        attribute(KEY_ETHERTYPE, &0x8100_u16.to_be_bytes()),
        attribute(KEY_VLAN, &(TAG_PRESENT | vid).to_be_bytes()),
        attribute(KEY_ENCAP, &behind_tag.concat()),
    ];
    parts.concat()
}

/// struct nlmsghdr, struct genlmsghdr and struct ovs_header.
const HEADERS_LEN: usize = 24;
const DATAPATH: u32 = 5;
const UDP: u8 = 17;
/// VLAN_CFI_MASK: in openvswitch.ko's keys the bit says that there is a tag.
const TAG_PRESENT: u16 = 0x1000;

/// enum ovs_packet_cmd and ovs_packet_attr of linux/openvswitch.h.
const MISS: u8 = 1;
const PACKET_FRAME: u16 = 1;
const PACKET_KEY: u16 = 2;
const PACKET_HASH: u16 = 11;

/// enum ovs_key_attr.
const KEY_ENCAP: u16 = 1;
const KEY_PRIORITY: u16 = 2;
const KEY_IN_PORT: u16 = 3;
const KEY_ETHERNET: u16 = 4;
const KEY_VLAN: u16 = 5;
const KEY_ETHERTYPE: u16 = 6;
const KEY_IPV4: u16 = 7;
const KEY_UDP: u16 = 10;
const KEY_SKB_MARK: u16 = 15;
const KEY_DP_HASH: u16 = 19;
const KEY_RECIRC_ID: u16 = 20;
const KEY_CT_STATE: u16 = 22;
const KEY_CT_MARK: u16 = 24;
const KEY_CT_LABELS: u16 = 25;

#[cfg(test)]
mod tests {
    use super::*;

    /// The captured one is a UDP packet of VLAN 8 with priority 5, one byte of payload and other addresses.
    #[test]
    fn it_has_the_attributes_of_a_captured_one() {
        let captured = include_str!("../../../datapath/src/ovs/captured.txt");
        let mut lines = captured.lines().filter_map(|line| line.strip_prefix("upcall "));
        let hex = lines.nth(1).expect("a second upcall");
        let bytes: Vec<u8> = (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal digits"))
            .collect();
        let shape = |bytes: &[u8]| {
            let mut found = Vec::new();
            walk(&bytes[HEADERS_LEN..], &mut found);
            found.retain(|(kind, _)| *kind != PACKET_FRAME);
            found
        };
        let ours = upcall(31, 1, [2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], 8);
        assert_eq!(shape(&ours), shape(&bytes));
    }

    /// Kinds and lengths of attributes; those of a key and of an encapsulation too.
    fn walk(mut rest: &[u8], found: &mut Vec<(u16, usize)>) {
        while let [a, b, c, d, ..] = *rest {
            let (length, kind) = (usize::from(u16::from_ne_bytes([a, b])), u16::from_ne_bytes([c, d]));
            found.push((kind, length));
            let is_key_of_packet = kind == PACKET_KEY && length > 100;
            if is_key_of_packet || (kind == KEY_ENCAP && length == 36) {
                walk(&rest[4..length], found);
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

//! Which conversation a frame is of, as one number: what a network card or a kernel spreads frames by.

use vlan::frame::Header;
use vlan::tag::Tag;

use super::length::ETHERNET_HEADER;

/// A number that is the same for all frames of a conversation, and never 0. Of IP its addresses, protocol and ports count, of anything
/// else its Ethernet addresses and type; tags do not.
pub(super) fn hash_of(frame: &[u8]) -> u64 {
    let Ok(header) = Header::parse(frame) else { return mix(&[&frame[..frame.len().min(ETHERNET_HEADER)]]) };
    let payload = frame.get(ETHERNET_HEADER + header.tags.len() * Tag::LEN..).unwrap_or_default();
    let ends = match header.ether_type {
        IPV4 => ipv4(payload),
        IPV6 => ipv6(payload),
        _ => None,
    };
    match ends {
        Some(ends) => mix(&ends),
        None => mix(&[&header.dst.0, &header.src.0, &header.ether_type.to_be_bytes()]),
    }
}

/// Addresses, protocol, and ports where the whole of them is there.
fn ipv4(packet: &[u8]) -> Option<[&[u8]; 3]> {
    let (addresses, protocol) = (packet.get(12..20)?, packet.get(9..10)?);
    let header = usize::from(packet[0] & 0xf) * 4;
    Some([addresses, protocol, ports(protocol[0], packet.get(header..))])
}

fn ipv6(packet: &[u8]) -> Option<[&[u8]; 3]> {
    let (addresses, protocol) = (packet.get(8..40)?, packet.get(6..7)?);
    Some([addresses, protocol, ports(protocol[0], packet.get(40..))])
}

/// A fragment behind the first has no ports and is taken for what it seems: paths of fragments may differ.
fn ports(protocol: u8, segment: Option<&[u8]>) -> &[u8] {
    let has_ports = matches!(protocol, TCP | UDP);
    segment.filter(|_| has_ports).and_then(|segment| segment.get(..4)).unwrap_or_default()
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo).
fn mix(parts: &[&[u8]]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.iter());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.max(1)
}

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const TCP: u8 = 6;
const UDP: u8 = 17;

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of 60 bytes, with tags, and bytes of its payload set.
    fn frame(tags: &[u8], ether_type: u16, payload: &[(usize, u8)]) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        tags.iter().for_each(|vid| frame.extend([0x81, 0, 0, *vid]));
        frame.extend(ether_type.to_be_bytes());
        let begin = frame.len();
        frame.resize(begin + 60, 0);
        payload.iter().for_each(|(at, byte)| frame[begin + at] = *byte);
        frame
    }

    #[test]
    fn frames_of_one_conversation_have_one_number_and_others_another() {
        let udp4 = |at, byte| frame(&[], IPV4, &[(0, 0x45), (9, UDP), (at, byte)]);
        let first = hash_of(&udp4(40, 1));
        assert_eq!(first, hash_of(&udp4(40, 2)), "what is behind the ports does not count");
        assert_eq!(first, hash_of(&udp4(1, 0xff)), "nor how it is to be treated");
        let tagged = frame(&[8], IPV4, &[(0, 0x45), (9, UDP)]);
        assert_eq!(first, hash_of(&tagged), "nor its tags");
        for other in [udp4(15, 1), udp4(19, 1), udp4(20, 1), udp4(23, 1), udp4(9, 1)] {
            assert_ne!(first, hash_of(&other), "{other:02x?}");
        }
        let tcp6 = |at, byte| frame(&[], IPV6, &[(6, TCP), (at, byte)]);
        assert_eq!(hash_of(&tcp6(50, 1)), hash_of(&tcp6(50, 2)));
        for other in [tcp6(8, 1), tcp6(39, 1), tcp6(43, 1), tcp6(6, 58)] {
            assert_ne!(hash_of(&tcp6(50, 1)), hash_of(&other), "{other:02x?}");
        }
        let plain = frame(&[], 0x88b5, &[]);
        assert_eq!(hash_of(&plain), hash_of(&frame(&[], 0x88b5, &[(0, 1)])));
        assert_ne!(hash_of(&plain), hash_of(&frame(&[], 0x88b6, &[])));
    }

    #[test]
    fn whatever_is_cut_has_a_number() {
        let whole = frame(&[8, 9], IPV4, &[(0, 0x4f), (9, UDP)]);
        for len in 0..whole.len() {
            assert_ne!(hash_of(&whole[..len]), 0, "{len} bytes");
        }
    }
}

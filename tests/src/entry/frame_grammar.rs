//! Frames out of choices: some are any bytes, most have addresses, tags and types that the port at hand has an opinion of.

use vlan::model::port::{Mode, Port};

use super::feed::Feed;

/// The next frame, for a port that it is to arrive at.
pub(super) fn frame(feed: &mut Feed<'_>, port: &Port) -> Vec<u8> {
    let shape = feed.byte();
    if shape % 8 == 7 {
        let len = usize::from(feed.byte());
        return feed.bytes(len).to_vec();
    }
    let mut bytes = Vec::with_capacity(128);
    bytes.extend(address(feed, port));
    bytes.extend(address(feed, port));
    for _ in 0..usize::from(shape >> 3) % 5 {
        bytes.extend(tag(feed, port));
    }
    match feed.byte() {
        0xff => bytes.extend(feed.u16().to_be_bytes()),
        choice => bytes.extend(TYPES[usize::from(choice) % TYPES.len()].to_be_bytes()),
    }
    match shape % 8 {
        // Cut inside what has to be read.
        6 => bytes.truncate(usize::from(feed.byte()) % (bytes.len() + 1)),
        padding => bytes.extend((0..padding * 11).map(|i| 0xa0 ^ i)),
    }
    bytes
}

fn address(feed: &mut Feed<'_>, port: &Port) -> [u8; 6] {
    match feed.byte() {
        0 => [0xff; 6],
        station @ 1..=0x3f => [2, 0, 0, 0, 0, 0x40 + station],
        number @ 0x40..=0x7f => [0x01, 0x80, 0xc2, 0, 0, number - 0x40],
        number @ 0x80..=0x8f => [0x01, 0, 0x0c, 0xcc, 0xcc, number + 0x40],
        0x90..=0x9f => [0x01, 0x19, 0xa7, 0, 0, feed.byte()],
        0xa0..=0xaf => [0x01, 0, 0x5e, 0, 0, 1],
        0xb0 => [0; 6],
        number @ 0xb1..=0xcf if !port.macs.is_empty() => port.macs[usize::from(number) % port.macs.len()].0,
        _ => std::array::from_fn(|_| feed.byte()),
    }
}

fn tag(feed: &mut Feed<'_>, port: &Port) -> [u8; 4] {
    let choice = feed.byte();
    let [a, b] = [0x8100_u16, 0x8100, 0x88a8, 0x9100][usize::from(choice & 3)].to_be_bytes();
    let own = vids(port);
    let vid = match choice >> 2 & 7 {
        0..=3 if !own.is_empty() => own[usize::from(feed.byte()) % own.len()],
        0..=5 => FEW[usize::from(feed.byte()) % FEW.len()],
        _ => feed.u16() & 0x0fff,
    };
    // Priority and DEI.
    let [c, d] = (u16::from(choice >> 5) << 13 | u16::from(choice & 4) << 10 | vid).to_be_bytes();
    [a, b, c, d]
}

/// The VIDs on the wire of a port, and of its customers.
fn vids(port: &Port) -> Vec<u16> {
    let mut vids: Vec<u16> = port.vids().iter().take(64).map(|vid| vid.get()).collect();
    if let Some(trunk) = port.trunk() {
        vids.extend(trunk.translated().flat_map(|(wire, bridge)| [wire.get(), bridge.get()]));
        vids.extend(trunk.native.map(|vid| vid.get()));
    }
    if let Mode::Qinq { customer_vlans: Some(customer), .. } = &port.mode {
        vids.extend(customer.iter().take(16).map(|vid| vid.get()));
    }
    vids
}

/// EtherTypes that forwarding tells apart, lengths, and what only looks like a type.
const TYPES: [u16; 12] =
    [0x0800, 0x0806, 0x86dd, 0x88b5, 0x88cc, 0x8100, 0x88a8, 0x9100, 38, 0, 0x05ff, 0x0600];
/// VIDs of the stories, the unusable ones, and their neighbours.
const FEW: [u16; 12] = [0, 1, 8, 9, 10, 100, 108, 109, 200, 4093, 4094, 4095];

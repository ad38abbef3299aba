//! A datagram as it comes from the kernel, or as no kernel would send it, through the codec.

use std::sync::OnceLock;

use datapath::ovs::reread;

use super::feed::Feed;
use crate::sim::duel::hex;

/// Any bytes as a datagram of netlink messages.
///
/// # Panics
/// What was read and written again came back as something else.
pub fn netlink(bytes: &[u8]) {
    let datagram = datagram(bytes);
    match reread(&datagram) {
        Ok(found) => assert!(found.messages <= datagram.len() / MESSAGE_HEADER, "{found:?}"),
        Err(difference) => panic!("{difference}\ndatagram {}", hex(&datagram)),
    }
}

/// As it is, a captured one with changes, or messages and attributes by choices.
fn datagram(bytes: &[u8]) -> Vec<u8> {
    let mut feed = Feed::new(bytes);
    match feed.byte() % 4 {
        0 => feed.rest().to_vec(),
        1 => changed(&mut feed),
        _ => {
            let mut datagram = Vec::new();
            while !feed.is_empty() && datagram.len() < LONGEST {
                message(&mut feed, &mut datagram);
            }
            datagram
        }
    }
}

/// Captured datagrams behind each other, each with some bytes changed or cut.
fn changed(feed: &mut Feed<'_>) -> Vec<u8> {
    let all = captured();
    let mut datagram = Vec::new();
    while !feed.is_empty() && datagram.len() < LONGEST {
        let mut one = all[feed.below(all.len())].clone();
        for _ in 0..feed.byte() % 8 {
            let at = usize::from(feed.u16()) % one.len();
            match feed.byte() {
                0 => one.truncate(at.max(1)),
                1 => drop(one.splice(at..at, feed.bytes(4).iter().copied())),
                2 => one.extend_from_within(at..),
                _ => one[at] = feed.byte(),
            }
        }
        datagram.extend(one);
    }
    datagram
}

fn message(feed: &mut Feed<'_>, datagram: &mut Vec<u8>) {
    let start = datagram.len();
    let kind = match feed.byte() {
        0xff => feed.u16(),
        choice => [2, 3, 16, 28, 29, 30, 31, 32][usize::from(choice % 8)],
    };
    let shape = feed.byte();
    datagram.extend([0; 4]);
    datagram.extend(kind.to_ne_bytes());
    datagram.extend([0x100 * u16::from(shape & 3), feed.u16()][usize::from(shape >> 7)].to_ne_bytes());
    // Three requests are waited for, numbered from 0.
    datagram.extend(u32::from(feed.byte() & 3).to_ne_bytes());
    datagram.extend([0; 4]);
    if kind <= 3 {
        datagram.extend((-i32::from(feed.byte())).to_ne_bytes());
        datagram.extend(feed.bytes(usize::from(shape >> 2 & 0x1f)));
    } else {
        datagram.extend([1 + feed.byte() % 5, 1, 0, 0]);
        datagram.extend([5, 0, 0, 0]);
    }
    attributes(feed, datagram, 0);
    let lie = if feed.byte() == 0x77 { u32::from(feed.byte()) } else { 0 };
    let len = ((datagram.len() - start) as u32).wrapping_sub(lie);
    datagram[start..start + 4].copy_from_slice(&len.to_ne_bytes());
    datagram.resize(datagram.len().next_multiple_of(4), 0);
}

/// Some attributes, each a number, some bytes, or attributes in turn; now and then one lies about its length.
fn attributes(feed: &mut Feed<'_>, out: &mut Vec<u8>, depth: usize) {
    for _ in 0..feed.byte() % 12 {
        if feed.is_empty() || out.len() > LONGEST {
            return;
        }
        let (kind, shape) = (u16::from(feed.byte() % 24), feed.byte());
        let start = out.len();
        out.extend([0; 2]);
        out.extend(kind.to_ne_bytes());
        match shape % 8 {
            0..=3 if depth < DEEPEST => attributes(feed, out, depth + 1),
            4 => out.extend(feed.bytes(usize::from(shape >> 3))),
            5 => out.extend([0xff; 64].get(..usize::from(shape >> 3)).unwrap_or_default()),
            6 => out.extend([0x81, 0x00, 0x10 | feed.byte() & 0x10, feed.byte()]),
            7 => out.resize(out.len() + usize::from(shape >> 3) * 4, 0),
            _ => out.extend(u32::from(feed.byte()).to_ne_bytes()),
        }
        let lie = if shape == 0xfc { u16::from(feed.byte()) } else { 0 };
        let len = ((out.len() - start) as u16).wrapping_sub(lie);
        out[start..start + 2].copy_from_slice(&len.to_ne_bytes());
        out.resize(out.len().next_multiple_of(4), 0);
    }
}

/// What passed between the codec and a kernel, both ways.
pub(super) fn captured() -> &'static [Vec<u8>] {
    static ALL: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let digits =
        |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|two| u8::from_str_radix(two, 16).ok());
    ALL.get_or_init(|| {
        let lines = CAPTURED.lines().filter(|line| !line.starts_with('#'));
        let words = lines.filter_map(|line| line.split_once(' '));
        words.filter_map(|(_, hex)| hex.as_bytes().chunks(2).map(digits).collect()).collect()
    })
}

const CAPTURED: &str = include_str!("../../../datapath/src/ovs/captured.txt");
/// struct nlmsghdr.
const MESSAGE_HEADER: usize = 16;
/// Longer datagrams are not made of choices.
const LONGEST: usize = 16 << 10;
const DEEPEST: usize = 6;

//! What the forwarding plane reads of a frame: addresses, the first two tags and the EtherType behind them.
//!
//! The kernel's flow key holds two tags (`include/uapi/linux/openvswitch.h`, OVS_KEY_ATTR_VLAN and one level
//! of OVS_KEY_ATTR_ENCAP), so a [`Header`] does too; a third tag shows as its EtherType. A verdict made from bytes
//! and one made from a kernel key are then the same.

use arrayvec::ArrayVec;
use etherparse::{Ethernet2Slice, SingleVlanSlice};
use serde::{Deserialize, Serialize};

use crate::addr::MacAddr;
use crate::tag::{Tag, Tpid};

/// How many tags a [`Header`] holds.
pub const MAX_TAGS: usize = 2;

/// The header of an Ethernet frame as far as a bridge looks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Header {
    /// Destination address.
    pub dst: MacAddr,
    /// Source address.
    pub src: MacAddr,
    /// The first two tags with TPID 0x8100 or 0x88a8, outermost first.
    pub tags: ArrayVec<Tag, MAX_TAGS>,
    /// The EtherType behind `tags` (itself 0x8100 or 0x88a8 where a third tag follows); 0 for an 802.3 length
    /// field (below 0x600, 802.3 3.2.6).
    pub ether_type: u16,
}

impl Header {
    /// Reads the header of `frame`, which starts at the destination address and has no FCS.
    ///
    /// # Errors
    /// A frame that ends inside its addresses, EtherType or one of its first two tags.
    pub fn parse(frame: &[u8]) -> Result<Header, MalformedFrame> {
        let ethernet = Ethernet2Slice::from_slice_without_fcs(frame)
            .map_err(|_| MalformedFrame::ShortHeader { len: frame.len() })?;
        let mut header = Header {
            dst: MacAddr(ethernet.destination()),
            src: MacAddr(ethernet.source()),
            tags: ArrayVec::new(),
            ether_type: ethernet.ether_type().0,
        };
        let mut rest = ethernet.payload_slice();
        while let Some(tpid) = Tpid::from_ether_type(header.ether_type) {
            if header.tags.is_full() {
                break;
            }
            let tag = SingleVlanSlice::from_slice(rest)
                .map_err(|_| MalformedFrame::ShortTag { len: frame.len() })?;
            header.tags.push(Tag::from_wire(tpid, tci(&tag)));
            header.ether_type = tag.ether_type().0;
            rest = tag.payload_slice();
        }
        if header.ether_type < FIRST_ETHER_TYPE {
            header.ether_type = 0;
        }
        Ok(header)
    }

    /// The tag at `depth` (0 is the outermost).
    pub fn tag(&self, depth: usize) -> Option<Tag> {
        self.tags.get(depth).copied()
    }

    /// The EtherType that follows the first `depth` tags: a tag's TPID or the payload's type.
    pub fn type_after(&self, depth: usize) -> u16 {
        self.tag(depth).map_or(self.ether_type, |tag| tag.tpid().ether_type())
    }
}

fn tci(tag: &SingleVlanSlice<'_>) -> u16 {
    u16::from(tag.priority_code_point().value()) << 13
        | u16::from(tag.drop_eligible_indicator()) << 12
        | tag.vlan_identifier().value()
}

/// Why a frame has no header to forward by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum MalformedFrame {
    /// The frame ends before its EtherType does.
    #[error("frame of {len} bytes ends inside its Ethernet header of 14")]
    ShortHeader {
        /// Length of the frame in bytes.
        len: usize,
    },
    /// The frame ends inside one of its first two tags.
    #[error("frame of {len} bytes ends inside a VLAN tag")]
    ShortTag {
        /// Length of the frame in bytes.
        len: usize,
    },
}

/// Takes `pop` tags off the front of `frame` and puts `push` on, first of `push` outermost.
///
/// # Errors
/// A frame too short to hold the tags that are to come off.
pub fn rewrite(frame: &[u8], pop: usize, push: &[Tag]) -> Result<Vec<u8>, MalformedFrame> {
    let start = ADDRESSES_LEN + pop * Tag::LEN;
    if frame.len() < start + 2 {
        return Err(MalformedFrame::ShortTag { len: frame.len() });
    }
    let mut out = Vec::with_capacity(frame.len() + push.len() * Tag::LEN);
    out.extend_from_slice(&frame[..ADDRESSES_LEN]);
    for tag in push {
        out.extend_from_slice(&tag.to_bytes());
    }
    out.extend_from_slice(&frame[start..]);
    Ok(out)
}

/// Bytes of destination and source address.
pub const ADDRESSES_LEN: usize = 12;
/// The lowest number that is an EtherType and not a length (802.3 3.2.6).
const FIRST_ETHER_TYPE: u16 = 0x600;

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESSES: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

    fn frame(tail: &[u8]) -> Vec<u8> {
        [&ADDRESSES[..], tail].concat()
    }

    #[test]
    fn reads_two_tags_and_stops_at_the_third() {
        let bytes = frame(&[0x88, 0xa8, 0x60, 100, 0x81, 0, 0x10, 8, 0x81, 0, 0, 9, 8, 0]);
        let header = Header::parse(&bytes).unwrap();
        assert_eq!(header.tags.len(), 2);
        assert_eq!(header.tags[0].raw_vid(), 100);
        assert_eq!(header.tags[0].pcp().get(), 3);
        assert!(header.tags[1].dei());
        assert_eq!(header.ether_type, 0x8100);
    }

    #[test]
    fn a_length_field_is_no_ether_type() {
        assert_eq!(Header::parse(&frame(&[0, 38])).unwrap().ether_type, 0);
    }

    #[test]
    fn every_cut_of_a_tagged_frame_is_a_value() {
        let bytes = frame(&[0x81, 0, 0, 8, 0x81, 0, 0, 9, 8, 0]);
        for len in 0..bytes.len() {
            assert!(Header::parse(&bytes[..len]).is_err(), "{len}");
        }
        assert!(Header::parse(&bytes).is_ok());
    }

    #[test]
    fn rewriting_replaces_the_outer_tags_only() {
        let bytes = frame(&[0x81, 0, 0, 8, 8, 0, 0xaa]);
        let tag = Tag::from_wire(Tpid::Service, 5);
        assert_eq!(rewrite(&bytes, 1, &[tag]).unwrap(), frame(&[0x88, 0xa8, 0, 5, 8, 0, 0xaa]));
        assert_eq!(rewrite(&bytes, 1, &[]).unwrap(), frame(&[8, 0, 0xaa]));
    }
}

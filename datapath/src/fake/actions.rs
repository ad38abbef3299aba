//! A frame between two ports: tags come off and go on, on real bytes.

use vlan::frame::{ADDRESSES_LEN, rewrite};
use vlan::tag::{Tag, Tpid};

use crate::padding::MIN_FRAME;

/// A frame between two ports.
#[derive(Debug, Clone)]
pub(super) struct InFlight {
    pub(super) bytes: Vec<u8>,
    /// What its copies to other hosts choose their path by.
    pub(super) path: u64,
    /// How often it has crossed the underlay.
    pub(super) crossings: u8,
    /// DEI of the tags that came off and were not replaced, the last on top.
    popped_dei: Vec<bool>,
    was_popped: bool,
}

impl InFlight {
    pub(super) fn new(frame: &[u8]) -> InFlight {
        let bytes = frame.to_vec();
        InFlight { bytes, path: 0, crossings: 0, popped_dei: Vec::new(), was_popped: false }
    }

    /// The frame as one that chooses this path, and has crossed the underlay so often.
    pub(super) fn on_its_way(self, path: u64, crossings: u8) -> InFlight {
        InFlight { path, crossings, ..self }
    }

    /// Takes the first tag off; false if there is none. What is behind it may end anywhere.
    pub(super) fn pop(&mut self) -> bool {
        let Some(tag) = self.first_tag() else { return false };
        let Ok(bytes) = rewrite(&self.bytes, 1, &[]) else { return false };
        self.bytes = bytes;
        self.was_popped = true;
        self.popped_dei.push(tag.dei());
        true
    }

    fn first_tag(&self) -> Option<Tag> {
        let [a, b, c, d] = *self.bytes.get(ADDRESSES_LEN..)?.first_chunk()?;
        let tpid = Tpid::from_ether_type(u16::from_be_bytes([a, b]))?;
        Some(Tag::from_wire(tpid, u16::from_be_bytes([c, d])))
    }

    /// Puts a tag on the front; with `keeps_dei` it takes over the DEI of the tag it replaces.
    pub(super) fn push(&mut self, tag: Tag, keeps_dei: bool) {
        let replaced = self.popped_dei.pop().filter(|_| keeps_dei).unwrap_or(false);
        let tci = if replaced { tag.tci() | DEI } else { tag.tci() };
        if let Ok(bytes) = rewrite(&self.bytes, 0, &[Tag::from_wire(tag.tpid(), tci)]) {
            self.bytes = bytes;
        }
    }

    /// The bytes that go onto the wire.
    pub(super) fn finish(&self, pads: bool) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        if self.was_popped && pads && bytes.len() < MIN_FRAME {
            bytes.resize(MIN_FRAME, 0);
        }
        bytes
    }
}

/// Drop eligible indicator in tag control information (802.1Q 9.6).
const DEI: u16 = 0x1000;

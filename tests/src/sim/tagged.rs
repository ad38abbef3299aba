//! A frame as bytes whose outermost tag comes off and goes on, with the priority that a removed tag leaves behind.

/// A frame on its way through the bridges, without the tag of the VLAN that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged {
    addresses: [u8; 12],
    /// From the outermost tag's TPID, or the EtherType, to the end.
    body: Vec<u8>,
    /// Priority of the most recently removed tag (behaviour.md 3); 0 where there was none.
    pub pcp: u8,
    /// The tag control information by which the frame came into the VLAN it is in now, if by a tag.
    pub own: Option<u16>,
}

impl Tagged {
    /// A frame without a tag, to ask where it would go.
    pub fn untagged() -> Tagged {
        Tagged { addresses: [0; 12], body: vec![0x08, 0x00], pcp: 0, own: None }
    }

    /// `None` where the frame ends inside its header or inside one of its first two tags.
    pub fn parse(frame: &[u8]) -> Option<Tagged> {
        let (addresses, body) = frame.split_first_chunk::<12>()?;
        let tagged = Tagged { addresses: *addresses, body: body.to_vec(), pcp: 0, own: None };
        let mut end = 2;
        for _ in 0..2 {
            let ether_type = body.get(end - 2..end)?;
            if !matches!(ether_type, [0x81, 0x00] | [0x88, 0xa8]) {
                break;
            }
            end += 4;
        }
        body.get(..end)?;
        Some(tagged)
    }

    /// The destination address.
    pub fn dst(&self) -> [u8; 6] {
        std::array::from_fn(|i| self.addresses[i])
    }

    /// The source address.
    pub fn src(&self) -> [u8; 6] {
        std::array::from_fn(|i| self.addresses[6 + i])
    }

    /// The type that comes first: a TPID or the EtherType.
    pub fn first_type(&self) -> u16 {
        u16::from_be_bytes([self.body[0], self.body[1]])
    }

    /// The EtherType behind at most `depth` tags of TPID 0x8100 or 0x88a8.
    pub fn type_behind(&self, depth: usize) -> u16 {
        let mut at = 0;
        let read = |at: usize| u16::from_be_bytes([self.body[at], self.body[at + 1]]);
        for _ in 0..depth {
            if !matches!(read(at), 0x8100 | 0x88a8) {
                break;
            }
            at += 4;
        }
        read(at)
    }

    /// Tag control information of the outermost tag if its TPID is `tpid`.
    pub fn outermost(&self, tpid: u16) -> Option<u16> {
        (self.first_type() == tpid && self.body.len() >= 6)
            .then(|| u16::from_be_bytes([self.body[2], self.body[3]]))
    }

    /// Whether a switch would take the frame, as it is now, for a tagged one.
    pub fn is_tagged(&self) -> bool {
        matches!(self.first_type(), 0x8100 | 0x88a8 | 0x9100)
    }

    /// Takes the outermost tag off; its priority stays with the frame.
    pub fn pop(&mut self, tci: u16) {
        self.pcp = pcp_of(tci);
        self.own = Some(tci);
        self.body.drain(..4);
    }

    /// Puts a tag on.
    pub fn push(&mut self, tpid: u16, tci: u16) {
        let [a, b] = tpid.to_be_bytes();
        let [c, d] = tci.to_be_bytes();
        self.body.splice(0..0, [a, b, c, d]);
        self.own = None;
    }

    /// The bytes on the wire.
    pub fn emit(&self) -> Vec<u8> {
        [&self.addresses[..], &self.body].concat()
    }
}

/// Bits 15..13 (802.1Q 9.6).
pub fn pcp_of(tci: u16) -> u8 {
    (tci >> 13) as u8
}

/// Bits 11..0 (802.1Q 9.6).
pub fn vid_of(tci: u16) -> u16 {
    tci & 0x0fff
}

/// DEI, bit 12 (802.1Q 9.6).
pub const DEI: u16 = 0x1000;

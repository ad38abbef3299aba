//! Netlink attributes, written and read (`include/uapi/linux/netlink.h`, struct nlattr).
//!
//! An attribute is a length and a type, 16 bits each in host order, a payload, and padding to four bytes. The length
//! counts header and payload, not the padding. Nested attributes are attributes in a payload.

use crate::Malformed;

/// Attributes in the making, behind whatever fixed header the message has.
#[derive(Debug, Default)]
pub(crate) struct NlaWriter {
    bytes: Vec<u8>,
    longest: usize,
}

impl NlaWriter {
    /// Attributes that follow `header`, whose length is a multiple of four.
    pub(crate) fn behind(header: &[u8]) -> NlaWriter {
        // One piece of memory for most messages: growing by doubling costs a flow's message four copies.
        let mut writer = NlaWriter::onto(Vec::with_capacity(USUAL_LEN));
        writer.put_header(header);
        writer
    }

    /// Attributes that follow what is there, whose length is a multiple of four.
    pub(crate) fn onto(bytes: Vec<u8>) -> NlaWriter {
        NlaWriter { bytes, longest: 0 }
    }

    /// Appends a fixed header, whose length is a multiple of four.
    pub(crate) fn put_header(&mut self, header: &[u8]) {
        self.bytes.extend_from_slice(header);
    }

    /// Appends an attribute and pads it. Inlined, since the length of most payloads is known where they are put.
    #[inline(always)]
    pub(crate) fn put(&mut self, kind: u16, payload: &[u8]) {
        let len = HEADER_LEN + payload.len();
        self.longest = self.longest.max(len);
        self.bytes.extend_from_slice(&header(kind, len));
        self.bytes.extend_from_slice(payload);
        self.bytes.extend_from_slice(&[0; 3][..align(len) - len]);
    }

    /// Appends a number in host order.
    pub(crate) fn put_u32(&mut self, kind: u16, value: u32) {
        self.put(kind, &value.to_ne_bytes());
    }

    /// Appends a number in network order.
    pub(crate) fn put_be16(&mut self, kind: u16, value: u16) {
        self.put(kind, &value.to_be_bytes());
    }

    /// Appends a string with its closing NUL.
    pub(crate) fn put_str(&mut self, kind: u16, text: &str) {
        let start = self.open(kind);
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
        self.close(start);
    }

    /// Appends an attribute whose payload is the attributes that `fill` appends. openvswitch.ko wants no NLA_F_NESTED.
    pub(crate) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut NlaWriter)) {
        let start = self.open(kind);
        fill(self);
        self.close(start);
    }

    /// The bytes so far.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes.
    ///
    /// # Errors
    /// An attribute is longer than its 16-bit length can say; the value is that length.
    pub(crate) fn finish(self) -> Result<Vec<u8>, usize> {
        self.longest().map(|()| self.bytes)
    }

    /// Whether every attribute has a length that 16 bits can say.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub(crate) fn longest(&self) -> Result<(), usize> {
        if self.longest > usize::from(u16::MAX) { Err(self.longest) } else { Ok(()) }
    }

    /// The bytes, whatever the lengths of attributes.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn open(&mut self, kind: u16) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&header(kind, 0));
        start
    }

    fn close(&mut self, start: usize) {
        let len = self.bytes.len() - start;
        self.longest = self.longest.max(len);
        let [a, b, ..] = header(0, len);
        if let Some(field) = self.bytes.get_mut(start..start + 2) {
            field.copy_from_slice(&[a, b]);
        }
        self.bytes.extend_from_slice(&[0; 3][..align(len) - len]);
    }
}

/// struct nlattr. A length over 16 bits is refused in [`NlaWriter::finish`], so what is written for it does not matter.
fn header(kind: u16, len: usize) -> [u8; HEADER_LEN] {
    let ([a, b], [c, d]) = ((len as u16).to_ne_bytes(), kind.to_ne_bytes());
    [a, b, c, d]
}

/// One attribute of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nla<'a> {
    /// Its type without the flags.
    pub(crate) kind: u16,
    /// Its payload.
    pub(crate) payload: &'a [u8],
}

impl<'a> Nla<'a> {
    /// The payload as `N` bytes; a longer payload is of a newer kernel and cut.
    pub(crate) fn bytes<const N: usize>(&self) -> Result<[u8; N], Malformed> {
        self.payload.first_chunk::<N>().copied().ok_or_else(|| {
            malformed(format!("attribute {} has {} bytes, {N} are needed", self.kind, self.payload.len()))
        })
    }

    /// A number in host order.
    pub(crate) fn u16(&self) -> Result<u16, Malformed> {
        Ok(u16::from_ne_bytes(self.bytes()?))
    }

    /// A number in host order.
    pub(crate) fn u32(&self) -> Result<u32, Malformed> {
        Ok(u32::from_ne_bytes(self.bytes()?))
    }

    /// A number in host order.
    pub(crate) fn u64(&self) -> Result<u64, Malformed> {
        Ok(u64::from_ne_bytes(self.bytes()?))
    }

    /// Numbers in host order, as many as there are.
    pub(crate) fn u32s(&self) -> Vec<u32> {
        self.payload.as_chunks().0.iter().map(|bytes| u32::from_ne_bytes(*bytes)).collect()
    }

    /// A number in network order.
    pub(crate) fn be16(&self) -> Result<u16, Malformed> {
        Ok(u16::from_be_bytes(self.bytes()?))
    }

    /// A string up to its NUL.
    pub(crate) fn text(&self) -> String {
        let end = self.payload.iter().position(|byte| *byte == 0).unwrap_or(self.payload.len());
        String::from_utf8_lossy(&self.payload[..end]).into_owned()
    }

    /// A number in host order at an offset in the payload.
    pub(crate) fn u32_at(&self, at: usize) -> Result<u32, Malformed> {
        self.behind(at).u32()
    }

    /// A number in host order at an offset in the payload.
    pub(crate) fn u64_at(&self, at: usize) -> Result<u64, Malformed> {
        self.behind(at).u64()
    }

    fn behind(&self, at: usize) -> Nla<'a> {
        Nla { kind: self.kind, payload: self.payload.get(at..).unwrap_or_default() }
    }

    /// The attributes in its payload.
    pub(crate) fn nested(&self) -> NlaIter<'a> {
        NlaIter::new(self.payload)
    }
}

/// Reads attributes one after the other without copying. It ends after the first that is broken; the last one may lack its
/// padding (a kernel with OVS_DP_F_UNALIGNED sends that).
#[derive(Debug, Clone, Default)]
pub(crate) struct NlaIter<'a> {
    rest: &'a [u8],
}

impl<'a> NlaIter<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> NlaIter<'a> {
        NlaIter { rest: bytes }
    }

    /// The attributes behind a fixed header of `len` bytes.
    pub(crate) fn behind(len: usize, bytes: &'a [u8]) -> NlaIter<'a> {
        NlaIter { rest: bytes.get(len..).unwrap_or_default() }
    }

    /// The first attribute of what is left, which then begins behind it; none at the end, or where it is broken. Cheaper than the
    /// iterator, for who asks [`end`](Self::end) behind it.
    #[inline]
    pub(crate) fn split(&mut self) -> Option<Nla<'a>> {
        let rest = self.rest;
        let &[a, b, c, d, ..] = rest else { return None };
        let len = usize::from(u16::from_ne_bytes([a, b]));
        let payload = rest.get(HEADER_LEN..len)?;
        self.rest = rest.get(align(len)..).unwrap_or_default();
        Some(Nla { kind: u16::from_ne_bytes([c, d]) & TYPE_MASK, payload })
    }
}

impl NlaIter<'_> {
    /// Whether nothing is left.
    ///
    /// # Errors
    /// The next attribute is broken.
    pub(crate) fn end(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(broken(self.rest)) }
    }
}

impl<'a> Iterator for NlaIter<'a> {
    type Item = Result<Nla<'a>, Malformed>;

    // Called for each attribute of each upcall.
    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match self.split() {
            Some(nla) => Some(Ok(nla)),
            None => Some(Err(broken(std::mem::take(&mut self.rest)))),
        }
    }
}

/// Why there is no attribute at the beginning of these bytes.
#[cold]
fn broken(rest: &[u8]) -> Malformed {
    malformed(match *rest {
        [a, b, _, _, ..] => {
            let len = u16::from_ne_bytes([a, b]);
            format!("an attribute says {len} bytes, allowed are 4 to {}", rest.len())
        }
        _ => format!("{} bytes are left, an attribute's header has 4", rest.len()),
    })
}

/// Rounds up to NLA_ALIGNTO and NLMSG_ALIGNTO, both four.
pub(crate) const fn align(len: usize) -> usize {
    (len + 3) & !3
}

pub(crate) fn malformed(why: String) -> Malformed {
    Malformed::Message(why)
}

/// Bytes of struct nlattr.
pub(crate) const HEADER_LEN: usize = 4;

/// NLA_TYPE_MASK: the type without NLA_F_NESTED and NLA_F_NET_BYTEORDER.
const TYPE_MASK: u16 = 0x3fff;

/// Bytes of a flow with its key, mask and a few actions.
const USUAL_LEN: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_is_read() {
        let mut writer = NlaWriter::behind(&[9; 4]);
        writer.put_u32(1, 7);
        writer.put_str(2, "eth2");
        writer.nest(3, |inner| inner.put_be16(4, 0x8100));
        assert_eq!(writer.len(), 4 + 8 + 12 + 12);
        let bytes = writer.finish().unwrap();
        let all: Vec<_> = NlaIter::behind(4, &bytes).collect::<Result<_, _>>().unwrap();
        assert_eq!(all.iter().map(|nla| nla.kind).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(all[0].u32(), Ok(7));
        assert_eq!(all[1].text(), "eth2");
        let inner = all[2].nested().next().unwrap().unwrap();
        assert_eq!((inner.kind, inner.be16()), (4, Ok(0x8100)));
    }

    #[test]
    fn the_last_attribute_may_lack_its_padding() {
        let mut bytes = vec![5, 0, 1, 0x80, 0xaa, 0, 0, 0];
        bytes.extend([6, 0, 2, 0, 0xbb, 0xcc]);
        let all: Vec<_> = NlaIter::new(&bytes).collect::<Result<_, _>>().unwrap();
        assert_eq!(all, [Nla { kind: 1, payload: &[0xaa] }, Nla { kind: 2, payload: &[0xbb, 0xcc] }]);
    }

    #[test]
    fn a_broken_length_ends_the_list_with_an_error() {
        for len in [0, 3, 9, 255] {
            let bytes = [len, 0, 1, 0, 0, 0, 0, 0];
            let mut iter = NlaIter::new(&bytes).map(|nla| nla.is_ok());
            assert_eq!((iter.next(), iter.next()), (Some(false), None), "length {len}");
        }
    }

    #[test]
    fn a_payload_over_sixteen_bits_is_refused() {
        let mut writer = NlaWriter::default();
        writer.nest(1, |inner| (0..9_000).for_each(|n| inner.put_u32(1, n)));
        assert_eq!(writer.finish(), Err(72_004));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for nla in NlaIter::new(&bytes).flatten() {
                let _ = (nla.u16(), nla.u32(), nla.u64(), nla.be16(), nla.text(), nla.u64_at(3));
                prop_assert!(nla.nested().count() <= nla.payload.len());
            }
        }
    }
}

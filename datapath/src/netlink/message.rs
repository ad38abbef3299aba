//! Messages as they come, each behind a header, some of them about a request (`include/uapi/linux/netlink.h`).

use std::io;

use super::nla::{NlaIter, align};

/// Why a request was not carried out, or is not known to have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Denial {
    /// The kernel says no.
    Errno {
        /// Positive errno.
        errno: i32,
        /// Its extended message.
        message: Option<String>,
    },
    /// No answer within so many milliseconds.
    TimedOut(u64),
    /// The answer was lost in a full socket buffer; the request may have been carried out.
    Lost,
}

impl Denial {
    /// Of an attribute of this many bytes.
    pub(crate) fn too_long(len: usize) -> Denial {
        let message = format!("an attribute of {len} bytes, allowed are up to 65535");
        Denial::Errno { errno: libc::EMSGSIZE, message: Some(message) }
    }

    /// Whether it is this errno.
    pub(crate) fn is(&self, wanted: i32) -> bool {
        matches!(self, Denial::Errno { errno, .. } if *errno == wanted)
    }
}

impl From<io::Error> for Denial {
    fn from(error: io::Error) -> Denial {
        Denial::Errno { errno: error.raw_os_error().unwrap_or(libc::EIO), message: Some(error.to_string()) }
    }
}

/// What came of one request.
pub(crate) type Outcome = Result<(), Denial>;

/// One netlink message of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) seq: u32,
    /// What follows struct nlmsghdr.
    pub(crate) payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// The first message of a datagram and what follows it; none if it is cut short or its length is wrong.
    pub(crate) fn split(datagram: &'a [u8]) -> Option<(Message<'a>, &'a [u8])> {
        let header = datagram.first_chunk::<NLMSG_HEADER_LEN>()?;
        let [a, b, c, d, e, f, g, h, i, j, k, l, ..] = *header;
        let len = u32::from_ne_bytes([a, b, c, d]) as usize;
        let payload = datagram.get(NLMSG_HEADER_LEN..len)?;
        let message = Message {
            kind: u16::from_ne_bytes([e, f]),
            flags: u16::from_ne_bytes([g, h]),
            seq: u32::from_ne_bytes([i, j, k, l]),
            payload,
        };
        Some((message, datagram.get(align(len)..).unwrap_or_default()))
    }

    /// The generic netlink command and what follows its header.
    pub(crate) fn command(&self) -> Option<(u8, &'a [u8])> {
        Some((*self.payload.first()?, self.payload.get(GENL_HEADER_LEN..)?))
    }

    /// What an acknowledgement, or the end of a dump, says.
    pub(crate) fn outcome(&self) -> Outcome {
        let errno = self.payload.first_chunk().map_or(0, |bytes| i32::from_ne_bytes(*bytes));
        if errno == 0 {
            return Ok(());
        }
        Err(Denial::Errno { errno: errno.saturating_neg(), message: self.words() })
    }

    /// The kernel's extended message, NLMSGERR_ATTR_MSG.
    fn words(&self) -> Option<String> {
        if self.flags & NLM_F_ACK_TLVS == 0 {
            return None;
        }
        // After the error number comes the header of the request, and its payload too unless the kernel was told to cap it.
        let request =
            self.payload.get(4..8)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes) as usize)?;
        let echoed = match (self.kind, self.flags & NLM_F_CAPPED) {
            (NLMSG_DONE, _) => 0,
            (_, 0) => align(request),
            _ => NLMSG_HEADER_LEN,
        };
        let mut attributes = NlaIter::behind(4 + echoed, self.payload).flatten();
        attributes.find(|nla| nla.kind == NLMSGERR_ATTR_MSG).map(|nla| nla.text())
    }
}

/// Flags of linux/netlink.h.
pub(crate) const NLM_F_CAPPED: u16 = 0x100;
pub(crate) const NLM_F_ACK_TLVS: u16 = 0x200;

/// Message types below NLMSG_MIN_TYPE (linux/netlink.h).
pub(crate) const NLMSG_NOOP: u16 = 1;
pub(crate) const NLMSG_ERROR: u16 = 2;
pub(crate) const NLMSG_DONE: u16 = 3;
pub(crate) const NLMSG_OVERRUN: u16 = 4;

/// enum nlmsgerr_attrs.
const NLMSGERR_ATTR_MSG: u16 = 1;

/// struct nlmsghdr.
pub(crate) const NLMSG_HEADER_LEN: usize = 16;
/// struct genlmsghdr.
pub(crate) const GENL_HEADER_LEN: usize = 4;

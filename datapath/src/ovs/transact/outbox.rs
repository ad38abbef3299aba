//! Requests as they are written: generic netlink messages, one behind the other in one piece of memory, in windows of a datagram each.

use std::ops::Range;

use super::{Denial, GENL_HEADER_LEN, NLMSG_HEADER_LEN, Outcome};
use crate::ovs::nla::{NlaWriter, align};

/// What a generic netlink request says before its body.
#[derive(Debug, Clone, Copy)]
pub(in crate::ovs) struct Head {
    /// The number of its family.
    pub(in crate::ovs) family: u16,
    /// The family's command.
    pub(in crate::ovs) command: u8,
    /// The version of the family that it is written for.
    pub(in crate::ovs) version: u8,
    /// Flags besides NLM_F_REQUEST. With [`DUMP`] the answer is many replies, else an acknowledgement behind any reply.
    pub(in crate::ovs) flags: u16,
    /// The kernel answers it only if it refuses; that it was carried out is concluded. Only for requests without a reply.
    pub(in crate::ovs) is_quiet: bool,
}

impl Head {
    /// The same, quiet.
    pub(in crate::ovs) fn quietly(self) -> Head {
        Head { is_quiet: true, ..self }
    }
}

/// One generic netlink request.
#[derive(Debug, Clone)]
pub(in crate::ovs) struct Request {
    pub(in crate::ovs) head: Head,
    /// What follows the generic netlink header.
    pub(in crate::ovs) body: Vec<u8>,
}

/// Requests as they go out, one behind the other in one piece of memory.
#[derive(Debug, Default)]
pub(in crate::ovs) struct Outbox {
    bytes: Vec<u8>,
    pub(super) written: Vec<Written>,
    /// One for each request; so far only those have one that could not be written.
    pub(super) outcomes: Vec<Option<Outcome>>,
}

/// A request of an outbox.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    /// Where it begins.
    pub(super) start: usize,
    /// How many requests are before it, written or not.
    pub(super) place: usize,
    pub(super) is_quiet: bool,
}

impl Outbox {
    /// How many requests there are, written or not.
    pub(in crate::ovs) fn len(&self) -> usize {
        self.outcomes.len()
    }

    /// Appends a request, if it could be written.
    pub(in crate::ovs) fn add(&mut self, request: Result<Request, Denial>) {
        match request {
            Ok(Request { head, body }) => {
                let start = open_message(&mut self.bytes, head);
                self.bytes.extend_from_slice(&body);
                self.keep(start, head);
            }
            Err(denial) => self.outcomes.push(Some(Err(denial))),
        }
    }

    /// Appends a request whose body is written where it goes out from.
    pub(in crate::ovs) fn write(
        &mut self,
        head: Head,
        fill: impl FnOnce(&mut NlaWriter) -> Result<(), Denial>,
    ) {
        let start = open_message(&mut self.bytes, head);
        let mut writer = NlaWriter::onto(std::mem::take(&mut self.bytes));
        let filled = fill(&mut writer);
        let longest = writer.longest();
        self.bytes = writer.into_bytes();
        match filled.and(longest.map_err(Denial::too_long)) {
            Ok(()) => self.keep(start, head),
            Err(denial) => {
                self.bytes.truncate(start);
                self.outcomes.push(Some(Err(denial)));
            }
        }
    }

    fn keep(&mut self, start: usize, head: Head) {
        close_message(&mut self.bytes, start);
        self.written.push(Written { start, place: self.outcomes.len(), is_quiet: head.is_quiet });
        self.outcomes.push(None);
    }

    /// As many from `first` on as go into one datagram, at least one.
    pub(super) fn window_from(&self, first: usize) -> Range<usize> {
        let fits = |end: usize| self.end_of(end - 1) - self.written[first].start <= WINDOW_BYTES;
        let most = self.written.len().min(first + WINDOW);
        let last = (first + 2..=most).take_while(|end| fits(*end)).last();
        first..last.unwrap_or(first + 1)
    }

    /// Where a request ends.
    fn end_of(&self, written: usize) -> usize {
        self.written.get(written + 1).map_or(self.bytes.len(), |next| next.start)
    }

    /// Whether the kernel answers none of them that it does not refuse.
    pub(super) fn is_quiet(&self, window: &Range<usize>) -> bool {
        self.written[window.clone()].iter().all(|request| request.is_quiet)
    }

    /// Numbers the requests of a window. The last is not quiet unless all are.
    pub(super) fn seal(&mut self, window: &Range<usize>, first_seq: u32) {
        for Written { start, place, .. } in &self.written[window.clone()] {
            number(&mut self.bytes[*start..], first_seq.wrapping_add(*place as u32));
        }
        if let Some(last) = self.written[window.clone()].last().filter(|last| last.is_quiet)
            && !self.is_quiet(window)
        {
            want_acknowledgement(&mut self.bytes[last.start..]);
        }
    }

    /// The bytes of a window.
    pub(super) fn datagram(&self, window: &Range<usize>) -> &[u8] {
        &self.bytes[self.written[window.start].start..self.end_of(window.end - 1)]
    }

    /// Bytes of all requests.
    pub(in crate::ovs) fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// All requests as they go out where none is quiet, numbered from `first_seq` on.
    #[cfg(test)]
    pub(in crate::ovs) fn into_acknowledged(mut self, first_seq: u32) -> Vec<u8> {
        assert!(self.outcomes.iter().all(Option::is_none), "{:?}", self.outcomes);
        self.seal(&(0..self.written.len()), first_seq);
        for request in &self.written {
            want_acknowledgement(&mut self.bytes[request.start..]);
        }
        self.bytes
    }

    /// Throws all requests away.
    pub(in crate::ovs) fn clear(&mut self) {
        self.bytes.clear();
        self.written.clear();
        self.outcomes.clear();
    }
}

/// Appends a request of this number.
pub(in crate::ovs) fn write_request(bytes: &mut Vec<u8>, request: &Request, seq: u32) {
    let start = open_message(bytes, request.head);
    bytes.extend_from_slice(&request.body);
    close_message(bytes, start);
    number(&mut bytes[start..], seq);
}

/// Appends a request's headers; where it begins. Its length and its number are still to be set.
fn open_message(bytes: &mut Vec<u8>, head: Head) -> usize {
    let start = bytes.len();
    let is_acknowledged = !head.is_quiet && head.flags & DUMP != DUMP;
    let flags = NLM_F_REQUEST | head.flags | if is_acknowledged { NLM_F_ACK } else { 0 };
    let ([a, b], [c, d]) = (head.family.to_ne_bytes(), flags.to_ne_bytes());
    // Port id 0: the kernel knows whose socket it is.
    let headers: [u8; HEADERS_LEN] =
        [0, 0, 0, 0, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, head.command, head.version, 0, 0];
    bytes.extend_from_slice(&headers);
    start
}

/// Sets the length of the request that begins at `start` and ends here, and pads it.
fn close_message(bytes: &mut Vec<u8>, start: usize) {
    let len = bytes.len() - start;
    if let Some(field) = bytes[start..].first_chunk_mut() {
        *field = (len as u32).to_ne_bytes();
    }
    bytes.resize(start + align(len), 0);
}

/// Gives the request that begins here its number.
fn number(request: &mut [u8], seq: u32) {
    if let Some(field) = request.get_mut(SEQ_AT..).and_then(|rest| rest.first_chunk_mut()) {
        *field = seq.to_ne_bytes();
    }
}

/// Has the kernel answer the request that begins here also where it does not refuse.
fn want_acknowledgement(request: &mut [u8]) {
    if let Some([low, high]) = request.get_mut(FLAGS_AT..).and_then(|rest| rest.first_chunk_mut()) {
        [*low, *high] = (u16::from_ne_bytes([*low, *high]) | NLM_F_ACK).to_ne_bytes();
    }
}

/// Flags of linux/netlink.h.
pub(super) const NLM_F_REQUEST: u16 = 0x01;
pub(super) const NLM_F_ACK: u16 = 0x04;
/// NLM_F_ECHO: tell the requester what everyone who listens is told.
pub(in crate::ovs) const ECHO: u16 = 0x08;
/// NLM_F_ROOT | NLM_F_MATCH: every object there is.
pub(in crate::ovs) const DUMP: u16 = 0x300;
/// NLM_F_CREATE; openvswitch.ko takes it as "only if there is none".
pub(in crate::ovs) const CREATE: u16 = 0x400;

/// Where the flags and the number of struct nlmsghdr are.
pub(super) const FLAGS_AT: usize = 6;
const SEQ_AT: usize = 8;
const HEADERS_LEN: usize = NLMSG_HEADER_LEN + GENL_HEADER_LEN;

/// Requests in one datagram: flows and frames of as many upcalls as are worked off at once. Their acknowledgements, under 1 KiB of kernel
/// memory each, fit into any receive buffer.
pub(super) const WINDOW: usize = 128;
/// Bytes in one datagram, well below the default send buffer of 212 992 even with one request of 64 KiB on top.
pub(super) const WINDOW_BYTES: usize = 96 << 10;

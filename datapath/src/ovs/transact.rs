//! Requests and their answers, many at a time.
//!
//! The kernel works a netlink request off inside `send`, so a window of requests goes out in one datagram and its answers are
//! there when `send` returns. Answers are matched by sequence number; what belongs to no request of the window is left over
//! from a call that was given up, and ignored.
//!
//! A request that has no reply may be quiet: the kernel answers it only if it refuses. It works requests off in order, so the next
//! answer of another says that the quiet ones before it went well. The last of a window is never quiet.
//!
//! ```text
//!   request … request ──► one send ──► kernel ──► (reply … ack) (nothing) (ack: errno, words) … (ack) ──► one outcome for each
//! ```

use std::io;
use std::time::Duration;

use tokio::io::Interest;
use tokio::time::{Instant, timeout_at};

use super::nla::{NlaIter, align};
use super::socket::{Home, Unwatched};

/// One generic netlink request.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// The number of its family.
    pub(super) family: u16,
    /// The family's command.
    pub(super) command: u8,
    /// The version of the family that it is written for.
    pub(super) version: u8,
    /// Flags besides NLM_F_REQUEST. With [`DUMP`] the answer is many replies, else an acknowledgement behind any reply.
    pub(super) flags: u16,
    /// What follows the generic netlink header.
    pub(super) body: Vec<u8>,
    /// That it was carried out may be concluded from the answer to a later request, which halves the cost of many.
    pub(super) is_quiet: bool,
}

impl Request {
    /// The same, quiet; only for requests without a reply.
    pub(super) fn quietly(self) -> Request {
        Request { is_quiet: true, ..self }
    }
}

/// Why a request was not carried out, or is not known to have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Denial {
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
    /// Whether it is this errno.
    pub(super) fn is(&self, wanted: i32) -> bool {
        matches!(self, Denial::Errno { errno, .. } if *errno == wanted)
    }
}

impl From<io::Error> for Denial {
    fn from(error: io::Error) -> Denial {
        Denial::Errno { errno: error.raw_os_error().unwrap_or(libc::EIO), message: Some(error.to_string()) }
    }
}

/// What came of one request.
pub(super) type Outcome = Result<(), Denial>;

/// Takes each reply: the index of its request, and what follows its generic netlink header.
pub(super) type OnReply<'a> = &'a mut (dyn FnMut(usize, &[u8]) + Send);

/// A socket with one exchange under way at most.
#[derive(Debug)]
pub(super) struct Transactor {
    socket: Unwatched,
    next_seq: u32,
    buffer: Box<[u8]>,
    /// What goes out, kept for its memory.
    out: Vec<u8>,
    /// An exchange was given up halfway; what it left in the socket is to be thrown away.
    is_dirty: bool,
}

impl Transactor {
    /// A transactor on a socket of its own.
    ///
    /// # Errors
    /// No socket to be had.
    pub(super) fn open(home: &Home) -> io::Result<Transactor> {
        Transactor::open_with(home, RECEIVE_BUFFER)
    }

    fn open_with(home: &Home, receive_buffer: usize) -> io::Result<Transactor> {
        let socket = Unwatched::new(home.open_socket(receive_buffer)?);
        Ok(Transactor {
            socket,
            next_seq: 1,
            buffer: vec![0; LONGEST_ANSWER].into(),
            out: Vec::new(),
            is_dirty: false,
        })
    }

    /// Sends all requests, in order, and waits for the outcome of each.
    pub(super) async fn exchange(&mut self, requests: &[Request], on_reply: OnReply<'_>) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(requests.len());
        while outcomes.len() < requests.len() {
            let first = outcomes.len();
            let count = self.write_window(&requests[first..]);
            let window = Window::of(self.next_seq, &requests[first..first + count]);
            let mut shifted = |index: usize, reply: &[u8]| on_reply(first + index, reply);
            outcomes.extend(self.exchange_window(window, &mut shifted).await);
        }
        outcomes
    }

    /// Sends one request, collects its replies, and waits for its outcome.
    ///
    /// # Errors
    /// The kernel refuses, or does not answer.
    pub(super) async fn ask(&mut self, request: Request) -> Result<Vec<Vec<u8>>, Denial> {
        let mut replies = Vec::new();
        let mut outcomes =
            self.exchange(&[request], &mut |_, reply: &[u8]| replies.push(reply.to_vec())).await;
        outcomes.pop().unwrap_or(Err(Denial::Lost)).map(|()| replies)
    }

    /// Writes as many requests as fit into one datagram, at least one, with the next sequence numbers; how many.
    fn write_window(&mut self, requests: &[Request]) -> usize {
        self.out.clear();
        let (mut count, mut last) = (0, 0);
        for request in requests.iter().take(WINDOW) {
            if count > 0 && self.out.len() + HEADERS_LEN + request.body.len() > WINDOW_BYTES {
                break;
            }
            if count > 0 && requests[count - 1].is_quiet {
                hush(&mut self.out[last..]);
            }
            last = self.out.len();
            write_request(&mut self.out, request, self.next_seq.wrapping_add(count as u32));
            count += 1;
        }
        count
    }

    /// Sends what was written and waits for what comes of it.
    async fn exchange_window(&mut self, mut window: Window, on_reply: OnReply<'_>) -> Vec<Outcome> {
        if self.is_dirty {
            self.drain();
        }
        self.next_seq = self.next_seq.wrapping_add(window.outcomes.len() as u32);
        self.is_dirty = true;
        let gathered = match self.socket.send(&self.out).await {
            Ok(()) => self.gather(&mut window, on_reply).await,
            Err(error) => Err(error.into()),
        };
        self.is_dirty = gathered.is_err();
        let missing = gathered.err().unwrap_or(Denial::Lost);
        window.outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(|| Err(missing.clone()))).collect()
    }

    /// Reads until each request of the window has its outcome, or answers were lost and no more are there.
    async fn gather(&mut self, window: &mut Window, on_reply: OnReply<'_>) -> Result<(), Denial> {
        let mut deadline = Instant::now() + PATIENCE;
        while !window.is_complete() {
            match self.socket.receive(&mut self.buffer) {
                Ok(len) if len <= self.buffer.len() => {
                    window.read(&self.buffer[..len], on_reply);
                    deadline = Instant::now() + PATIENCE;
                }
                Ok(_) => window.has_lost = true,
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => window.has_lost = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if window.has_lost {
                        return Err(Denial::Lost);
                    }
                    self.wait_readable(deadline).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn wait_readable(&self, deadline: Instant) -> Result<(), Denial> {
        timeout_at(deadline, self.socket.wait(Interest::READABLE))
            .await
            .map_err(|_| Denial::TimedOut(PATIENCE.as_millis() as u64))?
            .map_err(Denial::from)
    }

    /// Throws away what is in the socket; reading is also what ends a dump that was given up.
    fn drain(&mut self) {
        loop {
            match self.socket.receive(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if !is_passing(&error) => return,
                Ok(_) | Err(_) => {}
            }
        }
    }
}

/// Requests sent together, and what is known of each.
struct Window {
    first_seq: u32,
    outcomes: Vec<Option<Outcome>>,
    /// Which requests are answered only if they are refused.
    quiet: Vec<bool>,
    has_lost: bool,
}

impl Window {
    fn of(first_seq: u32, requests: &[Request]) -> Window {
        let quiet = requests.iter().map(|request| request.is_quiet).collect();
        Window { first_seq, outcomes: vec![None; requests.len()], quiet, has_lost: false }
    }

    fn is_complete(&self) -> bool {
        self.outcomes.iter().all(Option::is_some)
    }

    fn read(&mut self, mut datagram: &[u8], on_reply: OnReply<'_>) {
        while let Some((message, rest)) = Message::split(datagram) {
            datagram = rest;
            let index = message.seq.wrapping_sub(self.first_seq) as usize;
            let Some(slot) = self.outcomes.get_mut(index).filter(|slot| slot.is_none()) else { continue };
            match message.kind {
                NLMSG_ERROR | NLMSG_DONE => {
                    let outcome = if self.has_lost && message.kind == NLMSG_DONE {
                        Err(Denial::Lost)
                    } else {
                        message.outcome()
                    };
                    *slot = Some(outcome);
                    self.conclude(index);
                }
                NLMSG_NOOP | NLMSG_OVERRUN => {}
                _ => on_reply(index, message.payload.get(GENL_HEADER_LEN..).unwrap_or_default()),
            }
        }
    }

    /// The request at `answered` has its answer, so the quiet ones before it would have theirs by now.
    fn conclude(&mut self, answered: usize) {
        let unheard = if self.has_lost { Err(Denial::Lost) } else { Ok(()) };
        for (slot, _) in self.outcomes[..answered].iter_mut().zip(&self.quiet).filter(|(_, quiet)| **quiet) {
            slot.get_or_insert_with(|| unheard.clone());
        }
    }
}

/// What a datagram says of so many requests, the first of them numbered 0; none for one that it does not end.
pub(super) fn read_outcomes(datagram: &[u8], requests: usize, on_reply: OnReply<'_>) -> Vec<Option<Outcome>> {
    let (outcomes, quiet) = (vec![None; requests], vec![false; requests]);
    let mut window = Window { first_seq: 0, outcomes, quiet, has_lost: false };
    window.read(datagram, on_reply);
    window.outcomes
}

/// One netlink message of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    flags: u16,
    pub(super) seq: u32,
    /// What follows struct nlmsghdr.
    pub(super) payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// The first message of a datagram and what follows it; none if it is cut short or its length is wrong.
    pub(super) fn split(datagram: &'a [u8]) -> Option<(Message<'a>, &'a [u8])> {
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
    pub(super) fn command(&self) -> Option<(u8, &'a [u8])> {
        Some((*self.payload.first()?, self.payload.get(GENL_HEADER_LEN..)?))
    }

    /// What an acknowledgement, or the end of a dump, says.
    pub(super) fn outcome(&self) -> Outcome {
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

pub(super) fn write_request(bytes: &mut Vec<u8>, request: &Request, seq: u32) {
    let len = HEADERS_LEN + request.body.len();
    let ack = if request.flags & DUMP == DUMP { 0 } else { NLM_F_ACK };
    bytes.extend_from_slice(&(len as u32).to_ne_bytes());
    bytes.extend_from_slice(&request.family.to_ne_bytes());
    bytes.extend_from_slice(&(NLM_F_REQUEST | ack | request.flags).to_ne_bytes());
    bytes.extend_from_slice(&seq.to_ne_bytes());
    // Port id 0: the kernel knows whose socket it is.
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&[request.command, request.version, 0, 0]);
    bytes.extend_from_slice(&request.body);
    bytes.resize(align(bytes.len()), 0);
}

/// Takes the wish for an acknowledgement from the request that begins here.
fn hush(request: &mut [u8]) {
    if let Some([low, high]) = request.get_mut(FLAGS_AT..).and_then(|rest| rest.first_chunk_mut()) {
        [*low, *high] = (u16::from_ne_bytes([*low, *high]) & !NLM_F_ACK).to_ne_bytes();
    }
}

/// Whether reading again may go well.
fn is_passing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Interrupted || error.raw_os_error() == Some(libc::ENOBUFS)
}

/// Flags of linux/netlink.h.
const NLM_F_REQUEST: u16 = 0x01;
const NLM_F_ACK: u16 = 0x04;
/// NLM_F_ECHO: tell the requester what everyone who listens is told.
pub(super) const ECHO: u16 = 0x08;
const NLM_F_CAPPED: u16 = 0x100;
const NLM_F_ACK_TLVS: u16 = 0x200;
/// NLM_F_ROOT | NLM_F_MATCH: every object there is.
pub(super) const DUMP: u16 = 0x300;
/// NLM_F_CREATE; openvswitch.ko takes it as "only if there is none".
pub(super) const CREATE: u16 = 0x400;

/// Message types below NLMSG_MIN_TYPE (linux/netlink.h).
const NLMSG_NOOP: u16 = 1;
pub(super) const NLMSG_ERROR: u16 = 2;
pub(super) const NLMSG_DONE: u16 = 3;
const NLMSG_OVERRUN: u16 = 4;

/// enum nlmsgerr_attrs.
const NLMSGERR_ATTR_MSG: u16 = 1;

/// struct nlmsghdr.
const NLMSG_HEADER_LEN: usize = 16;
/// Where its flags are.
const FLAGS_AT: usize = 6;
/// struct genlmsghdr.
pub(super) const GENL_HEADER_LEN: usize = 4;
const HEADERS_LEN: usize = NLMSG_HEADER_LEN + GENL_HEADER_LEN;

/// Requests in one datagram: flows and frames of as many upcalls as are worked off at once. Their acknowledgements, under 1 KiB of kernel
/// memory each, fit into any receive buffer.
const WINDOW: usize = 128;
/// Bytes in one datagram, well below the default send buffer of 212 992 even with one request of 64 KiB on top.
const WINDOW_BYTES: usize = 96 << 10;
/// Bytes of receive buffer asked for.
const RECEIVE_BUFFER: usize = 4 << 20;
/// The kernel dumps in pieces of at most 32 KiB; one flow with the longest list of actions has under 72 KiB.
pub(super) const LONGEST_ANSWER: usize = 128 << 10;
/// The kernel answers within `send`; this is for one that does not.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;

//! Requests and their answers, many at a time.
//!
//! The kernel works a netlink request off inside `send`, so a window of requests goes out in one datagram and its answers are
//! there when `send` returns. Answers are matched by sequence number; what belongs to no request of the window is left over
//! from a call that was given up, and ignored.
//!
//! A request that has no reply may be quiet: the kernel answers it only if it refuses. It works requests off in order, so the next
//! answer of another says that the quiet ones before it went well. Where all of a window are quiet nothing more is waited for: what was
//! refused is in the socket when `send` returns, or the socket says that an answer was lost (`netlink_unicast_kernel`, `netlink_ack`
//! and `netlink_overrun` of `net/netlink/af_netlink.c`).
//!
//! ```text
//!   request … request ──► one send ──► kernel ──► (reply … ack) (nothing) (ack: errno, words) … (ack) ──► one outcome for each
//! ```

use std::io;
use std::ops::Range;
use std::time::Duration;

use tokio::io::Interest;
use tokio::time::{Instant, timeout_at};

use super::socket::{Home, Unwatched};
pub(super) use crate::netlink::message::{
    Denial, GENL_HEADER_LEN, Message, NLMSG_DONE, NLMSG_ERROR, NLMSG_HEADER_LEN, Outcome,
};
use crate::netlink::message::{NLMSG_NOOP, NLMSG_OVERRUN};
use outbox::Written;
pub(super) use outbox::{CREATE, DUMP, ECHO, Head, Outbox, Request, write_request};

mod outbox;

/// Takes each reply: the index of its request, and what follows its generic netlink header.
pub(super) type OnReply<'a> = &'a mut (dyn FnMut(usize, &[u8]) + Send);

/// A socket with one exchange under way at most.
#[derive(Debug)]
pub(super) struct Transactor {
    socket: Unwatched,
    next_seq: u32,
    buffer: Box<[u8]>,
    /// An outbox that is not in use, kept for its memory.
    spare: Outbox,
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
            spare: Outbox::default(),
            is_dirty: false,
        })
    }

    /// An empty outbox.
    pub(super) fn outbox(&mut self) -> Outbox {
        std::mem::take(&mut self.spare)
    }

    /// Sends all requests, in order, and waits for the outcome of each.
    pub(super) async fn exchange(&mut self, mut outbox: Outbox, on_reply: OnReply<'_>) -> Vec<Outcome> {
        let first_seq = self.next_seq;
        self.next_seq = first_seq.wrapping_add(outbox.len() as u32);
        let mut answers = Answers::new(first_seq, std::mem::take(&mut outbox.outcomes));
        let mut next = 0;
        while next < outbox.written.len() {
            let window = outbox.window_from(next);
            next = window.end;
            outbox.seal(&window, first_seq);
            self.exchange_window(&outbox, window, &mut answers, on_reply).await;
        }
        outbox.clear();
        self.spare = outbox;
        answers.outcomes.into_iter().map(|outcome| outcome.unwrap_or(Err(Denial::Lost))).collect()
    }

    /// Sends one request, collects its replies, and waits for its outcome.
    ///
    /// # Errors
    /// The kernel refuses, or does not answer.
    pub(super) async fn ask(&mut self, request: Request) -> Result<Vec<Vec<u8>>, Denial> {
        let mut replies = Vec::new();
        let mut outbox = self.outbox();
        outbox.add(Ok(request));
        let mut outcomes = self.exchange(outbox, &mut |_, reply: &[u8]| replies.push(reply.to_vec())).await;
        outcomes.pop().unwrap_or(Err(Denial::Lost)).map(|()| replies)
    }

    /// Sends the requests of a window and waits for what comes of them; all of them have an outcome then.
    async fn exchange_window(
        &mut self,
        outbox: &Outbox,
        window: Range<usize>,
        answers: &mut Answers,
        on_reply: OnReply<'_>,
    ) {
        if self.is_dirty {
            self.drain();
        }
        answers.expect(&outbox.written[window.clone()]);
        self.is_dirty = true;
        let gathered = match self.socket.send(outbox.datagram(&window)).await {
            Ok(()) => self.gather(answers, on_reply).await,
            Err(error) => Err(error.into()),
        };
        self.is_dirty = gathered.is_err();
        if let Err(denial) = gathered {
            answers.conclude_all(&Err(denial));
        }
    }

    /// Reads until each request of the window has its outcome, or answers were lost and no more are there.
    async fn gather(&mut self, answers: &mut Answers, on_reply: OnReply<'_>) -> Result<(), Denial> {
        let mut deadline = None;
        while !answers.are_complete() {
            match self.socket.receive(&mut self.buffer) {
                Ok(len) if len <= self.buffer.len() => {
                    answers.read(&self.buffer[..len], on_reply);
                    deadline = None;
                }
                Ok(_) => answers.has_lost = true,
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => answers.has_lost = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if answers.has_lost {
                        return Err(Denial::Lost);
                    }
                    if answers.are_all_quiet() {
                        answers.conclude_all(&Ok(()));
                        return Ok(());
                    }
                    let until = *deadline.get_or_insert_with(|| Instant::now() + PATIENCE);
                    self.wait_readable(until).await?;
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

/// What is known of each request of an outbox.
struct Answers {
    first_seq: u32,
    outcomes: Vec<Option<Outcome>>,
    /// The requests that were sent together and are not known to have an outcome each, in order; those before them have.
    expected: Vec<Written>,
    has_lost: bool,
}

impl Answers {
    fn new(first_seq: u32, outcomes: Vec<Option<Outcome>>) -> Answers {
        Answers { first_seq, outcomes, expected: Vec::new(), has_lost: false }
    }

    /// The next window goes out.
    fn expect(&mut self, window: &[Written]) {
        self.expected.clear();
        self.expected.extend_from_slice(window);
        self.has_lost = false;
    }

    fn are_complete(&self) -> bool {
        self.expected.iter().all(|request| self.outcomes[request.place].is_some())
    }

    fn are_all_quiet(&self) -> bool {
        self.expected.iter().all(|request| request.is_quiet)
    }

    fn read(&mut self, mut datagram: &[u8], on_reply: OnReply<'_>) {
        while let Some((message, rest)) = Message::split(datagram) {
            datagram = rest;
            let place = message.seq.wrapping_sub(self.first_seq) as usize;
            let Some(slot) = self.outcomes.get_mut(place).filter(|slot| slot.is_none()) else { continue };
            match message.kind {
                NLMSG_ERROR | NLMSG_DONE => {
                    let outcome = if self.has_lost && message.kind == NLMSG_DONE {
                        Err(Denial::Lost)
                    } else {
                        message.outcome()
                    };
                    *slot = Some(outcome);
                    self.conclude(place);
                }
                NLMSG_NOOP | NLMSG_OVERRUN => {}
                _ => on_reply(place, message.payload.get(GENL_HEADER_LEN..).unwrap_or_default()),
            }
        }
    }

    /// The request at `answered` has its answer, so the quiet ones before it would have theirs by now.
    fn conclude(&mut self, answered: usize) {
        let unheard = if self.has_lost { Err(Denial::Lost) } else { Ok(()) };
        for request in self.expected.iter().take_while(|request| request.place < answered) {
            if request.is_quiet {
                self.outcomes[request.place].get_or_insert_with(|| unheard.clone());
            }
        }
    }

    /// No more answers come.
    fn conclude_all(&mut self, unheard: &Outcome) {
        for request in &self.expected {
            self.outcomes[request.place].get_or_insert_with(|| unheard.clone());
        }
    }
}

/// What a datagram says of so many requests, the first of them numbered 0; none for one that it does not end.
pub(super) fn read_outcomes(datagram: &[u8], requests: usize, on_reply: OnReply<'_>) -> Vec<Option<Outcome>> {
    let mut answers = Answers::new(0, vec![None; requests]);
    answers.read(datagram, on_reply);
    answers.outcomes
}

/// Whether reading again may go well.
fn is_passing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Interrupted || error.raw_os_error() == Some(libc::ENOBUFS)
}

/// Bytes of receive buffer asked for.
const RECEIVE_BUFFER: usize = 4 << 20;
/// The kernel dumps in pieces of at most 32 KiB; one flow with the longest list of actions has under 72 KiB.
pub(super) const LONGEST_ANSWER: usize = 128 << 10;
/// The kernel answers within `send`; this is for one that does not.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;

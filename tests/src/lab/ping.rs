//! Echo requests sent from this process, for IPv4 and IPv6: one after the other, or a row of them while something happens.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use super::frames::internet_checksum;
use super::netns::Netns;

/// Sends `count` echo requests from a namespace, each after the answer to the one before, and counts the answers. Waits at
/// most one second for each.
///
/// # Panics
/// The process may not open raw sockets.
pub fn ping(netns: &Netns, to: IpAddr, count: u16) -> u16 {
    ping_within(netns, to, count, Duration::from_secs(1))
}

/// As [`ping`], waiting at most `wait` for each answer: short where no answer is expected.
///
/// # Panics
/// The process may not open raw sockets.
pub fn ping_within(netns: &Netns, to: IpAddr, count: u16, wait: Duration) -> u16 {
    netns.run(|| {
        let mut echo = Echo::open(to).unwrap_or_else(|e| panic!("cannot ping from {}: {e}", netns.name()));
        (0..count).filter(|sequence| echo.is_answered(*sequence, wait)).count() as u16
    })
}

/// Echo requests that a thread sends every [`INTERVAL`], answered or not.
#[derive(Debug)]
pub struct Pings {
    told: Arc<Told>,
    thread: Option<JoinHandle<Answers>>,
}

/// What the thread is told, and what it tells.
#[derive(Debug, Default)]
struct Told {
    is_over: AtomicBool,
    sent: AtomicU32,
    answered: AtomicU32,
    newest: AtomicU32,
}

/// What became of a row of echo requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answers {
    /// How many were sent.
    pub sent: u32,
    /// How many of them got no answer, within a second after the last.
    pub lost: u32,
}

impl Pings {
    /// Starts to send from a namespace.
    ///
    /// # Panics
    /// The process may not open raw sockets.
    pub fn start(netns: &Netns, to: IpAddr) -> Pings {
        let echo = netns.run(|| Echo::open(to));
        let echo = echo.unwrap_or_else(|e| panic!("cannot ping from {}: {e}", netns.name()));
        let told = Arc::new(Told::default());
        let thread = std::thread::spawn({
            let told = Arc::clone(&told);
            move || echo.send_in_a_row(&told)
        });
        Pings { told, thread: Some(thread) }
    }

    /// How many are sent so far.
    pub fn sent(&self) -> u32 {
        self.told.sent.load(Ordering::Relaxed)
    }

    /// How many are answered so far.
    pub fn answered(&self) -> u32 {
        self.told.answered.load(Ordering::Relaxed)
    }

    /// How many were sent when the newest one was that is answered; 0 before the first.
    pub fn newest(&self) -> u32 {
        self.told.newest.load(Ordering::Relaxed)
    }

    /// Sends no more, and waits for what is on its way, at most a second.
    ///
    /// # Panics
    /// The thread panicked.
    pub fn end(mut self) -> Answers {
        self.told.is_over.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it is joined here alone");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Pings {
    /// The thread ends within a second.
    fn drop(&mut self) {
        self.told.is_over.store(true, Ordering::Relaxed);
    }
}

/// A raw ICMP or ICMPv6 socket towards one address.
struct Echo {
    socket: Socket,
    to: IpAddr,
    identifier: u16,
}

impl Echo {
    fn open(to: IpAddr) -> std::io::Result<Self> {
        let (domain, protocol) = match to {
            IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
            IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
        };
        let socket = Socket::new(domain, Type::from(nix::libc::SOCK_RAW), Some(protocol))?;
        // Each socket sees the answers to all of them in its namespace.
        let identifier = NEXT_IDENTIFIER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(Self { socket, to, identifier })
    }

    fn is_answered(&mut self, sequence: u16, wait: Duration) -> bool {
        let deadline = Instant::now() + wait;
        // An address that does not resolve makes the send itself fail.
        if self.socket.send_to(&self.request(sequence), &SocketAddr::new(self.to, 0).into()).is_err() {
            return false;
        }
        while let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
        {
            if self.socket.set_read_timeout(Some(left.max(SHORTEST_WAIT))).is_err() {
                return false;
            }
            let mut buffer = [0; 2048];
            match self.socket.read(&mut buffer) {
                Ok(length) if self.sequence_of(&buffer[..length]) == Some(sequence) => return true,
                _ => {}
            }
        }
        false
    }

    /// Sends until it is told to end, for less than ten minutes. A request that cannot even be sent is lost.
    fn send_in_a_row(mut self, told: &Told) -> Answers {
        let (mut sent, mut open) = (0_u16, BTreeSet::new());
        let mut due = Instant::now();
        while !told.is_over.load(Ordering::Relaxed) && sent < u16::MAX {
            let _ = self.socket.send_to(&self.request(sent), &SocketAddr::new(self.to, 0).into());
            open.insert(sent);
            sent += 1;
            told.sent.store(sent.into(), Ordering::Relaxed);
            due = (due + INTERVAL).max(Instant::now() + PAUSE);
            self.note_answers(due, &mut open, told);
        }
        let last = Instant::now() + LATEST;
        while !open.is_empty() && Instant::now() < last {
            self.note_answers(last.min(Instant::now() + INTERVAL), &mut open, told);
        }
        Answers { sent: sent.into(), lost: open.len() as u32 }
    }

    /// Counts what is answered until then; each request once.
    fn note_answers(&mut self, until: Instant, open: &mut BTreeSet<u16>, told: &Told) {
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            if self.socket.set_read_timeout(Some(left.max(SHORTEST_WAIT))).is_err() {
                return;
            }
            let mut buffer = [0; 2048];
            let Ok(length) = self.socket.read(&mut buffer) else { continue };
            let Some(sequence) = self.sequence_of(&buffer[..length]) else { continue };
            if open.remove(&sequence) {
                told.answered.fetch_add(1, Ordering::Relaxed);
                told.newest.fetch_max(u32::from(sequence) + 1, Ordering::Relaxed);
            }
        }
    }

    /// RFC 792 and RFC 4443 4.1. The kernel fills in the checksum of ICMPv6 only.
    fn request(&self, sequence: u16) -> Vec<u8> {
        let kind = if self.to.is_ipv4() { ECHO_REQUEST_V4 } else { ECHO_REQUEST_V6 };
        let mut message = vec![kind, 0, 0, 0];
        message.extend(self.identifier.to_be_bytes());
        message.extend(sequence.to_be_bytes());
        message.extend([0x5a; PAYLOAD]);
        if self.to.is_ipv4() {
            let sum = internet_checksum(&[&message]);
            message[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        message
    }

    /// The number of the request that this answers, if it answers one of ours. A raw IPv4 socket delivers the IP header too, a raw IPv6
    /// socket does not.
    fn sequence_of(&self, bytes: &[u8]) -> Option<u16> {
        let (kind, message) = match self.to {
            IpAddr::V4(_) => {
                let header = usize::from(bytes.first().copied().unwrap_or(0) & 0x0f) * 4;
                (ECHO_REPLY_V4, bytes.get(header..).unwrap_or_default())
            }
            IpAddr::V6(_) => (ECHO_REPLY_V6, bytes),
        };
        let is_ours =
            message.first() == Some(&kind) && message.get(4..6) == Some(&self.identifier.to_be_bytes()[..]);
        let number = message.get(6..8).filter(|_| is_ours)?;
        Some(u16::from_be_bytes([number[0], number[1]]))
    }
}

static NEXT_IDENTIFIER: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(1);

const ECHO_REQUEST_V4: u8 = 8;
const ECHO_REPLY_V4: u8 = 0;
const ECHO_REQUEST_V6: u8 = 128;
const ECHO_REPLY_V6: u8 = 129;

const PAYLOAD: usize = 56;

/// Below a microsecond a socket's time limit would be none at all.
const SHORTEST_WAIT: Duration = Duration::from_micros(1);

/// Between two requests of a row.
pub const INTERVAL: Duration = Duration::from_millis(10);

/// So long at least it listens between two, also where it is late.
const PAUSE: Duration = Duration::from_millis(1);

/// How long the last answer of a row may take.
const LATEST: Duration = Duration::from_secs(1);

//! Links, addresses and routes as they are now, asked for.

use std::io;
use std::time::Duration;

use tokio::io::Interest;
use tokio::time::{Instant, timeout_at};

use super::known::Known;
use super::message::{
    ADDRESS_HEAD_LEN, LINK_HEAD_LEN, ROUTE_HEAD_LEN, Way, read_address, read_link, read_way,
};
use crate::netlink::message::{Denial, Message, NLMSG_DONE, NLMSG_ERROR, NLMSG_HEADER_LEN};
use crate::netlink::nla::NlaWriter;
use crate::netlink::socket::{Home, Unwatched};
use crate::port::Link;

/// A socket for questions, each answered with a list.
#[derive(Debug)]
pub(super) struct Asker {
    socket: Unwatched,
    seq: u32,
    buffer: Box<[u8]>,
}

impl Asker {
    /// A socket of its own.
    ///
    /// # Errors
    /// No socket to be had.
    pub(super) fn open(home: &Home) -> io::Result<Asker> {
        let socket = Unwatched::new(home.open_route_socket(RECEIVE_BUFFER)?);
        Ok(Asker { socket, seq: 0, buffer: vec![0; LONGEST_ANSWER].into() })
    }

    /// Everything that is to be known.
    ///
    /// # Errors
    /// The kernel refuses, or does not answer.
    pub(super) async fn everything(&mut self) -> io::Result<Known> {
        let links = self.links().await?;
        let mut addresses = Vec::new();
        self.list(libc::RTM_GETADDR, &[0; ADDRESS_HEAD_LEN], |answer| {
            addresses.extend(read_address(answer));
        })
        .await?;
        Ok(Known::new(links, addresses, self.ways().await?))
    }

    async fn links(&mut self) -> io::Result<Vec<Link>> {
        let mut body = NlaWriter::behind(&[0; LINK_HEAD_LEN]);
        // What they have counted is most of an answer.
        body.put_u32(libc::IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
        let body = body.into_bytes();
        let mut links = Vec::new();
        for _ in 0..TRIES {
            links.clear();
            let list = self.list(libc::RTM_GETLINK, &body, |answer| links.extend(read_link(answer)));
            if list.await? == Whole::Yes {
                break;
            }
        }
        Ok(links)
    }

    /// The default routes. The kernel sends all routes of a family: no request asks for less.
    ///
    /// # Errors
    /// The kernel refuses, or does not answer.
    pub(super) async fn ways(&mut self) -> io::Result<Vec<Way>> {
        let mut ways = Vec::new();
        for family in [libc::AF_INET, libc::AF_INET6] {
            let mut head = [0; ROUTE_HEAD_LEN];
            head[0] = family as u8;
            self.list(libc::RTM_GETROUTE, &head, |answer| ways.extend(read_way(answer))).await?;
        }
        Ok(ways)
    }

    /// Asks for a list, and hands each answer on.
    async fn list(
        &mut self,
        kind: u16,
        body: &[u8],
        mut take: impl FnMut(&[u8]) + Send,
    ) -> io::Result<Whole> {
        self.seq = self.seq.wrapping_add(1);
        self.socket.send(&request(kind, self.seq, body)).await?;
        let mut whole = Whole::Yes;
        loop {
            let len = self.receive().await?;
            let mut datagram = self.buffer.get(..len).ok_or(io::ErrorKind::InvalidData)?;
            while let Some((message, rest)) = Message::split(datagram) {
                datagram = rest;
                if message.seq != self.seq {
                    continue;
                }
                if message.flags & NLM_F_DUMP_INTR != 0 {
                    whole = Whole::Perhaps;
                }
                match message.kind {
                    NLMSG_DONE | NLMSG_ERROR => return message.outcome().map(|()| whole).map_err(error_of),
                    _ => take(message.payload),
                }
            }
        }
    }

    async fn receive(&mut self) -> io::Result<usize> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.socket.receive(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    timeout_at(deadline, self.socket.wait(Interest::READABLE)).await??;
                }
                received => return received,
            }
        }
    }
}

/// Whether a list has everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whole {
    Yes,
    /// Something came or went meanwhile, and what stood behind it may have been passed over.
    Perhaps,
}

/// A request for a list: struct nlmsghdr, and what it says.
fn request(kind: u16, seq: u32, body: &[u8]) -> Vec<u8> {
    let len = (NLMSG_HEADER_LEN + body.len()) as u32;
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
    let mut request = len.to_ne_bytes().to_vec();
    request.extend(kind.to_ne_bytes());
    request.extend(flags.to_ne_bytes());
    request.extend(seq.to_ne_bytes());
    request.extend([0; 4]);
    request.extend(body);
    request
}

fn error_of(denial: Denial) -> io::Error {
    match denial {
        Denial::Errno { errno, .. } => io::Error::from_raw_os_error(errno),
        Denial::TimedOut(_) => io::ErrorKind::TimedOut.into(),
        Denial::Lost => io::ErrorKind::InvalidData.into(),
    }
}

/// linux/rtnetlink.h.
const RTEXT_FILTER_SKIP_STATS: u32 = 1 << 3;
/// linux/netlink.h.
const NLM_F_DUMP_INTR: u16 = 0x10;

/// How often links are asked for, where some come and go meanwhile.
const TRIES: usize = 3;

/// The kernel prepares one datagram while the one before is being read.
const RECEIVE_BUFFER: usize = 256 << 10;
/// The kernel answers in pieces of at most 32 KiB, or of one link, if that has more.
const LONGEST_ANSWER: usize = 128 << 10;
/// The kernel answers within `recv`; this is for one that does not.
const PATIENCE: Duration = Duration::from_secs(5);

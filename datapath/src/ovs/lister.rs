//! Lists that are read in slices, so that nobody waits for the whole of a long one.
//!
//! The kernel fills a datagram of a dump when the one before has been taken (`netlink_recvmsg()` in `net/netlink/af_netlink.c`), so a
//! dump may rest for as long as its reader likes. It needs a socket of its own: there is one dump at a time on each.

use std::io;
use std::time::Duration;

use tokio::io::Interest;
use tokio::time::{Instant, timeout_at};

use super::socket::{Home, Unwatched};
use super::transact::{
    Denial, GENL_HEADER_LEN, LONGEST_ANSWER, Message, NLMSG_DONE, NLMSG_ERROR, Request, write_request,
};

/// A list that is read datagram by datagram, again and again.
#[derive(Debug)]
pub(super) struct Lister {
    /// The socket on which a list is under way.
    under_way: Option<Unwatched>,
    seq: u32,
    buffer: Box<[u8]>,
}

impl Lister {
    pub(super) fn new() -> Lister {
        Lister { under_way: None, seq: 0, buffer: vec![0; LONGEST_ANSWER].into() }
    }

    /// Reads the next datagram of a list, the first one of a new list if none is under way, and hands each entry on. Whether that
    /// was the last. After a denial the next call begins anew.
    ///
    /// # Errors
    /// The kernel refuses, or does not answer.
    pub(super) async fn next(
        &mut self,
        home: &Home,
        list: impl FnOnce() -> Result<Request, Denial>,
        on_entry: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<bool, Denial> {
        let socket = match self.under_way.take() {
            Some(socket) => socket,
            None => self.begin(home, &list()?).await?,
        };
        let len = self.receive(&socket).await?;
        let is_last = read_entries(self.buffer.get(..len).ok_or(Denial::Lost)?, self.seq, on_entry)?;
        if !is_last {
            self.under_way = Some(socket);
        }
        Ok(is_last)
    }

    async fn begin(&mut self, home: &Home, list: &Request) -> Result<Unwatched, Denial> {
        let socket = Unwatched::new(home.open_socket(RECEIVE_BUFFER)?);
        self.seq = self.seq.wrapping_add(1);
        let mut bytes = Vec::new();
        write_request(&mut bytes, list, self.seq);
        socket.send(&bytes).await?;
        Ok(socket)
    }

    async fn receive(&mut self, socket: &Unwatched) -> Result<usize, Denial> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match socket.receive(&mut self.buffer) {
                Ok(len) => return Ok(len),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    timeout_at(deadline, socket.wait(Interest::READABLE))
                        .await
                        .map_err(|_| Denial::TimedOut(PATIENCE.as_millis() as u64))??;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Hands on the entries of one datagram; whether it ends the list.
fn read_entries(
    mut datagram: &[u8],
    seq: u32,
    on_entry: &mut (dyn FnMut(&[u8]) + Send),
) -> Result<bool, Denial> {
    while let Some((message, rest)) = Message::split(datagram) {
        datagram = rest;
        match message.kind {
            _ if message.seq != seq => {}
            NLMSG_ERROR | NLMSG_DONE => return message.outcome().map(|()| true),
            _ => on_entry(message.payload.get(GENL_HEADER_LEN..).unwrap_or_default()),
        }
    }
    Ok(false)
}

/// Bytes of receive buffer asked for: the kernel prepares one datagram of at most 32 KiB while the one before is being read.
const RECEIVE_BUFFER: usize = 256 << 10;
/// The kernel fills a datagram within `recv`; this is for one that does not.
const PATIENCE: Duration = Duration::from_secs(5);

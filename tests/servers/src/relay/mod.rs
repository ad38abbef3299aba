//! A relay in front of a server: what a network does to a client, without touching the network.
//!
//! It forwards bytes both ways. Three things can be done to it. Each is done when the call returns, and [`Relay::heal()`] ends each.
//!
//! | call | connections that are there | new ones |
//! |---|---|---|
//! | [`Relay::drop_packets()`] | stay; nothing passes, no end either | hang: their SYN is dropped, as by a dead host or a filter |
//! | [`Relay::fall_silent()`] | the same | are accepted, and nothing passes: as by a host that lives and a server that hangs |
//! | [`Relay::cut()`] | are closed | are refused |
//!
//! What was held back is delivered after healing, in order: to a client that has long gone elsewhere, its old socket speaks again. That is
//! what TCP does, whose senders repeat what was dropped.
//!
//! A server that is killed behind a relay is not refused by it: the relay accepts, and closes when it finds nobody. Who needs the refusal
//! cuts the relay, or uses the server's own address.

mod backlog;
mod carry;
mod work;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::ServersError;
use crate::address::Block;
use work::{Order, Work};

/// A relay, which lives until it is dropped. Its connections are closed then.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    counts: Arc<Counts>,
    orders: Option<UnboundedSender<(Order, mpsc::Sender<()>)>>,
    thread: Option<JoinHandle<()>>,
    /// Where it listens, if that is its own. It is free again after the thread's end: fields are dropped behind that.
    block: Option<Block>,
}

/// What a relay has counted since it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// Connections that clients made.
    pub accepted: u64,
    /// Those of them that are there now.
    pub open: u64,
    /// Bytes that reached the server.
    pub to_server: u64,
    /// Bytes that reached clients.
    pub to_client: u64,
}

#[derive(Debug, Default)]
struct Counts {
    accepted: AtomicU64,
    open: AtomicU64,
    to_server: AtomicU64,
    to_client: AtomicU64,
}

impl Relay {
    /// Forwards to `server`, whatever that is, from an address of its own. So one client can be cut off from a server that others reach.
    ///
    /// # Errors
    /// No address is free.
    pub fn to(server: SocketAddr) -> Result<Relay, ServersError> {
        let block = Block::claim(1)?;
        let mut relay = Relay::listen(block.relay(0), server)?;
        relay.block = Some(block);
        Ok(relay)
    }

    /// Listens on `address`, which somebody holds, and forwards to `server`, in a thread of its own.
    pub(crate) fn listen(address: SocketAddr, server: SocketAddr) -> Result<Relay, ServersError> {
        let counts = Arc::new(Counts::default());
        let (orders, ordered) = unbounded_channel();
        let what = format!("relay {address} to {server}");
        let work = Work::new(address, server, Arc::clone(&counts)).map_err(ServersError::system(what))?;
        let thread = std::thread::spawn(move || work.run(ordered));
        Ok(Relay { address, counts, orders: Some(orders), thread: Some(thread), block: None })
    }

    /// Where clients reach it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets nothing pass, in neither direction, and drops the SYN of who connects.
    ///
    /// # Panics
    /// The relay's thread panicked: it could no longer listen.
    pub fn drop_packets(&self) {
        self.order(Order::DropPackets);
    }

    /// Lets nothing pass, in neither direction, but accepts who connects.
    ///
    /// # Panics
    /// As [`Relay::drop_packets()`].
    pub fn fall_silent(&self) {
        self.order(Order::FallSilent);
    }

    /// Closes every connection and refuses new ones.
    ///
    /// # Panics
    /// As [`Relay::drop_packets()`].
    pub fn cut(&self) {
        self.order(Order::Cut);
    }

    /// Closes every connection once, and is then as it was.
    ///
    /// # Panics
    /// As [`Relay::drop_packets()`].
    pub fn disconnect(&self) {
        self.order(Order::Disconnect);
    }

    /// Forwards again, first what was held back.
    ///
    /// # Panics
    /// As [`Relay::drop_packets()`].
    pub fn heal(&self) {
        self.order(Order::Heal);
    }

    /// What it has counted.
    pub fn traffic(&self) -> Traffic {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counts { accepted, open, to_server, to_client } = &*self.counts;
        let (accepted, open) = (read(accepted), read(open));
        Traffic { accepted, open, to_server: read(to_server), to_client: read(to_client) }
    }

    /// Has the thread do it, and waits until it is done.
    fn order(&self, order: Order) {
        let (done, is_done) = mpsc::channel();
        let sent = self.orders.as_ref().is_some_and(|orders| orders.send((order, done)).is_ok());
        assert!(sent && is_done.recv().is_ok(), "the relay at {} is gone", self.address);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.orders = None;
        // A panic of it has been told where it happened.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

//! What a relay's thread does: accepts, carries, and does as it is told.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Counts;
use super::backlog::Backlog;
use super::carry::carry;

/// What a relay can be told.
#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    DropPackets,
    FallSilent,
    Cut,
    Disconnect,
    Heal,
}

/// A relay's thread and all that it has.
#[derive(Debug)]
pub(super) struct Work {
    runtime: Runtime,
    state: State,
}

#[derive(Debug)]
struct State {
    address: SocketAddr,
    server: SocketAddr,
    counts: Arc<Counts>,
    /// None while connections are refused.
    backlog: Option<Backlog>,
    is_plugged: bool,
    may_pass: watch::Sender<bool>,
    connections: JoinSet<()>,
}

impl Work {
    /// Listens already; connections wait until it runs.
    pub(super) fn new(address: SocketAddr, server: SocketAddr, counts: Arc<Counts>) -> io::Result<Work> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let within = runtime.enter();
        let backlog = Some(Backlog::listen(address)?);
        drop(within);
        let (may_pass, _) = watch::channel(true);
        let connections = JoinSet::new();
        let state = State { address, server, counts, backlog, is_plugged: false, may_pass, connections };
        Ok(Work { runtime, state })
    }

    /// Works until nobody can tell it anything any more.
    pub(super) fn run(self, mut orders: UnboundedReceiver<(Order, mpsc::Sender<()>)>) {
        let Work { runtime, mut state } = self;
        runtime.block_on(async {
            loop {
                tokio::select! {
                    order = orders.recv() => match order {
                        Some((order, done)) => state.obey(order, &done).await,
                        None => return,
                    },
                    Some(_) = state.connections.join_next() => {}
                    stream = accept(&mut state.backlog, state.is_plugged) => state.take(stream),
                }
            }
        });
    }
}

impl State {
    /// A connection that ended before it was accepted is none.
    fn take(&mut self, accepted: io::Result<TcpStream>) {
        if let Ok(stream) = accepted {
            let counts = Arc::clone(&self.counts);
            self.connections.spawn(carry(stream, self.server, self.may_pass.subscribe(), counts));
        }
    }

    async fn obey(&mut self, order: Order, done: &mpsc::Sender<()>) {
        let outcome = match order {
            Order::DropPackets => self.drop_packets().await,
            Order::FallSilent => self.set(false),
            Order::Heal => self.set(true),
            Order::Disconnect => self.close_all().await,
            Order::Cut => {
                (self.backlog, self.is_plugged) = (None, false);
                self.close_all().await
            }
        };
        outcome.unwrap_or_else(|e| panic!("relay at {}: {order:?}: {e}", self.address));
        // Who asked may be gone.
        let _ = done.send(());
    }

    /// Accepts, and lets pass what comes or not.
    fn set(&mut self, may_pass: bool) -> io::Result<()> {
        self.may_pass.send_replace(may_pass);
        self.is_plugged = false;
        match &mut self.backlog {
            Some(backlog) => backlog.unplug(),
            none => {
                *none = Some(Backlog::listen(self.address)?);
                Ok(())
            }
        }
    }

    async fn drop_packets(&mut self) -> io::Result<()> {
        self.set(false)?;
        self.is_plugged = true;
        match &mut self.backlog {
            Some(backlog) => backlog.plug().await,
            None => Ok(()),
        }
    }

    async fn close_all(&mut self) -> io::Result<()> {
        self.connections.shutdown().await;
        Ok(())
    }
}

async fn accept(backlog: &mut Option<Backlog>, is_plugged: bool) -> io::Result<TcpStream> {
    match backlog {
        Some(backlog) => backlog.accept(is_plugged).await,
        None => std::future::pending().await,
    }
}

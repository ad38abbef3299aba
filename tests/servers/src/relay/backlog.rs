//! A listening socket that can be made to drop the SYN of who connects, as if the packet were lost.
//!
//! Linux drops a SYN when the queue of connections that nobody has accepted is full (listen(2)). So the queue is made as short as it can be
//! and filled with a connection of our own, a *plug*. The sender repeats its SYN after 1, 3, 7 … seconds, and gets through when it is unplugged.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use nix::sys::socket::{Backlog as Length, listen};
use tokio::net::{TcpListener, TcpStream};

/// A listening socket and its plugs.
#[derive(Debug)]
pub(super) struct Backlog {
    listener: TcpListener,
    plugs: Vec<TcpStream>,
}

impl Backlog {
    /// Listens. Called within a runtime.
    pub(super) fn listen(address: SocketAddr) -> io::Result<Backlog> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Backlog { listener: TcpListener::from_std(listener)?, plugs: Vec::new() })
    }

    /// The next connection that is none of our own. Never, while it is plugged.
    pub(super) async fn accept(&mut self, is_plugged: bool) -> io::Result<TcpStream> {
        if is_plugged {
            return std::future::pending().await;
        }
        loop {
            let (stream, from) = self.listener.accept().await?;
            let is_plug = |plug: &TcpStream| plug.local_addr().is_ok_and(|address| address == from);
            match self.plugs.iter().position(is_plug) {
                Some(at) => drop(self.plugs.swap_remove(at)),
                None => return Ok(stream),
            }
        }
    }

    /// Makes the queue short and fills it; the next SYN is dropped.
    pub(super) async fn plug(&mut self) -> io::Result<()> {
        if !self.plugs.is_empty() {
            return Ok(());
        }
        listen(&self.listener, Length::new(0)?)?;
        let address = self.listener.local_addr()?;
        loop {
            match tokio::time::timeout(PROOF, TcpStream::connect(address)).await {
                Ok(connected) => self.plugs.push(connected?),
                Err(_) => return Ok(()),
            }
        }
    }

    /// Makes the queue long again. The plugs are taken off it when they are met.
    pub(super) fn unplug(&mut self) -> io::Result<()> {
        Ok(listen(&self.listener, Length::new(LENGTH)?)?)
    }
}

/// A connection on loopback is there in microseconds, or its SYN was dropped.
const PROOF: Duration = Duration::from_millis(50);

/// As std's.
const LENGTH: i32 = 128;

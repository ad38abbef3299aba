//! One connection through a relay: bytes from each side to the other, as long as they may pass.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch::Receiver;

use super::Counts;

/// Carries one connection to its end: both sides have ended theirs, or one broke it.
pub(super) async fn carry(
    client: TcpStream,
    server: SocketAddr,
    may_pass: Receiver<bool>,
    counts: Arc<Counts>,
) {
    let _open = Open::count(&counts);
    // A broken connection ends both sides, which is all that either can be told.
    let _ = try_carry(client, server, may_pass, &counts).await;
}

async fn try_carry(
    client: TcpStream,
    server: SocketAddr,
    mut may_pass: Receiver<bool>,
    counts: &Counts,
) -> io::Result<()> {
    wait(&mut may_pass).await;
    let server = TcpStream::connect(server).await?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let there = pump(from_client, to_server, may_pass.clone(), &counts.to_server);
    let back = pump(from_server, to_client, may_pass, &counts.to_client);
    tokio::try_join!(there, back).map(drop)
}

/// Passes on bytes of one direction, and its end. What may not pass is left where it is: in the kernel, or in the buffer if it is there already.
async fn pump(
    from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut may_pass: Receiver<bool>,
    count: &AtomicU64,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        wait(&mut may_pass).await;
        from.readable().await?;
        if !*may_pass.borrow() {
            continue;
        }
        let length = match from.try_read(&mut buffer) {
            Ok(0) => break,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            read => read?,
        };
        let mut rest = &buffer[..length];
        while !rest.is_empty() {
            wait(&mut may_pass).await;
            to.writable().await?;
            if !*may_pass.borrow() {
                continue;
            }
            let written = match to.try_write(rest) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                written => written?,
            };
            rest = &rest[written..];
            count.fetch_add(written as u64, Ordering::Relaxed);
        }
    }
    to.shutdown().await
}

/// Waits until bytes may pass. When the relay is gone this is dropped with everything else.
async fn wait(may_pass: &mut Receiver<bool>) {
    if may_pass.wait_for(|may| *may).await.is_err() {
        std::future::pending().await
    }
}

/// Counts a connection while it is there, however it ends.
struct Open<'a>(&'a AtomicU64);

impl Open<'_> {
    fn count(counts: &Counts) -> Open<'_> {
        counts.accepted.fetch_add(1, Ordering::Relaxed);
        counts.open.fetch_add(1, Ordering::Relaxed);
        Open(&counts.open)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

const BUFFER: usize = 16 << 10;

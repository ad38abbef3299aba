//! The daemon's Unix socket: its file, and how many may talk at once and for how long.
//!
//! A client that stops in the middle of a request, or never reads its answer, holds a seat. Seats are few, so that the daemon's file
//! descriptors stay for ports; when all are taken the one that was taken first is given up, so that a newcomer never waits.

use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};

/// Why the socket cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// A daemon answers there.
    #[error("{path}: another daemon answers on this socket; stop it, or give this one another by --socket")]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something else than a socket is there.
    #[error("{path}: this is no socket, so it is not replaced; give the daemon another path by --socket")]
    NoSocket {
        /// The path.
        path: PathBuf,
    },
    /// The system refused.
    #[error("{path}: cannot listen: {source}")]
    Refused {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The daemon's socket. Its file goes when this is dropped, unless another daemon has made it anew.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
    /// What gives up a seat, in the order in which seats were taken. That of a connection that has ended is closed.
    seats: VecDeque<oneshot::Sender<()>>,
}

impl Socket {
    /// Opens the socket, mode 0660, and its directory if it is missing. A socket file that nobody answers on, left by a killed
    /// daemon, is replaced. Who connects now is answered once the socket is served.
    ///
    /// # Errors
    /// Somebody answers on it, something else is in its place, or the system refuses.
    pub async fn open(path: &Path) -> Result<Socket, SocketError> {
        let refused = |source| SocketError::Refused { path: path.to_owned(), source };
        if UnixStream::connect(path).await.is_ok() {
            return Err(SocketError::InUse { path: path.to_owned() });
        }
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(refused)?;
        }
        remove_left_over(path)?;
        let listener = UnixListener::bind(path).map_err(refused)?;
        let inode = std::fs::metadata(path).map_err(refused)?.ino();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(MODE)).map_err(refused)?;
        Ok(Socket { listener, path: path.to_owned(), inode, seats: VecDeque::new() })
    }

    /// A seat for a new connection; the one taken first is given up if there is none left.
    fn seat(&mut self, stream: UnixStream) -> Seated {
        self.seats.retain(|seat| !seat.is_closed());
        if self.seats.len() >= SEATS
            && let Some(first) = self.seats.pop_front()
        {
            let _ = first.send(());
        }
        let (seat, given_up) = oneshot::channel();
        self.seats.push_back(seat);
        Seated { stream, given_up, time_is_up: Box::pin(sleep(LONGEST)) }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let is_ours = std::fs::metadata(&self.path).is_ok_and(|metadata| metadata.ino() == self.inode);
        if is_ours {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Listener for Socket {
    type Io = Seated;
    type Addr = tokio::net::unix::SocketAddr;

    async fn accept(&mut self) -> (Seated, Self::Addr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        (self.seat(stream), address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// A connection: fails once its seat is given up or its time is up.
#[derive(Debug)]
pub struct Seated {
    stream: UnixStream,
    given_up: oneshot::Receiver<()>,
    time_is_up: Pin<Box<Sleep>>,
}

impl Seated {
    /// Fails if the connection has to end, and wakes the caller when it has to.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        // A sender that was dropped is that of a daemon at its end: what is being answered may be finished.
        let is_given_up = matches!(Pin::new(&mut self.given_up).poll(context), Poll::Ready(Ok(())));
        if is_given_up || self.time_is_up.as_mut().poll(context).is_ready() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }
}

impl AsyncRead for Seated {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Seated {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// One connection that is there already, and no other: what a test talks to a daemon by.
#[derive(Debug)]
pub struct Single<Io> {
    connection: Option<Io>,
}

impl<Io> Single<Io> {
    /// Listens to this connection.
    pub fn new(connection: Io) -> Single<Io> {
        Single { connection: Some(connection) }
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin + Send + 'static> Listener for Single<Io> {
    type Io = Io;
    type Addr = ();

    async fn accept(&mut self) -> (Io, ()) {
        match self.connection.take() {
            Some(connection) => (connection, ()),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Removes a socket file; anything else that is there stays.
fn remove_left_over(path: &Path) -> Result<(), SocketError> {
    let refused = |source| SocketError::Refused { path: path.to_owned(), source };
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => {
            Err(SocketError::NoSocket { path: path.to_owned() })
        }
        Ok(_) => std::fs::remove_file(path).map_err(refused),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(refused(error)),
    }
}

/// Read and write for the owner and the group: operators are in the group.
const MODE: u32 = 0o660;
/// Connections at once.
const SEATS: usize = 64;
/// The longest that a connection lasts: a request with 16 MiB takes a second, and a scraper that keeps its connection makes a new one.
const LONGEST: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn connected() -> (tempfile::TempDir, Socket) {
        let directory = tempfile::tempdir().unwrap();
        let socket = Socket::open(&directory.path().join("l2gw.sock")).await.unwrap();
        (directory, socket)
    }

    #[tokio::test]
    async fn the_first_seat_is_given_up_for_the_newcomer_and_no_other() {
        let (_directory, mut socket) = connected().await;
        let (mut clients, mut seated) = (Vec::new(), Vec::new());
        for _ in 0..=SEATS {
            clients.push(UnixStream::connect(&socket.path).await.unwrap());
            seated.push(Listener::accept(&mut socket).await.0);
        }
        let given_up = seated[0].read_u8().await.unwrap_err();
        assert_eq!(given_up.kind(), io::ErrorKind::TimedOut);
        for (client, seated) in clients.iter_mut().zip(&mut seated).skip(1) {
            client.write_u8(7).await.unwrap();
            assert_eq!(seated.read_u8().await.unwrap(), 7);
        }
    }

    #[tokio::test]
    async fn a_seat_that_is_free_again_is_taken_first() {
        let (_directory, mut socket) = connected().await;
        let mut client = UnixStream::connect(&socket.path).await.unwrap();
        let mut first = Listener::accept(&mut socket).await.0;
        for _ in 0..3 * SEATS {
            let _client = UnixStream::connect(&socket.path).await.unwrap();
            drop(Listener::accept(&mut socket).await);
        }
        client.write_u8(7).await.unwrap();
        assert_eq!(first.read_u8().await.unwrap(), 7);
    }

    #[tokio::test]
    async fn nobody_sits_for_ever() {
        let (_directory, mut socket) = connected().await;
        let _client = UnixStream::connect(&socket.path).await.unwrap();
        let mut seated = Listener::accept(&mut socket).await.0;
        seated.time_is_up = Box::pin(sleep(Duration::ZERO));
        let ended = seated.read_u8().await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn only_a_socket_that_nobody_answers_on_is_replaced() {
        let (directory, socket) = connected().await;
        let path = socket.path.clone();
        let Err(SocketError::InUse { .. }) = Socket::open(&path).await else { panic!("opened twice") };
        // What a killed daemon leaves: the file, without anybody behind it.
        let left = directory.path().join("left.sock");
        drop(std::os::unix::net::UnixListener::bind(&left).unwrap());
        assert!(left.exists());
        drop(Socket::open(&left).await.unwrap());
        assert!(!left.exists(), "its file goes with it");
        let file = directory.path().join("notes");
        std::fs::write(&file, "text").unwrap();
        let Err(SocketError::NoSocket { .. }) = Socket::open(&file).await else {
            panic!("a file was replaced")
        };
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "text");
    }

    #[tokio::test]
    async fn the_file_of_another_daemon_stays() {
        let (_directory, socket) = connected().await;
        let path = socket.path.clone();
        std::fs::remove_file(&path).unwrap();
        let other = Socket::open(&path).await.unwrap();
        drop(socket);
        assert!(path.exists());
        drop(other);
        assert!(!path.exists());
    }
}

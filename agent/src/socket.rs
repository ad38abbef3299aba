//! The daemon's Unix socket: its file, and how many may talk at once and for how long.
//!
//! A client that stops in the middle of a request, or never reads its answer, holds a seat. Seats are few, so that the daemon's file
//! descriptors stay for ports; when all are taken the one that was taken first is given up, so that a newcomer never waits.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, UnixAddr};
use nix::sys::stat::Mode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};
use vlan::model::shown::printable;

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
    /// Anybody may put another socket in its place.
    #[error(
        "{directory}: anybody may put another socket here (mode {mode:04o}): chmod 0755 {directory}, or give the daemon another path by --socket"
    )]
    Exposed {
        /// The socket's directory.
        directory: PathBuf,
        /// Its mode.
        mode: u32,
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
    /// Opens the socket, mode 0660, and its directory, mode 0755, if it is missing, whatever the umask. A socket file that nobody
    /// answers on, left by a killed daemon, is replaced. Who connects now is answered once the socket is served.
    ///
    /// # Errors
    /// Somebody answers on it, something else is in its place, anybody may write into its directory, or the system refuses.
    pub async fn open(path: &Path) -> Result<Socket, SocketError> {
        let refused = |source| SocketError::Refused { path: path.to_owned(), source };
        if UnixStream::connect(path).await.is_ok() {
            return Err(SocketError::InUse { path: path.to_owned() });
        }
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            make_directory(parent).map_err(refused)?;
            check_directory(parent).map_err(refused)??;
        }
        remove_left_over(path)?;
        let listener = bind(path).map_err(refused)?;
        let inode = std::fs::metadata(path).map_err(refused)?.ino();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(MODE)).map_err(refused)?;
        Ok(Socket { listener, path: path.to_owned(), inode, seats: VecDeque::new() })
    }

    /// A seat for a new connection; the one taken first is given up if there is none left.
    fn seat(&mut self, stream: UnixStream) -> Connection {
        self.seats.retain(|seat| !seat.is_closed());
        if self.seats.len() >= SEATS
            && let Some(first) = self.seats.pop_front()
        {
            let _ = first.send(());
        }
        let (seat, given_up) = oneshot::channel();
        self.seats.push_back(seat);
        Connection { stream, given_up: Some(given_up), is_over: false, time_is_up: Box::pin(sleep(LONGEST)) }
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

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The user that connected, as the kernel knows it (SO_PEERCRED, unix(7)); `None` where that is not to be had.
    pub user: Option<u32>,
}

impl Peer {
    /// The user's name and number, whatever they say of themselves.
    pub fn in_words(self) -> String {
        let Some(number) = self.user else { return "unknown".to_owned() };
        match nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(number)) {
            Ok(Some(user)) => format!("{} (user {number})", printable(&user.name)),
            _ => format!("user {number}"),
        }
    }
}

impl Connected<IncomingStream<'_, Socket>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Socket>) -> Peer {
        *stream.remote_addr()
    }
}

impl<Io> Connected<IncomingStream<'_, Single<Io>>> for Peer
where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    fn connect_info(stream: IncomingStream<'_, Single<Io>>) -> Peer {
        *stream.remote_addr()
    }
}

impl Listener for Socket {
    type Io = Connection;
    type Addr = Peer;

    async fn accept(&mut self) -> (Connection, Peer) {
        let (stream, _) = Listener::accept(&mut self.listener).await;
        let user = stream.peer_cred().ok().map(|credentials| credentials.uid());
        (self.seat(stream), Peer { user })
    }

    fn local_addr(&self) -> io::Result<Peer> {
        self.listener.local_addr().map(|_| Peer { user: None })
    }
}

/// A connection: fails once its seat is given up or its time is up.
#[derive(Debug)]
pub struct Connection {
    stream: UnixStream,
    /// Asked until it has answered: it may not be asked again.
    given_up: Option<oneshot::Receiver<()>>,
    is_over: bool,
    time_is_up: Pin<Box<Sleep>>,
}

impl Connection {
    /// Fails if the connection has to end, and wakes the caller when it has to.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if let Some(given_up) = &mut self.given_up
            && let Poll::Ready(word) = Pin::new(given_up).poll(context)
        {
            self.given_up = None;
            // A sender that was dropped is that of a daemon at its end: what is being answered may be finished.
            self.is_over = word.is_ok();
        }
        if self.is_over || self.time_is_up.as_mut().poll(context).is_ready() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
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
    type Addr = Peer;

    async fn accept(&mut self) -> (Io, Peer) {
        match self.connection.take() {
            Some(connection) => (connection, Peer { user: None }),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer { user: None })
    }
}

/// Makes a directory, and those it is in, with a mode of their own: what the umask leaves may be too much or too little.
fn make_directory(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.exists() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_directory(parent)?;
    }
    match std::fs::DirBuilder::new().mode(DIRECTORY_MODE).create(path) {
        Ok(()) => std::fs::set_permissions(path, std::fs::Permissions::from_mode(DIRECTORY_MODE)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// In a directory like `/tmp`, where everybody may write but the sticky bit is set, nobody takes away another's file.
fn check_directory(path: &Path) -> io::Result<Result<(), SocketError>> {
    let mode = std::fs::metadata(path)?.mode() & 0o7777;
    if mode & WRITABLE_BY_ALL != 0 && mode & STICKY == 0 {
        return Ok(Err(SocketError::Exposed { directory: path.to_owned(), mode }));
    }
    Ok(Ok(()))
}

/// Binds it so that nobody who may not can connect in the moment before its mode is set: the file gets the mode of the socket that is bound to
/// it, as far as the umask leaves it (Linux, net/unix/af_unix.c, unix_bind_bsd). The umask itself is the whole process', and other threads make files.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket::socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    nix::sys::stat::fchmod(&socket, Mode::from_bits_truncate(MODE))?;
    socket::bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    socket::listen(&socket, Backlog::MAXCONN)?;
    UnixListener::from_std(socket.into())
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
const DIRECTORY_MODE: u32 = 0o755;
const WRITABLE_BY_ALL: u32 = 0o002;
const STICKY: u32 = 0o1000;
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

    #[tokio::test]
    async fn a_seat_may_be_asked_again_after_its_daemon_has_gone() {
        let (_directory, mut socket) = connected().await;
        let path = socket.path.clone();
        let mut client = UnixStream::connect(&path).await.unwrap();
        let mut seated = Listener::accept(&mut socket).await.0;
        drop(socket);
        for byte in [7, 8] {
            client.write_u8(byte).await.unwrap();
            assert_eq!(seated.read_u8().await.unwrap(), byte, "what is being answered may be finished");
        }
    }

    #[tokio::test]
    async fn a_seat_that_was_given_up_stays_given_up() {
        let (_directory, mut socket) = connected().await;
        let mut client = UnixStream::connect(&socket.path).await.unwrap();
        let mut seated = Listener::accept(&mut socket).await.0;
        socket.seats.pop_front().unwrap().send(()).unwrap();
        client.write_u8(7).await.unwrap();
        for _ in 0..2 {
            assert_eq!(seated.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
            assert_eq!(seated.write_u8(7).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        }
    }

    #[tokio::test]
    async fn a_directory_where_anybody_may_write_is_refused_unless_it_is_like_tmp() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("l2gw.sock");
        let set_mode = |mode| {
            std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        };
        set_mode(0o777);
        let error = Socket::open(&path).await.unwrap_err().to_string();
        assert!(error.contains("(mode 0777): chmod 0755"), "{error}");
        assert!(!path.exists());
        for mode in [0o1777, 0o770, 0o755, 0o700] {
            set_mode(mode);
            drop(Socket::open(&path).await.unwrap());
        }
    }
}

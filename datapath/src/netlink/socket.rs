//! Netlink sockets, and the namespace they are opened in.
//!
//! A netlink socket belongs for ever to the network namespace of the thread that opened it. A datapath and a link, too, belong to one; so
//! who drives or watches them remembers the namespace in which it was opened and opens its later sockets there, whichever thread it runs on.
// setsockopt with options of netlink(7) and SO_RCVBUFFORCE have no safe wrapper that takes neli's socket, and recvmmsg(2) none that does
// without memory of its own for each call; tokio's registration of a descriptor asks its caller to vouch for it.
#![allow(unsafe_code)]

use std::fmt;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use neli::consts::socket::{Msg, NlFamily};
use neli::socket::NlSocket;
use neli::utils::Groups;
use nix::sched::{CloneFlags, setns};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A network namespace, kept open.
#[derive(Debug)]
pub(crate) struct Home {
    file: File,
}

impl Home {
    /// The calling thread's.
    ///
    /// # Errors
    /// `/proc` is not mounted.
    pub(crate) fn here() -> io::Result<Home> {
        File::open(THIS_THREAD).map(|file| Home { file })
    }

    /// A non-blocking socket for generic netlink in it, bound to a port id of the kernel's choice.
    ///
    /// # Errors
    /// Out of descriptors; in another namespace also: CAP_SYS_ADMIN is missing.
    pub(crate) fn open_socket(&self, receive_buffer: usize) -> io::Result<NlSocket> {
        self.run(|| open_socket(NlFamily::Generic, receive_buffer))
    }

    /// The same for rtnetlink, which tells of links, addresses and routes.
    ///
    /// # Errors
    /// As [`open_socket`](Self::open_socket).
    pub(crate) fn open_route_socket(&self, receive_buffer: usize) -> io::Result<NlSocket> {
        self.run(|| open_socket(NlFamily::Route, receive_buffer))
    }

    /// The first of these port ids that a generic netlink socket of some program has: the one that hears what is sent there.
    ///
    /// # Errors
    /// As [`open_socket`](Self::open_socket).
    pub(crate) fn first_taken(&self, port_ids: &[u32]) -> io::Result<Option<u32>> {
        self.run(|| {
            for port_id in port_ids.iter().copied().filter(|port_id| *port_id != 0) {
                match NlSocket::connect(NlFamily::Generic, Some(port_id), Groups::empty()) {
                    Ok(_probe) => {}
                    Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Ok(Some(port_id)),
                    Err(error) => return Err(error),
                }
            }
            Ok(None)
        })
    }

    /// A table of its sockets: a file of `/proc/net`.
    ///
    /// # Errors
    /// There is none of this name; as [`open_socket`](Self::open_socket).
    pub(crate) fn read_net(&self, table: &str) -> io::Result<String> {
        self.run(|| std::fs::read_to_string(Path::new(NET_OF_THIS_THREAD).join(table)))
    }

    fn run<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        if self.is_here()? {
            return work();
        }
        // A thread can leave its namespace only for good, so a thread of its own goes there.
        std::thread::scope(|scope| {
            let there = scope.spawn(|| {
                setns(&self.file, CloneFlags::CLONE_NEWNET)?;
                work()
            });
            there.join().unwrap_or_else(|_| Err(io::Error::other("the thread that opens sockets panicked")))
        })
    }

    fn is_here(&self) -> io::Result<bool> {
        let (home, here) = (self.file.metadata()?, std::fs::metadata(THIS_THREAD)?);
        Ok((home.dev(), home.ino()) == (here.dev(), here.ino()))
    }
}

/// A netlink socket that the runtime watches.
pub(crate) struct Watched(AsyncFd<NlSocket>);

impl Watched {
    /// Registers a non-blocking socket with the runtime around.
    ///
    /// # Errors
    /// Out of memory in the kernel's event queue.
    pub(crate) fn new(socket: NlSocket) -> io::Result<Watched> {
        // SAFETY: an NlSocket owns its descriptor and closes it only when dropped, behind the registration.
        let registered = unsafe { AsyncFd::register(socket) };
        Ok(Watched(registered?))
    }

    /// The socket was just found empty: it is waited for when somebody asks next, without another look before.
    pub(crate) fn note_empty(&self) {
        let _: io::Result<()> = self.0.try_io(Interest::READABLE, |_| Err(io::ErrorKind::WouldBlock.into()));
    }
}

impl Deref for Watched {
    type Target = AsyncFd<NlSocket>;

    fn deref(&self) -> &AsyncFd<NlSocket> {
        &self.0
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watched").field(&self.0.as_raw_fd()).finish()
    }
}

/// Receives one datagram into `buffer`; its whole length, also where the buffer was shorter.
///
/// # Errors
/// As of recv(2): `WouldBlock` when there is none, ENOBUFS when datagrams were lost.
pub(crate) fn receive(socket: &NlSocket, buffer: &mut [u8]) -> io::Result<usize> {
    socket.recv(buffer, Msg::TRUNC).map(|(len, _)| len)
}

/// Room for several datagrams.
pub(crate) struct Inbox {
    room: Box<[u8]>,
    each: usize,
    /// How many came the last time that some came.
    usual: usize,
    /// A socket was found empty since.
    was_emptied: bool,
}

impl Inbox {
    /// Room for `count` datagrams of at most `each` bytes, both at least 1; at most [`AT_ONCE`] come at once.
    pub(crate) fn new(count: usize, each: usize) -> Inbox {
        Inbox { room: vec![0; count * each].into(), each, usual: 1, was_emptied: true }
    }

    /// How many are to be asked for: as many as came the last time, since to find out that there are no more costs as much as to
    /// receive one; and twice as many where there may be more.
    pub(crate) fn usual(&self) -> usize {
        if self.was_emptied { self.usual } else { 2 * self.usual }
    }

    /// Receives datagrams that are there, `most` and the room permitting, in one system call, and hands each of them on; `None`
    /// stands for one that was longer than its room. How many there were, and whether that was all.
    ///
    /// # Errors
    /// As of recvmmsg(2): `WouldBlock` when there is none, ENOBUFS when datagrams were lost.
    pub(crate) fn receive(
        &mut self,
        socket: &NlSocket,
        most: usize,
        mut take: impl FnMut(Option<&[u8]>),
    ) -> io::Result<(usize, Left)> {
        let mut lengths = [0; AT_ONCE];
        let asked = most.min(self.room.len() / self.each).min(AT_ONCE);
        let came = receive_many(socket, self.room.chunks_exact_mut(self.each).take(asked), &mut lengths);
        self.was_emptied = came.as_ref().map_or(true, |count| *count < asked);
        let count = came?;
        self.usual = count.max(1);
        for (room, length) in self.room.chunks_exact(self.each).zip(&lengths[..count]) {
            take(room.get(..*length));
        }
        Ok((count, if self.was_emptied { Left::Nothing } else { Left::Perhaps }))
    }
}

/// Receives a datagram into each room, as many as there are and as there is room for, [`AT_ONCE`] at most, and notes their whole
/// lengths; how many came.
fn receive_many<'a>(
    socket: &NlSocket,
    rooms: impl Iterator<Item = &'a mut [u8]>,
    lengths: &mut [usize; AT_ONCE],
) -> io::Result<usize> {
    let mut pieces = [MaybeUninit::<libc::iovec>::uninit(); AT_ONCE];
    let mut headers = [MaybeUninit::<libc::mmsghdr>::uninit(); AT_ONCE];
    let mut count = 0;
    for ((room, piece), header) in rooms.zip(&mut pieces).zip(&mut headers) {
        let piece = piece.write(libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() });
        // SAFETY: all its fields are numbers and pointers, for which zero is a value.
        let header = header.write(unsafe { MaybeUninit::zeroed().assume_init() });
        (header.msg_hdr.msg_iov, header.msg_hdr.msg_iovlen) = (piece, 1);
        count += 1;
    }
    // SAFETY: the first `count` headers are written, and point to pieces that are, which point to rooms that are borrowed until the
    // end of this call; none overlaps another.
    let came = unsafe {
        let flags = libc::MSG_TRUNC as _;
        libc::recvmmsg(socket.as_raw_fd(), headers.as_mut_ptr().cast(), count, flags, std::ptr::null_mut())
    };
    let came = usize::try_from(came).map_err(|_| io::Error::last_os_error())?;
    for (length, header) in lengths.iter_mut().zip(&headers).take(came) {
        // SAFETY: not more come than were asked for, and those headers are written.
        *length = unsafe { header.assume_init_ref() }.msg_len as usize;
    }
    Ok(came)
}

/// Datagrams that are received by one system call, at most.
const AT_ONCE: usize = 16;

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("bytes", &self.room.len()).field("each", &self.each).finish()
    }
}

/// Whether a socket has more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// It was empty.
    Nothing,
    /// As many came as were asked for.
    Perhaps,
}

/// A netlink socket that the runtime watches only while somebody waits for it. A standing watch would wake the runtime for each answer
/// that has been read already.
pub(crate) struct Unwatched(NlSocket);

impl Unwatched {
    /// Of a non-blocking socket.
    pub(crate) fn new(socket: NlSocket) -> Unwatched {
        Unwatched(socket)
    }

    /// As [`receive`].
    ///
    /// # Errors
    /// As of recv(2): `WouldBlock` when there is none, ENOBUFS when datagrams were lost.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        receive(&self.0, buffer)
    }

    /// Sends one datagram, waiting until the socket takes it.
    ///
    /// # Errors
    /// As of send(2).
    pub(crate) async fn send(&self, bytes: &[u8]) -> io::Result<()> {
        loop {
            match self.0.send(bytes, Msg::empty()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(Interest::WRITABLE).await?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                sent => return sent.map(|_| ()),
            }
        }
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// Out of memory in the kernel's event queue.
    pub(crate) async fn wait(&self, interest: Interest) -> io::Result<()> {
        // SAFETY: the socket is borrowed for the whole of this call, and the registration ends within it.
        let registered = unsafe { AsyncFd::register_with_interest(self.0.as_raw_fd(), interest) };
        registered?.ready(interest).await.map(drop)
    }
}

impl fmt::Debug for Unwatched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unwatched").field(&self.0.as_raw_fd()).finish()
    }
}

/// Has a socket hear what is told to a multicast group. neli's own call knows the first 32 groups only, and the numbers of generic
/// netlink's go beyond.
///
/// # Errors
/// As of setsockopt(2).
pub(crate) fn join(socket: &NlSocket, group: u32) -> io::Result<()> {
    set_option(socket, libc::SOL_NETLINK, libc::NETLINK_ADD_MEMBERSHIP, group.cast_signed())
}

fn open_socket(family: NlFamily, receive_buffer: usize) -> io::Result<NlSocket> {
    let socket = NlSocket::connect(family, None, Groups::empty())?;
    socket.nonblock()?;
    socket.enable_ext_ack(true)?;
    set_option(&socket, libc::SOL_NETLINK, libc::NETLINK_CAP_ACK, 1)?;
    let size = libc::c_int::try_from(receive_buffer).unwrap_or(libc::c_int::MAX);
    // Past net.core.rmem_max, which takes CAP_NET_ADMIN in the first namespace; in a container it stays at what is allowed.
    if set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, size).is_err() {
        set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, size)?;
    }
    Ok(socket)
}

fn set_option(
    socket: &NlSocket,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the kernel reads `len` bytes of `value`, which outlives the call.
    match unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), len) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

const THIS_THREAD: &str = "/proc/thread-self/ns/net";
const NET_OF_THIS_THREAD: &str = "/proc/thread-self/net";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_opened_at_home_is_non_blocking_and_has_a_port_id() {
        let socket = Home::here().unwrap().open_socket(1 << 16).unwrap();
        assert!(!socket.is_blocking().unwrap());
        assert_ne!(socket.pid().unwrap(), 0);
        let nothing = receive(&socket, &mut [0; 16]).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
    }

    /// Everybody may send to a socket of the same program.
    #[test]
    fn datagrams_are_received_many_at_a_time_and_each_whole_or_not_at_all() {
        let home = Home::here().unwrap();
        let (from, to) = (home.open_socket(1 << 16).unwrap(), home.open_socket(1 << 16).unwrap());
        let send = |bytes: &[u8]| {
            // SAFETY: an address is plain data, and zero a value of each field.
            let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
            (address.nl_family, address.nl_pid) = (libc::AF_NETLINK as _, to.pid().unwrap());
            let len = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
            // SAFETY: the kernel reads so many bytes of both, which outlive the call.
            let sent = unsafe {
                let address = (&raw const address).cast();
                libc::sendto(from.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0, address, len)
            };
            assert_eq!(sent, bytes.len() as isize, "{}", io::Error::last_os_error());
        };
        let mut inbox = Inbox::new(3, 8);
        let mut come = |most: usize| {
            let mut all = Vec::new();
            let (count, left) = inbox.receive(&to, most, |bytes| all.push(bytes.map(<[u8]>::to_vec)))?;
            assert_eq!(count, all.len());
            Ok::<_, io::Error>((all, left, inbox.usual()))
        };
        assert_eq!(come(3).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        (1..=5).for_each(|number| send(&[number; 8][..number as usize]));
        send(&[9; 9]);
        assert_eq!(come(1).unwrap(), (vec![Some(vec![1])], Left::Perhaps, 2));
        let three = (2..=4).map(|number: u8| Some(vec![number; number.into()])).collect();
        assert_eq!(come(9).unwrap(), (three, Left::Perhaps, 6), "no more than it has room for");
        assert_eq!(come(3).unwrap(), (vec![Some(vec![5; 5]), None], Left::Nothing, 2), "one was too long");
        assert_eq!(come(3).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_port_id_is_taken_while_its_socket_is_open() {
        let home = Home::here().unwrap();
        let socket = home.open_socket(1 << 16).unwrap();
        let port_id = socket.pid().unwrap();
        assert_eq!(home.first_taken(&[0, port_id]).unwrap(), Some(port_id));
        drop(socket);
        assert_eq!(home.first_taken(&[0, port_id]).unwrap(), None);
    }
}

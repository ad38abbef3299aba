//! Frames in and out of one link, as the bytes on the wire.
//!
//! A packet socket on the link, promiscuous, blind to what the link itself sends out. The kernel takes the outermost tag off
//! a frame that comes in and reports it beside the bytes; here it is put back (packet(7), `PACKET_AUXDATA`).
//!
//! A frame that a namespace's own stack sent may lack its transport checksum: a veth leaves that to the receiver.
// recvmsg with control messages, and socket options of packet(7), have no safe wrapper among our dependencies.
#![allow(unsafe_code)]

use std::ffi::{CString, c_int, c_void};
use std::io::{self, Read};
use std::mem::{MaybeUninit, size_of, zeroed};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, SockAddrStorage, Socket, Type};

/// A packet socket on one link. It stays on it, whatever namespace its user is in.
#[derive(Debug)]
pub struct Tap {
    socket: Socket,
    link: String,
}

impl Tap {
    /// Opens a tap on a link of the calling thread's namespace; [`super::netns::Netns::tap`] does so in another.
    ///
    /// # Errors
    /// There is no such link, or the process may not open packet sockets.
    pub fn open(link: &str) -> io::Result<Self> {
        Self::open_with(link, true)
    }

    /// Opens a tap that sees what the link itself sends too, and on a netlink monitor there is nothing else.
    ///
    /// # Errors
    /// There is no such link, or the process may not open packet sockets.
    pub fn open_to_all(link: &str) -> io::Result<Self> {
        Self::open_with(link, false)
    }

    fn open_with(link: &str, is_blind_to_own: bool) -> io::Result<Self> {
        let index = index_of(link)?;
        let socket = Socket::new(Domain::from(libc::AF_PACKET), Type::from(libc::SOCK_RAW), None)?;
        let all = libc::packet_mreq {
            mr_ifindex: index,
            mr_type: libc::PACKET_MR_PROMISC as u16,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &RECEIVE_BUFFER)?;
        set_option(&socket, libc::SOL_PACKET, libc::PACKET_AUXDATA, &1)?;
        set_option(&socket, libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, &c_int::from(is_blind_to_own))?;
        set_option(&socket, libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &all)?;
        // Bound last: before that it hears nothing, so nothing arrives that the options did not see.
        socket.bind(&all_frames_of(index))?;
        Ok(Self { socket, link: link.to_owned() })
    }

    /// Sends one frame as it stands, without padding.
    ///
    /// # Panics
    /// The link is down or gone, or the frame is longer than the link takes.
    pub fn send(&self, frame: &[u8]) {
        if let Err(error) = self.try_send(frame) {
            panic!("cannot send {} bytes on {}: {error}", frame.len(), self.link);
        }
    }

    /// Sends one frame as it stands, without padding.
    ///
    /// # Errors
    /// The link is down or gone, or the frame is longer than the link takes.
    pub fn try_send(&self, frame: &[u8]) -> io::Result<()> {
        self.socket.send(frame).map(|_| ())
    }

    /// The next frame, if one comes within this time.
    ///
    /// # Panics
    /// The socket fails.
    pub fn recv(&self, within: Duration) -> Option<Vec<u8>> {
        let deadline = Instant::now() + within;
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).max(SHORTEST_WAIT);
            let received = self.socket.set_read_timeout(Some(left)).and_then(|()| receive(&self.socket, 0));
            match received {
                Ok(frame) => return Some(frame),
                Err(error) if is_no_frame(&error) && Instant::now() >= deadline => return None,
                Err(error) if is_no_frame(&error) => {}
                Err(error) => panic!("cannot receive on {}: {error}", self.link),
            }
        }
    }

    /// How long [`Tap::read_into`] waits.
    ///
    /// # Panics
    /// The socket refuses; zero is refused.
    pub fn set_patience(&self, within: Duration) {
        let set = self.socket.set_read_timeout(Some(within));
        set.unwrap_or_else(|error| panic!("cannot set a time limit on {}: {error}", self.link));
    }

    /// The next frame as the kernel has it, without the tag that it has taken off; how long it is. For those who measure: it costs
    /// the system call and nothing else.
    ///
    /// # Errors
    /// `WouldBlock` when none has come in time.
    pub fn read_into(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.socket).read(buffer)
    }

    /// [`Tap::read_into`] for a frame that is already here. A time limit would be a tick of the clock at least, in which the next of many
    /// frames arrives.
    ///
    /// # Errors
    /// `WouldBlock` when there is none.
    pub fn read_present(&self, buffer: &mut [u8]) -> io::Result<usize> {
        // SAFETY: the kernel writes at most `buffer.len()` bytes into it.
        let length = unsafe {
            let to = buffer.as_mut_ptr().cast();
            libc::recv(self.socket.as_raw_fd(), to, buffer.len(), libc::MSG_DONTWAIT)
        };
        usize::try_from(length).map_err(|_| io::Error::last_os_error())
    }

    /// The next frame that `is_wanted`, if it comes within this time; the others are dropped.
    ///
    /// # Panics
    /// The socket fails.
    pub fn recv_matching(&self, within: Duration, is_wanted: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        let deadline = Instant::now() + within;
        loop {
            // Others may come so fast that there is always one more.
            let left = deadline.saturating_duration_since(Instant::now());
            let frame = self.recv(left).filter(|_| !left.is_zero())?;
            if is_wanted(&frame) {
                return Some(frame);
            }
        }
    }

    /// Every frame before the one that `is_last`: how to see that something did *not* come without waiting for nothing.
    /// Send what must not arrive, then one that must, and collect up to the latter.
    ///
    /// # Panics
    /// The last frame does not come within this time.
    pub fn collect_until(&self, within: Duration, is_last: impl Fn(&[u8]) -> bool) -> Vec<Vec<u8>> {
        let deadline = Instant::now() + within;
        let mut before = Vec::new();
        while let Some(frame) = self.recv(deadline.saturating_duration_since(Instant::now())) {
            if is_last(&frame) {
                return before;
            }
            before.push(frame);
        }
        panic!("no last frame on {} within {within:?}, only {before:02x?}", self.link)
    }

    /// The frames that are already here.
    ///
    /// # Panics
    /// The socket fails.
    pub fn drain(&self) -> Vec<Vec<u8>> {
        let next = || match receive(&self.socket, libc::MSG_DONTWAIT) {
            Ok(frame) => Some(frame),
            Err(error) if is_no_frame(&error) => None,
            Err(error) => panic!("cannot receive on {}: {error}", self.link),
        };
        std::iter::from_fn(next).collect()
    }

    /// How many frames the kernel had no room for since this was last asked; a test that counts asks this too.
    ///
    /// # Panics
    /// The socket fails.
    pub fn lost(&self) -> u32 {
        let mut statistics = MaybeUninit::<libc::tpacket_stats>::zeroed();
        let mut length = size_of::<libc::tpacket_stats>() as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes into `statistics`, whose every bit pattern is valid.
        let (result, statistics) = unsafe {
            let option = statistics.as_mut_ptr().cast::<c_void>();
            let fd = self.socket.as_raw_fd();
            let result =
                libc::getsockopt(fd, libc::SOL_PACKET, libc::PACKET_STATISTICS, option, &raw mut length);
            (result, statistics.assume_init())
        };
        assert!(result == 0, "no statistics of {}: {}", self.link, io::Error::last_os_error());
        statistics.tp_drops
    }
}

fn index_of(link: &str) -> io::Result<c_int> {
    let name = CString::new(link)?;
    // SAFETY: `name` is a string that ends in 0 and lives through the call.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index as c_int),
    }
}

fn all_frames_of(index: c_int) -> SockAddr {
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: sockaddr_ll is a socket address and fits into the storage of any.
    let address = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = index;
    // SAFETY: the storage holds a sockaddr_ll, as just written, of this length.
    unsafe { SockAddr::new(storage, size_of::<libc::sockaddr_ll>() as libc::socklen_t) }
}

fn set_option<T>(socket: &Socket, level: c_int, name: c_int, value: &T) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` is a plain value of `length` bytes, which the kernel only reads.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const *value).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// One frame with its outermost tag put back.
fn receive(socket: &Socket, flags: c_int) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; LONGEST_FRAME];
    let mut control = Control([0; CONTROL_LENGTH]);
    let mut part = libc::iovec { iov_base: frame.as_mut_ptr().cast(), iov_len: frame.len() };
    // SAFETY: an all-zero msghdr is a valid empty one; each pointer put into it outlives the call, with its length beside it.
    let (length, auxdata) = unsafe {
        let mut message: libc::msghdr = zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = CONTROL_LENGTH;
        let length = libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags);
        (usize::try_from(length).map_err(|_| io::Error::last_os_error())?, auxdata_of(&message))
    };
    frame.truncate(length);
    frame.shrink_to_fit();
    if let Some(tag) = auxdata.and_then(tag_of) {
        let at = ADDRESSES.min(frame.len());
        frame.splice(at..at, tag);
    }
    Ok(frame)
}

/// # Safety
/// `message` was filled in by recvmsg and its control buffer is still there.
unsafe fn auxdata_of(message: &libc::msghdr) -> Option<libc::tpacket_auxdata> {
    // SAFETY: the CMSG macros walk the control buffer within the length that the kernel wrote; data may be unaligned.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while let Some(control) = header.as_ref() {
            if control.cmsg_level == libc::SOL_PACKET && control.cmsg_type == libc::PACKET_AUXDATA {
                return Some(libc::CMSG_DATA(control).cast::<libc::tpacket_auxdata>().read_unaligned());
            }
            header = libc::CMSG_NXTHDR(message, control);
        }
    }
    None
}

/// The four bytes of the tag that the kernel took off.
fn tag_of(auxdata: libc::tpacket_auxdata) -> Option<[u8; 4]> {
    let has = |flag: u32| auxdata.tp_status & flag != 0;
    let tpid =
        if has(libc::TP_STATUS_VLAN_TPID_VALID) { auxdata.tp_vlan_tpid } else { libc::ETH_P_8021Q as u16 };
    let ([a, b], [c, d]) = (tpid.to_be_bytes(), auxdata.tp_vlan_tci.to_be_bytes());
    has(libc::TP_STATUS_VLAN_VALID).then_some([a, b, c, d])
}

/// A link that goes down says so once; the socket goes on.
fn is_no_frame(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR | libc::ENETDOWN))
}

/// Control messages are read as structures, so their buffer is aligned as one.
#[repr(align(8))]
struct Control([u8; CONTROL_LENGTH]);

/// linux/if_packet.h; not in the libc crate.
const PACKET_IGNORE_OUTGOING: c_int = 23;

/// Room for some ten thousand short frames, which the kernel counts with their overhead.
const RECEIVE_BUFFER: c_int = 8 << 20;

/// The longest IP packet, with headers and tags.
const LONGEST_FRAME: usize = 65_536 + 64;

const CONTROL_LENGTH: usize = 128;

const ADDRESSES: usize = 12;

/// A timeout of zero would mean to wait for ever.
const SHORTEST_WAIT: Duration = Duration::from_micros(1);

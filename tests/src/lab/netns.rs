//! A network namespace that exists as an open descriptor and ends with it.
//!
//! Nothing is mounted and no process is forked: a thread makes the namespace and ends, the descriptor keeps it. What a test
//! does inside, it does in a thread of its own that joins the namespace first, so sockets opened and programs started there
//! belong to it, and go on belonging to it when they are handed out.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Mutex;

use nix::sched::{CloneFlags, setns, unshare};

use super::links::{Channel, Links};
use super::tap::Tap;

/// A network namespace. Dropping it removes it with every link in it, and the far ends of its veth pairs.
#[derive(Debug)]
pub struct Netns {
    name: String,
    file: File,
    channel: Mutex<Option<Channel>>,
}

impl Netns {
    /// A new namespace with nothing but `lo`, which is up. `name` is for messages only and need not be unique.
    ///
    /// Links made in it assign themselves no IPv6 address and do no duplicate address detection, so that the only frames on
    /// a wire are those that a test causes.
    ///
    /// # Panics
    /// The process may not make namespaces.
    pub fn new(name: &str) -> Self {
        let make = || -> io::Result<File> {
            unshare(CloneFlags::CLONE_NEWNET)?;
            File::open(THIS_THREAD)
        };
        let file = in_thread(make).unwrap_or_else(|e| panic!("cannot make namespace {name}: {e}"));
        let netns = Self { name: name.to_owned(), file, channel: Mutex::new(None) };
        netns.silence_ipv6();
        netns.links().set_up("lo");
        netns
    }

    /// The namespace of the calling thread.
    ///
    /// # Panics
    /// `/proc` is not mounted.
    pub fn current(name: &str) -> Self {
        let file = File::open(THIS_THREAD).unwrap_or_else(|e| panic!("cannot open {THIS_THREAD}: {e}"));
        Self { name: name.to_owned(), file, channel: Mutex::new(None) }
    }

    /// What messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `work` in a thread inside the namespace. A panic in there goes on out here.
    ///
    /// # Panics
    /// `work` panicked, or the namespace cannot be joined.
    pub fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        in_thread(|| {
            setns(&self.file, CloneFlags::CLONE_NEWNET)
                .unwrap_or_else(|e| panic!("cannot join namespace {}: {e}", self.name));
            work()
        })
    }

    /// Its links, to be made and changed.
    pub fn links(&self) -> Links<'_> {
        Links::new(self, &self.channel)
    }

    /// Frames in and out of one of its links, as bytes.
    ///
    /// # Panics
    /// There is no such link.
    pub fn tap(&self, link: &str) -> Tap {
        self.run(|| Tap::open(link)).unwrap_or_else(|e| panic!("cannot tap {link} in {}: {e}", self.name))
    }

    /// Writes a setting under `/proc/sys/net`; `key` is the path below it.
    ///
    /// # Panics
    /// There is no such setting, or it refuses the value.
    pub fn set(&self, key: &str, value: &str) {
        let path = Path::new("/proc/sys/net").join(key);
        self.run(|| std::fs::write(&path, value))
            .unwrap_or_else(|e| panic!("cannot set {} to {value} in {}: {e}", path.display(), self.name));
    }

    /// Values of Documentation/networking/ip-sysctl.rst; 1 of `addr_gen_mode` is "none".
    fn silence_ipv6(&self) {
        for (key, value) in [("addr_gen_mode", "1"), ("accept_dad", "0"), ("router_solicitations", "0")] {
            self.set(&format!("ipv6/conf/default/{key}"), value);
        }
    }
}

impl AsRawFd for Netns {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

/// Runs `work` in a thread of its own, which takes its namespace with it when it ends.
fn in_thread<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| scope.spawn(work).join()).unwrap_or_else(|panic| resume_unwind(panic))
}

const THIS_THREAD: &str = "/proc/thread-self/ns/net";

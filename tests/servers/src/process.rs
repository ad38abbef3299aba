//! A server's process: there or not, and sent signals only while it is there.

use std::io;
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use crate::launch::{Namespaces, launch};

/// The process of one server, through all its restarts.
#[derive(Debug, Default)]
pub(crate) struct Process {
    child: Mutex<Option<Child>>,
}

impl Process {
    /// Starts it; the one before is gone.
    pub(crate) fn start(&self, command: Command, into: Option<Namespaces>) -> io::Result<()> {
        *self.child() = Some(launch(command, into)?);
        Ok(())
    }

    /// Kills it and waits until it is gone. None if it is not there.
    pub(crate) fn kill(&self) -> Option<io::Result<()>> {
        self.act(|child| child.kill().and_then(|()| child.wait()).map(drop))
    }

    /// Asks it to end, and lets it go on if it is stopped. Returns when it is gone; after `limit` it is killed, which is an error. None if it
    /// is not there.
    pub(crate) fn terminate(&self, limit: Duration) -> Option<io::Result<()>> {
        self.act(|child| {
            kill(pid(child), Signal::SIGTERM)?;
            kill(pid(child), Signal::SIGCONT)?;
            let start = Instant::now();
            while child.try_wait()?.is_none() {
                if start.elapsed() > limit {
                    child.kill().and_then(|()| child.wait())?;
                    let late = format!("it had not ended {limit:?} after SIGTERM and was killed");
                    return Err(io::Error::new(io::ErrorKind::TimedOut, late));
                }
                std::thread::sleep(POLL);
            }
            Ok(())
        })
    }

    /// Stops it. Returns when all its threads stand, or it has ended. None if it is not there.
    pub(crate) fn stop(&self) -> Option<io::Result<()>> {
        let until = WaitPidFlag::WSTOPPED | WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        self.act(|child| {
            kill(pid(child), Signal::SIGSTOP)?;
            Ok(waitid(Id::Pid(pid(child)), until).map(drop)?)
        })
    }

    /// Lets it go on. None if it is not there.
    pub(crate) fn cont(&self) -> Option<io::Result<()>> {
        self.act(|child| Ok(kill(pid(child), Signal::SIGCONT)?))
    }

    /// Its number, if it is there, stopped or not.
    pub(crate) fn id(&self) -> Option<u32> {
        self.act(|child| child.id())
    }

    /// Nobody else waits for it meanwhile, so that its number is its own.
    fn act<R>(&self, act: impl FnOnce(&mut Child) -> R) -> Option<R> {
        match self.child().as_mut().map(|child| (child.try_wait(), child)) {
            Some((Ok(None), child)) => Some(act(child)),
            _ => None,
        }
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}

const POLL: Duration = Duration::from_millis(20);

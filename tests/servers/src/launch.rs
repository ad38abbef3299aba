//! Starting processes that end when this one does, however it ends.
//!
//! The kernel kills a child when the *thread* that forked it ends (prctl(2), PR_SET_PDEATHSIG). A test's thread ends with the test, and an
//! executor's whenever it likes, so one thread forks all children, and lives as long as the process.
// The child changes itself between fork and exec, which the standard library offers as `pre_exec` only.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};

use nix::sched::{CloneFlags, setns};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{getpid, getppid};

/// The user and the mount namespace that a process is to be in.
#[derive(Debug)]
pub(crate) struct Namespaces {
    /// Entered first: it is what allows to enter the other.
    pub(crate) user: File,
    /// What is mounted.
    pub(crate) mount: File,
}

/// Starts a process that is killed when this process ends. With namespaces it is started in them.
///
/// # Errors
/// The program cannot be run, or the namespaces cannot be entered.
pub(crate) fn launch(mut command: Command, into: Option<Namespaces>) -> io::Result<Child> {
    let parent = getpid();
    let prepare = move || {
        if let Some(Namespaces { user, mount }) = &into {
            setns(user, CloneFlags::CLONE_NEWUSER)?;
            setns(mount, CloneFlags::CLONE_NEWNS)?;
        }
        // After what changes the process's rights, which would clear it.
        set_pdeathsig(Signal::SIGKILL)?;
        match getppid() == parent {
            true => Ok(()),
            // The parent was gone before the kernel was told to watch it.
            false => Err(io::Error::from_raw_os_error(nix::errno::Errno::ESRCH as i32)),
        }
    };
    // SAFETY: setns, prctl and getppid are plain system calls, and an error of a number: no allocation, no lock.
    unsafe { command.pre_exec(prepare) };
    let (answer, answered) = channel();
    let gone = |_| io::Error::other("the thread that starts servers is gone");
    let forker = forker().lock().unwrap_or_else(PoisonError::into_inner).clone();
    forker.send(Order { command, answer }).map_err(|_| gone(()))?;
    answered.recv().map_err(|_| gone(()))?
}

struct Order {
    command: Command,
    answer: Sender<io::Result<Child>>,
}

/// The way to the thread that forks.
fn forker() -> &'static Mutex<Sender<Order>> {
    static FORKER: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    FORKER.get_or_init(|| {
        let (orders, ordered) = channel::<Order>();
        std::thread::spawn(move || {
            for Order { mut command, answer } in ordered {
                // Whoever asked has an answer, or is gone and with it the child's handle; the child goes with the process.
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(orders)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_outlives_the_thread_that_asked_for_it() {
        let mut command = Command::new("sleep");
        command.arg("60");
        let mut child = std::thread::spawn(|| launch(command, None).unwrap()).join().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(child.try_wait().unwrap().is_none(), "it was killed with the thread");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn what_cannot_be_run_is_told() {
        let error = launch(Command::new("/nowhere/at-all"), None).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}

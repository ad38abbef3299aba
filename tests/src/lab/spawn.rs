//! Starting a process that must be alone on its CPU and must not outlive the lab.
// The child changes itself between fork and exec, which the standard library offers as `pre_exec` only.
#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::{Pid, setsid};

/// Starts `command` as leader of a session, and so of a process group, of its own, pinned to `cpu`. It is killed when the
/// thread that called this ends.
///
/// # Errors
/// There is no such CPU, or the program cannot be run.
pub(super) fn spawn_pinned(command: &mut Command, cpu: usize) -> io::Result<Child> {
    let mut only = CpuSet::new();
    only.set(cpu)?;
    let prepare = move || {
        setsid()?;
        sched_setaffinity(Pid::from_raw(0), &only)?;
        nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
        Ok(())
    };
    // SAFETY: setsid, sched_setaffinity and prctl are plain system calls: no allocation, no lock.
    unsafe { command.pre_exec(prepare) };
    command.spawn()
}

//! Who runs when, on a machine of one CPU: decided here and not by the scheduler's fairness, so that a measurement repeats.
//!
//! While it sends, the measuring thread runs before all others, so a window is whole before anybody works on it. While it waits, it
//! runs after all others, so it does not interrupt the work by reading each frame as it comes, and has the last one only when nothing
//! is left to be done.
// The policies have no safe wrapper among our dependencies.
#![allow(unsafe_code)]

use std::io;

/// Has the calling thread run before all others.
///
/// # Panics
/// The kernel refuses.
pub fn first() {
    set(libc::SCHED_FIFO, 1);
}

/// Has the calling thread run when nobody else wants to.
///
/// # Panics
/// The kernel refuses.
pub fn last() {
    set(libc::SCHED_IDLE, 0);
}

/// Has the calling thread run in turn with others, as threads do.
///
/// # Panics
/// The kernel refuses.
pub fn in_turn() {
    set(libc::SCHED_OTHER, 0);
}

fn set(policy: libc::c_int, priority: libc::c_int) {
    let parameters = libc::sched_param { sched_priority: priority };
    // SAFETY: the kernel only reads the parameters, which outlive the call; 0 is the calling thread.
    let result = unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
    assert!(result == 0, "cannot set scheduling policy {policy}: {}", io::Error::last_os_error());
}

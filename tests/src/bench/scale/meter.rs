//! CPU time: of this thread, of another process, and of processes that have ended.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// What this thread takes for some work.
///
/// # Panics
/// The kernel has no clock for threads.
pub fn of_this_thread<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let clock = || Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a thread's clock"));
    let begun = clock();
    let result = work();
    (result, clock().saturating_sub(begun))
}

/// What a process has taken so far, all threads together.
///
/// # Panics
/// There is no such process.
pub fn of_process(process: u32) -> Duration {
    let pid = Pid::from_raw(i32::try_from(process).expect("a process number"));
    let clock = clock_getcpuclockid(pid).and_then(clock_gettime);
    Duration::from(clock.unwrap_or_else(|error| panic!("the CPU time of process {process}: {error}")))
}

/// A program that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// From its start to its end.
    pub wall: Duration,
    /// CPU time of its own.
    pub cpu: Duration,
}

/// Runs a program, its output thrown away.
///
/// # Panics
/// It cannot be run, or fails; what it said is shown.
pub fn of_program(command: &mut Command) -> Ended {
    let (before, begun) = (of_children(), Instant::now());
    let output = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).output();
    let wall = begun.elapsed();
    let output = output.unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ended { wall, cpu: of_children().saturating_sub(before) }
}

/// What all children that were waited for have taken.
fn of_children() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("what ended children have taken");
    let sum = usage.user_time() + usage.system_time();
    Duration::from_micros(u64::try_from(sum.tv_sec() * 1_000_000 + sum.tv_usec()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_cpu_time_and_sleep_takes_none() {
        let until = Instant::now() + Duration::from_millis(30);
        let ((), worked) = of_this_thread(|| while Instant::now() < until {});
        let ((), slept) = of_this_thread(|| std::thread::sleep(Duration::from_millis(30)));
        assert!(worked > slept, "{worked:?} {slept:?}");
        assert!(of_process(std::process::id()) >= worked);
        assert!(of_program(&mut Command::new("true")).wall > Duration::ZERO);
    }
}

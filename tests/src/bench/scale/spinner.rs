//! Somebody who only looks at the clock, and notes how long the machine kept it from doing so: what is not the measured program's doing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use super::reading::part;
use crate::lab::slot::usable_cpus;

/// How it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Without a pause, on the last CPU that it may use: where there are several.
    Spinning,
    /// It sleeps a millisecond at a time, and a delay is how late it wakes: where there is one CPU, which it must not use up.
    Sleeping,
}

/// A thread that looks at the clock. Dropping it ends it.
#[derive(Debug)]
pub struct Spinner {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<Duration>>>,
}

/// How long it was kept from the clock: the worst of each 5 ms.
#[derive(Debug, Clone, Default)]
pub struct Delays(Vec<Duration>);

impl Spinner {
    /// Starts it.
    pub fn start(manner: Manner) -> Spinner {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || watch(manner, &stopped));
        Spinner { stop, thread: Some(thread) }
    }

    /// Ends it.
    ///
    /// # Panics
    /// The thread panicked.
    pub fn stop(mut self) -> Delays {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take();
        Delays(thread.map(|thread| thread.join().expect("the spinner")).unwrap_or_default())
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Delays {
    /// Puts those of another while with these.
    pub fn extend(&mut self, other: Delays) {
        self.0.extend(other.0);
    }

    /// What 99 of 100 windows did not exceed.
    pub fn p99(&self) -> Duration {
        part(&self.0, 0.99)
    }

    /// The worst.
    pub fn max(&self) -> Duration {
        part(&self.0, 1.0)
    }
}

fn watch(manner: Manner, stopped: &AtomicBool) -> Vec<Duration> {
    if manner == Manner::Spinning {
        pin_to_last();
    }
    let (mut worst, mut looked) = (Vec::new(), Instant::now());
    let (mut of_window, mut window_ends) = (Duration::ZERO, looked + WINDOW);
    while !stopped.load(Ordering::Relaxed) {
        if manner == Manner::Sleeping {
            std::thread::sleep(NAP);
        }
        let now = Instant::now();
        let expected = if manner == Manner::Sleeping { NAP } else { Duration::ZERO };
        of_window = of_window.max((now - looked).saturating_sub(expected));
        looked = now;
        if now >= window_ends {
            worst.push(std::mem::take(&mut of_window));
            window_ends = now + WINDOW;
        }
    }
    worst.push(of_window);
    worst
}

/// Where that is not allowed it may move, and notes the same.
fn pin_to_last() {
    let mut only = CpuSet::new();
    if let Some(cpu) = usable_cpus().last()
        && only.set(*cpu).is_ok()
    {
        let _ = sched_setaffinity(Pid::from_raw(0), &only);
    }
}

/// About as often as somebody's first frame is sent.
const WINDOW: Duration = Duration::from_millis(5);
const NAP: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_manners_note_delays() {
        for manner in [Manner::Spinning, Manner::Sleeping] {
            let spinner = Spinner::start(manner);
            std::thread::sleep(Duration::from_millis(60));
            let delays = spinner.stop();
            assert!(delays.max() > Duration::ZERO, "{manner:?}: {delays:?}");
            assert!(delays.p99() <= delays.max(), "{manner:?}");
        }
    }
}

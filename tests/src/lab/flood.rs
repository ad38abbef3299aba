//! Somebody who sends frames into a port as fast as the kernel takes them, or at a pace, until told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::tap::Tap;

/// A thread that sends. Dropping it stops it.
#[derive(Debug)]
pub struct Flood {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    /// Sends the frames that `next` makes of their numbers, `pace` apart; without a pace as fast as it can.
    pub fn start(tap: Tap, pace: Option<Duration>, next: impl Fn(u64) -> Vec<u8> + Send + 'static) -> Flood {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&sent));
        let thread = std::thread::spawn(move || {
            let begun = Instant::now();
            for number in 0.. {
                if let Some(pace) = pace {
                    let due = begun + pace.mul_f64(number as f64);
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                }
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                // Its link's queue may be full for a moment.
                if tap.try_send(&next(number)).is_ok() {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Flood { stop, sent, thread: Some(thread) }
    }

    /// How many frames were sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Ends it; nothing is sent any more when this returns.
    ///
    /// # Panics
    /// The thread panicked.
    pub fn halt(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the thread that sends");
        }
    }

    /// Ends it; how many frames were sent.
    ///
    /// # Panics
    /// The thread panicked.
    pub fn stop(mut self) -> u64 {
        self.halt();
        self.sent()
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

//! Streams: conversations of numbered frames, each from an address of its own, one after the other; and what arrives of them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use crate::lab::frames::{Frame, Mac};
use crate::lab::tap::Tap;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streams {
    /// Number of the first; no two senders to one receiver have the same.
    pub first: u32,
    /// How many.
    pub count: u32,
    /// Frames of each.
    pub frames: u32,
    /// Frames a second.
    pub rate: u32,
    /// Whom they are for.
    pub to: Mac,
}

/// What arrived, in its order.
#[derive(Debug, Default)]
pub struct Arrived(Vec<Numbered>);

/// A frame that has arrived.
#[derive(Debug, Clone, Copy)]
struct Numbered {
    stream: u32,
    frame: u32,
    at: Instant,
}

/// Somebody who notes what arrives at a link, in a thread. Dropping it ends it.
#[derive(Debug)]
pub struct Receiver {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Arrived>>,
}

impl Streams {
    /// Sends them from a thread on CPU 0, until all are sent or it is told to stop; how many frames were sent.
    ///
    /// # Panics
    /// The link does not take a frame.
    pub fn send(self, tap: &Tap, stop: &AtomicBool) -> u32 {
        std::thread::scope(|scope| {
            let sending = scope.spawn(|| {
                pin_to_first();
                self.send_here(tap, stop)
            });
            sending.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn send_here(self, tap: &Tap, stop: &AtomicBool) -> u32 {
        let begun = Instant::now();
        for number in 0..self.count * self.frames {
            let due = begun + Duration::from_secs(1) * number / self.rate;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if stop.load(Ordering::Relaxed) {
                return number;
            }
            tap.send(&self.frame(self.first + number / self.frames, number % self.frames));
        }
        self.count * self.frames
    }

    fn frame(self, stream: u32, frame: u32) -> Vec<u8> {
        let [a, b, c, d] = stream.to_be_bytes();
        let numbers = [MARK, stream.to_be_bytes(), frame.to_be_bytes()].concat();
        let at = |host| Ipv4Addr::new(10, 0, 0, host);
        Frame::new([2, 0x5a, a, b, c, d], self.to).udp4((at(1), PORT), (at(2), PORT), &numbers)
    }
}

impl Receiver {
    /// Listens from now on.
    pub fn start(tap: Tap) -> Receiver {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (mut arrived, mut buffer) = (Vec::new(), [0; 256]);
            tap.set_patience(LOOK);
            while !stopped.load(Ordering::Relaxed) {
                if let Ok(length) = tap.read_into(&mut buffer) {
                    arrived.extend(read(&buffer[..length], Instant::now()));
                }
            }
            assert_eq!(tap.lost(), 0, "the receiver itself has lost frames: not a measurement");
            Arrived(arrived)
        });
        Receiver { stop, thread: Some(thread) }
    }

    /// What has arrived until now, and a moment longer.
    ///
    /// # Panics
    /// The receiver had no room for a frame.
    pub fn stop(mut self) -> Arrived {
        std::thread::sleep(LATE);
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take();
        thread.map(|thread| thread.join().expect("a receiver")).unwrap_or_default()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Arrived {
    /// How many frames.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// In how many streams some frame came before an earlier one of its stream.
    pub fn disordered(&self) -> usize {
        self.by_stream().values().filter(|frames| !frames.is_sorted()).count()
    }

    /// In how many streams the first frame came behind another one of its stream.
    pub fn overtaken(&self) -> usize {
        let is_behind =
            |frames: &&Vec<u32>| frames.iter().position(|frame| *frame == 0).is_some_and(|at| at > 0);
        self.by_stream().values().filter(is_behind).count()
    }

    /// The longest time in which nothing arrived.
    pub fn longest_pause(&self) -> Duration {
        let pauses = self.0.windows(2).map(|pair| pair[1].at - pair[0].at);
        pauses.max().unwrap_or_default()
    }

    fn by_stream(&self) -> BTreeMap<u32, Vec<u32>> {
        let mut streams: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        self.0.iter().for_each(|one| streams.entry(one.stream).or_default().push(one.frame));
        streams
    }
}

/// The numbers of a frame of ours; the kernel has taken its tag off.
fn read(bytes: &[u8], at: Instant) -> Option<Numbered> {
    let numbers = bytes.get(NUMBERS..NUMBERS + 12)?;
    let word = |at: usize| numbers[at..at + 4].try_into().map(u32::from_be_bytes).ok();
    (numbers[..4] == MARK).then_some(())?;
    Some(Numbered { stream: word(4)?, frame: word(8)?, at })
}

fn pin_to_first() {
    let mut only = CpuSet::new();
    only.set(0).expect("a set with room for CPU 0");
    sched_setaffinity(Pid::from_raw(0), &only).expect("a machine with a CPU 0");
}

const MARK: [u8; 4] = *b"SMP1";
/// Behind the headers of Ethernet, IPv4 and UDP.
const NUMBERS: usize = 14 + 20 + 8;
const PORT: u16 = 2_313;
const LOOK: Duration = Duration::from_millis(50);
/// What has not arrived by then arrives no more.
const LATE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn arrived(frames: &[(u32, u32)]) -> Arrived {
        let at = Instant::now();
        Arrived(
            frames.iter().map(|(stream, frame)| Numbered { stream: *stream, frame: *frame, at }).collect(),
        )
    }

    #[test]
    fn a_frame_is_read_as_it_was_sent() {
        let streams = Streams { first: 7, count: 1, frames: 3, rate: 1, to: [2; 6] };
        let read = read(&streams.frame(7, 2), Instant::now()).unwrap();
        assert_eq!((read.stream, read.frame), (7, 2));
        assert!(super::read(&[0; 60], Instant::now()).is_none());
    }

    #[test]
    fn order_is_that_within_a_stream() {
        let mixed = arrived(&[(1, 0), (2, 0), (1, 1), (2, 1)]);
        assert_eq!((mixed.disordered(), mixed.overtaken(), mixed.count()), (0, 0, 4));
        let first_behind = arrived(&[(1, 1), (1, 0), (1, 2), (2, 0)]);
        assert_eq!((first_behind.disordered(), first_behind.overtaken()), (1, 1));
        let later = arrived(&[(1, 0), (1, 2), (1, 1)]);
        assert_eq!((later.disordered(), later.overtaken()), (1, 0));
        assert_eq!(
            (arrived(&[(1, 1), (1, 2)]).overtaken()),
            0,
            "a first frame that is lost overtakes nobody"
        );
    }
}

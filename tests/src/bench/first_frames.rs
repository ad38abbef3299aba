//! First frames: each from an address that was never seen, each a flow for those who make flows.
//!
//! The same code sends to every contender: in windows, the next one when all of the last have come out, so that nothing is lost; or
//! one alone. A first frame more than an established one is what the set-up costs.

use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::samples::Samples;
use super::turns;
use super::wire::{Wire, frame_from};
use crate::lab::frames::Mac;
use crate::lab::tap::Tap;

/// Sends first frames into a contender and waits for them at its other side.
#[derive(Debug)]
pub struct Conversations {
    from: Tap,
    to: Tap,
    next: u32,
}

impl Conversations {
    /// From the station to the switch of this wire.
    ///
    /// # Panics
    /// A packet socket cannot be opened.
    pub fn of(wire: &Wire) -> Conversations {
        let (from, to) = (wire.station(), wire.switch());
        to.set_patience(LOST);
        Conversations { from, to, next: 0 }
    }

    /// Frames from so many addresses that were never used.
    pub fn new_frames(&mut self, count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|_| frame_from(self.new_source())).collect()
    }

    /// Sends all frames, `window` at a time; how long until the last has come out.
    ///
    /// # Panics
    /// A frame does not come out.
    pub fn send(&self, frames: &[Vec<u8>], window: usize) -> Duration {
        turns::first();
        let begun = Instant::now();
        for part in frames.chunks(window) {
            turns::first();
            part.iter().for_each(|frame| self.from.send(frame));
            turns::last();
            self.expect(part.len());
        }
        let took = begun.elapsed();
        turns::in_turn();
        took
    }

    /// What a set-up costs in each of some rounds, `window` frames in flight: first frames, then the same again, established; the
    /// difference a frame, in ns.
    ///
    /// # Panics
    /// A frame does not come out.
    pub fn set_up_costs(&mut self, rounds: usize, window: usize) -> Samples {
        let round = |_| {
            let frames = self.new_frames(FRAMES);
            let first = self.send(&frames, window);
            let later = self.send(&frames, window);
            sleep(REST);
            (first.as_nanos() as f64 - later.as_nanos() as f64) / FRAMES as f64
        };
        (0..rounds).map(round).collect()
    }

    /// New flows a second in each of some rounds, many in flight.
    ///
    /// # Panics
    /// A frame does not come out.
    pub fn flows_a_second(&mut self, rounds: usize) -> Samples {
        let round = |_| {
            let frames = self.new_frames(FRAMES);
            let took = self.send(&frames, WINDOW);
            sleep(REST);
            FRAMES as f64 / took.as_secs_f64()
        };
        (0..rounds).map(round).collect()
    }

    /// How long one first frame takes, alone, and then the next one of the same address; both in ns.
    ///
    /// # Panics
    /// A frame does not come out.
    pub fn latencies(&mut self, count: usize) -> (Samples, Samples) {
        let frames = self.new_frames(count);
        let pairs: Vec<_> = frames.iter().map(|frame| self.first_and_later(frame)).collect();
        (pairs.iter().map(|pair| pair.0).collect(), pairs.iter().map(|pair| pair.1).collect())
    }

    fn first_and_later(&self, frame: &[u8]) -> (f64, f64) {
        let alone = || {
            sleep(PAUSE);
            let begun = Instant::now();
            self.from.send(frame);
            self.expect(1);
            begun.elapsed().as_nanos() as f64
        };
        (alone(), alone())
    }

    fn expect(&self, count: usize) {
        let mut buffer = [0; 128];
        for came in 0..count {
            match self.to.read_into(&mut buffer) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    panic!("{came} of {count} frames came out, and no more within {LOST:?}")
                }
                Err(error) => panic!("cannot read what came out: {error}"),
            }
        }
    }

    fn new_source(&mut self) -> Mac {
        self.next += 1;
        let [a, b, c, d] = self.next.to_be_bytes();
        [0x06, 0, a, b, c, d]
    }
}

/// First frames of one round: fewer than a port may bring to our daemon at once (agent's budget: 2 500 a VLAN).
pub const FRAMES: usize = 1_024;
/// Frames in flight: what one turn of ovs-vswitchd's handler takes at most.
pub const WINDOW: usize = 64;
/// Until budgets have filled up again and daemons have done what they put off.
const REST: Duration = Duration::from_secs(2);
/// Between two frames that are alone.
const PAUSE: Duration = Duration::from_millis(5);
/// A frame that has not come by then is lost.
const LOST: Duration = Duration::from_secs(2);

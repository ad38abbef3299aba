//! A gateway with a tap at the far end of each of its links: frames in, and all that came out, byte by byte.
//!
//! That something did *not* come out cannot be waited for. So each frame is followed, by the same link, by a marker: a broadcast from an
//! address that was never seen, so that it takes the slow path too, behind the frame. When the marker has come out where it must, all
//! that the frame led to has come out as well.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::frames::{BROADCAST, Frame, Mac, Tpid};
use super::gateway::Gateway;
use super::netns::Netns;
use super::tap::Tap;
use super::veth;

/// A gateway and the far ends of its links, which are named after its ports.
#[derive(Debug)]
pub struct Testbed {
    /// The gateway.
    pub gateway: Gateway,
    outside: Netns,
    taps: BTreeMap<&'static str, Tap>,
    sides: BTreeMap<&'static str, Side>,
    markers: Cell<u32>,
}

/// How a marker that is sent into a port is tagged, and a port by which it must come out.
#[derive(Debug, Clone, Copy)]
pub struct Side {
    /// The tag; `None` is untagged.
    pub tag: Option<(Tpid, u16)>,
    /// The port.
    pub witness: &'static str,
}

/// Frames that came out, by port.
pub type Outcome = Vec<(&'static str, Vec<u8>)>;

/// The ports by which frames came out, once for each frame.
pub fn ports(outcome: &Outcome) -> Vec<&'static str> {
    outcome.iter().map(|(port, _)| *port).collect()
}

impl Testbed {
    /// Starts a gateway with this file, links and their far ends there before it starts. Each port is a link of the same name.
    ///
    /// # Panics
    /// A step fails, or a port does not come up.
    pub fn start(name: &str, file: &str, sides: &[(&'static str, Side)]) -> Testbed {
        let mut testbed = Testbed::prepare(name, file, sides);
        testbed.gateway.start_up();
        testbed
    }

    /// The same, but the gateway is not started.
    ///
    /// # Panics
    /// A step fails.
    pub fn prepare(name: &str, file: &str, sides: &[(&'static str, Side)]) -> Testbed {
        let (gateway, outside) = (Gateway::new(name, file), Netns::new("outside"));
        for (port, _) in sides {
            veth::connect((gateway.netns(), port), (&outside, port));
        }
        let taps = sides.iter().map(|(port, _)| (*port, outside.tap(port))).collect();
        Testbed { gateway, outside, taps, sides: sides.iter().copied().collect(), markers: Cell::new(0) }
    }

    /// The same as [`start`](Testbed::start), but these links have another MTU, at both ends.
    ///
    /// # Panics
    /// A step fails, or a port does not come up.
    pub fn start_with_mtu(
        name: &str,
        file: &str,
        sides: &[(&'static str, Side)],
        mtus: &[(&'static str, u32)],
    ) -> Testbed {
        let mut testbed = Testbed::prepare(name, file, sides);
        for (link, mtu) in mtus {
            testbed.gateway.netns().links().set_mtu(link, *mtu);
            testbed.outside.links().set_mtu(link, *mtu);
        }
        testbed.gateway.start_up();
        testbed
    }

    /// The far end of a port's link.
    ///
    /// # Panics
    /// There is none.
    pub fn tap(&self, port: &str) -> &Tap {
        self.taps.get(port).unwrap_or_else(|| panic!("no tap at {port}"))
    }

    /// The namespace of the far ends.
    pub fn outside(&self) -> &Netns {
        &self.outside
    }

    /// Opens the tap at a link's far end anew, after the link was made anew.
    ///
    /// # Panics
    /// There is no such link.
    pub fn reconnect(&mut self, port: &'static str) {
        veth::connect((self.gateway.netns(), port), (&self.outside, port));
        self.taps.insert(port, self.outside.tap(port));
    }

    /// Sends a frame into a port and returns all that came out, in the order of ports.
    ///
    /// # Panics
    /// The marker behind it does not come out.
    pub fn deliver(&self, port: &'static str, frame: &[u8]) -> Outcome {
        self.deliver_all(port, &[frame])
    }

    /// Sends frames into a port and returns all that came out, in the order of ports.
    ///
    /// # Panics
    /// The marker behind them does not come out.
    pub fn deliver_all<F: AsRef<[u8]>>(&self, port: &'static str, frames: &[F]) -> Outcome {
        for tap in self.taps.values() {
            tap.drain();
        }
        for frame in frames {
            self.tap(port).send(frame.as_ref());
        }
        let at_witness = self.settle(port);
        self.collected(self.sides[port].witness, at_witness)
    }

    /// How many frames come out of a port, of `expected`; waits for them all, since a kernel may forward a moment later, and then
    /// for none more than are there already.
    ///
    /// # Panics
    /// There is no such port.
    pub fn count(&self, port: &str, expected: usize) -> usize {
        let tap = self.tap(port);
        let came = (0..expected).map_while(|_| tap.recv(PATIENCE)).count();
        came + tap.drain().len()
    }

    /// Waits until all that was sent into a port before is through; what came out at the marker's witness meanwhile.
    ///
    /// # Panics
    /// The marker does not come out.
    pub fn settle(&self, port: &'static str) -> Vec<Vec<u8>> {
        let side = self.sides[port];
        let number = self.markers.get() + 1;
        self.markers.set(number);
        let [a, b, c, d] = number.to_be_bytes();
        let source: Mac = [MARKER, 0x4d, a, b, c, d];
        let marker = Frame::new(source, BROADCAST);
        let marker = match side.tag {
            Some((tpid, vid)) => marker.tag_as(tpid, vid, 0),
            None => marker,
        };
        let marker = marker.payload(MARKER_TYPE, &[0; 46]);
        self.tap(port).send(&marker);
        let mut before = Vec::new();
        let until = Instant::now() + PATIENCE;
        loop {
            match self.tap(side.witness).recv(SILENCE) {
                Some(frame) if frame.get(6..12) == Some(&source[..]) => return before,
                Some(frame) => before.push(frame),
                // Behind a flood the witness' tap may have been full when the marker came.
                None if Instant::now() < until => self.tap(port).send(&marker),
                None => panic!(
                    "no marker from {port} at {} within {PATIENCE:?}, only {before:02x?}\n{:#?}\n{}",
                    side.witness,
                    self.gateway.flows(),
                    self.gateway.l2gw(&["show", "counters"]).unwrap_or_else(|(_, said)| said)
                ),
            }
        }
    }

    /// All that came out, markers aside, in the order of ports.
    fn collected(&self, witness: &str, at_witness: Vec<Vec<u8>>) -> Outcome {
        let mut all = Vec::new();
        for (port, tap) in &self.taps {
            let before = if *port == witness { at_witness.clone() } else { Vec::new() };
            let frames = before.into_iter().chain(tap.drain()).filter(|frame| !is_marker(frame));
            all.extend(frames.map(|frame| (*port, frame)));
        }
        all
    }
}

fn is_marker(frame: &[u8]) -> bool {
    frame.get(6) == Some(&MARKER) && frame.get(7) == Some(&0x4d)
}

/// First byte of a marker's source: locally administered, individual.
const MARKER: u8 = 0x9e;
/// IEEE 802 local experimental ethertype 2.
const MARKER_TYPE: u16 = 0x88b6;
/// So long nothing comes out where a marker is lost: it is sent again.
const SILENCE: Duration = Duration::from_secs(2);
/// How long a marker may take.
const PATIENCE: Duration = Duration::from_secs(15);

//! The wire that every contender is put into: a station on its access port, a switch on its trunk. Where a contender is two hosts, what
//! stands at the other end is another station.
//!
//! ```text
//!   outside:  vm ══ vm  [ contender ]  trunk ══ trunk
//!             station      inside                switch
//!
//!   outside:  vm ══ vm  [ host ] ══ underlay ══ [ host ]  trunk ══ trunk
//! ```

use std::fs;
use std::time::{Duration, Instant};

use crate::lab::frames::{Frame, Mac};
use crate::lab::netns::Netns;
use crate::lab::tap::Tap;
use crate::lab::veth;

/// The far ends of a contender's two links, in a namespace of their own.
#[derive(Debug)]
pub struct Wire {
    outside: Netns,
}

impl Wire {
    /// Lays two cables from the contender's namespace, whose ends there are called [`STATION`] and [`TRUNK`].
    ///
    /// # Panics
    /// One of the names is taken.
    pub fn lay(inside: &Netns) -> Wire {
        Wire::between(inside, inside)
    }

    /// Lays a cable called [`STATION`] from one namespace and one called [`TRUNK`] from another.
    ///
    /// # Panics
    /// One of the names is taken.
    pub fn between(near: &Netns, far: &Netns) -> Wire {
        let outside = Netns::new("outside");
        for (inside, link) in [(near, STATION), (far, TRUNK)] {
            veth::connect((inside, link), (&outside, link));
        }
        Wire { outside }
    }

    /// The namespace of the far ends.
    pub fn outside(&self) -> &Netns {
        &self.outside
    }

    /// Frames in and out on the access port's side.
    pub fn station(&self) -> Tap {
        self.outside.tap(STATION)
    }

    /// Frames in and out on the trunk's side.
    pub fn switch(&self) -> Tap {
        self.outside.tap(TRUNK)
    }

    /// Has the contender learn [`SWITCH_MAC`] on the trunk, and sends frames of [`STATION_MAC`] until one comes out there. A gateway
    /// that has just started may not forward yet, so each step is tried again.
    ///
    /// # Panics
    /// Nothing comes through within [`PATIENCE`].
    pub fn establish(&self, tag: Option<u16>) {
        let (station, switch) = (self.station(), self.switch());
        let announcement = |to| match tag {
            Some(vid) => Frame::new(SWITCH_MAC, to).tag(vid, 0),
            None => Frame::new(SWITCH_MAC, to),
        };
        let until = Instant::now() + PATIENCE;
        loop {
            switch.send(&announcement(STATION_MAC).payload(ANNOUNCEMENT, &[0; 46]));
            station.send(&frame_from(STATION_MAC));
            let came = |tap: &Tap, from: Mac| {
                tap.recv_matching(STEP, |frame| frame.get(6..12) == Some(&from)).is_some()
            };
            if came(&switch, STATION_MAC) && came(&station, SWITCH_MAC) {
                return;
            }
            assert!(Instant::now() < until, "no frame came from {STATION} to {TRUNK} within {PATIENCE:?}");
        }
    }

    /// How many frames a link has received.
    ///
    /// # Panics
    /// There is no such link, or the kernel does not tell.
    pub fn received(netns: &Netns, link: &str) -> u64 {
        let path = "/proc/thread-self/net/dev";
        let text = netns.run(|| fs::read_to_string(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
        let line = text.lines().find_map(|line| line.trim().strip_prefix(link)?.strip_prefix(':'));
        // "bytes packets errs …" of what came in.
        let packets = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        packets.unwrap_or_else(|| panic!("no frames counted of {link} in {}:\n{text}", netns.name()))
    }
}

/// A frame of 60 bytes from an address to the switch's side.
pub fn frame_from(source: Mac) -> Vec<u8> {
    let (from, to) = (([192, 0, 2, 1].into(), 9), ([192, 0, 2, 2].into(), 9));
    Frame::new(source, SWITCH_MAC).udp4(from, to, &[0; 18])
}

/// Name of the access port's link.
pub const STATION: &str = "vm";
/// Name of the trunk's link.
pub const TRUNK: &str = "trunk";
/// Whom the frames are from.
pub const STATION_MAC: Mac = [0x02, 0, 0, 0, 0, 0x01];
/// Whom they are for.
pub const SWITCH_MAC: Mac = [0x02, 0, 0, 0, 0, 0x02];
/// The access port's VLAN.
pub const VID: u16 = 8;

/// IEEE 802 local experimental ethertype 2.
const ANNOUNCEMENT: u16 = 0x88b6;
const STEP: Duration = Duration::from_millis(100);
/// How long a contender may take until it forwards.
pub const PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    #[test]
    fn the_frame_is_the_shortest_that_ethernet_allows() {
        assert_eq!(super::frame_from(super::STATION_MAC).len(), 60);
    }
}

//! Much of everything: a file with every VLAN there is, and as many addresses as a big site has.

use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::contender::Contender;
use super::figure::Step;
use super::wire::{PATIENCE, STATION, STATION_MAC, TRUNK, frame_from};
use crate::lab::frames::Frame;
use crate::lab::gateway::{Gateway, program, resident_kib};
use crate::lab::netns::Netns;
use crate::lab::veth;

/// A file in which each of the 4 094 VLANs is a bridge of its own; the station is in the last one.
pub fn every_vlan() -> String {
    let mut file = String::from("[hosts.gw1]\n[bridges.dc1]\nkind = \"vlan-aware\"\n");
    for vid in 1..=LAST_VID {
        // Writing into a String does not fail.
        let _ = write!(
            file,
            "[bridges.vub{vid}]\nkind = \"vlan-unaware\"\n[[vlans]]\nbridge = \"dc1\"\nvid = {vid}\nto = \"vub{vid}\"\n"
        );
    }
    let port = |kind: &str, link: &str, bridge: &str| {
        format!("[[{kind}]]\nname = \"{link}\"\nbridge = \"{bridge}\"\nhost = \"gw1\"\nlink = \"{link}\"\n")
    };
    file + &port("trunks", TRUNK, "dc1") + &port("ports", STATION, &format!("vub{LAST_VID}"))
}

/// How long `l2gw check` takes with a file, in milliseconds.
///
/// # Panics
/// It finds fault with the file.
pub fn check(file: &str) -> f64 {
    let directory = tempfile::tempdir().expect("a directory of its own");
    let path = directory.path().join("gateway.toml");
    fs::write(&path, file).expect("the configuration file");
    let begun = Instant::now();
    let output = Command::new(program()).arg("check").arg(&path).stdin(Stdio::null()).output();
    let took = milliseconds(begun);
    let output = output.unwrap_or_else(|e| panic!("cannot run {}: {e}", program().display()));
    assert!(output.status.success(), "l2gw check: {}", String::from_utf8_lossy(&output.stderr));
    took
}

/// How long `l2gw run` takes with a file of [`every_vlan`], from its start, in milliseconds: until it answers, until its first frame has
/// come out, and the latter again when it is killed and started on what it left.
///
/// # Panics
/// Nothing comes out.
pub fn run(file: &str) -> [(Step, f64); 3] {
    let mut gateway = Gateway::new("inside", file);
    let outside = Netns::new("outside");
    for link in [STATION, TRUNK] {
        veth::connect((gateway.netns(), link), (&outside, link));
    }
    let begun = Instant::now();
    gateway.start();
    let ready = milliseconds(begun);
    until_through(&outside, begun);
    let forwarding = milliseconds(begun);
    gateway.kill();
    let begun = Instant::now();
    gateway.start_up();
    let again = milliseconds(begun);
    [(Step::Ready, ready), (Step::Forwarding, forwarding), (Step::Again, again)]
}

/// Sends frames until one comes out; each from another address, so that none finds a flow.
fn until_through(outside: &Netns, begun: Instant) {
    let (station, switch) = (outside.tap(STATION), outside.tap(TRUNK));
    for number in 0_u16.. {
        let [high, low] = number.to_be_bytes();
        station.send(&frame_from([0x06, 1, 0, 0, high, low]));
        if switch.recv(BETWEEN).is_some() {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "no frame has come out within {PATIENCE:?}");
    }
}

/// Has a contender learn addresses behind its trunk until it has `count` of them, beginning with number `from`, at no more than a
/// port of ours may bring; then how much memory its daemon keeps resident, in KiB.
///
/// # Panics
/// It does not learn them all, or has no daemon.
pub fn learn(contender: &Contender, tags: &[u16], from: u32, count: u32) -> f64 {
    let (station, switch) = (contender.wire().station(), contender.wire().switch());
    let mut buffer = [0; 128];
    station.set_patience(LOST);
    for first in (from..from + count).step_by(WINDOW as usize) {
        let begun = Instant::now();
        for number in first..(first + WINDOW).min(from + count) {
            let [_, a, b, c] = number.to_be_bytes();
            let vid = tags[number as usize % tags.len()];
            let frame = Frame::new([0x0a, 0, 0, a, b, c], STATION_MAC).tag(vid, 0);
            switch.send(&frame.payload(TYPE, &[0; 46]));
        }
        for number in first..(first + WINDOW).min(from + count) {
            if let Err(error) = station.read_into(&mut buffer) {
                panic!("frame {number} of {} has not come out: {error}", from + count);
            }
        }
        sleep(EACH.saturating_sub(begun.elapsed()));
    }
    resident_kib(contender.daemon().expect("a contender with a daemon")) as f64
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1_000.0
}

const LAST_VID: u16 = 4_094;
/// IEEE 802 local experimental ethertype 2; l2gw keeps the first for its probes.
const TYPE: u16 = 0x88b6;
const BETWEEN: Duration = Duration::from_millis(5);
const LOST: Duration = Duration::from_secs(5);
/// Addresses in flight, and how long they take at least: 2 400 a second, where a VLAN of a port may bring 2 500 (agent's budget).
const WINDOW: u32 = 64;
const EACH: Duration = Duration::from_micros(26_667);

#[cfg(test)]
mod tests {
    #[test]
    fn the_file_with_every_vlan_is_right() {
        let config = l2gw::config::parse("gateway.toml", &super::every_vlan());
        assert!(config.is_ok(), "{:?}", config.err());
    }
}

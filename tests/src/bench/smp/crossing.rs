//! Ports added by one `apply`, past the number up to which each has an upcall socket of its own, while another port begins conversations.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::streams::{Receiver, Streams};
use crate::lab::frames::{BROADCAST, Frame, Mac};
use crate::lab::gateway::Gateway;
use crate::lab::netns::Netns;
use crate::lab::veth;

/// What became of the conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crossing {
    /// First frames sent while ports were added and for a while before and after.
    pub sent: usize,
    /// Those that did not arrive.
    pub lost: usize,
    /// The longest time in which none arrived.
    pub longest_pause: Duration,
    /// From the begin of `apply` until all ports were up.
    pub took: Duration,
}

/// 260 ports are up, 50 more are applied, and one of the first begins 200 conversations a second.
///
/// # Panics
/// The gateway does not do what it is asked for.
pub fn measure() -> Crossing {
    let mut gateway = Gateway::new("inside", &file(BEFORE));
    let outside = Netns::new("outside");
    for number in 0..AFTER {
        veth::connect((gateway.netns(), &link(number)), (&outside, &link(number)));
    }
    println!("{AFTER} cables are laid");
    gateway.start_up();
    let receiver = Receiver::start(outside.tap(&link(TO)));
    let to: Mac = [2, 0xbb, 0, 0, 0, TO as u8];
    outside.tap(&link(TO)).send(&Frame::new(to, BROADCAST).payload(0x88b6, &[0; 46]));
    gateway.wait_for("the receiver to be known", |gateway| !gateway.macs().is_empty());
    let (tap, stop) = (outside.tap(&link(FROM)), AtomicBool::new(false));
    let streams = Streams { first: 1 << 20, count: MOST, frames: 1, rate: RATE, to };
    let (sent, took) = std::thread::scope(|scope| {
        let sending = scope.spawn(|| streams.send(&tap, &stop));
        sleep(BESIDE);
        let took = apply(&gateway);
        sleep(BESIDE);
        stop.store(true, Ordering::Relaxed);
        (sending.join().expect("a sender"), took)
    });
    let arrived = receiver.stop();
    let lost = (sent as usize).saturating_sub(arrived.count());
    Crossing { sent: sent as usize, lost, longest_pause: arrived.longest_pause(), took }
}

fn apply(gateway: &Gateway) -> Duration {
    gateway.write_file(&file(AFTER));
    let path = gateway.file().to_string_lossy().into_owned();
    let begun = Instant::now();
    if let Err((code, said)) = gateway.l2gw(&["apply", &path]) {
        panic!("l2gw apply: exit code {code}: {said}");
    }
    gateway.wait_for("all ports to be up", |gateway| gateway.status().ports_up == AFTER);
    begun.elapsed()
}

/// Access ports, two in each VLAN.
fn file(ports: usize) -> String {
    let head = "[hosts.gw1]\n[bridges.b]\nkind = \"vlan-aware\"\nredundancy = \"none\"\n".to_owned();
    let port = |number: usize| {
        let (link, vid) = (link(number), 100 + number / 2);
        format!(
            "[[ports]]\nname = \"{link}\"\nbridge = \"b\"\nhost = \"gw1\"\nlink = \"{link}\"\nmode = \"access\"\nvid = {vid}\nmac-limit = 100000\n"
        )
    };
    (0..ports).fold(head, |file, number| file + &port(number))
}

fn link(number: usize) -> String {
    format!("n{number}")
}

/// Above 256, so that no port gets a socket of its own.
const BEFORE: usize = 260;
const AFTER: usize = 310;
/// The two ports of one VLAN.
const FROM: usize = 2;
const TO: usize = 3;
const RATE: u32 = 200;
/// More than are ever sent.
const MOST: u32 = 100_000;
/// How long conversations begin before and after.
const BESIDE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_right() {
        for ports in [BEFORE, AFTER] {
            let config = l2gw::config::parse("gateway.toml", &file(ports));
            assert!(config.is_ok(), "{:?}", config.err());
        }
    }
}

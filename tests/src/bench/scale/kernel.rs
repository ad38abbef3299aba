//! `l2gw run` on openvswitch.ko, in a test kernel: what its start takes, and how soon it acts on a link that goes down.
//!
//! The link is taken down at the gateway's own end, which the kernel tells at once. That the far end of a cable has gone is told by the
//! kernel's link watch, at most once a second (`net/core/link_watch.c`), whoever listens.

use std::thread::sleep;
use std::time::{Duration, Instant};

use agent::view::PortView;

use super::meter;
use super::reading::{Growth, Notes, Reading};
use super::spinner::{Manner, Spinner};
use super::world::{PORTS_A_VLAN, World};
use crate::lab::flood::Flood;
use crate::lab::frames::{BROADCAST, Frame};
use crate::lab::gateway::Gateway;
use crate::lab::netns::Netns;
use crate::lab::veth;

/// Start and link events with so many ports.
///
/// # Panics
/// The gateway does not do what it is asked for.
pub fn measure(ports: u16) -> Vec<Reading> {
    let world = World { vlans: ports.div_ceil(PORTS_A_VLAN as u16) };
    let mut notes = Notes::at(world.ports(), "ports on openvswitch.ko");
    let mut gateway = Gateway::new("inside", &world.file());
    let outside = Netns::new("outside");
    for link in world.links() {
        veth::connect((gateway.netns(), &link), (&outside, &link));
    }
    println!("{} cables are laid", world.links().len());
    let begun = Instant::now();
    gateway.start();
    link_events("right after the start", &gateway, world, &mut notes, true);
    gateway.wait_until_up();
    notes.time("openvswitch.ko, until all ports are up", begun.elapsed(), Growth::Told);
    let cpu = meter::of_process(gateway.pid().expect("a running daemon"));
    notes.time("openvswitch.ko, until all ports are up, CPU", cpu, Growth::Whole);
    notes.at_most(2_000.0);
    sleep(Duration::from_secs(1));
    link_events("quiet", &gateway, world, &mut notes, false);
    let noisy = world.port(world.ports() - 1);
    let flood = Flood::start(outside.tap(&noisy), Some(PACE), |number| {
        let [.., a, b, c, d] = number.to_be_bytes();
        Frame::new([0x52, 0x57, a, b, c, d], BROADCAST).payload(0x88b6, &[0; 46])
    });
    sleep(Duration::from_secs(1));
    link_events("under a flood", &gateway, world, &mut notes, false);
    println!("flooded with {} frames", flood.stop());
    notes.done()
}

/// Takes links down and up again, one after another, and notes the slowest that was acted on; with `is_starting` only as long as the start
/// lasts, but at least one. What it takes to take a link down, with the kernel's lock of all links, is noted apart.
fn link_events(state: &str, gateway: &Gateway, world: World, notes: &mut Notes, is_starting: bool) {
    let spinner = Spinner::start(Manner::Sleeping);
    let (mut slowest, mut kernels) = (Duration::ZERO, Duration::ZERO);
    for number in 0..EVENTS {
        let port = world.port(number);
        gateway.wait_for("a port to be up", |gateway| state_of(gateway, &port).as_deref() == Some("up"));
        if is_starting && number > 0 && gateway.status().ports_up + number >= world.links().len() {
            break;
        }
        let (before, asked) = (downs(gateway, &port), Instant::now());
        gateway.netns().links().set_down(&port);
        let down = Instant::now();
        while downs(gateway, &port) == before {
            assert!(down.elapsed() < LOST, "{port} is still up {LOST:?} after its link went down");
            sleep(Duration::from_millis(1));
        }
        slowest = slowest.max(down.elapsed());
        kernels = kernels.max(down - asked);
        gateway.netns().links().set_up(&port);
    }
    let delays = spinner.stop();
    let of = |what: &str| format!("link down until acted on, {state}: {what}");
    notes.time(&of("the slowest"), slowest, Growth::Told);
    notes.time(&of("until the kernel has done it"), kernels, Growth::Told);
    notes.time(&of("sleeper max"), delays.max(), Growth::Told);
    notes.time(&of("beyond the sleeper's"), slowest.saturating_sub(delays.max()), Growth::Told);
    notes.at_most(100.0);
}

/// How often the daemon has said that a port is down: it says so as it acts, and needs nobody to ask.
fn downs(gateway: &Gateway, port: &str) -> usize {
    gateway.log().matches(&format!("port {port} on {port} is down")).count()
}

fn state_of(gateway: &Gateway, port: &str) -> Option<String> {
    let ports: Vec<PortView> = gateway.try_show(&format!("/v1/ports?port={port}"))?;
    ports.into_iter().next().map(|port| port.state)
}

const EVENTS: usize = 5;
const LOST: Duration = Duration::from_secs(30);
/// Between two frames of the flood, if its CPU is its own: as fast as it can, with a pause in which others may run.
const PACE: Duration = Duration::from_micros(100);

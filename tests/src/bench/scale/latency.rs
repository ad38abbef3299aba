//! How long first frames of an innocent port wait, while others are quiet, noisy, or go.
//!
//! ```text
//!   innocent ──a first frame every 2 ms──► [ the daemon's loop, wire in memory ] ──► its neighbour: how long was that?
//!   others   ──nothing, a flood, 25 000 flows that go idle, revisions────────────┘        spinner: how long may a clock be kept waiting?
//! ```

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use agent::budget::Rates;
use agent::engine::Settings;

use super::live::{Live, Revision};
use super::reading::{Growth, Notes, Reading, part};
use super::sizes::Sizes;
use super::spinner::{Delays, Manner, Spinner};
use super::world::{PORTS_A_VLAN, TRUNK, World, extra_links};

/// All states, with so many flows, of which so many go idle at once.
///
/// # Panics
/// A frame does not arrive at all.
pub fn measure(world: World, (flows, expiring): (u32, u32), sizes: &Sizes) -> Vec<Reading> {
    let mut notes = Notes::at(flows as usize, "flows");
    let plain = Revision::of(&world.file());
    let more = extra_links(MORE);
    // Nothing goes idle by itself, so that all flows are there in each state.
    let settings = Settings { flow_idle: HOUR, flow_limit: 1_000_000, ..Settings::new("gw1") };
    let mut live = Live::start(world, settings, &plain, &more);
    fill(&live, 0..flows);
    let mut innocent = Innocent { number: 0 };
    let quiet = innocent.probe(&live, sizes.state * 2, |_| {});
    quiet.note("quiet", &mut notes);
    quiet.while_reading().note("statistics being read", &mut notes);
    let flood = innocent.probe(&live, sizes.state, |stop| flood(&live, world, stop));
    flood.note("a flood of new addresses", &mut notes);
    let larger = Revision::of(&world.file_with_more(MORE));
    let asked = apply_and_probe(&mut innocent, &mut live, [&larger, &plain], sizes.state);
    asked.note("revisions applied", &mut notes);
    drop(live);
    expire(world, &plain, (flows, expiring), sizes).note("mass expiry", &mut notes);
    notes.done()
}

/// Flows of one port, which all go idle within a second. Those of the others were made before; they go too, if they are read before it.
fn expire(world: World, file: &Revision, (flows, expiring): (u32, u32), sizes: &Sizes) -> Probed {
    let settings = Settings {
        rates: Rates::of_port(50_000),
        flow_limit: 1_000_000,
        flow_idle: sizes.flow_idle,
        ..Settings::new("gw1")
    };
    let live = Live::start(world, settings, file, &[]);
    let others = flows - expiring;
    let noisy = world.ports() - 1;
    fill(&live, 0..others);
    send_paced(&live, others..flows, |_| noisy);
    let mut innocent = Innocent { number: 0 };
    let (mut probed, mut gone) = (Probed::default(), 0);
    let until = Instant::now() + sizes.flow_idle * 6;
    while gone < expiring as usize {
        assert!(Instant::now() < until, "only {gone} flows of {expiring} have gone");
        let before = live.status().flows;
        let one = innocent.probe(&live, WINDOW, |_| {});
        let went = (before + one.waits.len()).saturating_sub(live.status().flows);
        // Only while flows go.
        if went > 0 {
            gone += went;
            probed.extend(one);
        }
    }
    probed
}

/// Applies one revision after the other, and probes meanwhile.
fn apply_and_probe(
    innocent: &mut Innocent,
    live: &mut Live,
    revisions: [&Revision; 2],
    span: Duration,
) -> Probed {
    let mut all = Probed::default();
    for revision in revisions.into_iter().cycle().take(REVISIONS) {
        live.apply(revision);
        all.extend(innocent.probe(live, span / REVISIONS as u32, |_| {}));
    }
    all
}

/// A port that sends nothing but its own first frames.
struct Innocent {
    number: u32,
}

/// How long its frames waited; and how long the machine kept a spinner waiting meanwhile.
#[derive(Debug, Default)]
struct Probed {
    /// Each wait, and whether flows were read while it lasted.
    waits: Vec<(Duration, bool)>,
    spinner: Delays,
}

impl Innocent {
    /// Sends first frames for a while, with somebody else at work beside.
    fn probe(&mut self, live: &Live, span: Duration, beside: impl FnOnce(&AtomicBool) + Send) -> Probed {
        let stop = AtomicBool::new(false);
        let spinner = Spinner::start(Manner::Spinning);
        let waits = std::thread::scope(|scope| {
            scope.spawn(|| beside(&stop));
            let until = Instant::now() + span;
            let mut waits = Vec::new();
            while Instant::now() < until {
                waits.push(self.wait_for_one(live));
                sleep(EVERY);
            }
            stop.store(true, Ordering::Relaxed);
            waits
        });
        Probed { waits, spinner: spinner.stop() }
    }

    /// One frame, until it is at the neighbour.
    fn wait_for_one(&mut self, live: &Live) -> (Duration, bool) {
        self.number += 1;
        let (world, neighbour) = (live.world(), live.world().port(INNOCENT + 1));
        let frame = world.first_frame(INNOCENT, OWN + self.number);
        let (begun, mut is_reading) = (Instant::now(), live.is_reading());
        live.wire().inject(&world.port(INNOCENT), &frame);
        while !live.wire().sent(&neighbour).contains(&frame) {
            is_reading |= live.is_reading();
            assert!(begun.elapsed() < LOST, "first frame {} has not arrived after {LOST:?}", self.number);
            sleep(LOOK);
        }
        (begun.elapsed(), is_reading)
    }
}

impl Probed {
    fn extend(&mut self, other: Probed) {
        self.waits.extend(other.waits);
        self.spinner.extend(other.spinner);
    }

    /// Those that met a reading of the flows.
    fn while_reading(&self) -> Probed {
        let waits = self.waits.iter().filter(|(_, is_reading)| *is_reading).copied().collect();
        Probed { waits, spinner: self.spinner.clone() }
    }

    fn note(&self, state: &str, notes: &mut Notes) {
        if self.waits.is_empty() {
            return;
        }
        let waits: Vec<Duration> = self.waits.iter().map(|(wait, _)| *wait).collect();
        let first = |what: &str| format!("first frame, {state}: {what}");
        notes.time(&first("p50"), part(&waits, 0.5), Growth::Told);
        notes.time(&first("p99"), part(&waits, 0.99), Growth::Told);
        notes.time(&first("max"), part(&waits, 1.0), Growth::Told);
        notes.time(&first("spinner p99"), self.spinner.p99(), Growth::Told);
        notes.time(&first("spinner max"), self.spinner.max(), Growth::Told);
        let beyond = part(&waits, 0.99).saturating_sub(self.spinner.p99());
        notes.time(&first("p99 beyond the spinner's"), beyond, Growth::Told);
        notes.at_most(50.0);
    }
}

/// New addresses of another port, twenty a millisecond, until told to stop.
fn flood(live: &Live, world: World, stop: &AtomicBool) {
    let link = world.port(world.ports() - 1);
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..20 {
            number += 1;
            // Of a port that nobody is: each number is another source.
            live.wire().inject(&link, &world.first_frame(world.ports() + number, 0));
        }
        sleep(Duration::from_millis(1));
    }
}

/// Conversations of all ports but the innocent's VLAN, each with its flow.
fn fill(live: &Live, numbers: std::ops::Range<u32>) {
    let world = live.world();
    send_paced(live, numbers, |number| port_of(world, number));
}

fn port_of(world: World, number: u32) -> usize {
    let others = world.ports() - PORTS_A_VLAN;
    PORTS_A_VLAN + number as usize % others
}

/// First frames, no faster than they come out of the trunk, which each of them does.
///
/// # Panics
/// They do not.
fn send_paced(live: &Live, numbers: std::ops::Range<u32>, port: impl Fn(u32) -> usize) {
    live.wire().sent(TRUNK);
    let (mut on_the_way, mut moved) = (0, Instant::now());
    let mut numbers = numbers.peekable();
    while on_the_way > 0 || numbers.peek().is_some() {
        for number in numbers.by_ref().take(PACE - on_the_way) {
            send(live, port(number), number);
            on_the_way += 1;
        }
        let out = live.wire().sent(TRUNK).len();
        if out > 0 {
            (on_the_way, moved) = (on_the_way.saturating_sub(out), Instant::now());
        }
        assert!(moved.elapsed() < LOST, "{on_the_way} first frames have not come out after {LOST:?}");
        sleep(LOOK);
    }
}

fn send(live: &Live, port: usize, number: u32) {
    let world = live.world();
    live.wire().inject(&world.port(port), &world.first_frame(port, number));
}

/// As long as somebody is watched before it is looked at what has gone.
const WINDOW: Duration = Duration::from_millis(200);
/// Ports that a revision adds.
const MORE: usize = 50;
/// Revisions that are applied.
const REVISIONS: usize = 6;
/// The port that nobody means harm.
const INNOCENT: usize = 0;
/// Numbers of its conversations, beyond all others.
const OWN: u32 = 1 << 30;
const EVERY: Duration = Duration::from_millis(2);
const LOOK: Duration = Duration::from_micros(50);
const LOST: Duration = Duration::from_secs(30);
const HOUR: Duration = Duration::from_secs(3_600);
/// First frames that wait at once: as many as a port may have waiting.
const PACE: usize = 250;

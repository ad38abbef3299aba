//! Several hosts that tell each other by the store which of them has which address: schedules of what happens to them, drawn at random.
//!
//! Stations speak, move, fall silent; what they sent by one gateway comes back by another; hosts are cut off from the store and from each
//! other, are started again, go by neighbouring revisions, hear words late, twice and in another order. Whatever happens, a frame stays in
//! its VLAN, comes to no port twice and does not circle. When all is mended and each station has spoken once, every host knows each where
//! it is, or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use agent::event::Event;
use agent::input::{FeedNews, Input};
use nsdb::AddressRecord;
use vlan::addr::MacAddr;
use vlan::model::description::{Description, Port};
use vlan::model::segment::SegmentName;
use vlan::time::Instant;

use super::asked::{again, number};
use super::cluster::Cluster;
use super::rng::Rng;
use crate::lab::frames::{BROADCAST, Mac};
use frames::{Shot, Shots, Site};
use station::{Place, Station, told};

mod disturbance;
mod ending;
mod frames;
mod reflection;
mod speech;
mod station;
mod world;

/// Plays schedules from a seed on, as many as [`asked`](super::asked) says or else `cases`, on every processor.
///
/// # Panics
/// One goes wrong: tells what happened, and the command that plays it again.
pub fn play_all(target: &str, first: u64, cases: u64) {
    let (first, cases) = (number("L2GW_SEED").unwrap_or(first), number("L2GW_CASES").unwrap_or(cases));
    let players = thread::available_parallelism().map_or(1, usize::from);
    let has_failed = AtomicBool::new(false);
    let play = &|player: usize| {
        let mut counts = Counts::default();
        for seed in (first..first + cases).skip(player).step_by(players) {
            if has_failed.load(Ordering::Relaxed) {
                break;
            }
            let played = Schedule::play(seed).inspect_err(|_| has_failed.store(true, Ordering::Relaxed));
            counts.add(played.map_err(|story| (seed, story))?);
        }
        Ok(counts)
    };
    let played: Vec<Result<Counts, (u64, String)>> = thread::scope(|scope| {
        let players: Vec<_> = (0..players).map(|player| scope.spawn(move || play(player))).collect();
        players.into_iter().map(|player| player.join().expect("a player")).collect()
    });
    let mut counts = Counts::default();
    for played in played {
        match played {
            Ok(more) => counts.add(more),
            Err((seed, story)) => panic!("{}: {story}", again(seed, target, "hosts::")),
        }
    }
    println!("seeds {first}..{}: {counts:?}", first + cases);
    if cases >= 1_000 {
        counts.check(cases);
    }
}

/// Plays these schedules, whatever is asked.
///
/// # Panics
/// As [`play_all`].
pub fn play_again(target: &str, seeds: &[u64]) {
    for seed in seeds {
        if let Err(story) = Schedule::play(*seed) {
            panic!("{}: {story}", again(*seed, target, "hosts::every"));
        }
    }
}

/// One schedule on its way.
struct Schedule {
    seed: u64,
    /// Steps that are left out.
    left_out: BTreeSet<usize>,
    rng: Rng,
    cluster: Cluster,
    hosts: Vec<String>,
    stations: Vec<Station>,
    shots: Shots,
    revision: u64,
    is_mild: bool,
    /// Links without carrier.
    down: BTreeSet<Site>,
    /// Hosts that are cut off from the store, and whether they were told.
    cut: BTreeMap<String, bool>,
    is_partitioned: bool,
    /// Hosts that do not hear yet what others say in the store.
    late: BTreeSet<String>,
    /// When something was disturbed last.
    disturbed: Instant,
    /// Addresses that some host holds where they were, and until when.
    frozen: BTreeMap<Mac, Instant>,
    counts: Counts,
    story: String,
}

/// What schedules were made of.
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    /// Frames of stations.
    frames: u64,
    /// Those whose copies were foretold.
    foretold: u64,
    /// Moves of stations.
    moves: u64,
    /// Hosts that were cut off from the store.
    cuts: u64,
    /// Times that hosts were cut off from each other.
    partitions: u64,
    /// Daemons that were started again.
    restarts: u64,
    /// Revisions.
    revisions: u64,
    /// Words that came late or once more.
    words: u64,
    /// Frames that came back by another gateway.
    reflections: u64,
    /// Schedules in whose end an address had to thaw first.
    thaws: u64,
    /// Places that a host was asked for in the end.
    asked: u64,
    /// Those of them that it did not know.
    unknown: u64,
}

impl Counts {
    /// Adds those of another schedule.
    fn add(&mut self, other: Counts) {
        self.frames += other.frames;
        self.foretold += other.foretold;
        self.moves += other.moves;
        self.cuts += other.cuts;
        self.partitions += other.partitions;
        self.restarts += other.restarts;
        self.revisions += other.revisions;
        self.words += other.words;
        self.reflections += other.reflections;
        self.thaws += other.thaws;
        self.asked += other.asked;
        self.unknown += other.unknown;
    }

    /// There was enough of everything.
    fn check(&self, cases: u64) {
        let often = [self.foretold, self.moves, self.asked];
        assert!(often.into_iter().all(|count| count > cases), "{self:?}");
        let sometimes = [self.cuts, self.partitions, self.restarts, self.revisions, self.words];
        assert!(sometimes.into_iter().all(|count| count > cases / 5), "{self:?}");
        assert!(self.reflections > cases / 200, "{self:?}");
        assert!(self.thaws > cases / 200 && self.unknown < self.asked / 100, "{self:?}");
    }
}

impl Schedule {
    /// Plays the schedule of a seed.
    ///
    /// # Errors
    /// What went wrong, and what happened before: as few of the steps as it takes.
    fn play(seed: u64) -> Result<Counts, String> {
        let mut left_out = BTreeSet::new();
        let mut wrong = match Schedule::new(seed, &left_out).finish() {
            Ok(counts) => return Ok(counts),
            Err(wrong) => wrong,
        };
        // Every step draws by itself, so that without it the others stay what they are as far as they can.
        for step in (0..MOST_STEPS).rev() {
            left_out.insert(step);
            match Schedule::new(seed, &left_out).finish() {
                Ok(_) => drop(left_out.remove(&step)),
                Err(shorter) => wrong = shorter,
            }
        }
        Err(wrong)
    }

    fn new(seed: u64, left_out: &BTreeSet<usize>) -> Schedule {
        let mut rng = Rng::new(seed);
        let description = world::first(&mut rng);
        let start = Instant::from_secs(START);
        let hosts = description.hosts.iter().map(|host| host.name.clone()).collect();
        let mut schedule = Schedule {
            seed,
            left_out: left_out.clone(),
            is_mild: rng.chance(40),
            cluster: Cluster::start(&description, start),
            rng,
            hosts,
            stations: Vec::new(),
            shots: Shots::default(),
            revision: 1,
            down: BTreeSet::new(),
            cut: BTreeMap::new(),
            is_partitioned: false,
            late: BTreeSet::new(),
            disturbed: start,
            frozen: BTreeMap::new(),
            counts: Counts::default(),
            story: String::new(),
        };
        schedule.populate();
        schedule
    }

    fn finish(mut self) -> Result<Counts, String> {
        match self.go() {
            Ok(()) => Ok(self.counts),
            Err(wrong) => {
                let Description { trunks, ports, .. } = self.cluster.description();
                let port = |port: &Port| format!("\n  {} of {} at {}", port.name, port.bridge, port.host);
                let ports: String = trunks.iter().chain(ports).map(port).collect();
                Err(format!("{wrong}\n{}ports:{ports}", self.story))
            }
        }
    }

    fn go(&mut self) -> Result<(), String> {
        // There may be no place for anybody.
        if self.stations.is_empty() {
            return Ok(());
        }
        let steps = self.rng.between(10, MOST_STEPS);
        for step in (0..steps).filter(|step| !self.left_out.contains(step)).collect::<Vec<_>>() {
            self.rng = Rng::new(self.seed.wrapping_mul(1_000) + step as u64);
            self.step()?;
            self.look()?;
        }
        self.rng = Rng::new(self.seed.wrapping_mul(1_000) + MOST_STEPS as u64);
        self.end()
    }

    fn step(&mut self) -> Result<(), String> {
        // In some nothing is disturbed, or seldom.
        let most = if self.is_mild && self.rng.chance(90) { UNDISTURBED } else { 100 };
        match self.rng.below(most) {
            0..34 => self.somebody_speaks()?,
            34..38 => self.somebody_is_overtaken()?,
            38..52 => self.pass_ms(&[50, 100, 300, 1_000, 2_000]),
            52..55 => self.somebody_is_reflected()?,
            55..60 => self.pass_ms(&[5_000, 11_000, 16_000]),
            60 => self.pass_ms(&[20_000, 60_000, 185_000, 310_000]),
            61..UNDISTURBED => self.somebody_moves()?,
            UNDISTURBED..81 => self.cut_or_mend_store(),
            81..86 => self.disturb_words(),
            86..91 => self.cut_or_mend_underlay(),
            91..93 => self.start_again(),
            93..95 => self.flap(),
            95..97 => self.publish(),
            97 => self.calm_down()?,
            _ => self.adopt(),
        }
        Ok(())
    }

    fn tell(&mut self, what: &str) {
        let ms = self.cluster.now().since(Instant::from_secs(START)).as_millis();
        let _ = writeln!(self.story, "  {ms:>6} {what}");
    }

    fn pass_ms(&mut self, choices: &[u64]) {
        let ms = *self.rng.pick(choices);
        self.pass(Duration::from_millis(ms));
    }

    fn pass(&mut self, span: Duration) {
        self.tell(&format!("{} ms pass", span.as_millis()));
        self.cluster.pass(span);
    }

    /// Looks at what left by itself, and at events.
    fn look(&mut self) -> Result<(), String> {
        self.collect()?;
        let now = self.cluster.now();
        for name in self.hosts.clone() {
            let host = self.cluster.host(&name);
            host.inputs.clear();
            host.outputs.clear();
            for event in std::mem::take(&mut host.events) {
                match event {
                    Event::AddressFrozen { mac, .. } => {
                        let _ = writeln!(self.story, "    {name}: {mac} is frozen");
                        self.frozen.insert(mac.0, now + THAWED);
                    }
                    Event::PortBlocked { .. } => return Err(format!("{name}: {event:?}")),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// The ports of a VLAN that are in force where they are, and have a carrier.
    fn ports_of(&self, vlan: u16) -> Vec<Site> {
        self.sites(|description| &description.ports, &format!("vub{vlan}"))
    }

    /// Trunks that are in force and have a carrier.
    fn trunks(&self) -> Vec<Site> {
        self.sites(|description| &description.trunks, "dc1")
    }

    fn sites(&self, list: impl Fn(&Description) -> &Vec<Port>, bridge: &str) -> Vec<Site> {
        let mut sites = Vec::new();
        for host in &self.hosts {
            let ports = list(self.cluster.in_force(host)).iter();
            let its = ports.filter(|port| port.host == *host && port.bridge == bridge);
            sites.extend(its.map(|port| (host.clone(), port.name.clone())));
        }
        sites.retain(|site| !self.down.contains(site));
        sites
    }

    fn is_frozen(&self, mac: Mac) -> bool {
        self.frozen.get(&mac).is_some_and(|until| *until > self.cluster.now())
    }

    /// Something is not as it should be, or was not a moment ago.
    fn disturb(&mut self) {
        self.disturbed = self.cluster.now();
        self.stations.iter_mut().for_each(|station| station.is_settled = false);
    }

    fn is_calm(&self) -> bool {
        let is_whole =
            self.down.is_empty() && self.cut.is_empty() && self.late.is_empty() && !self.is_partitioned;
        is_whole && self.cluster.is_of_one_mind() && self.cluster.now().since(self.disturbed) >= CALM
    }
}

/// Below it are the kinds of steps that disturb nothing.
const UNDISTURBED: usize = 74;
/// Steps of a schedule, at most.
const MOST_STEPS: usize = 60;
const START: u64 = 2_000_000;
/// How long a freeze lasts, and a second.
const THAWED: Duration = Duration::from_secs(301);
/// After so long nothing of a disturbance is left but what stations have yet to say.
const CALM: Duration = Duration::from_secs(15);
/// A frame from a place that was left within this time may have been under way.
const ECHO: Duration = Duration::from_millis(1_100);
/// Reverse ARP (RFC 903): how a hypervisor announces a VM that has migrated.
const RARP: u16 = 0x8035;

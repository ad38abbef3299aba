//! Cables between ports, and ports behind which everything comes back: the engine on the datapath's in-memory twin. Whatever leaves by one
//! end of a cable comes in by the other; a frame is followed until no copy of it is under way.
//!
//! No frame circles, no machine outside the loop gets more than a few copies of it, no address is held inside the loop, nothing but a
//! looped port is blocked, and once the cable is out every machine is heard again. `L2GW_SEED` repeats one case by its printed seed,
//! `L2GW_CASES` says how many.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::time::Duration;

use agent::budget::Rates;
use agent::engine::Settings;
use agent::event::Event;
use agent::input::{Command, Input};
use agent::list::everything;
use agent::view::MacView;
use datapath::fake::FakeWire;
use tests::rows::table::stories::declare;
use tests::sim::asked::{again, number};
use tests::sim::gateway::Gateway;
use tests::sim::rng::Rng;
use vlan::model::description::Description;
use vlan::time::Instant;

#[test]
fn no_frame_circles_and_no_machine_loses_its_place_to_a_loop() {
    let first = number("L2GW_SEED").unwrap_or(1);
    let cases = number("L2GW_CASES").unwrap_or(10_000);
    let mut counts = Counts::default();
    for seed in first..first + cases {
        if let Err(story) = Play::new(seed).finish(&mut counts) {
            panic!("{}: {story}", again(seed, "simulation", "loops::"));
        }
    }
    println!("seeds {first}..{}: {counts:?}", first + cases);
    if cases >= 1_000 {
        counts.check(cases);
    }
}

/// Where what leaves by a port comes in again.
type Cables = BTreeMap<&'static str, &'static str>;

struct Play {
    rng: Rng,
    gateway: Gateway,
    wire: FakeWire,
    cables: Cables,
    /// Whether copies that arrive at the same time come up together.
    in_batches: bool,
    serial: u32,
    story: String,
}

impl Play {
    fn new(seed: u64) -> Play {
        let mut rng = Rng::new(seed);
        let mut description = Description::default();
        let mut rows = vec!["bridge sw", "bridge red unaware", "vlan sw 8 red", "trunk t1 sw 8"];
        rows.extend(["port p1 red storm 0/0/0", "port p2 red storm 0/0/0"]);
        rows.extend(match rng.below(2) {
            0 => ["port p3 red storm 0/0/0", "port p4 red storm 0/0/0", "port p5 red storm 0/0/0"],
            _ => [
                "port p3 sw access 8 storm 0/0/0",
                "port p4 sw access 8 storm 0/0/0",
                "port p5 red storm 0/0/0",
            ],
        });
        for row in rows {
            assert_eq!(declare(&mut description, row), Ok(true), "{row}");
        }
        let mut settings = Settings::new("h1");
        settings.rates = Rates { port: 0, ..Rates::default() };
        settings.seed = seed;
        let wire = Gateway::wire(&description, Instant::from_secs(2_000_000));
        let gateway = Gateway::start(&wire, settings, (1, &description), Vec::new());
        let in_batches = rng.chance(50);
        Play { rng, gateway, wire, cables: Cables::new(), in_batches, serial: 0, story: String::new() }
    }

    fn finish(mut self, counts: &mut Counts) -> Result<(), String> {
        // Known for long; or never heard before, and then nobody stays anywhere.
        let is_settled = self.rng.chance(50);
        if is_settled {
            for (station, _) in STATIONS {
                self.say(station, [0xff; 6], 1, counts)?;
            }
            self.pass(&[200_000]);
        }
        self.plug();
        counts.cases += 1;
        for _ in 0..self.rng.between(1, 10) {
            self.speak(MOST_COPIES, counts)?;
            self.check(counts)?;
            self.pass(if is_settled { &[1, 100, 900, 2_000, 12_000] } else { &[1, 20, 90] });
        }
        self.unplug();
        self.pass(&[1_100, 2_000]);
        // Addresses may be held where they belong for a while yet: nobody notices. One that was nowhere for a second before may have come
        // to rest in the loop, and has to be heard again first.
        let heard = if is_settled { &STATIONS[..] } else { &[] };
        for (station, _) in heard.iter().copied() {
            self.say(station, [0xff; 6], 1, counts)?;
        }
        counts.held += u64::from(self.macs().iter().any(|mac| mac.kind == "frozen"));
        Ok(())
    }

    fn plug(&mut self) {
        let cables = match self.rng.below(4) {
            0 => vec![("p3", "p4"), ("p4", "p3")],
            // One way only: the other is broken.
            1 => vec![("p3", "p4")],
            // A switch behind a port that is joined to itself.
            2 => vec![("p3", "p3")],
            _ => vec![("p3", "p4"), ("p4", "p5"), ("p5", "p3")],
        };
        let _ = writeln!(self.story, "  {cables:?}");
        self.cables = cables.into_iter().collect();
    }

    fn unplug(&mut self) {
        let _ = writeln!(self.story, "  unplugged");
        self.cables.clear();
        for port in ["p3", "p4", "p5"] {
            self.gateway.handle(Input::Operator(Command::Unblock { port: port.to_owned() }));
        }
        self.gateway.settle();
        self.gateway.events.clear();
    }

    fn pass(&mut self, choice: &[u64]) {
        let ms = *self.rng.pick(choice);
        let _ = writeln!(self.story, "  {ms} ms pass");
        self.wire.advance(Duration::from_millis(ms));
        self.gateway.handle(Input::Tick);
        self.gateway.settle();
        if self.rng.chance(50) {
            self.gateway.read_statistics();
            self.gateway.settle();
        }
    }

    fn speak(&mut self, most: usize, counts: &mut Counts) -> Result<(), String> {
        let station = STATIONS[self.rng.below(STATIONS.len())].0;
        let dst = match self.rng.below(5) {
            0 | 1 => [0xff; 6],
            2 => [0x01, 0, 0x5e, 0, 0, 9],
            3 => [2, 0, 0, 0, 9, 9],
            _ => STATIONS[self.rng.below(STATIONS.len())].0,
        };
        self.say(station, dst, most, counts)
    }

    /// Follows a frame until no copy of it is under way. No machine may get it more often than `most` times.
    fn say(&mut self, station: Mac, dst: Mac, most: usize, counts: &mut Counts) -> Result<(), String> {
        let port = STATIONS.iter().find(|(mac, _)| *mac == station).expect("a station").1;
        self.serial += 1;
        let mut frame: Vec<u8> = [&dst[..], &station].concat();
        if port == "t1" {
            frame.extend([0x81, 0, 0, 8]);
        }
        frame.extend([0x08, 0]);
        frame.extend(self.serial.to_be_bytes());
        frame.resize(80, 0xa5);
        let _ = writeln!(self.story, "  {} {port} {}", self.wire.now(), tests::sim::duel::hex(&frame[..20]));
        let mut under_way = VecDeque::from([(port, frame)]);
        let mut copies: BTreeMap<String, usize> = BTreeMap::new();
        let mut arrivals = 0;
        while let Some((port, frame)) = under_way.pop_front() {
            arrivals += 1;
            if arrivals > MOST_ARRIVALS {
                return Err(format!("a frame circles\n{}", self.state()));
            }
            self.gateway.inject(port, &frame);
            if !self.in_batches || under_way.is_empty() {
                self.wire.advance(Duration::from_micros(20));
                self.gateway.settle();
            }
            for (port, frame) in self.gateway.take_sent() {
                match self.cables.get(port.as_str()) {
                    Some(other) => under_way.push_back((other, frame)),
                    None => *copies.entry(port).or_default() += 1,
                }
            }
        }
        counts.frames += 1;
        counts.returns += arrivals as u64 - 1;
        match copies.iter().find(|(_, count)| **count > most) {
            Some((port, count)) => {
                Err(format!("{count} copies of one frame left by {port}\n{}", self.state()))
            }
            None if most == 1 && dst == [0xff; 6] => self.reached_everybody(port, &copies),
            None => Ok(()),
        }
    }

    fn reached_everybody(&self, from: &str, copies: &BTreeMap<String, usize>) -> Result<(), String> {
        let missed =
            ["p1", "p2", "t1"].into_iter().filter(|port| *port != from && !copies.contains_key(*port));
        let missed: Vec<&str> = missed.collect();
        if missed.is_empty() {
            Ok(())
        } else {
            Err(format!("nothing of {from} at {missed:?}\n{}", self.state()))
        }
    }

    fn check(&mut self, counts: &mut Counts) -> Result<(), String> {
        for event in std::mem::take(&mut self.gateway.events) {
            match &event {
                Event::PortBlocked { port, .. } => {
                    counts.blocked += 1;
                    let is_looped = self.cables.iter().any(|(a, b)| a == port || b == port);
                    if !is_looped {
                        return Err(format!("{event:?}\n{}", self.state()));
                    }
                }
                Event::AddressFrozen { mac, held, seen } => {
                    counts.frozen += 1;
                    let home = STATIONS.iter().find(|(station, _)| *station == mac.0).expect("a station").1;
                    let home = if home == "t1" { "trunks of fabric" } else { home };
                    let is_home = held == home;
                    if held == seen || !is_home {
                        return Err(format!("{event:?}\n{}", self.state()));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn macs(&self) -> Vec<MacView> {
        everything(&self.gateway.engine, self.wire.now())
    }

    fn state(&self) -> String {
        format!("{:#?}\n{}", self.macs(), self.story)
    }
}

type Mac = [u8; 6];

/// What the cases were made of.
#[derive(Debug, Default)]
struct Counts {
    cases: u64,
    frames: u64,
    returns: u64,
    frozen: u64,
    blocked: u64,
    held: u64,
}

impl Counts {
    fn check(&self, cases: u64) {
        assert!(self.returns > self.frames / 2, "{self:?}");
        assert!(self.frozen > cases / 8 && self.blocked > cases / 4 && self.held > cases / 8, "{self:?}");
    }
}

/// Machines and where they are: none of them is inside a loop.
const STATIONS: [(Mac, &str); 3] =
    [([2, 0, 0, 0, 1, 1], "p1"), ([2, 0, 0, 0, 1, 2], "p2"), ([2, 0, 0, 0, 1, 8], "t1")];
/// Copies of one frame that a machine may get while its address flies: one for each of the five moves that freeze it, for each of the
/// directions around the loop and what is under way by then.
const MOST_COPIES: usize = 24;
/// Arrivals of one frame, by whatever port.
const MOST_ARRIVALS: usize = 200;

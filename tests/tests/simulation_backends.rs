//! One forwarding decision, two lowerings: the verdict alone, the engine's flows and the tables do the same to the same frames, as
//! bytes, after every frame.
//!
//! The flows are those of the real engine on the datapath's in-memory twin: the first frame of a kind is judged, later ones meet its
//! flow. The tables are written by [`agent::lower::tables`] before a frame comes, and their host knows addresses by reports alone. After
//! every frame all three hosts must know the same addresses.
//!
//! What tables cannot do, each named where it is allowed for: an address that moves once too often is frozen after that
//! frame has gone on, where the verdict drops it.
//!
//! `L2GW_SEED` repeats one case by its printed seed, or starts a run elsewhere; `L2GW_CASES` says how many.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use agent::budget::Rates;
use agent::engine::Settings;
use datapath::Datapath;
use datapath::fake::{FakeWire, Options};
use futures::FutureExt;
use tests::sim::cases::Case;
use tests::sim::duel::hex;
use tests::sim::gateway::Gateway;
use tests::sim::oracle::{Oracle, Said};
use tests::sim::reference::Designated;
use tests::sim::rng::Rng;
use tests::sim::standing::Standing;
use tests::sim::table_gateway::{Done, TableGateway};
use tests::sim::traffic::{Sent, Traffic};
use vlan::addr::MacAddr;
use vlan::fdb::ECHO;
use vlan::fdb::entry::Kind;
use vlan::model::description::{Description, OnLimit};
use vlan::model::id::{Location, SegmentId};
use vlan::model::topology::Topology;
use vlan::switch::Switch;
use vlan::tag::Tag;
use vlan::time::Instant;

#[test]
fn flows_and_tables_do_what_the_verdict_says() {
    let counts = play_all(FIRST_SEED, CASES, Choice::Own);
    if counts.cases >= 1_000 {
        assert!(counts.percent(counts.hits) >= 20, "flows are hit: {counts}");
    }
}

#[test]
fn tables_do_what_the_verdict_says_whatever_trunk_carries_a_vlan() {
    play_all(FIRST_SEED + CASES, CASES / 5, Choice::Told);
}

/// Plays the cases of all seeds, on as many threads as there are CPUs.
fn play_all(first: u64, cases: u64, choice: Choice) -> Counts {
    let (first, cases) = (number("L2GW_SEED").unwrap_or(first), number("L2GW_CASES").unwrap_or(cases));
    let next = AtomicU64::new(first);
    let play_some = || {
        let mut counts = Counts::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + cases {
                return counts;
            }
            if let Err(story) = Play::new(seed, choice).finish(&mut counts) {
                panic!("seed {seed} (L2GW_SEED={seed} L2GW_CASES=1): {story}");
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let counts = std::thread::scope(|scope| {
        let players: Vec<_> = (0..threads).map(|_| scope.spawn(play_some)).collect();
        let all =
            players.into_iter().map(|player| player.join().unwrap_or_else(|panic| resume_unwind(panic)));
        all.fold(Counts::default(), Counts::with)
    });
    println!("seeds {first}..{}: {counts}", first + cases);
    if cases >= 1_000 {
        counts.check();
    }
    counts
}

/// Who says which trunk carries a VLAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// Each host for itself, by the same rule.
    Own,
    /// The case, at random, which the engine with its flows cannot be told.
    Told,
}

/// One case on its way.
struct Play {
    rng: Rng,
    case: Case,
    description: Description,
    oracle: Oracle,
    flows: Option<Gateway>,
    tables: TableGateway,
    wires: Vec<FakeWire>,
    revision: u64,
    is_limited: bool,
    down: Vec<String>,
    sent: Vec<Sent>,
    story: String,
}

impl Play {
    fn new(seed: u64, choice: Choice) -> Play {
        let mut rng = Rng::new(seed);
        let mut case = random_case(&mut rng);
        let is_limited = limit_addresses(&mut rng, &mut case.description);
        let description = case.description.clone();
        let start = Instant::from_secs(2_000_000);
        let told = (choice == Choice::Told).then_some(&case.designation);
        let table_wire = TableGateway::wire(start, Options::default());
        let flow_wire = Gateway::wire(&description, start);
        let flows = told
            .is_none()
            .then(|| Gateway::start(&flow_wire, settings(&mut rng, seed), (1, &description), Vec::new()));
        Play {
            oracle: match told {
                Some(designated) => Oracle::told(&description, designated),
                None => Oracle::new(&description),
            },
            tables: TableGateway::start(&table_wire, standing(&description, told)),
            flows,
            wires: vec![table_wire, flow_wire],
            rng,
            case,
            description,
            revision: 1,
            is_limited,
            down: Vec::new(),
            sent: Vec::new(),
            story: String::new(),
        }
    }

    fn finish(mut self, counts: &mut Counts) -> Result<(), String> {
        let description = self.description.clone();
        let mut traffic = Traffic::new(&description);
        counts.cases += 1;
        for step in 0..self.rng.between(8, 30) {
            let outcome = match (self.rng.below(100), &mut traffic) {
                (0..25, _) => {
                    self.let_time_pass();
                    Ok(())
                }
                (25..29, _) => self.flap(counts),
                (29..31, _) => self.change(counts),
                (31..60, _) if !self.sent.is_empty() => self.send_again(counts),
                (_, Some(traffic)) => self.send(traffic, counts),
                (_, None) => Ok(()),
            };
            outcome
                .map_err(|difference| format!("step {step}: {difference}\n{}\n{}", self.story, self.case))?;
        }
        counts.changes += self.tables.changes as u64;
        if let Some(flows) = &mut self.flows {
            counts.hits += flows.datapath().counters().now_or_never().expect("a twin").expect("counters").hit;
        }
        self.tables.check().map_err(|difference| format!("{difference}\n{}\n{}", self.story, self.case))
    }

    fn send(&mut self, traffic: &mut Traffic<'_>, counts: &mut Counts) -> Result<(), String> {
        let sent = traffic.next(&mut self.rng);
        let outputs = self.compare(&sent, counts)?;
        traffic.hear(&outputs);
        self.sent.push(sent);
        Ok(())
    }

    /// A frame that was sent before, perhaps with something else in what most verdicts do not look at.
    fn send_again(&mut self, counts: &mut Counts) -> Result<(), String> {
        let (port, mut frame) = self.rng.pick(&self.sent).clone();
        match self.rng.below(4) {
            0 => *frame.last_mut().expect("a frame") ^= 1,
            1 if frame[12..14] == [0x81, 0] => frame[14] ^= 0x20 << self.rng.below(3),
            2 => frame.truncate(self.rng.between(14, frame.len())),
            _ => {}
        }
        counts.again += 1;
        self.compare(&(port, frame), counts).map(drop)
    }

    /// What left, if all sides agree on that and on what they know then.
    fn compare(&mut self, sent: &Sent, counts: &mut Counts) -> Result<Vec<Sent>, String> {
        let (port, frame) = sent;
        if !self.has_port(port) {
            return Ok(Vec::new());
        }
        if self.is_limited {
            // Which address is evicted is told apart by the second in which each was heard.
            self.pass(Duration::from_millis(1_100));
        }
        let _ = writeln!(self.story, "  {port} {}", hex(frame));
        let now = self.wires[0].now();
        let said = self.oracle.send(now, port, frame);
        self.compare_tables(sent, &said, counts)?;
        if let Some(flows) = &mut self.flows
            && !self.down.contains(port)
        {
            let got = flows.send(port, frame);
            if !is_same(&got, &said.outputs) {
                return Err(differs("flows", sent, &said, &show(&got)));
            }
        }
        if let Some(fault) = self.wires.iter().flat_map(FakeWire::faults).next() {
            return Err(fault);
        }
        counts.add(&said);
        Ok(said.outputs)
    }

    fn compare_tables(&mut self, sent: &Sent, said: &Said, counts: &mut Counts) -> Result<(), String> {
        let Done { outputs, decision, was_frozen } = self.tables.send(&sent.0, &sent.1);
        counts.frozen += u64::from(was_frozen);
        if !was_frozen && (&outputs, &decision) != (&said.outputs, &said.decision) {
            return Err(differs("tables", sent, said, &format!("{decision} {}", show(&outputs))));
        }
        let (expected, got) =
            (known(self.oracle.switch(), self.wires[0].now()), known(self.tables.switch(), Instant::ZERO));
        if expected != got {
            let missing: Vec<_> = expected.difference(&got).collect();
            let surplus: Vec<_> = got.difference(&expected).collect();
            return Err(differs(
                "tables",
                sent,
                said,
                &format!("missing {missing:#?}, surplus {surplus:#?}"),
            ));
        }
        Ok(())
    }

    fn let_time_pass(&mut self) {
        let spans = [1, 400, 900, 2_000, 30_000, 61_000, 61_000, 400_000];
        let span = Duration::from_millis(*self.rng.pick(&spans));
        let _ = writeln!(self.story, "  {span:?} pass");
        self.pass(span);
    }

    fn pass(&mut self, span: Duration) {
        self.tables.pass(span);
        match &mut self.flows {
            Some(flows) => flows.pass(span),
            None => self.wires[1].advance(span),
        }
        self.oracle.pass(self.wires[0].now());
    }

    fn flap(&mut self, counts: &mut Counts) -> Result<(), String> {
        let ports: Vec<&String> =
            self.description.trunks.iter().chain(&self.description.ports).map(|p| &p.name).collect();
        if ports.is_empty() {
            return Ok(());
        }
        counts.flaps += 1;
        let port = self.rng.pick(&ports).to_string();
        let was_down = self.down.contains(&port);
        let _ = writeln!(self.story, "  {port} {}", if was_down { "up" } else { "down" });
        match was_down {
            true => self.down.retain(|other| *other != port),
            false => self.down.push(port.clone()),
        }
        self.tables.set_carrier(&port, was_down);
        self.oracle.set_carrier(&port, was_down);
        if let Some(flows) = &mut self.flows {
            flows.set_carrier(&port, was_down);
        }
        Ok(())
    }

    /// A topology of other objects, or the same one with something left out.
    fn change(&mut self, counts: &mut Counts) -> Result<(), String> {
        let next = match self.rng.below(4) {
            0 => Case::random(&mut self.rng).description,
            1 => without_a_peering(&mut self.rng, &self.description),
            _ => without_a_port(&mut self.rng, &self.description),
        };
        if Topology::build(&next).is_err() {
            return Ok(());
        }
        counts.revisions += 1;
        for port in std::mem::take(&mut self.down) {
            self.tables.set_carrier(&port, true);
            self.oracle.set_carrier(&port, true);
            if let Some(flows) = &mut self.flows {
                flows.set_carrier(&port, true);
            }
        }
        self.revision += 1;
        self.description = next.clone();
        self.case.description = next;
        let _ = writeln!(self.story, "  another topology: the one below");
        self.oracle.change(&self.description);
        self.tables.change(|host| drop(host.change(&self.description)));
        if let Some(flows) = &mut self.flows {
            flows.change(self.revision, &self.description);
        }
        // What was sent a moment ago is forgotten by the switch with the old topology, and remembered by tables.
        self.pass(ECHO + Duration::from_millis(1));
        Ok(())
    }

    fn has_port(&self, port: &str) -> bool {
        self.description.trunks.iter().chain(&self.description.ports).any(|one| one.name == port)
    }
}

/// Two outer VLANs that lead into one VAB make a segment of each of its 4 094 VLANs, and a case that costs as much as a hundred
/// others: only one in four of those is played.
fn random_case(rng: &mut Rng) -> Case {
    loop {
        let case = Case::random(rng);
        let segments = Topology::build(&case.description).map_or(0, |topology| topology.segments().len());
        if segments < 1_000 || rng.chance(25) {
            return case;
        }
    }
}

fn standing(description: &Description, told: Option<&Designated>) -> Standing {
    told.map_or_else(|| Standing::new(description), |designated| Standing::told(description, designated))
}

fn settings(rng: &mut Rng, seed: u64) -> Settings {
    let mut settings = Settings::new("h");
    settings.rates = Rates { port: 0, ..Rates::default() };
    settings.flow_idle = Duration::from_secs(*rng.pick(&[10, 10_000]));
    settings.seed = seed;
    settings
}

/// Now and then ports have room for few addresses. Whether this is such a case.
fn limit_addresses(rng: &mut Rng, description: &mut Description) -> bool {
    let is_limited = rng.chance(30);
    for port in description.trunks.iter_mut().chain(&mut description.ports) {
        if is_limited && rng.chance(50) {
            port.mac_limit = Some(rng.between(0, 3) as u32);
            port.on_limit = *rng.pick(&[OnLimit::Evict, OnLimit::Drop, OnLimit::Flood]);
        }
    }
    is_limited
}

fn without_a_port(rng: &mut Rng, description: &Description) -> Description {
    let mut next = description.clone();
    if !next.ports.is_empty() && rng.chance(50) {
        next.ports.remove(rng.below(next.ports.len()));
    } else if !next.trunks.is_empty() {
        next.trunks.remove(rng.below(next.trunks.len()));
    }
    next
}

fn without_a_peering(rng: &mut Rng, description: &Description) -> Description {
    let mut next = description.clone();
    if !next.vlans.is_empty() {
        next.vlans.remove(rng.below(next.vlans.len()));
    }
    next
}

/// Segment, address, where, how it is known, whether it is frozen.
type Known = (SegmentId, MacAddr, Location, Kind, bool);

/// The addresses that are not over their age.
fn known(switch: &Switch, now: Instant) -> BTreeSet<Known> {
    let live = switch.fdb.entries().filter(|entry| switch.fdb.find(now, entry.segment, entry.mac).is_some());
    live.map(|entry| (entry.segment, entry.mac, entry.location, entry.kind, entry.frozen_until.is_some()))
        .collect()
}

/// The daemon pads a frame that it sends itself before its tags, at most two, come off, so that no copy is too short.
fn is_same(got: &[Sent], expected: &[Sent]) -> bool {
    let shortest = expected.iter().map(|(_, frame)| frame.len()).min().unwrap_or(0);
    let most = (MIN_FRAME + 2 * Tag::LEN).saturating_sub(shortest);
    got.len() == expected.len()
        && got.iter().zip(expected).all(|((port, frame), (other, wanted))| {
            let (head, tail) = frame.split_at(wanted.len().min(frame.len()));
            port == other && head == wanted && tail.len() <= most && tail.iter().all(|byte| *byte == 0)
        })
}

fn differs(side: &str, (port, frame): &Sent, said: &Said, got: &str) -> String {
    format!(
        "{side}: into {port} {}\nexpected {} {}\n     got {got}",
        hex(frame),
        said.decision,
        show(&said.outputs)
    )
}

fn show(outputs: &[Sent]) -> String {
    let lines: Vec<String> =
        outputs.iter().map(|(port, frame)| format!("\n      {port} {}", hex(frame))).collect();
    format!("{} copies{}", outputs.len(), lines.concat())
}

/// What the cases were made of.
#[derive(Debug, Default)]
struct Counts {
    cases: u64,
    frames: u64,
    again: u64,
    forwarded: u64,
    known: u64,
    chained: u64,
    hits: u64,
    frozen: u64,
    flaps: u64,
    revisions: u64,
    changes: u64,
}

impl Counts {
    fn add(&mut self, said: &Said) {
        self.frames += 1;
        self.forwarded += u64::from(!said.outputs.is_empty());
        self.known += u64::from(said.is_known);
        self.chained += u64::from(said.through_chain);
    }

    fn with(self, other: Counts) -> Counts {
        Counts {
            cases: self.cases + other.cases,
            frames: self.frames + other.frames,
            again: self.again + other.again,
            forwarded: self.forwarded + other.forwarded,
            known: self.known + other.known,
            chained: self.chained + other.chained,
            hits: self.hits + other.hits,
            frozen: self.frozen + other.frozen,
            flaps: self.flaps + other.flaps,
            revisions: self.revisions + other.revisions,
            changes: self.changes + other.changes,
        }
    }

    fn percent(&self, part: u64) -> u64 {
        part * 100 / self.frames.max(1)
    }

    fn check(&self) {
        assert!(self.percent(self.forwarded) >= 40, "{self}");
        assert!(self.percent(self.known) >= 20, "{self}");
        assert!(self.percent(self.chained) >= 10, "{self}");
        assert!(self.frozen * 50 < self.frames, "what is allowed for is rare: {self}");
        assert!(self.flaps > self.cases / 4 && self.revisions > self.cases / 8, "{self}");
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} cases, {} frames ({} again): {} % forwarded, {} % known unicast, {} % through chains; {} % met a flow, \
             {} froze an address; {} flaps, {} revisions, {} table changes",
            self.cases,
            self.frames,
            self.again,
            self.percent(self.forwarded),
            self.percent(self.known),
            self.percent(self.chained),
            self.percent(self.hits),
            self.frozen,
            self.flaps,
            self.revisions,
            self.changes
        )
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}: {text:?} is not a number")))
}

/// The shortest frame without FCS (802.3 4A.4.2).
const MIN_FRAME: usize = 60;
const FIRST_SEED: u64 = 1;
const CASES: u64 = 10_000;

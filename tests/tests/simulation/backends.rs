//! One forwarding decision, two lowerings: the verdict alone, flows and tables do the same to the same frames, as bytes, after every
//! frame.
//!
//! By flows the first frame of a kind is judged, later ones meet its flow: once by the real engine on the datapath's in-memory twin, and
//! once, where the case says which trunk carries a VLAN, by a host that can be told ([`tests::sim::flow_host`]). The tables are
//! written by [`agent::lower::tables`] before a frame comes, and their host knows addresses by reports alone; after every frame it
//! must know the same addresses as the verdict's.
//!
//! What tables cannot do, named where it is allowed for: an address that moves once too often is frozen after that frame has gone on,
//! where the verdict drops it.
//!
//! `L2GW_SEED` repeats one case by its printed seed, or starts a run elsewhere; `L2GW_CASES` says how many.

use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use agent::budget::Rates;
use agent::engine::Settings;
use datapath::Datapath;
use datapath::fake::{FakeDatapath, FakeWire, Options};
use futures::FutureExt;
use tests::sim::asked::{again, number};
use tests::sim::cases::Case;
use tests::sim::compare::{differs, follow, is_same, show};
use tests::sim::director::{Bounds, Choice, Director, Scene};
use tests::sim::flow_host::{FlowHost, FlowLab};
use tests::sim::gateway::Gateway;
use tests::sim::oracle::{Mix, Said};
use tests::sim::standing::Standing;
use tests::sim::table_gateway::{Done, TableGateway};
use tests::sim::traffic::Sent;
use tests::suite::fake::FakeRig;
use vlan::addr::MacAddr;
use vlan::fdb::entry::Kind;
use vlan::model::description::Description;
use vlan::model::id::{Location, SegmentId};
use vlan::switch::Switch;
use vlan::time::Instant;

#[test]
fn flows_and_tables_do_what_the_verdict_says() {
    let counts = play_all(FIRST_SEED, CASES, Choice::Own);
    if counts.cases >= 1_000 {
        assert!(counts.mix.percent(counts.hits) >= 20, "flows are hit: {counts}");
    }
}

#[test]
fn flows_and_tables_do_what_the_verdict_says_whatever_trunk_carries_a_vlan() {
    play_all(FIRST_SEED + CASES, CASES / 5, Choice::Told);
}

/// A frozen address took no room under its port's limit by tables.
#[test]
fn what_has_failed_once_holds() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut rig = FakeRig::new(Options::default());
        let mut lab = FlowLab::new(&mut rig, LINKS).await;
        for choice in [Choice::Own, Choice::Told] {
            let seed = 275_703_753_343_290;
            let held = Play::new(&mut lab, seed, choice).finish(&mut Counts::default()).await;
            held.unwrap_or_else(|story| panic!("{}: {story}", again(seed, "simulation", "backends::")));
        }
    });
}

/// Plays the cases of all seeds, on as many threads as there are CPUs.
fn play_all(first: u64, cases: u64, choice: Choice) -> Counts {
    let (first, cases) = (number("L2GW_SEED").unwrap_or(first), number("L2GW_CASES").unwrap_or(cases));
    let next = AtomicU64::new(first);
    let play_some = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut counts = Counts::default();
        runtime.block_on(async {
            let mut rig = FakeRig::new(Options::default());
            let mut lab = FlowLab::new(&mut rig, LINKS).await;
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= first + cases {
                    return;
                }
                if let Err(story) = Play::new(&mut lab, seed, choice).finish(&mut counts).await {
                    panic!("{}: {story}", again(seed, "simulation", "backends::"));
                }
            }
        });
        counts
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

/// One case and those who do it.
struct Play<'l, 'b> {
    director: Director,
    engine: Option<Gateway>,
    flows: Option<FlowHost<'l, 'b, FakeRig<FakeDatapath>>>,
    tables: TableGateway,
    wires: Vec<FakeWire>,
    revision: u64,
}

impl<'l, 'b> Play<'l, 'b> {
    fn new(lab: &'l mut FlowLab<'b, FakeRig<FakeDatapath>>, seed: u64, choice: Choice) -> Play<'l, 'b> {
        let director = Director::new(seed, choice, START, BOUNDS);
        let description = &director.case.description;
        let wire = TableGateway::wire(START, Options::default());
        let tables = TableGateway::start(&wire, standing(&director.case, choice));
        let mut wires = vec![wire];
        let engine = (choice == Choice::Own).then(|| {
            let wire = Gateway::wire(description, START);
            wires.push(wire.clone());
            Gateway::start(&wire, settings(seed), (1, description), Vec::new())
        });
        let standing = || standing(&director.case, choice);
        let flows = (choice == Choice::Told).then(|| FlowHost::new(lab, standing(), START));
        Play { engine, flows, tables, wires, revision: 1, director }
    }

    async fn finish(mut self, counts: &mut Counts) -> Result<(), String> {
        counts.cases += 1;
        while let Some(scene) = self.director.next_scene() {
            let done = self.act(&scene, counts).await;
            done.map_err(|difference| format!("{difference}\n{}", self.director.story()))?;
        }
        counts.changes += self.tables.changes as u64;
        if let Some(engine) = &mut self.engine {
            counts.hits +=
                engine.datapath().counters().now_or_never().expect("a twin").expect("counters").hit;
        }
        if let Some(flows) = self.flows {
            counts.hits += flows.hits;
            let faults = flows.finish().await;
            faults.first().map_or(Ok(()), |fault| Err(format!("{fault}\n{}", self.director.story())))?;
        }
        self.tables.check().map_err(|difference| format!("{difference}\n{}", self.director.story()))
    }

    async fn act(&mut self, scene: &Scene, counts: &mut Counts) -> Result<(), String> {
        if let Some(flows) = &mut self.flows {
            follow(flows, scene).await?;
        }
        match scene {
            Scene::Pass(span) => {
                self.tables.pass(*span);
                self.engine.iter_mut().for_each(|engine| engine.pass(*span));
            }
            Scene::Carrier(port, has_carrier) => {
                counts.flaps += 1;
                self.tables.set_carrier(port, *has_carrier);
                self.engine.iter_mut().for_each(|engine| engine.set_carrier(port, *has_carrier));
            }
            Scene::Revision(description) => {
                counts.revisions += 1;
                self.revise(description);
            }
            Scene::Frame { sent, said, has_carrier } => {
                self.compare_tables(sent, said, counts)?;
                self.compare_engine(sent, said, *has_carrier)?;
                counts.mix.add(said);
            }
        }
        match self.wires.iter().flat_map(FakeWire::faults).next() {
            Some(fault) => Err(fault),
            None => Ok(()),
        }
    }

    fn revise(&mut self, description: &Description) {
        self.revision += 1;
        let ports = ports_of(description);
        self.tables.change(|host| {
            ports.iter().for_each(|port| drop(host.set_carrier(port, true)));
            host.change(description);
        });
        if let Some(engine) = &mut self.engine {
            engine.change(self.revision, description);
            ports.iter().for_each(|port| engine.set_carrier(port, true));
        }
    }

    fn compare_tables(&mut self, sent: &Sent, said: &Said, counts: &mut Counts) -> Result<(), String> {
        let Done { outputs, decision, was_frozen } = self.tables.send(&sent.0, &sent.1);
        counts.frozen += u64::from(was_frozen);
        if !was_frozen && (&outputs, &decision) != (&said.outputs, &said.decision) {
            return Err(differs("tables", sent, said, &format!("{decision} {}", show(&outputs))));
        }
        let expected = known(self.director.oracle.switch(), self.director.now());
        let got = known(self.tables.switch(), Instant::ZERO);
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

    fn compare_engine(&mut self, sent: &Sent, said: &Said, has_carrier: bool) -> Result<(), String> {
        let Some(engine) = self.engine.as_mut().filter(|_| has_carrier) else { return Ok(()) };
        let got = engine.send(&sent.0, &sent.1);
        match is_same(&got, &said.outputs, false, &engine.datapath().capabilities()) {
            true => Ok(()),
            false => Err(differs("flows of the engine", sent, said, &show(&got))),
        }
    }
}

fn standing(case: &Case, choice: Choice) -> Standing {
    match choice {
        Choice::Own => Standing::new(&case.description),
        Choice::Told => Standing::told(&case.description, &case.designation),
    }
}

fn settings(seed: u64) -> Settings {
    let mut settings = Settings::new("h");
    settings.rates = Rates { port: 0, ..Rates::default() };
    settings.flow_idle = Duration::from_secs(if seed.is_multiple_of(2) { 10 } else { 10_000 });
    settings.seed = seed;
    settings
}

fn ports_of(description: &Description) -> Vec<String> {
    description.trunks.iter().chain(&description.ports).map(|port| port.name.clone()).collect()
}

/// Segment, address, where, how it is known, whether it is frozen.
type Known = (SegmentId, MacAddr, Location, Kind, bool);

/// The addresses that are not over their age.
fn known(switch: &Switch, now: Instant) -> BTreeSet<Known> {
    let live = switch
        .fdb
        .addresses
        .entries()
        .filter(|entry| switch.fdb.addresses.find(now, entry.segment, entry.mac).is_some());
    live.map(|entry| (entry.segment, entry.mac, entry.location, entry.kind, entry.frozen_until.is_some()))
        .collect()
}

/// What the cases were made of.
#[derive(Debug, Default)]
struct Counts {
    cases: u64,
    mix: Mix,
    hits: u64,
    frozen: u64,
    flaps: u64,
    revisions: u64,
    changes: u64,
}

impl Counts {
    fn with(self, other: Counts) -> Counts {
        Counts {
            cases: self.cases + other.cases,
            mix: self.mix.with(other.mix),
            hits: self.hits + other.hits,
            frozen: self.frozen + other.frozen,
            flaps: self.flaps + other.flaps,
            revisions: self.revisions + other.revisions,
            changes: self.changes + other.changes,
        }
    }

    fn check(&self) {
        assert!(self.mix.percent(self.mix.forwarded) >= 40, "{self}");
        assert!(self.mix.percent(self.mix.known) >= 20, "{self}");
        assert!(self.mix.percent(self.mix.chained) >= 10, "{self}");
        assert!(self.frozen * 50 < self.mix.frames, "what is allowed for is rare: {self}");
        assert!(self.flaps > self.cases / 4 && self.revisions > self.cases / 8, "{self}");
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} cases, {} frames: {} % forwarded, {} % known unicast, {} % through chains; {} % met a flow, \
             {} froze an address; {} flaps, {} revisions, {} table changes",
            self.cases,
            self.mix.frames,
            self.mix.percent(self.mix.forwarded),
            self.mix.percent(self.mix.known),
            self.mix.percent(self.mix.chained),
            self.mix.percent(self.hits),
            self.frozen,
            self.flaps,
            self.revisions,
            self.changes
        )
    }
}

const START: Instant = Instant::from_secs(2_000_000);
/// More than any case has ports.
const LINKS: usize = 40;
const BOUNDS: Bounds = Bounds { ports: LINKS, may_end_in_tags: true };
const FIRST_SEED: u64 = 1;
const CASES: u64 = 10_000;

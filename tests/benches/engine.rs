//! What the engine takes for a first frame, and how long anybody may have to wait for it.
//!
//! `cargo bench -p tests --bench engine`; docs/benchmarks.md says how to read it.

use std::time::Duration;

use agent::budget::Rates;
use agent::engine::{Engine, Settings};
use agent::input::{Answer, Input};
use agent::list::everything;
use agent::output::Output;
use agent::view::FlowView;
use datapath::fake::{FakeDatapath, FakeWire, Limits, Options};
use datapath::ovs::Codec;
use datapath::port::{Link, LinkEvent, VportNo};
use datapath::{Datapath, Upcall};
use futures::FutureExt;
use l2gw::config;
use tests::bench::missed;
use tests::lab::frames::{BROADCAST, Frame, Mac};
use tests::lab::standard;
use tokio::sync::mpsc::Receiver;

fn main() {
    // `cargo test --benches` runs this too, and only wants to know that it runs.
    let (flows, runs) =
        if std::env::args().any(|argument| argument == "--bench") { (200_000, 5) } else { (2_000, 1) };
    let (mut from_bytes, mut first_frames) = (Vec::new(), Vec::new());
    let mut fates = [("loses its carrier", Vec::new()), ("is removed", Vec::new())];
    for _ in 0..runs {
        for (fate, longest) in &mut fates {
            let mut host = Host::new();
            from_bytes.push(Host::new().learn_from_bytes(flows).as_nanos() as f64 / flows as f64);
            first_frames.push(host.learn(flows).as_nanos() as f64 / flows as f64);
            let slowest = match *fate {
                "is removed" => host.lose(|wire| wire.remove_link("leaf1")),
                _ => host.lose(|wire| wire.change_link("leaf1", |link: &mut Link| link.has_carrier = false)),
            };
            longest.push(slowest);
        }
    }
    report("a first frame: judged, learned, flow and frame ready", "ns", 1.0, first_frames);
    report("a first frame: from upcall bytes to the bytes of flow and frame", "ns", 1.0, from_bytes);
    for (fate, slowest) in fates {
        let slowest: Vec<Slowest> = slowest;
        let all =
            |of: fn(&Slowest) -> Duration| slowest.iter().map(|one| of(one).as_nanos() as f64).collect();
        report(
            &format!("{flows} flows, their trunk {fate}: longest handle"),
            "ms",
            1e6,
            all(|one| one.longest),
        );
        report(
            &format!("{flows} flows, their trunk {fate}: all handles together"),
            "ms",
            1e6,
            all(|one| one.all),
        );
    }
}

/// A host whose datapath says yes to everything at once.
struct Host {
    engine: Engine,
    wire: FakeWire,
    datapath: FakeDatapath,
    links: Receiver<LinkEvent>,
}

/// How long `handle` kept everybody waiting, with the outputs that followed polled.
struct Slowest {
    longest: Duration,
    all: Duration,
}

impl Host {
    /// Two trunks into one fabric and VMs.
    fn new() -> Host {
        let wire = FakeWire::new(Options::default());
        wire.set_limits(Limits { upcalls: 1 << 20, ..Limits::default() });
        wire.advance(Duration::from_secs(1_000));
        ["leaf1", "leaf2", "vm5", "vm8", "vm8b"].iter().for_each(|link| wire.add_link(link));
        let settings = Settings { rates: Rates::of_port(0), flow_limit: 1_000_000, ..Settings::new("gw1") };
        let (links, datapath) = (wire.watch_links(), FakeDatapath::open(&wire));
        let mut host = Host { engine: Engine::new(settings), wire, datapath, links };
        let description = config::parse("bench", &file()).expect("a file that is right").description;
        host.handle(Input::Observed { vports: Vec::new(), flows: Vec::new(), tunnel: None, groups: vec![] });
        host.handle(Input::Topology {
            revision: 1,
            description: Box::new(description),
            numbers: None,
            built: None,
        });
        host.settle();
        host
    }

    /// Stations behind leaf1 and the VM speak to each other for the first time, so many of them; what the engine took for all.
    fn learn(&mut self, flows: u32) -> Duration {
        self.wire.inject("vm8", &Frame::new(VM, BROADCAST).payload(0x0800, &[1; 46]));
        self.settle();
        let mut took = Duration::ZERO;
        for first in (0..flows).step_by(AT_ONCE) {
            for number in first..(first + AT_ONCE as u32).min(flows) {
                let [a, b, c, d] = number.to_be_bytes();
                let frame = Frame::new([0x52, 0x55, a, b, c, d], VM).tag(8, 0);
                self.wire.inject("leaf1", &frame.payload(0x0800, &[1; 46]));
            }
            while let Some(upcalls) = self.upcalls() {
                took += self.handle(Input::Upcalls(upcalls));
            }
        }
        self.settle();
        assert!(
            everything::<FlowView>(&self.engine, self.wire.now()).len() >= flows as usize,
            "each has its flow"
        );
        took
    }

    /// The same, from the bytes of the upcalls to those of flows and frames; but for the copying that a socket does.
    fn learn_from_bytes(&mut self, flows: u32) -> Duration {
        self.wire.inject("vm8", &Frame::new(VM, BROADCAST).payload(0x0800, &[1; 46]));
        self.settle();
        let leaf =
            self.datapath.attach("leaf1").now_or_never().expect("at once").expect("leaf1 is a vport").no;
        let (mut codec, mut took) = (Codec::default(), Duration::ZERO);
        for first in (0..flows).step_by(AT_ONCE) {
            let datagrams: Vec<_> = (first..(first + AT_ONCE as u32).min(flows))
                .map(|number| {
                    let [a, b, c, d] = number.to_be_bytes();
                    missed::upcall(Codec::PACKET_FAMILY, leaf.0, [0x52, 0x55, a, b, c, d], VM, 8)
                })
                .collect();
            let begun = std::time::Instant::now();
            let outputs = self.judge_bytes(&mut codec, leaf, &datagrams);
            took += begun.elapsed();
            for output in outputs {
                if let Some(answer) = self.answer(output) {
                    self.handle(answer);
                }
            }
        }
        assert!(
            everything::<FlowView>(&self.engine, self.wire.now()).len() >= flows as usize,
            "each has its flow"
        );
        took
    }

    /// A function of its own, so that a profiler can look at it alone.
    #[inline(never)]
    fn judge_bytes(&mut self, codec: &mut Codec, port: VportNo, datagrams: &[Vec<u8>]) -> Vec<Output> {
        let mut upcalls = Vec::with_capacity(AT_ONCE);
        datagrams.iter().for_each(|datagram| codec.read_upcalls(port, datagram, &mut upcalls));
        self.engine.handle(self.wire.now(), Input::Upcalls(upcalls));
        let outputs: Vec<Output> = std::iter::from_fn(|| self.engine.poll_output()).collect();
        for output in &outputs {
            match output {
                Output::Flows { changes, .. } => codec.write(changes, &[]),
                Output::SetUp { flows, frames, .. } => codec.write(flows, frames),
                Output::Execute { frames, .. } => codec.write(&[], frames),
                _ => 0,
            };
        }
        outputs
    }

    /// Something happens to a trunk. Until the engine is through with what follows, how long was the longest step?
    fn lose(&mut self, happens: impl FnOnce(&FakeWire)) -> Slowest {
        happens(&self.wire);
        let mut slowest = Slowest { longest: Duration::ZERO, all: Duration::ZERO };
        self.settle_and(|took| {
            slowest.longest = slowest.longest.max(took);
            slowest.all += took;
        });
        slowest
    }

    fn settle(&mut self) {
        self.settle_and(|_| {});
    }

    fn settle_and(&mut self, mut note: impl FnMut(Duration)) {
        loop {
            let input = if let Ok(event) = self.links.try_recv() {
                Input::Link(Box::new(event))
            } else if let Some(upcalls) = self.upcalls() {
                Input::Upcalls(upcalls)
            } else if self.engine.poll_timeout().is_some_and(|due| due <= self.wire.now()) {
                Input::Tick
            } else {
                return;
            };
            self.handle_and(input, &mut note);
        }
    }

    fn upcalls(&mut self) -> Option<Vec<Upcall>> {
        self.datapath.upcalls(AT_ONCE).now_or_never().and_then(Result::ok)
    }

    /// Gives the engine something, and then the answers to all that it asks; what it took.
    fn handle(&mut self, input: Input) -> Duration {
        let mut all = Duration::ZERO;
        self.handle_and(input, &mut |took| all += took);
        all
    }

    fn handle_and(&mut self, input: Input, note: &mut impl FnMut(Duration)) {
        let now = self.wire.now();
        let mut waiting = vec![input];
        while let Some(input) = waiting.pop() {
            let begun = std::time::Instant::now();
            self.engine.handle(now, input);
            let outputs: Vec<Output> = std::iter::from_fn(|| self.engine.poll_output()).collect();
            note(begun.elapsed());
            waiting.extend(outputs.into_iter().filter_map(|output| self.answer(output)));
        }
    }

    fn answer(&mut self, output: Output) -> Option<Input> {
        let done = |id: u64, count: usize| Some(Input::Done { id, answers: vec![Answer::Done; count] });
        match output {
            Output::Attach { id, link } => {
                let vport = self.datapath.attach(&link).now_or_never()?.ok()?;
                Some(Input::Done { id, answers: vec![Answer::Attached(vport)] })
            }
            Output::Detach { id, .. } | Output::Tunnel { id, .. } => done(id, 1),
            Output::Flows { id, changes } => done(id, changes.len()),
            Output::SetUp { id, flows, frames } => done(id, flows.len() + frames.len()),
            Output::Execute { id, frames } => done(id, frames.len()),
            Output::ReadFlows { id, flows } => {
                let answers = vec![Answer::Counted(datapath::flow::FlowStats::default()); flows.len()];
                Some(Input::Done { id, answers })
            }
            Output::Meters { id, meters } => done(id, meters.len()),
            Output::Groups { id, groups } => done(id, groups.len()),
            Output::Event(_) | Output::Save(_) | Output::Follow(_) | Output::Announce(_) => None,
        }
    }
}

/// Median, least and most.
fn report(what: &str, unit: &str, per: f64, mut figures: Vec<f64>) {
    figures.sort_by(f64::total_cmp);
    let at = |index: usize| figures[index] / per;
    println!("{what}: {:.1} {unit} ({:.1} to {:.1})", at(figures.len() / 2), at(0), at(figures.len() - 1));
}

/// Two trunks, of which leaf1 carries VLAN 8.
fn file() -> String {
    standard::file_with_second_trunk().replace("link = \"leaf1\"\n", "link = \"leaf1\"\nweight = 100\n")
}

/// As many as the daemon takes from its sockets at once.
const AT_ONCE: usize = 64;
const VM: Mac = [0x52, 0x54, 0, 0, 0, 1];

//! The engine on the datapath's in-memory twin against the forwarding plane alone: whatever flows are in force, whatever changed
//! before, a frame does what it would do if it were judged now.
//!
//! Each case is a random topology, and steps: frames (new ones, and old ones again, which meet flows), carriers that come and go, time
//! that passes, other topologies, a daemon killed and started again. `L2GW_SEED` repeats one case by its printed seed, `L2GW_CASES`
//! says how many.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use agent::budget::Rates;
use agent::engine::Settings;
use agent::list::everything;
use agent::view::{CounterView, FlowView, MacView, TraceOutput};
use tests::sim::asked::{again, number};
use tests::sim::cases::Case;
use tests::sim::compare::show;
use tests::sim::duel::hex;
use tests::sim::gateway::Gateway;
use tests::sim::oracle::{Mix, Oracle, Said};
use tests::sim::rng::Rng;
use tests::sim::traffic::{Sent, Traffic};
use vlan::model::defaults::{DEFAULT_AGEING, DEFAULT_BRIDGE_MAC_LIMIT};
use vlan::model::description::{Bridge, BridgeKind, Description, Host, Port};
use vlan::time::Instant;

#[test]
fn flows_do_what_the_forwarding_plane_says() {
    let first = number("L2GW_SEED").unwrap_or(FIRST_SEED);
    let cases = number("L2GW_CASES").unwrap_or(CASES);
    let mut counts = Counts::default();
    for seed in first..first + cases {
        if let Err(story) = Play::new(seed).finish(&mut counts) {
            panic!("{}: {story}", again(seed, "simulation_slow", "engine::flows_do"));
        }
    }
    println!("seeds {first}..{}: {counts:?}", first + cases);
    if cases >= 1_000 {
        counts.check();
    }
}

/// To the nanosecond 300 s after its last frame an address was unknown to a frame that was judged, and a flow still led there; a flow that
/// another topology had flood into a fabric passed for one that had done so all along, and a move for our own frame.
#[test]
fn what_has_failed_once_holds() {
    for seed in [923_456_795_201, 6_635_226_993_455] {
        let held = Play::new(seed).finish(&mut Counts::default());
        assert!(held.is_ok(), "{seed}: {}", held.unwrap_err());
    }
}

/// Around the end of an age, in steps of less than a second, a frame that is judged finds what flows lead to.
#[test]
fn an_age_ends_for_flows_and_for_judged_frames_at_once() {
    let bridge = Bridge {
        name: "red".to_owned(),
        ageing: DEFAULT_AGEING,
        mac_limit: DEFAULT_BRIDGE_MAC_LIMIT,
        renamed_from: None,
        mtu: None,
        kind: BridgeKind::VlanUnaware { vni: None },
    };
    let ports = ["one", "two", "three"].map(|name| Port::plain(name, "red", "h", name));
    let description = Description {
        hosts: vec![Host { name: "h".to_owned(), ..Host::default() }],
        bridges: vec![bridge],
        ports: ports.to_vec(),
        ..Description::default()
    };
    for (after, step) in [(0, 250), (350, 200), (999, 333), (500, 1_000)] {
        let mut play = Play::of(1, Rng::new(1), description.clone());
        let send = |play: &mut Play, port: &str, dst: u8, src: u8| {
            let sent = (port.to_owned(), frame(dst, src));
            play.compare(&sent, &mut Counts::default()).unwrap().len()
        };
        play.wait(Duration::from_millis(after));
        assert_eq!(send(&mut play, "two", 9, 2), 2, "learned");
        play.wait(Duration::from_millis(298_000));
        let mut copies = Vec::new();
        for _ in 0..4_000 / step {
            copies.push(send(&mut play, "one", 2, 1));
            play.wait(Duration::from_millis(step));
        }
        assert!(copies.is_sorted() && copies.contains(&1) && copies.contains(&2), "{copies:?}");
    }
}

/// From one station to another.
fn frame(dst: u8, src: u8) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, dst, 2, 0, 0, 0, 0, src, 8, 0];
    frame.resize(60, 0);
    frame
}

/// One case on its way.
struct Play {
    rng: Rng,
    description: Description,
    gateway: Gateway,
    oracle: Oracle,
    wire: datapath::fake::FakeWire,
    revision: u64,
    down: Vec<String>,
    sent: Vec<Sent>,
    settings: Settings,
    story: String,
    /// Frames sent into each port since the daemon was started.
    accounts: BTreeMap<String, u64>,
}

impl Play {
    fn new(seed: u64) -> Play {
        let mut rng = Rng::new(seed);
        let description = Case::random(&mut rng).description;
        Play::of(seed, rng, description)
    }

    fn of(seed: u64, mut rng: Rng, description: Description) -> Play {
        let wire = Gateway::wire(&description, Instant::from_secs(2_000_000));
        let mut settings = Settings::new("h");
        settings.rates = Rates { port: 0, ..Rates::default() };
        settings.flow_idle = Duration::from_secs(*rng.pick(&[10, 10_000]));
        settings.seed = seed;
        let gateway = Gateway::start(&wire, settings.clone(), (1, &description), Vec::new());
        Play {
            oracle: Oracle::new(&description),
            rng,
            gateway,
            wire,
            revision: 1,
            down: Vec::new(),
            sent: Vec::new(),
            settings,
            story: String::new(),
            accounts: BTreeMap::new(),
            description,
        }
    }

    fn finish(mut self, counts: &mut Counts) -> Result<(), String> {
        let description = self.description.clone();
        let mut traffic = Traffic::new(&description);
        counts.cases += 1;
        for step in 0..self.rng.between(10, 60) {
            let outcome = match self.rng.below(100) {
                0..8 => self.let_time_pass(),
                8..14 => self.flap(),
                14..17 => self.restart(counts),
                17..19 => {
                    counts.changes += 1;
                    self.change()
                }
                19..55 if !self.sent.is_empty() => self.send_again(counts),
                _ => match &mut traffic {
                    Some(traffic) => self.send(traffic, counts),
                    None => Ok(()),
                },
            };
            outcome.map_err(|difference| {
                format!("step {step}: {difference}\n{}\n{:#?}", self.story, self.description)
            })?;
        }
        self.balance().map_err(|odd| format!("at the end: {odd}\n{}", self.story))
    }

    /// Flow frames, executed and dropped ones of a port are together the frames that were sent into it.
    fn balance(&self) -> Result<(), String> {
        let counters: Vec<CounterView> = everything(&self.gateway.engine, self.wire.now());
        for (port, sent) in &self.accounts {
            let is_its = |counter: &&CounterView| {
                ACCOUNTS.contains(&counter.name.as_str())
                    && counter.labels.iter().any(|(key, value)| key == "port" && value == port)
            };
            let its: Vec<_> = counters.iter().filter(is_its).collect();
            let known: u64 = its.iter().map(|counter| counter.value).sum();
            if known != *sent {
                return Err(format!(
                    "{sent} frames were sent into {port}, {known} are accounted for: {its:#?}"
                ));
            }
        }
        Ok(())
    }

    fn send(&mut self, traffic: &mut Traffic, counts: &mut Counts) -> Result<(), String> {
        let sent = traffic.next(&mut self.rng);
        let outputs = self.compare(&sent, counts)?;
        if !outputs.is_empty() {
            traffic.hear(&outputs);
        }
        self.sent.push(sent);
        Ok(())
    }

    fn send_again(&mut self, counts: &mut Counts) -> Result<(), String> {
        let sent = self.rng.pick(&self.sent).clone();
        counts.again += 1;
        self.compare(&sent, counts).map(drop)
    }

    /// What left, if both sides agree.
    fn compare(&mut self, (port, frame): &Sent, counts: &mut Counts) -> Result<Vec<Sent>, String> {
        let exists =
            self.description.trunks.iter().chain(&self.description.ports).any(|one| one.name == *port);
        if !exists {
            return Ok(Vec::new());
        }
        let _ = writeln!(self.story, "  {port} {}", hex(frame));
        let said = if self.down.contains(port) {
            Said::default()
        } else {
            self.oracle.send(self.wire.now(), port, frame)
        };
        let told = self.told(port, frame);
        let got = self.gateway.send(port, frame);
        // A link without carrier receives nothing.
        *self.accounts.entry(port.clone()).or_default() += u64::from(!self.down.contains(port));
        if !is_same(&got, &said.outputs) {
            return Err(format!(
                "trace: {}\ninto {port} {}\nexpected {} {}\n     got {}\nmacs {:#?}\nflows {:#?}",
                told.as_ref().map_or("", |(_, story)| story),
                hex(frame),
                said.decision,
                show(&said.outputs),
                show(&got),
                everything::<MacView>(&self.gateway.engine, self.wire.now()),
                everything::<FlowView>(&self.gateway.engine, self.wire.now())
            ));
        }
        if let Some((told, story)) = told.filter(|(told, _)| !is_same(&got, told)) {
            let (told, got) = (show(&told), show(&got));
            return Err(format!("into {port} {}\ntrace said {told}\n       got {got}\n{story}", hex(frame)));
        }
        if let Some(fault) = self.wire.faults().first() {
            return Err(fault.clone());
        }
        counts.mix.add(&said);
        Ok(said.outputs)
    }

    /// What an operator is told beforehand of a frame: the copies that leave, and the story. Nothing of a port that is down.
    fn told(&self, port: &str, frame: &[u8]) -> Option<(Vec<Sent>, String)> {
        if self.down.iter().any(|down| down == port) {
            return None;
        }
        let told = self.gateway.engine.view().trace(self.wire.now(), port, frame);
        let told = told.expect("a port of the topology").view(frame);
        let copies = told.outputs.iter().map(|output| match output {
            TraceOutput::Port { port, frame } => (port.clone(), bytes(frame)),
            TraceOutput::Host { .. } => panic!("nothing is sent to other hosts: {told:?}"),
        });
        let mut copies: Vec<Sent> = copies.collect();
        copies.sort();
        Some((copies, told.steps.join("\n")))
    }

    fn let_time_pass(&mut self) -> Result<(), String> {
        let seconds = *self.rng.pick(&[1, 2, 5, 20, 100, 400]);
        let _ = writeln!(self.story, "  {seconds} s pass");
        self.wait(Duration::from_secs(seconds));
        Ok(())
    }

    fn wait(&mut self, span: Duration) {
        self.gateway.pass(span);
        self.oracle.pass(self.wire.now());
    }

    fn flap(&mut self) -> Result<(), String> {
        let ports: Vec<String> =
            self.description.trunks.iter().chain(&self.description.ports).map(|p| p.name.clone()).collect();
        if ports.is_empty() {
            return Ok(());
        }
        let port = self.rng.pick(&ports).clone();
        let is_down = self.down.contains(&port);
        let _ = writeln!(self.story, "  {port} {}", if is_down { "up" } else { "down" });
        match is_down {
            true => self.down.retain(|other| *other != port),
            false => self.down.push(port.clone()),
        }
        self.gateway.set_carrier(&port, is_down);
        self.oracle.set_carrier(&port, is_down);
        Ok(())
    }

    /// Killed: its saved addresses are those of a moment before, its flows are in force.
    fn restart(&mut self, counts: &mut Counts) -> Result<(), String> {
        let _ = writeln!(self.story, "  restart");
        counts.restarts += 1;
        // Time for what was sent to have come back: a new engine does not know of it.
        self.gateway.pass(Duration::from_secs(2));
        self.oracle.pass(self.wire.now());
        self.balance()?;
        self.accounts.clear();
        let saved = self.gateway.engine.save(self.wire.now());
        self.oracle.restart(self.wire.now());
        self.gateway =
            Gateway::start(&self.wire, self.settings.clone(), (self.revision, &self.description), saved);
        Ok(())
    }

    /// A topology of other objects, or the same one with something left out.
    fn change(&mut self) -> Result<(), String> {
        let next = match self.rng.below(3) {
            0 => Case::random(&mut self.rng).description,
            1 => without_a_port(&mut self.rng, &self.description),
            _ => self.description.clone(),
        };
        if vlan::model::topology::Topology::build(&next).is_err() {
            return Ok(());
        }
        let _ = writeln!(self.story, "  another topology");
        for port in std::mem::take(&mut self.down) {
            self.oracle.set_carrier(&port, true);
            self.gateway.set_carrier(&port, true);
        }
        self.revision += 1;
        self.description = next;
        self.oracle.change(&self.description);
        self.gateway.change(self.revision, &self.description);
        Ok(())
    }
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

/// Hexadecimal digits as bytes.
fn bytes(hex: &str) -> Vec<u8> {
    let pairs = (0..hex.len()).step_by(2).map(|at| &hex[at..at + 2]);
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("two digits")).collect()
}

/// Frames that the daemon sent itself may have zeros behind, where a pop would have left too little.
fn is_same(got: &[Sent], expected: &[Sent]) -> bool {
    got.len() == expected.len()
        && got.iter().zip(expected).all(|((port, frame), (other, wanted))| {
            let (head, tail) = frame.split_at(wanted.len().min(frame.len()));
            port == other
                && head == wanted
                && tail.iter().all(|byte| *byte == 0)
                && (tail.is_empty() || wanted.len() < 60)
        })
}

/// What the cases were made of.
#[derive(Debug, Default)]
struct Counts {
    cases: u64,
    mix: Mix,
    again: u64,
    changes: u64,
    restarts: u64,
}

impl Counts {
    fn check(&self) {
        assert!(self.mix.forwarded * 10 >= self.mix.frames * 4, "at least 40 % forward: {self:?}");
        assert!(self.mix.known * 10 >= self.mix.frames, "at least 10 % to known addresses: {self:?}");
        assert!(self.mix.chained * 10 >= self.mix.frames, "at least 10 % through chains: {self:?}");
        assert!(self.restarts > self.cases / 4 && self.changes > self.cases / 8, "{self:?}");
    }
}

/// What a frame that came in can be counted as.
const ACCOUNTS: [&str; 3] = ["l2gw_flow_frames_total", "l2gw_executes_total", "l2gw_drops_total"];
const FIRST_SEED: u64 = 1;
const CASES: u64 = 10_000;

//! The daemon's own loop over a datapath that fails by a plan: each fault has its outcome and its counter, and the rest goes on.

use std::time::Duration;

use agent::clock;
use agent::engine::{Engine, Settings};
use agent::feed::asks;
use agent::input::Input;
use agent::list::everything;
use agent::record::{RecordFile, Recorder};
use agent::replay::replay;
use agent::runtime::{Opener, Request, Runtime, Wiring, ask};
use agent::view::{CounterView, FlowView, PortView};
use datapath::Refusal;
use datapath::RefusalCause;
use datapath::fake::{FakeDatapath, FakeWire, Limits, Options};
use datapath::faulty::{Fault, FaultPlan, Faults, Faulty, Operation, Rule};
use l2gw::config;
use tests::lab::frames::{BROADCAST, Frame, Mac};
use tests::lab::standard;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

mod store;

#[tokio::test]
async fn a_flow_that_is_refused_costs_its_frames_the_short_cut_only() {
    let daemon = Daemon::start().await;
    daemon.always(Operation::PutFlow, Fault::Refuse(einval()));
    for _ in 0..10 {
        assert_eq!(daemon.send("vm8", &known_to_all(VM)).await, ["leaf1", "vm8b"]);
    }
    assert_eq!(daemon.counter("l2gw_refusals_total", "put-flow kernel").await, 10);
    assert_eq!(daemon.counter("l2gw_executes_total", "vm8").await, 10);
    assert_eq!(daemon.counter("l2gw_events_total", "refused").await, 1, "told once, counted each time");
    daemon.faults.clear();
    for _ in 0..3 {
        assert_eq!(daemon.send("vm8", &known_to_all(VM)).await, ["leaf1", "vm8b"]);
    }
    daemon
        .wait_for("a flow to be hit", async || daemon.counter("l2gw_flow_frames_total", "vm8").await == 2)
        .await;
}

/// Each call hands out one upcall, so that the second frame is one that came while the first was judged.
#[tokio::test]
async fn a_frame_that_came_meanwhile_leaves_with_the_one_before_it() {
    let directory = tempfile::tempdir().expect("a directory of its own");
    let path = directory.path().join("record");
    let file = RecordFile::create(&path).expect("a new file");
    let recorder = Recorder::begin(file, &Settings::new("gw1")).expect("a file that is written");
    let daemon = Daemon::start_recorded(FaultPlan::default(), Some(recorder)).await;
    daemon.wait_until_up().await;
    daemon.wire.set_limits(Limits { upcalls_at_once: 1, ..Limits::default() });
    for text in [b"one", b"two"] {
        daemon.inject("vm8", &Frame::new(VM, BROADCAST).payload(0x0800, text));
    }
    daemon.wait_for("both", async || daemon.counter("l2gw_executes_total", "vm8").await == 2).await;
    let text = std::fs::read_to_string(&path).expect("a record");
    assert_eq!(text.matches(",\"goes_on\":true").count(), 1, "the two were taken in together: {text}");
    assert_eq!(replay(&path).expect("a record").difference, None);
}

#[tokio::test]
async fn a_full_table_is_named_and_frames_beyond_it_pass_one_by_one() {
    let daemon = Daemon::start().await;
    daemon.wire.set_limits(Limits { flows: 4, ..Limits::default() });
    for round in 0..3 {
        for number in 0..20 {
            assert_eq!(
                daemon.send("vm8", &known_to_all(nth(number))).await,
                ["leaf1", "vm8b"],
                "{round} {number}"
            );
        }
    }
    assert!(daemon.counter("l2gw_refusals_total", "put-flow table-full").await >= 16 * 3);
    daemon
        .wait_for("the flows that fit to be hit", async || {
            daemon.counter("l2gw_flow_frames_total", "vm8").await >= 4 * 2
        })
        .await;
}

#[tokio::test]
async fn an_answer_that_was_lost_leaves_no_flow_that_nobody_knows() {
    let daemon = Daemon::start().await;
    daemon.faults.next(Operation::PutFlow, Fault::Lose);
    for _ in 0..3 {
        assert_eq!(daemon.send("vm8", &known_to_all(VM)).await, ["leaf1", "vm8b"]);
    }
    assert_eq!(daemon.counter("l2gw_refusals_total", "put-flow answer-lost").await, 1);
    daemon.wait_for("what is shown to be what there is", async || daemon.flows().await == 1).await;
    assert_eq!(daemon.wire.faults(), Vec::<String>::new());
}

#[tokio::test]
async fn an_upcall_that_is_lost_is_counted_and_the_next_one_comes() {
    let daemon = Daemon::start().await;
    daemon.faults.next(Operation::Upcall, Fault::Lose);
    daemon.inject("vm8", &known_to_all(nth(1)));
    assert_eq!(
        daemon.send("vm8", &known_to_all(nth(2))).await,
        ["leaf1", "vm8b"],
        "the second, not the first"
    );
    daemon
        .wait_for("it to be counted", async || {
            daemon.counter("l2gw_datapath_frames_total", "lost").await == 1
        })
        .await;
}

#[tokio::test]
async fn an_answer_that_is_late_loses_no_frame() {
    let daemon = Daemon::start().await;
    daemon.faults.next(Operation::PutFlow, Fault::Delay(700));
    for number in 0..20 {
        daemon.inject("vm8", &known_to_all(nth(number)));
    }
    daemon.wait_for("all twenty", async || daemon.wire.sent("leaf1").len() == 20).await;
    assert_eq!(daemon.counter("l2gw_datapath_frames_total", "lost").await, 0);
}

#[tokio::test]
async fn a_frame_that_is_refused_is_a_drop_with_a_name() {
    let daemon = Daemon::start().await;
    daemon.faults.next(Operation::Execute, Fault::Refuse(einval()));
    daemon.inject("vm8", &known_to_all(nth(1)));
    assert_eq!(
        daemon.send("vm8", &known_to_all(nth(2))).await,
        ["leaf1", "vm8b"],
        "the second, not the first"
    );
    assert_eq!(daemon.counter("l2gw_drops_total", "vm8 refused-by-datapath").await, 1);
    assert_eq!(daemon.counter("l2gw_refusals_total", "execute kernel").await, 1);
}

#[tokio::test]
async fn counters_that_cannot_be_read_are_read_the_next_time() {
    let daemon = Daemon::start().await;
    daemon.faults.next(Operation::Read, Fault::Refuse(RefusalCause::TimedOut(1_000)));
    daemon
        .wait_for("the refusal", async || daemon.counter("l2gw_refusals_total", "read timed-out").await == 1)
        .await;
    for _ in 0..3 {
        assert_eq!(daemon.send("vm8", &known_to_all(VM)).await, ["leaf1", "vm8b"]);
    }
    daemon.wait_for("hits", async || daemon.counter("l2gw_flow_frames_total", "vm8").await == 2).await;
    assert_eq!(daemon.counter("l2gw_events_total", "datapath-anew").await, 0);
}

/// What an upcall socket that was closed, or broke, is like: it never works again.
#[tokio::test]
async fn sockets_that_fail_for_good_are_opened_anew() {
    let daemon = Daemon::start().await;
    assert_eq!(daemon.send("leaf1", &tagged(PHYS)).await, ["vm8", "vm8b"]);
    daemon.always(
        Operation::Upcall,
        Fault::Refuse(RefusalCause::Kernel { errno: 9, message: "Bad file descriptor".to_owned() }),
    );
    let adopted = async || {
        daemon.inject("vm8", &known_to_all(VM));
        daemon.counter("l2gw_events_total", "datapath-anew").await >= 1
    };
    daemon.wait_for("the sockets to be opened anew", adopted).await;
    assert!(daemon.counter("l2gw_refusals_total", "read-upcalls kernel").await >= 5);
    daemon.faults.clear();
    daemon
        .wait_for("frames to pass", async || {
            daemon.send("vm8", &known_to_all(nth(2))).await == ["leaf1", "vm8b"]
        })
        .await;
    assert_eq!(daemon.send("vm8", &to(PHYS)).await, ["leaf1"], "what was learned is still known");
}

#[tokio::test]
async fn a_datapath_that_vanished_is_made_anew_and_addresses_stay() {
    let daemon = Daemon::start().await;
    assert_eq!(daemon.send("leaf1", &tagged(PHYS)).await, ["vm8", "vm8b"]);
    daemon.wire.delete_datapath();
    daemon
        .wait_for("another datapath", async || {
            daemon.counter("l2gw_events_total", "datapath-anew").await == 1
        })
        .await;
    daemon.wait_until_up().await;
    assert_eq!(daemon.send("vm8", &to(PHYS)).await, ["leaf1"], "known, not flooded");
}

#[tokio::test]
async fn a_link_that_is_refused_says_why_and_is_tried_again() {
    let daemon = Daemon::start_with(FaultPlan {
        seed: 1,
        rules: vec![Rule {
            times: Some(2),
            ..Rule::always(Operation::Attach, Fault::Refuse(RefusalCause::Busy))
        }],
    })
    .await;
    daemon.wait_until_up().await;
    assert_eq!(daemon.counter("l2gw_refusals_total", "attach busy").await, 2);
    assert_eq!(daemon.send("vm8", &known_to_all(VM)).await, ["leaf1", "vm8b"]);
}

#[tokio::test]
async fn a_link_that_is_renamed_is_a_port_without_link_until_its_name_is_back() {
    let daemon = Daemon::start().await;
    daemon.wire.rename_link("vm8b", "other");
    daemon.wait_for("vm8b to have no link", async || daemon.why("vm8b").await == "no such link").await;
    daemon.wire.add_link("third");
    assert_eq!(
        daemon.send("vm8", &known_to_all(VM)).await,
        ["leaf1"],
        "and no frame leaves by the link of another name"
    );
    assert_eq!(daemon.wire.sent("other"), Vec::<Vec<u8>>::new());
    daemon.wire.rename_link("other", "vm8b");
    daemon.wait_until_up().await;
    assert_eq!(daemon.send("vm8", &known_to_all(VM)).await, ["leaf1", "vm8b"]);
}

/// A runtime on a wire in memory. Dropping it ends its tasks.
struct Daemon {
    wire: FakeWire,
    faults: Faults,
    requests: mpsc::Sender<Request>,
    tasks: [JoinHandle<()>; 2],
    _kept: (
        mpsc::Sender<Input>,
        watch::Sender<bool>,
        mpsc::Receiver<agent::output::SavedPiece>,
        mpsc::Receiver<agent::event::Event>,
    ),
}

impl Daemon {
    /// Without faults, all ports up.
    async fn start() -> Daemon {
        let daemon = Daemon::start_with(FaultPlan::default()).await;
        daemon.wait_until_up().await;
        daemon
    }

    async fn start_with(plan: FaultPlan) -> Daemon {
        Daemon::start_recorded(plan, None).await
    }

    async fn start_recorded(plan: FaultPlan, recorder: Option<Recorder>) -> Daemon {
        let wire = FakeWire::new(Options::default());
        wire.advance(clock::now().since(wire.now()));
        LINKS.iter().for_each(|link| wire.add_link(link));
        let faults = Faults::new(plan);
        let (requests, asked) = mpsc::channel(16);
        let (topology, arrived) = mpsc::channel(1);
        let (saves, saved) = mpsc::channel(16);
        let (events, told) = mpsc::channel(1_024);
        let (stop, stopped) = watch::channel(false);
        let wiring = Wiring {
            links: wire.watch_links(),
            topology: arrived,
            requests: asked,
            saves,
            events,
            feed: asks().0,
            stop: stopped,
            recorder,
        };
        let opener = Wrapping { wire: wire.clone(), faults: faults.clone() };
        let runtime =
            Runtime::new(Engine::new(Settings::new("gw1")), opener, wiring).await.expect("a fake opens");
        let running = tokio::spawn(async move { drop(runtime.run(Vec::new()).await) });
        let clockwork = wire.clone();
        let ticking = tokio::spawn(async move {
            loop {
                clockwork.advance(clock::now().since(clockwork.now()));
                tokio::time::sleep(STEP).await;
            }
        });
        let description =
            config::parse("gateway.toml", &standard::file()).expect("a file that is right").description;
        topology
            .send(Input::Topology {
                revision: 1,
                description: Box::new(description),
                numbers: None,
                built: None,
            })
            .await
            .expect("a runtime that runs");
        Daemon { wire, faults, requests, tasks: [running, ticking], _kept: (topology, stop, saved, told) }
    }

    fn always(&self, operation: Operation, fault: Fault) {
        self.faults.follow(FaultPlan { seed: 1, rules: vec![Rule::always(operation, fault)] });
    }

    async fn wait_until_up(&self) {
        self.wait_for("all ports", async || {
            ask(&self.requests, |engine, now| engine.view().status(now))
                .await
                .is_some_and(|status| status.settled && status.ports_up == LINKS.len())
        })
        .await;
    }

    fn inject(&self, link: &str, frame: &[u8]) {
        self.wire.inject(link, frame);
    }

    /// Sends a frame and says by which links it left.
    async fn send(&self, link: &str, frame: &[u8]) -> Vec<&'static str> {
        let links = self.wire.links();
        let there = || LINKS.iter().filter(|name| links.iter().any(|link| link.name == **name));
        there().for_each(|link| drop(self.wire.sent(link)));
        self.inject(link, frame);
        let mut left = Vec::new();
        let until = tokio::time::Instant::now() + SETTLED;
        while left.is_empty() && tokio::time::Instant::now() < until {
            tokio::time::sleep(STEP).await;
            left = there().filter(|name| !self.wire.sent(name).is_empty()).copied().collect();
        }
        left
    }

    /// The sum of the counters of a name whose labels, with spaces between, begin with `labels`.
    async fn counter(&self, name: &'static str, labels: &str) -> u64 {
        let counters = ask(&self.requests, everything::<CounterView>).await.expect("a runtime that runs");
        let text = |labels: &[(String, String)]| {
            labels.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(" ")
        };
        counters
            .iter()
            .filter(|one| one.name == name && text(&one.labels).starts_with(labels))
            .map(|one| one.value)
            .sum()
    }

    async fn flows(&self) -> usize {
        ask(&self.requests, |engine, now| everything::<FlowView>(engine, now).len())
            .await
            .expect("a runtime that runs")
    }

    async fn why(&self, port: &str) -> String {
        let ports = ask(&self.requests, everything::<PortView>).await.expect("a runtime that runs");
        ports.into_iter().find(|one| one.port == port).map(|one| one.why).unwrap_or_default()
    }

    async fn wait_for(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let until = tokio::time::Instant::now() + PATIENCE;
        while !holds().await {
            if tokio::time::Instant::now() > until {
                let counters = ask(&self.requests, everything::<CounterView>).await.unwrap_or_default();
                let counted: Vec<_> = counters.iter().filter(|one| one.value > 0).collect();
                panic!("waited {PATIENCE:?} for {what}: {counted:#?}");
            }
            tokio::time::sleep(STEP).await;
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Opens the datapath of a wire behind its faults.
struct Wrapping {
    wire: FakeWire,
    faults: Faults,
}

impl Opener<Faulty<FakeDatapath>> for Wrapping {
    async fn open(&mut self) -> Result<Faulty<FakeDatapath>, Refusal> {
        Ok(Faulty::new(FakeDatapath::open(&self.wire), self.faults.clone()))
    }
}

fn known_to_all(source: Mac) -> Vec<u8> {
    Frame::new(source, BROADCAST).payload(0x0800, &[1; 46])
}

fn tagged(source: Mac) -> Vec<u8> {
    Frame::new(source, BROADCAST).tag(8, 0).payload(0x0800, &[1; 46])
}

fn to(destination: Mac) -> Vec<u8> {
    Frame::new(VM, destination).payload(0x0800, &[1; 46])
}

fn nth(number: u8) -> Mac {
    [0x52, 0x54, 0, 1, 0, number]
}

fn einval() -> RefusalCause {
    RefusalCause::Kernel { errno: 22, message: "Invalid argument".to_owned() }
}

const LINKS: [&str; 4] = ["leaf1", "vm5", "vm8", "vm8b"];
const PHYS: Mac = [0x52, 0x54, 0, 0, 0, 1];
const VM: Mac = [0x52, 0x54, 0, 0, 0, 2];
const STEP: Duration = Duration::from_millis(5);
/// A frame that did not leave by then leaves no more.
const SETTLED: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(20);

//! The daemon's own loop over a wire in memory, on a thread of its own as in the daemon.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use agent::clock;
use agent::engine::{Engine, Settings};
use agent::event::Event;
use agent::feed::asks;
use agent::input::Input;
use agent::output::SavedPiece;
use agent::runtime::{Opener, Request, Runtime, Wiring, ask};
use agent::view::StatusView;
use datapath::Refusal;
use datapath::fake::{FakeDatapath, FakeWire, Options};
use l2gw::config;
use tokio::sync::{mpsc, watch};
use vlan::model::description::Description;
use vlan::model::topology::Topology;

use super::watched::Watched;
use super::world::World;

/// What a file says, compiled.
#[derive(Debug, Clone)]
pub struct Revision {
    description: Description,
    topology: Arc<Topology>,
}

impl Revision {
    /// Of a file.
    ///
    /// # Panics
    /// It is wrong.
    pub fn of(file: &str) -> Revision {
        let config = config::parse("bench", file).expect("a file that is right");
        Revision { description: config.description, topology: Arc::new(config.topology) }
    }
}

/// A running loop. Dropping it ends it.
#[derive(Debug)]
pub struct Live {
    wire: FakeWire,
    world: World,
    is_reading: Arc<AtomicBool>,
    requests: mpsc::Sender<Request>,
    topology: mpsc::Sender<Input>,
    revision: u64,
    stop: watch::Sender<bool>,
    ticking: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    _kept: (mpsc::Receiver<SavedPiece>, mpsc::Receiver<Event>),
}

impl Live {
    /// All ports of the world up.
    ///
    /// # Panics
    /// They do not come up.
    pub fn start(world: World, settings: Settings, file: &Revision, more: &[String]) -> Live {
        let wire = FakeWire::new(Options::default());
        wire.advance(clock::now().since(wire.now()));
        world.links().iter().chain(more).for_each(|link| wire.add_link(link));
        let (requests, asked) = mpsc::channel(16);
        let (topology, arrived) = mpsc::channel(16);
        let (saves, saved) = mpsc::channel(16);
        let (events, told) = mpsc::channel(1_024);
        let (stop, stopped) = watch::channel(false);
        let links = wire.watch_links();
        let wiring = Wiring {
            links,
            topology: arrived,
            requests: asked,
            saves,
            events,
            feed: asks().0,
            stop: stopped,
            recorder: None,
        };
        let is_reading = Arc::new(AtomicBool::new(false));
        let opener = InMemory { wire: wire.clone(), is_reading: Arc::clone(&is_reading) };
        let ticking = Arc::new(AtomicBool::new(true));
        let threads = vec![
            std::thread::spawn(move || run(Engine::new(settings), opener, wiring)),
            keep_clock(wire.clone(), Arc::clone(&ticking)),
        ];
        let _kept = (saved, told);
        let mut live =
            Live { wire, world, is_reading, requests, topology, revision: 0, stop, ticking, threads, _kept };
        live.apply(file);
        live.wait_for("all ports to be up", |status| {
            status.settled && status.ports_up == world.links().len()
        });
        live
    }

    /// Its links and frames.
    pub fn wire(&self) -> &FakeWire {
        &self.wire
    }

    /// Its site.
    pub fn world(&self) -> World {
        self.world
    }

    /// Whether it reads what flows have counted just now.
    pub fn is_reading(&self) -> bool {
        self.is_reading.load(Ordering::Relaxed)
    }

    /// Hands it the next revision, compiled as the daemon's follower does it.
    ///
    /// # Panics
    /// It has ended.
    pub fn apply(&mut self, file: &Revision) {
        self.revision += 1;
        let (description, built) = (Box::new(file.description.clone()), Some(Arc::clone(&file.topology)));
        let arrived = Input::Topology { revision: self.revision, description, numbers: None, built };
        self.topology.blocking_send(arrived).expect("a loop that runs");
    }

    /// The whole at a glance.
    ///
    /// # Panics
    /// It has ended.
    pub fn status(&self) -> StatusView {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime
            .block_on(ask(&self.requests, |engine, now| engine.view().status(now)))
            .expect("a loop that runs")
    }

    /// Waits for something that the status says.
    ///
    /// # Panics
    /// It does not come about.
    pub fn wait_for(&self, what: &str, holds: impl Fn(&StatusView) -> bool) {
        let until = Instant::now() + PATIENCE;
        loop {
            let status = self.status();
            if holds(&status) {
                return;
            }
            assert!(Instant::now() < until, "waited {PATIENCE:?} for {what}: {status:?}");
            sleep(STEP);
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        self.ticking.store(false, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn run(engine: Engine, opener: InMemory, wiring: Wiring) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let ended =
        runtime.block_on(async move { Runtime::new(engine, opener, wiring).await?.run(Vec::new()).await });
    ended.expect("a datapath in memory can be read");
}

/// The wire's clock is virtual: keeps it at the running one.
fn keep_clock(wire: FakeWire, ticking: Arc<AtomicBool>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        while ticking.load(Ordering::Relaxed) {
            wire.advance(clock::now().since(wire.now()));
            sleep(CLOCK_STEP);
        }
    })
}

struct InMemory {
    wire: FakeWire,
    is_reading: Arc<AtomicBool>,
}

impl Opener<Watched> for InMemory {
    async fn open(&mut self) -> Result<Watched, Refusal> {
        Ok(Watched::new(FakeDatapath::open(&self.wire), Arc::clone(&self.is_reading)))
    }
}

const PATIENCE: Duration = Duration::from_secs(120);
const STEP: Duration = Duration::from_millis(5);
/// As the daemon's.
const CLOCK_STEP: Duration = Duration::from_millis(50);

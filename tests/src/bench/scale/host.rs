//! One engine on a datapath in memory, driven by this thread, so that its CPU time is this thread's.

use std::time::Duration;

use agent::budget::Rates;
use agent::engine::{Engine, Settings};
use agent::input::{Answer, Input, SavedAddress};
use agent::output::Output;
use agent::runtime::{answer, change_groups, flow_answer, move_tunnel, set_up_answers};
use datapath::fake::{FakeDatapath, FakeWire, Limits, Options};
use datapath::port::LinkEvent;
use datapath::{Datapath, FlowTable, Upcall};
use futures::FutureExt;
use l2gw::config;
use tokio::sync::mpsc::Receiver;

use super::meter;
use super::world::World;

/// A host of a world. First frames have no budget, and flows no limit.
#[derive(Debug)]
pub struct Host {
    engine: Engine,
    wire: FakeWire,
    datapath: FakeDatapath,
    links: Receiver<LinkEvent>,
}

impl Host {
    /// All its ports up, with the addresses that an earlier run saved.
    ///
    /// # Panics
    /// The world's file is wrong.
    pub fn new(world: World, saved: Vec<SavedAddress>) -> Host {
        let wire = FakeWire::new(Options::default());
        wire.set_limits(Limits { upcalls: 1 << 20, ..Limits::default() });
        wire.advance(Duration::from_secs(1_000));
        world.links().iter().for_each(|link| wire.add_link(link));
        let settings = Settings { rates: Rates::of_port(0), flow_limit: 1_000_000, ..Settings::new("gw1") };
        let (links, datapath) = (wire.watch_links(), FakeDatapath::open(&wire));
        let mut host = Host { engine: Engine::new(settings), wire, datapath, links };
        let description = config::parse("bench", &world.file()).expect("a file that is right").description;
        host.take(Input::Observed { vports: Vec::new(), flows: Vec::new(), tunnel: None, groups: vec![] });
        host.take(Input::Saved(saved));
        host.take(Input::Topology {
            revision: 1,
            description: Box::new(description),
            numbers: None,
            built: None,
        });
        host.settle();
        let status = host.engine.view().status(host.wire.now());
        assert_eq!(status.ports_up, world.links().len(), "every port is up");
        host
    }

    /// Its engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Its links, frames and clock.
    pub fn wire(&self) -> &FakeWire {
        &self.wire
    }

    /// Gives the engine something and carries out what follows from it; what the engine took, without the datapath.
    pub fn take(&mut self, input: Input) -> Duration {
        let now = self.wire.now();
        let (mut waiting, mut took) = (vec![input], Duration::ZERO);
        while let Some(input) = waiting.pop() {
            let engine = &mut self.engine;
            let work = || {
                engine.handle(now, input);
                std::iter::from_fn(|| engine.poll_output()).collect::<Vec<Output>>()
            };
            let (outputs, of_this) = meter::of_this_thread(work);
            took += of_this;
            waiting.extend(outputs.into_iter().filter_map(|output| self.carry_out(output)));
        }
        took
    }

    /// Takes in whatever has happened, until there is nothing more to be done now; what the engine took for it.
    pub fn settle(&mut self) -> Duration {
        let mut took = Duration::ZERO;
        loop {
            let input = if let Ok(event) = self.links.try_recv() {
                Input::Link(Box::new(event))
            } else if let Some(upcalls) = self.upcalls(AT_ONCE) {
                Input::Upcalls(upcalls)
            } else if self.has_work() {
                Input::Tick
            } else {
                return took;
            };
            took += self.take(input);
        }
    }

    /// Whether the engine wants a tick now.
    pub fn has_work(&self) -> bool {
        self.engine.poll_timeout().is_some_and(|due| due <= self.wire.now())
    }

    /// Frames that no flow matched, at most so many; `None` if there are none.
    pub fn upcalls(&mut self, most: usize) -> Option<Vec<Upcall>> {
        self.datapath.upcalls(most).now_or_never().and_then(Result::ok)
    }

    /// The next slice of what flows have counted.
    ///
    /// # Panics
    /// The datapath cannot be read.
    pub fn flow_slice(&mut self) -> Input {
        let slice = self.datapath.next_flow_stats().now_or_never().expect("at once").expect("a datapath");
        Input::FlowStats { slice: slice.entries, is_last: slice.is_last }
    }

    /// The next slice of the datapath's ports.
    ///
    /// # Panics
    /// The datapath cannot be read.
    pub fn vport_slice(&mut self) -> Input {
        let slice = self.datapath.next_vports().now_or_never().expect("at once").expect("a datapath");
        Input::Vports { slice: slice.entries, is_last: slice.is_last }
    }

    /// Conversations that begin and have their flows: one of each port after the other.
    ///
    /// # Panics
    /// One has no flow.
    pub fn converse(&mut self, world: World, flows: u32) {
        for first in (0..flows).step_by(AT_ONCE) {
            for number in first..(first + AT_ONCE as u32).min(flows) {
                self.begin(world, number);
            }
            self.settle();
        }
        let status = self.engine.view().status(self.wire.now());
        assert!(status.flows >= flows as usize, "{} flows of {flows}", status.flows);
    }

    /// Sends a frame of a conversation.
    pub fn begin(&self, world: World, number: u32) {
        let port = number as usize % world.ports();
        self.wire.inject(&world.port(port), &world.first_frame(port, number));
    }

    /// Every call of a datapath in memory is done at once.
    fn carry_out(&mut self, output: Output) -> Option<Input> {
        let (id, answers) = match output {
            Output::Attach { id, link } => {
                let vport = self.datapath.attach(&link).now_or_never()?;
                (id, vec![vport.map_or_else(Answer::Refused, Answer::Attached)])
            }
            Output::Detach { id, vport } => (id, vec![answer(self.datapath.detach(vport).now_or_never()?)]),
            Output::Tunnel { id, end } => (id, vec![move_tunnel(&mut self.datapath, end).now_or_never()?]),
            Output::Flows { id, changes } => {
                let answers = self.datapath.change_flows(changes).now_or_never()?;
                (id, answers.into_iter().map(flow_answer).collect())
            }
            Output::SetUp { id, flows, frames } => {
                (id, set_up_answers(self.datapath.set_up(frames, flows).now_or_never()?))
            }
            Output::Execute { id, frames } => {
                let answers = self.datapath.execute(frames).now_or_never()?;
                (id, answers.into_iter().map(answer).collect())
            }
            Output::ReadFlows { id, flows } => {
                let counted = self.datapath.flow_stats_of(flows).now_or_never()?.into_iter();
                (id, counted.map(|one| one.map_or_else(Answer::Refused, Answer::Counted)).collect())
            }
            Output::Meters { id, meters } => (id, vec![Answer::Done; meters.len()]),
            Output::Groups { id, groups } => (id, change_groups(&mut self.datapath, groups).now_or_never()?),
            Output::Event(_) | Output::Save(_) | Output::Follow(_) | Output::Announce(_) => return None,
        };
        Some(Input::Done { id, answers })
    }
}

/// As many frames as the daemon takes at once.
const AT_ONCE: usize = 64;

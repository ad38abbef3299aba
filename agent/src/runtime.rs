//! The task that owns the engine and the datapath: it feeds the engine with what happens and carries out what it wants.
//!
//! ```text
//! upcalls ─┐                        ┌─► datapath (flows, execute, ports, meters)
//! links   ─┼─► Engine::handle ─► outputs ─► store (addresses), journal, log
//! store   ─┤        ▲                └─► answers come back as Input::Done
//! socket  ─┘        └── timer
//! ```
//!
//! One task, so that nothing needs a lock. Nothing it awaits between two inputs can wait for ever: datapath calls have time
//! limits of their own.

use std::collections::VecDeque;
use std::time::Duration;

use datapath::flow::FlowChange;
use datapath::port::LinkEvent;
use datapath::{FlowTable, Refusal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant as TokioInstant, sleep_until};
use tracing::{debug, info, warn};
use vlan::model::description::Description;
use vlan::time::Instant;

use crate::clock;
use crate::engine::Engine;
use crate::event::Event;
use crate::input::{Answer, Command, Input, SavedAddress};
use crate::output::Output;
use crate::record::Recorder;

/// A look at the engine at a moment.
pub type Look = Box<dyn FnOnce(&Engine, Instant) + Send>;

/// What the socket's handlers ask the task that owns the engine.
pub enum Request {
    /// Look at the engine and answer by the given function.
    Look(Look),
    /// Carry out an operator's command.
    Command(Command),
}

/// A revision of the topology, as the store's follower passes it on.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// Its number.
    pub revision: u64,
    /// What it declares.
    pub description: Box<Description>,
}

/// Where a runtime gets its inputs and sends what is not for the datapath.
pub struct Wiring {
    /// Changes of this host's links.
    pub links: mpsc::Receiver<LinkEvent>,
    /// Revisions of the topology.
    pub topology: mpsc::Receiver<Arrived>,
    /// The socket's questions and commands.
    pub requests: mpsc::Receiver<Request>,
    /// Learned addresses to be saved.
    pub saves: watch::Sender<Vec<SavedAddress>>,
    /// Events for the journal.
    pub events: mpsc::Sender<Event>,
    /// Becomes true when the daemon is to stop.
    pub stop: watch::Receiver<bool>,
    /// Records every input, if wanted.
    pub recorder: Option<Recorder>,
}

/// The engine and the datapath that it drives.
pub struct Runtime<D> {
    engine: Engine,
    datapath: D,
    wiring: Wiring,
}

impl<D: FlowTable> Runtime<D> {
    /// Puts them together.
    pub fn new(engine: Engine, datapath: D, wiring: Wiring) -> Runtime<D> {
        Runtime { engine, datapath, wiring }
    }

    /// Runs until told to stop. The datapath comes back as it is, with all its flows in force, and with it the addresses
    /// that are to be saved.
    ///
    /// # Errors
    /// The datapath cannot be read at the start.
    pub async fn run(mut self, saved: Vec<SavedAddress>) -> Result<(D, Vec<SavedAddress>), Refusal> {
        let vports = self.datapath.vports().await?;
        let flows = self.datapath.flows().await?;
        info!(vports = vports.len(), flows = flows.len(), "datapath is open");
        self.handle(Input::Observed { vports, flows }).await;
        self.handle(Input::Saved(saved)).await;
        let mut statistics = tokio::time::interval(STATISTICS_EVERY);
        while !*self.wiring.stop.borrow() {
            let input = self.next_input(&mut statistics).await;
            for input in input {
                self.handle(input).await;
            }
        }
        Ok((self.datapath, self.engine.save(clock::now())))
    }

    async fn next_input(&mut self, statistics: &mut tokio::time::Interval) -> Vec<Input> {
        let wake_at = self.engine.poll_timeout().map_or_else(far_away, tokio_instant);
        tokio::select! {
            _ = self.wiring.stop.changed() => Vec::new(),
            Some(request) = self.wiring.requests.recv() => self.answer(request),
            Some(arrived) = self.wiring.topology.recv() => {
                vec![Input::Topology { revision: arrived.revision, description: arrived.description }]
            }
            Some(event) = self.wiring.links.recv() => vec![Input::Link(event)],
            _ = statistics.tick() => self.statistics().await,
            _ = sleep_until(wake_at) => vec![Input::Tick],
            upcalls = self.datapath.upcalls(UPCALLS_AT_ONCE) => match upcalls {
                Ok(upcalls) => vec![Input::Upcalls(upcalls)],
                Err(refusal) => {
                    warn!(%refusal, "upcalls cannot be read");
                    tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                    Vec::new()
                }
            },
        }
    }

    fn answer(&mut self, request: Request) -> Vec<Input> {
        match request {
            Request::Look(look) => {
                look(&self.engine, clock::now());
                Vec::new()
            }
            Request::Command(command) => vec![Input::Operator(command)],
        }
    }

    async fn statistics(&mut self) -> Vec<Input> {
        let mut inputs = Vec::new();
        match self.datapath.flow_stats().await {
            Ok(stats) => inputs.push(Input::FlowStats(stats)),
            Err(refusal) => warn!(%refusal, "flow statistics cannot be read"),
        }
        match self.datapath.vports().await {
            Ok(vports) => inputs.push(Input::Vports(vports)),
            Err(refusal) => warn!(%refusal, "ports of the datapath cannot be read"),
        }
        if let (Ok(datapath), Ok(vports)) =
            (self.datapath.counters().await, self.datapath.vport_stats().await)
        {
            inputs.push(Input::Counted { datapath, vports });
        }
        inputs
    }

    /// Gives an input to the engine and carries out all that follows from it.
    async fn handle(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let now = clock::now();
            if let Some(recorder) = &mut self.wiring.recorder {
                recorder.record(now, &input);
            }
            self.engine.handle(now, input);
            while let Some(output) = self.engine.poll_output() {
                inputs.extend(self.carry_out(output).await);
            }
        }
    }

    async fn carry_out(&mut self, output: Output) -> Option<Input> {
        match output {
            Output::Attach { id, link } => {
                let answer = self.datapath.attach(&link).await.map_or_else(Answer::Refused, Answer::Attached);
                Some(Input::Done { id, answers: vec![answer] })
            }
            Output::Detach { id, vport } => {
                let answers = vec![answer(self.datapath.detach(vport).await)];
                Some(Input::Done { id, answers })
            }
            Output::Flows { id, changes } => Some(self.change_flows(id, changes).await),
            Output::Execute { id, frames } => {
                let answers = self.datapath.execute(frames).await.into_iter().map(answer).collect();
                Some(Input::Done { id, answers })
            }
            Output::Meters { id, meters } => {
                let mut answers = Vec::new();
                for (meter, rate) in meters {
                    answers.push(answer(match rate {
                        Some(rate) => self.datapath.set_meter(meter, rate).await,
                        None => self.datapath.delete_meter(meter).await,
                    }));
                }
                Some(Input::Done { id, answers })
            }
            Output::Event(event) => {
                self.tell(event);
                None
            }
            Output::Save(addresses) => {
                self.wiring.saves.send_replace(addresses);
                None
            }
        }
    }

    async fn change_flows(&mut self, id: u64, changes: Vec<FlowChange>) -> Input {
        debug!(count = changes.len(), "changing flows");
        let answers = self.datapath.change_flows(changes).await.into_iter().map(answer).collect();
        Input::Done { id, answers }
    }

    fn tell(&mut self, event: Event) {
        match &event {
            Event::Applied { .. }
            | Event::PortUp { .. }
            | Event::PortUnblocked { .. }
            | Event::Adopted { .. } => info!("{event}"),
            _ => warn!("{event}"),
        }
        if self.wiring.events.try_send(event).is_err() {
            debug!("the journal does not keep up, an event was not kept");
        }
    }
}

fn answer(result: Result<(), Refusal>) -> Answer {
    result.map_or_else(Answer::Refused, |()| Answer::Done)
}

fn tokio_instant(at: Instant) -> TokioInstant {
    TokioInstant::now() + at.since(clock::now())
}

fn far_away() -> TokioInstant {
    TokioInstant::now() + Duration::from_secs(3600)
}

/// Asks the task that owns the engine a question; `None` when it is gone.
pub async fn ask<T: Send + 'static>(
    requests: &mpsc::Sender<Request>,
    question: impl FnOnce(&Engine, Instant) -> T + Send + 'static,
) -> Option<T> {
    let (answer, answered) = oneshot::channel();
    let look = move |engine: &Engine, now: Instant| {
        let _ = answer.send(question(engine, now));
    };
    requests.send(Request::Look(Box::new(look))).await.ok()?;
    answered.await.ok()
}

const STATISTICS_EVERY: Duration = Duration::from_secs(1);
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(200);
/// Upcalls taken from the kernel at once; small enough that a link event never waits long behind them.
const UPCALLS_AT_ONCE: usize = 256;

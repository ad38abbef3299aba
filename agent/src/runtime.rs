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
use std::future::poll_fn;
use std::time::Duration;

use datapath::flow::FlowChange;
use datapath::port::LinkEvent;
use datapath::tunnel::TunnelEnd;
use datapath::{Datapath, Done, Execute, FlowAnswer, FlowTable, Group, Refusal};
use nsdb::AddressRecord;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{debug, info, warn};
use vlan::time::Instant;

use crate::clock;
use crate::engine::Engine;
use crate::event::Event;
use crate::feed::FeedAsks;
use crate::input::{Answer, Command, FeedNews, Input, SavedAddress};
use crate::output::{Output, SavedPiece};
use crate::record::Recorder;

use clocks::Clocks;
use failures::Failures;
use reading::Reading;
use waits::Waits;

mod bell;
mod clocks;
mod failures;
mod reading;
mod waits;

/// A look at the engine at a moment.
pub type Look = Box<dyn FnOnce(&Engine, Instant) + Send>;

/// What the socket's handlers ask the task that owns the engine.
pub enum Request {
    /// Look at the engine and answer by the given function.
    Look(Look),
    /// Carry out an operator's command.
    Command(Command),
}

/// Where a runtime gets its inputs and sends what is not for the datapath.
pub struct Wiring {
    /// Changes of this host's links.
    pub links: mpsc::Receiver<LinkEvent>,
    /// Revisions of the topology, as the store's follower passes them on.
    pub topology: mpsc::Receiver<Input>,
    /// The socket's questions and commands.
    pub requests: mpsc::Receiver<Request>,
    /// Learned addresses to be saved.
    pub saves: mpsc::Sender<SavedPiece>,
    /// Events for the journal.
    pub events: mpsc::Sender<Event>,
    /// What hosts say to each other of addresses.
    pub feed: FeedAsks,
    /// Becomes true when the daemon is to stop.
    pub stop: watch::Receiver<bool>,
    /// Records every input, if wanted.
    pub recorder: Option<Recorder>,
}

/// Makes the datapath, or adopts the one there is: at the start, and again when somebody has removed it under the daemon.
pub trait Opener<D>: Send {
    /// Opens it.
    ///
    /// # Errors
    /// Not permitted, not supported, the name is taken.
    fn open(&mut self) -> impl Future<Output = Result<D, Refusal>> + Send;
}

/// The engine and the datapath that it drives.
pub struct Runtime<D, O> {
    engine: Engine,
    datapath: D,
    opener: O,
    wiring: Wiring,
    failures: Failures,
    /// Whether there were as many upcalls as are taken at once, so that there may be more.
    is_pressed: bool,
    reading: Reading,
    /// What came last, until it is handled.
    inputs: Vec<Input>,
    /// What the datapath answered, until it is handled.
    answers: VecDeque<Input>,
    waits: Waits,
    clocks: Clocks,
}

impl<D: FlowTable, O: Opener<D>> Runtime<D, O> {
    /// Opens the datapath and puts them together.
    ///
    /// # Errors
    /// The datapath cannot be opened.
    pub async fn new(engine: Engine, mut opener: O, wiring: Wiring) -> Result<Runtime<D, O>, Refusal> {
        let datapath = opener.open().await?;
        let waits = Waits::new(wiring.stop.clone());
        Ok(Runtime {
            engine,
            datapath,
            opener,
            wiring,
            failures: Failures::default(),
            is_pressed: false,
            reading: Reading::new(),
            inputs: Vec::new(),
            answers: VecDeque::new(),
            waits,
            clocks: Clocks::new(),
        })
    }

    /// Runs until told to stop. The datapath comes back as it is, with all its flows in force, and with it the addresses
    /// that are to be saved.
    ///
    /// # Errors
    /// The datapath cannot be read at the start.
    pub async fn run(mut self, saved: Vec<SavedAddress>) -> Result<(D, Vec<SavedAddress>), Refusal> {
        let observed = self.observe().await?;
        self.handle_one(observed).await;
        self.handle_one(Input::Saved(saved)).await;
        while !*self.wiring.stop.borrow() {
            self.next_input().await;
            self.handle().await;
            if let Some(input) = self.read_on().await {
                self.handle_one(input).await;
            }
            // Somebody keeps the daemon so busy that its sockets are never waited for, and what has come to the others not seen.
            if std::mem::take(&mut self.is_pressed) {
                tokio::task::yield_now().await;
            }
        }
        Ok((self.datapath, self.engine.save(clock::now())))
    }

    async fn observe(&mut self) -> Result<Input, Refusal> {
        let vports = self.datapath.vports().await?;
        let flows = self.datapath.flows().await?;
        let tunnel = self.datapath.tunnel().await?.map(|(port, _)| port);
        let groups = self.datapath.groups().await?;
        info!(vports = vports.len(), flows = flows.len(), "datapath is open");
        Ok(Input::Observed { vports, flows, tunnel, groups })
    }

    /// Waits for what happens next. Work of the engine or of the reading that waits its turn is kept waiting by nothing, and keeps
    /// nothing waiting: it goes on whenever there is nothing else, and by a piece behind everything else.
    async fn next_input(&mut self) {
        let now = self.clocks.look();
        let wake_at = self.engine.poll_timeout().map(|at| self.clocks.to_tokio(at));
        let is_pending = wake_at.is_some_and(|at| at <= now);
        let is_reading = self.reading.due().is_none_or(|at| at <= now);
        let to_come = [wake_at, self.reading.due()].into_iter().flatten().filter(|at| *at > now);
        self.waits.set_alarm(now, to_come.min());
        tokio::select! {
            biased;
            () = self.wait() => {}
            () = std::future::ready(()), if is_pending || is_reading => {
                self.inputs.extend(is_pending.then_some(Input::Tick));
            }
        }
    }

    async fn wait(&mut self) {
        let Runtime { engine, datapath, wiring, inputs, waits, .. } = self;
        tokio::select! {
            biased;
            () = poll_fn(|context| waits.poll(context, engine, wiring, inputs)) => {}
            upcalls = datapath.upcalls(UPCALLS_AT_ONCE), if !self.failures.is_gone() => match upcalls {
                Ok(upcalls) => {
                    self.failures.note_upcalls();
                    self.is_pressed = upcalls.len() >= UPCALLS_AT_ONCE;
                    self.inputs.push(Input::Upcalls(upcalls));
                }
                Err(refusal) => {
                    tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                    self.failures.note_no_upcalls(&refusal);
                    self.inputs.push(Input::UpcallsUnread(refusal));
                }
            },
        }
    }

    /// The next slice of what the datapath counted, if it is time; or what a datapath has that was opened anew.
    async fn read_on(&mut self) -> Option<Input> {
        let looked_at = self.clocks.looked_at();
        let read = match self.failures.is_gone() && self.reading.is_due(looked_at) {
            true => {
                self.reading.put_off();
                self.reopen().await.map(Some)
            }
            false => self.reading.next(looked_at, &mut self.datapath, &self.engine).await,
        };
        match read {
            Ok(input) => {
                if input.is_some() {
                    self.failures.note_rest();
                }
                input
            }
            Err(refusal) => {
                self.failures.note_no_rest(&refusal);
                Some(Input::Unread(refusal))
            }
        }
    }

    /// The datapath was removed, or cannot be read: it is made or adopted anew, and the engine told what is in it.
    async fn reopen(&mut self) -> Result<Input, Refusal> {
        self.datapath = self.opener.open().await?;
        self.failures.note_opened();
        self.observe().await
    }

    async fn handle_one(&mut self, input: Input) {
        self.inputs.push(input);
        self.handle().await;
    }

    /// Gives inputs that came together to the engine, and carries out all that follows from them.
    async fn handle(&mut self) {
        if self.inputs.is_empty() {
            return;
        }
        // What the datapath answers belongs to the moment of what was asked.
        let now = self.clocks.read();
        let may_have_stragglers = matches!(self.inputs[..], [Input::Upcalls(_)]);
        let mut inputs = std::mem::take(&mut self.inputs);
        for (number, input) in inputs.drain(..).enumerate() {
            if number > 0 {
                self.go_on();
            }
            self.take_in(now, input);
        }
        self.inputs = inputs;
        if may_have_stragglers {
            self.take_stragglers(now);
        }
        self.carry_all_out().await;
        while let Some(answer) = self.answers.pop_front() {
            self.take_in(now, answer);
            self.carry_all_out().await;
        }
    }

    /// Carries out what follows from what was taken in.
    async fn carry_all_out(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            if let Some(recorder) = &mut self.wiring.recorder {
                recorder.note(&output);
            }
            if let Some(answer) = self.carry_out(output).await {
                self.answers.push_back(answer);
            }
        }
        if let Some(recorder) = &mut self.wiring.recorder {
            recorder.finish();
        }
    }

    fn take_in(&mut self, now: Instant, input: Input) {
        if let Some(recorder) = &mut self.wiring.recorder {
            recorder.record(now, &input);
        }
        self.engine.handle(now, input);
    }

    /// Frames that came up while those before them were judged leave with them, before the flows that they led to: frames that hit
    /// these would overtake them.
    fn take_stragglers(&mut self, now: Instant) {
        for _ in 0..LOOKS {
            let ports = self.engine.ports_of_new_flows();
            if self.failures.is_gone() || ports.is_empty() {
                return;
            }
            let stragglers = self.datapath.stragglers(&ports, UPCALLS_AT_ONCE);
            if stragglers.is_empty() {
                return;
            }
            self.go_on();
            self.take_in(now, Input::Upcalls(stragglers));
        }
    }

    /// Another input is taken in before anything follows from the one before.
    fn go_on(&mut self) {
        if let Some(recorder) = &mut self.wiring.recorder {
            recorder.go_on();
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
            Output::Tunnel { id, end } => {
                let answers = vec![move_tunnel(&mut self.datapath, end).await];
                Some(Input::Done { id, answers })
            }
            Output::Flows { id, changes } => Some(self.change_flows(id, changes).await),
            Output::SetUp { id, flows, frames } => Some(self.set_up(id, flows, frames).await),
            Output::Execute { id, frames } => {
                let answers = self.datapath.execute(frames).await.into_iter().map(answer).collect();
                Some(Input::Done { id, answers })
            }
            Output::ReadFlows { id, flows } => {
                let counted = self.datapath.flow_stats_of(flows).await.into_iter();
                let answers = counted.map(|one| one.map_or_else(Answer::Refused, Answer::Counted)).collect();
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
            Output::Groups { id, groups } => {
                let answers = change_groups(&mut self.datapath, groups).await;
                Some(Input::Done { id, answers })
            }
            Output::Event(event) => {
                self.tell(event);
                None
            }
            Output::Follow(segments) => {
                self.wiring.feed.follow.send_replace(segments);
                None
            }
            Output::Announce(words) => self.announce(words),
            Output::Save(piece) => {
                if self.wiring.saves.try_send(piece).is_err() {
                    debug!(
                        "the store does not keep up, a piece of the addresses is saved with the next round"
                    );
                }
                None
            }
        }
    }

    /// Has the store told of addresses; the answer, where it is not asked.
    fn announce(&mut self, words: Vec<AddressRecord>) -> Option<Input> {
        let why = self.wiring.feed.announce.try_send(words).err()?;
        Some(Input::Feed(FeedNews::Announced { refused: Some(why.to_string()) }))
    }

    async fn change_flows(&mut self, id: u64, changes: Vec<FlowChange>) -> Input {
        debug!(count = changes.len(), "changing flows");
        let answers = self.datapath.change_flows(changes).await.into_iter().map(flow_answer).collect();
        Input::Done { id, answers }
    }

    async fn set_up(&mut self, id: u64, flows: Vec<FlowChange>, frames: Vec<Execute>) -> Input {
        debug!(flows = flows.len(), frames = frames.len(), "setting flows up");
        let answers = set_up_answers(self.datapath.set_up(frames, flows).await);
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

/// Has a datapath make, exchange or remove its tunnel port, and answers in the engine's words.
pub async fn move_tunnel(datapath: &mut impl Datapath, end: Option<TunnelEnd>) -> Answer {
    match end {
        Some(end) => datapath.open_tunnel(end).await.map_or_else(Answer::Refused, Answer::Attached),
        None => answer(datapath.close_tunnel().await),
    }
}

/// Has a datapath set and remove groups, and answers in the engine's words.
pub async fn change_groups(datapath: &mut impl Datapath, groups: Vec<Group>) -> Vec<Answer> {
    let mut answers = Vec::with_capacity(groups.len());
    for (id, steps) in groups {
        answers.push(answer(match steps {
            Some(steps) => datapath.set_group(id, steps).await,
            None => datapath.delete_group(id).await,
        }));
    }
    answers
}

/// The answer of a datapath in the engine's words.
pub fn answer(result: Result<(), Refusal>) -> Answer {
    result.map_or_else(Answer::Refused, |()| Answer::Done)
}

/// The answers about frames and flows at one go in the engine's words. Those that are missing say that it was done.
pub fn set_up_answers(done: Done) -> Vec<Answer> {
    match done {
        Done::All => Vec::new(),
        Done::Each { flows, frames } => {
            flows.into_iter().map(flow_answer).chain(frames.into_iter().map(answer)).collect()
        }
    }
}

/// The answer about a flow in the engine's words.
pub fn flow_answer(result: FlowAnswer) -> Answer {
    match result {
        Ok(Some(counted)) => Answer::Withdrawn(counted),
        Ok(None) => Answer::Done,
        Err(refusal) => Answer::Refused(refusal),
    }
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

const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(200);
/// How often frames are looked for that came while those before them were judged.
const LOOKS: usize = 4;
/// Upcalls taken from the kernel at once; small enough that a link event never waits long behind them.
const UPCALLS_AT_ONCE: usize = 64;

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
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use datapath::flow::FlowChange;
use datapath::port::LinkEvent;
use datapath::{Execute, FlowAnswer, FlowTable, Refusal, RefusalCause};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant as TokioInstant, Sleep, sleep};
use tracing::{debug, info, warn};
use vlan::time::Instant;

use crate::clock;
use crate::engine::Engine;
use crate::event::Event;
use crate::input::{Answer, Command, Input, SavedAddress};
use crate::output::{Output, SavedPiece};
use crate::record::Recorder;

use bell::Bell;
use epoch::Epoch;
use reading::Reading;

mod bell;
mod epoch;
mod reading;

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
    is_gone: bool,
    /// Whether there were as many upcalls as are taken at once, so that there may be more.
    is_pressed: bool,
    /// How often in a row upcalls could not be read.
    upcalls_unread: u32,
    /// How often in a row the rest could not be read.
    unread: u32,
    reading: Reading,
    /// What came last, until it is handled.
    inputs: Vec<Input>,
    /// What the datapath answered, until it is handled.
    answers: VecDeque<Input>,
    /// Changes of links on their way in, kept for its memory.
    news: Vec<LinkEvent>,
    /// Rings when there is something of what is not upcalls.
    bell: Arc<Bell>,
    /// Ends when the daemon is to stop.
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Wakes at the earliest moment that was asked for since it rang last.
    alarm: Pin<Box<Sleep>>,
    epoch: Epoch,
    /// When the clock was read last.
    looked_at: TokioInstant,
}

impl<D: FlowTable, O: Opener<D>> Runtime<D, O> {
    /// Opens the datapath and puts them together.
    ///
    /// # Errors
    /// The datapath cannot be opened.
    pub async fn new(engine: Engine, mut opener: O, wiring: Wiring) -> Result<Runtime<D, O>, Refusal> {
        let datapath = opener.open().await?;
        let mut stop = wiring.stop.clone();
        Ok(Runtime {
            engine,
            datapath,
            opener,
            wiring,
            is_gone: false,
            is_pressed: false,
            upcalls_unread: 0,
            unread: 0,
            reading: Reading::new(),
            inputs: Vec::new(),
            answers: VecDeque::new(),
            news: Vec::new(),
            bell: Arc::default(),
            stop: Box::pin(async move {
                // Nobody is there to say so any more: it goes on.
                if stop.wait_for(|is_to_stop| *is_to_stop).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }),
            alarm: Box::pin(sleep(FAR_AWAY)),
            epoch: Epoch::now(),
            looked_at: TokioInstant::now(),
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
        info!(vports = vports.len(), flows = flows.len(), "datapath is open");
        Ok(Input::Observed { vports, flows })
    }

    /// Waits for what happens next. Work of the engine or of the reading that waits its turn is kept waiting by nothing, and keeps
    /// nothing waiting: it goes on whenever there is nothing else, and by a piece behind everything else.
    async fn next_input(&mut self) {
        let now = TokioInstant::now();
        self.looked_at = now;
        let wake_at = self.engine.poll_timeout().map(|at| self.epoch.to_tokio(at));
        let is_pending = wake_at.is_some_and(|at| at <= now);
        let is_reading = self.reading.due().is_none_or(|at| at <= now);
        let to_come = [wake_at, self.reading.due()].into_iter().flatten().filter(|at| *at > now);
        self.set_alarm(to_come.min().unwrap_or(now + FAR_AWAY));
        tokio::select! {
            biased;
            () = self.wait() => {}
            () = std::future::ready(()), if is_pending || is_reading => {
                self.inputs.extend(is_pending.then_some(Input::Tick));
            }
        }
    }

    /// It is set anew only where it would ring too late: to be put into the runtime's wheel and taken out again costs something with
    /// every frame that comes up, and a tick too many does nothing.
    fn set_alarm(&mut self, wake_at: TokioInstant) {
        if self.alarm.is_elapsed() || wake_at < self.alarm.deadline() {
            self.alarm.as_mut().reset(wake_at);
            self.bell.ring();
        }
    }

    async fn wait(&mut self) {
        let Runtime { engine, datapath, wiring, inputs, news, bell, stop, alarm, .. } = self;
        let mut rest = Rest { engine, wiring, inputs, news, stop, alarm };
        tokio::select! {
            biased;
            () = poll_fn(|context| bell.poll(context, |context| rest.poll(context))) => {}
            upcalls = datapath.upcalls(UPCALLS_AT_ONCE), if !self.is_gone => match upcalls {
                Ok(upcalls) => {
                    self.upcalls_unread = 0;
                    self.is_pressed = upcalls.len() >= UPCALLS_AT_ONCE;
                    self.inputs.push(Input::Upcalls(upcalls));
                }
                Err(refusal) => {
                    tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                    self.upcalls_unread += 1;
                    self.note_failure(&refusal, self.upcalls_unread);
                    self.inputs.push(Input::UpcallsUnread(refusal));
                }
            },
        }
    }

    /// Sockets that fail again and again, whatever the reason, are no better than a datapath that is gone: both are opened anew.
    fn note_failure(&mut self, refusal: &Refusal, in_a_row: u32) {
        self.is_gone |= is_gone(refusal) || in_a_row >= FAILURES_IN_A_ROW;
        warn!(%refusal, in_a_row, "the datapath cannot be read");
    }

    /// The next slice of what the datapath counted, if it is time; or what a datapath has that was opened anew.
    async fn read_on(&mut self) -> Option<Input> {
        let read = match self.is_gone && self.reading.is_due(self.looked_at) {
            true => {
                self.reading.put_off();
                self.reopen().await.map(Some)
            }
            false => self.reading.next(self.looked_at, &mut self.datapath, &self.engine).await,
        };
        match read {
            Ok(input) => {
                self.unread = if input.is_some() { 0 } else { self.unread };
                input
            }
            Err(refusal) => {
                self.unread += 1;
                self.note_failure(&refusal, self.unread);
                Some(Input::Unread(refusal))
            }
        }
    }

    /// The datapath was removed, or cannot be read: it is made or adopted anew, and the engine told what is in it.
    async fn reopen(&mut self) -> Result<Input, Refusal> {
        self.datapath = self.opener.open().await?;
        (self.is_gone, self.upcalls_unread) = (false, 0);
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
        let now = clock::now();
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
            if self.is_gone || ports.is_empty() {
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
            Output::Event(event) => {
                self.tell(event);
                None
            }
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

    async fn change_flows(&mut self, id: u64, changes: Vec<FlowChange>) -> Input {
        debug!(count = changes.len(), "changing flows");
        let answers = self.datapath.change_flows(changes).await.into_iter().map(flow_answer).collect();
        Input::Done { id, answers }
    }

    async fn set_up(&mut self, id: u64, flows: Vec<FlowChange>, frames: Vec<Execute>) -> Input {
        debug!(flows = flows.len(), frames = frames.len(), "setting flows up");
        let (flows, sent) = self.datapath.set_up(frames, flows).await;
        let answers = flows.into_iter().map(flow_answer).chain(sent.into_iter().map(answer)).collect();
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

/// Whether the datapath is ours no longer, and is to be opened again.
fn is_gone(refusal: &Refusal) -> bool {
    matches!(refusal.cause, RefusalCause::DatapathGone | RefusalCause::TakenOver)
}

/// The answer of a datapath in the engine's words.
pub fn answer(result: Result<(), Refusal>) -> Answer {
    result.map_or_else(Answer::Refused, |()| Answer::Done)
}

/// The answer about a flow in the engine's words.
pub fn flow_answer(result: FlowAnswer) -> Answer {
    match result {
        Ok(Some(counted)) => Answer::Withdrawn(counted),
        Ok(None) => Answer::Done,
        Err(refusal) => Answer::Refused(refusal),
    }
}

/// What is waited for besides upcalls.
struct Rest<'a> {
    engine: &'a Engine,
    wiring: &'a mut Wiring,
    inputs: &'a mut Vec<Input>,
    news: &'a mut Vec<LinkEvent>,
    stop: &'a mut Pin<Box<dyn Future<Output = ()> + Send>>,
    alarm: &'a mut Pin<Box<Sleep>>,
}

impl Rest<'_> {
    /// The first of it that is there; a channel whose other end is gone has nothing any more.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.stop.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        if let Poll::Ready(Some(request)) = self.wiring.requests.poll_recv(context) {
            self.inputs.extend(answer_request(self.engine, request));
            return Poll::Ready(());
        }
        if let Poll::Ready(Some(arrived)) = self.wiring.topology.poll_recv(context) {
            self.inputs.push(arrived);
            return Poll::Ready(());
        }
        // Many at once: behind each input a few links are attached, which takes the kernel milliseconds, and one that is down must
        // not wait behind the news of all those that were.
        if let Poll::Ready(1..) = self.wiring.links.poll_recv_many(context, self.news, LINKS_AT_ONCE) {
            self.inputs.extend(self.news.drain(..).map(Input::Link));
            return Poll::Ready(());
        }
        let is_time = self.alarm.as_mut().poll(context);
        self.inputs.extend(is_time.is_ready().then_some(Input::Tick));
        is_time
    }
}

fn answer_request(engine: &Engine, request: Request) -> Option<Input> {
    match request {
        Request::Look(look) => {
            look(engine, clock::now());
            None
        }
        Request::Command(command) => Some(Input::Operator(command)),
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

/// How long is waited where nothing is due.
const FAR_AWAY: Duration = Duration::from_secs(3600);
/// About a second of them.
const FAILURES_IN_A_ROW: u32 = 5;
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(200);
/// Changes of links that are taken in together; each takes some microseconds.
const LINKS_AT_ONCE: usize = 256;
/// How often frames are looked for that came while those before them were judged.
const LOOKS: usize = 4;
/// Upcalls taken from the kernel at once; small enough that a link event never waits long behind them.
const UPCALLS_AT_ONCE: usize = 64;

//! The engine of one host: everything that happens goes in, everything that is to be done comes out.
//!
//! ```text
//! Input ──► handle ─┬─ bind       which link is which port, and whether it forwards        ─┐
//!                   ├─ upcall     what becomes of a frame that the kernel has no flow for   │
//!                   ├─ revision   another topology                                         ├─► Output
//!                   ├─ adopt      what an earlier run left in the kernel                    │
//!                   ├─ statistics hits refresh addresses, idle flows go                     │
//!                   └─ time       ageing, blocked ports, and `renew`: stale flows          ─┘
//! ```
//! Forwarding itself is `vlan`'s; the engine keeps the kernel's flows (`book`) equal to what `vlan` would say now. A flow rests on
//! pieces of state; when one of them changes, the flow becomes stale and is looked over again: left, replaced in place, or withdrawn.
//!
//! Every output that can fail has a number and is answered. Until then the engine goes by what it asked for, and mends it when the
//! answer is a refusal.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use datapath::flow::{FlowChange, FlowId, MeterId};
use datapath::port::VportNo;
use datapath::{Counters, Execute};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use vlan::designation::TrunkGroups;
use vlan::fdb::Slot;
use vlan::fdb::entry::Gone;
use vlan::model::description::Description;
use vlan::model::id::{HostId, Location, PortId};
use vlan::model::mistake::Mistake;
use vlan::model::numbers::Numbers;
use vlan::model::topology::Topology;
use vlan::switch::Switch;
use vlan::time::Instant;
use vlan::verdict::{Dependency, Verdict};

use crate::budget::{Budget, Rates};
use crate::counters::{Counts, PortKey};
use crate::event::Event;
use crate::input::{Command, Input};
use crate::output::Output;
use crate::view::Unread;

use flows::adopt::Heritage;
use flows::answer::Asked;
use flows::book::Book;
use flows::changes::{Asking, Changes, flows_asked, ports_asked};
use flows::hands::Hands;
use flows::loops::Loops;
use flows::meters::Meters;
use flows::statistics::Withdrawn;
use saved::Saving;
use telling::bursts::Bursts;
use time::Clockwork;
use truth::links::Links;

mod due;
mod flows;
mod revision;
mod saved;
pub mod show;
mod telling;
mod time;
mod truth;

/// What an engine is told once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Which host of the topology this is.
    pub host: String,
    /// What the datapath is called in answers.
    pub datapath: String,
    /// Varies hashes and flow ids: random where frames come from a network, fixed in a replay.
    pub seed: u64,
    /// Rates of first frames.
    pub rates: Rates,
    /// How long a flow stays without a hit, at least 1 s.
    pub flow_idle: Duration,
    /// Most flows in the datapath. Past it frames are sent one by one, and idle flows go sooner.
    pub flow_limit: usize,
    /// How long a port stays blocked after a BPDU.
    pub block_for: Duration,
    /// The links that an earlier run had bound, by name.
    #[serde(default)]
    pub bound: Vec<String>,
}

impl Settings {
    /// The defaults, for a host.
    pub fn new(host: impl Into<String>) -> Settings {
        Settings {
            host: host.into(),
            datapath: "ovs".to_owned(),
            seed: 0,
            rates: Rates::default(),
            flow_idle: FLOW_IDLE,
            flow_limit: FLOW_LIMIT,
            block_for: BLOCK_FOR,
            bound: Vec::new(),
        }
    }
}

/// The engine of one host.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    switch: Switch,
    revision: u64,
    /// A newer one that is not in force and will not be.
    unread: Option<Unread>,
    links: Links,
    /// Which trunks a VLAN's is chosen among.
    trunks: TrunkGroups,
    book: Book,
    meters: Meters,
    hands: Hands,
    budget: Budget,
    counts: Counts,
    /// By port identifier of the topology in force.
    keys: Vec<PortKey>,
    heritage: Heritage,
    time: Clockwork,
    bursts: Bursts,
    saving: Saving,
    changes: Changes,
    outputs: VecDeque<Output>,
    /// Something was handled whose outputs are not made yet.
    is_unsaid: bool,
    /// Among it something else than an answer, so that a few more links may be attached.
    may_move_vports: bool,
    asked: FxHashMap<u64, Asked>,
    last_id: u64,
    /// Flows whose withdrawal is under way: what they count until then is counted when the answer comes.
    withdrawn: FxHashMap<FlowId, Withdrawn>,
    /// How many frames wait for what flows say.
    waiting: usize,
    /// How many flows are asked when they were last used before they go elsewhere.
    diverting: usize,
    loops: Loops,
    /// What the datapath counted when last asked.
    datapath: Counters,
    verdict: Verdict,
}

impl Engine {
    /// An engine that knows nothing yet.
    pub fn new(settings: Settings) -> Engine {
        let mut links = Links::default();
        links.remember(&settings.bound);
        let (seed, rates) = (settings.seed, settings.rates);
        Engine {
            settings,
            switch: Switch::new(Arc::new(Topology::empty()), NO_HOST, seed),
            revision: 0,
            unread: None,
            links,
            trunks: TrunkGroups::default(),
            book: Book::new(seed),
            meters: Meters::default(),
            hands: Hands::default(),
            budget: Budget::new(rates),
            counts: Counts::default(),
            keys: Vec::new(),
            heritage: Heritage::default(),
            time: Clockwork::default(),
            bursts: Bursts::default(),
            saving: Saving::default(),
            changes: Changes::default(),
            outputs: VecDeque::new(),
            is_unsaid: false,
            may_move_vports: false,
            asked: FxHashMap::default(),
            last_id: 0,
            withdrawn: FxHashMap::default(),
            waiting: 0,
            diverting: 0,
            loops: Loops::new(seed),
            datapath: Counters::default(),
            verdict: Verdict::default(),
        }
    }

    /// Takes in what has happened. What is to be done is then there to be polled, at most a bounded amount of it: the rest follows
    /// with the next input, at the latest with a [`Input::Tick`] at [`Engine::poll_timeout`].
    pub fn handle(&mut self, now: Instant, input: Input) {
        let is_answer = matches!(input, Input::Done { .. });
        match input {
            Input::Observed { vports, flows } => self.observe(now, vports, flows),
            Input::Saved(addresses) => self.heritage.saved = addresses,
            Input::Topology { revision, description, numbers, built } => {
                let built = built.map_or_else(|| build(&description, numbers.as_deref()).map(Arc::new), Ok);
                self.change_topology(revision, built);
            }
            Input::Unreadable { revision, why } => {
                self.tell(Event::RevisionUnreadable { revision, why: why.clone() });
                self.note_unread(revision, why);
            }
            Input::Link(event) => self.links.note_link(event),
            Input::Upcalls(upcalls) => self.judge_upcalls(now, upcalls),
            Input::FlowStats { slice, is_last } => self.read_flow_stats(now, &slice, is_last),
            Input::MeterStats(stats) => self.note_meter_stats(&stats),
            Input::Counted(datapath) => self.note_counters(now, datapath),
            Input::Vports { slice, is_last } => {
                let slice = slice.into_iter().map(|(vport, stats)| (vport, Some(stats)));
                self.links.note_vports(slice, is_last);
            }
            Input::Operator(command) => self.obey(now, command),
            Input::Done { id, answers } => self.note_answers(now, id, answers),
            Input::Tick => {}
            Input::UpcallsUnread(refusal) => self.note_refusal(now, "read-upcalls", &refusal, true),
            Input::Unread(refusal) => self.note_refusal(now, "read", &refusal, true),
        }
        self.reconcile_links(now);
        // What follows from an answer is taken up with the next input, or one answer would lead to the next for ever.
        if !is_answer {
            self.may_move_vports = true;
            self.keep_time(now);
            self.strike_out_missing(now);
            self.tell_of_hands(now);
            self.renew_stale(now, RENEWALS_AT_ONCE);
            self.sweep(now);
        }
        self.is_unsaid = true;
    }

    /// The next thing to be done. What several inputs led to since this was asked last happens together, as if they had been one.
    pub fn poll_output(&mut self) -> Option<Output> {
        if self.outputs.is_empty() && std::mem::take(&mut self.is_unsaid) {
            self.flush();
        }
        self.outputs.pop_front()
    }

    /// The vports, some of them where they are many, whose frames led to flows that are still to be put. What else came by one of them
    /// is better judged before they are: by the flow later frames would overtake it.
    pub fn ports_of_new_flows(&self) -> SmallVec<[VportNo; 4]> {
        let mut ports = SmallVec::new();
        for change in &self.changes.new_flows {
            match change {
                FlowChange::Put { key, .. } if ports.len() < 4 && !ports.contains(&key.vport) => {
                    ports.push(key.vport);
                }
                _ => {}
            }
        }
        ports
    }

    /// When the engine wants a [`Input::Tick`], if nothing else happens before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.book.is_fresh() || self.book.is_missing_some() || self.can_tell_of_renewal() {
            return Some(Instant::ZERO);
        }
        let (fdb, links, meters) =
            (self.switch.fdb.addresses.next_due(), self.links.next_due(), self.meters.next_due());
        let (time, bursts, hands) = (self.time.next_due(), self.bursts.next_due(), self.hands.next_due());
        [fdb, links, meters, time, bursts, hands, self.saving.next_due()].into_iter().flatten().min()
    }

    /// The meters from `first` on, in ascending order, at most `most`.
    pub fn meters(&self, first: MeterId, most: usize) -> Vec<MeterId> {
        self.meters.ids_from(first).take(most).collect()
    }

    fn obey(&mut self, now: Instant, command: Command) {
        match command {
            Command::FlushAddresses { port: None } => {
                let gone =
                    self.switch.fdb.addresses.retain(|entry| entry.kind == vlan::fdb::entry::Kind::Declared);
                self.spoil_flushed(&gone);
            }
            Command::FlushAddresses { port: Some(name) } => {
                let port = self.switch.topology().port_named(&name).map(|port| (port.id, port.group));
                let gone = match port {
                    Some((_, Some(fabric))) => self.switch.fdb.addresses.flush(Slot::Fabric(fabric)),
                    Some((port, None)) => self.switch.fdb.addresses.flush(Slot::Port(port)),
                    None => Vec::new(),
                };
                self.spoil_flushed(&gone);
            }
            Command::Unblock { port } => self.unblock(now, &port),
        }
    }

    /// The flows that rest on addresses that somebody had forgotten are to be looked over. A sticky port that had some has room again, for
    /// frames that flows drop too.
    fn spoil_flushed(&mut self, gone: &[Gone]) {
        self.spoil_addresses(gone);
        let sticky = gone.iter().filter(|gone| self.switch.fdb.sticky.pins(gone.location));
        let port_of = |gone: &Gone| match gone.location {
            Location::Port { port, .. } => Some(port),
            Location::Fabric { .. } | Location::Host(_) => None,
        };
        let ports: BTreeSet<PortId> = sticky.filter_map(port_of).collect();
        ports.into_iter().for_each(|port| self.spoil(Dependency::Port(port)));
    }

    /// The flows that rest on the whereabouts of addresses are to be looked over.
    fn spoil_addresses(&mut self, gone: &[Gone]) {
        for gone in gone {
            self.spoil(Dependency::Address(gone.segment, gone.mac));
        }
    }

    fn spoil(&mut self, state: Dependency) {
        self.book.spoil(state);
    }

    fn key_of(&self, port: PortId) -> PortKey {
        self.keys.get(port.0 as usize).copied().unwrap_or(PortKey(0))
    }

    fn tell(&mut self, event: Event) {
        self.counts.tell(&event);
        self.outputs.push_back(Output::Event(event));
    }

    /// Sends off what inputs led to, in the order in which it must happen: meters before the flows that name them; flows that are
    /// replaced or withdrawn before frames, whose answers would meet them; frames before the new flows that they led to, by which
    /// later ones would overtake them; and all that before a vport goes.
    fn flush(&mut self) {
        if std::mem::take(&mut self.may_move_vports) {
            self.move_vports();
        }
        let changes = std::mem::take(&mut self.changes);
        let (set, unset) = self.meters.take_changes();
        self.ask_all(set, |id, meters| Output::Meters { id, meters });
        self.ask_diverted(changes.diverted);
        self.ask_all(changes.flows, |id, changes| Output::Flows { id, changes });
        self.set_up(changes.new_flows, changes.frames);
        self.ask_flows(changes.doubts);
        self.ask_all(unset, |id, meters| Output::Meters { id, meters });
        for vport in changes.detach {
            let id = self.ask(Asked::Detach);
            self.outputs.push_back(Output::Detach { id, vport });
        }
        for link in changes.attach {
            let id = self.ask(Asked::Attach(link.clone()));
            self.outputs.push_back(Output::Attach { id, link });
        }
        if let Some(piece) = changes.save {
            self.outputs.push_back(Output::Save(piece));
        }
    }

    /// The frames that led to new flows and these behind them, together where they are no more than usual.
    fn set_up(&mut self, flows: Vec<FlowChange>, sendings: Vec<Sending>) {
        let frames_of = |sendings: Vec<Sending>| sendings.into_iter().map(|sending| sending.frame).collect();
        if (1..=BATCH).contains(&flows.len()) && (1..=BATCH).contains(&sendings.len()) {
            let id = self.ask(Asked::SetUp(flows_asked(&flows), ports_asked(&sendings)));
            self.outputs.push_back(Output::SetUp { id, flows, frames: frames_of(sendings) });
            return;
        }
        self.ask_all(sendings, |id, sendings| Output::Execute { id, frames: frames_of(sendings) });
        self.ask_all(flows, |id, changes| Output::Flows { id, changes });
    }

    /// Sends off a list in pieces of at most [`BATCH`].
    fn ask_all<T: Asking>(&mut self, list: Vec<T>, output: impl Fn(u64, Vec<T>) -> Output) {
        let mut rest = list.into_iter();
        while rest.len() > 0 {
            let batch: Vec<T> = rest.by_ref().take(BATCH).collect();
            let id = self.ask(T::asked(&batch));
            self.outputs.push_back(output(id, batch));
        }
    }

    fn ask(&mut self, asked: Asked) -> u64 {
        self.last_id += 1;
        self.asked.insert(self.last_id, asked);
        self.last_id
    }
}

/// A frame to be sent, and for whom it is counted.
#[derive(Debug, Clone, PartialEq)]
struct Sending {
    port: PortKey,
    frame: Execute,
}

/// Builds a topology; its mistakes in words.
fn build(description: &Description, numbers: Option<&Numbers>) -> Result<Topology, Vec<String>> {
    numbers
        .map_or_else(|| Topology::build(description), |numbers| Topology::with_numbers(description, numbers))
        .map_err(|mistakes| mistakes.iter().map(|Mistake { text, .. }| text.clone()).collect())
}

/// A meter and its rate; `None` removes it.
type MeterChange = (MeterId, Option<datapath::flow::MeterRate>);

/// No host of any topology.
const NO_HOST: HostId = HostId(u32::MAX);
/// Elements of an output, at most.
const BATCH: usize = 1024;
/// Stale flows looked over for one input.
const RENEWALS_AT_ONCE: usize = 200;
/// As long as ovs-vswitchd keeps an idle flow (max-idle).
const FLOW_IDLE: Duration = Duration::from_secs(10);
/// As many as ovs-vswitchd's flow-limit.
const FLOW_LIMIT: usize = 200_000;
/// How long a BPDU blocks a port (behaviour.md 6).
const BLOCK_FOR: Duration = Duration::from_secs(300);

//! The engine of one host: everything that happens goes in, everything that is to be done comes out.
//!
//! ```text
//!            ┌─ truth ────────────────────────────────────────┐  spoil  ┌─ flows ──────────────────────────────┐
//! Input ───► │ links     which link is which port,            │ ──────► │ what becomes of a frame that came up │
//!   handle   │           and whether it forwards              │         │ what the datapath is to keep of that │
//!            │ switch    topology, designation, addresses     │ ◄────── │ what it has counted                  │
//!            │ telling   what was counted and told            │  judge  │ what an earlier run left             │
//!            └────────────────────────────────────────────────┘         └──────────────────────────────────────┘
//!                                         outbox: what is to be done, and what of it is not answered ───► Output
//! ```
//! Forwarding itself is `vlan`'s; the engine keeps the kernel's flows equal to what `vlan` would say now. Truth knows nothing of flows: it
//! says to its lowering ([`crate::lower::Lowering`]) which state is another, and the lowering looks over what rests on that.
//!
//! Every output that can fail has a number and is answered. Until then the engine goes by what it asked for, and mends it when the
//! answer is a refusal.

use std::time::Duration;

use datapath::flow::MeterId;
use datapath::port::VportNo;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use vlan::time::Instant;

use crate::budget::Rates;
use crate::event::Event;
use crate::input::{Answer, Command, Input, SavedAddress};
use crate::lower::Lowering;
use crate::output::Output;
use crate::view::Unread;

use flows::Flows;
use flows::hosts::Inquiry;
use outbox::{Asked, Outbox};
use revision::build;
use saved::Saving;
use show::View;
use truth::Truth;
use truth::feed::Hearing;

mod due;
mod flows;
mod outbox;
mod revision;
mod saved;
pub mod show;
mod telling;
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
    /// Which run of the daemon this is, from 1: a later one has a greater number. Other hosts go by it.
    #[serde(default)]
    pub session: u64,
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
            session: 1,
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
    revision: u64,
    /// A newer one that is not in force and will not be.
    unread: Option<Unread>,
    /// Since when the store that is shared does not answer, and why.
    store_away: Option<(Instant, String)>,
    /// On which machine another process has this host's name.
    namesake: Option<String>,
    truth: Truth,
    flows: Flows,
    saving: Saving,
    outbox: Outbox,
    /// Something was handled whose outputs are not made yet.
    is_unsaid: bool,
    /// Among it something else than an answer, so that a few more links may be attached.
    may_move_vports: bool,
    /// When what is not needed any more is forgotten.
    sweep_at: Option<Instant>,
}

impl Engine {
    /// An engine that knows nothing yet.
    pub fn new(settings: Settings) -> Engine {
        Engine {
            revision: 0,
            unread: None,
            store_away: None,
            namesake: None,
            truth: Truth::new(&settings),
            flows: Flows::new(&settings),
            saving: Saving::default(),
            outbox: Outbox::default(),
            is_unsaid: false,
            may_move_vports: false,
            sweep_at: None,
            settings,
        }
    }

    /// Takes in what has happened. What is to be done is then there to be polled, at most a bounded amount of it: the rest follows
    /// with the next input, at the latest with a [`Input::Tick`] at [`Engine::poll_timeout`].
    pub fn handle(&mut self, now: Instant, input: Input) {
        let is_answer = matches!(input, Input::Done { .. });
        self.take_in(now, input);
        if self.revision > 0 && self.truth.reconcile_links(now, &mut self.flows) {
            self.flows.begin_with_heritage(now, &mut self.truth);
        }
        // What follows from an answer is taken up with the next input, or one answer would lead to the next for ever.
        if !is_answer {
            self.may_move_vports = true;
            self.keep_time(now);
        }
        self.is_unsaid = true;
    }

    fn take_in(&mut self, now: Instant, input: Input) {
        let (truth, flows) = (&mut self.truth, &mut self.flows);
        match input {
            Input::Observed { vports, flows: found, tunnel, groups } => {
                truth.links.note_all_vports(vports);
                truth.overlay.observe(tunnel.as_ref());
                flows.observe(now, truth, (found, groups));
            }
            Input::Saved(addresses) => flows.heritage.saved = addresses,
            Input::Topology { revision, description, numbers, built } => {
                let built = built.map_or_else(|| build(&description, numbers.as_deref()), Ok);
                self.change_topology(revision, built);
            }
            Input::Unreadable { revision, why } => {
                truth.telling.tell(Event::RevisionUnreadable { revision, why: why.clone() });
                self.note_unread(revision, why);
            }
            Input::StoreAway { why } => self.note_store_away(now, why),
            Input::StoreBack => self.note_store_back(now),
            Input::Namesake(machine) => self.note_namesake(machine),
            Input::Withdrawn { host, words } => {
                truth.telling.tell(Event::AddressesWithdrawn { host, words });
            }
            Input::Feed(news) => Hearing::new(now, truth, flows).hear(news),
            Input::Link(event) => truth.links.note_link(*event),
            Input::Upcalls(upcalls) => flows.judge_upcalls(now, truth, upcalls),
            Input::FlowStats { slice, is_last } => flows.read_flow_stats(now, truth, &slice, is_last),
            Input::MeterStats(stats) => flows.cache.meters.count(&stats, &mut truth.telling.counts),
            Input::Counted(datapath) => flows.hands.note_counters(now, datapath),
            Input::Tunnel(seen) => {
                if truth.overlay.note_seen(seen.as_ref(), &mut truth.telling) {
                    flows.spoil_all();
                }
            }
            Input::Vports { slice, is_last } => truth.links.note_vports(slice, is_last),
            Input::Operator(Command::FlushAddresses { port }) => {
                truth.flush_addresses(port.as_deref(), flows)
            }
            Input::Operator(Command::Unblock { port }) => truth.unblock(now, &port, flows),
            Input::Done { id, answers } => self.note_answers(now, id, answers),
            Input::Tick => {}
            Input::UpcallsUnread(refusal) => truth.telling.note_refusal(now, "read-upcalls", &refusal, true),
            Input::Unread(refusal) => truth.telling.note_refusal(now, "read", &refusal, true),
        }
    }

    /// Takes in the answers to an output; an answer that is missing counts as done.
    fn note_answers(&mut self, now: Instant, id: u64, answers: Vec<Answer>) {
        let Some(asked) = self.outbox.take_asked(id) else { return };
        let (truth, flows) = (&mut self.truth, &mut self.flows);
        match asked {
            Asked::Attach(link) => {
                answers.into_iter().for_each(|answer| truth.note_attached(now, &link, answer));
            }
            Asked::Detach => truth.telling.note_refusals(now, "detach", answers),
            Asked::Tunnel(end) => {
                if truth.overlay.note(now, end, answers.into_iter().next(), &mut truth.telling) {
                    flows.follow_tunnel(truth);
                }
            }
            Asked::Flows(changed) => flows.note_flows(now, truth, &changed, &mut answers.into_iter()),
            Asked::Frames(ports) => truth.telling.note_frames(&ports, answers),
            Asked::SetUp(changed, ports) => {
                let mut answers = answers.into_iter();
                flows.note_flows(now, truth, &changed, &mut answers);
                truth.telling.note_frames(&ports, answers);
            }
            Asked::Meters(meters) => {
                flows.cache.meters.note_answers(now, &meters, answers, &mut truth.telling);
            }
            Asked::Groups { is_set } => flows.note_groups(now, truth, is_set, answers),
            Asked::Diverted(diverted) => flows.note_diverted_uses(now, truth, &diverted, answers),
            Asked::Uses(doubts) => flows.note_uses(now, truth, doubts, answers),
        }
    }

    /// Does what is due by now, some of it where there is much.
    fn keep_time(&mut self, now: Instant) {
        let (truth, flows) = (&mut self.truth, &mut self.flows);
        truth.keep_time(now, flows);
        truth.keep_company(now, flows);
        Hearing::new(now, truth, flows).keep_time();
        truth.feed.follow(&mut self.outbox);
        truth.feed.ask(now, &mut self.outbox);
        flows.cache.keep_time(now);
        Inquiry::new(now, truth, flows).give_up();
        self.saving.go_on(now, truth);
        flows.strike_out_missing(now, truth);
        truth.tell_of_hands();
        flows.hands.tell(now, &mut truth.telling);
        flows.renew_stale(now, truth, RENEWALS_AT_ONCE);
        let sweep_at = *self.sweep_at.get_or_insert(now + crate::budget::SWEEP_EVERY);
        if sweep_at <= now {
            self.sweep_at = Some(now + crate::budget::SWEEP_EVERY);
            flows.sweep(now);
            truth.telling.sweep(now);
        }
    }

    /// The next thing to be done. What several inputs led to since this was asked last happens together, as if they had been one.
    pub fn poll_output(&mut self) -> Option<Output> {
        // What is told follows from what was done before, and comes behind it.
        let next = self.outbox.next().or_else(|| self.truth.telling.next().map(Output::Event));
        if next.is_none() && std::mem::take(&mut self.is_unsaid) {
            self.flush();
            return self.outbox.next();
        }
        next
    }

    /// Sends off what inputs led to: flows and frames before a vport goes.
    fn flush(&mut self) {
        self.flows.cache.hand_over(&mut self.outbox);
        self.truth.others.send(self.truth.stranger, &mut self.outbox);
        if std::mem::take(&mut self.may_move_vports) {
            self.truth.move_vports(&mut self.outbox);
            // Without a topology nothing is known of what an earlier run left: the tunnel stays, as its flows do.
            if self.revision > 0 {
                self.truth.overlay.move_port(&mut self.outbox);
            }
        }
        if let Some(piece) = self.saving.take_piece() {
            self.outbox.push(Output::Save(piece));
        }
    }

    /// The vports, some of them where they are many, whose frames led to flows that are still to be put. What else came by one of them
    /// is better judged before they are: by the flow later frames would overtake it.
    pub fn ports_of_new_flows(&self) -> SmallVec<[VportNo; 4]> {
        self.flows.cache.ports_of_new_flows()
    }

    /// When the engine wants a [`Input::Tick`], if nothing else happens before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.flows.has_work(&self.truth) {
            return Some(Instant::ZERO);
        }
        let due = [self.truth.next_due(), self.flows.next_due(), self.saving.next_due(), self.sweep_at];
        due.into_iter().flatten().min()
    }

    /// Whether there is a tunnel port, so that it is worth a look whether it is there still.
    pub fn has_tunnel(&self) -> bool {
        self.truth.overlay.is_open()
    }

    /// The meters from `first` on, in ascending order, at most `most`.
    pub fn meters(&self, first: MeterId, most: usize) -> Vec<MeterId> {
        self.flows.cache.meters.ids_from(first).take(most).collect()
    }

    /// The learned addresses.
    pub fn save(&self, now: Instant) -> Vec<SavedAddress> {
        self.truth.switch.fdb.addresses.save(now).filter_map(|saved| self.truth.by_name(&saved)).collect()
    }

    /// What an operator sees of it.
    pub fn view(&self) -> View<'_> {
        View::of(self)
    }
}

/// Stale flows looked over for one input.
const RENEWALS_AT_ONCE: usize = 200;
/// As long as ovs-vswitchd keeps an idle flow (max-idle).
const FLOW_IDLE: Duration = Duration::from_secs(10);
/// As many as ovs-vswitchd's flow-limit.
const FLOW_LIMIT: usize = 200_000;
/// How long a BPDU blocks a port (behaviour.md 6).
const BLOCK_FOR: Duration = Duration::from_secs(300);

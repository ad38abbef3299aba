//! A host that switches by flows on any rig: what the engine does, without its budgets, batches and answers, and with whatever
//! designation it is told.
//!
//! ```text
//!   send ─► Rig ─┬─ a flow hits ─────────────────────────────────────────────────────► what left by each link
//!                  └─ no flow: upcall ─► Switch::forward ─► lower ─► put flow, execute ──┘
//!                                           └─ an address, port or trunk changed: the flows that rest on it go
//! ```
//! The links and the datapath are made once ([`FlowLab`]); each case assigns its ports to them and leaves no flow behind.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use agent::lower::flows::{is_cacheable, lower};
use agent::lower::storm::{StormRates, rates};
use datapath::flow::{Action, FlowChange, FlowId, FlowKey, MeterId, MeterRate};
use datapath::port::VportNo;
use datapath::{Capabilities, Datapath, Execute, FlowTable, Upcall};
use vlan::fdb::Learned;
use vlan::frame::MAX_TAGS;
use vlan::model::id::{FabricId, PortId};
use vlan::time::Instant;
use vlan::trace::Silent;
use vlan::verdict::{Decision, Dependency, Effect, Egress, StormClass, Verdict};
use vlan::vid::Vid;

use super::standing::Standing;
use super::traffic::Sent;
use crate::suite::Rig;
use crate::suite::traffic::{granted, missed, take_upcalls};

/// A datapath with links, to be used by one host after another.
pub struct FlowLab<'b, B: Rig> {
    rig: &'b mut B,
    datapath: B::Datapath,
    links: Vec<(String, VportNo)>,
    /// Flows and meters are never called the same twice.
    last_id: u128,
    meters: u32,
}

impl<'b, B: Rig> FlowLab<'b, B> {
    /// Makes so many links, each a port of the datapath.
    pub async fn new(rig: &'b mut B, links: usize) -> FlowLab<'b, B> {
        let names: Vec<String> = (0..links).map(|number| format!("link{number}")).collect();
        rig.add_links(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let mut datapath = granted(rig.open().await);
        let mut attached = Vec::new();
        for name in names {
            let vport = granted(datapath.attach(&name).await);
            attached.push((name, vport.no));
        }
        FlowLab { rig, datapath, links: attached, last_id: 0, meters: 0 }
    }
}

/// A host on a lab, for the time of a case.
pub struct FlowHost<'l, 'b, B: Rig> {
    /// The host.
    pub host: Standing,
    lab: &'l mut FlowLab<'b, B>,
    /// Ports by name, each with its place among the lab's links.
    places: BTreeMap<String, usize>,
    now: Instant,
    flows: BTreeMap<FlowId, Cached>,
    by_state: BTreeMap<Dependency, BTreeSet<FlowId>>,
    meters: BTreeMap<(String, Option<Option<Vid>>, StormClass), MeterId>,
    verdict: Verdict,
    /// Frames that met a flow.
    pub hits: u64,
    /// Flows that were withdrawn because something changed.
    pub withdrawn: u64,
    /// Flows that the datapath did not take.
    pub refused: u64,
}

/// What is known of a flow.
struct Cached {
    packets: u64,
    verdict: Verdict,
    into: Vec<FabricId>,
}

/// What became of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Met {
    /// Copies by port, in the order of ports.
    pub outputs: Vec<Sent>,
    /// Whether a flow was there for it.
    pub by_flow: bool,
}

impl<'l, 'b, B: Rig> FlowHost<'l, 'b, B> {
    /// A host whose ports are the lab's links, in the order of the topology.
    ///
    /// # Panics
    /// There are more ports than links.
    pub fn new(lab: &'l mut FlowLab<'b, B>, host: Standing, now: Instant) -> FlowHost<'l, 'b, B> {
        let mut made = FlowHost {
            host,
            lab,
            places: BTreeMap::new(),
            now,
            flows: BTreeMap::new(),
            by_state: BTreeMap::new(),
            meters: BTreeMap::new(),
            verdict: Verdict::default(),
            hits: 0,
            withdrawn: 0,
            refused: 0,
        };
        made.assign_links();
        made
    }

    /// Sends a frame into a port, and does what it leads to.
    pub async fn send(&mut self, port: &str, frame: &[u8]) -> Met {
        let link = self.lab.links[self.places[port]].0.clone();
        let before = missed(&mut self.lab.datapath).await;
        self.lab.rig.inject(&link, &[frame.to_vec()]);
        let came_up = missed(&mut self.lab.datapath).await - before;
        let upcalls = take_upcalls(&mut self.lab.datapath, came_up as usize).await;
        let by_flow = upcalls.is_empty();
        for upcall in upcalls {
            self.judge(upcall).await;
        }
        if by_flow {
            self.hits += 1;
            self.read_hits().await;
        }
        Met { outputs: self.collect(), by_flow }
    }

    /// Lets time pass, for the host: nothing in a datapath of flows depends on it but meters.
    pub async fn pass(&mut self, span: Duration) {
        self.now = self.now + span;
        let now = self.now;
        let mut states = Vec::new();
        while self.host.switch.fdb.addresses.next_due().is_some_and(|due| due <= now) {
            let aged = self.host.switch.fdb.addresses.age(now, 1_000);
            let gone = aged.expired.into_iter().map(|gone| (gone.segment, gone.mac));
            states.extend(gone.chain(aged.thawed).map(|(segment, mac)| Dependency::Address(segment, mac)));
        }
        match self.host.unblock(now).is_empty() {
            true => self.withdraw(states).await,
            false => self.withdraw_all().await,
        }
    }

    /// Changes what is known around the switch; whatever flow may rest on it goes.
    pub async fn change(&mut self, change: impl FnOnce(&mut Standing)) {
        change(&mut self.host);
        self.assign_links();
        self.withdraw_all().await;
    }

    /// What its datapath can do.
    pub fn capabilities(&self) -> Capabilities {
        self.lab.datapath.capabilities()
    }

    /// What its clock says.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Leaves no flow behind. What went wrong unseen is told, by rigs that can tell.
    pub async fn finish(mut self) -> Vec<String> {
        self.withdraw_all().await;
        for meter in std::mem::take(&mut self.meters).into_values() {
            granted(self.lab.datapath.delete_meter(meter).await);
        }
        self.lab.rig.faults()
    }

    fn assign_links(&mut self) {
        let topology = self.host.switch.topology();
        let ports = topology.ports().iter().filter(|port| port.host == self.host.switch.host());
        self.places = ports.enumerate().map(|(place, port)| (port.name.clone(), place)).collect();
        let (needed, there) = (self.places.len(), self.lab.links.len());
        assert!(needed <= there, "{needed} ports and only {there} links");
    }

    async fn judge(&mut self, upcall: Upcall) {
        let port = self.port_of(upcall.vport);
        let (Ok(key), Some(port)) = (upcall.key, port) else { return };
        let mut verdict = std::mem::take(&mut self.verdict);
        let learned = self.host.switch.forward(self.now, port, &key.header, &mut verdict, &mut Silent);
        let actions = self.actions_of(&verdict).await;
        if let Some(learned) = &learned {
            self.withdraw_changed(port, learned, &verdict).await;
        }
        if let Some(Effect::BlockPort(port)) = verdict.effect {
            let gone = self.host.block(self.now, port);
            let addresses = gone.iter().map(|gone| Dependency::Address(gone.segment, gone.mac));
            self.withdraw(addresses.chain([Dependency::Port(port)]).collect()).await;
        }
        self.note_sent(&verdict);
        if is_cacheable(&verdict, learned.as_ref()) {
            self.put(&key, &verdict, &actions).await;
        }
        if !actions.is_empty() {
            let execute =
                Execute { vport: Some(upcall.vport), frame: upcall.frame, actions, hash: upcall.hash };
            self.lab.datapath.execute(vec![execute]).await.into_iter().for_each(granted);
        }
        self.verdict = verdict;
    }

    async fn actions_of(&mut self, verdict: &Verdict) -> Vec<Action> {
        if verdict.decision != Decision::Forward {
            return Vec::new();
        }
        let meters = self.meters_of(verdict).await;
        lower(&verdict.outputs, &meters, &|port: PortId| {
            let name = &self.host.switch.topology().port(port).name;
            self.places.get(name).map(|place| self.lab.links[*place].1)
        })
    }

    async fn meters_of(&mut self, verdict: &Verdict) -> Vec<MeterId> {
        let Some(meter) = verdict.meter.filter(|_| self.lab.datapath.capabilities().meters) else {
            return Vec::new();
        };
        let port = self.host.switch.topology().port(meter.port);
        let (name, rates) = (port.name.clone(), rates(port, meter.class));
        let Some(StormRates { vlan, port }) = rates else { return Vec::new() };
        let of_vlan = self.meter((name.clone(), Some(meter.vid), meter.class), vlan).await;
        vec![of_vlan, self.meter((name, None, meter.class), port).await]
    }

    async fn meter(&mut self, what: (String, Option<Option<Vid>>, StormClass), rate: MeterRate) -> MeterId {
        if let Some(id) = self.meters.get(&what) {
            return *id;
        }
        self.lab.meters += 1;
        let id = MeterId(self.lab.meters);
        granted(self.lab.datapath.set_meter(id, rate).await);
        self.meters.insert(what, id);
        id
    }

    async fn put(&mut self, key: &FlowKey, verdict: &Verdict, actions: &[Action]) {
        self.lab.last_id += 1;
        let id = FlowId(self.lab.last_id);
        let mut mask = verdict.consulted;
        // openvswitch.ko always tells apart how many tags there are, and what type is behind them.
        mask.tag_presence(MAX_TAGS);
        let change = FlowChange::Put { id, key: key.clone(), mask, actions: actions.to_vec() };
        if self.lab.datapath.change_flows(vec![change]).await.into_iter().any(|answer| answer.is_err()) {
            self.refused += 1;
            return;
        }
        for state in &verdict.depends {
            self.by_state.entry(*state).or_default().insert(id);
        }
        let into = self.fabrics(verdict).collect();
        self.flows.insert(id, Cached { packets: 0, verdict: verdict.clone(), into });
    }

    /// A hit is as good as a frame that was judged: the source is there, and may come back from where it was sent.
    async fn read_hits(&mut self) {
        for (id, stats) in granted(self.lab.datapath.flow_stats().await) {
            let Some(flow) = self.flows.get_mut(&id).filter(|flow| flow.packets < stats.packets) else {
                continue;
            };
            flow.packets = stats.packets;
            let Some(seen) = flow.verdict.source else { continue };
            let fdb = &mut self.host.switch.fdb;
            fdb.addresses.touch(self.now, seen.segment, seen.mac, self.now);
            for fabric in &flow.into {
                fdb.sent.note(self.now, seen.echo(flow.verdict.likeness, *fabric));
            }
        }
    }

    fn note_sent(&mut self, verdict: &Verdict) {
        let Some(seen) = verdict.source.filter(|_| verdict.decision == Decision::Forward) else { return };
        for fabric in self.fabrics(verdict).collect::<Vec<_>>() {
            self.host.switch.fdb.sent.note(self.now, seen.echo(verdict.likeness, fabric));
        }
    }

    fn fabrics<'a>(&'a self, verdict: &'a Verdict) -> impl Iterator<Item = FabricId> + 'a {
        let topology = self.host.switch.topology();
        verdict.outputs.iter().filter_map(|output| match output.to {
            Egress::Port(port) => topology.port(port).group,
            Egress::Tunnel { .. } | Egress::Hosts { .. } => None,
        })
    }

    async fn withdraw_changed(&mut self, port: PortId, learned: &Learned, verdict: &Verdict) {
        let evicted = learned.evicted().map(|gone| Dependency::Address(gone.segment, gone.mac));
        let source = verdict.depends.iter().copied().find(|state| matches!(state, Dependency::Address(..)));
        let own = source.filter(|_| learned.is_change());
        let is_full = matches!(learned, Learned::New { .. }) && self.host.switch.fdb.is_stuck_full(port);
        let full = is_full.then_some(Dependency::Port(port));
        self.withdraw(evicted.into_iter().chain(own).chain(full).collect()).await;
    }

    async fn withdraw(&mut self, states: Vec<Dependency>) {
        let ids: BTreeSet<FlowId> =
            states.iter().filter_map(|state| self.by_state.remove(state)).flatten().collect();
        self.delete(ids).await;
    }

    async fn withdraw_all(&mut self) {
        self.by_state.clear();
        let all = self.flows.keys().copied().collect();
        self.delete(all).await;
    }

    async fn delete(&mut self, ids: BTreeSet<FlowId>) {
        let ids: Vec<FlowId> = ids.into_iter().filter(|id| self.flows.remove(id).is_some()).collect();
        self.withdrawn += ids.len() as u64;
        let changes: Vec<FlowChange> = ids.into_iter().map(|id| FlowChange::Delete { id }).collect();
        if !changes.is_empty() {
            for answer in self.lab.datapath.change_flows(changes).await {
                granted(answer);
            }
        }
    }

    fn collect(&mut self) -> Vec<Sent> {
        let links: Vec<&str> = self.places.values().map(|place| self.lab.links[*place].0.as_str()).collect();
        let frames = self.lab.rig.sent_by(&links);
        let by_port = self.places.keys().zip(frames);
        let mut sent: Vec<Sent> = by_port
            .flat_map(|(port, frames)| frames.into_iter().map(|frame| (port.clone(), frame)))
            .collect();
        sent.sort();
        sent
    }

    fn port_of(&self, vport: VportNo) -> Option<PortId> {
        let topology = self.host.switch.topology();
        let is_it = |(_, place): &(&String, &usize)| self.lab.links[**place].1 == vport;
        let (name, _) = self.places.iter().find(is_it)?;
        topology.port_named(name).map(|port| port.id)
    }
}

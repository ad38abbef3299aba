//! A host: its links and clock, and what crosses from one of them to the datapath.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::sync::mpsc;
use vlan::addr::MacAddr;
use vlan::time::Instant;

use super::actions::InFlight;
use super::conversation;
use super::ecn;
use super::kernel::{Arrival, Kernel, Tunnel};
use super::length::{ETHERNET_HEADER, wire_payload};
use super::meter::Meter;
use super::packet::Departed;
use super::uplink::Uplink;
use crate::flow::{FlowChange, MeterId, MeterRate};
use crate::padding::pad_for;
use crate::port::{Link, LinkEvent, LinkFacts, LinkIndex, LinkLayer, Vport, VportNo};
use crate::tables::{Generation, TableChange, TableReports};
use crate::tunnel::{TunnelEnd, TunnelKey};
use crate::{Execute, FlowAnswer, Refusal, RefusalCause, Upcall};

/// How a fake datapath behaves. By default it is as able as openvswitch.ko.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// What it switches by.
    pub switching: Switching,
    /// A tag that replaces another keeps its DEI.
    pub keeps_dei: bool,
    /// Frames that a pop made shorter than 60 bytes are padded. Those of `execute` always are.
    pub pads: bool,
    /// Meters work.
    pub meters: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { switching: Switching::Flows, keeps_dei: false, pads: false, meters: true }
    }
}

/// What a fake datapath switches by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switching {
    /// Flows; a frame without one is an upcall.
    Flows,
    /// Tables; only frames for us are upcalls.
    Tables,
}

/// How much fits into a fake datapath.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Flows.
    pub flows: usize,
    /// Entries of all tables; learned addresses count.
    pub entries: usize,
    /// Meters.
    pub meters: usize,
    /// Groups.
    pub groups: usize,
    /// Steps of one group.
    pub group_steps: usize,
    /// Upcalls that wait at one port.
    pub upcalls: usize,
    /// Upcalls that one call hands out, whatever it was asked for.
    pub upcalls_at_once: usize,
    /// Reports that wait.
    pub reports: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            flows: 1_000_000,
            entries: 1_000_000,
            meters: 100_000,
            groups: 100_000,
            group_steps: 4_096,
            upcalls: 256,
            upcalls_at_once: usize::MAX,
            reports: 4_096,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Host {
    pub(super) options: Options,
    pub(super) limits: Limits,
    pub(super) now: Instant,
    pub(super) faults: Vec<String>,
    pub(super) uplink: Uplink,
    links: BTreeMap<String, Plug>,
    last_index: u32,
    last_opening: u64,
    kernel: Option<Kernel>,
    watchers: Vec<Watcher>,
}

/// A link and what left by it.
#[derive(Debug)]
struct Plug {
    link: Link,
    sent: VecDeque<Vec<u8>>,
}

/// A reader of link events.
#[derive(Debug)]
struct Watcher {
    events: mpsc::Sender<LinkEvent>,
    missed: bool,
}

impl Host {
    pub(super) fn new(options: Options) -> Host {
        Host { options, ..Host::default() }
    }

    /// Makes or adopts the datapath and returns the number of this opening.
    pub(super) fn open(&mut self) -> u64 {
        self.last_opening += 1;
        self.kernel.get_or_insert_default().listen(self.last_opening);
        self.last_opening
    }

    pub(super) fn has_listener(&self) -> bool {
        self.kernel.as_ref().is_some_and(Kernel::has_listener)
    }

    pub(super) fn close(&mut self, opening: u64) {
        if let Some(kernel) = &mut self.kernel {
            kernel.unlisten(opening);
        }
    }

    pub(super) fn delete_datapath(&mut self) {
        self.kernel = None;
    }

    /// The datapath, for a call that is described by `what`.
    pub(super) fn kernel(&mut self, what: impl Fn() -> String) -> Result<&mut Kernel, Refusal> {
        self.kernel.as_mut().ok_or_else(|| Refusal { what: what(), cause: RefusalCause::DatapathGone })
    }

    pub(super) fn is_switching_by(&self, wanted: Switching, what: &str) -> Result<(), Refusal> {
        if self.options.switching == wanted {
            return Ok(());
        }
        Err(Refusal { what: what.to_owned(), cause: RefusalCause::Unsupported })
    }

    pub(super) fn add_link(&mut self, name: &str) {
        if self.links.contains_key(name) {
            return;
        }
        self.last_index += 1;
        let [a, b, c, d] = self.last_index.to_be_bytes();
        let link = Link {
            index: LinkIndex(self.last_index),
            name: name.to_owned(),
            is_up: true,
            has_carrier: true,
            mtu: 1500,
            mac: Some(MacAddr([0x02, 0xfa, a, b, c, d])),
            facts: LinkFacts::default(),
        };
        self.tell(&LinkEvent::Changed(link.clone()));
        self.links.insert(name.to_owned(), Plug { link, sent: VecDeque::new() });
    }

    pub(super) fn remove_link(&mut self, name: &str) {
        let Some(plug) = self.links.remove(name) else { return };
        if let Some(kernel) = &mut self.kernel
            && let Some(vport) = kernel.vport_on(name)
        {
            kernel.detach(vport);
        }
        self.tell(&LinkEvent::Gone(plug.link.index));
    }

    pub(super) fn rename_link(&mut self, name: &str, new: &str) {
        assert!(!self.links.contains_key(new), "there is a link {new} already");
        let mut plug = self.links.remove(name).unwrap_or_else(|| panic!("there is no link {name}"));
        plug.link.name = new.to_owned();
        if let Some(kernel) = &mut self.kernel {
            kernel.rename(name, new);
        }
        self.tell(&LinkEvent::Changed(plug.link.clone()));
        self.links.insert(new.to_owned(), plug);
    }

    pub(super) fn change_link(&mut self, name: &str, change: impl FnOnce(&mut Link)) {
        let plug = self.links.get_mut(name).unwrap_or_else(|| panic!("there is no link {name}"));
        change(&mut plug.link);
        let link = plug.link.clone();
        self.tell(&LinkEvent::Changed(link));
    }

    pub(super) fn links(&self) -> Vec<Link> {
        self.links.values().map(|plug| plug.link.clone()).collect()
    }

    pub(super) fn watch_links(&mut self) -> mpsc::Receiver<LinkEvent> {
        let (events, receiver) = mpsc::channel(WATCH_DEPTH);
        self.watchers.push(Watcher { events, missed: true });
        self.tell_all_to_behind();
        receiver
    }

    fn tell(&mut self, event: &LinkEvent) {
        self.watchers.retain(|watcher| !watcher.events.is_closed());
        for watcher in self.watchers.iter_mut().filter(|watcher| !watcher.missed) {
            watcher.missed = watcher.events.try_send(event.clone()).is_err();
        }
    }

    fn tell_all_to_behind(&mut self) {
        let all = self.links();
        for watcher in self.watchers.iter_mut().filter(|watcher| watcher.missed) {
            watcher.missed = watcher.events.try_send(LinkEvent::All(all.clone())).is_err();
        }
    }

    pub(super) fn sent(&mut self, name: &str) -> Vec<Vec<u8>> {
        let plug = self.links.get_mut(name).unwrap_or_else(|| panic!("there is no link {name}"));
        plug.sent.drain(..).collect()
    }

    pub(super) fn attach(&mut self, name: &str) -> Result<Vport, RefusalCause> {
        let kernel = self.kernel.as_mut().ok_or(RefusalCause::DatapathGone)?;
        let plug = self.links.get(name).ok_or(RefusalCause::NotFound)?;
        let facts = &plug.link.facts;
        if facts.master.is_some() && kernel.vport_on(name).is_none() {
            return Err(RefusalCause::Busy);
        }
        if facts.layer != LinkLayer::Ethernet {
            return Err(RefusalCause::Kernel { errno: libc::EINVAL, message: "no Ethernet link".to_owned() });
        }
        Ok(kernel.attach(&plug.link))
    }

    /// A frame arrives by a link.
    pub(super) fn receive(&mut self, name: &str, frame: &[u8]) {
        let plug = self.links.get(name).unwrap_or_else(|| panic!("there is no link {name}"));
        let is_live = plug.link.is_up && plug.link.has_carrier;
        let Some(vport) = self.kernel.as_ref().and_then(|kernel| kernel.vport_on(name)) else { return };
        let Some(kernel) = self.kernel.as_mut().filter(|_| is_live) else { return };
        if !kernel.count_arrival(vport, frame) {
            return;
        }
        match self.options.switching {
            Switching::Flows => self.receive_by_flows(Arrival { vport, tunnel: None, frame }, 0),
            Switching::Tables => self.receive_by_tables(vport, frame),
        }
    }

    /// A packet arrives from the underlay; false if nobody here takes it.
    pub(super) fn receive_packet(&mut self, Departed { packet, crossings }: Departed) -> bool {
        let Some(kernel) = &mut self.kernel else { return false };
        let is_for_us = |end: TunnelEnd| (end.local, end.port) == (packet.to, packet.port);
        let Some(Tunnel { no, .. }) = kernel.tunnel.filter(|tunnel| is_for_us(tunnel.end)) else {
            return false;
        };
        let Some(frame) = ecn::inner(&packet) else {
            kernel.count_discard(no);
            return true;
        };
        if kernel.count_arrival(no, &frame) {
            let tunnel = Some(TunnelKey { remote: packet.from, vni: packet.vni, class: packet.class });
            self.receive_by_flows(Arrival { vport: no, tunnel, frame: &frame }, crossings);
        }
        true
    }

    fn receive_by_flows(&mut self, arrival: Arrival<'_>, crossings: u8) {
        let now = self.now;
        let limit = self.limits.upcalls;
        let Some(kernel) = &mut self.kernel else { return };
        if let Some(actions) = kernel.look_up(now, arrival, limit, &mut self.faults) {
            let path = conversation::hash_of(arrival.frame);
            self.act(InFlight::new(arrival.frame).on_its_way(path, crossings), &actions);
        }
    }

    pub(super) fn execute(&mut self, execute: Execute) -> Result<(), Refusal> {
        let len = execute.frame.len();
        let what = || execute.to_string();
        self.kernel(what)?;
        if !(ETHERNET_HEADER..=LONGEST_EXECUTED).contains(&len) {
            let message = format!("allowed are {ETHERNET_HEADER} to {LONGEST_EXECUTED} bytes");
            return Err(Refusal {
                what: what(),
                cause: RefusalCause::Kernel { errno: libc::EINVAL, message },
            });
        }
        let tunnel = self.kernel_mut().and_then(|kernel| kernel.tunnel);
        let is_from_tunnel = tunnel.is_some_and(|tunnel| execute.vport == Some(tunnel.no));
        let (path, crossings) = (execute.hash.unwrap_or_default(), u8::from(is_from_tunnel));
        let frame = InFlight::new(&pad_for(&execute.frame, &execute.actions));
        self.act(frame.on_its_way(path, crossings), &execute.actions);
        Ok(())
    }

    /// Sends a frame out of a vport.
    pub(super) fn transmit(&mut self, vport: VportNo, frame: Vec<u8>) {
        let Some(kernel) = &mut self.kernel else { return };
        if kernel.tunnel.is_some_and(|tunnel| tunnel.no == vport) {
            self.faults.push(format!("output to {vport}, which is the tunnel, without saying to whom"));
            return;
        }
        let Some(port) = kernel.port_mut(vport) else {
            self.faults.push(format!("output to {vport}, which is not there"));
            return;
        };
        let Some(plug) = self.links.get_mut(&port.vport.link) else { return };
        let fits = wire_payload(&frame) <= plug.link.mtu as usize;
        let is_live = plug.link.is_up && plug.link.has_carrier;
        if fits && is_live && plug.sent.len() < SENT_DEPTH {
            port.stats.tx_packets += 1;
            port.stats.tx_bytes += frame.len() as u64;
            plug.sent.push_back(frame);
        } else {
            port.stats.tx_dropped += 1;
        }
    }

    /// Upcalls for whoever opened the datapath as this opening.
    pub(super) fn take_upcalls(&mut self, opening: u64, most: usize) -> Result<Vec<Upcall>, Refusal> {
        let most = most.min(self.limits.upcalls_at_once);
        Ok(self.heard_by(opening, "wait for upcalls")?.take_upcalls(most))
    }

    /// Upcalls of these ports alone.
    pub(super) fn take_stragglers(&mut self, opening: u64, ports: &[VportNo], most: usize) -> Vec<Upcall> {
        let heard = self.heard_by(opening, "take upcalls");
        heard.map(|kernel| kernel.take_upcalls_of(ports, most)).unwrap_or_default()
    }

    /// Reports for whoever opened the datapath as this opening.
    pub(super) fn take_reports(&mut self, opening: u64, most: usize) -> Result<TableReports, Refusal> {
        Ok(self.heard_by(opening, "wait for reports")?.learning.take_reports(most))
    }

    fn heard_by(&mut self, opening: u64, what: &str) -> Result<&mut Kernel, Refusal> {
        let kernel = self.kernel(|| what.to_owned())?;
        if kernel.is_heard_by(opening) {
            return Ok(kernel);
        }
        Err(Refusal { what: what.to_owned(), cause: RefusalCause::TakenOver })
    }

    pub(super) fn change_flow(&mut self, change: FlowChange) -> FlowAnswer {
        let what = change.to_string();
        self.is_switching_by(Switching::Flows, &what)?;
        let limit = self.limits.flows;
        let kernel = self.kernel(|| what.clone())?;
        kernel.flows.change(change, limit).map_err(|cause| Refusal { what, cause })
    }

    pub(super) fn change_table(
        &mut self,
        generation: Generation,
        change: TableChange,
    ) -> Result<(), Refusal> {
        let what = format!("change table entry {:?}", change.key());
        self.is_switching_by(Switching::Tables, &what)?;
        let (limit, now) = (self.limits.entries, self.now);
        let kernel = self.kernel(|| what.clone())?;
        kernel.learning.change(now, generation, change, limit).map_err(|cause| Refusal { what, cause })
    }

    pub(super) fn set_meter(&mut self, id: MeterId, rate: MeterRate) -> Result<(), Refusal> {
        let refusal = |cause| Refusal { what: format!("set meter {}", id.0), cause };
        let (has_meters, limit, now) = (self.options.meters, self.limits.meters, self.now);
        let kernel = self.kernel(|| format!("set meter {}", id.0))?;
        if !has_meters {
            return Err(refusal(RefusalCause::Unsupported));
        }
        if rate.packets_per_second == 0 || rate.burst == 0 {
            let message = "rate and burst are at least 1".to_owned();
            return Err(refusal(RefusalCause::Kernel { errno: libc::EINVAL, message }));
        }
        if !kernel.meters.contains_key(&id) && kernel.meters.len() >= limit {
            return Err(refusal(RefusalCause::TableFull));
        }
        kernel.meters.insert(id, Meter::new(rate, now));
        Ok(())
    }

    /// Whether a frame may pass a meter; one that is not there lets pass.
    pub(super) fn passes(&mut self, id: MeterId) -> bool {
        let now = self.now;
        let meter = self.kernel.as_mut().and_then(|kernel| kernel.meters.get_mut(&id));
        meter.is_none_or(|meter| meter.passes(now))
    }

    pub(super) fn kernel_mut(&mut self) -> Option<&mut Kernel> {
        self.kernel.as_mut()
    }

    pub(super) fn advance(&mut self, span: Duration) {
        self.now = self.now + span;
        let (now, limits) = (self.now, self.limits);
        if let Some(kernel) = &mut self.kernel {
            kernel.learning.age(now, limits.reports);
        }
        self.tell_all_to_behind();
    }
}

/// What fits into one netlink attribute with its header.
const LONGEST_EXECUTED: usize = 65_531;
/// Frames that wait to be looked at on one link; more are dropped, as by a full queue.
const SENT_DEPTH: usize = 65_536;
const WATCH_DEPTH: usize = 1_024;

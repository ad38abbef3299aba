//! The part of a host that outlives the program: ports, rules, meters, counters.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use vlan::frame::Header;
use vlan::time::Instant;

use super::SLICE;
use super::conversation;
use super::flows::{Flows, opaque};
use super::groups::Groups;
use super::learn::Learning;
use super::length::ETHERNET_HEADER;
use super::meter::Meter;
use crate::flow::{Action, FlowKey, MeterId};
use crate::port::{Link, LinkIndex, Vport, VportNo, VportStats};
use crate::tables::TableStats;
use crate::tunnel::{GroupId, TunnelEnd, TunnelKey};
use crate::{Counters, Malformed, Upcall};

#[derive(Debug, Default)]
pub(super) struct Kernel {
    pub(super) flows: Flows,
    pub(super) learning: Learning,
    pub(super) meters: BTreeMap<MeterId, Meter>,
    pub(super) groups: Groups,
    pub(super) tunnel: Option<Tunnel>,
    ports: BTreeMap<VportNo, Port>,
    by_link: HashMap<String, VportNo>,
    /// Numbers below the highest that no port has.
    free: BTreeSet<VportNo>,
    /// Ports with frames that wait for a verdict.
    waiting: BTreeSet<VportNo>,
    counters: Counters,
    /// The opening whose reader gets upcalls; `None`: they are lost.
    listener: Option<u64>,
    /// The port whose upcall was taken last.
    last_served: Option<VportNo>,
}

/// The port to other hosts, and what it was made with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tunnel {
    pub(super) no: VportNo,
    pub(super) end: TunnelEnd,
}

/// A frame that comes in by a port.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival<'a> {
    pub(super) vport: VportNo,
    pub(super) tunnel: Option<TunnelKey>,
    pub(super) frame: &'a [u8],
}

/// A port, its counters, and its frames that wait for a verdict.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) vport: Vport,
    pub(super) stats: VportStats,
    pub(super) table_stats: TableStats,
    upcalls: VecDeque<Upcall>,
}

impl Kernel {
    pub(super) fn listen(&mut self, opening: u64) {
        self.unlisten_all();
        self.listener = Some(opening);
    }

    pub(super) fn unlisten(&mut self, opening: u64) {
        if self.listener == Some(opening) {
            self.unlisten_all();
        }
    }

    pub(super) fn has_listener(&self) -> bool {
        self.listener.is_some()
    }

    pub(super) fn is_heard_by(&self, opening: u64) -> bool {
        self.listener == Some(opening)
    }

    fn unlisten_all(&mut self) {
        self.listener = None;
        self.waiting.clear();
        for port in self.ports.values_mut() {
            self.counters.lost += port.upcalls.drain(..).len() as u64;
        }
    }

    pub(super) fn attach(&mut self, link: &Link) -> Vport {
        if let Some(port) = self.vport_on(&link.name).and_then(|no| self.ports.get(&no)) {
            return port.vport.clone();
        }
        let vport = self.add_port(link.name.clone(), Some(link.index));
        self.by_link.insert(link.name.clone(), vport.no);
        vport
    }

    fn add_port(&mut self, link: String, index: Option<LinkIndex>) -> Vport {
        let no = self.free.pop_first().unwrap_or_else(|| VportNo(self.ports.len() as u32 + 1));
        let vport = Vport { no, link, index };
        let port = Port {
            vport: vport.clone(),
            stats: VportStats::default(),
            table_stats: TableStats::default(),
            upcalls: VecDeque::new(),
        };
        self.ports.insert(no, port);
        vport
    }

    pub(super) fn open_tunnel(&mut self, end: TunnelEnd) -> Vport {
        if self.tunnel.is_some_and(|tunnel| tunnel.end != end) {
            self.close_tunnel();
        }
        if let Some((vport, _)) = self.tunnel_port() {
            return vport;
        }
        let vport = self.add_port(format!("vxlan-{}", end.port), None);
        self.tunnel = Some(Tunnel { no: vport.no, end });
        vport
    }

    pub(super) fn close_tunnel(&mut self) {
        if let Some(tunnel) = self.tunnel {
            self.detach(tunnel.no);
        }
    }

    pub(super) fn tunnel_port(&self) -> Option<(Vport, VportStats)> {
        let port = self.ports.get(&self.tunnel?.no)?;
        Some((port.vport.clone(), port.stats))
    }

    pub(super) fn detach(&mut self, vport: VportNo) {
        if let Some(port) = self.ports.remove(&vport) {
            self.counters.lost += port.upcalls.len() as u64;
            match self.tunnel.take_if(|tunnel| tunnel.no == vport) {
                Some(_) => {}
                None => drop(self.by_link.remove(&port.vport.link)),
            }
            self.waiting.remove(&vport);
            self.free.insert(vport);
        }
    }

    /// The steps of a group; a frame that comes to one that is not set is counted.
    pub(super) fn steps_of(&mut self, id: GroupId) -> Option<Arc<[Action]>> {
        let steps = self.groups.steps(id);
        self.counters.ungrouped += u64::from(steps.is_none());
        steps
    }

    pub(super) fn vports(&self) -> Vec<Vport> {
        self.link_ports(None).map(|port| port.vport.clone()).collect()
    }

    pub(super) fn vport_on(&self, link: &str) -> Option<VportNo> {
        self.by_link.get(link).copied()
    }

    pub(super) fn rename(&mut self, link: &str, new: &str) {
        let Some(no) = self.by_link.remove(link) else { return };
        self.by_link.insert(new.to_owned(), no);
        if let Some(port) = self.ports.get_mut(&no) {
            port.vport.link = new.to_owned();
        }
    }

    pub(super) fn port_mut(&mut self, vport: VportNo) -> Option<&mut Port> {
        self.ports.get_mut(&vport)
    }

    /// The ports behind one and what they counted, in ascending order, as many as a slice has.
    pub(super) fn vports_behind(&self, last: Option<VportNo>) -> Vec<(Vport, VportStats)> {
        self.link_ports(last).take(SLICE).map(|port| (port.vport.clone(), port.stats)).collect()
    }

    /// The ports behind one that are on a link.
    fn link_ports(&self, last: Option<VportNo>) -> impl Iterator<Item = &Port> {
        let behind = (last.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let ports = self.ports.range(behind);
        ports.filter(|(no, _)| self.tunnel.is_none_or(|tunnel| tunnel.no != **no)).map(|(_, port)| port)
    }

    pub(super) fn table_stats(&self) -> Vec<(VportNo, TableStats)> {
        self.ports.iter().map(|(no, port)| (*no, port.table_stats.clone())).collect()
    }

    pub(super) fn counters(&self) -> Counters {
        Counters { flows: self.flows.len() as u64, masks: self.flows.masks() as u64, ..self.counters }
    }

    /// Counts a frame from the wire; false if it is too short for a link to take it.
    pub(super) fn count_arrival(&mut self, vport: VportNo, frame: &[u8]) -> bool {
        let Some(port) = self.ports.get_mut(&vport) else { return false };
        if frame.len() < ETHERNET_HEADER {
            port.stats.rx_dropped += 1;
            return false;
        }
        port.stats.rx_packets += 1;
        port.stats.rx_bytes += frame.len() as u64;
        true
    }

    /// Counts a frame that its port does not take.
    pub(super) fn count_discard(&mut self, vport: VportNo) {
        if let Some(port) = self.ports.get_mut(&vport) {
            port.stats.rx_dropped += 1;
        }
    }

    /// The actions of the flow that matches a frame. Without one the frame becomes an upcall.
    pub(super) fn look_up(
        &mut self,
        now: Instant,
        arrival: Arrival<'_>,
        limit: usize,
        faults: &mut Vec<String>,
    ) -> Option<Arc<[Action]>> {
        let Arrival { vport, frame, .. } = arrival;
        let key = flow_key(arrival);
        let matching = key.as_ref().ok().and_then(|key| self.flows.hit(now, key, frame.len(), faults));
        if matching.is_some() {
            self.counters.hit += 1;
        } else {
            self.counters.missed += 1;
            let hash = Some(conversation::hash_of(frame));
            self.upcall(Upcall { key, vport, frame: frame.to_vec(), hash }, limit);
        }
        matching
    }

    /// Hands a frame to whoever listens; without a listener, or with `limit` waiting already, it is lost.
    pub(super) fn upcall(&mut self, upcall: Upcall, limit: usize) {
        let has_listener = self.listener.is_some();
        match self.ports.get_mut(&upcall.vport) {
            Some(port) if has_listener && port.upcalls.len() < limit => {
                self.waiting.insert(upcall.vport);
                port.upcalls.push_back(upcall);
            }
            _ => self.counters.lost += 1,
        }
    }

    /// One upcall of each port in turn, beginning behind the port that was served last.
    pub(super) fn take_upcalls(&mut self, most: usize) -> Vec<Upcall> {
        let mut taken = Vec::new();
        while taken.len() < most {
            let after = (self.last_served.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
            let next = self.waiting.range(after).next().or_else(|| self.waiting.first());
            let Some(no) = next.copied() else { break };
            self.last_served = Some(no);
            let port = self.ports.get_mut(&no);
            let is_last = port.is_none_or(|port| {
                taken.extend(port.upcalls.pop_front());
                port.upcalls.is_empty()
            });
            if is_last {
                self.waiting.remove(&no);
            }
        }
        taken
    }

    /// Those of each of these ports, in their order.
    pub(super) fn take_upcalls_of(&mut self, ports: &[VportNo], most: usize) -> Vec<Upcall> {
        let mut taken = Vec::new();
        for no in ports {
            let Some(port) = self.ports.get_mut(no) else { continue };
            taken.extend(port.upcalls.drain(..port.upcalls.len().min(most - taken.len())));
            if port.upcalls.is_empty() {
                self.waiting.remove(no);
            }
        }
        taken
    }
}

fn flow_key(arrival: Arrival<'_>) -> Result<FlowKey, Malformed> {
    let Arrival { vport, tunnel, frame } = arrival;
    let header = Header::parse(frame)?;
    Ok(FlowKey { vport, header, tunnel, recirc: 0, opaque: opaque(vport, tunnel, frame) })
}

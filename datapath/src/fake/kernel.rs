//! The part of a host that outlives the program: ports, rules, meters, counters.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use vlan::frame::Header;
use vlan::time::Instant;

use super::SLICE;
use super::flows::{Flows, opaque};
use super::learn::Learning;
use super::length::ETHERNET_HEADER;
use super::meter::Meter;
use crate::flow::{Action, FlowKey, MeterId};
use crate::port::{Link, Vport, VportNo, VportStats};
use crate::tables::TableStats;
use crate::{Counters, Malformed, Upcall};

#[derive(Debug, Default)]
pub(super) struct Kernel {
    pub(super) flows: Flows,
    pub(super) learning: Learning,
    pub(super) meters: BTreeMap<MeterId, Meter>,
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
        let no = self.free.pop_first().unwrap_or_else(|| VportNo(self.ports.len() as u32 + 1));
        let vport = Vport { no, link: link.name.clone(), index: Some(link.index) };
        let port = Port {
            vport: vport.clone(),
            stats: VportStats::default(),
            table_stats: TableStats::default(),
            upcalls: VecDeque::new(),
        };
        self.ports.insert(no, port);
        self.by_link.insert(link.name.clone(), no);
        vport
    }

    pub(super) fn detach(&mut self, vport: VportNo) {
        if let Some(port) = self.ports.remove(&vport) {
            self.counters.lost += port.upcalls.len() as u64;
            self.by_link.remove(&port.vport.link);
            self.waiting.remove(&vport);
            self.free.insert(vport);
        }
    }

    pub(super) fn vports(&self) -> Vec<Vport> {
        self.ports.values().map(|port| port.vport.clone()).collect()
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
        let behind = (last.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let ports = self.ports.range(behind).take(SLICE);
        ports.map(|(_, port)| (port.vport.clone(), port.stats)).collect()
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

    /// The actions of the flow that matches a frame. Without one the frame becomes an upcall.
    pub(super) fn look_up(
        &mut self,
        now: Instant,
        vport: VportNo,
        frame: &[u8],
        limit: usize,
        faults: &mut Vec<String>,
    ) -> Option<Arc<[Action]>> {
        let key = flow_key(vport, frame);
        let matching = key.as_ref().ok().and_then(|key| self.flows.hit(now, key, frame.len(), faults));
        if matching.is_some() {
            self.counters.hit += 1;
        } else {
            self.counters.missed += 1;
            self.upcall(Upcall { key, vport, frame: frame.to_vec(), hash: None }, limit);
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

pub(super) fn flow_key(vport: VportNo, frame: &[u8]) -> Result<FlowKey, Malformed> {
    let header = Header::parse(frame)?;
    Ok(FlowKey { vport, header, tunnel: None, recirc: 0, opaque: opaque(vport, frame) })
}

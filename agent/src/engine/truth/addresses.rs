//! Addresses that an operator wants forgotten; and those that an earlier run left: in its flows, and by name, as a later run will want them.

use std::collections::BTreeSet;
use std::time::Duration;

use datapath::flow::Flow;
use vlan::fdb::Slot;
use vlan::fdb::entry::{Gone, Kind};
use vlan::fdb::saved::Saved;
use vlan::model::id::{Location, PortId, SegmentId};
use vlan::model::port::Port;
use vlan::model::topology::Topology;
use vlan::time::Instant;
use vlan::trace::Silent;
use vlan::verdict::{Dependency, Verdict};
use vlan::vid::Vid;

use super::Truth;
use crate::input::SavedAddress;
use crate::lower::Lowering;

impl Truth {
    /// Forgets learned addresses: all of them, or those behind a port or its trunk group.
    pub(in crate::engine) fn flush_addresses(&mut self, port: Option<&str>, lowering: &mut impl Lowering) {
        let gone = match port {
            None => self.switch.fdb.addresses.retain(|entry| entry.kind == Kind::Declared),
            Some(name) => {
                let port = self.switch.topology().port_named(name).map(|port| (port.id, port.group));
                match port {
                    Some((_, Some(fabric))) => self.switch.fdb.addresses.flush(Slot::Fabric(fabric)),
                    Some((port, None)) => self.switch.fdb.addresses.flush(Slot::Port(port)),
                    None => Vec::new(),
                }
            }
        };
        self.spoil_flushed(&gone, lowering);
    }

    /// What rests on addresses that somebody had forgotten is to be looked over. A sticky port that had some has room again, for frames
    /// that flows drop too.
    fn spoil_flushed(&mut self, gone: &[Gone], lowering: &mut impl Lowering) {
        spoil_addresses(gone, lowering);
        let sticky = gone.iter().filter(|gone| self.switch.fdb.sticky.pins(gone.location));
        let port_of = |gone: &Gone| match gone.location {
            Location::Port { port, .. } => Some(port),
            Location::Fabric { .. } | Location::Host(_) => None,
        };
        let ports: BTreeSet<PortId> = sticky.filter_map(port_of).collect();
        ports.into_iter().for_each(|port| lowering.spoil(Dependency::Port(port)));
    }

    /// Where the source of a flow that was used is, and when it was last heard. Frames that were dropped teach nothing: their port may
    /// have been blocked.
    pub(in crate::engine) fn lesson_of(&self, now: Instant, flow: &Flow) -> Option<Saved> {
        flow.actions.as_ref().filter(|actions| !actions.is_empty())?;
        let (ingress, used) = (self.ingress_of(&flow.key)?, flow.stats.used?);
        let mut verdict = Verdict::default();
        self.switch.judge(now, ingress, &flow.key.header, &mut verdict, &mut Silent);
        let seen = verdict.source?;
        let idle = now.since(used);
        Some(Saved {
            segment: seen.segment,
            mac: seen.mac,
            location: seen.location,
            idle,
            known: idle,
            mobility: 0,
        })
    }

    /// An address by the names of its port; `None` if it has none here.
    pub(in crate::engine) fn by_name(&self, saved: &Saved) -> Option<SavedAddress> {
        let topology = self.switch.topology();
        let (port, vid) = witness(topology, saved.segment, saved.location)?;
        Some(SavedAddress {
            mac: saved.mac,
            port: port.name.clone(),
            vid,
            inner: topology.next_vid(saved.segment, port.bridge, vid).unwrap_or(0),
            age_ms: u64::try_from(saved.idle.as_millis()).unwrap_or(u64::MAX),
            mobility: saved.mobility,
        })
    }

    /// A saved address where it is in the topology in force; `None` if its port or VLAN is no more.
    pub(in crate::engine) fn located(&self, saved: &SavedAddress) -> Option<Saved> {
        let topology = self.switch.topology();
        let port = topology.port_named(&saved.port)?;
        let next = Some(saved.inner).filter(|inner| *inner != 0);
        let segment = topology.locate(port.bridge, saved.vid, next)?.segment;
        let is_member = saved.vid.is_none_or(|vid| port.is_member(vid)) && port.host == self.switch.host();
        let location = match (port.group, saved.vid) {
            (Some(fabric), Some(vid)) => Location::Fabric { fabric, vid },
            (_, vid) => Location::Port { port: port.id, vid },
        };
        let idle = Duration::from_millis(saved.age_ms);
        let saved = Saved { segment, mac: saved.mac, location, idle, known: idle, mobility: saved.mobility };
        is_member.then_some(saved)
    }
}

/// What rests on the whereabouts of addresses is to be looked over.
pub(super) fn spoil_addresses(gone: &[Gone], lowering: &mut impl Lowering) {
    for gone in gone {
        lowering.spoil(Dependency::Address(gone.segment, gone.mac));
    }
}

/// A port that an address is behind, and the VLAN of its bridge; of a trunk group, any trunk.
fn witness(topology: &Topology, segment: SegmentId, location: Location) -> Option<(&Port, Option<Vid>)> {
    match location {
        Location::Port { port, vid } => Some((topology.port(port), vid)),
        Location::Fabric { fabric, vid } => {
            topology.trunk_on(segment.number, fabric, vid).map(|port| (port, Some(vid)))
        }
        Location::Host(_) => None,
    }
}

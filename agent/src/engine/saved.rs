//! Learned addresses over a restart, by names: identifiers are another topology's by then.

use std::time::Duration;

use vlan::fdb::saved::Saved;
use vlan::model::id::{Location, SegmentId};
use vlan::model::port::Port;
use vlan::model::topology::Topology;
use vlan::time::Instant;
use vlan::vid::Vid;

use super::Engine;
use crate::input::SavedAddress;

impl Engine {
    /// The learned addresses.
    pub fn save(&self, now: Instant) -> Vec<SavedAddress> {
        let topology = self.switch.topology();
        let named = self.switch.fdb.save(now).filter_map(|saved| {
            let (port, vid) = witness(topology, saved.segment, saved.location)?;
            let inner = topology.next_vid(saved.segment, port.bridge, vid).unwrap_or(0);
            let age_ms = u64::try_from(saved.idle.as_millis()).unwrap_or(u64::MAX);
            Some(SavedAddress {
                mac: saved.mac,
                port: port.name.clone(),
                vid,
                inner,
                age_ms,
                mobility: saved.mobility,
            })
        });
        named.collect()
    }

    /// A saved address where it is in the topology in force; `None` if its port or VLAN is no more.
    pub(super) fn located(&self, saved: &SavedAddress) -> Option<Saved> {
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

    /// Learns saved addresses again, those heard last first, and returns how many.
    pub(super) fn restore(&mut self, now: Instant, addresses: Vec<Saved>) -> usize {
        let topology = std::sync::Arc::clone(self.switch.topology());
        let policies: Vec<_> = topology
            .ports()
            .iter()
            .map(|port| self.switch.learn_policy(Location::Port { port: port.id, vid: None }, port.id))
            .collect();
        self.switch.fdb.restore(now, addresses, |saved| match saved.location {
            Location::Port { port, .. } => policies.get(port.0 as usize).copied(),
            Location::Fabric { fabric, .. } => {
                let trunk = topology.ports().iter().find(|port| port.group == Some(fabric))?;
                policies.get(trunk.id.0 as usize).copied()
            }
            Location::Host(_) => None,
        })
    }
}

/// A port that an address is behind, and the VLAN of its bridge; of a trunk group, any trunk.
fn witness(topology: &Topology, segment: SegmentId, location: Location) -> Option<(&Port, Option<Vid>)> {
    match location {
        Location::Port { port, vid } => Some((topology.port(port), vid)),
        Location::Fabric { fabric, vid } => {
            let bridge = topology.bridge_on(segment.number, fabric, vid)?;
            let is_its =
                |port: &&Port| port.bridge == bridge && port.group == Some(fabric) && port.is_member(vid);
            topology.ports().iter().find(is_its).map(|port| (port, Some(vid)))
        }
        Location::Host(_) => None,
    }
}

//! Another topology.
//!
//! Identifiers change with it, names stay. Every flow is looked over, most used first; only those that would do something else now
//! are touched in the kernel. The revision is in force when none is left.

use std::collections::BTreeMap;
use std::sync::Arc;

use vlan::fdb::Slot;
use vlan::model::description::Description;

use super::{Engine, NO_HOST, build};
use crate::event::Event;

impl Engine {
    pub(super) fn change_topology(&mut self, revision: u64, description: &Description) {
        let topology = match build(description) {
            Ok(topology) => Arc::new(topology),
            Err(mistakes) => {
                self.tell(Event::RevisionRefused { revision, mistakes });
                return;
            }
        };
        let host = topology.host_named(&self.settings.host).unwrap_or(NO_HOST);
        self.switch.set_topology(Arc::clone(&topology), host);
        self.revision = revision;
        self.keys = topology.ports().iter().map(|port| self.counts.key(&port.name)).collect();
        self.forget_blocked();
        self.links.forget_ports();
        self.book.spoil_all();
        self.trim_addresses();
        self.heritage.in_force = Some(revision);
        self.links.mark_dirty();
    }

    /// Limits may have been lowered. The trunks of a fabric count together, so that the one that may have most decides.
    fn trim_addresses(&mut self) {
        let mut limits: BTreeMap<Slot, u32> = BTreeMap::new();
        for port in self.switch.topology().ports() {
            let limit = limits.entry(port.group.map_or(Slot::Port(port.id), Slot::Fabric)).or_default();
            *limit = (*limit).max(port.mac_limit);
        }
        for (slot, limit) in limits {
            let gone = self.switch.fdb.trim(slot, limit);
            self.spoil_addresses(&gone);
        }
    }
}

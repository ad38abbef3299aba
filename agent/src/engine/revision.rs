//! Another topology.
//!
//! Identifiers change with it, names stay. Every flow is looked over, most used first; only those that would do something else now
//! are touched in the kernel. The revision is in force when none is left.

use std::sync::Arc;

use vlan::designation::TrunkGroups;
use vlan::model::id::HostId;
use vlan::model::topology::Topology;
use vlan::plane::PortState;

use super::{Engine, NO_HOST};
use crate::event::Event;
use crate::view::Unread;

impl Engine {
    pub(super) fn change_topology(&mut self, revision: u64, built: Result<Arc<Topology>, Vec<String>>) {
        let topology = match built {
            Ok(topology) => topology,
            Err(mistakes) => {
                self.note_unread(revision, mistakes.join("; "));
                self.tell(Event::RevisionRefused { revision, mistakes });
                return;
            }
        };
        self.unread = None;
        let host = topology.host_named(&self.settings.host).unwrap_or(NO_HOST);
        self.tell_of_losses(&topology, host);
        self.switch.set_topology(Arc::clone(&topology), host);
        self.revision = revision;
        self.keys = topology.ports().iter().map(|port| self.counts.key(&port.name)).collect();
        self.forget_blocked();
        self.loops.forget_frames();
        let ours = topology.ports().iter().filter(|port| port.host == host);
        let wanted = ours.map(|port| (port.link.clone(), port.id)).collect();
        self.links.want(wanted, topology.ports().len());
        self.trunks = TrunkGroups::of(&topology);
        self.book.spoil_all();
        self.heritage.in_force = Some(revision);
    }

    /// The newest revision is not in force, and will not be.
    pub(super) fn note_unread(&mut self, revision: u64, why: String) {
        self.unread = Some(Unread { revision, why });
    }

    /// A port that forwards and that the next topology does not have here goes down by it, and is heard of no more.
    fn tell_of_losses(&mut self, next: &Topology, host: HostId) {
        let before = Arc::clone(self.switch.topology());
        let ours = before.ports().iter().filter(|port| port.host == self.switch.host());
        let up: Vec<_> = ours.filter(|port| self.switch.port_state(port.id) == PortState::Up).collect();
        for port in up {
            let why = match next.port_named(&port.name) {
                Some(port) if port.host == host => continue,
                Some(_) => "on another host now",
                None => "no longer in the topology",
            };
            let (port, link) = (port.name.clone(), port.link.clone());
            self.tell(Event::PortDown { port, link, why: why.to_owned() });
        }
    }
}

//! Another topology: identifiers change with it, names stay.

use std::sync::Arc;

use vlan::designation::TrunkGroups;
use vlan::model::id::HostId;
use vlan::model::topology::Topology;
use vlan::plane::PortState;

use super::{NO_HOST, Truth};
use crate::event::Event;

impl Truth {
    /// Goes by another topology. What its ports are follows when they are looked at.
    pub(in crate::engine) fn change_topology(&mut self, topology: &Arc<Topology>) {
        let host = topology.host_named(&self.host).unwrap_or(NO_HOST);
        self.tell_of_losses(topology, host);
        let before = Arc::clone(self.switch.topology());
        self.switch.set_topology(Arc::clone(topology), host);
        self.others.change((&before, topology), host, &mut self.switch.peers);
        self.feed.change(topology, host);
        self.switch.fdb.addresses.news.begin(self.feed.is_shared());
        self.keys = topology.ports().iter().map(|port| self.telling.counts.key(&port.name)).collect();
        self.overlay.want(topology, host);
        self.name_hosts(topology);
        self.blocks.forget_gone(topology);
        let ours = topology.ports().iter().filter(|port| port.host == host);
        let wanted = ours.map(|port| (port.link.clone(), port.id)).collect();
        self.links.want(wanted, topology.ports().len());
        self.trunks = TrunkGroups::of(topology);
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
            self.telling.tell(Event::PortDown { port, link, why: why.to_owned() });
        }
    }
}

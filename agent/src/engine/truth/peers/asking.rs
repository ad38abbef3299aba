//! Which host can be asked what it has sent, and how a question or a reply goes to one.

use datapath::Execute;
use datapath::flow::Action;
use vlan::model::id::HostId;
use vlan::model::topology::Topology;
use vlan::time::Instant;

use super::Others;
use super::saying::way_to;

impl Others {
    /// Whether a host is alive, as far as this host can tell, and can be asked. One of an older version cannot: it would never answer, and
    /// what moves away from it would be followed no more. So it is asked for nothing, as before there were questions. Of one that has
    /// not been heard yet nobody knows its version: it is asked.
    pub(in crate::engine) fn can_be_asked(&self, now: Instant, host: HostId, is_open: bool) -> bool {
        self.of.get(&host).is_some_and(|other| {
            // Without a tunnel nobody looks who is silent.
            let lasts = |heard: Instant| now.since(heard) < other.patience(self.revision);
            let is_alive = !other.is_silent && (is_open || other.heard.is_some_and(lasts));
            is_alive && (other.answers || !other.is_known)
        })
    }

    /// Says something to one host.
    pub(in crate::engine) fn say_to(&mut self, topology: &Topology, host: HostId, frame: Vec<u8>) {
        if let Some(to) = way_to(topology, host) {
            self.unsent.push(Execute { vport: None, frame, actions: vec![Action::Tunnel(to)], hash: None });
        }
    }

    /// The session that questions of this host name.
    pub(in crate::engine) fn session(&self) -> u64 {
        self.session.max(1)
    }
}

//! What a host knows around its switch: which ports have a carrier, which are blocked, and which trunk carries which VLAN.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use vlan::designation::Designation;
use vlan::fdb::Slot;
use vlan::fdb::entry::Gone;
use vlan::model::description::Description;
use vlan::model::id::{HostId, PortId};
use vlan::model::topology::Topology;
use vlan::plane::PortState;
use vlan::switch::Switch;
use vlan::time::Instant;
use vlan::vid::Vid;

use super::duel::compile;
use super::reference::Designated;

/// A switch, and what is known around it.
#[derive(Debug)]
pub struct Standing {
    /// The switch.
    pub switch: Switch,
    has_carrier: BTreeMap<String, bool>,
    blocked: BTreeMap<String, Instant>,
    told: Option<Designation>,
}

impl Standing {
    /// Every port has a carrier, and live trunks carry VLANs as the gateway chooses.
    ///
    /// # Panics
    /// The description does not build.
    pub fn new(description: &Description) -> Standing {
        let switch = Switch::new(build(description), HostId(0), 0);
        let mut standing =
            Standing { switch, has_carrier: BTreeMap::new(), blocked: BTreeMap::new(), told: None };
        standing.refresh(true);
        standing
    }

    /// One whose designation is not its own choice.
    ///
    /// # Panics
    /// The description does not build.
    pub fn told(description: &Description, designated: &Designated) -> Standing {
        let mut standing = Standing::new(description);
        let designation = compile(standing.switch.topology(), designated);
        standing.tell(Some(designation));
        standing
    }

    /// Says which trunk carries which VLAN; `None`: it is its own choice again.
    pub fn tell(&mut self, designation: Option<Designation>) {
        self.told = designation;
        self.refresh(false);
    }

    /// Says which trunk carries a VLAN of a bridge; what was said before of others holds.
    ///
    /// # Panics
    /// There is no such bridge, VID or trunk.
    pub fn carry(&mut self, bridge: &str, vid: u16, trunk: &str) {
        let topology = Arc::clone(self.switch.topology());
        let names = (topology.bridge_named(bridge), Vid::new(vid), topology.port_named(trunk));
        let (Some(bridge), Some(vid), Some(trunk)) = names else { panic!("no {trunk} for {bridge}/{vid}") };
        let mut designation = self.switch.designation().clone();
        designation.assign(&topology, [((bridge.id, vid), trunk.id)]);
        self.tell(Some(designation));
    }

    /// Another topology. What it chooses is its own again.
    ///
    /// # Panics
    /// The description does not build.
    pub fn change(&mut self, description: &Description) -> Vec<Gone> {
        let topology = build(description);
        self.switch.set_topology(Arc::clone(&topology), HostId(0));
        self.blocked.retain(|name, _| topology.port_named(name).is_some());
        self.told = None;
        self.refresh(false)
    }

    /// A port's carrier comes or goes. Tells which addresses went.
    pub fn set_carrier(&mut self, port: &str, carrier: bool) -> Vec<Gone> {
        self.has_carrier.insert(port.to_owned(), carrier);
        self.refresh(false)
    }

    /// A port forwards again, whatever kept it from that.
    pub fn set_up(&mut self, port: &str) {
        self.blocked.remove(port);
        self.set_carrier(port, true);
    }

    /// Blocks a port. Tells which addresses went.
    pub fn block(&mut self, now: Instant, port: PortId) -> Vec<Gone> {
        self.blocked.insert(self.switch.topology().port(port).name.clone(), now + BLOCK_FOR);
        self.refresh(false)
    }

    /// Lets go the ports that have been blocked for long enough, and tells which.
    pub fn unblock(&mut self, now: Instant) -> Vec<PortId> {
        let free = self.blocked.extract_if(.., |_, until| *until <= now);
        let topology = self.switch.topology();
        let free: Vec<PortId> =
            free.filter_map(|(name, _)| topology.port_named(&name)).map(|port| port.id).collect();
        if !free.is_empty() {
            self.refresh(false);
        }
        free
    }

    /// A switch without addresses, and no port blocked.
    pub fn restart(&mut self) {
        self.switch = Switch::new(Arc::clone(self.switch.topology()), HostId(0), 0);
        self.blocked.clear();
        self.refresh(true);
    }

    fn refresh(&mut self, is_new: bool) -> Vec<Gone> {
        let mut gone = Vec::new();
        let topology = Arc::clone(self.switch.topology());
        for port in topology.ports() {
            let has_carrier = self.has_carrier.get(&port.name).copied().unwrap_or(true);
            let state = match (has_carrier, self.blocked.contains_key(&port.name)) {
                (false, _) => PortState::Down,
                (true, true) => PortState::Blocked,
                (true, false) => PortState::Up,
            };
            let was = self.switch.set_port_state(port.id, state);
            if !is_new
                && was == PortState::Up
                && state != PortState::Up
                && port.group.is_none()
                && !port.is_sticky
            {
                gone.extend(self.switch.fdb.addresses.flush(Slot::Port(port.id)));
            }
        }
        let is_up = |port: &vlan::model::port::Port| self.switch.port_state(port.id) == PortState::Up;
        let chosen = self.told.clone().unwrap_or_else(|| Designation::among(&topology, is_up));
        self.switch.set_designation(chosen);
        gone
    }
}

fn build(description: &Description) -> Arc<Topology> {
    Arc::new(Topology::build(description).expect("a description that builds"))
}

/// How long a BPDU blocks a port (behaviour.md 6).
const BLOCK_FOR: Duration = Duration::from_secs(300);

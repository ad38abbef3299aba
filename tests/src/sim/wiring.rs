//! What a description says, asked in the words of behaviour.md 1 and 2: bridges, peerings, which VLAN is on which trunk.

use std::collections::BTreeSet;

use vlan::model::description::{Bridge, BridgeKind, Description, Mode, Peering, Port, Redundancy, TrunkMode};
use vlan::tag::Tpid;
use vlan::vid::Vid;

/// A port's place in [`Wiring::ports`].
pub type PortIndex = usize;
/// A bridge's place in [`Description::bridges`].
pub type BridgeIndex = usize;

/// A description with its names looked up.
#[derive(Debug, Clone)]
pub struct Wiring {
    /// The description's bridges.
    pub bridges: Vec<Bridge>,
    /// Trunks, then ports.
    pub ports: Vec<Port>,
    /// The bridge of each port.
    pub bridge_of: Vec<BridgeIndex>,
    /// The peerings.
    pub peerings: Vec<Join>,
    /// How many of `ports` are trunks.
    trunks: usize,
}

/// A peering: VLAN `vid` of bridge `outer` is bridge `inner`.
#[derive(Debug, Clone, Copy)]
pub struct Join {
    /// The VLAN-aware bridge.
    pub outer: BridgeIndex,
    /// Its VLAN.
    pub vid: u16,
    /// Where the VLAN leads.
    pub inner: BridgeIndex,
}

impl Wiring {
    /// `None` where a name is missing.
    pub fn new(description: &Description) -> Option<Wiring> {
        let index = |name: &str| description.bridges.iter().position(|bridge| bridge.name == name);
        let join = |peering: &Peering| {
            let (outer, inner) = (index(&peering.bridge)?, index(&peering.to)?);
            Some(Join { outer, vid: peering.vid.get(), inner })
        };
        let ports: Vec<Port> = description.trunks.iter().chain(&description.ports).cloned().collect();
        Some(Wiring {
            bridge_of: ports.iter().map(|port| index(&port.bridge)).collect::<Option<_>>()?,
            peerings: description.vlans.iter().map(join).collect::<Option<_>>()?,
            bridges: description.bridges.clone(),
            trunks: description.trunks.len(),
            ports,
        })
    }

    /// The port of this name.
    pub fn port_named(&self, name: &str) -> Option<PortIndex> {
        self.ports.iter().position(|port| port.name == name)
    }

    /// The bridge of this name.
    pub fn bridge_named(&self, name: &str) -> Option<BridgeIndex> {
        self.bridges.iter().position(|bridge| bridge.name == name)
    }

    /// Whether a bridge tells VLANs apart.
    pub fn is_aware(&self, bridge: BridgeIndex) -> bool {
        matches!(self.bridges[bridge].kind, BridgeKind::VlanAware { .. })
    }

    /// The tag that a bridge's ports speak; a VLAN-unaware bridge speaks none, its priority tags are customer tags.
    pub fn tpid(&self, bridge: BridgeIndex) -> u16 {
        match self.bridges[bridge].kind {
            BridgeKind::VlanAware { tpid: Tpid::Service, .. } => 0x88a8,
            _ => 0x8100,
        }
    }

    /// Whether a port is one of the trunks, and not an ordinary port that carries several VLANs.
    pub fn is_trunk(&self, port: PortIndex) -> bool {
        port < self.trunks
    }

    /// Whether a port is a trunk of a bridge that leaves redundancy to the switches.
    pub fn is_stp_trunk(&self, port: PortIndex) -> bool {
        let kind = &self.bridges[self.bridge_of[port]].kind;
        self.is_trunk(port) && matches!(kind, BridgeKind::VlanAware { redundancy: Redundancy::Stp, .. })
    }

    /// The fabric whose trunk groups a port belongs to: trunks of `designated` bridges alone do.
    pub fn fabric(&self, port: PortIndex) -> Option<&str> {
        match &self.bridges[self.bridge_of[port]].kind {
            BridgeKind::VlanAware { fabric, redundancy: Redundancy::Designated, .. }
                if self.is_trunk(port) =>
            {
                Some(fabric)
            }
            _ => None,
        }
    }

    /// Whether frames of VLAN `vid` of its bridge (0 on a VUB) leave by a port.
    pub fn is_member(&self, port: PortIndex, vid: u16) -> bool {
        match &self.ports[port].mode {
            Mode::Plain => vid == 0,
            Mode::Access { vid: own } | Mode::Qinq { vid: own, .. } => own.map(Vid::get) == Some(vid),
            Mode::Trunk(trunk) => self.wire_vid(port, trunk, vid).is_some() || is(trunk.native, vid),
        }
    }

    /// Every VLAN that a port is a member of; 0 on a VUB.
    pub fn vids(&self, port: PortIndex) -> BTreeSet<u16> {
        (0..=Vid::MAX).filter(|vid| self.is_member(port, *vid)).collect()
    }

    /// The bridge VID of a trunk's wire VID, `None` where it is not allowed.
    pub fn bridge_vid(&self, port: PortIndex, trunk: &TrunkMode, wire: u16) -> Option<u16> {
        let key = Vid::new(wire)?;
        let vid = match trunk.translate.get(&key) {
            Some(to) => to.get(),
            None if trunk.translate.values().any(|to| *to == key) => return None,
            None => wire,
        };
        let is_allowed = match &trunk.vlans {
            Some(vlans) => vlans.contains(key),
            None => {
                self.peerings.iter().any(|join| join.outer == self.bridge_of[port] && join.vid == vid)
                    || trunk.translate.contains_key(&key)
            }
        };
        is_allowed.then_some(vid)
    }

    /// The wire VID of a bridge VID on a trunk, `None` where it is not allowed.
    pub fn wire_vid(&self, port: PortIndex, trunk: &TrunkMode, vid: u16) -> Option<u16> {
        let translated = trunk.translate.iter().find(|(_, to)| is(Some(**to), vid));
        let wire = translated.map_or(vid, |(from, _)| from.get());
        (self.bridge_vid(port, trunk, wire) == Some(vid)).then_some(wire)
    }
}

/// Whether a VID is set and this number.
pub fn is(set: Option<Vid>, vid: u16) -> bool {
    set.map(Vid::get) == Some(vid)
}

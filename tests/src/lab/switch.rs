//! A physical switch: a Linux bridge that keeps VLANs apart, in a namespace of its own.

use super::links::{Carried, Links};
use super::netns::Netns;
use super::veth::{self, End};

/// A switch with trunk and access ports. Nothing crosses it but what its ports carry; no port carries VLAN 1 by default.
#[derive(Debug)]
pub struct Switch {
    netns: Netns,
}

impl Switch {
    /// A switch without ports.
    ///
    /// # Panics
    /// The kernel has no bridge that filters VLANs.
    pub fn new(name: &str) -> Self {
        let netns = Netns::new(name);
        netns.links().add_vlan_bridge(BRIDGE);
        Self { netns }
    }

    /// Plugs `far` into a new port that carries these VLANs tagged and, if there is one, the native VLAN untagged.
    ///
    /// # Panics
    /// The name of the port or of the far link is taken or too long, or a VID is not within 1..=4094.
    pub fn trunk(&self, port: &str, far: End<'_>, vids: &[u16], native: Option<u16>) {
        self.plug(port, far);
        for vid in vids.iter().filter(|vid| Some(**vid) != native) {
            self.links().add_bridge_vlan(port, *vid, Carried::Tagged);
        }
        if let Some(vid) = native {
            self.links().add_bridge_vlan(port, vid, Carried::Untagged);
        }
    }

    /// Plugs `far` into a new port that carries one VLAN, untagged.
    ///
    /// # Panics
    /// The name of the port or of the far link is taken or too long, or the VID is not within 1..=4094.
    pub fn access(&self, port: &str, far: End<'_>, vid: u16) {
        self.trunk(port, far, &[], Some(vid));
    }

    /// Its ports as links, to take them down or change what they carry.
    pub fn links(&self) -> Links<'_> {
        self.netns.links()
    }

    /// The namespace that it is in, to tap a port.
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    fn plug(&self, port: &str, far: End<'_>) {
        veth::connect((&self.netns, port), far);
        self.links().attach(port, BRIDGE);
        self.links().wait_until_ready(port);
    }
}

const BRIDGE: &str = "switch";

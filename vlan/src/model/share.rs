//! A host's share of a topology: the bridges that frames of its ports can reach, and all that hangs on them.
//!
//! ```text
//! bridges of its own ports ─► what their VLANs lead into ─► what has a VLAN that leads there ─► …
//! ```
//! A bridge that a frame reaches by the way back (from `vub8` to the VAB whose VLAN 8 it is) is needed for that VLAN alone: what its other
//! VLANs lead into is not.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::description::{BridgeKind, Description, Mode, Port};
use crate::model::names::Names;
use crate::model::port::Trunk;
use crate::vid::VidSet;

impl Description {
    /// For each bridge that VLANs of others are, which these others are.
    pub fn led_from(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut led_from: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for peering in &self.vlans {
            led_from.entry(&peering.to).or_default().insert(&peering.bridge);
        }
        led_from
    }

    /// The bridges that each host has ports on.
    pub fn bridges_of_hosts(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut of_hosts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for port in self.trunks.iter().chain(&self.ports) {
            of_hosts.entry(&port.host).or_default().insert(&port.bridge);
        }
        of_hosts
    }

    /// The bridges that frames of a host's ports can reach, as far as this description goes: of a bridge that is not in it, it is not
    /// known what else can be reached by it. `own` are those that the host has ports on, `led_from` is as in
    /// [`Description::led_from`].
    pub fn reach<'a>(
        &'a self,
        host: &str,
        own: impl IntoIterator<Item = &'a str>,
        led_from: &'a BTreeMap<String, BTreeSet<String>>,
    ) -> BTreeSet<&'a str> {
        let mut ways = Ways::of(self);
        ways.enter_by_ports(host);
        let mut todo: Vec<&str> = own.into_iter().collect();
        let mut reached = BTreeSet::new();
        while let Some(bridge) = todo.pop() {
            if reached.insert(bridge) {
                todo.extend(led_from.get(bridge).into_iter().flatten().map(String::as_str));
            }
            todo.extend(ways.leave(bridge));
        }
        reached
    }

    /// The share with these bridges. What hangs on others is left out, and so is a VLAN that leads into one of them: trunks that have the
    /// mapped VLANs have the same as in the whole.
    #[must_use]
    pub fn share(mut self, bridges: &BTreeSet<String>) -> Description {
        let leads_out = |to: &String| !bridges.contains(to);
        let cut: BTreeSet<String> = self
            .vlans
            .iter()
            .filter(|peering| leads_out(&peering.to))
            .map(|peering| peering.bridge.clone())
            .collect();
        let spelt_out = self.wire_vids_on(&cut);
        for (port, vids) in self.trunks.iter_mut().chain(&mut self.ports).zip(spelt_out) {
            if let (Mode::Trunk(trunk), Some(vids)) = (&mut port.mode, vids) {
                trunk.vlans = Some(vids);
            }
        }
        self.bridges.retain(|bridge| bridges.contains(&bridge.name));
        self.vlans.retain(|peering| bridges.contains(&peering.bridge) && !leads_out(&peering.to));
        self.trunks.retain(|trunk| bridges.contains(&trunk.bridge));
        self.ports.retain(|port| bridges.contains(&port.bridge));
        self
    }

    /// For each trunk and port, what it has on the wire, where it is on one of these bridges and has what is mapped.
    fn wire_vids_on(&self, bridges: &BTreeSet<String>) -> Vec<Option<VidSet>> {
        let names = Names::new(self);
        let of = |port: &Port| match &port.mode {
            Mode::Trunk(trunk) if trunk.vlans.is_none() && bridges.contains(&port.bridge) => {
                Some(names.wire_vids(port, trunk))
            }
            _ => None,
        };
        self.trunks.iter().chain(&self.ports).map(of).collect()
    }
}

/// Which VLANs frames are in when they reach a bridge, and where these lead.
struct Ways<'a> {
    description: &'a Description,
    /// Of each VAB that frames come into from a port, or by a tag that it reads: in which of its VLANs.
    entered: BTreeMap<&'a str, VidSet>,
    vlans: BTreeMap<&'a str, Vec<usize>>,
    aware: BTreeSet<&'a str>,
}

impl<'a> Ways<'a> {
    fn of(description: &'a Description) -> Ways<'a> {
        let mut vlans: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, peering) in description.vlans.iter().enumerate() {
            vlans.entry(&peering.bridge).or_default().push(index);
        }
        let is_aware = |kind: &BridgeKind| matches!(kind, BridgeKind::VlanAware { .. });
        let aware = description.bridges.iter().filter(|bridge| is_aware(&bridge.kind));
        let aware = aware.map(|bridge| bridge.name.as_str()).collect();
        Ways { description, entered: BTreeMap::new(), vlans, aware }
    }

    fn enter_by_ports(&mut self, host: &str) {
        let names = Names::new(self.description);
        let all = self.description.trunks.iter().chain(&self.description.ports);
        for port in all.filter(|port| port.host == host) {
            let vids = self.entered.entry(&port.bridge).or_default();
            match &port.mode {
                Mode::Plain => {}
                Mode::Access { vid } | Mode::Qinq { vid, .. } => vids.extend(*vid),
                Mode::Trunk(trunk) => {
                    vids.insert_all(&Trunk::new(&names.wire_vids(port, trunk), &trunk.translate).allowed);
                }
            }
        }
    }

    /// What can be reached by the VLANs in which frames came into a bridge, each the first time that it is asked for.
    fn leave(&mut self, bridge: &str) -> Vec<&'a str> {
        let Some(vids) = self.entered.get(bridge) else { return Vec::new() };
        let Some(peerings) = self.vlans.get_mut(bridge) else { return Vec::new() };
        let vlans = &self.description.vlans;
        let ways: Vec<usize> = peerings.extract_if(.., |index| vids.contains(vlans[*index].vid)).collect();
        let mut next = Vec::new();
        for way in ways {
            let to = vlans[way].to.as_str();
            if self.aware.contains(to) {
                // Whichever tag comes next.
                self.entered.insert(to, VidSet::all());
            }
            next.push(to);
        }
        next
    }
}

#[cfg(test)]
mod tests;

//! What is odd but allowed: what a description can show by itself of VLANs that lead nowhere, and of what will not happen.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::model::description::{BridgeKind, Description, Mode, NativeInner, Port as Declared};
use crate::model::findings::Findings;
use crate::model::id::{BridgeId, FabricId, HostId};
use crate::model::mistake::{Mistake, Table};
use crate::model::payloads;
use crate::model::port::{Mode as Compiled, Port};
use crate::model::segment::Segment;
use crate::model::topology::Topology;
use crate::model::underlays;
use crate::model::value::quote;
use crate::vid::{Vid, VidSet};

mod closed;

/// Everything odd, each kind told once for each object that it is about.
pub(super) fn warnings(topology: &Topology) -> Vec<Mistake> {
    let mut warner = Warner::new(topology);
    warner.mapped_in_vain();
    warner.led_to_by_nothing();
    warner.accessed_in_vain();
    warner.carried_in_vain();
    warner.tagged_in_vain();
    warner.closed();
    warner.several_trunks();
    warner.devices_of_links();
    warner.silent_addresses();
    warner.sticky_in_many_vlans();
    underlays::warnings(topology, &mut warner.findings);
    payloads::warnings(topology, &mut warner.findings);
    warner.findings.in_order()
}

struct Warner<'a> {
    topology: &'a Topology,
    description: &'a Description,
    /// VLANs that ports of each bridge are in.
    carried: HashMap<BridgeId, Carried>,
    /// Bridges that a VLAN leads to.
    led_to: HashSet<&'a str>,
    /// VLANs of each bridge that lead to another.
    mapped: HashMap<&'a str, VidSet>,
    findings: Findings,
}

#[derive(Default)]
struct Carried {
    by_any: VidSet,
    by_trunks: VidSet,
    has_trunks: bool,
}

impl<'a> Warner<'a> {
    fn new(topology: &'a Topology) -> Warner<'a> {
        let mut carried: HashMap<BridgeId, Carried> = HashMap::new();
        for port in topology.ports() {
            let of_bridge = carried.entry(port.bridge).or_default();
            match port.trunk() {
                Some(trunk) => {
                    of_bridge.has_trunks = true;
                    of_bridge.by_trunks.insert_all(&trunk.allowed);
                    of_bridge.by_any.insert_all(&trunk.allowed);
                }
                None => of_bridge.by_any.extend(port.vids()),
            }
        }
        let description = topology.description();
        let mut mapped: HashMap<&str, VidSet> = HashMap::new();
        for peering in &description.vlans {
            mapped.entry(&peering.bridge).or_default().insert(peering.vid);
        }
        let led_to = description.vlans.iter().map(|peering| peering.to.as_str()).collect();
        Warner { topology, description, carried, led_to, mapped, findings: Findings::default() }
    }

    /// VLANs that lead to a bridge and that no port lets in, or no trunk though the bridge has some.
    fn mapped_in_vain(&mut self) {
        let mut in_vain: BTreeMap<(&str, &str), (usize, VidSet)> = BTreeMap::new();
        for (index, peering) in self.description.vlans.iter().enumerate() {
            let bridge = peering.bridge.as_str();
            // A bridge that another leads to gets frames by that one's trunks, with its tag behind theirs.
            if self.led_to.contains(bridge) {
                continue;
            }
            let Some(id) = self.topology.bridge_named(bridge).map(|bridge| bridge.id) else { continue };
            let carried = self.carried.get(&id);
            let why = match carried {
                Some(carried) if carried.by_trunks.contains(peering.vid) => continue,
                Some(carried) if !carried.by_any.contains(peering.vid) => "trunk or port of that bridge lets",
                Some(carried) if carried.has_trunks => "trunk of that bridge allows",
                Some(_) => continue,
                None => "trunk or port of that bridge lets",
            };
            let (_, vids) = in_vain.entry((bridge, why)).or_insert_with(|| (index, VidSet::new()));
            vids.insert(peering.vid);
        }
        for ((bridge, why), (index, vids)) in in_vain {
            let (are, them) = if vids.len() == 1 { ("is", "it") } else { ("are", "them") };
            let inside = if why.ends_with("lets") { " in" } else { "" };
            let text =
                format!("{} of {} {are} mapped, but no {why} {them}{inside}", vids.in_brief(), quote(bridge));
            self.findings.add(Table::Vlans, index, "vid", text);
        }
    }

    /// VLAN-unaware bridges of which no VLAN is one. Where no bridge has VLANs, that is what was meant.
    fn led_to_by_nothing(&mut self) {
        let is_aware = |kind: &BridgeKind| matches!(kind, BridgeKind::VlanAware { .. });
        if !self.description.bridges.iter().any(|bridge| is_aware(&bridge.kind)) {
            return;
        }
        let mut all_isolated: HashMap<&str, bool> = HashMap::new();
        for port in &self.description.ports {
            *all_isolated.entry(&port.bridge).or_insert(true) &= port.isolated;
        }
        for (index, bridge) in self.description.bridges.iter().enumerate() {
            if !is_aware(&bridge.kind) && !self.led_to.contains(bridge.name.as_str()) {
                let is_closed = all_isolated.get(bridge.name.as_str()) == Some(&true);
                let reached = if is_closed { "nothing" } else { "each other and nothing else" };
                let text = format!("no VLAN is {}: its ports reach {reached}", quote(&bridge.name));
                self.findings.add(Table::Bridges, index, "", text);
            }
        }
    }

    /// Access and qinq ports in a VLAN that leads to no bridge and is on no trunk.
    fn accessed_in_vain(&mut self) {
        let mut in_vain: BTreeMap<BridgeId, (&Port, VidSet)> = BTreeMap::new();
        for port in self.topology.ports() {
            let (Compiled::Access { vid } | Compiled::Qinq { vid, .. }) = port.mode else { continue };
            let bridge = self.topology.bridge(port.bridge).name.as_str();
            let carried = &self.carried[&port.bridge];
            let is_mapped = self.mapped.get(bridge).is_some_and(|mapped| mapped.contains(vid));
            if carried.has_trunks
                && !carried.by_trunks.contains(vid)
                && !is_mapped
                && !self.led_to.contains(bridge)
            {
                let (_, vids) = in_vain.entry(port.bridge).or_insert_with(|| (port, VidSet::new()));
                vids.insert(vid);
            }
        }
        for (bridge, (port, vids)) in in_vain {
            let (have, allows) = if vids.len() == 1 { ("has", "allows it") } else { ("have", "allows them") };
            let name = quote(&self.topology.bridge(bridge).name);
            let text =
                format!("{} of {name} {have} a port, but no trunk of that bridge {allows}", vids.in_brief());
            self.add(port, "vid", text);
        }
    }

    /// VLANs that a trunk lists and in which it reaches no port.
    fn carried_in_vain(&mut self) {
        let is_lonely: Vec<bool> =
            self.topology.segments().iter().map(|segment| self.is_lonely(segment)).collect();
        for port in self.topology.ports() {
            let Some(trunk) = port.trunk() else { continue };
            let all = usize::from(Vid::MAX);
            if self.declared_vids(port).is_some_and(|vids| vids.len() == all) {
                continue;
            }
            let leads_nowhere = |vid: &Vid| {
                let is_chain = self.topology.inner_bridge(port.bridge, *vid).is_some();
                let located = self.topology.locate(port.bridge, Some(*vid), None);
                !is_chain && located.is_some_and(|located| is_lonely[located.segment.number as usize])
            };
            let vids: VidSet = trunk.allowed.iter().filter(leads_nowhere).collect();
            if vids.is_empty() || self.led_to.contains(self.topology.bridge(port.bridge).name.as_str()) {
                continue;
            }
            let (leads, its) = if vids.len() == 1 { ("leads", "its") } else { ("lead", "their") };
            let text = format!(
                "{} {leads} to no port, so {its} frames are dropped (no-member): [[vlans]] or [[ports]] may be missing",
                vids.in_brief()
            );
            self.add(port, "vlans", text);
        }
    }

    /// Trunks that are told how the native VLAN leaves, and have none.
    fn tagged_in_vain(&mut self) {
        for port in self.topology.ports() {
            let (table, index) = self.description.place_of(port.id.0 as usize);
            let Some(Mode::Trunk(trunk)) = self.declared(port).map(|declared| &declared.mode) else {
                continue;
            };
            if trunk.native.is_some() {
                continue;
            }
            let is_other = trunk.native_inner != NativeInner::default();
            for (key, is_set) in [("native-tagged", trunk.native_tagged), ("native-inner", is_other)] {
                if is_set {
                    let text = "has no effect: without \"native\" no VLAN leaves untagged".to_owned();
                    self.findings.add(table, index, key, text);
                }
            }
        }
    }

    /// Ports in mode `"trunk"` to which fewer addresses stick than one machine has in all of their VLANs.
    fn sticky_in_many_vlans(&mut self) {
        for port in self.topology.ports().iter().filter(|port| port.is_sticky) {
            let vids = port.trunk().map_or(0, |trunk| trunk.allowed.len());
            if vids > port.mac_limit as usize {
                let text = format!(
                    "{} is less than the {vids} VLANs of this port: an address counts once for each VLAN, so one machine does not get into all",
                    port.mac_limit
                );
                self.add(port, "sticky", text);
            }
        }
    }

    /// Whether a segment has no two members that forward to each other: the trunks of one group do not.
    fn is_lonely(&self, segment: &Segment) -> bool {
        let mut sides = segment.members.iter().map(|member| {
            let port = self.topology.port(member.port);
            (port.group, port.group.is_none().then_some(port.id))
        });
        let first = sides.next();
        sides.all(|side| Some(side) == first)
    }

    fn declared(&self, port: &Port) -> Option<&'a Declared> {
        let (table, index) = self.description.place_of(port.id.0 as usize);
        let list = if table == Table::Trunks { &self.description.trunks } else { &self.description.ports };
        list.get(index)
    }

    fn declared_vids(&self, port: &Port) -> Option<&'a VidSet> {
        match &self.declared(port)?.mode {
            Mode::Trunk(trunk) => trunk.vlans.as_ref(),
            _ => None,
        }
    }

    /// What the trunks of a group do, and what they do not.
    fn several_trunks(&mut self) {
        let mut groups: BTreeMap<FabricId, Vec<&Port>> = BTreeMap::new();
        for port in self.topology.ports() {
            if let Some(fabric) = port.group {
                groups.entry(fabric).or_default().push(port);
            }
        }
        for (fabric, trunks) in groups.into_iter().filter(|(_, trunks)| trunks.len() > 1) {
            let text = format!(
                "trunks {} share fabric {} with redundancy \"designated\": one of them carries each VLAN and none forwards to another, \
                 which requires that their switches are one connected network in every VLAN and do not bundle the links into one LAG",
                in_brief(trunks.iter().map(|port| port.name.as_str())),
                quote(self.topology.fabric_name(fabric))
            );
            if let Some(last) = trunks.last() {
                self.add(last, "bridge", text);
            }
        }
    }

    /// A port whose link looks like a VLAN device of another port's link: the kernel gives it the frames of that VLAN, and the other
    /// port never sees them.
    fn devices_of_links(&mut self) {
        let links: HashMap<(HostId, &str), &Port> =
            self.topology.ports().iter().map(|port| ((port.host, port.link.as_str()), port)).collect();
        for port in self.topology.ports() {
            let Some((link, vid)) = vlan_device(&port.link) else { continue };
            let Some(other) = links.get(&(port.host, link)) else { continue };
            // A VLAN that a trunk does not carry is nothing that it misses.
            if other.trunk().is_some_and(|trunk| trunk.bridge_vid(vid).is_none()) {
                continue;
            }
            let text = format!(
                "{} looks like the device of VLAN {vid} of {}, which is bound to {}: as long as it is there, that port gets no frames of that VLAN",
                quote(&port.link),
                quote(link),
                quote(&other.name)
            );
            self.add(port, "link", text);
        }
    }

    /// Declared IP addresses: nothing announces them.
    fn silent_addresses(&mut self) {
        let ports = self.description.ports.iter().enumerate();
        let with: Vec<(usize, &str)> = ports
            .filter(|(_, port)| !port.ips.is_empty())
            .map(|(index, port)| (index, port.name.as_str()))
            .collect();
        if let Some((first, _)) = with.first() {
            let names = in_brief(with.iter().map(|(_, name)| *name));
            let text = format!("has no effect yet: this version announces no addresses ({names})");
            self.findings.add(Table::Ports, *first, "ips", text);
        }
    }

    fn add(&mut self, port: &Port, key: &'static str, text: String) {
        let (table, index) = self.description.place_of(port.id.0 as usize);
        self.findings.add(table, index, key, text);
    }
}

/// The link and the VLAN of `eth0.5`, as `ip link add link eth0 name eth0.5 type vlan id 5` is usually written.
fn vlan_device(link: &str) -> Option<(&str, Vid)> {
    let (link, vid) = link.rsplit_once('.')?;
    let is_number = !vid.is_empty() && vid.bytes().all(|b| b.is_ascii_digit());
    let vid = is_number.then(|| vid.parse().ok()).flatten().and_then(Vid::new)?;
    Some((link, vid))
}

/// The first few names, and how many there are.
fn in_brief<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let count = names.len();
    let first: Vec<&str> = names.take(MOST_NAMED).collect();
    let rest = if count > MOST_NAMED { format!(", … ({count} in all)") } else { String::new() };
    format!("{}{rest}", first.join(", "))
}

/// Names that a text has one after another.
const MOST_NAMED: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vlan_device_is_told_by_its_name() {
        let vid = |number| Vid::new(number).unwrap();
        for (link, expected) in [
            ("eth0.5", Some(("eth0", vid(5)))),
            ("bond0.100.200", Some(("bond0.100", vid(200)))),
            ("eth0.4094", Some(("eth0", vid(4094)))),
            ("eth0.4095", None),
            ("eth0.0", None),
            ("eth0.", None),
            ("eth0.x5", None),
            ("eth0.+5", None),
            ("eth0", None),
            ("vlan5", None),
        ] {
            assert_eq!(vlan_device(link), expected, "{link}");
        }
    }
}

//! What is wrong, or only odd, with objects taken together: chains of bridges that end nowhere or need a third tag, and segments on
//! which things meet that must not (behaviour.md 1, 4 and 7).

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::addr::MacAddr;
use crate::model::bridge::{Bridge, Kind};
use crate::model::check::Findings;
use crate::model::description::{BridgeKind, Description, Redundancy};
use crate::model::graph::{Edge, MOST_PAIRS, TooManyPairs, Tree};
use crate::model::id::{BridgeId, FabricId};
use crate::model::mistake::{Mistake, Table};
use crate::model::port::{Mode, Port};
use crate::model::segment::Domain;
use crate::model::topology::Topology;
use crate::vid::{Vid, VidSet};

/// Judges peerings and segments.
pub(super) struct Judge<'a> {
    description: &'a Description,
    bridges: &'a [Bridge],
    edges: &'a [Edge],
    ports: FxHashMap<BridgeId, Vec<&'a Port>>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        description: &'a Description,
        bridges: &'a [Bridge],
        ports: &'a [Port],
        edges: &'a [Edge],
    ) -> Judge<'a> {
        let mut of_bridge: FxHashMap<BridgeId, Vec<&Port>> = FxHashMap::default();
        for port in ports {
            of_bridge.entry(port.bridge).or_default().push(port);
        }
        Judge { description, bridges, edges, ports: of_bridge }
    }

    /// A VAB led into by a VAB may not lead into a third: the kernel's key holds two tags. A way back is a loop. So a way has
    /// at most four peerings, a VUB in the middle and two VABs to each side, and stays below the eight of behaviour.md 1.
    pub(super) fn chains(&self, findings: &mut Findings) {
        let leads: Vec<&Edge> = self.edges.iter().filter(|edge| self.is_aware(edge.to)).collect();
        let inner: BTreeSet<BridgeId> = leads.iter().map(|edge| edge.to).collect();
        for edge in &leads {
            let (from, to) = (self.name(edge.bridge), self.name(edge.to));
            if reaches(edge.to, edge.bridge, &leads) {
                let text = format!("{to:?} leads back to {from:?}: peerings may not form a loop");
                findings.add(Table::Vlans, edge.index, "to", text);
            } else if inner.contains(&edge.bridge) {
                let text = format!(
                    "{from:?} is reached through a tag of another bridge already: at most 2 tags are looked at on the way of a frame"
                );
                findings.add(Table::Vlans, edge.index, "to", text);
            }
        }
    }

    /// More pairs of a VLAN and a next tag's VLAN than there may be.
    pub(super) fn pairs(&self, too_many: TooManyPairs, findings: &mut Findings) {
        let to = &self.description.vlans[too_many.index].to;
        let text = format!(
            "with the VLANs of {to:?} behind this one there are {} pairs of a VLAN and a next tag's VLAN, at most {MOST_PAIRS} are allowed",
            too_many.count
        );
        findings.add(Table::Vlans, too_many.index, "to", text);
    }

    /// What meets on each segment. Each mistake is told once, however many segments show it.
    pub(super) fn trees(&self, trees: &[Tree], findings: &mut Findings) {
        let mut told = FxHashSet::default();
        for tree in trees {
            if let Some(index) = tree.loop_at {
                let to = &self.description.vlans[index].to;
                let text =
                    format!("{to:?} closes a loop of peerings, one way between two bridges is allowed");
                findings.add(Table::Vlans, index, "to", text);
                continue;
            }
            if !self.fits(tree, findings) {
                continue;
            }
            self.one_vid_a_fabric(tree, &mut told, findings);
            self.spanning_trees(tree, findings);
            self.third_tags(tree, findings);
            self.declared_once(tree, findings);
        }
        findings.mistakes.sort_by(|a, b| (&a.place, &a.text).cmp(&(&b.place, &b.text)));
        // A list of addresses may have several wrong ones; of one VID or name, the other segments tell nothing new.
        findings
            .mistakes
            .dedup_by(|a, b| a.place == b.place && (a.text == b.text || !is_list_of_addresses(a.place.key)));
    }

    /// A domain is a 16-bit index into its segment. False where there are too many for that.
    fn fits(&self, tree: &Tree, findings: &mut Findings) -> bool {
        let (count, most) = (tree.domains.len(), usize::from(u16::MAX));
        if count > most {
            let last = tree.edges.last().copied().unwrap_or(0);
            let text = format!("{count} VLANs and bridges are one segment, at most {most} are allowed");
            findings.add(Table::Vlans, last, "to", text);
        }
        count <= most
    }

    /// Two VIDs of one connected physical network on one segment would join them behind the network's back (behaviour.md 1).
    /// Of two VLANs that meet in each of 4 094 next tags it is told once.
    fn one_vid_a_fabric(&self, tree: &Tree, told: &mut FxHashSet<[Met; 2]>, findings: &mut Findings) {
        let clash = |a: &Domain, b: &Domain| {
            let meet = a.bridge == b.bridge || (self.has_trunks(a.bridge) && self.has_trunks(b.bridge));
            (a.vid, a.inner) != (b.vid, b.inner) && meet
        };
        let mut seen: BTreeMap<FabricId, Vec<&Domain>> = BTreeMap::new();
        for domain in tree.domains.iter().filter(|domain| !self.may_join(domain.bridge)) {
            let Kind::Aware { fabric, .. } = self.bridge(domain.bridge).kind else { continue };
            let others = seen.entry(fabric).or_default();
            let clashing = others.iter().copied().find(|other| clash(other, domain));
            others.push(domain);
            let Some(other) = clashing.filter(|other| told.insert([met(other), met(domain)])) else {
                continue;
            };
            let text = format!(
                "VIDs {} of {:?} and {} of {:?} are one segment and both on fabric {:?}: name different fabrics, or allow it by join-vids = true on a bridge",
                tags(other),
                self.name(other.bridge),
                tags(domain),
                self.name(domain.bridge),
                self.fabric(domain.bridge)
            );
            findings.add(Table::Vlans, self.last_peering(tree, [domain, other]), "vid", text);
        }
    }

    /// The switches' spanning tree passes between the trunks of one bridge. A second bridge of the fabric on the same segment would be
    /// a way around that it does not see.
    fn spanning_trees(&self, tree: &Tree, findings: &mut Findings) {
        let on_trunks = |domain: &&Domain| self.trunk_members(domain).next().is_some();
        let mut seen: Vec<(FabricId, &Domain, Redundancy)> = Vec::new();
        for domain in tree.domains.iter().filter(on_trunks) {
            let Kind::Aware { fabric, redundancy, .. } = self.bridge(domain.bridge).kind else { continue };
            if redundancy == Redundancy::None {
                continue;
            }
            let other = seen.iter().find(|(known, other, theirs)| {
                *known == fabric
                    && other.bridge != domain.bridge
                    && [redundancy, *theirs].contains(&Redundancy::Stp)
            });
            if let Some((_, other, _)) = other {
                let text = format!(
                    "{:?} and {:?} have trunks into fabric {:?} and are one segment: with redundancy \"stp\" all trunks of a fabric are on one bridge",
                    self.name(other.bridge),
                    self.name(domain.bridge),
                    self.fabric(domain.bridge)
                );
                findings.add(Table::Vlans, self.last_peering(tree, [domain, other]), "to", text);
            }
            seen.push((fabric, domain, redundancy));
        }
    }

    /// Where frames come behind two tags that bridges have looked at, a customer's tag would be the third.
    fn third_tags(&self, tree: &Tree, findings: &mut Findings) {
        let Some(deep) = tree.domains.iter().find(|domain| domain.inner.is_some()) else { return };
        for domain in tree.domains.iter().filter(|domain| domain.inner.is_none()) {
            for port in self.members(domain) {
                if !matches!(port.mode, Mode::Qinq { customer_vlans: Some(_), .. }) {
                    continue;
                }
                let text = format!(
                    "frames come here behind tags {} of {:?}, the customer's would be the third: at most 2 tags are looked at on the \
                     way of a frame",
                    tags(deep),
                    self.name(deep.bridge)
                );
                self.add(port, "customer-vlans", text, findings);
            }
        }
    }

    /// A declared address never moves, so on one segment it can be declared in one place; a shared one moves, but only among ports
    /// that all declare it as shared (behaviour.md 4).
    fn declared_once(&self, tree: &Tree, findings: &mut Findings) {
        let mut own: FxHashMap<MacAddr, &Port> = FxHashMap::default();
        let mut shared: FxHashMap<MacAddr, &Port> = FxHashMap::default();
        let declares = |port: &&Port| !(port.macs.is_empty() && port.shared_macs.is_empty());
        let members = tree.domains.iter().flat_map(|domain| self.members(domain));
        let mut ports: Vec<&Port> = members.filter(declares).collect();
        ports.sort_by_key(|port| port.id);
        ports.dedup_by_key(|port| port.id);
        for port in ports {
            for mac in &port.macs {
                if let Some(other) = shared.get(mac) {
                    self.add(port, "macs", own_and_shared(*mac, "shared-macs", port, other), findings);
                }
                let Some(other) = own.insert(*mac, port).filter(|other| !is_one_place(port, other)) else {
                    continue;
                };
                let text = format!(
                    "{mac} is declared on {:?} already, which is on the same segment: an address is in one place, unless all its ports \
                     declare it in shared-macs",
                    other.name
                );
                self.add(port, "macs", text, findings);
            }
            for mac in &port.shared_macs {
                if let Some(other) = own.get(mac) {
                    self.add(port, "shared-macs", own_and_shared(*mac, "macs", port, other), findings);
                }
                shared.insert(*mac, port);
            }
        }
    }

    fn add(&self, port: &Port, key: &'static str, text: String, findings: &mut Findings) {
        let index = port.id.0 as usize;
        match index.checked_sub(self.description.trunks.len()) {
            Some(index) => findings.add(Table::Ports, index, key, text),
            None => findings.add(Table::Trunks, index, key, text),
        }
    }

    /// The last peering of a segment that one of two VLANs is in: the one to be taken out again.
    fn last_peering(&self, tree: &Tree, domains: [&Domain; 2]) -> usize {
        let is_of = |edge: &&Edge| domains.iter().any(|d| (d.bridge, d.vid) == (edge.bridge, Some(edge.vid)));
        let here = self.edges.iter().filter(|edge| tree.edges.contains(&edge.index));
        here.filter(is_of).map(|edge| edge.index).max().unwrap_or(0)
    }

    fn members(&self, domain: &Domain) -> impl Iterator<Item = &'a Port> {
        let vid = domain.vid;
        let ports = self.ports.get(&domain.bridge).map_or(&[][..], Vec::as_slice);
        ports.iter().copied().filter(move |port| vid.is_none_or(|vid| port.is_member(vid)))
    }

    fn trunk_members(&self, domain: &Domain) -> impl Iterator<Item = &'a Port> {
        self.members(domain).filter(|port| port.is_trunk)
    }

    fn has_trunks(&self, bridge: BridgeId) -> bool {
        self.ports.get(&bridge).is_some_and(|ports| ports.iter().any(|port| port.is_trunk))
    }

    fn may_join(&self, bridge: BridgeId) -> bool {
        let kind = &self.description.bridges[bridge.0 as usize].kind;
        matches!(kind, BridgeKind::VlanAware { join_vids: true, .. })
    }

    fn fabric(&self, bridge: BridgeId) -> &str {
        match &self.description.bridges[bridge.0 as usize].kind {
            BridgeKind::VlanAware { fabric, .. } => fabric,
            BridgeKind::VlanUnaware { .. } => "",
        }
    }

    fn is_aware(&self, bridge: BridgeId) -> bool {
        self.bridge(bridge).kind != Kind::Unaware
    }

    fn bridge(&self, id: BridgeId) -> &'a Bridge {
        &self.bridges[id.0 as usize]
    }

    fn name(&self, id: BridgeId) -> &'a str {
        &self.bridge(id).name
    }
}

/// An address behind a trunk group is in one place, whichever of its trunks declares it.
fn is_one_place(port: &Port, other: &Port) -> bool {
    port.group.is_some() && port.group == other.group
}

/// A port that says that an address never leaves it contradicts one that says that it may.
fn own_and_shared(mac: MacAddr, key: &str, port: &Port, other: &Port) -> String {
    let whose = if port.id == other.id { "this port".to_owned() } else { format!("{:?}", other.name) };
    format!(
        "{mac} is in {key} of {whose} already: an address in macs never moves, one in shared-macs moves among its ports; allowed is \
         shared-macs on all of them"
    )
}

fn is_list_of_addresses(key: &str) -> bool {
    matches!(key, "macs" | "shared-macs")
}

/// A VLAN of a bridge, and whether it is met behind a next tag.
type Met = (BridgeId, Option<Vid>, bool);

fn met(domain: &Domain) -> Met {
    (domain.bridge, domain.vid, domain.inner.is_some())
}

fn reaches(from: BridgeId, goal: BridgeId, leads: &[&Edge]) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(here) = open.pop() {
        if here == goal {
            return true;
        }
        if seen.insert(here) {
            open.extend(leads.iter().filter(|edge| edge.bridge == here).map(|edge| edge.to));
        }
    }
    false
}

fn tags(domain: &Domain) -> String {
    domain.stack().iter().map(|vid| vid.to_string()).collect::<Vec<_>>().join(".")
}

/// What is odd but allowed.
pub(super) fn warnings(topology: &Topology) -> Vec<Mistake> {
    let mut findings = Findings::default();
    let vlans = &topology.description.vlans;
    let led_to: BTreeSet<&str> = vlans.iter().map(|peering| peering.to.as_str()).collect();
    let mut ports: BTreeMap<&str, Vec<&Port>> = BTreeMap::new();
    for port in &topology.ports {
        ports.entry(&topology.bridge(port.bridge).name).or_default().push(port);
    }
    let mut in_vain: BTreeMap<(&str, &str), (usize, VidSet)> = BTreeMap::new();
    for (index, peering) in vlans.iter().enumerate() {
        let bridge = peering.bridge.as_str();
        // A bridge that another leads to gets frames by that one's trunks, with its tag behind theirs.
        if led_to.contains(bridge) {
            continue;
        }
        if let Some(why) = not_let_in(ports.get(bridge).map_or(&[][..], Vec::as_slice), peering.vid) {
            let (_, vids) = in_vain.entry((bridge, why)).or_insert_with(|| (index, VidSet::new()));
            vids.insert(peering.vid);
        }
    }
    for ((bridge, why), (index, vids)) in in_vain {
        let are = if vids.len() == 1 { "is" } else { "are" };
        let text = format!("{} of {bridge:?} {are} mapped, but no {why}", vids.in_brief());
        findings.add(Table::Vlans, index, "vid", text);
    }
    several_trunks(topology, &mut findings);
    findings.mistakes
}

/// Why a mapped VLAN is probably not what was meant, from all ports of its bridge.
fn not_let_in(ports: &[&Port], vid: Vid) -> Option<&'static str> {
    let is_trunk = |port: &&&Port| port.trunk().is_some();
    let members = || ports.iter().filter(|port| port.is_member(vid));
    if members().next().is_none() {
        return Some("trunk or port of that bridge lets it in");
    }
    let is_left_out = ports.iter().any(|port| port.trunk().is_some()) && members().find(is_trunk).is_none();
    is_left_out.then_some("trunk of that bridge allows it")
}

fn several_trunks(topology: &Topology, findings: &mut Findings) {
    let mut groups: BTreeMap<FabricId, Vec<&Port>> = BTreeMap::new();
    for port in &topology.ports {
        if let Some(fabric) = port.group {
            groups.entry(fabric).or_default().push(port);
        }
    }
    for (fabric, trunks) in groups.into_iter().filter(|(_, trunks)| trunks.len() > 1) {
        let names: Vec<&str> = trunks.iter().map(|port| port.name.as_str()).collect();
        let text = format!(
            "trunks {} share fabric {:?} with redundancy \"designated\": one of them carries each VLAN, which requires that \
             their switches are one connected network in every VLAN and do not bundle the links into one LAG",
            names.join(", "),
            topology.fabric_name(fabric)
        );
        let last = trunks.last().map_or(0, |port| port.id.0 as usize);
        findings.add(Table::Trunks, last, "bridge", text);
    }
}

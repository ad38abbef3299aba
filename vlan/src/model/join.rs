//! What is wrong with objects taken together: segments on which things meet that must not (behaviour.md 1, 4 and 7).

use rustc_hash::{FxHashMap, FxHashSet};

use crate::addr::MacAddr;
use crate::model::bridge::{Awareness, Bridge};
use crate::model::description::{BridgeKind, Description, Redundancy};
use crate::model::findings::Findings;
use crate::model::graph::{Edge, MOST_PAIRS, MOST_VLANS, TooMany, Tree};
use crate::model::id::{BridgeId, FabricId};
use crate::model::members::Members;
use crate::model::mistake::Table;
use crate::model::port::{Mode, Port};
use crate::model::segment::Domain;
use crate::model::value::quote;
use crate::vid::Vid;

/// Judges segments.
pub(super) struct Judge<'a> {
    description: &'a Description,
    bridges: &'a [Bridge],
    members: &'a Members<'a>,
    /// The peering of each VLAN that has one, as its index in the description.
    peerings: FxHashMap<(BridgeId, Vid), usize>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        description: &'a Description,
        bridges: &'a [Bridge],
        members: &'a Members<'a>,
        edges: &[Edge],
    ) -> Judge<'a> {
        let peerings = edges.iter().map(|edge| ((edge.bridge, edge.vid), edge.index)).collect();
        Judge { description, bridges, members, peerings }
    }

    /// More VLANs than there may be.
    pub(super) fn too_many(&self, too_many: TooMany, findings: &mut Findings) {
        match too_many {
            TooMany::Pairs { index, count } => {
                let to = quote(&self.description.vlans[index].to);
                let text = format!(
                    "with the VLANs of {to} behind this one there are {count} pairs of a VLAN and a next tag's VLAN, at most {MOST_PAIRS} are allowed"
                );
                findings.add(Table::Vlans, index, "to", text);
            }
            TooMany::Vlans { bridge, count } => {
                let name = quote(self.name(bridge));
                let text = format!(
                    "with those of {name} there are {count} VLANs of bridges, at most {MOST_VLANS} are allowed: its trunks may list fewer"
                );
                findings.add(Table::Bridges, bridge.0 as usize, "", text);
            }
        }
    }

    /// What meets on each segment. Each mistake is told once, however many segments show it.
    pub(super) fn trees(&self, trees: &[Tree], findings: &mut Findings) {
        let mut told = FxHashSet::default();
        for tree in trees {
            if let Some(index) = tree.loop_at {
                let to = quote(&self.description.vlans[index].to);
                let text = format!("{to} closes a loop of peerings, one way between two bridges is allowed");
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
        findings.mistakes.dedup_by(|a, b| {
            a.place == b.place && (a.text == b.text || !matches!(a.place.key, "macs" | "shared-macs"))
        });
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
        // VLANs of one bridge meet in it; those of two bridges do where both have trunks into the fabric.
        let mut in_bridge: FxHashMap<BridgeId, Firsts<Tags, Nth<'_>>> = FxHashMap::default();
        let mut on_trunks: FxHashMap<FabricId, Firsts<Tags, Nth<'_>>> = FxHashMap::default();
        for nth in tree.domains.iter().enumerate().filter(|(_, domain)| !self.may_join(domain.bridge)) {
            let domain = nth.1;
            let Awareness::Aware { fabric, .. } = self.bridge(domain.bridge).kind else { continue };
            let tags_here = (domain.vid, domain.inner);
            let of_bridge = in_bridge.entry(domain.bridge).or_default();
            let mut clashing = of_bridge.other_than(&tags_here);
            of_bridge.add(tags_here, nth);
            if !self.members.trunks(domain.bridge).is_empty() {
                let of_fabric = on_trunks.entry(fabric).or_default();
                clashing = [clashing, of_fabric.other_than(&tags_here)]
                    .into_iter()
                    .flatten()
                    .min_by_key(|nth| nth.0);
                of_fabric.add(tags_here, nth);
            }
            let Some((_, other)) = clashing.filter(|(_, other)| told.insert([met(other), met(domain)]))
            else {
                continue;
            };
            let text = format!(
                "VIDs {} of {} and {} of {} are one segment and both on fabric {}: name different fabrics, or allow it by join-vids = true on a bridge",
                tags(other),
                quote(self.name(other.bridge)),
                tags(domain),
                quote(self.name(domain.bridge)),
                quote(self.fabric(domain.bridge))
            );
            findings.add(Table::Vlans, self.last_peering([domain, other]), "vid", text);
        }
    }

    /// The switches' spanning tree passes between the trunks of one bridge. A second bridge of the fabric on the same segment would be
    /// a way around that it does not see.
    fn spanning_trees(&self, tree: &Tree, findings: &mut Findings) {
        let mut any: FxHashMap<FabricId, Firsts<BridgeId, Nth<'_>>> = FxHashMap::default();
        let mut stp: FxHashMap<FabricId, Firsts<BridgeId, Nth<'_>>> = FxHashMap::default();
        for nth in tree.domains.iter().enumerate().filter(|(_, domain)| self.is_on_trunk(domain)) {
            let domain = nth.1;
            let Awareness::Aware { fabric, redundancy, .. } = self.bridge(domain.bridge).kind else {
                continue;
            };
            if redundancy == Redundancy::None {
                continue;
            }
            let is_stp = redundancy == Redundancy::Stp;
            let against = if is_stp { &any } else { &stp };
            let other = against.get(&fabric).and_then(|firsts| firsts.other_than(&domain.bridge));
            if let Some((_, other)) = other {
                let text = format!(
                    "{} and {} have trunks into fabric {} and are one segment: with redundancy \"stp\" all trunks of a fabric are on one bridge",
                    quote(self.name(other.bridge)),
                    quote(self.name(domain.bridge)),
                    quote(self.fabric(domain.bridge))
                );
                findings.add(Table::Vlans, self.last_peering([domain, other]), "to", text);
            }
            any.entry(fabric).or_default().add(domain.bridge, nth);
            if is_stp {
                stp.entry(fabric).or_default().add(domain.bridge, nth);
            }
        }
    }

    /// Where frames come behind two tags that bridges have looked at, a customer's tag would be the third.
    fn third_tags(&self, tree: &Tree, findings: &mut Findings) {
        let Some(deep) = tree.domains.iter().find(|domain| domain.inner.is_some()) else { return };
        for domain in tree.domains.iter().filter(|domain| domain.inner.is_none()) {
            for port in self.members.of(domain.bridge, domain.vid) {
                if !matches!(port.mode, Mode::Qinq { customer_vlans: Some(_), .. }) {
                    continue;
                }
                let text = format!(
                    "frames come here behind tags {} of {}, the customer's would be the third: at most 2 tags are looked at on the \
                     way of a frame",
                    tags(deep),
                    quote(self.name(deep.bridge))
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
        let members = tree.domains.iter().flat_map(|domain| self.members.of(domain.bridge, domain.vid));
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
                    "{mac} is declared on {} already, which is on the same segment: an address is in one place, unless all its ports \
                     declare it in shared-macs",
                    quote(&other.name)
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
        let (table, index) = self.description.place_of(port.id.0 as usize);
        findings.add(table, index, key, text);
    }

    /// The later of the peerings that two VLANs of a segment have: the one to be taken out again.
    fn last_peering(&self, domains: [&Domain; 2]) -> usize {
        let peering = |domain: &Domain| self.peerings.get(&(domain.bridge, domain.vid?)).copied();
        domains.into_iter().filter_map(peering).max().unwrap_or(0)
    }

    fn is_on_trunk(&self, domain: &Domain) -> bool {
        let is_in_it = |port: &&Port| domain.vid.is_some_and(|vid| port.is_member(vid));
        self.members.trunks(domain.bridge).iter().any(is_in_it)
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

    fn bridge(&self, id: BridgeId) -> &'a Bridge {
        &self.bridges[id.0 as usize]
    }

    fn name(&self, id: BridgeId) -> &'a str {
        &self.bridge(id).name
    }
}

/// A VLAN of a bridge, and whether it is met behind a next tag.
type Met = (BridgeId, Option<Vid>, bool);
/// The tags that frames have in a domain.
type Tags = (Option<Vid>, Option<Vid>);
/// A domain and its index in the segment.
type Nth<'a> = (usize, &'a Domain);

/// Remembers of a row of things the first one, and the first one of another key: enough to tell the first whose key differs from any.
struct Firsts<K, T> {
    first: Option<(K, T)>,
    other: Option<(K, T)>,
}

impl<K, T> Default for Firsts<K, T> {
    fn default() -> Firsts<K, T> {
        Firsts { first: None, other: None }
    }
}

impl<K: PartialEq, T: Copy> Firsts<K, T> {
    fn add(&mut self, key: K, thing: T) {
        match &self.first {
            None => self.first = Some((key, thing)),
            Some((first, _)) if self.other.is_none() && *first != key => self.other = Some((key, thing)),
            Some(_) => {}
        }
    }

    fn other_than(&self, key: &K) -> Option<T> {
        let both = [&self.first, &self.other];
        both.into_iter().flatten().find(|(other, _)| other != key).map(|(_, thing)| *thing)
    }
}

/// An address behind a trunk group is in one place, whichever of its trunks declares it.
fn is_one_place(port: &Port, other: &Port) -> bool {
    port.group.is_some() && port.group == other.group
}

/// A port that says that an address never leaves it contradicts one that says that it may.
fn own_and_shared(mac: MacAddr, key: &str, port: &Port, other: &Port) -> String {
    let whose = if port.id == other.id { "this port".to_owned() } else { quote(&other.name) };
    format!(
        "{mac} is in {key} of {whose} already: an address in macs never moves, one in shared-macs moves among its ports; allowed is \
         shared-macs on all of them"
    )
}

fn met(domain: &Domain) -> Met {
    (domain.bridge, domain.vid, domain.inner.is_some())
}

fn tags(domain: &Domain) -> String {
    domain.stack().iter().map(|vid| vid.to_string()).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_another_key_is_remembered() {
        let row = [(8, 'a'), (8, 'b'), (9, 'c'), (7, 'd'), (8, 'e')];
        let mut firsts = Firsts::default();
        for (count, (key, thing)) in row.into_iter().enumerate() {
            for asked in 6..10 {
                let expected = row[..count].iter().find(|(key, _)| *key != asked).map(|(_, thing)| *thing);
                assert_eq!(firsts.other_than(&asked), expected, "{asked} among the first {count}");
            }
            firsts.add(key, thing);
        }
    }
}

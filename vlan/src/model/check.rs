//! Checks across objects: names that must exist, things that must be there once, kinds that must fit.

use std::collections::BTreeMap;

use crate::model::description::{BridgeKind, Description, Mode, Port, TrunkMode};
use crate::model::mistake::{Mistake, Place, Table};
use crate::model::nearest::nearest;
use crate::vid::{Vid, VidSet};

/// Collects mistakes.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) mistakes: Vec<Mistake>,
}

impl Findings {
    pub(super) fn add(&mut self, table: Table, index: usize, key: &'static str, text: String) {
        self.mistakes.push(Mistake { place: Place { table, index, key }, text });
    }
}

/// All checks that need no compiled form.
pub(super) fn check(description: &Description, findings: &mut Findings) {
    unique_names(description, findings);
    unique_vnis(description, findings);
    peerings(description, findings);
    for (table, ports) in [(Table::Trunks, &description.trunks), (Table::Ports, &description.ports)] {
        for (index, port) in ports.iter().enumerate() {
            one_port(description, table, index, port, findings);
        }
    }
    unique_links(description, findings);
    stp_trunks(description, findings);
}

fn unique_names(description: &Description, findings: &mut Findings) {
    let hosts = description.hosts.iter().enumerate().map(|(i, h)| (Table::Hosts, i, &h.name));
    once(hosts, "host", findings);
    let bridges = description.bridges.iter().enumerate().map(|(i, b)| (Table::Bridges, i, &b.name));
    once(bridges, "bridge", findings);
    let trunks = description.trunks.iter().enumerate().map(|(i, p)| (Table::Trunks, i, &p.name));
    let ports = description.ports.iter().enumerate().map(|(i, p)| (Table::Ports, i, &p.name));
    once(trunks.chain(ports), "trunk or port", findings);
}

fn once<'a>(names: impl Iterator<Item = (Table, usize, &'a String)>, what: &str, findings: &mut Findings) {
    let mut seen = BTreeMap::new();
    for (table, index, name) in names {
        if seen.insert(name, index).is_some() {
            findings.add(
                table,
                index,
                "name",
                format!("{name:?} is the name of another {what} already, names are used once"),
            );
        }
    }
}

fn unique_vnis(description: &Description, findings: &mut Findings) {
    let mut seen = BTreeMap::new();
    for (index, bridge) in description.bridges.iter().enumerate() {
        let BridgeKind::VlanUnaware { vni: Some(vni) } = bridge.kind else { continue };
        if let Some(other) = seen.insert(vni, &bridge.name) {
            findings.add(
                Table::Bridges,
                index,
                "vni",
                format!("{vni} is the VNI of bridge {other:?} already, each segment has its own"),
            );
        }
    }
}

fn peerings(description: &Description, findings: &mut Findings) {
    let mut seen = BTreeMap::new();
    for (index, peering) in description.vlans.iter().enumerate() {
        let from = known_bridge(description, Table::Vlans, index, ("bridge", &peering.bridge), findings);
        known_bridge(description, Table::Vlans, index, ("to", &peering.to), findings);
        if from.is_some_and(|kind| matches!(kind, BridgeKind::VlanUnaware { .. })) {
            let text =
                format!("{:?} is VLAN-unaware, only a VLAN-aware bridge has VLANs to map", peering.bridge);
            findings.add(Table::Vlans, index, "bridge", text);
        }
        if let Some(other) = seen.insert((&peering.bridge, peering.vid), &peering.to) {
            let text = format!(
                "{} of bridge {:?} is mapped to {other:?} already, a VLAN leads to one bridge",
                peering.vid, peering.bridge
            );
            findings.add(Table::Vlans, index, "vid", text);
        }
    }
}

fn known_bridge<'a>(
    description: &'a Description,
    table: Table,
    index: usize,
    (key, name): (&'static str, &str),
    findings: &mut Findings,
) -> Option<&'a BridgeKind> {
    let found = description.bridges.iter().find(|bridge| bridge.name == name);
    if found.is_none() {
        let near = nearest(name, description.bridges.iter().map(|bridge| bridge.name.as_str()));
        findings.add(table, index, key, unknown(name, "bridge", near));
    }
    found.map(|bridge| &bridge.kind)
}

fn unknown(name: &str, what: &str, near: Option<&str>) -> String {
    match near {
        Some(near) => format!("{name:?} is no {what} of this file, did you mean {near:?}?"),
        None => format!("{name:?} is no {what} of this file"),
    }
}

fn one_port(description: &Description, table: Table, index: usize, port: &Port, findings: &mut Findings) {
    if !description.hosts.iter().any(|host| host.name == port.host) {
        let near = nearest(&port.host, description.hosts.iter().map(|host| host.name.as_str()));
        findings.add(table, index, "host", unknown(&port.host, "host", near));
    }
    let Some(kind) = known_bridge(description, table, index, ("bridge", &port.bridge), findings) else {
        return;
    };
    let is_aware = matches!(kind, BridgeKind::VlanAware { .. });
    match &port.mode {
        Mode::Plain if is_aware => {
            let text = format!(
                "missing: bridge {:?} is VLAN-aware, a port of it is \"access\", \"trunk\" or \"qinq\"",
                port.bridge
            );
            findings.add(table, index, "mode", text);
        }
        Mode::Plain => {}
        Mode::Trunk(_) if !is_aware && table == Table::Trunks => {
            let text = format!("{:?} is VLAN-unaware, a trunk is a port of a VLAN-aware bridge", port.bridge);
            findings.add(table, index, "bridge", text);
        }
        _ if !is_aware => {
            let text = format!("bridge {:?} is VLAN-unaware, a port of it has no mode", port.bridge);
            findings.add(table, index, "mode", text);
        }
        Mode::Access { vid: None } | Mode::Qinq { vid: None, .. } => {
            findings.add(
                table,
                index,
                "vid",
                "missing: an access or qinq port has one VLAN, 1 to 4094".to_owned(),
            );
        }
        Mode::Trunk(trunk) => one_trunk(description, (table, index), port, trunk, findings),
        Mode::Access { .. } | Mode::Qinq { .. } => {}
    }
}

fn one_trunk(
    description: &Description,
    (table, index): (Table, usize),
    port: &Port,
    trunk: &TrunkMode,
    findings: &mut Findings,
) {
    let mut sources: BTreeMap<Vid, Vid> = BTreeMap::new();
    for (wire, bridge) in &trunk.translate {
        if let Some(other) = sources.insert(*bridge, *wire) {
            let text =
                format!("wire VIDs {other} and {wire} both become {bridge}, a translation is one to one");
            findings.add(table, index, "translate", text);
        }
        if let Some(vlans) = &trunk.vlans {
            if !vlans.contains(*wire) {
                let text =
                    format!("wire VID {wire} is not in vlans ({vlans}), only allowed VIDs are translated");
                findings.add(table, index, "translate", text);
            }
            if vlans.contains(*bridge)
                && !trunk.translate.contains_key(bridge)
                && vlans.len() < usize::from(Vid::MAX)
            {
                let text = format!(
                    "wire VID {wire} becomes {bridge}, but wire VID {bridge} is in vlans too: take it out, or translate it as well"
                );
                findings.add(table, index, "translate", text);
            }
        }
    }
    let compiled = super::port::Trunk::new(
        &wire_vids(description, port, trunk),
        trunk.translate.iter().map(|(a, b)| (*a, *b)),
    );
    if let Some(native) = trunk.native.filter(|native| !compiled.allowed.contains(*native)) {
        let text =
            format!("{native} is not allowed on this trunk, the native VLAN is one of: {}", compiled.allowed);
        findings.add(table, index, "native", text);
    }
}

/// The wire VIDs of a trunk: those declared, or those that bring the mapped VLANs of its bridge.
pub(super) fn wire_vids(description: &Description, port: &Port, trunk: &TrunkMode) -> VidSet {
    if let Some(vlans) = &trunk.vlans {
        return vlans.clone();
    }
    let translated: BTreeMap<Vid, Vid> =
        trunk.translate.iter().map(|(wire, bridge)| (*bridge, *wire)).collect();
    let mapped =
        description.vlans.iter().filter(|peering| peering.bridge == port.bridge).map(|peering| peering.vid);
    let on_wire = mapped.map(|vid| translated.get(&vid).copied().unwrap_or(vid));
    on_wire.chain(trunk.translate.keys().copied()).collect()
}

fn unique_links(description: &Description, findings: &mut Findings) {
    let mut seen: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for (table, ports) in [(Table::Trunks, &description.trunks), (Table::Ports, &description.ports)] {
        for (index, port) in ports.iter().enumerate() {
            if let Some(other) = seen.insert((&port.host, &port.link), &port.name) {
                let text = format!(
                    "{:?} of host {:?} is bound to {other:?} already, a link is one port",
                    port.link, port.host
                );
                findings.add(table, index, "link", text);
            }
        }
    }
}

/// Under spanning tree the switches see one bridge, so all its trunks must be alike (behaviour.md 7).
fn stp_trunks(description: &Description, findings: &mut Findings) {
    for bridge in &description.bridges {
        if !matches!(
            bridge.kind,
            BridgeKind::VlanAware { redundancy: super::description::Redundancy::Stp, .. }
        ) {
            continue;
        }
        let trunks = description.trunks.iter().enumerate().filter(|(_, port)| port.bridge == bridge.name);
        let mut first: Option<(&str, &TrunkMode)> = None;
        for (index, port) in trunks {
            let Mode::Trunk(trunk) = &port.mode else { continue };
            if !trunk.translate.is_empty() {
                let text =
                    "a bridge with redundancy \"stp\" passes BPDUs unchanged, its trunks cannot translate"
                        .to_owned();
                findings.add(Table::Trunks, index, "translate", text);
            }
            let (name, other) = *first.get_or_insert((&port.name, trunk));
            if wire_vids(description, port, trunk) != wire_vids(description, port, other) {
                let text = format!(
                    "differs from trunk {name:?}; with redundancy \"stp\" all trunks of a bridge have the same VLANs"
                );
                findings.add(Table::Trunks, index, "vlans", text);
            }
            if (trunk.native, trunk.native_tagged) != (other.native, other.native_tagged) {
                let text = format!(
                    "differs from trunk {name:?}; with redundancy \"stp\" all trunks of a bridge have the same native VLAN"
                );
                findings.add(Table::Trunks, index, "native", text);
            }
        }
    }
}

//! Checks across objects: names that must exist, things that must be there once, kinds that must fit.

use std::collections::{BTreeMap, HashMap};

use crate::model::description::{BridgeKind, Description, HostKind, Mode, Port, Redundancy, TrunkMode};
use crate::model::findings::Findings;
use crate::model::mistake::Table;
use crate::model::names::{Guesses, Names};
use crate::model::objects;
use crate::model::port::{MOST_PORTS_OF_A_HOST, Trunk};
use crate::model::value::quote;
use crate::model::vteps;
use crate::vid::Vid;

/// All checks that need no compiled form.
pub(super) fn check(description: &Description, names: &Names<'_>, findings: &mut Findings) {
    objects::check(description, findings);
    unique_names(description, findings);
    unique_vnis(description, findings);
    renames(description, names, findings);
    unique_links(description, findings);
    unique_underlays(description, findings);
    vteps::check(description, names, findings);
    ports_of_hosts(description, findings);
    References::new(description, names).check(findings);
    stp_trunks(description, names, findings);
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
            let text = format!("{} is the name of another {what} already, names are used once", quote(name));
            findings.add(table, index, "name", text);
        }
    }
}

fn unique_vnis(description: &Description, findings: &mut Findings) {
    let mut seen = BTreeMap::new();
    for (index, bridge) in description.bridges.iter().enumerate() {
        let BridgeKind::VlanUnaware { vni: Some(vni) } = bridge.kind else { continue };
        if let Some(other) = seen.insert(vni, &bridge.name) {
            let text =
                format!("{vni} is the VNI of bridge {} already, each segment has its own", quote(other));
            findings.add(Table::Bridges, index, "vni", text);
        }
    }
}

/// A bridge takes over what another left behind, so there is no such bridge any more, and one that takes it over.
fn renames(description: &Description, names: &Names<'_>, findings: &mut Findings) {
    let mut seen = BTreeMap::new();
    for (index, bridge) in description.bridges.iter().enumerate() {
        let Some(former) = &bridge.renamed_from else { continue };
        let text = match seen.insert(former, &bridge.name) {
            _ if names.bridge(former).is_some() => format!(
                "{} is a bridge of this file: allowed is the name that this one had before, once no other has it",
                quote(former)
            ),
            Some(other) => {
                format!("{} became bridge {} already, names are used once", quote(former), quote(other))
            }
            None => continue,
        };
        findings.add(Table::Bridges, index, "renamed-from", text);
    }
}

fn unique_links(description: &Description, findings: &mut Findings) {
    let mut seen: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for (table, ports) in [(Table::Trunks, &description.trunks), (Table::Ports, &description.ports)] {
        for (index, port) in ports.iter().enumerate().filter(|(_, port)| !port.link.is_empty()) {
            if let Some(other) = seen.insert((&port.host, &port.link), &port.name) {
                let text = format!(
                    "{} of host {} is bound to {} already, a link is one port",
                    quote(&port.link),
                    quote(&port.host),
                    quote(other)
                );
                findings.add(table, index, "link", text);
            }
        }
    }
}

fn unique_underlays(description: &Description, findings: &mut Findings) {
    let mut seen = HashMap::new();
    for (index, host) in description.hosts.iter().enumerate() {
        let Some(underlay) = host.underlay else { continue };
        if let Some(other) = seen.insert(underlay, &host.name) {
            let text = format!(
                "\"{underlay}\" is the tunnel address of host {} already, each host has its own",
                quote(other)
            );
            findings.add(Table::Hosts, index, "underlay", text);
        }
    }
}

/// How many ports a host has, and the first that is one too many.
type PortCount = (usize, Option<(Table, usize)>);

/// A datapath has a number for each port. The first that has none is named, once for each host.
fn ports_of_hosts(description: &Description, findings: &mut Findings) {
    let mut counts: BTreeMap<&str, PortCount> = BTreeMap::new();
    for (table, ports) in [(Table::Trunks, &description.trunks), (Table::Ports, &description.ports)] {
        for (index, port) in ports.iter().enumerate().filter(|(_, port)| !port.link.is_empty()) {
            let (count, first_over) = counts.entry(&port.host).or_default();
            *count += 1;
            if *count > MOST_PORTS_OF_A_HOST as usize {
                first_over.get_or_insert((table, index));
            }
        }
    }
    for (host, (count, first_over)) in counts {
        if let Some((table, index)) = first_over {
            let text = format!(
                "host {} has {count} trunks and ports, at most {MOST_PORTS_OF_A_HOST} are allowed: its datapath has no more numbers",
                quote(host)
            );
            findings.add(table, index, "host", text);
        }
    }
}

/// What objects say of each other.
struct References<'a> {
    description: &'a Description,
    names: &'a Names<'a>,
    bridges: Guesses<'a>,
    hosts: Guesses<'a>,
}

impl<'a> References<'a> {
    fn new(description: &'a Description, names: &'a Names<'a>) -> References<'a> {
        References {
            description,
            names,
            bridges: Guesses::new(description.bridges.iter().map(|bridge| bridge.name.as_str())),
            hosts: Guesses::new(description.hosts.iter().map(|host| host.name.as_str())),
        }
    }

    fn check(&mut self, findings: &mut Findings) {
        self.peerings(findings);
        for (table, ports) in
            [(Table::Trunks, &self.description.trunks), (Table::Ports, &self.description.ports)]
        {
            for (index, port) in ports.iter().enumerate() {
                self.port((table, index), port, findings);
            }
        }
        self.spanning_trees(findings);
    }

    /// Switches see each other through us only by trunks of one host: spanning tree frames do not go between hosts yet, and data does, so
    /// that nothing would break the loop.
    fn spanning_trees(&self, findings: &mut Findings) {
        let mut first: BTreeMap<&str, &Port> = BTreeMap::new();
        for (index, trunk) in self.description.trunks.iter().enumerate() {
            let kind = self.names.bridge(&trunk.bridge).map(|bridge| &self.description.bridges[bridge].kind);
            if !matches!(kind, Some(BridgeKind::VlanAware { redundancy: Redundancy::Stp, .. })) {
                continue;
            }
            let one = *first.entry(&trunk.bridge).or_insert(trunk);
            if one.host != trunk.host {
                let (bridge, other, host) = (quote(&trunk.bridge), quote(&one.name), quote(&one.host));
                let text = format!(
                    "bridge {bridge} has redundancy \"stp\" and trunk {other} on host {host}: this version passes spanning tree frames \
                     between trunks of one host only, so the switches would not see the loop; allowed is {host}, or redundancy = \"designated\""
                );
                findings.add(Table::Trunks, index, "host", text);
            }
        }
    }

    fn peerings(&mut self, findings: &mut Findings) {
        let mut seen = HashMap::new();
        for (index, peering) in self.description.vlans.iter().enumerate() {
            let from = self.known_bridge((Table::Vlans, index), ("bridge", &peering.bridge), findings);
            self.known_bridge((Table::Vlans, index), ("to", &peering.to), findings);
            if from.is_some_and(|kind| matches!(kind, BridgeKind::VlanUnaware { .. })) {
                let bridge = quote(&peering.bridge);
                let text = format!("{bridge} is VLAN-unaware, only a VLAN-aware bridge has VLANs to map");
                findings.add(Table::Vlans, index, "bridge", text);
            }
            if let Some(other) = seen.insert((peering.bridge.as_str(), peering.vid), &peering.to) {
                let text = format!(
                    "{} of bridge {} is mapped to {} already, a VLAN leads to one bridge",
                    peering.vid,
                    quote(&peering.bridge),
                    quote(other)
                );
                findings.add(Table::Vlans, index, "vid", text);
            }
        }
    }

    fn known_bridge(
        &mut self,
        (table, index): (Table, usize),
        (key, name): (&'static str, &str),
        findings: &mut Findings,
    ) -> Option<&'a BridgeKind> {
        let found = self.names.bridge(name);
        if found.is_none() {
            findings.add(table, index, key, self.bridges.unknown(name, "bridge"));
        }
        found.map(|bridge| &self.description.bridges[bridge].kind)
    }

    fn port(&mut self, (table, index): (Table, usize), port: &Port, findings: &mut Findings) {
        if self.names.host(&port.host).is_none() {
            findings.add(table, index, "host", self.hosts.unknown(&port.host, "host"));
        }
        let Some(kind) = self.known_bridge((table, index), ("bridge", &port.bridge), findings) else {
            return;
        };
        let is_aware = matches!(kind, BridgeKind::VlanAware { .. });
        // What is no member of its bridge in any way a VTEP can be is told with VTEPs.
        if self.is_at_vtep(port) {
            return;
        }
        if let Some((key, text)) = misfit(table, port, is_aware) {
            findings.add(table, index, key, text);
        } else if let Mode::Trunk(trunk) = &port.mode {
            self.trunk((table, index), port, trunk, findings);
        }
    }

    fn is_at_vtep(&self, port: &Port) -> bool {
        let host = self.names.host(&port.host);
        host.is_some_and(|host| self.description.hosts[host].kind == HostKind::Vtep)
    }

    fn trunk(&self, (table, index): (Table, usize), port: &Port, trunk: &TrunkMode, findings: &mut Findings) {
        let mut add = |key, text| findings.add(table, index, key, text);
        let mut sources: BTreeMap<Vid, Vid> = BTreeMap::new();
        for (wire, bridge) in &trunk.translate {
            if let Some(other) = sources.insert(*bridge, *wire) {
                let text =
                    format!("wire VIDs {other} and {wire} both become {bridge}, a translation is one to one");
                add("translate", text);
            }
        }
        translated_and_allowed(trunk, &mut add);
        let wire = self.names.wire_vids(port, trunk);
        let allowed = Trunk::new(&wire, &trunk.translate).allowed;
        if let Some(native) = trunk.native.filter(|native| !allowed.contains(*native)) {
            let allowed = allowed.in_brief();
            add(
                "native",
                format!("{native} is not allowed on this trunk, the native VLAN is one of: {allowed}"),
            );
        }
    }
}

/// Why a port cannot be one of its bridge, and the key that is wrong.
fn misfit(table: Table, port: &Port, is_aware: bool) -> Option<(&'static str, String)> {
    let bridge = quote(&port.bridge);
    match &port.mode {
        Mode::Plain if is_aware => Some((
            "mode",
            format!(
                "missing: bridge {bridge} is VLAN-aware, a port of it is \"access\", \"trunk\" or \"qinq\""
            ),
        )),
        Mode::Plain => None,
        Mode::Trunk(_) if !is_aware && table == Table::Trunks => {
            Some(("bridge", format!("{bridge} is VLAN-unaware, a trunk is a port of a VLAN-aware bridge")))
        }
        _ if !is_aware => {
            Some(("mode", format!("bridge {bridge} is VLAN-unaware, a port of it has no mode")))
        }
        Mode::Access { vid: None } | Mode::Qinq { vid: None, .. } => {
            Some(("vid", "missing: an access or qinq port has one VLAN, 1 to 4094".to_owned()))
        }
        Mode::Trunk(_) | Mode::Access { .. } | Mode::Qinq { .. } => None,
    }
}

/// Where wire VIDs are listed, those that are translated are among them, and what they become is not a second wire VID.
fn translated_and_allowed(trunk: &TrunkMode, add: &mut impl FnMut(&'static str, String)) {
    let Some(vlans) = &trunk.vlans else { return };
    let is_all = vlans.len() == usize::from(Vid::MAX);
    for (wire, bridge) in &trunk.translate {
        if !vlans.contains(*wire) {
            let vlans = vlans.in_brief();
            add(
                "translate",
                format!("wire VID {wire} is not in vlans ({vlans}), only allowed VIDs are translated"),
            );
        }
        if vlans.contains(*bridge) && !trunk.translate.contains_key(bridge) && !is_all {
            let text = format!(
                "wire VID {wire} becomes {bridge}, but wire VID {bridge} is in vlans too: take it out, or translate it as well"
            );
            add("translate", text);
        }
    }
}

/// Under spanning tree the switches see one bridge, so all its trunks must be alike (behaviour.md 7).
fn stp_trunks(description: &Description, names: &Names<'_>, findings: &mut Findings) {
    let is_stp = |port: &Port| {
        let bridge = names.bridge(&port.bridge).map(|bridge| &description.bridges[bridge].kind);
        matches!(bridge, Some(BridgeKind::VlanAware { redundancy: Redundancy::Stp, .. }))
    };
    let mut first: HashMap<&str, (&Port, &TrunkMode)> = HashMap::new();
    for (index, port) in description.trunks.iter().enumerate().filter(|(_, port)| is_stp(port)) {
        let Mode::Trunk(trunk) = &port.mode else { continue };
        let (other_port, other) = *first.entry(&port.bridge).or_insert((port, trunk));
        let mut add = |key, text| findings.add(Table::Trunks, index, key, text);
        if !trunk.translate.is_empty() {
            let text = "a bridge with redundancy \"stp\" passes BPDUs unchanged, its trunks cannot translate";
            add("translate", text.to_owned());
        }
        let differs = |what: &str| {
            let name = quote(&other_port.name);
            format!(
                "differs from trunk {name}; with redundancy \"stp\" all trunks of a bridge have the same {what}"
            )
        };
        if names.wire_vids(port, trunk) != names.wire_vids(port, other) {
            add("vlans", differs("VLANs"));
        }
        if (trunk.native, trunk.native_tagged) != (other.native, other.native_tagged) {
            add("native", differs("native VLAN"));
        }
    }
}

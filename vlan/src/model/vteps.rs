//! What can be asked of a VTEP. It is told nothing by us, so only what our own hosts do about it can be declared: which bridges it is a
//! member of, which addresses are behind it and how many, and what is sent to it.

use std::collections::HashMap;

use crate::model::description::{
    BpduPolicy, Bridge, BridgeKind, DatapathKind, Description, Host, HostAddresses, HostKind, Mode, Port,
};
use crate::model::findings::Findings;
use crate::model::mistake::Table;
use crate::model::names::Names;
use crate::model::value::quote;

/// The mistakes of VTEPs and of what is declared at them.
pub(super) fn check(description: &Description, names: &Names<'_>, findings: &mut Findings) {
    let vteps = description.hosts.iter().enumerate().filter(|(_, host)| host.kind == HostKind::Vtep);
    for (index, host) in vteps {
        vtep(index, host, findings);
    }
    for (index, trunk) in description.trunks.iter().enumerate() {
        if let Some(host) = vtep_of(trunk, description, names) {
            let text = format!(
                "{} is a VTEP, which has no trunks: it is a member of VLAN-unaware bridges, by [[ports]]",
                quote(&host.name)
            );
            findings.add(Table::Trunks, index, "host", text);
        } else if trunk.link.is_empty() && names.host(&trunk.host).is_some() {
            findings.add(Table::Trunks, index, "link", NO_LINK.to_owned());
        }
    }
    let mut seen: HashMap<(&str, &str), &str> = HashMap::new();
    for (index, port) in description.ports.iter().enumerate() {
        if vtep_of(port, description, names).is_some() {
            let bridge = names.bridge(&port.bridge).map(|bridge| &description.bridges[bridge]);
            member(index, port, bridge, findings);
            let other = seen.insert((&port.host, &port.bridge), &port.name);
            if let Some(other) = other.filter(|_| bridge.is_some()) {
                let text = format!(
                    "host {} is a member of {} by port {} already, a VTEP is one port of a bridge",
                    quote(&port.host),
                    quote(&port.bridge),
                    quote(other)
                );
                findings.add(Table::Ports, index, "bridge", text);
            }
        } else if port.link.is_empty() && names.host(&port.host).is_some() {
            findings.add(Table::Ports, index, "link", NO_LINK.to_owned());
        }
    }
}

fn vtep(index: usize, host: &Host, findings: &mut Findings) {
    if host.underlay.is_none() {
        let text = "missing: a VTEP is reached at its tunnel address, such as \"192.0.2.9\"".to_owned();
        findings.add(Table::Hosts, index, "underlay", text);
    }
    if host.datapath != DatapathKind::default() {
        let text = "\"datapath\" is for kind \"l2gw\", this host is a VTEP".to_owned();
        findings.add(Table::Hosts, index, "datapath", text);
    }
}

/// The VTEP that a port is at.
fn vtep_of<'a>(port: &Port, description: &'a Description, names: &Names<'_>) -> Option<&'a Host> {
    let host = &description.hosts[names.host(&port.host)?];
    (host.kind == HostKind::Vtep).then_some(host)
}

/// A VTEP's membership in a bridge.
fn member(index: usize, port: &Port, bridge: Option<&Bridge>, findings: &mut Findings) {
    let mut add = |key, text| findings.add(Table::Ports, index, key, text);
    match bridge.map(|bridge| &bridge.kind) {
        Some(BridgeKind::VlanAware { .. }) => add(
            "bridge",
            format!("{} is VLAN-aware, a VTEP is a member of VLAN-unaware bridges", quote(&port.bridge)),
        ),
        Some(BridgeKind::VlanUnaware { vni: None }) => add(
            "bridge",
            format!(
                "{} declares no \"vni\", and a VTEP has to be configured with the same number",
                quote(&port.bridge)
            ),
        ),
        Some(BridgeKind::VlanUnaware { vni: Some(_) }) if port.mode != Mode::Plain => {
            add("mode", format!("bridge {} is VLAN-unaware, a port of it has no mode", quote(&port.bridge)));
        }
        Some(BridgeKind::VlanUnaware { vni: Some(_) }) | None => {}
    }
    for (key, is_there, why) in [
        ("link", !port.link.is_empty(), "which has none"),
        ("host-addresses", port.host_addresses != HostAddresses::default(), "which has no link"),
        ("isolated", port.isolated, "which would not keep its own stations apart"),
        ("sticky", port.sticky.is_some(), "and each host learns by itself which addresses are behind it"),
        ("priority-tags", port.priority_tags, "which may discard a frame with a tag in it (RFC 7348 6.1)"),
        ("bpdu", port.bpdu != BpduPolicy::default(), "which no BPDU blocks"),
        ("storm", port.storm.is_some(), "and storm control counts what comes in by a link"),
    ] {
        if is_there {
            add(key, format!("\"{key}\" has no use here: host {} is a VTEP, {why}", quote(&port.host)));
        }
    }
}

const NO_LINK: &str =
    "missing: a port is bound to a link of its host, such as \"enp3s0f0\"; only a port at a VTEP has none";

//! Checks of objects one by one: whether each of their values is right by itself, and whether an object has what its kind has.

use std::collections::BTreeSet;
use std::fmt::Display;

use crate::model::defaults::DEFAULT_PORT_MAC_LIMIT;
use crate::model::description::{
    BpduPolicy, Bridge, BridgeKind, Description, Flood, Host, Mode, OnLimit, Overlay, Peering, Port, Storm,
    TrunkMode,
};
use crate::model::encapsulation;
use crate::model::findings::Findings;
use crate::model::mistake::Table;
use crate::model::value;

/// Every object's mistakes that it shows by itself.
pub(super) fn check(description: &Description, findings: &mut Findings) {
    Object { table: Table::Overlay, index: 0, findings }.overlay(&description.overlay);
    for (index, host) in description.hosts.iter().enumerate() {
        Object { table: Table::Hosts, index, findings }.host(host);
    }
    for (index, bridge) in description.bridges.iter().enumerate() {
        Object { table: Table::Bridges, index, findings }.bridge(bridge);
    }
    if description.vlans.len() > Peering::MOST {
        let (found, most) = (description.vlans.len(), Peering::MOST);
        let text = format!(
            "with this one there are more than {most} VLANs ({found}), at most that many are allowed"
        );
        findings.add(Table::Vlans, most, "vid", text);
    }
    for (index, trunk) in description.trunks.iter().enumerate() {
        let mut object = Object { table: Table::Trunks, index, findings };
        object.port(trunk);
        object.only_a_trunk(trunk);
    }
    for (index, port) in description.ports.iter().enumerate() {
        let mut object = Object { table: Table::Ports, index, findings };
        object.port(port);
        object.no_trunk(port);
    }
}

/// An object that is being checked.
struct Object<'f> {
    table: Table,
    index: usize,
    findings: &'f mut Findings,
}

impl Object<'_> {
    fn add(&mut self, key: &'static str, text: String) {
        self.findings.add(self.table, self.index, key, text);
    }

    fn note(&mut self, key: &'static str, checked: Result<(), String>) {
        if let Err(text) = checked {
            self.add(key, text);
        }
    }

    fn overlay(&mut self, overlay: &Overlay) {
        self.note("port", encapsulation::UDP_PORTS.check(overlay.port.into()));
    }

    fn host(&mut self, host: &Host) {
        self.note("name", value::name(&host.name));
        if let Some(underlay) = host.underlay {
            self.note(
                "underlay",
                value::underlay(underlay).map_err(|fault| format!("\"{underlay}\" {fault}")),
            );
        }
        if let Some(mtu) = host.underlay_mtu {
            self.note("underlay-mtu", encapsulation::MTUS.check(mtu));
        }
    }

    fn bridge(&mut self, bridge: &Bridge) {
        self.note("name", value::name(&bridge.name));
        if let Some(name) = &bridge.renamed_from {
            self.note("renamed-from", value::name(name));
        }
        self.note("ageing", value::ageing(bridge.ageing));
        self.note("mac-limit", value::MAC_LIMITS.check(bridge.mac_limit));
        if let Some(mtu) = bridge.mtu {
            self.note("mtu", encapsulation::MTUS.check(mtu));
        }
        match &bridge.kind {
            BridgeKind::VlanAware { fabric, .. } => self.note("fabric", value::name(fabric)),
            BridgeKind::VlanUnaware { vni: Some(vni) } => self.note("vni", encapsulation::VNIS.check(*vni)),
            BridgeKind::VlanUnaware { vni: None } => {}
        }
    }

    fn port(&mut self, port: &Port) {
        self.note("name", value::name(&port.name));
        if !port.link.is_empty() {
            self.note("link", value::link(&port.link));
        }
        self.distinct("macs", &port.macs, value::station);
        self.distinct("shared-macs", &port.shared_macs, value::station);
        self.distinct("ips", &port.ips, value::machine);
        if let Some(limit) = port.mac_limit {
            self.note("mac-limit", value::MAC_LIMITS.check(limit));
        }
        if let Some(sticky) = port.sticky {
            self.sticky(sticky, port);
        }
        if let Some(mtu) = port.mtu {
            self.note("mtu", encapsulation::MTUS.check(mtu));
        }
        if let Some(Storm { broadcast, multicast, unknown }) = port.storm {
            for rate in [broadcast, multicast, unknown] {
                self.note("storm", value::STORM_RATES.check(rate));
            }
        }
        if port.tags.is_some() && port.mode != Mode::Plain {
            let why = "\"tags\" is for ports of a VLAN-unaware bridge; elsewhere tags decide which VLAN a frame is in";
            self.add("tags", why.to_owned());
        }
        match &port.mode {
            Mode::Trunk(trunk) => self.trunk(trunk),
            Mode::Qinq { customer_vlans: Some(vids), .. } if vids.is_empty() => {
                self.add("customer-vlans", no_vlan())
            }
            Mode::Plain | Mode::Access { .. } | Mode::Qinq { .. } => {}
        }
    }

    fn sticky(&mut self, sticky: u32, port: &Port) {
        self.note("sticky", value::STICKY.check(sticky));
        let limit = port.mac_limit.unwrap_or(DEFAULT_PORT_MAC_LIMIT);
        if sticky > limit {
            self.add("sticky", format!("{sticky} is more than the port's \"mac-limit\", which is {limit}"));
        }
        if !(port.macs.is_empty() && port.shared_macs.is_empty()) {
            let why = "\"sticky\" has no use beside \"macs\" or \"shared-macs\", which say whose addresses are here";
            self.add("sticky", why.to_owned());
        }
        if port.on_limit == OnLimit::Flood {
            let why = "\"on-limit\" cannot be \"flood\" beside \"sticky\": frames of one address too many are dropped";
            self.add("on-limit", why.to_owned());
        }
    }

    fn trunk(&mut self, trunk: &TrunkMode) {
        self.note("weight", value::WEIGHTS.check(trunk.weight));
        if trunk.vlans.as_ref().is_some_and(|vids| vids.is_empty()) {
            self.add("vlans", no_vlan());
        }
    }

    /// What only other ports have.
    fn only_a_trunk(&mut self, port: &Port) {
        if !matches!(port.mode, Mode::Trunk(_)) {
            self.add("mode", "a trunk carries many VLANs, tagged, it has no other mode".to_owned());
        }
        if !port.ips.is_empty() {
            self.add("ips", "\"ips\" is for [[ports]], this is a trunk".to_owned());
        }
        if port.bpdu != BpduPolicy::default() {
            self.add("bpdu", "\"bpdu\" is for [[ports]], this is a trunk".to_owned());
        }
        if port.isolated {
            self.add("isolated", "\"isolated\" is for [[ports]], this is a trunk".to_owned());
        }
        if port.sticky.is_some() {
            self.add("sticky", "\"sticky\" is for [[ports]], this is a trunk".to_owned());
        }
        if port.flood != Flood::default() {
            self.add("flood", "\"flood\" is for [[ports]], this is a trunk".to_owned());
        }
    }

    /// What only a trunk has.
    fn no_trunk(&mut self, port: &Port) {
        if matches!(&port.mode, Mode::Trunk(trunk) if trunk.weight != TrunkMode::default().weight) {
            self.add("weight", "\"weight\" is for [[trunks]], this is a port with mode \"trunk\"".to_owned());
        }
    }

    fn distinct<T: Copy + Ord + Display>(
        &mut self,
        key: &'static str,
        list: &[T],
        check: impl Fn(T) -> Result<(), &'static str>,
    ) {
        let mut seen = BTreeSet::new();
        for one in list {
            if let Err(fault) = check(*one) {
                self.add(key, format!("\"{one}\" {fault}"));
            }
            if !seen.insert(*one) {
                self.add(key, format!("\"{one}\" is in the list twice"));
            }
        }
    }
}

fn no_vlan() -> String {
    "[] allows no VLAN, allowed are one or more".to_owned()
}

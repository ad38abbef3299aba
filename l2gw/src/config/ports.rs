//! `[[trunks]]` and `[[ports]]`.
//!
//! Which keys an object may have depends on its *shape*: a trunk, or what its `mode` and its bridge make of a port.

use std::collections::HashMap;

use agent::reader::section::{Reading, Section, Value, refuse};
use agent::reader::value;
use vlan::addr::MacAddr;
use vlan::model::defaults::{DEFAULT_PORT_MAC_LIMIT, default_storm, default_tags};
use vlan::model::description::{
    BpduPolicy, Flood, HostAddresses, HostKind, Mode, NativeInner, OnLimit, Port, Storm, TagPolicy, TrunkMode,
};
use vlan::model::encapsulation;
use vlan::model::value::{self as right, Range};
use vlan::model::words::Worded;
use vlan::tag::Pcp;

use super::addresses;
use super::vids;

/// Whether each bridge of the file is VLAN-aware, by name; `None` where its kind cannot be told.
pub(super) type BridgeKinds = HashMap<String, Option<bool>>;

/// What each host of the file is, by name; `None` where that cannot be told.
pub(super) type HostKinds = HashMap<String, Option<HostKind>>;

/// Reads an object of `[[trunks]]`.
pub(super) fn trunk(section: &mut Section<'_, '_>, hosts: &HostKinds) -> Port {
    port_of_shape(section, hosts, |_, _| Shape::Trunk)
}

/// Reads an object of `[[ports]]`.
pub(super) fn port(section: &mut Section<'_, '_>, hosts: &HostKinds, bridges: &BridgeKinds) -> Port {
    port_of_shape(section, hosts, |section, bridge| shape(section, bridges.get(bridge).copied().flatten()))
}

/// What decides which keys an object may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Trunk,
    ModeTrunk,
    Access,
    Qinq,
    Plain,
    /// Its `mode` is missing or unreadable: no key is held against it.
    Unclear,
}

impl Shape {
    const fn words(self) -> &'static str {
        match self {
            Shape::Trunk => "a trunk",
            Shape::ModeTrunk => "a port with mode \"trunk\"",
            Shape::Access => "a port with mode \"access\"",
            Shape::Qinq => "a port with mode \"qinq\"",
            Shape::Plain => "a port of a VLAN-unaware bridge",
            Shape::Unclear => "a port",
        }
    }
}

fn shape(section: &mut Section<'_, '_>, is_bridge_aware: Option<bool>) -> Shape {
    let modes = [("access", Shape::Access), ("trunk", Shape::ModeTrunk), ("qinq", Shape::Qinq)];
    match section.optional("mode", |v| value::choice(v, &modes)) {
        Some(shape) => shape,
        // On a VLAN-aware bridge that is a mistake, which is told with the topology.
        None if section.is_absent("mode") && is_bridge_aware == Some(false) => Shape::Plain,
        None => Shape::Unclear,
    }
}

fn port_of_shape(
    section: &mut Section<'_, '_>,
    hosts: &HostKinds,
    shape: impl FnOnce(&mut Section<'_, '_>, &str) -> Shape,
) -> Port {
    let name = section.required("name", "a name", value::name);
    // The path has a '.', so that it is nobody's name.
    let name = name.unwrap_or_else(|| section.path().to_owned());
    let bridge = section.required("bridge", "the name of a bridge", value::reference).unwrap_or_default();
    let host = section.required("host", "the name of a host", value::reference).unwrap_or_default();
    let kind = hosts.get(&host).copied().unwrap_or(Some(HostKind::L2gw));
    let link = match kind {
        Some(HostKind::L2gw) => section.required("link", "a link's name, such as \"enp3s0f0\"", value::link),
        Some(HostKind::Vtep) | None => section.optional("link", value::link),
    };
    let shape = shape(section, &bridge);
    let mut keys = Keys { section, shape };
    Port {
        name,
        bridge,
        host,
        link: link.unwrap_or_default(),
        mode: keys.mode(),
        macs: keys.section.optional("macs", stations).unwrap_or_default(),
        shared_macs: keys.section.optional("shared-macs", stations).unwrap_or_default(),
        ips: keys
            .of(IPS, |v| value::distinct(v, "of IP addresses", addresses::machine_ip))
            .unwrap_or_default(),
        mac_limit: keys.limit(),
        on_limit: keys.section.optional("on-limit", |v| value::choice(v, OnLimit::WORDS)).unwrap_or_default(),
        priority_tags: keys.section.optional("priority-tags", value::flag).unwrap_or_default(),
        bpdu: keys.bpdu(),
        isolated: keys.of(ISOLATED, value::flag).unwrap_or_default(),
        tags: keys.tags(kind.unwrap_or_default()),
        sticky: keys.of(STICKY, |v| value::whole(v, &right::STICKY)),
        flood: keys.flood(),
        storm: keys.storm(),
        mtu: keys.section.optional("mtu", |v| value::whole(v, &encapsulation::MTUS)),
        host_addresses: keys.section.optional("host-addresses", host_addresses).unwrap_or_default(),
    }
}

/// The keys of an object whose shape is known.
struct Keys<'k, 's, 'a> {
    section: &'k mut Section<'s, 'a>,
    shape: Shape,
}

impl<'a> Keys<'_, '_, 'a> {
    /// Reads a key that not every shape has.
    fn of<T>(&mut self, owned: Owned, read: impl FnOnce(&'a Value<'a>) -> Reading<T>) -> Option<T> {
        let belongs = self.shape == Shape::Unclear || owned.shapes.contains(&self.shape);
        let why = format!("\"{}\" is for {}, this is {}", owned.key, owned.owners, self.shape.words());
        self.section.optional_if(belongs, &why, owned.key, read)
    }

    /// A customer's spanning tree passes within its outer VLAN; it may be dropped, it blocks nothing.
    fn bpdu(&mut self) -> BpduPolicy {
        let is_qinq = self.shape == Shape::Qinq;
        let read = |v: &'a Value<'a>| if is_qinq { bpdu_of_qinq(v) } else { bpdu(v) };
        self.of(BPDU, read).unwrap_or_default()
    }

    fn mode(&mut self) -> Mode {
        if self.shape == Shape::Trunk {
            self.of(MODE, |_| Ok(()));
        }
        let vid = self.of(VID, vids::vid);
        let customer_vlans = self.of(CUSTOMER_VLANS, vids::set);
        let pcp = self.of(PCP, pcp);
        let trunk = self.trunk_mode();
        match self.shape {
            Shape::Trunk | Shape::ModeTrunk => Mode::Trunk(trunk),
            Shape::Access => Mode::Access { vid },
            Shape::Qinq => Mode::Qinq { vid, customer_vlans, pcp },
            Shape::Plain | Shape::Unclear => Mode::Plain,
        }
    }

    fn trunk_mode(&mut self) -> TrunkMode {
        TrunkMode {
            vlans: self.of(of_trunks("vlans"), vids::set),
            native: self.of(of_trunks("native"), vids::vid),
            native_tagged: self.of(of_trunks("native-tagged"), value::flag).unwrap_or_default(),
            native_inner: self
                .of(of_trunks("native-inner"), |v| value::choice(v, NativeInner::WORDS))
                .unwrap_or_default(),
            translate: self.of(of_trunks("translate"), vids::translation).unwrap_or_default(),
            weight: self.of(WEIGHT, |v| value::whole(v, &right::WEIGHTS)).unwrap_or(1),
        }
    }

    /// A port's default is the same whether it is written or not; a trunk's is its bridge's, which may change.
    fn limit(&mut self) -> Option<u32> {
        let limit = self.section.optional("mac-limit", |v| value::whole(v, &right::MAC_LIMITS));
        limit.filter(|limit| self.shape == Shape::Trunk || *limit != DEFAULT_PORT_MAC_LIMIT)
    }

    /// A port's default is the same whether it is written or not.
    fn tags(&mut self, at: HostKind) -> Option<TagPolicy> {
        self.of(TAGS, tags).filter(|tags| *tags != default_tags(at))
    }

    fn flood(&mut self) -> Flood {
        let mut flood = Flood::default();
        let belongs = self.shape != Shape::Trunk;
        if belongs && let Some(mut section) = self.section.nested("flood", "flood", FLOOD_KEYS) {
            flood.withholds_unknown = section.optional("unknown", value::flag) == Some(false);
        }
        if !belongs {
            self.of::<()>(FLOOD, |_| Ok(()));
        }
        flood
    }

    /// A class that is not named has the default: a ceiling on a trunk, none on a port.
    fn storm(&mut self) -> Option<Storm> {
        let default = default_storm(self.shape == Shape::Trunk);
        let mut section = self.section.nested("storm", "storm", STORM_KEYS)?;
        let mut class = |key, default| {
            let rate = section.optional(key, |v| value::whole(v, &right::STORM_RATES));
            rate.unwrap_or(default)
        };
        Some(Storm {
            broadcast: class("broadcast", default.broadcast),
            multicast: class("multicast", default.multicast),
            unknown: class("unknown", default.unknown),
        })
    }
}

fn bpdu(value: &Value<'_>) -> Reading<BpduPolicy> {
    value::choice(value, BpduPolicy::WORDS)
}

fn bpdu_of_qinq(value: &Value<'_>) -> Reading<BpduPolicy> {
    match bpdu(value)? {
        BpduPolicy::Discard => Ok(BpduPolicy::Discard),
        BpduPolicy::Block => refuse(
            value,
            "\"block\" is for other ports, allowed on a port with mode \"qinq\" is \"discard\"; without it a customer's BPDUs pass within its outer VLAN".to_owned(),
        ),
    }
}

fn stations(value: &Value<'_>) -> Reading<Vec<MacAddr>> {
    value::distinct(value, "of MAC addresses", addresses::station)
}

fn tags(value: &Value<'_>) -> Reading<TagPolicy> {
    value::choice(value, TagPolicy::WORDS)
}

fn host_addresses(value: &Value<'_>) -> Reading<HostAddresses> {
    value::choice(value, &[("keep", HostAddresses::Keep)])
}

fn pcp(value: &Value<'_>) -> Reading<Pcp> {
    let number = value::whole(value, &PRIORITIES)?;
    match u8::try_from(number).ok().and_then(Pcp::new) {
        Some(pcp) => Ok(pcp),
        None => refuse(value, format!("{number} is out of range, {}", PRIORITIES.allowed())),
    }
}

/// A key that only some shapes have.
#[derive(Debug, Clone, Copy)]
struct Owned {
    key: &'static str,
    shapes: &'static [Shape],
    owners: &'static str,
}

const fn of_trunks(key: &'static str) -> Owned {
    Owned { key, shapes: &[Shape::Trunk, Shape::ModeTrunk], owners: "trunks" }
}

const MODE: Owned = Owned { key: "mode", shapes: PORTS, owners: "[[ports]]" };
const VID: Owned =
    Owned { key: "vid", shapes: &[Shape::Access, Shape::Qinq], owners: "mode \"access\" or \"qinq\"" };
const CUSTOMER_VLANS: Owned =
    Owned { key: "customer-vlans", shapes: &[Shape::Qinq], owners: "mode \"qinq\"" };
const PCP: Owned = Owned { key: "pcp", shapes: &[Shape::Qinq], owners: "mode \"qinq\"" };
const WEIGHT: Owned = Owned { key: "weight", shapes: &[Shape::Trunk], owners: "[[trunks]]" };
const IPS: Owned = Owned { key: "ips", shapes: PORTS, owners: "[[ports]]" };
/// Trunks pass BPDUs or drop them as the redundancy of their bridge has it.
const BPDU: Owned = Owned { key: "bpdu", shapes: PORTS, owners: "[[ports]]" };
const ISOLATED: Owned = Owned { key: "isolated", shapes: PORTS, owners: "[[ports]]" };
const STICKY: Owned = Owned { key: "sticky", shapes: PORTS, owners: "[[ports]]" };
const FLOOD: Owned = Owned { key: "flood", shapes: PORTS, owners: "[[ports]]" };
/// Elsewhere tags decide which VLAN a frame is in.
const TAGS: Owned = Owned { key: "tags", shapes: &[Shape::Plain], owners: "ports of a VLAN-unaware bridge" };
const PORTS: &[Shape] = &[Shape::Plain, Shape::Access, Shape::ModeTrunk, Shape::Qinq];

/// Priorities of a tag (802.1Q 9.6).
const PRIORITIES: Range = Range { first: 0, last: 7, unit: "" };

/// Keys of `[[trunks]]`.
pub(super) const TRUNK_KEYS: &[&str] = &[
    "name",
    "bridge",
    "host",
    "link",
    "vlans",
    "native",
    "native-tagged",
    "native-inner",
    "translate",
    "weight",
    "storm",
    "mtu",
    "mac-limit",
    "on-limit",
    "priority-tags",
    "macs",
    "shared-macs",
    "host-addresses",
];
/// Keys of `[[ports]]` that a trunk has not.
pub(super) const NOT_OF_TRUNKS: &[&str] =
    &["mode", "vid", "customer-vlans", "pcp", "ips", "bpdu", "isolated", "tags", "sticky", "flood"];
/// Keys of `[[ports]]`.
pub(super) const PORT_KEYS: &[&str] = &[
    "name",
    "bridge",
    "host",
    "link",
    "mode",
    "vid",
    "customer-vlans",
    "pcp",
    "vlans",
    "native",
    "native-tagged",
    "native-inner",
    "translate",
    "macs",
    "shared-macs",
    "ips",
    "mac-limit",
    "on-limit",
    "priority-tags",
    "bpdu",
    "isolated",
    "tags",
    "sticky",
    "flood",
    "storm",
    "mtu",
    "host-addresses",
];
/// Keys of `[[trunks]]` that no port has.
pub(super) const NOT_OF_PORTS: &[&str] = &["weight"];
/// Keys of `flood`.
pub(super) const FLOOD_KEYS: &[&str] = &["unknown"];
/// Keys of `storm`.
pub(super) const STORM_KEYS: &[&str] = &["broadcast", "multicast", "unknown"];

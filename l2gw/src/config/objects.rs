//! `[hosts.NAME]`, `[overlay]`, `[bridges.NAME]` and `[[vlans]]`.

use agent::reader::section::{Reading, Section, Value, refuse};
use agent::reader::value::{self, DurationRange};
use vlan::model::defaults::{DEFAULT_AGEING, DEFAULT_BRIDGE_MAC_LIMIT, DEFAULT_FABRIC};
use vlan::model::description::{
    Bridge, BridgeKind, DatapathKind, Host, HostKind, Overlay, Peering, Redundancy,
};
use vlan::model::encapsulation;
use vlan::model::value::{self as right, quote};
use vlan::model::words::Worded;
use vlan::tag::Tpid;
use vlan::vid::Vid;

use super::addresses;
use super::vids::{self, Span};

/// Reads a host.
pub(super) fn host(name: String, section: &mut Section<'_, '_>) -> Host {
    let kind = section.optional("kind", |v| value::choice(v, HostKind::WORDS)).unwrap_or_default();
    let why = "\"datapath\" is for kind \"l2gw\", this host is a VTEP";
    let is_ours = kind == HostKind::L2gw;
    let datapath = section.optional_if(is_ours, why, "datapath", |v| value::choice(v, DatapathKind::WORDS));
    Host {
        name,
        kind,
        underlay: section.optional("underlay", addresses::underlay),
        underlay_mtu: section.optional("underlay-mtu", |v| value::whole(v, &encapsulation::MTUS)),
        datapath: datapath.unwrap_or_default(),
    }
}

/// Reads what hosts have in common.
pub(super) fn overlay(section: &mut Section<'_, '_>) -> Overlay {
    let port = section.optional("port", |v| value::whole(v, &encapsulation::UDP_PORTS));
    port.and_then(|port| u16::try_from(port).ok()).map_or_else(Overlay::default, |port| Overlay { port })
}

/// Reads a bridge. Without a readable `kind` it is taken for what its other keys belong to.
pub(super) fn bridge(name: String, section: &mut Section<'_, '_>) -> Bridge {
    let kinds = [("vlan-aware", Kind::Aware), ("vlan-unaware", Kind::Unaware)];
    let kind = section.required("kind", "\"vlan-aware\" or \"vlan-unaware\"", |v| value::choice(v, &kinds));
    let ageing = section.optional("ageing", |v| value::duration(v, &AGEING));
    let mac_limit = section.optional("mac-limit", |v| value::whole(v, &right::MAC_LIMITS));
    let renamed_from = section.optional("renamed-from", value::name);
    let mtu = section.optional("mtu", |v| value::whole(v, &encapsulation::MTUS));
    let aware = aware(kind, section);
    let vni = section.optional_if(
        kind != Some(Kind::Aware),
        "\"vni\" is for kind \"vlan-unaware\", this bridge is \"vlan-aware\"",
        "vni",
        |v| value::whole(v, &encapsulation::VNIS),
    );
    let is_unaware = kind == Some(Kind::Unaware) || (kind.is_none() && vni.is_some());
    Bridge {
        name,
        ageing: ageing.unwrap_or(DEFAULT_AGEING),
        mac_limit: mac_limit.unwrap_or(DEFAULT_BRIDGE_MAC_LIMIT),
        renamed_from,
        mtu,
        kind: if is_unaware { BridgeKind::VlanUnaware { vni } } else { aware },
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Aware,
    Unaware,
}

/// The keys of a VLAN-aware bridge, refused on the other kind.
fn aware(kind: Option<Kind>, section: &mut Section<'_, '_>) -> BridgeKind {
    let belongs = kind != Some(Kind::Unaware);
    let why = |key: &str| format!("\"{key}\" is for kind \"vlan-aware\", this bridge is \"vlan-unaware\"");
    let fabric = section.optional_if(belongs, &why("fabric"), "fabric", value::name);
    let redundancy = section
        .optional_if(belongs, &why("redundancy"), "redundancy", |v| value::choice(v, Redundancy::WORDS));
    let tpid = section.optional_if(belongs, &why("tpid"), "tpid", |v| value::choice(v, Tpid::WORDS));
    let join_vids = section.optional_if(belongs, &why("join-vids"), "join-vids", value::flag);
    BridgeKind::VlanAware {
        fabric: fabric.unwrap_or_else(|| DEFAULT_FABRIC.to_owned()),
        redundancy: redundancy.unwrap_or_default(),
        tpid: tpid.unwrap_or_default(),
        join_vids: join_vids.unwrap_or_default(),
    }
}

/// What one `[[vlans]]` stands for.
#[derive(Debug)]
pub(super) struct Peerings {
    /// A peering for each VLAN, at least one.
    pub(super) list: Vec<Peering>,
    /// Whether a bridge that they lead to is a VLAN-unaware one where the file declares none of its name.
    pub(super) makes_bridges: bool,
}

/// Reads peerings; `None` when a part of them cannot be had.
pub(super) fn peerings(section: &mut Section<'_, '_>) -> Option<Peerings> {
    let bridge = section.required("bridge", "the name of a VLAN-aware bridge", value::reference);
    let span = section.required("vid", "a VLAN of the bridge, 1 to 4094", vids::vid_or_range);
    let to =
        section.required("to", "the name of the bridge that the VLAN leads to", |value| target(value, span));
    let (bridge, span, to) = (bridge?, span?, to?);
    let one = |vid: Vid| Peering { bridge: bridge.clone(), vid, to: to.replace(VID, &vid.to_string()) };
    Some(Peerings { list: span.vids().map(one).collect(), makes_bridges: to.contains(VID) })
}

/// The bridge that VLANs lead to: a name in which `{vid}` stands for each VLAN's number.
fn target(value: &Value<'_>, span: Option<Span>) -> Reading<String> {
    let written = value::reference(value)?;
    if !written.contains(VID) {
        return match span.filter(|span| span.is_several()) {
            Some(span) => refuse(
                value,
                format!(
                    "{} is one bridge for VLANs {span}, allowed is a name with {VID} in it, such as \"vub{VID}\"",
                    quote(&written)
                ),
            ),
            None => Ok(written),
        };
    }
    let longest = written.replace(VID, &span.map_or(Vid::MAX, |span| span.last().get()).to_string());
    right::name(&longest)
        .map(|()| written.clone())
        .or_else(|mistake| refuse(value, format!("{}: {mistake}", quote(&written))))
}

/// The VLAN-unaware bridge that `{vid}` makes where none of its name is declared.
pub(super) fn made_bridge(name: &str) -> Bridge {
    Bridge {
        name: name.to_owned(),
        ageing: DEFAULT_AGEING,
        mac_limit: DEFAULT_BRIDGE_MAC_LIMIT,
        renamed_from: None,
        mtu: None,
        kind: BridgeKind::VlanUnaware { vni: None },
    }
}

/// What stands for the VLAN's number in the name of the bridge that it leads to.
const VID: &str = "{vid}";

/// Keys of `[hosts.NAME]`.
pub(super) const HOST_KEYS: &[&str] = &["kind", "underlay", "underlay-mtu", "datapath"];
/// Keys of `[overlay]`.
pub(super) const OVERLAY_KEYS: &[&str] = &["port"];
/// Keys of `[bridges.NAME]`.
pub(super) const BRIDGE_KEYS: &[&str] = &[
    "kind",
    "fabric",
    "redundancy",
    "tpid",
    "join-vids",
    "vni",
    "ageing",
    "mac-limit",
    "renamed-from",
    "mtu",
];
/// Keys of `[[vlans]]`.
pub(super) const PEERING_KEYS: &[&str] = &["bridge", "vid", "to"];
/// 802.1Q table 8-6.
const AGEING: DurationRange = DurationRange {
    least: ("10s", right::SHORTEST_AGEING),
    most: ("1000000s", right::LONGEST_AGEING),
    zero: Some("never"),
    example: "\"300s\"",
};

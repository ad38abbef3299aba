//! A description in the words of the file: every object under its path, and every key and its value as one would write it.
//!
//! The inverse of what [`crate::config`] reads. A field of the description that has no key here does not compile.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use agent::tree::runs;
use vlan::model::defaults::{
    DEFAULT_AGEING, DEFAULT_BRIDGE_MAC_LIMIT, DEFAULT_FABRIC, DEFAULT_PORT_MAC_LIMIT, default_storm,
    default_tags,
};
use vlan::model::description::{
    BpduPolicy, Bridge, BridgeKind, DEFAULT_OVERLAY_PORT, Description, Flood, Host, HostAddresses, HostKind,
    Mode, Overlay, Peering, Port, Storm, TagPolicy, TrunkMode,
};
use vlan::model::shown::is_shown;
use vlan::model::words::Worded;
use vlan::vid::{Vid, VidSet};

/// A value as the file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    /// Text.
    Text(String),
    /// A number.
    Number(u64),
    /// `true` or `false`.
    Flag(bool),
    /// A list of VIDs.
    Vids(VidSet),
    /// A list of texts, in which order says nothing.
    Texts(Vec<String>),
    /// Wire VID to bridge VID.
    Pairs(BTreeMap<Vid, Vid>),
}

/// A key of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    /// Its name; `storm.broadcast` for one of a table.
    pub(crate) name: &'static str,
    /// What holds, written or by default; `None` where nothing does.
    pub(crate) value: Option<Word>,
    /// What holds if the key is not written.
    default: Option<Word>,
}

impl Key {
    /// Whether it has to be written.
    pub(crate) fn is_written(&self) -> bool {
        self.value != self.default
    }
}

/// Something that a description declares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Object<'d> {
    /// `[hosts.NAME]`.
    Host(&'d Host),
    /// `[bridges.NAME]`.
    Bridge(&'d Bridge),
    /// One of `[[vlans]]`.
    Peering(&'d Peering),
    /// One of `[[trunks]]`.
    Trunk(&'d Port),
    /// One of `[[ports]]`, and what its host is.
    Port(&'d Port, HostKind),
    /// `[overlay]`, whether it is written or not.
    Overlay(&'d Overlay),
}

/// All objects by their paths: `bridges.dc1`, `vlans dc1.8`, `ports.vm1`. Their order in the file says nothing.
pub(crate) fn declared(description: &Description) -> BTreeMap<String, Object<'_>> {
    let Description { hosts, bridges, vlans, trunks, ports, overlay } = description;
    let kinds: HashMap<&str, HostKind> = hosts.iter().map(|host| (host.name.as_str(), host.kind)).collect();
    let kind_of = |port: &Port| kinds.get(port.host.as_str()).copied().unwrap_or_default();
    let hosts = hosts.iter().map(Object::Host);
    let bridges = bridges.iter().map(Object::Bridge);
    let vlans = vlans.iter().map(Object::Peering);
    let trunks = trunks.iter().map(Object::Trunk);
    let ports = ports.iter().map(|port| Object::Port(port, kind_of(port)));
    let overlay = [Object::Overlay(overlay)];
    let all = hosts.chain(bridges).chain(vlans).chain(trunks).chain(ports).chain(overlay);
    all.map(|object| (object.path(), object)).collect()
}

impl Object<'_> {
    fn path(&self) -> String {
        match self {
            Object::Host(host) => format!("hosts.{}", host.name),
            Object::Bridge(bridge) => format!("bridges.{}", bridge.name),
            Object::Peering(Peering { bridge, vid, .. }) => format!("vlans {bridge}.{vid}"),
            Object::Trunk(trunk) => format!("trunks.{}", trunk.name),
            Object::Port(port, _) => format!("ports.{}", port.name),
            Object::Overlay(_) => "overlay".to_owned(),
        }
    }

    /// Every key that such an object can have; the same ones in the same order, whatever is written.
    pub(crate) fn keys(&self) -> Vec<Key> {
        match self {
            Object::Host(host) => host_keys(host),
            Object::Bridge(bridge) => bridge_keys(bridge),
            Object::Peering(Peering { bridge: _, vid: _, to }) => vec![optional("to", Some(text(to)))],
            Object::Trunk(trunk) => port_keys(trunk, true, HostKind::L2gw),
            Object::Port(other, at) => port_keys(other, false, *at),
            Object::Overlay(Overlay { port }) => {
                vec![with_default("port", number((*port).into()), number(DEFAULT_OVERLAY_PORT.into()))]
            }
        }
    }
}

fn host_keys(host: &Host) -> Vec<Key> {
    let Host { name: _, kind, underlay, underlay_mtu, datapath } = host;
    vec![
        setting("kind", *kind),
        optional("underlay", underlay.map(text)),
        optional("underlay-mtu", underlay_mtu.map(number)),
        setting("datapath", *datapath),
    ]
}

fn bridge_keys(bridge: &Bridge) -> Vec<Key> {
    let Bridge { name: _, ageing, mac_limit, renamed_from, mtu, kind } = bridge;
    let mut keys = kind_of_bridge(kind);
    keys.push(with_default("ageing", time(*ageing), time(DEFAULT_AGEING)));
    keys.push(with_default("mac-limit", number(*mac_limit), number(DEFAULT_BRIDGE_MAC_LIMIT)));
    keys.push(optional("renamed-from", renamed_from.as_ref().map(text)));
    keys.push(optional("mtu", mtu.map(number)));
    keys
}

/// The keys of both kinds, so that a bridge that becomes the other kind has the same keys as before.
fn kind_of_bridge(kind: &BridgeKind) -> Vec<Key> {
    match kind {
        BridgeKind::VlanAware { fabric, redundancy, tpid, join_vids } => {
            vec![
                optional("kind", Some(text("vlan-aware"))),
                with_default("fabric", text(fabric), text(DEFAULT_FABRIC)),
                setting("redundancy", *redundancy),
                setting("tpid", *tpid),
                flag("join-vids", *join_vids),
                optional("vni", None),
            ]
        }
        BridgeKind::VlanUnaware { vni } => {
            let none = ["fabric", "redundancy", "tpid", "join-vids"].map(|name| optional(name, None));
            let kind = optional("kind", Some(text("vlan-unaware")));
            [kind].into_iter().chain(none).chain([optional("vni", vni.map(number))]).collect()
        }
    }
}

fn port_keys(port: &Port, is_trunk: bool, at: HostKind) -> Vec<Key> {
    let Port {
        name: _,
        bridge,
        host,
        link,
        mode,
        macs,
        shared_macs,
        ips,
        mac_limit,
        on_limit,
        priority_tags,
        bpdu,
        isolated,
        tags,
        sticky,
        flood: Flood { withholds_unknown },
        storm,
        mtu,
        host_addresses,
    } = port;
    let mut keys = vec![
        optional("bridge", Some(text(bridge))),
        optional("host", Some(text(host))),
        optional("link", Some(link).filter(|link| !link.is_empty()).map(text)),
    ];
    keys.extend(mode_keys(mode, is_trunk));
    keys.extend([
        optional("macs", texts(macs)),
        optional("shared-macs", texts(shared_macs)),
        optional("ips", texts(ips)),
        limit_key(*mac_limit, is_trunk),
        setting("on-limit", *on_limit),
        flag("priority-tags", *priority_tags),
        bpdu_key(*bpdu, mode, is_trunk),
        flag("isolated", *isolated),
        tags_key(*tags, mode, at),
        optional("sticky", sticky.map(number)),
        with_default("flood.unknown", Word::Flag(!*withholds_unknown), Word::Flag(true)),
        optional("mtu", mtu.map(number)),
        optional("host-addresses", (*host_addresses == HostAddresses::Keep).then(|| text("keep"))),
    ]);
    keys.extend(storm_keys(storm.as_ref(), is_trunk));
    keys
}

/// Without the key a trunk has its bridge's.
fn limit_key(mac_limit: Option<u32>, is_trunk: bool) -> Key {
    match is_trunk {
        true => optional("mac-limit", mac_limit.map(number)),
        false => {
            let default = number(DEFAULT_PORT_MAC_LIMIT);
            with_default("mac-limit", mac_limit.map_or_else(|| default.clone(), number), default)
        }
    }
}

/// Only ports of a VUB have it.
fn tags_key(tags: Option<TagPolicy>, mode: &Mode, at: HostKind) -> Key {
    let default = default_tags(at);
    match mode {
        Mode::Plain => with_default("tags", text(tags.unwrap_or(default).word()), text(default.word())),
        _ => optional("tags", None),
    }
}

/// A trunk has none, and a qinq port passes a customer's BPDUs without it.
fn bpdu_key(bpdu: BpduPolicy, mode: &Mode, is_trunk: bool) -> Key {
    match mode {
        Mode::Qinq { .. } => optional("bpdu", (bpdu == BpduPolicy::Discard).then(|| text(bpdu.word()))),
        _ if is_trunk => optional("bpdu", None),
        _ => setting("bpdu", bpdu),
    }
}

/// The keys of all modes, so that a port of another mode has the same keys as before.
fn mode_keys(mode: &Mode, is_trunk: bool) -> Vec<Key> {
    let (word, vid, customer_vlans, pcp, trunk) = match mode {
        Mode::Plain => (None, None, None, None, None),
        Mode::Access { vid } => (Some("access"), *vid, None, None, None),
        Mode::Qinq { vid, customer_vlans, pcp } => (Some("qinq"), *vid, customer_vlans.clone(), *pcp, None),
        Mode::Trunk(trunk) => (Some("trunk").filter(|_| !is_trunk), None, None, None, Some(trunk)),
    };
    let mut keys = vec![
        optional("mode", word.map(text)),
        optional("vid", vid.map(vid_number)),
        optional("customer-vlans", customer_vlans.map(Word::Vids)),
        optional("pcp", pcp.map(|pcp| number(u32::from(pcp.get())))),
    ];
    match trunk {
        Some(trunk) => keys.extend(trunk_keys(trunk, is_trunk)),
        None => keys.extend(TRUNK_KEYS.map(|name| optional(name, None))),
    }
    keys
}

/// In the order of [`TRUNK_KEYS`].
fn trunk_keys(trunk: &TrunkMode, is_trunk: bool) -> [Key; 6] {
    let TrunkMode { vlans, native, native_tagged, native_inner, translate, weight } = trunk;
    let weight = number((*weight).max(1));
    [
        optional("vlans", vlans.clone().map(Word::Vids)),
        optional("native", native.map(vid_number)),
        flag("native-tagged", *native_tagged),
        setting("native-inner", *native_inner),
        optional("translate", Some(translate).filter(|pairs| !pairs.is_empty()).cloned().map(Word::Pairs)),
        if is_trunk { with_default("weight", weight, number(1)) } else { optional("weight", None) },
    ]
}

/// A class that is not named has its default, so that each has a value whether `storm` is written or not.
fn storm_keys(storm: Option<&Storm>, is_trunk: bool) -> [Key; 3] {
    let default = default_storm(is_trunk);
    let Storm { broadcast, multicast, unknown } = storm.unwrap_or(&default);
    [
        with_default("storm.broadcast", number(*broadcast), number(default.broadcast)),
        with_default("storm.multicast", number(*multicast), number(default.multicast)),
        with_default("storm.unknown", number(*unknown), number(default.unknown)),
    ]
}

fn optional(name: &'static str, value: Option<Word>) -> Key {
    Key { name, value, default: None }
}

fn with_default(name: &'static str, value: Word, default: Word) -> Key {
    Key { name, value: Some(value), default: Some(default) }
}

/// One of a few words; the default holds without the key.
fn setting<T: Worded + Default>(name: &'static str, setting: T) -> Key {
    with_default(name, text(setting.word()), text(T::default().word()))
}

fn flag(name: &'static str, value: bool) -> Key {
    with_default(name, Word::Flag(value), Word::Flag(false))
}

fn text(value: impl fmt::Display) -> Word {
    Word::Text(value.to_string())
}

fn vid_number(vid: Vid) -> Word {
    number(u32::from(vid.get()))
}

fn number(value: u32) -> Word {
    Word::Number(u64::from(value))
}

/// `None` of none; sorted, for their order says nothing.
fn texts(values: &[impl fmt::Display]) -> Option<Word> {
    let mut texts: Vec<String> = values.iter().map(ToString::to_string).collect();
    texts.sort_unstable();
    (!texts.is_empty()).then_some(Word::Texts(texts))
}

fn time(duration: Duration) -> Word {
    text(vlan::time::written(duration))
}

impl fmt::Display for Word {
    /// For a reader: without quotation marks and brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Word::Text(text) => f.write_str(text),
            Word::Number(number) => number.fmt(f),
            Word::Flag(flag) => flag.fmt(f),
            Word::Vids(vids) => vids.fmt(f),
            Word::Texts(texts) => f.write_str(&texts.join(", ")),
            Word::Pairs(pairs) => {
                let runs = runs(pairs).into_iter().map(|(wire, bridge)| format!("{wire} = {bridge}"));
                f.write_str(&runs.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

impl Word {
    /// As it stands in the file.
    pub(crate) fn as_toml(&self) -> String {
        match self {
            Word::Text(text) => quoted(text),
            Word::Number(_) | Word::Flag(_) => self.to_string(),
            Word::Vids(vids) => {
                let ranges: Vec<String> = vids.to_string().split(',').map(quoted).collect();
                format!("[{}]", ranges.join(", "))
            }
            Word::Texts(texts) => {
                let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
                format!("[{}]", texts.join(", "))
            }
            Word::Pairs(pairs) => {
                let run = |(wire, bridge): (String, String)| match wire.contains('-') {
                    true => format!("{} = {}", quoted(&wire), quoted(&bridge)),
                    false => format!("{wire} = {bridge}"),
                };
                format!("{{ {} }}", runs(pairs).into_iter().map(run).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if !is_shown(c) => quoted.push_str(&format!("\\U{:08x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Keys of trunks and of ports with mode "trunk".
const TRUNK_KEYS: [&str; 6] = ["vlans", "native", "native-tagged", "native-inner", "translate", "weight"];

//! Trunks and ports.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vlan::model::defaults::default_storm;
use vlan::model::description::{self, Mode, TrunkMode};
use vlan::model::value::quote;
use vlan::model::words::Worded;
use vlan::tag::Pcp;

use super::text::{
    BridgeVids, from_texts, from_translation, from_vid, from_vids, from_word, texts, translation, vid_list,
    vids, word,
};
use super::{Wrong, called, is_default};

/// `[[trunks]]` or `[[ports]]`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Port {
    pub(super) name: String,
    bridge: String,
    host: String,
    #[serde(default, skip_serializing_if = "is_default")]
    link: String,
    #[serde(default, skip_serializing_if = "is_default")]
    mode: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    vid: Option<u16>,
    #[serde(default, skip_serializing_if = "is_default", deserialize_with = "vid_list")]
    customer_vlans: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "is_default")]
    pcp: Option<u8>,
    #[serde(default, skip_serializing_if = "is_default", deserialize_with = "vid_list")]
    vlans: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "is_default")]
    native: Option<u16>,
    #[serde(default, skip_serializing_if = "is_default")]
    native_tagged: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    native_inner: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    translate: BTreeMap<String, BridgeVids>,
    #[serde(default, skip_serializing_if = "is_default")]
    weight: Option<u32>,
    #[serde(default, skip_serializing_if = "is_default")]
    macs: Vec<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    shared_macs: Vec<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    ips: Vec<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    mac_limit: Option<u32>,
    #[serde(default, skip_serializing_if = "is_default")]
    on_limit: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    priority_tags: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    bpdu: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    isolated: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    tags: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    sticky: Option<u32>,
    #[serde(default, skip_serializing_if = "is_default")]
    flood: Option<Flood>,
    #[serde(default, skip_serializing_if = "is_default")]
    storm: Option<Storm>,
    #[serde(default, skip_serializing_if = "is_default")]
    mtu: Option<u32>,
    #[serde(default, skip_serializing_if = "is_default")]
    host_addresses: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Flood {
    unknown: bool,
}

impl Default for Flood {
    fn default() -> Flood {
        Flood { unknown: true }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Storm {
    broadcast: Option<u32>,
    multicast: Option<u32>,
    unknown: Option<u32>,
}

impl Port {
    /// A port of these keys, in the words of the file. Whether their values fit is told where the tree is read.
    ///
    /// # Errors
    /// A key is unknown or missing, or has a value of another type: which, and what is allowed.
    pub fn of_keys(keys: &serde_json::Map<String, serde_json::Value>) -> Result<Port, String> {
        let text = serde_json::to_vec(keys).map_err(|error| error.to_string())?;
        crate::door::body::read("the port", &text)
    }

    /// The path of the port of this name, as sources have it: `ports.vm1`.
    pub fn path_of(name: &str) -> String {
        format!("ports.{}", called(name))
    }

    /// The host that it is on.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The bridge that it is a port of.
    pub fn bridge(&self) -> &str {
        &self.bridge
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `trunks.leaf1`, `ports.vm1`
    pub(crate) fn path(&self, is_trunk: bool) -> String {
        format!("{}.{}", if is_trunk { "trunks" } else { "ports" }, called(&self.name))
    }

    pub(super) fn new(port: &description::Port, is_trunk: bool) -> Port {
        let storm = |storm: description::Storm| Storm {
            broadcast: Some(storm.broadcast),
            multicast: Some(storm.multicast),
            unknown: Some(storm.unknown),
        };
        Port {
            name: port.name.clone(),
            bridge: port.bridge.clone(),
            host: port.host.clone(),
            link: port.link.clone(),
            macs: texts(&port.macs),
            shared_macs: texts(&port.shared_macs),
            ips: texts(&port.ips),
            mac_limit: port.mac_limit,
            on_limit: word(port.on_limit),
            priority_tags: port.priority_tags,
            bpdu: word(port.bpdu),
            isolated: port.isolated,
            tags: port.tags.map(|tags| tags.word().to_owned()),
            sticky: port.sticky,
            flood: port.flood.withholds_unknown.then_some(Flood { unknown: false }),
            storm: port.storm.map(storm),
            mtu: port.mtu,
            host_addresses: word(port.host_addresses),
            ..Port::of_mode(&port.mode, is_trunk)
        }
    }

    /// The keys of a mode.
    fn of_mode(mode: &Mode, is_trunk: bool) -> Port {
        match mode {
            Mode::Plain => Port::default(),
            Mode::Access { vid } => {
                Port { mode: Some(ACCESS.to_owned()), vid: vid.map(|vid| vid.get()), ..Port::default() }
            }
            Mode::Qinq { vid, customer_vlans, pcp } => Port {
                mode: Some(QINQ.to_owned()),
                vid: vid.map(|vid| vid.get()),
                customer_vlans: customer_vlans.as_ref().map(vids),
                pcp: pcp.map(Pcp::get),
                ..Port::default()
            },
            Mode::Trunk(trunk) => {
                let TrunkMode { vlans, native, native_tagged, native_inner, translate, weight } = trunk;
                Port {
                    mode: (!is_trunk).then(|| TRUNK.to_owned()),
                    vlans: vlans.as_ref().map(vids),
                    native: native.map(|vid| vid.get()),
                    native_tagged: *native_tagged,
                    native_inner: word(*native_inner),
                    translate: translation(translate),
                    weight: (*weight != 1).then_some(*weight),
                    ..Port::default()
                }
            }
        }
    }

    pub(super) fn read(&self, is_trunk: bool) -> Result<description::Port, Wrong> {
        Ok(description::Port {
            name: self.name.clone(),
            bridge: self.bridge.clone(),
            host: self.host.clone(),
            link: self.link.clone(),
            mode: self.read_mode(is_trunk)?,
            macs: from_texts("macs", &self.macs, NO_MAC)?,
            shared_macs: from_texts("shared-macs", &self.shared_macs, NO_MAC)?,
            ips: from_texts("ips", &self.ips, "not an IP address, allowed are such as \"192.0.2.1\"")?,
            mac_limit: self.mac_limit,
            on_limit: from_word("on-limit", self.on_limit.as_ref())?,
            priority_tags: self.priority_tags,
            bpdu: from_word("bpdu", self.bpdu.as_ref())?,
            isolated: self.isolated,
            tags: self.tags.as_ref().map(|tags| from_word("tags", Some(tags))).transpose()?,
            sticky: self.sticky,
            flood: description::Flood { withholds_unknown: self.flood == Some(Flood { unknown: false }) },
            storm: self.storm.map(|storm| storm.read(is_trunk)),
            mtu: self.mtu,
            host_addresses: from_word("host-addresses", self.host_addresses.as_ref())?,
        })
    }

    fn read_mode(&self, is_trunk: bool) -> Result<Mode, Wrong> {
        let mode = match (is_trunk, self.mode.as_deref()) {
            (true, None) => TRUNK,
            (true, Some(_)) => return Err(("mode", "is for ports, a trunk has none".to_owned())),
            (false, mode) => mode.unwrap_or_default(),
        };
        let vid = self.vid.map(|vid| from_vid("vid", vid)).transpose()?;
        let read = match mode {
            "" => Mode::Plain,
            ACCESS => Mode::Access { vid },
            QINQ => Mode::Qinq {
                vid,
                customer_vlans: self.set("customer-vlans", self.customer_vlans.as_deref())?,
                pcp: self.read_pcp()?,
            },
            TRUNK => Mode::Trunk(self.read_trunk()?),
            other => {
                return Err((
                    "mode",
                    format!("{}, allowed are {ACCESS:?}, {TRUNK:?}, {QINQ:?}", quote(other)),
                ));
            }
        };
        match self.foreign(&read, is_trunk) {
            Some(key) => Err((key, format!("is no key of {}", described(mode, is_trunk)))),
            None => Ok(read),
        }
    }

    fn set(&self, key: &'static str, list: Option<&[String]>) -> Result<Option<vlan::vid::VidSet>, Wrong> {
        list.map(|list| from_vids(key, list)).transpose()
    }

    fn read_pcp(&self) -> Result<Option<Pcp>, Wrong> {
        let read =
            |pcp| Pcp::new(pcp).ok_or_else(|| ("pcp", format!("{pcp} is out of range, allowed is 0 to 7")));
        self.pcp.map(read).transpose()
    }

    fn read_trunk(&self) -> Result<TrunkMode, Wrong> {
        Ok(TrunkMode {
            vlans: self.set("vlans", self.vlans.as_deref())?,
            native: self.native.map(|vid| from_vid("native", vid)).transpose()?,
            native_tagged: self.native_tagged,
            native_inner: from_word("native-inner", self.native_inner.as_ref())?,
            translate: from_translation("translate", &self.translate)?,
            weight: self.weight.unwrap_or(1),
        })
    }

    /// A key that is there and that a port of this mode does not have: to pass it over might open what it closes.
    fn foreign(&self, mode: &Mode, is_trunk: bool) -> Option<&'static str> {
        let is_aware = matches!(mode, Mode::Access { .. } | Mode::Qinq { .. });
        let is_qinq = matches!(mode, Mode::Qinq { .. });
        let has_vlans = matches!(mode, Mode::Trunk(_));
        [
            ("vid", self.vid.is_some(), is_aware),
            ("customer-vlans", self.customer_vlans.is_some(), is_qinq),
            ("pcp", self.pcp.is_some(), is_qinq),
            ("vlans", self.vlans.is_some(), has_vlans),
            ("native", self.native.is_some(), has_vlans),
            ("native-tagged", self.native_tagged, has_vlans),
            ("native-inner", self.native_inner.is_some(), has_vlans),
            ("translate", !self.translate.is_empty(), has_vlans),
            ("weight", self.weight.is_some(), is_trunk),
        ]
        .into_iter()
        .find(|(_, is_there, belongs)| *is_there && !belongs)
        .map(|(key, ..)| key)
    }
}

impl Storm {
    /// A class that is not named has the default.
    fn read(self, is_trunk: bool) -> description::Storm {
        let default = default_storm(is_trunk);
        description::Storm {
            broadcast: self.broadcast.unwrap_or(default.broadcast),
            multicast: self.multicast.unwrap_or(default.multicast),
            unknown: self.unknown.unwrap_or(default.unknown),
        }
    }
}

fn described(mode: &str, is_trunk: bool) -> String {
    match (is_trunk, mode) {
        (true, _) => "a trunk".to_owned(),
        (_, "") => "a port without a mode".to_owned(),
        (_, mode) => format!("a port with mode {mode:?}"),
    }
}

const ACCESS: &str = "access";
const QINQ: &str = "qinq";
const TRUNK: &str = "trunk";
const NO_MAC: &str = "not a MAC address, allowed are six bytes such as \"52:54:00:00:00:01\"";

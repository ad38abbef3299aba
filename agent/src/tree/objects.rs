//! Hosts and what they have in common, bridges and peerings.

use serde::{Deserialize, Serialize};
use vlan::model::defaults::{DEFAULT_AGEING, DEFAULT_BRIDGE_MAC_LIMIT, DEFAULT_FABRIC};
use vlan::model::description::{self, BridgeKind, HostKind};
use vlan::model::value::quote;
use vlan::time::written;

use super::text::{from_time, from_vid, from_word, word};
use super::{Wrong, called, is_default};

/// `[hosts.NAME]`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Host {
    #[serde(skip_serializing_if = "is_default")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    underlay: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    underlay_mtu: Option<u32>,
    #[serde(skip_serializing_if = "is_default")]
    datapath: Option<String>,
}

impl Host {
    /// Whether it is no host of ours.
    pub(crate) fn is_vtep(&self) -> bool {
        self.kind == word(HostKind::Vtep)
    }

    pub(super) fn read(&self, name: &str) -> Result<description::Host, Wrong> {
        let address = |text: &String| {
            text.parse().map_err(|_| ("underlay", format!("{} is not an IP address", quote(text))))
        };
        Ok(description::Host {
            name: name.to_owned(),
            kind: from_word("kind", self.kind.as_ref())?,
            underlay: self.underlay.as_ref().map(address).transpose()?,
            underlay_mtu: self.underlay_mtu,
            datapath: from_word("datapath", self.datapath.as_ref())?,
        })
    }
}

impl From<&description::Host> for Host {
    fn from(host: &description::Host) -> Host {
        let description::Host { name: _, kind, underlay, underlay_mtu, datapath } = host;
        Host {
            kind: word(*kind),
            underlay: underlay.map(|address| address.to_string()),
            underlay_mtu: *underlay_mtu,
            datapath: word(*datapath),
        }
    }
}

/// `[overlay]`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Overlay {
    #[serde(skip_serializing_if = "is_default")]
    port: Option<u16>,
}

impl Overlay {
    pub(super) fn read(&self) -> description::Overlay {
        description::Overlay { port: self.port.unwrap_or(description::DEFAULT_OVERLAY_PORT) }
    }
}

impl From<&description::Overlay> for Overlay {
    fn from(overlay: &description::Overlay) -> Overlay {
        let description::Overlay { port } = *overlay;
        Overlay { port: (port != description::DEFAULT_OVERLAY_PORT).then_some(port) }
    }
}

/// `[bridges.NAME]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Bridge {
    kind: String,
    #[serde(default, skip_serializing_if = "is_default")]
    fabric: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    redundancy: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    tpid: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    join_vids: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    vni: Option<u32>,
    #[serde(default, skip_serializing_if = "is_default")]
    ageing: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    mac_limit: Option<u32>,
    #[serde(default, skip_serializing_if = "is_default")]
    renamed_from: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    mtu: Option<u32>,
}

impl Bridge {
    pub(super) fn read(&self, name: &str) -> Result<description::Bridge, Wrong> {
        let ageing = self.ageing.as_deref().map(|text| from_time("ageing", text)).transpose()?;
        Ok(description::Bridge {
            name: name.to_owned(),
            ageing: ageing.unwrap_or(DEFAULT_AGEING),
            mac_limit: self.mac_limit.unwrap_or(DEFAULT_BRIDGE_MAC_LIMIT),
            renamed_from: self.renamed_from.clone(),
            mtu: self.mtu,
            kind: self.read_kind()?,
        })
    }

    fn read_kind(&self) -> Result<BridgeKind, Wrong> {
        let of_other = |key: &'static str, kind: &str| {
            Err((key, format!("is for kind {}, this bridge is {}", quote(kind), quote(&self.kind))))
        };
        match self.kind.as_str() {
            AWARE if self.vni.is_some() => of_other("vni", UNAWARE),
            AWARE => Ok(BridgeKind::VlanAware {
                fabric: self.fabric.clone().unwrap_or_else(|| DEFAULT_FABRIC.to_owned()),
                redundancy: from_word("redundancy", self.redundancy.as_ref())?,
                tpid: from_word("tpid", self.tpid.as_ref())?,
                join_vids: self.join_vids,
            }),
            UNAWARE if self.fabric.is_some() => of_other("fabric", AWARE),
            UNAWARE if self.redundancy.is_some() => of_other("redundancy", AWARE),
            UNAWARE if self.tpid.is_some() => of_other("tpid", AWARE),
            UNAWARE if self.join_vids => of_other("join-vids", AWARE),
            UNAWARE => Ok(BridgeKind::VlanUnaware { vni: self.vni }),
            other => Err(("kind", format!("{}, allowed are {AWARE:?}, {UNAWARE:?}", quote(other)))),
        }
    }
}

impl From<&description::Bridge> for Bridge {
    fn from(bridge: &description::Bridge) -> Bridge {
        let description::Bridge { name: _, ageing, mac_limit, renamed_from, mtu, kind } = bridge;
        let common = Bridge {
            kind: UNAWARE.to_owned(),
            fabric: None,
            redundancy: None,
            tpid: None,
            join_vids: false,
            vni: None,
            ageing: (*ageing != DEFAULT_AGEING).then(|| written(*ageing)),
            mac_limit: (*mac_limit != DEFAULT_BRIDGE_MAC_LIMIT).then_some(*mac_limit),
            renamed_from: renamed_from.clone(),
            mtu: *mtu,
        };
        match kind {
            BridgeKind::VlanUnaware { vni } => Bridge { vni: *vni, ..common },
            BridgeKind::VlanAware { fabric, redundancy, tpid, join_vids } => Bridge {
                kind: AWARE.to_owned(),
                fabric: (fabric != DEFAULT_FABRIC).then(|| fabric.clone()),
                redundancy: word(*redundancy),
                tpid: word(*tpid),
                join_vids: *join_vids,
                ..common
            },
        }
    }
}

/// `[[vlans]]`, of one VLAN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peering {
    pub(super) bridge: String,
    pub(super) vid: u16,
    to: String,
}

impl Peering {
    /// The VAB whose VLAN it is.
    pub fn bridge(&self) -> &str {
        &self.bridge
    }

    /// The VLAN.
    pub fn vid(&self) -> u16 {
        self.vid
    }

    /// `vlans dc1.8`
    pub(crate) fn path(&self) -> String {
        format!("vlans {}.{}", called(&self.bridge), self.vid)
    }

    pub(super) fn read(&self) -> Result<description::Peering, Wrong> {
        let Peering { bridge, vid, to } = self;
        Ok(description::Peering { bridge: bridge.clone(), vid: from_vid("vid", *vid)?, to: to.clone() })
    }
}

impl From<&description::Peering> for Peering {
    fn from(peering: &description::Peering) -> Peering {
        let description::Peering { bridge, vid, to } = peering;
        Peering { bridge: bridge.clone(), vid: vid.get(), to: to.clone() }
    }
}

const AWARE: &str = "vlan-aware";
const UNAWARE: &str = "vlan-unaware";

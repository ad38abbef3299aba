//! Shards as format 1 stored them: a byte 1, then these types by postcard. Nothing writes them any more; a store that was never changed
//! since holds them still. Frozen: postcard knows no names, so a field added, left out or moved would be read as another.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use nsdb::schema::{self, SchemaError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vlan::addr::MacAddr;
use vlan::tag::{Pcp, Tpid};
use vlan::vid::{Vid, VidSet};

use super::{DocumentError, HOSTS};

/// The byte that shards of this format begin with.
pub(super) const FORMAT: u8 = 1;

/// What a shard says, in the layout of format 2.
pub(super) fn read(name: &str, bytes: &[u8]) -> Result<Value, DocumentError> {
    let read = match name.starts_with(HOSTS) {
        true => schema::decode(FORMAT, bytes).map(|host: (u32, Host)| json!({ "host": host })),
        false => schema::decode(FORMAT, bytes).map(|shard: BridgeShard| json!(shard)),
    };
    read.map_err(|error: SchemaError| DocumentError::Shard { name: name.to_owned(), why: error.to_string() })
}

#[derive(Serialize, Deserialize)]
struct BridgeShard {
    bridge: (u32, Bridge),
    vlans: Vec<(u32, Peering)>,
    trunks: Vec<(u32, Port)>,
    ports: Vec<(u32, Port)>,
}

#[derive(Serialize, Deserialize)]
struct Host {
    name: String,
    underlay: Option<IpAddr>,
    datapath: DatapathKind,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum DatapathKind {
    Auto,
    Ovs,
    Ebpf,
}

#[derive(Serialize, Deserialize)]
struct Bridge {
    name: String,
    ageing: Duration,
    mac_limit: u32,
    kind: BridgeKind,
}

#[derive(Serialize, Deserialize)]
enum BridgeKind {
    VlanAware { fabric: String, redundancy: Redundancy, tpid: Tpid, join_vids: bool },
    VlanUnaware { vni: Option<u32> },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Redundancy {
    Designated,
    Stp,
    None,
}

#[derive(Serialize, Deserialize)]
struct Peering {
    bridge: String,
    vid: Vid,
    to: String,
}

#[derive(Serialize, Deserialize)]
struct Port {
    name: String,
    bridge: String,
    host: String,
    link: String,
    mode: Mode,
    macs: Vec<MacAddr>,
    ips: Vec<IpAddr>,
    mac_limit: Option<u32>,
    on_limit: OnLimit,
    priority_tags: bool,
    bpdu: BpduPolicy,
    storm: Option<Storm>,
    mtu: Option<u32>,
}

#[derive(Serialize, Deserialize)]
enum Mode {
    Plain,
    Access { vid: Option<Vid> },
    Trunk(TrunkMode),
    Qinq { vid: Option<Vid>, customer_vlans: Option<VidSet>, pcp: Option<Pcp> },
}

#[derive(Serialize, Deserialize)]
struct TrunkMode {
    vlans: Option<VidSet>,
    native: Option<Vid>,
    native_tagged: bool,
    native_inner: NativeInner,
    translate: BTreeMap<Vid, Vid>,
    weight: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum NativeInner {
    Drop,
    Pass,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum OnLimit {
    Evict,
    Drop,
    Flood,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum BpduPolicy {
    Block,
    Discard,
}

#[derive(Serialize, Deserialize)]
struct Storm {
    broadcast: u32,
    multicast: u32,
    unknown: u32,
}

//! Shards as format 2 stored them: JSON of the model's own types, each object with its place in the file. Nothing writes them any more; a
//! store that was not changed since holds them still. What format 1 stored is read into this one.

use serde::Deserialize;
use serde_json::Value;
use vlan::model::description::{Bridge, Description, Host, Peering, Port};

use super::shard::{FORMAT_KEY, told};
use super::{BRIDGES, DocumentError, HOSTS, PARTS};
use crate::door::unread::unknown_key;

/// What its shards say of themselves.
pub(super) const FORMAT: u8 = 2;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostShard {
    host: (u32, Host),
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct BridgeShard {
    bridge: Option<(u32, Bridge)>,
    vlans: Vec<(u32, Peering)>,
    trunks: Vec<(u32, Port)>,
    ports: Vec<(u32, Port)>,
}

/// What the shard of this name declares.
pub(super) fn take(name: &str, mut value: Value) -> Result<Description, DocumentError> {
    if let Some(map) = value.as_object_mut() {
        map.remove(FORMAT_KEY);
    }
    // To go on without a key might open what it closes: this format had no `needs`.
    let refused = |error: serde_json::Error| match unknown_key(&error) {
        Some(key) => DocumentError::Key { name: name.to_owned(), key },
        None => told(name, &error),
    };
    let mut read = Description::default();
    if name.starts_with(HOSTS) {
        let HostShard { host } = serde_json::from_value(value).map_err(refused)?;
        read.hosts.push(host.1);
    } else if name.starts_with(BRIDGES) || name.starts_with(PARTS) {
        let shard: BridgeShard = serde_json::from_value(value).map_err(refused)?;
        read.bridges.extend(shard.bridge.into_iter().map(|(_, bridge)| bridge));
        read.vlans.extend(shard.vlans.into_iter().map(|(_, peering)| peering));
        read.trunks.extend(shard.trunks.into_iter().map(|(_, trunk)| trunk));
        read.ports.extend(shard.ports.into_iter().map(|(_, port)| port));
    } else {
        let why = "is of no kind that format 2 has: hosts/NAME, bridges/NAME, parts/NAME/2".to_owned();
        return Err(DocumentError::Shard { name: name.to_owned(), why });
    }
    Ok(read)
}

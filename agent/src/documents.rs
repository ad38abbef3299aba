//! How a description is laid out in the store: a shard for each bridge with what hangs on it, one for each host. A change of one
//! bridge writes one shard, and an agent that has none of its ports need not read it.
//!
//! A shard is one line of JSON with sorted keys, so that equal content has equal bytes, an operator can read it, and a field can be
//! added: what says nothing (`null`, `false`) is left out, and what is left out is what it was before there was such a field. `format`
//! says which layout it is. A bridge with very many objects goes on in further shards.

mod format1;

use std::collections::BTreeMap;

use nsdb::ShardName;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vlan::model::description::{Bridge, Description, Host, Peering, Port};

use crate::door::unread::unknown_key;

/// A host and its place in the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HostShard {
    host: (u32, Host),
}

/// A bridge, its VLANs and its ports, each with its place in the file; or more of the latter, without the bridge.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct BridgeShard {
    bridge: Option<(u32, Bridge)>,
    vlans: Vec<(u32, Peering)>,
    trunks: Vec<(u32, Port)>,
    ports: Vec<(u32, Port)>,
}

/// A stored topology that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// A shard of the first format has bytes that are not what its name says.
    #[error("shard {name}: {source}")]
    Shard {
        /// The shard.
        name: String,
        /// Why.
        source: nsdb::schema::SchemaError,
    },
    /// A shard's text is not what its name says.
    #[error("shard {name}: {source}")]
    Text {
        /// The shard.
        name: String,
        /// Why.
        source: serde_json::Error,
    },
    /// What would be stored does not say what it was made of.
    #[error("this cannot be stored, since it would be read as something else: {why}; please report it")]
    Differs {
        /// How.
        why: String,
    },
    /// A shard is of a format that this version does not know.
    #[error("shard {name} has format {found}, this version reads up to {FORMAT}; a newer version wrote it?")]
    Format {
        /// The shard.
        name: String,
        /// What it says.
        found: Value,
    },
    /// A shard says something that this version does not know, and which it must not overlook.
    #[error("shard {name} has {key:?}, which this version does not know; a newer version wrote it?")]
    Key {
        /// The shard.
        name: String,
        /// The key.
        key: String,
    },
    /// An object's name cannot be a shard's.
    #[error("{name:?} cannot be stored: {reason}")]
    Name {
        /// The name.
        name: String,
        /// Why.
        reason: String,
    },
    /// A shard of a kind that this version does not know.
    #[error(
        "shard {0:?} is of no known kind, \"bridges/NAME\", \"parts/NAME/2\" and \"hosts/NAME\" are; a newer version wrote it?"
    )]
    Unknown(String),
}

/// The shards of a description.
///
/// # Errors
/// A name that cannot be a shard's.
pub fn to_shards(description: &Description) -> Result<BTreeMap<ShardName, Vec<u8>>, DocumentError> {
    let mut shards = BTreeMap::new();
    for (index, host) in description.hosts.iter().enumerate() {
        let name = format!("{HOSTS}{}", host.name);
        let shard = HostShard { host: (index as u32, host.clone()) };
        shards.insert(shard_name(&name)?, encode(&name, &shard)?);
    }
    let mut objects = Objects::of(description);
    for (index, bridge) in description.bridges.iter().enumerate() {
        let mut shard = objects.remove(&bridge.name);
        shard.bridge = Some((index as u32, bridge.clone()));
        for (number, part) in parts(shard).into_iter().enumerate() {
            let name = match number {
                0 => format!("{BRIDGES}{}", bridge.name),
                more => format!("{PARTS}{}/{}", bridge.name, more + 1),
            };
            shards.insert(shard_name(&name)?, encode(&name, &part)?);
        }
    }
    Ok(shards)
}

/// Whether shards hold what they were made of: what cannot be read again must not become the newest revision.
///
/// # Errors
/// They cannot be read, or say something else.
pub fn check_read_back(
    description: &Description,
    shards: &BTreeMap<ShardName, Vec<u8>>,
) -> Result<(), DocumentError> {
    let shards = shards.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    match from_shards(shards) {
        Ok(read) if read == *description => Ok(()),
        Ok(_) => Err(DocumentError::Differs { why: "a setting is lost".to_owned() }),
        Err(error) => Err(DocumentError::Differs { why: error.to_string() }),
    }
}

/// The description that shards hold, in the order of the file they came from.
///
/// # Errors
/// A shard that is corrupt, of another version or of no known kind.
pub fn from_shards<'a>(
    shards: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<Description, DocumentError> {
    let (mut hosts, mut bridges) = (Vec::<(u32, Host)>::new(), Vec::new());
    let (mut vlans, mut trunks, mut ports) = (Vec::new(), Vec::new(), Vec::new());
    for (name, bytes) in shards {
        if name.starts_with(HOSTS) {
            hosts.push(decode::<HostShard>(name, bytes, format1::read_host)?.host);
        } else if name.starts_with(BRIDGES) || name.starts_with(PARTS) {
            let shard: BridgeShard = decode(name, bytes, format1::read_bridge)?;
            bridges.extend(shard.bridge);
            vlans.extend(shard.vlans);
            trunks.extend(shard.trunks);
            ports.extend(shard.ports);
        } else {
            return Err(DocumentError::Unknown(name.to_owned()));
        }
    }
    Ok(Description {
        hosts: in_order(hosts),
        bridges: in_order(bridges),
        vlans: in_order(vlans),
        trunks: in_order(trunks),
        ports: in_order(ports),
    })
}

/// What hangs on each bridge.
struct Objects<'a>(BTreeMap<&'a str, BridgeShard>);

impl<'a> Objects<'a> {
    fn of(description: &'a Description) -> Objects<'a> {
        let mut all = BTreeMap::<&str, BridgeShard>::new();
        for (index, peering) in (0..).zip(&description.vlans) {
            all.entry(&peering.bridge).or_default().vlans.push((index, peering.clone()));
        }
        for (index, port) in (0..).zip(&description.trunks) {
            all.entry(&port.bridge).or_default().trunks.push((index, port.clone()));
        }
        for (index, port) in (0..).zip(&description.ports) {
            all.entry(&port.bridge).or_default().ports.push((index, port.clone()));
        }
        Objects(all)
    }

    fn remove(&mut self, bridge: &str) -> BridgeShard {
        self.0.remove(bridge).unwrap_or_default()
    }
}

/// A bridge's shard in pieces: one shard of the store has a limit in bytes.
fn parts(shard: BridgeShard) -> Vec<BridgeShard> {
    let first = BridgeShard { bridge: shard.bridge, ..BridgeShard::default() };
    let mut parts = Parts { all: vec![first], bytes: 0 };
    for trunk in shard.trunks {
        parts.with_room_for(&trunk).trunks.push(trunk);
    }
    for peering in shard.vlans {
        parts.with_room_for(&peering).vlans.push(peering);
    }
    for port in shard.ports {
        parts.with_room_for(&port).ports.push(port);
    }
    parts.all
}

struct Parts {
    all: Vec<BridgeShard>,
    /// What the last part's objects take at most.
    bytes: usize,
}

impl Parts {
    /// The last part, or a new one if this object would make it too large.
    fn with_room_for(&mut self, object: &impl Serialize) -> &mut BridgeShard {
        let bytes = serde_json::to_string(object).map_or(0, |text| text.len());
        let is_full = self.bytes > 0 && self.bytes + bytes > PART_BYTES;
        if is_full || self.all.is_empty() {
            self.all.push(BridgeShard::default());
            self.bytes = 0;
        }
        self.bytes += bytes;
        let last = self.all.len() - 1;
        &mut self.all[last]
    }
}

fn in_order<T>(mut objects: Vec<(u32, T)>) -> Vec<T> {
    objects.sort_by_key(|(index, _)| *index);
    objects.into_iter().map(|(_, object)| object).collect()
}

fn shard_name(name: &str) -> Result<ShardName, DocumentError> {
    ShardName::new(name)
        .map_err(|error| DocumentError::Name { name: name.to_owned(), reason: error.to_string() })
}

fn encode<T: Serialize>(name: &str, document: &T) -> Result<Vec<u8>, DocumentError> {
    let failed = |source| DocumentError::Text { name: name.to_owned(), source };
    let mut value = serde_json::to_value(document).map_err(failed)?;
    leave_out(&mut value);
    value[FORMAT_KEY] = Value::from(FORMAT);
    serde_json::to_vec(&value).map_err(failed)
}

/// Takes away the keys that say nothing.
fn leave_out(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !matches!(value, Value::Null | Value::Bool(false)));
            map.values_mut().for_each(leave_out);
        }
        Value::Array(list) => list.iter_mut().for_each(leave_out),
        _ => {}
    }
}

fn decode<T: DeserializeOwned>(
    name: &str,
    bytes: &[u8],
    read_format1: fn(&[u8]) -> Result<Value, nsdb::schema::SchemaError>,
) -> Result<T, DocumentError> {
    let damaged = |source| DocumentError::Text { name: name.to_owned(), source };
    if bytes.first().is_none_or(|first| *first == format1::FORMAT) {
        let value =
            read_format1(bytes).map_err(|source| DocumentError::Shard { name: name.to_owned(), source })?;
        return serde_json::from_value(value).map_err(damaged);
    }
    let mut value: Value = serde_json::from_slice(bytes).map_err(damaged)?;
    let format = value.as_object_mut().and_then(|map| map.remove(FORMAT_KEY)).unwrap_or_default();
    if format != FORMAT {
        return Err(DocumentError::Format { name: name.to_owned(), found: format });
    }
    // To go on without a key might open what it closes.
    serde_json::from_value(value).map_err(|source| match unknown_key(&source) {
        Some(key) => DocumentError::Key { name: name.to_owned(), key },
        None => damaged(source),
    })
}

const HOSTS: &str = "hosts/";
const BRIDGES: &str = "bridges/";
const PARTS: &str = "parts/";
const FORMAT_KEY: &str = "format";
/// The layout that is written.
const FORMAT: u8 = 2;
/// Most bytes of a shard's objects, unless one alone has more; far below the store's limit, [`nsdb::MAX_SHARD_BYTES`].
const PART_BYTES: usize = 400_000;

#[cfg(test)]
mod tests;

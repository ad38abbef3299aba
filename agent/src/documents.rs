//! How a description is laid out in the store: a shard for each bridge with what hangs on it, one for each host. A change of one
//! bridge writes one shard, and an agent that has none of its ports need not read it.

use std::collections::BTreeMap;

use nsdb::ShardName;
use nsdb::schema;
use serde::{Deserialize, Serialize};
use vlan::model::description::{Bridge, Description, Host, Peering, Port};

/// A bridge, its VLANs and its ports, each with its place in the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct BridgeShard {
    bridge: (u32, Bridge),
    vlans: Vec<(u32, Peering)>,
    trunks: Vec<(u32, Port)>,
    ports: Vec<(u32, Port)>,
}

/// A stored topology that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// A shard's bytes are not what its name says.
    #[error("shard {name}: {source}")]
    Shard {
        /// The shard.
        name: String,
        /// Why.
        source: nsdb::schema::SchemaError,
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
        "shard {0:?} is of no known kind, \"bridges/NAME\" and \"hosts/NAME\" are; a newer version wrote it?"
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
        shards.insert(shard_name(&name)?, encode(&name, &(index as u32, host))?);
    }
    for (index, bridge) in description.bridges.iter().enumerate() {
        let name = format!("{BRIDGES}{}", bridge.name);
        let shard = BridgeShard {
            bridge: (index as u32, bridge.clone()),
            vlans: of_bridge(&description.vlans, |peering| peering.bridge == bridge.name),
            trunks: of_bridge(&description.trunks, |port| port.bridge == bridge.name),
            ports: of_bridge(&description.ports, |port| port.bridge == bridge.name),
        };
        shards.insert(shard_name(&name)?, encode(&name, &shard)?);
    }
    Ok(shards)
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
            hosts.push(decode(name, bytes)?);
        } else if name.starts_with(BRIDGES) {
            let shard: BridgeShard = decode(name, bytes)?;
            bridges.push(shard.bridge);
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

fn of_bridge<T: Clone>(all: &[T], is_its: impl Fn(&T) -> bool) -> Vec<(u32, T)> {
    all.iter()
        .enumerate()
        .filter(|(_, object)| is_its(object))
        .map(|(i, object)| (i as u32, object.clone()))
        .collect()
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
    schema::encode(VERSION, document).map_err(|source| DocumentError::Shard { name: name.to_owned(), source })
}

fn decode<T: serde::de::DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, DocumentError> {
    schema::decode(VERSION, bytes).map_err(|source| DocumentError::Shard { name: name.to_owned(), source })
}

const HOSTS: &str = "hosts/";
const BRIDGES: &str = "bridges/";
/// Version of the shards' layout.
const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use vlan::model::description::{BridgeKind, Mode, Redundancy, TrunkMode};
    use vlan::tag::Tpid;
    use vlan::vid::{Vid, VidSet};

    use super::*;

    fn description() -> Description {
        let vid = |number| Vid::new(number).unwrap();
        let kind = BridgeKind::VlanAware {
            fabric: "fabric".to_owned(),
            redundancy: Redundancy::Designated,
            tpid: Tpid::Customer,
            join_vids: false,
        };
        let mode = TrunkMode {
            vlans: Some(VidSet::all()),
            translate: [(vid(108), vid(9))].into(),
            weight: 1,
            ..TrunkMode::default()
        };
        let trunk = Port {
            name: "leaf1".to_owned(),
            bridge: "dc1".to_owned(),
            host: "gw1".to_owned(),
            link: "eth1".to_owned(),
            mode: Mode::Trunk(mode),
            macs: vec![vlan::addr::MacAddr([2, 0, 0, 0, 0, 1])],
            ips: vec!["192.0.2.1".parse().unwrap()],
            mac_limit: None,
            on_limit: Default::default(),
            priority_tags: true,
            bpdu: Default::default(),
            storm: None,
            mtu: Some(9000),
        };
        let bridge = |name: &str, kind| Bridge {
            name: name.to_owned(),
            ageing: Default::default(),
            mac_limit: 10,
            kind,
        };
        Description {
            hosts: vec![Host { name: "gw1".to_owned(), ..Host::default() }],
            bridges: vec![bridge("vub8", BridgeKind::VlanUnaware { vni: Some(8) }), bridge("dc1", kind)],
            vlans: vec![Peering { bridge: "dc1".to_owned(), vid: vid(8), to: "vub8".to_owned() }],
            trunks: vec![trunk],
            ports: Vec::new(),
        }
    }

    #[test]
    fn a_description_comes_back_from_its_shards_as_it_was() {
        let shards = to_shards(&description()).unwrap();
        let names: Vec<String> = shards.keys().map(ToString::to_string).collect();
        assert_eq!(names, ["bridges/dc1", "bridges/vub8", "hosts/gw1"]);
        let back = from_shards(shards.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))).unwrap();
        assert_eq!(back, description());
    }

    #[test]
    fn a_shard_that_is_cut_short_is_named() {
        let shards = to_shards(&description()).unwrap();
        let (name, bytes) = shards.iter().next().unwrap();
        let error = from_shards([(name.as_str(), &bytes[..bytes.len() / 2])]).unwrap_err().to_string();
        assert!(error.contains("bridges/dc1"), "{error}");
    }
}

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
            mode: Mode::Trunk(mode),
            macs: vec![vlan::addr::MacAddr([2, 0, 0, 0, 0, 1])],
            ips: vec!["192.0.2.1".parse().unwrap()],
            priority_tags: true,
            mtu: Some(9000),
            ..Port::plain("leaf1", "dc1", "gw1", "eth1")
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

    /// The shards of `format1.json` as format 1 stored them.
    fn golden() -> Vec<(String, Vec<u8>)> {
        let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
        let shard = |line: &str| {
            let (name, hex) = line.split_once(' ').unwrap();
            (name.to_owned(), hex.as_bytes().chunks(2).map(byte).collect())
        };
        include_str!("documents/format1.txt").lines().map(shard).collect()
    }

    fn read(shards: &[(String, Vec<u8>)]) -> Result<Description, DocumentError> {
        from_shards(shards.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())))
    }

    fn written(description: &Description) -> Vec<(String, Vec<u8>)> {
        let shards = to_shards(description).unwrap();
        shards.into_iter().map(|(name, bytes)| (name.to_string(), bytes)).collect()
    }

    #[test]
    fn what_format_1_stored_is_read_and_written_anew() {
        let stored: Description = serde_json::from_str(include_str!("documents/format1.json")).unwrap();
        let golden = golden();
        assert_eq!(read(&golden).unwrap(), stored);
        let anew = written(&stored);
        assert!(anew.iter().all(|(_, bytes)| bytes.starts_with(b"{")));
        assert_eq!(read(&anew).unwrap(), stored);
        // Shards that were written at different times lie side by side.
        let mut mixed = anew;
        mixed[1] = golden[1].clone();
        assert_eq!(read(&mixed).unwrap(), stored);
    }

    #[tokio::test]
    async fn a_store_of_format_1_is_written_anew_by_the_next_revision() {
        use nsdb::{Change, Documents, Memory, Store, WallTime};

        use crate::topology::{self, Authorship};

        let store = Store::Memory(Memory::new());
        let old = golden().into_iter().map(|(name, bytes)| (shard_name(&name).unwrap(), bytes)).collect();
        store.publish(None, old, Change::new("old", WallTime::from_millis(1), "")).await.unwrap();
        let (revision, mut description) = topology::newest(&store).await.unwrap().unwrap();
        description.bridges[0].mac_limit = 7;
        let by = Authorship { author: "new".to_owned(), note: String::new() };
        topology::publish(&store, &description, revision.get(), &by).await.unwrap();
        assert_eq!(topology::newest(&store).await.unwrap().unwrap().1, description);
        let root = store.root().await.unwrap().unwrap();
        for (name, bytes) in store.read_shards(&root, |_| true).await.unwrap() {
            assert!(bytes.starts_with(b"{"), "{name} is as it was");
        }
    }

    #[test]
    fn a_shard_of_format_1_that_is_cut_short_is_refused() {
        let mut golden = golden();
        golden[0].1.pop();
        let error = read(&golden).unwrap_err().to_string();
        assert!(error.contains("bridges/dc1: document of version 1 is damaged"), "{error}");
        golden[0].1.clear();
        let error = read(&golden).unwrap_err().to_string();
        assert!(error.contains("bridges/dc1: document is empty"), "{error}");
    }

    #[test]
    fn a_shard_is_text_with_sorted_keys_and_without_what_says_nothing() {
        let shards = written(&description());
        let (_, host) = shards.iter().find(|(name, _)| name == "hosts/gw1").unwrap();
        assert_eq!(
            str::from_utf8(host).unwrap(),
            r#"{"format":2,"host":[0,{"datapath":"auto","name":"gw1"}]}"#
        );
    }

    #[test]
    fn what_this_version_does_not_know_is_not_overlooked() {
        let with = |text: &str| read(&[("hosts/gw1".to_owned(), text.as_bytes().to_vec())]);
        assert!(with(r#"{"format":2,"host":[0,{"datapath":"auto","name":"gw1"}]}"#).is_ok());
        assert!(with(r#"{"format":2,"host":[0,{"datapath":"auto","name":"gw1","underlay":null}]}"#).is_ok());
        for (text, what) in [
            (r#"{"format":2,"host":[0,{"datapath":"auto","name":"gw1","site":"b"}]}"#, "\"site\""),
            (r#"{"format":2,"needs":["site"],"host":[0,{"datapath":"auto","name":"gw1"}]}"#, "\"needs\""),
            (r#"{"format":3,"host":[0,{"datapath":"auto","name":"gw1"}]}"#, "format 3"),
            (r#"{"host":[0,{"datapath":"auto","name":"gw1"}]}"#, "format null"),
            (r#"{"format":2,"host":[0,{"datapath":"fpga","name":"gw1"}]}"#, "`fpga`"),
        ] {
            let error = with(text).unwrap_err().to_string();
            assert!(error.contains("hosts/gw1") && error.contains(what), "{error}");
        }
    }

    /// Every object of a shard, one after another, with a key more than this version knows.
    fn with_a_key_more(value: &Value) -> Vec<Value> {
        let mut all = Vec::new();
        match value {
            Value::Object(map) => {
                let mut more = map.clone();
                more.insert("new".to_owned(), Value::from(1));
                all.push(Value::Object(more));
                for (key, inner) in map {
                    let with = |inner| {
                        let mut with = map.clone();
                        with.insert(key.clone(), inner);
                        Value::Object(with)
                    };
                    // VLANs to VLANs are no keys.
                    all.extend(with_a_key_more(inner).into_iter().filter(|_| key != "translate").map(with));
                }
            }
            Value::Array(list) => {
                for (index, inner) in list.iter().enumerate() {
                    let with = |inner| {
                        let mut with = list.clone();
                        with[index] = inner;
                        Value::Array(with)
                    };
                    all.extend(with_a_key_more(inner).into_iter().map(with));
                }
            }
            _ => {}
        }
        all
    }

    #[test]
    fn no_object_of_a_shard_has_a_key_that_is_passed_over() {
        let stored: Description = serde_json::from_str(include_str!("documents/format1.json")).unwrap();
        let mut tried = 0;
        for (name, bytes) in written(&stored) {
            for changed in with_a_key_more(&serde_json::from_slice(&bytes).unwrap()) {
                let text = serde_json::to_vec(&changed).unwrap();
                let error = read(&[(name.clone(), text)]).unwrap_err().to_string();
                // The name of an enum's variant is the one key that there is.
                let is_told = error.contains("\"new\"") || error.contains("single key");
                assert!(error.contains(&name) && is_told, "{error}: {changed}");
                tried += 1;
            }
        }
        assert!(tried > 20, "{tried}");
    }

    #[test]
    fn a_bridge_with_very_many_ports_is_stored_in_parts() {
        let mut many = description();
        let port = many.trunks[0].clone();
        many.ports = (0..4_000).map(|n| Port { name: format!("vm{n}"), mtu: None, ..port.clone() }).collect();
        let shards = written(&many);
        let names: Vec<&str> = shards.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["bridges/dc1", "bridges/vub8", "hosts/gw1", "parts/dc1/2", "parts/dc1/3", "parts/dc1/4"]
        );
        assert!(shards.iter().all(|(_, bytes)| bytes.len() <= PART_BYTES + 1_000));
        assert_eq!(read(&shards).unwrap(), many);
    }

    #[test]
    fn a_set_is_written_as_ranges_and_read_from_ranges_or_numbers() {
        let set: VidSet = [5, 8, 100, 101, 102, 4094].into_iter().filter_map(Vid::new).collect();
        let text = serde_json::to_string(&set).unwrap();
        assert_eq!(text, "\"5,8,100-102,4094\"");
        for text in [text.as_str(), "[5,8,100,101,102,4094]", "[4094,102,5,8,101,100,5]"] {
            assert_eq!(serde_json::from_str::<VidSet>(text).unwrap(), set, "{text}");
        }
        assert_eq!(serde_json::from_str::<VidSet>("\"\"").unwrap(), VidSet::new());
        for text in
            ["\"0\"", "\"5,\"", "\"9-5\"", "\"1-4095\"", "\"-5\"", "\"5 \"", "[0]", "[4095]", "{}", "5"]
        {
            assert!(serde_json::from_str::<VidSet>(text).is_err(), "{text}");
        }
    }
}

//! A shard as it is written and read: one line of JSON, and what is passed on of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use vlan::model::description::Description;
use vlan::model::numbers::{Further, Numbers};
use vlan::model::segment::SegmentName;

use super::DocumentError;
use crate::door::unread::unknown_key;
use crate::tree::{Source, Sources, Tree};

/// A host.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HostShard {
    pub(super) host: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) number: Option<u32>,
    #[serde(skip_deserializing, skip_serializing_if = "Vec::is_empty")]
    pub(super) needs: Vec<&'static str>,
}

/// What all hosts have in common.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SettingsShard {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) overlay: Option<Value>,
}

/// The bridges that a host has ports on, or more of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListShard {
    pub(super) bridges: Vec<String>,
}

/// A bridge and what hangs on it; or more of the latter, without the bridge.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(super) struct BridgeShard {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bridge: Option<Value>,
    /// The bridges of which a VLAN is this one.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) led_from: BTreeSet<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) vlans: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) trunks: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) ports: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) segments: Vec<Segment>,
    #[serde(skip_deserializing, skip_serializing_if = "Vec::is_empty")]
    pub(super) needs: Vec<&'static str>,
}

/// The numbers of a segment that is called after the bridge.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Segment {
    segment: SegmentName,
    vni: u32,
    /// The further ones of trunk groups, by their fabrics.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    fabrics: BTreeMap<String, u32>,
    /// The further one of isolated ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    isolated: Option<u32>,
}

impl Segment {
    /// The one with this name.
    pub(super) fn of(numbers: &Numbers, name: &SegmentName, vni: u32) -> Segment {
        let Further { fabrics, isolated } = numbers.further.get(name).cloned().unwrap_or_default();
        Segment { segment: name.clone(), vni, fabrics, isolated }
    }

    pub(super) fn put_into(self, numbers: &mut Numbers) {
        let Segment { segment, vni, fabrics, isolated } = self;
        let further = Further { fabrics, isolated };
        if !further.is_empty() {
            numbers.further.insert(segment.clone(), further);
        }
        numbers.segments.insert(segment, vni);
    }
}

/// From where on numbers are dealt out, and which are not to be.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct NumbersShard {
    pub(super) next_host: u32,
    pub(super) next_vni: u32,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) retired: BTreeMap<u32, SegmentName>,
    #[serde(skip_deserializing, skip_serializing_if = "Vec::is_empty")]
    pub(super) needs: Vec<&'static str>,
}

impl NumbersShard {
    /// Of these, with what every host must know.
    pub(super) fn new(numbers: &Numbers, needs: Vec<&'static str>) -> NumbersShard {
        let Numbers { next_host, next_vni, retired, .. } = numbers;
        NumbersShard { next_host: *next_host, next_vni: *next_vni, retired: retired.clone(), needs }
    }
}

impl BridgeShard {
    /// Its objects; `bridge` is the name of the bridge that it is the first shard of.
    pub(super) fn into_tree(
        self,
        bridge: Option<&str>,
        reader: &mut Reader<'_>,
    ) -> Result<Tree, DocumentError> {
        let mut tree = Tree::default();
        if let Some((name, object)) = bridge.zip(self.bridge) {
            let object = reader.object(format!("bridges.{name}"), object)?;
            tree.bridges.insert(name.to_owned(), object);
        }
        for object in self.vlans {
            tree.vlans.push(reader.object(path_of_vlan(&object), object)?);
        }
        for object in self.trunks {
            tree.trunks.push(reader.object(path_of("trunks", &object), object)?);
        }
        for object in self.ports {
            tree.ports.push(reader.object(path_of("ports", &object), object)?);
        }
        Ok(tree)
    }
}

/// `ports.vm1`
fn path_of(list: &str, object: &Value) -> String {
    format!("{list}.{}", object["name"].as_str().unwrap_or_default())
}

/// `vlans dc1.8`
fn path_of_vlan(object: &Value) -> String {
    format!("vlans {}.{}", object["bridge"].as_str().unwrap_or_default(), object["vid"])
}

/// Writes shards, with what is passed on.
pub(super) struct Writer<'a> {
    pub(super) unknown: &'a BTreeMap<String, Map<String, Value>>,
    pub(super) sources: &'a Sources,
}

impl Writer<'_> {
    /// An object with where it came from, and the keys of it that this version does not know.
    pub(super) fn object(&self, path: &str, object: &impl Serialize) -> Result<Value, DocumentError> {
        let mut value = serde_json::to_value(object).map_err(|error| told(path, &error))?;
        if let Some(source) = self.sources.get(path) {
            let source = serde_json::to_value(source).map_err(|error| told(path, &error))?;
            if let (Value::Object(map), Value::Object(source)) = (&mut value, source) {
                map.extend(source);
            }
        }
        if let (Value::Object(map), Some(unknown)) = (&mut value, self.unknown.get(path)) {
            map.extend(unknown.clone());
        }
        Ok(value)
    }

    pub(super) fn shard(&self, name: &str, shard: &impl Serialize) -> Result<Vec<u8>, DocumentError> {
        let mut value = self.object(name, shard)?;
        value[FORMAT_KEY] = Value::from(FORMAT);
        serde_json::to_vec(&value).map_err(|error| told(name, &error))
    }
}

/// The JSON of a shard.
pub(super) fn parse(name: &str, bytes: &[u8]) -> Result<Value, DocumentError> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(map)) => Ok(Value::Object(map)),
        Ok(_) => Err(DocumentError::Shard { name: name.to_owned(), why: "is no object of JSON".to_owned() }),
        Err(error) => Err(told(name, &error)),
    }
}

/// Reads a shard and its objects, and keeps the keys that this version does not know.
pub(super) struct Reader<'a> {
    name: &'a str,
    value: Value,
    pub(super) unknown: BTreeMap<String, Map<String, Value>>,
    pub(super) sources: Sources,
}

impl<'a> Reader<'a> {
    /// # Errors
    /// It has another format, or needs something that this version does not know.
    pub(super) fn new(name: &'a str, mut value: Value) -> Result<Reader<'a>, DocumentError> {
        let mut take = |key| value.as_object_mut().and_then(|map| map.remove(key)).unwrap_or_default();
        let (format, needs) = (take(FORMAT_KEY), take(NEEDS_KEY));
        if format != FORMAT && format != BEFORE_LISTS {
            return Err(DocumentError::Format { name: name.to_owned(), found: format });
        }
        let needs: Vec<String> = match needs {
            Value::Null => Vec::new(),
            needs => serde_json::from_value(needs).map_err(|error| told(name, &error))?,
        };
        match needs.into_iter().find(|feature| !FEATURES.contains(&feature.as_str())) {
            Some(feature) => Err(DocumentError::Needs { name: name.to_owned(), feature }),
            None => Ok(Reader { name, value, unknown: BTreeMap::new(), sources: Sources::default() }),
        }
    }

    /// The shard itself.
    pub(super) fn shard<T: DeserializeOwned>(&mut self) -> Result<T, DocumentError> {
        let value = std::mem::take(&mut self.value);
        self.known(self.name.to_owned(), value)
    }

    /// One of its objects, and where that came from.
    pub(super) fn object<T: DeserializeOwned>(
        &mut self,
        path: String,
        mut value: Value,
    ) -> Result<T, DocumentError> {
        let source: Map<String, Value> = value
            .as_object_mut()
            .map(|map| SOURCE_KEYS.iter().filter_map(|key| map.remove_entry(*key)).collect())
            .unwrap_or_default();
        let source = Source::deserialize(Value::Object(source)).map_err(|error| told(self.name, &error))?;
        self.sources.insert(path.clone(), source);
        self.known(path, value)
    }

    /// A key that is not known is kept; within a value of one nothing can be passed over.
    fn known<T: DeserializeOwned>(&mut self, path: String, mut value: Value) -> Result<T, DocumentError> {
        let mut passed_on = Map::new();
        let read = loop {
            let error = match T::deserialize(&value) {
                Ok(read) => break read,
                Err(error) => error,
            };
            let Some(key) = unknown_key(&error) else { return Err(told(self.name, &error)) };
            match value.as_object_mut().and_then(|map| map.remove_entry(&key)) {
                Some((key, value)) => drop(passed_on.insert(key, value)),
                None => return Err(DocumentError::Key { name: self.name.to_owned(), key }),
            }
        };
        if !passed_on.is_empty() {
            self.unknown.insert(path, passed_on);
        }
        Ok(read)
    }

    /// What the objects of the shard declare.
    pub(super) fn described(&self, tree: &Tree) -> Result<Description, DocumentError> {
        tree.description().map_err(|mistakes| match mistakes.into_iter().next() {
            Some(mistake) => DocumentError::Object { name: self.name.to_owned(), mistake },
            None => DocumentError::Shard { name: self.name.to_owned(), why: "has a mistake".to_owned() },
        })
    }
}

pub(super) fn told(name: &str, error: &serde_json::Error) -> DocumentError {
    DocumentError::Shard { name: name.to_owned(), why: error.to_string() }
}

pub(super) const FORMAT_KEY: &str = "format";
const NEEDS_KEY: &str = "needs";
/// Where an object came from ([`Source`]).
const SOURCE_KEYS: [&str; 2] = ["origin", "author"];
/// The layout that is written.
pub(super) const FORMAT: u8 = 4;
/// The same without lists, and without the bridges that lead to one.
pub(super) const BEFORE_LISTS: u8 = 3;
/// A host that is a VTEP, and a port that has no link: who does not know them would take the VTEP for one of us.
pub(super) const VTEP: &str = "vtep";
/// Another UDP port of VXLAN than the default: who does not know it would send to the wrong one.
pub(super) const OVERLAY_PORT: &str = "overlay-port";
/// Features that a shard may need. What is not among them belongs to the format.
const FEATURES: &[&str] = &[VTEP, OVERLAY_PORT];

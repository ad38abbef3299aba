//! How a topology is laid out in the store: a shard for each bridge with what hangs on it, one for each host, one for the counters of
//! numbers, one for what all hosts have in common, and for each host a list of the bridges that it has ports on. A change of one object
//! writes one shard, two where a port is the first or the last that its host has on its bridge, or a VLAN that leads to its bridge. An
//! agent reads what all have in common, its list, those bridges, what can be reached by them, and the hosts that have ports there
//! (`ShareReading`).
//!
//! A shard is one line of JSON with sorted keys, so that equal content has equal bytes and an operator can read it. Its objects are in the
//! words of the file ([`crate::tree`]), and an object that did not come from the daemon's own file says its `origin` and its `author`.
//! `format` says which layout it is, `needs` which features its reader must know: to pass one over might open what it closes; what every
//! host must know is needed by `numbers`, which all read. Other keys that a reader does not know are passed on as they are. Of a bridge
//! with many objects each kind goes on in further shards.
//!
//! ```text
//! hosts/gw1                 {"format":4,"host":{…},"number":1}
//! lists/gw1                 {"bridges":["vub8"],"format":4}
//! bridges/vub8              {"bridge":{…},"format":4,"led-from":["dc1"],"ports":[…],"segments":[…]}
//! parts/vub8/ports/vm4711   {"format":4,"ports":[…]}
//! numbers                   {"format":4,"next-host":2,"next-vni":8388608}
//! settings                  {"format":4,"overlay":{"port":4790}}
//! text                      {"file":"gateway.toml","format":4,"of":"…"}
//! pieces/00000              {"format":4,"text":"…"}
//! ```

mod format1;
mod format2;
mod parts;
mod shard;
mod share;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use nsdb::ShardName;
use serde_json::{Map, Value};
use vlan::model::description::{Description, Overlay};
use vlan::model::numbers::Numbers;

use crate::tree::{Sources, Tree, TreeMistake};
use shard::{BridgeShard, HostShard, ListShard, NumbersShard, Segment, SettingsShard};
use text::{PieceShard, TextReading, TextShard};

pub(crate) use share::ShareReading;
pub use text::{FileText, LONGEST_TEXT};

/// A topology as it is stored.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stored {
    /// What it declares, sorted by names.
    pub description: Description,
    /// The numbers that were dealt out to it; `None` in a store that was written before there were any.
    pub numbers: Option<Numbers>,
    /// The file that it was published from; `None` where it came otherwise.
    pub text: Option<FileText>,
    /// Where its objects came from.
    pub sources: Sources,
    /// What a newer version wrote that need not be known.
    pub unknown: Unknown,
}

/// What is passed on as it is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Unknown {
    /// Keys of objects, by path (`ports.vm1`), and of shards, by name (`hosts/gw1`).
    keys: BTreeMap<String, Map<String, Value>>,
    /// Shards of other kinds.
    shards: BTreeMap<ShardName, Vec<u8>>,
}

impl From<Description> for Stored {
    fn from(description: Description) -> Stored {
        Stored { description: description.in_order(), ..Stored::default() }
    }
}

impl Stored {
    /// What is stored behind `before`: what is not known of the objects that stay is passed on.
    pub fn after(
        before: Option<&Stored>,
        description: &Description,
        numbers: Numbers,
        text: Option<FileText>,
        sources: Sources,
    ) -> Stored {
        let unknown = before.map_or_else(Unknown::default, |before| before.unknown.of_those_in(description));
        Stored { description: description.in_order(), numbers: Some(numbers), text, sources, unknown }
    }
}

impl Unknown {
    fn of_those_in(&self, description: &Description) -> Unknown {
        let mut kept = Unknown { shards: self.shards.clone(), ..Unknown::default() };
        if self.keys.is_empty() {
            return kept;
        }
        let hosts = description
            .hosts
            .iter()
            .flat_map(|host| [format!("hosts.{}", host.name), format!("{HOSTS}{}", host.name)]);
        let bridges = description
            .bridges
            .iter()
            .flat_map(|bridge| [format!("bridges.{}", bridge.name), format!("{BRIDGES}{}", bridge.name)]);
        let vlans =
            description.vlans.iter().map(|peering| format!("vlans {}.{}", peering.bridge, peering.vid));
        let trunks = description.trunks.iter().map(|trunk| format!("trunks.{}", trunk.name));
        let ports = description.ports.iter().map(|port| format!("ports.{}", port.name));
        let paths = hosts.chain(bridges).chain(vlans).chain(trunks).chain(ports);
        let paths = paths.chain([NUMBERS, SETTINGS, OVERLAY].map(str::to_owned));
        for path in paths {
            if let Some(keys) = self.keys.get(&path) {
                kept.keys.insert(path, keys.clone());
            }
        }
        kept
    }
}

/// A stored topology that cannot be read or written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DocumentError {
    /// A shard's bytes are not what its name says.
    #[error("shard {name}: {why}")]
    Shard {
        /// The shard.
        name: String,
        /// Why.
        why: String,
    },
    /// What would be stored does not say what it was made of.
    #[error("this cannot be stored, since it would be read as something else: {why}; please report it")]
    Differs {
        /// How.
        why: String,
    },
    /// A shard is of a format that this version does not know.
    #[error(
        "shard {name} has format {found}, this version reads up to {}; a newer version wrote it?",
        shard::FORMAT
    )]
    Format {
        /// The shard.
        name: String,
        /// What it says.
        found: Value,
    },
    /// A shard needs a reader that knows more.
    #[error("shard {name} needs {feature:?}, which this version does not know; a newer version wrote it")]
    Needs {
        /// The shard.
        name: String,
        /// The feature.
        feature: String,
    },
    /// A shard has a key where none can be passed over.
    #[error("shard {name} has {key:?}, which this version does not know; a newer version wrote it?")]
    Key {
        /// The shard.
        name: String,
        /// The key.
        key: String,
    },
    /// An object says nothing that the model knows.
    #[error("shard {name}: {mistake}")]
    Object {
        /// The shard.
        name: String,
        /// Which object, and what is wrong with it.
        mistake: TreeMistake,
    },
    /// An object's name cannot be a shard's.
    #[error("{name:?} cannot be stored: {reason}")]
    Name {
        /// The name.
        name: String,
        /// Why.
        reason: String,
    },
}

impl DocumentError {
    /// Whether the topology itself cannot be stored, whichever store it is.
    pub fn is_of_topology(&self) -> bool {
        matches!(self, DocumentError::Name { .. } | DocumentError::Differs { .. })
    }
}

/// The shards of a topology.
///
/// # Errors
/// A name that cannot be a shard's.
pub fn to_shards(stored: &Stored) -> Result<BTreeMap<ShardName, Vec<u8>>, DocumentError> {
    let Stored { description, numbers, text, sources, unknown } = stored;
    let tree = Tree::from(description);
    let writer = shard::Writer { unknown: &unknown.keys, sources };
    let mut shards = unknown.shards.clone();
    let overlay = writer.object(OVERLAY, &tree.overlay)?;
    let overlay = overlay.as_object().is_some_and(|object| !object.is_empty()).then_some(overlay);
    if overlay.is_some() || unknown.keys.contains_key(SETTINGS) {
        shards.insert(shard_name(SETTINGS)?, writer.shard(SETTINGS, &SettingsShard { overlay })?);
    }
    for (host, object) in &tree.hosts {
        let number = numbers.as_ref().and_then(|numbers| numbers.hosts.get(host)).copied();
        let needs = if object.is_vtep() { vec![shard::VTEP] } else { Vec::new() };
        let shard = HostShard { host: writer.object(&format!("hosts.{host}"), object)?, number, needs };
        let name = format!("{HOSTS}{host}");
        shards.insert(shard_name(&name)?, writer.shard(&name, &shard)?);
    }
    for (host, bridges) in description.bridges_of_hosts() {
        for (suffix, list) in parts::lists(&bridges) {
            let name = suffix.map_or(format!("{LISTS}{host}"), |suffix| format!("{LISTS}{host}/{suffix}"));
            shards.insert(shard_name(&name)?, writer.shard(&name, &list)?);
        }
    }
    let mut hanging = parts::Hanging::of(&tree, numbers.as_ref(), &writer)?;
    let mut led_from = description.led_from();
    for (bridge, object) in &tree.bridges {
        let object = writer.object(&format!("bridges.{bridge}"), object)?;
        let led_from = led_from.remove(bridge.as_str()).unwrap_or_default();
        let led_from = led_from.into_iter().map(str::to_owned).collect();
        for (suffix, part) in parts::parts(object, led_from, hanging.of_bridge(bridge)) {
            let name = match suffix {
                None => format!("{BRIDGES}{bridge}"),
                Some(suffix) => format!("{PARTS}{bridge}/{suffix}"),
            };
            shards.insert(shard_name(&name)?, writer.shard(&name, &part)?);
        }
    }
    if let Some(numbers) = numbers {
        let has_port = description.overlay != Overlay::default();
        let needs = if has_port { vec![shard::OVERLAY_PORT] } else { Vec::new() };
        shards.insert(shard_name(NUMBERS)?, writer.shard(NUMBERS, &NumbersShard::new(numbers, needs))?);
    }
    if let Some(FileText { file, text }) = text {
        let shard = TextShard { file: file.clone(), of: tree.digest() };
        shards.insert(shard_name(TEXT)?, writer.shard(TEXT, &shard)?);
        for (number, piece) in text::pieces(text).into_iter().enumerate() {
            let name = format!("{PIECES}{number:05}");
            let shard = PieceShard { text: piece.to_owned() };
            shards.insert(shard_name(&name)?, writer.shard(&name, &shard)?);
        }
    }
    Ok(shards)
}

/// Whether shards hold what they were made of: what cannot be read again must not become the newest revision.
///
/// # Errors
/// They cannot be read, or say something else.
pub fn check_read_back(stored: &Stored, shards: &BTreeMap<ShardName, Vec<u8>>) -> Result<(), DocumentError> {
    match from_shards(shards.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))) {
        Ok(read) if read == *stored => Ok(()),
        Ok(_) => Err(DocumentError::Differs { why: "a setting is lost".to_owned() }),
        Err(error) => Err(DocumentError::Differs { why: error.to_string() }),
    }
}

/// The topology that shards hold.
///
/// # Errors
/// A shard that is damaged, of another format, or that needs a newer version.
pub fn from_shards<'a>(
    shards: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<Stored, DocumentError> {
    let mut reading = Reading::default();
    for (name, bytes) in shards {
        reading.take(name, bytes)?;
    }
    Ok(reading.finish())
}

/// What has been read so far.
#[derive(Default)]
struct Reading {
    description: Description,
    numbers: Numbers,
    has_numbers: bool,
    /// Whether hosts have lists in it.
    has_lists: bool,
    /// What the lists name that were read.
    listed: BTreeSet<String>,
    /// For each bridge, those of which a VLAN is that one.
    led_from: BTreeMap<String, BTreeSet<String>>,
    text: TextReading,
    sources: Sources,
    unknown: Unknown,
}

impl Reading {
    fn take(&mut self, name: &str, bytes: &[u8]) -> Result<(), DocumentError> {
        let value = match bytes.first() {
            None | Some(&format1::FORMAT) => format2::take(name, format1::read(name, bytes)?)?,
            Some(_) => {
                let value = shard::parse(name, bytes)?;
                if value[shard::FORMAT_KEY] == format2::FORMAT {
                    format2::take(name, value)?
                } else {
                    return self.take_newest(name, value, bytes);
                }
            }
        };
        self.add(value);
        Ok(())
    }

    fn take_newest(&mut self, name: &str, value: Value, bytes: &[u8]) -> Result<(), DocumentError> {
        let has_lists = value[shard::FORMAT_KEY] != shard::BEFORE_LISTS;
        let mut reader = shard::Reader::new(name, value)?;
        if let Some(host) = name.strip_prefix(HOSTS) {
            let HostShard { host: object, number, .. } = reader.shard()?;
            if let Some(number) = number {
                self.numbers.hosts.insert(host.to_owned(), number);
            }
            let object = reader.object(format!("hosts.{host}"), object)?;
            let hosts = [(host.to_owned(), object)].into();
            self.add(reader.described(&Tree { hosts, ..Tree::default() })?);
        } else if name == SETTINGS {
            let SettingsShard { overlay } = reader.shard()?;
            if let Some(overlay) = overlay {
                let overlay = reader.object(OVERLAY.to_owned(), overlay)?;
                self.add(reader.described(&Tree { overlay, ..Tree::default() })?);
            }
        } else if name.starts_with(LISTS) {
            let ListShard { bridges } = reader.shard()?;
            self.listed.extend(bridges);
            // What else it says was of the revision that it was made for.
            return Ok(());
        } else if name.starts_with(BRIDGES) || name.starts_with(PARTS) {
            let mut shard: BridgeShard = reader.shard()?;
            if let Some(bridge) = name.strip_prefix(BRIDGES) {
                self.led_from.insert(bridge.to_owned(), std::mem::take(&mut shard.led_from));
            }
            for segment in std::mem::take(&mut shard.segments) {
                segment.put_into(&mut self.numbers);
            }
            let tree = shard.into_tree(name.strip_prefix(BRIDGES), &mut reader)?;
            self.add(reader.described(&tree)?);
        } else if name == NUMBERS {
            let shard: NumbersShard = reader.shard()?;
            (self.has_numbers, self.has_lists) = (true, has_lists);
            (self.numbers.next_host, self.numbers.next_vni) = (shard.next_host, shard.next_vni);
            self.numbers.retired = shard.retired;
        } else if name == TEXT {
            self.text.head = Some(reader.shard()?);
        } else if name.starts_with(PIECES) {
            self.text.pieces.insert(name.to_owned(), reader.shard()?);
        } else if name.starts_with(WHOLE_PIECES) {
            self.text.whole_pieces.insert(name.to_owned(), reader.shard()?);
        } else {
            self.unknown.shards.insert(shard_name(name)?, bytes.to_vec());
            return Ok(());
        }
        self.sources.extend(reader.sources);
        self.unknown.keys.extend(reader.unknown);
        Ok(())
    }

    fn add(&mut self, more: Description) {
        let Description { hosts, bridges, vlans, trunks, ports, overlay } = more;
        self.description.hosts.extend(hosts);
        self.description.bridges.extend(bridges);
        self.description.vlans.extend(vlans);
        self.description.trunks.extend(trunks);
        self.description.ports.extend(ports);
        if overlay != Overlay::default() {
            self.description.overlay = overlay;
        }
    }

    fn finish(self) -> Stored {
        let description = self.description.in_order();
        let text = self.text.finish(|| Tree::from(&description).digest());
        let numbers = self.has_numbers.then_some(self.numbers);
        Stored { description, numbers, text, sources: self.sources, unknown: self.unknown }
    }
}

/// Puts the VNIs that a shard has into `numbers`, whatever else it says: one that needs a newer version, or has lost an object, has them
/// all the same.
pub(crate) fn take_segments(bytes: &[u8], numbers: &mut Numbers) {
    let segments = serde_json::from_slice::<Value>(bytes).ok().and_then(|mut shard| {
        let segments = shard.get_mut("segments")?.take();
        serde_json::from_value::<Vec<Segment>>(segments).ok()
    });
    segments.into_iter().flatten().for_each(|segment| segment.put_into(numbers));
}

/// Whether the shard of a host is that of a VTEP, which runs no agent.
pub(crate) fn is_of_vtep(shard: &[u8]) -> bool {
    let shard = serde_json::from_slice::<Value>(shard);
    shard.is_ok_and(|json| json.pointer("/host/kind").and_then(Value::as_str) == Some(shard::VTEP))
}

fn shard_name(name: &str) -> Result<ShardName, DocumentError> {
    ShardName::new(name)
        .map_err(|error| DocumentError::Name { name: name.to_owned(), reason: error.to_string() })
}

/// Below it a shard for each host.
pub(crate) const HOSTS: &str = "hosts/";
const BRIDGES: &str = "bridges/";
const PARTS: &str = "parts/";
const LISTS: &str = "lists/";
/// The shard of whose text the pieces are.
const TEXT: &str = "text";
const PIECES: &str = "pieces/";
/// Pieces that each say whose text they are, as they were stored before there was [`TEXT`].
const WHOLE_PIECES: &str = "text/";
/// The shard of what all hosts have in common; where nothing of that is declared there is none.
const SETTINGS: &str = "settings";
/// The object in it.
const OVERLAY: &str = "overlay";
/// The shard of the counters.
pub(crate) const NUMBERS: &str = "numbers";

#[cfg(test)]
mod tests;

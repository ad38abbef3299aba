//! The topology in the words of the file, as a tree: what the store keeps and what the socket gives and takes.
//!
//! A TOML file and this tree as JSON are the same, `[[vlans]]` with ranges apart: they are written one by one. Types and keys are its
//! own, so that the compiled model can change and what is stored stays. What has its default is left out.
//!
//! ```text
//! file (TOML) ──► Description ──► tree ──► store, socket (JSON) ──► tree ──► Description
//! ```

mod objects;
mod origin;
mod port;
mod text;

use std::collections::BTreeMap;
use std::fmt;

use nsdb::ShardId;
use serde::{Deserialize, Serialize};
use vlan::model::description::{self, Description};
use vlan::model::mistake::{Mistake, ObjectKey, Table};
use vlan::model::value;

pub use objects::{Bridge, Host, Overlay, Peering};
pub use origin::{Origin, Source, Sources};
pub use port::Port;
pub use text::runs;

/// A whole topology.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tree {
    /// `[hosts.NAME]`
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub hosts: BTreeMap<String, Host>,
    /// `[bridges.NAME]`
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub bridges: BTreeMap<String, Bridge>,
    /// `[[vlans]]`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub vlans: Vec<Peering>,
    /// `[[trunks]]`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trunks: Vec<Port>,
    /// `[[ports]]`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
    /// `[overlay]`
    #[serde(skip_serializing_if = "is_default")]
    pub overlay: Overlay,
}

/// A value of a tree that says nothing the model knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeMistake {
    /// The object, such as `ports.vm1`.
    pub path: String,
    /// Its key; empty for the object as a whole.
    pub key: &'static str,
    /// Which value, and what is allowed.
    pub text: String,
}

impl TreeMistake {
    /// A mistake of a description, under the name of its object.
    pub fn in_description(Mistake { place, text }: Mistake, description: &Description) -> TreeMistake {
        let ObjectKey { table, index, key } = place;
        let name = match table {
            Table::Overlay => return TreeMistake { path: table.name().to_owned(), key, text },
            Table::Hosts => description.hosts.get(index).map(|host| called(&host.name)),
            Table::Bridges => description.bridges.get(index).map(|bridge| called(&bridge.name)),
            Table::Vlans => {
                let path = description.vlans.get(index).map(|peering| Peering::from(peering).path());
                return TreeMistake { path: path.unwrap_or_default(), key, text };
            }
            Table::Trunks => description.trunks.get(index).map(|trunk| called(&trunk.name)),
            Table::Ports => description.ports.get(index).map(|port| called(&port.name)),
        };
        TreeMistake { path: format!("{table}.{}", name.unwrap_or_default()), key, text }
    }
}

/// A name in a path; one that is none in quotation marks, since anything may be in it.
pub(crate) fn called(name: &str) -> String {
    match value::name(name) {
        Ok(()) => name.to_owned(),
        Err(_) => value::quote(name),
    }
}

impl fmt::Display for TreeMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot = if self.key.is_empty() { "" } else { "." };
        write!(f, "{}{dot}{}: {}", self.path, self.key, self.text)
    }
}

/// What is wrong with one key of an object: the key, and which value and what is allowed.
type Wrong = (&'static str, String);

impl Tree {
    /// SHA-256 over what is declared, whatever its order in the file, in hexadecimal.
    pub fn digest(&self) -> String {
        serde_json::to_vec(self).map_or_else(|_| String::new(), |text| ShardId::of(&text).to_string())
    }

    /// What it declares, sorted by names: in a file order says nothing.
    ///
    /// # Errors
    /// The first mistake of each object that has one.
    pub fn description(&self) -> Result<Description, Vec<TreeMistake>> {
        let mut reader = Reader::default();
        let hosts = self
            .hosts
            .iter()
            .filter_map(|(name, host)| reader.read(|| format!("hosts.{}", called(name)), || host.read(name)));
        let hosts = hosts.collect();
        let bridges = self.bridges.iter().filter_map(|(name, bridge)| {
            reader.read(|| format!("bridges.{}", called(name)), || bridge.read(name))
        });
        let bridges = bridges.collect();
        let vlans = self.vlans.iter().filter_map(|peering| reader.read(|| peering.path(), || peering.read()));
        let vlans = vlans.collect();
        let mut ports = |list: &[Port], is_trunk: bool| -> Vec<description::Port> {
            let read = |port: &Port| reader.read(|| port.path(is_trunk), || port.read(is_trunk));
            list.iter().filter_map(read).collect()
        };
        let (trunks, ports) = (ports(&self.trunks, true), ports(&self.ports, false));
        let overlay = self.overlay.read();
        match reader.mistakes.is_empty() {
            true => Ok(Description { hosts, bridges, vlans, trunks, ports, overlay }.in_order()),
            false => Err(reader.mistakes),
        }
    }
}

/// Reads objects and keeps what is wrong with them.
#[derive(Default)]
struct Reader {
    mistakes: Vec<TreeMistake>,
}

impl Reader {
    fn read<T>(&mut self, path: impl Fn() -> String, read: impl FnOnce() -> Result<T, Wrong>) -> Option<T> {
        let told = |(key, text)| TreeMistake { path: path(), key, text };
        read().map_err(|wrong| self.mistakes.push(told(wrong))).ok()
    }
}

impl From<&Description> for Tree {
    fn from(description: &Description) -> Tree {
        let Description { hosts, bridges, vlans, trunks, ports, overlay } = description;
        let mut tree = Tree {
            hosts: hosts.iter().map(|host| (host.name.clone(), Host::from(host))).collect(),
            bridges: bridges.iter().map(|bridge| (bridge.name.clone(), Bridge::from(bridge))).collect(),
            vlans: vlans.iter().map(Peering::from).collect(),
            trunks: trunks.iter().map(|trunk| Port::new(trunk, true)).collect(),
            ports: ports.iter().map(|port| Port::new(port, false)).collect(),
            overlay: Overlay::from(overlay),
        };
        tree.vlans.sort_by(|a, b| (&a.bridge, a.vid).cmp(&(&b.bridge, b.vid)));
        tree.trunks.sort_by(|a, b| a.name.cmp(&b.name));
        tree.ports.sort_by(|a, b| a.name.cmp(&b.name));
        tree
    }
}

/// Whether a key need not be written.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

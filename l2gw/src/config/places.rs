//! Where in the file each object and each of its keys is, so that what is said later about an object can name its line.

use agent::reader::finding::Finding;
use agent::reader::paths::path_of;
use agent::reader::position::{Position, Positions};
use agent::reader::section::Heading;
use toml::de::DeTable;
use vlan::model::mistake::{Mistake, ObjectKey, Table};

/// Positions of objects and their keys. Indices are those of the file's lists, which are the
/// [`vlan::model::description::Description`]'s when the file has no mistake.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    overlay: Vec<ObjectPlace>,
    hosts: Vec<ObjectPlace>,
    bridges: Vec<ObjectPlace>,
    vlans: Vec<ObjectPlace>,
    trunks: Vec<ObjectPlace>,
    ports: Vec<ObjectPlace>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct ObjectPlace {
    path: String,
    header: Position,
    /// Those that its kind has.
    keys: Vec<(&'static str, Position)>,
}

impl Places {
    /// Notes the next object of `table`: where its header is, and those of its keys that its kind has.
    pub(super) fn add(&mut self, table: Table, heading: &Heading, object: &DeTable<'_>, at: &Positions<'_>) {
        let place = |key: &&'static str| Some((*key, at.at(object.get(*key)?.span().start)));
        let keys = heading.keys.iter().filter_map(place).collect();
        let object = ObjectPlace { path: heading.path.clone(), header: at.at(heading.offset), keys };
        self.list_mut(table).push(object);
    }

    /// Notes the next object of `table`, which the file does not write out. Its place is that of `key` of another object.
    pub(super) fn add_made(
        &mut self,
        table: Table,
        path: &str,
        (of, index, key): (Table, usize, &'static str),
    ) {
        let header = self.position(&ObjectKey { table: of, index, key }).unwrap_or_default();
        self.list_mut(table).push(ObjectPlace { path: path.to_owned(), header, keys: Vec::new() });
    }

    /// Where the value of an object's key is; the object's header if the key is absent or empty. `None` for an object
    /// that is not in the file.
    pub fn position(&self, place: &ObjectKey) -> Option<Position> {
        let object = self.list(place.table).get(place.index)?;
        let key = object.keys.iter().find(|(key, _)| *key == place.key);
        Some(key.map_or(object.header, |(_, position)| *position))
    }

    /// The name by which messages call an object: `trunks.leaf1`, `vlans.2`.
    pub fn path(&self, table: Table, index: usize) -> Option<&str> {
        self.list(table).get(index).map(|object| object.path.as_str())
    }

    /// A mistake or warning of the topology, with its place in the file.
    pub(crate) fn finding(&self, mistake: &Mistake) -> Finding {
        let ObjectKey { table, index, key } = &mistake.place;
        let position = self.position(&mistake.place).unwrap_or_default();
        let path = self.path(*table, *index).map_or_else(|| table.name().to_owned(), str::to_owned);
        let key = if key.is_empty() { path } else { path_of(&path, key) };
        Finding { line: position.line, column: position.column, key, text: mistake.text.clone() }
    }

    fn list(&self, table: Table) -> &Vec<ObjectPlace> {
        match table {
            Table::Overlay => &self.overlay,
            Table::Hosts => &self.hosts,
            Table::Bridges => &self.bridges,
            Table::Vlans => &self.vlans,
            Table::Trunks => &self.trunks,
            Table::Ports => &self.ports,
        }
    }

    fn list_mut(&mut self, table: Table) -> &mut Vec<ObjectPlace> {
        match table {
            Table::Overlay => &mut self.overlay,
            Table::Hosts => &mut self.hosts,
            Table::Bridges => &mut self.bridges,
            Table::Vlans => &mut self.vlans,
            Table::Trunks => &mut self.trunks,
            Table::Ports => &mut self.ports,
        }
    }
}

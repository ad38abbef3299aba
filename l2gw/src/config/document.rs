//! The file as a whole: its sections and lists, object by object, in the file's order.

use std::collections::HashSet;

use agent::config::store::{self, Stores};
use agent::reader::draft::Drafts;
use agent::reader::paths::{element_path, path_of};
use agent::reader::position::Positions;
use agent::reader::section::{Heading, Section, Value};
use agent::reader::words::quoted_with_type;
use toml::de::{DeTable, DeValue};
use vlan::model::description::{BridgeKind, Description, Peering};
use vlan::model::mistake::Table;
use vlan::model::value;

use super::objects;
use super::places::Places;
use super::ports::{self, BridgeKinds, HostKinds};

/// What a file says, as far as it can be read.
#[derive(Debug)]
pub(super) struct Document {
    /// Objects that could be read; peerings that could not are left out.
    pub(super) description: Description,
    /// The index in [`Places`] of each of [`Description::vlans`], ascending; one object may stand for several.
    pub(super) vlans: Vec<usize>,
    /// Whether an object of `[[vlans]]` could not be read.
    pub(super) is_peering_missing: bool,
    /// Lists that could not be read at all, so that references into them say nothing.
    pub(super) unread: Vec<&'static str>,
    /// Where everything is.
    pub(super) places: Places,
    /// `[nsdb]` and `[journal]`.
    pub(super) stores: Stores,
}

/// Reads the tree of a file; mistakes go to `drafts`.
pub(super) fn read(root: &DeTable<'_>, positions: &Positions<'_>, drafts: &mut Drafts) -> Document {
    let top = Section::open(root, Heading::plain("", 0, "the file", FILE_KEYS), drafts);
    let unread = FILE_KEYS.iter().filter(|key| top.is_misspelt(key)).copied().collect();
    let document = Document {
        description: Description::default(),
        vlans: Vec::new(),
        is_peering_missing: false,
        unread,
        places: Places::default(),
        stores: store::stores(root, drafts),
    };
    let mut reader = Reader { root, positions, drafts, document, bridges: HashSet::new() };
    reader.overlay();
    reader.hosts();
    reader.bridges();
    reader.vlans();
    reader.trunks();
    reader.ports();
    reader.document
}

/// One object of a list.
struct Entry<'a> {
    table: &'a DeTable<'a>,
    heading: Heading,
    name: &'a str,
    index: usize,
}

struct Reader<'r, 'a> {
    root: &'a DeTable<'a>,
    positions: &'r Positions<'r>,
    drafts: &'r mut Drafts,
    document: Document,
    /// Names of the bridges so far.
    bridges: HashSet<String>,
}

impl<'a> Reader<'_, 'a> {
    fn overlay(&mut self) {
        let Some(value) = self.root.get(OVERLAY) else { return };
        let table = Table::Overlay;
        let DeValue::Table(object) = value.get_ref() else {
            return self.unreadable(table, value, OVERLAY, "[overlay]");
        };
        let heading = Heading {
            path: OVERLAY.to_owned(),
            offset: value.span().start,
            object: Some((table, 0)),
            title: "[overlay]",
            keys: objects::OVERLAY_KEYS,
            foreign: &[],
        };
        self.document.places.add(table, &heading, object, self.positions);
        let entry = Entry { table: object, heading, name: "", index: 0 };
        self.document.description.overlay = objects::overlay(&mut self.open(&entry));
    }

    fn hosts(&mut self) {
        for entry in self.named(Table::Hosts, "[hosts.NAME]", objects::HOST_KEYS) {
            let host = objects::host(entry.name.to_owned(), &mut self.open(&entry));
            self.document.description.hosts.push(host);
        }
    }

    fn bridges(&mut self) {
        for entry in self.named(Table::Bridges, "[bridges.NAME]", objects::BRIDGE_KEYS) {
            let bridge = objects::bridge(entry.name.to_owned(), &mut self.open(&entry));
            self.bridges.insert(bridge.name.clone());
            self.document.description.bridges.push(bridge);
        }
    }

    fn vlans(&mut self) {
        for entry in self.listed(Table::Vlans, "[[vlans]]", objects::PEERING_KEYS, &[]) {
            let Some(peerings) = objects::peerings(&mut self.open(&entry)) else {
                self.document.is_peering_missing = true;
                continue;
            };
            if self.document.description.vlans.len() + peerings.list.len() > Peering::MOST {
                let most = Peering::MOST;
                let text =
                    format!("with these there are more than {most} VLANs, at most that many are allowed");
                self.drafts.add(entry.heading.offset, path_of(&entry.heading.path, "vid"), text);
                self.document.is_peering_missing = true;
                return;
            }
            if peerings.makes_bridges {
                self.make_bridges(entry.index, &peerings.list);
            }
            self.document.vlans.extend(peerings.list.iter().map(|_| entry.index));
            self.document.description.vlans.extend(peerings.list);
        }
    }

    /// A VLAN-unaware bridge for each that these lead to and that the file does not declare.
    fn make_bridges(&mut self, index: usize, peerings: &[Peering]) {
        for peering in peerings {
            if self.bridges.insert(peering.to.clone()) {
                let path = path_of(Table::Bridges.name(), &peering.to);
                self.document.places.add_made(Table::Bridges, &path, (Table::Vlans, index, "to"));
                self.document.description.bridges.push(objects::made_bridge(&peering.to));
            }
        }
    }

    fn trunks(&mut self) {
        let hosts = self.host_kinds();
        for entry in self.listed(Table::Trunks, "[[trunks]]", ports::TRUNK_KEYS, ports::NOT_OF_TRUNKS) {
            let trunk = ports::trunk(&mut self.open(&entry), &hosts);
            self.document.description.trunks.push(trunk);
        }
    }

    fn ports(&mut self) {
        let (hosts, bridges) = (self.host_kinds(), self.bridge_kinds());
        for entry in self.listed(Table::Ports, "[[ports]]", ports::PORT_KEYS, ports::NOT_OF_PORTS) {
            let port = ports::port(&mut self.open(&entry), &hosts, &bridges);
            self.document.description.ports.push(port);
        }
    }

    fn host_kinds(&self) -> HostKinds {
        let is_clear = |index| !self.drafts.is_tainted((Table::Hosts, index), &["kind"]);
        let hosts = self.document.description.hosts.iter().enumerate();
        hosts.map(|(index, host)| (host.name.clone(), is_clear(index).then_some(host.kind))).collect()
    }

    fn bridge_kinds(&self) -> BridgeKinds {
        let bridges = self.document.description.bridges.iter().enumerate();
        let kind = |index, kind: &BridgeKind| {
            let is_clear = !self.drafts.is_tainted((Table::Bridges, index), &["kind"]);
            is_clear.then_some(matches!(kind, BridgeKind::VlanAware { .. }))
        };
        bridges.map(|(index, bridge)| (bridge.name.clone(), kind(index, &bridge.kind))).collect()
    }

    fn open(&mut self, entry: &Entry<'a>) -> Section<'_, 'a> {
        Section::open(entry.table, entry.heading.clone(), self.drafts)
    }

    /// The tables `[hosts.NAME]` or `[bridges.NAME]` in the file's order.
    fn named(&mut self, table: Table, title: &'static str, keys: &'static [&'static str]) -> Vec<Entry<'a>> {
        let Some(value) = self.root.get(table.name()) else { return Vec::new() };
        let DeValue::Table(objects) = value.get_ref() else {
            self.unreadable(table, value, table.name(), title);
            return Vec::new();
        };
        let mut objects: Vec<_> = objects.iter().collect();
        objects.sort_by_key(|(name, _)| name.span().start);
        let mut entries = Vec::new();
        for (name, value) in objects {
            let path = path_of(table.name(), name.get_ref());
            let offset = value.span().start;
            let DeValue::Table(object) = value.get_ref() else {
                self.unreadable(table, value, &path, title);
                continue;
            };
            let index = entries.len();
            if let Err(mistake) = value::name(name.get_ref()) {
                self.drafts.taint((table, index), "name");
                self.drafts.add(name.span().start, path.clone(), mistake);
            }
            let heading = Heading { path, offset, object: Some((table, index)), title, keys, foreign: &[] };
            self.document.places.add(table, &heading, object, self.positions);
            entries.push(Entry { table: object, heading, name: name.get_ref(), index });
        }
        entries
    }

    /// The objects of `[[vlans]]`, `[[trunks]]` or `[[ports]]`.
    fn listed(
        &mut self,
        table: Table,
        title: &'static str,
        keys: &'static [&'static str],
        foreign: &'static [&'static str],
    ) -> Vec<Entry<'a>> {
        let Some(value) = self.root.get(table.name()) else { return Vec::new() };
        let DeValue::Array(objects) = value.get_ref() else {
            self.unreadable(table, value, table.name(), title);
            return Vec::new();
        };
        let mut entries = Vec::new();
        for (number, value) in objects.iter().enumerate() {
            let path = element_path(table.name(), number, value);
            let offset = value.span().start;
            let DeValue::Table(object) = value.get_ref() else {
                self.unreadable(table, value, &path, title);
                continue;
            };
            let index = entries.len();
            let heading = Heading { path, offset, object: Some((table, index)), title, keys, foreign };
            self.document.places.add(table, &heading, object, self.positions);
            entries.push(Entry { table: object, heading, name: "", index });
        }
        entries
    }

    /// A list, or one of its objects, that is something else altogether.
    fn unreadable(&mut self, table: Table, value: &Value<'_>, path: &str, title: &str) {
        if !self.document.unread.contains(&table.name()) {
            self.document.unread.push(table.name());
        }
        let text = format!("{}, allowed is {title}", quoted_with_type(value));
        self.drafts.add(value.span().start, path.to_owned(), text);
    }
}

/// Sections and lists of the file.
const FILE_KEYS: &[&str] = &["nsdb", "journal", OVERLAY, "hosts", "bridges", "vlans", "trunks", "ports"];
const OVERLAY: &str = Table::Overlay.name();

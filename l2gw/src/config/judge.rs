//! What a file's objects say together: `Topology::build`, without what merely follows from a mistake already told.
//!
//! `Topology::build` looks at the peerings' graph only when every object is right by itself. So that one bad VID does not hide a
//! loop, the objects with mistakes are taken out and what is left is judged again, as to the graph alone.

use std::collections::HashSet;

use agent::config::store::Nsdb;
use agent::reader::draft::{Drafts, Object};
use vlan::model::description::{BridgeKind, Description, HostKind, Mode, Port};
use vlan::model::mistake::{Mistake, ObjectKey, Table};
use vlan::model::topology::Topology;
use vlan::model::value::quote;

use super::StoreSaid;
use super::document::Document;

/// The topology, or the mistakes to tell with places in the file's lists. No topology and no mistakes either when
/// `drafts` explain all that is wrong.
pub(super) fn judge(
    document: &Document,
    drafts: &Drafts,
    store: StoreSaid,
) -> Result<Topology, Vec<Mistake>> {
    let second_host = || second_host(document, drafts).filter(|_| store == StoreSaid::InFile);
    let mistakes = match Topology::build(&document.description) {
        Ok(topology) => match (second_host(), drafts.is_empty()) {
            (None, true) => return Ok(topology),
            (second, _) => return Err(second.into_iter().collect()),
        },
        Err(mistakes) => mistakes,
    };
    let unclear = unclear_bridges(document, drafts);
    let mut all = Judge { document, drafts, unclear }.all(mistakes);
    all.extend(second_host());
    Err(all)
}

/// Ports on a second host, where the store is one host's own: nothing would go from one to the other. A VTEP reads no store.
fn second_host(document: &Document, drafts: &Drafts) -> Option<Mistake> {
    let stores = &document.stores;
    if !matches!(stores.nsdb, Nsdb::Embedded { .. }) || !stores.is_nsdb_clear {
        return None;
    }
    let description = &document.description;
    let is_clear = |index| !drafts.is_tainted((Table::Hosts, index), &["kind"]);
    let agents = description.hosts.iter().enumerate().filter(|(_, host)| host.kind == HostKind::L2gw);
    let known: HashSet<&str> =
        agents.filter(|(index, _)| is_clear(*index)).map(|(_, host)| host.name.as_str()).collect();
    let trunks =
        description.trunks.iter().enumerate().map(|(index, port)| (Table::Trunks, index, &port.host));
    let ports = description.ports.iter().enumerate().map(|(index, port)| (Table::Ports, index, &port.host));
    let mut placed = trunks.chain(ports).filter(|(_, _, host)| known.contains(host.as_str()));
    let (_, _, first) = placed.next()?;
    let (table, index, second) = placed.find(|(_, _, host)| *host != first)?;
    let text = format!(
        "{} is a second host with ports, after {}: nsdb.backend \"embedded\" is the store of a single host, and nothing would be forwarded \
         between them; backend = \"zookeeper\" is the store of several hosts",
        quote(second),
        quote(first)
    );
    Some(Mistake { place: ObjectKey { table, index, key: "host" }, text })
}

struct Judge<'a> {
    document: &'a Document,
    drafts: &'a Drafts,
    /// Names of bridges whose kind cannot be told, so that nothing can be told of their ports and peerings.
    unclear: HashSet<&'a str>,
}

impl Judge<'_> {
    /// `mistakes` of the whole description, then those of the graph of what is right.
    fn all(&self, mistakes: Vec<Mistake>) -> Vec<Mistake> {
        let mut rest = Rest::new(self.document, self.drafts);
        let mut all = self.news(&mistakes, &rest.vlans);
        let mut found = mistakes;
        for _ in 0..MOST_ROUNDS {
            rest.remove(&found);
            let Err(mistakes) = Topology::build(&rest.description) else { break };
            let (graph, _): (Vec<_>, Vec<_>) =
                mistakes.iter().cloned().partition(|mistake| mistake.place.table == Table::Vlans);
            all.extend(self.news(&graph, &rest.vlans));
            found = mistakes;
        }
        all
    }

    /// The mistakes that say more than is told already, with places in the file; `vlans` are the peerings' indices there.
    fn news(&self, mistakes: &[Mistake], vlans: &[usize]) -> Vec<Mistake> {
        in_file(mistakes, vlans).into_iter().filter(|mistake| self.is_news(mistake)).collect()
    }

    /// Whether `mistake` is more than a consequence of what is told already.
    fn is_news(&self, mistake: &Mistake) -> bool {
        let ObjectKey { table, index, key } = mistake.place;
        let object = (table, index);
        !(self.drafts.is_tainted(object, &[key])
            || self.drafts.is_tainted(object, causes(key))
            || self.is_doubled(object)
            || self.leads_to_the_unread(key)
            || self.is_about_an_unclear_bridge(object, key)
            || self.is_about_an_unclear_host(object, key)
            || self.misses_a_mapped_vid(object, key))
    }

    fn is_doubled(&self, (table, index): Object) -> bool {
        self.document.places.path(table, index).is_some_and(|path| self.drafts.doubled().contains(path))
    }

    fn leads_to_the_unread(&self, key: &str) -> bool {
        let list = match key {
            "host" => "hosts",
            "bridge" | "to" => "bridges",
            _ => return false,
        };
        self.document.unread.contains(&list)
    }

    fn is_about_an_unclear_bridge(&self, (table, index): Object, key: &str) -> bool {
        if !matches!(key, "bridge" | "to" | "mode" | "vid") {
            return false;
        }
        let description = &self.document.description;
        let is_unclear = |name: &str| self.unclear.contains(name);
        let is_port_unclear = |ports: &[Port]| ports.get(index).is_some_and(|port| is_unclear(&port.bridge));
        match table {
            Table::Trunks => is_port_unclear(&description.trunks),
            Table::Ports => is_port_unclear(&description.ports),
            Table::Vlans => {
                let first = self.document.vlans.partition_point(|of| *of < index);
                let count = self.document.vlans[first..].iter().take_while(|of| **of == index).count();
                let peerings = &description.vlans[first..first + count];
                peerings.iter().any(|peering| is_unclear(&peering.bridge) || is_unclear(&peering.to))
            }
            Table::Overlay | Table::Hosts | Table::Bridges => false,
        }
    }

    /// Whether a port has a link depends on what its host is.
    fn is_about_an_unclear_host(&self, (table, index): Object, key: &str) -> bool {
        let description = &self.document.description;
        let port = match table {
            Table::Trunks => description.trunks.get(index),
            Table::Ports => description.ports.get(index),
            _ => None,
        };
        let host = port.and_then(|port| description.hosts.iter().position(|host| host.name == port.host));
        key == "link" && host.is_some_and(|host| self.drafts.is_tainted((Table::Hosts, host), &["kind"]))
    }

    /// A trunk without `vlans` has the mapped VIDs; while a `[[vlans]]` could not be read they are not known.
    fn misses_a_mapped_vid(&self, (table, index): Object, key: &str) -> bool {
        let description = &self.document.description;
        let port = match table {
            Table::Trunks => description.trunks.get(index),
            Table::Ports => description.ports.get(index),
            _ => None,
        };
        let is_mapped =
            port.is_some_and(|port| matches!(&port.mode, Mode::Trunk(trunk) if trunk.vlans.is_none()));
        let is_incomplete = self.document.unread.contains(&"vlans") || self.document.is_peering_missing;
        is_mapped && is_incomplete && matches!(key, "native" | "translate" | "vlans")
    }
}

fn unclear_bridges<'a>(document: &'a Document, drafts: &Drafts) -> HashSet<&'a str> {
    let is_unclear = |index: usize| {
        let path = document.places.path(Table::Bridges, index);
        drafts.is_tainted((Table::Bridges, index), &["kind"])
            || path.is_some_and(|path| drafts.doubled().contains(path))
    };
    let bridges = document.description.bridges.iter().enumerate();
    bridges.filter(|(index, _)| is_unclear(*index)).map(|(_, bridge)| bridge.name.as_str()).collect()
}

/// The keys whose mistakes explain a mistake told of `key`.
fn causes(key: &'static str) -> &'static [&'static str] {
    match key {
        "native" | "vlans" | "translate" => &["native", "vlans", "translate", "native-tagged", "bridge"],
        "mode" => &["mode", "bridge"],
        "vid" => &["vid", "mode", "bridge"],
        "to" => &["to", "vid", "bridge"],
        "link" => &["link", "host"],
        "bridge" => &["bridge", "mode"],
        "host" => &["host"],
        "name" => &["name"],
        "vni" => &["vni", "kind"],
        _ => &[],
    }
}

/// The same with places in the file; `vlans` are the peerings' indices there.
pub(super) fn in_file(mistakes: &[Mistake], vlans: &[usize]) -> Vec<Mistake> {
    let mut mistakes = mistakes.to_vec();
    for Mistake { place, .. } in &mut mistakes {
        if place.table == Table::Vlans {
            place.index = vlans.get(place.index).copied().unwrap_or(place.index);
        }
    }
    mistakes
}

/// What is left of a description when objects with mistakes are taken out.
struct Rest {
    description: Description,
    /// Indices in the file of the peerings that are left.
    vlans: Vec<usize>,
}

impl Rest {
    fn new(document: &Document, drafts: &Drafts) -> Rest {
        let mut description = document.description.clone();
        for bridge in &mut description.bridges {
            // Two bridges with one VNI stay bridges.
            if let BridgeKind::VlanUnaware { vni } = &mut bridge.kind {
                *vni = None;
            }
        }
        let tainted: HashSet<Object> = drafts.tainted_objects().collect();
        retain(&mut description.trunks, Table::Trunks, &tainted);
        retain(&mut description.ports, Table::Ports, &tainted);
        Rest { description, vlans: document.vlans.clone() }
    }

    /// Takes out the peerings, trunks and ports that `mistakes` are about.
    fn remove(&mut self, mistakes: &[Mistake]) {
        let wrong: HashSet<Object> =
            mistakes.iter().map(|mistake| (mistake.place.table, mistake.place.index)).collect();
        retain(&mut self.description.vlans, Table::Vlans, &wrong);
        retain(&mut self.vlans, Table::Vlans, &wrong);
        retain(&mut self.description.trunks, Table::Trunks, &wrong);
        retain(&mut self.description.ports, Table::Ports, &wrong);
    }
}

fn retain<T>(list: &mut Vec<T>, table: Table, wrong: &HashSet<Object>) {
    let mut index = 0;
    list.retain(|_| {
        index += 1;
        !wrong.contains(&(table, index - 1))
    });
}

/// Times that the graph is judged again without what was wrong in it.
const MOST_ROUNDS: usize = 8;

//! Where the objects of a topology came from, and who brought them.
//!
//! A file says all that came from files, and nothing of the rest: what came otherwise outlives it, and only who brought it, or who publishes
//! a topology as a whole, changes it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vlan::model::value;

use super::{Bridge, Host, Overlay, Peering, Port, Tree, called};

/// By which way an object first came in: `file`, `socket`, `cli`, or another name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin(String);

impl Origin {
    /// From a file.
    pub fn file() -> Origin {
        Origin("file".to_owned())
    }

    /// By the socket, and from no file.
    pub fn socket() -> Origin {
        Origin("socket".to_owned())
    }

    /// By `l2gw port`, one object at a time.
    pub fn cli() -> Origin {
        Origin("cli".to_owned())
    }

    /// Whether it is a file.
    pub fn is_file(&self) -> bool {
        self.0 == "file"
    }
}

impl Default for Origin {
    fn default() -> Origin {
        Origin::file()
    }
}

impl TryFrom<String> for Origin {
    type Error = String;

    fn try_from(name: String) -> Result<Origin, String> {
        value::name(&name).map(|()| Origin(name))
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> String {
        origin.0
    }
}

/// Where an object came from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Source {
    /// By which way it first came in.
    #[serde(skip_serializing_if = "Origin::is_file")]
    pub origin: Origin,
    /// Who made it what it is; `None` for the daemon's own file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
}

impl Source {
    /// Of what this author brings by this way.
    pub fn new(origin: Origin, author: &str) -> Source {
        Source { origin, author: (author != DAEMON).then(|| author.to_owned()) }
    }

    /// `by socket, from root (user 0)`
    pub fn in_words(&self) -> String {
        let origin = &self.origin.0;
        self.author
            .as_ref()
            .map_or_else(|| format!("by {origin}"), |author| format!("by {origin}, from {author}"))
    }
}

/// The sources of objects, by path (`ports.vm1`). What is not among them came from the daemon's own file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sources(BTreeMap<String, Source>);

impl Sources {
    /// Of an object.
    pub(crate) fn get(&self, path: &str) -> Option<&Source> {
        self.0.get(path)
    }

    /// Where an object came from; of one that is not there, and of one that nobody else brought, the daemon's own file.
    pub fn of(&self, path: &str) -> Source {
        self.get(path).cloned().unwrap_or_default()
    }

    pub(crate) fn insert(&mut self, path: String, source: Source) {
        if source != Source::default() {
            self.0.insert(path, source);
        }
    }

    pub(crate) fn extend(&mut self, more: Sources) {
        self.0.extend(more.0);
    }

    /// Whether everything came from the daemon's own file.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an object came from a file.
    fn is_of_file(&self, path: &str) -> bool {
        self.get(path).is_none_or(|source| source.origin.is_file())
    }

    /// What did not come from a file, each with where it came from: `ports.vm7 (by socket, from root)`.
    pub fn others(&self) -> impl Iterator<Item = String> + '_ {
        let others = self.0.iter().filter(|(_, source)| !source.origin.is_file());
        others.map(|(path, source)| format!("{path} ({})", source.in_words()))
    }

    /// The same as one line, not too long.
    pub fn others_in_brief(&self) -> String {
        let count = self.others().count();
        let first = self.others().take(MOST_OTHERS).collect::<Vec<_>>().join(", ");
        match count.saturating_sub(MOST_OTHERS) {
            0 => first,
            more => format!("{first} and {more} more"),
        }
    }

    /// Those of the next topology. An object keeps its origin; who changes it is its author.
    pub(crate) fn next(before: Option<(&Tree, &Sources)>, next: &Tree, by: &Source) -> Sources {
        let was = before.map(|(tree, sources)| (tree.objects(), sources));
        let mut sources = Sources::default();
        for (path, object) in next.objects() {
            let former =
                was.as_ref().and_then(|(objects, sources)| Some((objects.get(&path)?, sources.get(&path))));
            let source = match former {
                None => by.clone(),
                Some((same, source)) if *same == object => source.cloned().unwrap_or_default(),
                Some((_, source)) => {
                    Source { origin: source.cloned().unwrap_or_default().origin, author: by.author.clone() }
                }
            };
            sources.insert(path, source);
        }
        sources
    }
}

/// An object of a tree.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Object<'a> {
    Host(&'a Host),
    Bridge(&'a Bridge),
    Peering(&'a Peering),
    Port(&'a Port),
    Overlay(&'a Overlay),
}

impl Tree {
    fn objects(&self) -> BTreeMap<String, Object<'_>> {
        let hosts = self.hosts.iter().map(|(name, host)| (path_of_host(name), Object::Host(host)));
        let bridges =
            self.bridges.iter().map(|(name, bridge)| (path_of_bridge(name), Object::Bridge(bridge)));
        let vlans = self.vlans.iter().map(|peering| (peering.path(), Object::Peering(peering)));
        let trunks = self.trunks.iter().map(|trunk| (trunk.path(true), Object::Port(trunk)));
        let ports = self.ports.iter().map(|port| (port.path(false), Object::Port(port)));
        let is_there = self.overlay != Overlay::default();
        let overlay = is_there.then(|| (OVERLAY.to_owned(), Object::Overlay(&self.overlay)));
        hosts.chain(bridges).chain(vlans).chain(trunks).chain(ports).chain(overlay).collect()
    }

    /// What came from a file, and the rest.
    pub fn apart(mut self, sources: &Sources) -> (Tree, Tree) {
        if sources.others().next().is_none() {
            return (self, Tree::default());
        }
        let of_file = |path: &str| sources.is_of_file(path);
        let mut others = Tree {
            hosts: self.hosts.extract_if(.., |name, _| !of_file(&path_of_host(name))).collect(),
            bridges: self.bridges.extract_if(.., |name, _| !of_file(&path_of_bridge(name))).collect(),
            ..Tree::default()
        };
        if !of_file(OVERLAY) {
            others.overlay = std::mem::take(&mut self.overlay);
        }
        others.vlans.extend(self.vlans.extract_if(.., |peering| !of_file(&peering.path())));
        others.trunks.extend(self.trunks.extract_if(.., |trunk| !of_file(&trunk.path(true))));
        others.ports.extend(self.ports.extract_if(.., |port| !of_file(&port.path(false))));
        (self, others)
    }

    /// What a file says, and what is `there` and did not come from one.
    ///
    /// # Errors
    /// Objects of the file that are there already and did not come from one.
    pub fn and_others(&self, there: Tree, sources: &Sources) -> Result<Tree, Vec<String>> {
        let (_, others) = there.apart(sources);
        let (own, foreign) = (self.objects(), others.objects());
        let taken: Vec<String> =
            own.keys().filter(|path| foreign.contains_key(*path)).map(|path| taken(path, sources)).collect();
        if !taken.is_empty() {
            return Err(taken);
        }
        let mut all = self.clone();
        all.hosts.extend(others.hosts);
        all.bridges.extend(others.bridges);
        all.vlans.extend(others.vlans);
        all.trunks.extend(others.trunks);
        all.ports.extend(others.ports);
        if others.overlay != Overlay::default() {
            all.overlay = others.overlay;
        }
        Ok(all)
    }
}

fn taken(path: &str, sources: &Sources) -> String {
    let whose = sources.get(path).map(Source::in_words).unwrap_or_default();
    format!(
        "{path}: it is there already and came {whose}; a file replaces only what came from a file: remove it where it came from, or take it out of \
         the file"
    )
}

fn path_of_host(name: &str) -> String {
    format!("hosts.{}", called(name))
}

fn path_of_bridge(name: &str) -> String {
    format!("bridges.{}", called(name))
}

/// What hosts have in common is one object, where it is not the default.
const OVERLAY: &str = "overlay";
/// Objects that a line names.
const MOST_OTHERS: usize = 8;
/// Who publishes the daemon's own file.
const DAEMON: &str = "file";

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(ports: &[(&str, u32)]) -> Tree {
        let port = |(name, mtu): &(&str, u32)| {
            serde_json::from_value(
                serde_json::json!({"name": name, "bridge": "v", "host": "h", "link": name, "mtu": mtu}),
            )
            .unwrap()
        };
        Tree { ports: ports.iter().map(port).collect(), ..Tree::default() }
    }

    #[test]
    fn an_object_keeps_its_origin_and_has_who_changed_it_as_author() {
        let file = Source::new(Origin::file(), "file");
        let first = tree(&[("a", 1_500), ("b", 1_500)]);
        let none = Sources::next(None, &first, &file);
        assert!(none.is_empty());
        let second = tree(&[("a", 1_600), ("b", 1_500), ("c", 1_500)]);
        let by = Source::new(Origin::socket(), "ann");
        let sources = Sources::next(Some((&first, &none)), &second, &by);
        let said = serde_json::to_value(&sources).unwrap();
        let expected = serde_json::json!({"ports.a": {"author": "ann"}, "ports.c": {"author": "ann", "origin": "socket"}});
        assert_eq!(said, expected);
        assert_eq!(sources.others_in_brief(), "ports.c (by socket, from ann)");
        let mut many = Sources::default();
        (0..10).for_each(|n| many.insert(format!("ports.p{n}"), Source::new(Origin::socket(), "file")));
        assert!(many.others_in_brief().ends_with(", ports.p7 (by socket) and 2 more"));
        // Another who changes nothing of it is nobody's author.
        let bob = Source::new(Origin::file(), "bob");
        assert_eq!(Sources::next(Some((&second, &sources)), &second, &bob), sources);
    }

    #[test]
    fn a_file_says_all_that_came_from_files_and_nothing_else() {
        let by = Source::new(Origin::socket(), "ann");
        let mut sources = Sources::default();
        sources.insert("ports.c".to_owned(), by);
        let there = tree(&[("a", 1_500), ("b", 1_500), ("c", 1_500)]);
        let (of_file, others) = there.clone().apart(&sources);
        assert_eq!((of_file, others), (tree(&[("a", 1_500), ("b", 1_500)]), tree(&[("c", 1_500)])));
        let next = tree(&[("b", 1_600)]).and_others(there.clone(), &sources).unwrap();
        assert_eq!(next, tree(&[("b", 1_600), ("c", 1_500)]));
        let said = tree(&[("c", 1_500)]).and_others(there, &sources).unwrap_err();
        assert!(
            said[0].starts_with("ports.c: it is there already and came by socket, from ann; a file"),
            "{said:?}"
        );
    }

    #[test]
    fn what_hosts_have_in_common_is_an_object_where_it_is_declared() {
        let with = |port: u16, tree: Tree| Tree {
            overlay: serde_json::from_value(serde_json::json!({ "port": port })).unwrap(),
            ..tree
        };
        let by = Source::new(Origin::socket(), "ann");
        let there = with(4_790, tree(&[("a", 1_500)]));
        let sources = Sources::next(Some((&tree(&[("a", 1_500)]), &Sources::default())), &there, &by);
        assert_eq!(sources.others_in_brief(), "overlay (by socket, from ann)");
        assert_eq!(there.clone().apart(&sources), (tree(&[("a", 1_500)]), with(4_790, Tree::default())));
        // A file that says nothing of it leaves it, and one that does is refused.
        assert_eq!(
            tree(&[("a", 1_600)]).and_others(there.clone(), &sources),
            Ok(with(4_790, tree(&[("a", 1_600)])))
        );
        let said = with(4_791, tree(&[])).and_others(there.clone(), &sources).unwrap_err();
        assert!(said[0].starts_with("overlay: it is there already and came by socket, from ann"), "{said:?}");
        // What came from a file goes with it.
        let none = Sources::default();
        assert_eq!(tree(&[]).and_others(there.clone(), &none), Ok(tree(&[])));
        assert_eq!(with(4_791, tree(&[])).and_others(there, &none), Ok(with(4_791, tree(&[]))));
    }

    #[test]
    fn an_origin_is_a_name() {
        assert!(serde_json::from_str::<Origin>("\"openstack\"").is_ok());
        assert!(serde_json::from_str::<Origin>("\"Open Stack\"").is_err());
    }
}

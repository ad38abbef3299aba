//! What is to be done so that exactly the wanted links are vports of the datapath: links and vports as they are, and a step for each.
//!
//! Everything is found by key, so that a step costs what it touches, however many links and ports there are.

use std::collections::BTreeSet;

use datapath::port::{Link, LinkIndex, Vport, VportNo};
use rustc_hash::FxHashMap;

/// Links and vports as they are known to be.
#[derive(Debug, Default)]
pub struct Observed {
    links: FxHashMap<LinkIndex, Link>,
    by_name: FxHashMap<String, LinkIndex>,
    by_alt_name: FxHashMap<String, LinkIndex>,
    /// The links that sit on a link: VLAN devices and the like.
    uppers: FxHashMap<LinkIndex, BTreeSet<LinkIndex>>,
    vports: FxHashMap<VportNo, Vport>,
    by_index: FxHashMap<LinkIndex, VportNo>,
    /// Those whose backend tells no index.
    by_link_name: FxHashMap<String, VportNo>,
}

/// What an event was about: links by name, and vports.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Touched {
    /// Names of links, old and new ones.
    pub names: Vec<String>,
    /// Vports.
    pub vports: Vec<VportNo>,
}

/// What is to become of a vport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is as wanted.
    Kept,
    /// Its link is gone: the kernel lets go of it by itself, later.
    Gone,
    /// Its link is not wanted.
    Unwanted,
}

impl Observed {
    /// The vport with this number.
    pub fn vport(&self, no: VportNo) -> Option<&Vport> {
        self.vports.get(&no)
    }

    /// The link behind a vport: by its index, since a name may be another link's by now; by name where the backend tells no index.
    pub fn link_of(&self, vport: &Vport) -> Option<&Link> {
        match vport.index {
            Some(index) => self.links.get(&index),
            None => self.link_named(&vport.link),
        }
    }

    /// The link with this name, its own before another's alternative one.
    pub fn link_named(&self, name: &str) -> Option<&Link> {
        let index = self.by_name.get(name).or_else(|| self.by_alt_name.get(name))?;
        self.links.get(index)
    }

    /// The link with this index.
    pub fn link(&self, index: LinkIndex) -> Option<&Link> {
        self.links.get(&index)
    }

    /// The links that sit on a link.
    pub fn uppers(&self, index: LinkIndex) -> impl Iterator<Item = &Link> {
        self.uppers.get(&index).into_iter().flatten().filter_map(|upper| self.links.get(upper))
    }

    /// The vport that a link is, if it is one.
    pub fn vport_of(&self, link: &Link) -> Option<&Vport> {
        let no = self.by_index.get(&link.index).or_else(|| self.by_link_name.get(&link.name))?;
        self.vports.get(no)
    }

    /// What is to become of a vport, where `is_wanted` says which links are to be vports.
    pub fn fate(&self, vport: &Vport, is_wanted: impl Fn(&str) -> bool) -> Fate {
        match self.link_of(vport) {
            None => Fate::Gone,
            Some(link) if names_of(link).any(is_wanted) => Fate::Kept,
            Some(_) => Fate::Unwanted,
        }
    }

    /// Takes in how a link is now.
    pub fn put_link(&mut self, link: Link) -> Touched {
        let mut touched = Touched::default();
        if let Some(before) = self.links.remove(&link.index) {
            self.forget_names(&before);
            touched.names.extend(names_of(&before).filter(|name| !link.is_called(name)).map(str::to_owned));
            touched.names.extend(self.name_below(&before));
        }
        touched.names.extend(names_of(&link).map(str::to_owned));
        touched.names.extend(self.name_below(&link));
        touched.vports.extend(self.vports_at(&link));
        self.by_name.insert(link.name.clone(), link.index);
        self.by_alt_name.extend(link.facts.alt_names.iter().map(|name| (name.clone(), link.index)));
        if let Some(lower) = link.facts.lower {
            self.uppers.entry(lower).or_default().insert(link.index);
        }
        self.links.insert(link.index, link);
        touched
    }

    /// Takes in that a link is gone.
    pub fn remove_link(&mut self, index: LinkIndex) -> Touched {
        let Some(link) = self.links.remove(&index) else { return Touched::default() };
        self.forget_names(&link);
        let vports = self.vports_at(&link).collect();
        let names = names_of(&link).map(str::to_owned).chain(self.name_below(&link)).collect();
        Touched { names, vports }
    }

    /// Forgets by what a link that is gone, or is another now, was found.
    fn forget_names(&mut self, link: &Link) {
        if self.by_name.get(&link.name) == Some(&link.index) {
            self.by_name.remove(&link.name);
        }
        for name in &link.facts.alt_names {
            if self.by_alt_name.get(name) == Some(&link.index) {
                self.by_alt_name.remove(name);
            }
        }
        if let Some(lower) = link.facts.lower
            && let Some(uppers) = self.uppers.get_mut(&lower)
        {
            uppers.remove(&link.index);
            if uppers.is_empty() {
                self.uppers.remove(&lower);
            }
        }
    }

    /// The name of the link that a link sits on: what comes in by that one may go here.
    fn name_below(&self, link: &Link) -> Option<String> {
        self.links.get(&link.facts.lower?).map(|lower| lower.name.clone())
    }

    /// Takes in every link there is.
    pub fn put_all_links(&mut self, links: Vec<Link>) -> Touched {
        let mut touched = Touched::default();
        let there: FxHashMap<LinkIndex, ()> = links.iter().map(|link| (link.index, ())).collect();
        let mut gone: Vec<LinkIndex> =
            self.links.keys().filter(|index| !there.contains_key(index)).copied().collect();
        gone.sort_unstable();
        for index in gone {
            touched.add(self.remove_link(index));
        }
        for link in links {
            if self.links.get(&link.index) != Some(&link) {
                touched.add(self.put_link(link));
            }
        }
        touched
    }

    /// Takes in a vport.
    pub fn put_vport(&mut self, vport: Vport) -> Touched {
        let mut touched = self.remove_vport(vport.no);
        touched.vports.push(vport.no);
        touched.names.extend(self.link_of(&vport).map(|link| link.name.clone()));
        match vport.index {
            Some(index) => self.by_index.insert(index, vport.no),
            None => self.by_link_name.insert(vport.link.clone(), vport.no),
        };
        self.vports.insert(vport.no, vport);
        touched
    }

    /// Takes in that a vport is gone.
    pub fn remove_vport(&mut self, no: VportNo) -> Touched {
        let Some(vport) = self.vports.remove(&no) else { return Touched::default() };
        match vport.index {
            Some(index) if self.by_index.get(&index) == Some(&no) => {
                self.by_index.remove(&index);
            }
            None if self.by_link_name.get(&vport.link) == Some(&no) => {
                self.by_link_name.remove(&vport.link);
            }
            _ => {}
        }
        let names = self.link_of(&vport).map(|link| link.name.clone()).into_iter().collect();
        Touched { names, vports: vec![no] }
    }

    /// The numbers of all vports, in no order.
    pub fn vports(&self) -> impl Iterator<Item = VportNo> {
        self.vports.keys().copied()
    }

    fn vports_at(&self, link: &Link) -> impl Iterator<Item = VportNo> {
        let by_index = self.by_index.get(&link.index).copied();
        by_index.into_iter().chain(self.by_link_name.get(&link.name).copied())
    }
}

/// The name of a link and its alternative ones.
pub fn names_of(link: &Link) -> impl Iterator<Item = &str> {
    std::iter::once(link.name.as_str()).chain(link.facts.alt_names.iter().map(String::as_str))
}

impl Touched {
    fn add(&mut self, other: Touched) {
        self.names.extend(other.names);
        self.vports.extend(other.vports);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, name: &str) -> Link {
        Link {
            index: LinkIndex(index),
            name: name.to_owned(),
            is_up: true,
            has_carrier: true,
            mtu: 1500,
            mac: None,
            facts: datapath::port::LinkFacts::default(),
        }
    }

    fn vport(no: u32, link: &str, index: Option<u32>) -> Vport {
        Vport { no: VportNo(no), link: link.to_owned(), index: index.map(LinkIndex) }
    }

    fn observed(links: &[(u32, &str)], vports: &[(u32, &str, Option<u32>)]) -> Observed {
        let mut observed = Observed::default();
        links.iter().for_each(|(index, name)| drop(observed.put_link(link(*index, name))));
        vports.iter().for_each(|(no, name, index)| drop(observed.put_vport(vport(*no, name, *index))));
        observed
    }

    fn fate(observed: &Observed, no: u32, wanted: &[&str]) -> Fate {
        observed.fate(observed.vport(VportNo(no)).unwrap(), |name| wanted.contains(&name))
    }

    fn is_vport(observed: &Observed, name: &str) -> bool {
        observed.link_named(name).is_some_and(|link| observed.vport_of(link).is_some())
    }

    #[test]
    fn what_is_as_wanted_is_left_alone() {
        let observed = observed(&[(2, "eth1")], &[(1, "eth1", Some(2))]);
        assert!(is_vport(&observed, "eth1") && !is_vport(&observed, "eth2"));
        assert_eq!(fate(&observed, 1, &["eth1"]), Fate::Kept);
        assert_eq!(fate(&observed, 1, &[]), Fate::Unwanted);
    }

    #[test]
    fn a_link_that_was_made_anew_is_another_link() {
        let mut observed = observed(&[(2, "eth1")], &[(1, "eth1", Some(2))]);
        let touched = observed.remove_link(LinkIndex(2));
        assert_eq!(touched, Touched { names: vec!["eth1".to_owned()], vports: vec![VportNo(1)] });
        observed.put_link(link(9, "eth1"));
        assert_eq!(fate(&observed, 1, &["eth1"]), Fate::Gone);
        assert!(!is_vport(&observed, "eth1"));
    }

    #[test]
    fn a_renamed_link_is_known_by_its_index_and_both_names_are_touched() {
        let mut observed = observed(&[(2, "eth1")], &[(1, "eth1", Some(2))]);
        let touched = observed.put_link(link(2, "lan0"));
        assert_eq!(touched.names, ["eth1", "lan0"]);
        assert_eq!(touched.vports, [VportNo(1)]);
        assert!(is_vport(&observed, "lan0") && observed.link_named("eth1").is_none());
        assert_eq!(fate(&observed, 1, &["lan0"]), Fate::Kept);
        assert_eq!(fate(&observed, 1, &["eth1"]), Fate::Unwanted);
    }

    #[test]
    fn two_links_may_exchange_their_names() {
        let mut observed = observed(&[(2, "a"), (3, "b")], &[(1, "a", Some(2)), (4, "b", Some(3))]);
        observed.put_link(link(2, "x"));
        observed.put_link(link(3, "a"));
        observed.put_link(link(2, "b"));
        let vport_of = |name| observed.vport_of(observed.link_named(name).unwrap()).unwrap().no;
        assert_eq!((vport_of("a"), vport_of("b")), (VportNo(4), VportNo(1)));
        assert!(observed.link_named("x").is_none());
    }

    #[test]
    fn without_an_index_the_name_decides() {
        let observed = observed(&[(2, "eth1")], &[(1, "eth1", None), (3, "eth3", None)]);
        assert_eq!(fate(&observed, 1, &["eth1"]), Fate::Kept);
        assert_eq!(fate(&observed, 3, &["eth1", "eth3"]), Fate::Gone);
    }

    #[test]
    fn of_every_link_only_those_that_differ_are_touched() {
        let mut observed = observed(&[(2, "a"), (3, "b"), (4, "c")], &[(1, "b", Some(3))]);
        let all = vec![link(2, "a"), Link { has_carrier: false, ..link(4, "c") }, link(5, "d")];
        let touched = observed.put_all_links(all);
        assert_eq!(touched.names, ["b", "c", "d"]);
        assert_eq!(touched.vports, [VportNo(1)]);
    }
}

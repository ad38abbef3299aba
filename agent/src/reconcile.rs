//! What is to be done so that exactly the wanted links are ports of the datapath: desired × observed → plan.

use std::collections::{BTreeMap, BTreeSet};

use datapath::port::{Link, LinkIndex, Vport, VportNo};

/// Links and vports as they are known to be.
#[derive(Debug, Clone, Copy)]
pub struct Observed<'a> {
    /// Every link of the host.
    pub links: &'a BTreeMap<LinkIndex, Link>,
    /// Every vport of the datapath.
    pub vports: &'a BTreeMap<VportNo, Vport>,
}

/// Steps towards the wanted state, in ascending order each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Vports whose link is gone: the kernel lets go of them by itself, later.
    pub gone: Vec<VportNo>,
    /// Vports of links that are not wanted.
    pub unwanted: Vec<VportNo>,
    /// Links that are there, wanted and no port yet.
    pub attach: Vec<String>,
}

/// Compares. A wanted link that does not exist is no step: it is bound when it appears.
pub fn plan(wanted: &BTreeSet<&str>, observed: Observed<'_>) -> Plan {
    let mut plan = Plan::default();
    let mut bound = BTreeSet::new();
    for (no, vport) in observed.vports {
        match observed.link_of(vport) {
            None => plan.gone.push(*no),
            Some(link) if !wanted.contains(link.name.as_str()) => plan.unwanted.push(*no),
            Some(link) => {
                bound.insert(link.name.as_str());
            }
        }
    }
    let links = observed.links.values().map(|link| link.name.as_str());
    let mut attach: Vec<&str> = links.filter(|name| wanted.contains(name) && !bound.contains(name)).collect();
    attach.sort_unstable();
    plan.attach = attach.into_iter().map(str::to_owned).collect();
    plan
}

impl<'a> Observed<'a> {
    /// The link behind a vport: by its index, since a name may be another link's by now; by name where the backend tells no index.
    pub fn link_of(&self, vport: &Vport) -> Option<&'a Link> {
        match vport.index {
            Some(index) => self.links.get(&index),
            None => self.link_named(&vport.link),
        }
    }

    /// The link with this name.
    pub fn link_named(&self, name: &str) -> Option<&'a Link> {
        self.links.values().find(|link| link.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(list: &[(u32, &str)]) -> BTreeMap<LinkIndex, Link> {
        let link = |index: u32, name: &str| Link {
            index: LinkIndex(index),
            name: name.to_owned(),
            is_up: true,
            has_carrier: true,
            mtu: 1500,
            mac: None,
        };
        list.iter().map(|(index, name)| (LinkIndex(*index), link(*index, name))).collect()
    }

    fn vports(list: &[(u32, &str, Option<u32>)]) -> BTreeMap<VportNo, Vport> {
        let vport = |no: u32, link: &str, index: Option<u32>| Vport {
            no: VportNo(no),
            link: link.to_owned(),
            index: index.map(LinkIndex),
        };
        list.iter().map(|(no, link, index)| (VportNo(*no), vport(*no, link, *index))).collect()
    }

    fn planned(
        wanted: &[&str],
        links: &BTreeMap<LinkIndex, Link>,
        vports: &BTreeMap<VportNo, Vport>,
    ) -> Plan {
        plan(&wanted.iter().copied().collect(), Observed { links, vports })
    }

    #[test]
    fn a_link_that_does_not_exist_waits() {
        let steps = planned(&["eth1", "eth2"], &links(&[(2, "eth1")]), &vports(&[]));
        assert_eq!(steps, Plan { attach: vec!["eth1".to_owned()], ..Plan::default() });
    }

    #[test]
    fn what_is_as_wanted_is_left_alone() {
        let (links, vports) = (links(&[(2, "eth1")]), vports(&[(1, "eth1", Some(2))]));
        assert_eq!(planned(&["eth1"], &links, &vports), Plan::default());
        assert_eq!(planned(&[], &links, &vports), Plan { unwanted: vec![VportNo(1)], ..Plan::default() });
    }

    #[test]
    fn a_link_that_was_made_anew_is_another_link() {
        let steps = planned(&["eth1"], &links(&[(9, "eth1")]), &vports(&[(1, "eth1", Some(2))]));
        assert_eq!(
            steps,
            Plan { gone: vec![VportNo(1)], attach: vec!["eth1".to_owned()], ..Plan::default() }
        );
    }

    #[test]
    fn a_renamed_link_is_known_by_its_index() {
        let (links, vports) = (links(&[(2, "lan0")]), vports(&[(1, "eth1", Some(2))]));
        assert_eq!(planned(&["lan0"], &links, &vports), Plan::default());
        assert_eq!(planned(&["eth1"], &links, &vports).unwanted, [VportNo(1)]);
    }

    #[test]
    fn without_an_index_the_name_decides() {
        let (links, vports) = (links(&[(2, "eth1")]), vports(&[(1, "eth1", None), (3, "eth3", None)]));
        assert_eq!(planned(&["eth1"], &links, &vports), Plan { gone: vec![VportNo(3)], ..Plan::default() });
    }
}

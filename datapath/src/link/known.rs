//! Links with what the host does with them, put together from messages about links, addresses and routes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::message::{News, Way};
use crate::port::{DefaultRoute, Link, LinkAddress, LinkEvent, LinkIndex};

/// What has been told so far.
#[derive(Debug, Default)]
pub(super) struct Known {
    links: BTreeMap<LinkIndex, Link>,
    addresses: BTreeMap<LinkIndex, BTreeMap<IpAddr, LinkAddress>>,
    best: BTreeMap<LinkIndex, DefaultRoute>,
    /// Routes may be others than those that were listed: the kernel tells of none that goes with its address or link.
    pub(super) asks_for_routes: bool,
}

impl Known {
    /// Everything anew, as it was listed.
    pub(super) fn new(links: Vec<Link>, addresses: Vec<(LinkIndex, LinkAddress)>, ways: Vec<Way>) -> Known {
        let mut known = Known { best: best(ways), ..Known::default() };
        for (link, address) in addresses {
            known.addresses.entry(link).or_default().insert(address.address, address);
        }
        for link in links {
            known.complete(link.index, link);
        }
        known
    }

    /// Every link.
    pub(super) fn all(&self) -> Vec<Link> {
        self.links.values().cloned().collect()
    }

    /// Takes something in; the event that it comes to, if it changes a link.
    pub(super) fn note(&mut self, news: News) -> Option<LinkEvent> {
        match news {
            News::Link(link) => {
                let index = link.index;
                let was_up = self.links.get(&index).is_some_and(|before| before.is_up);
                self.asks_for_routes |= was_up && !link.is_up && self.best.contains_key(&index);
                self.complete(index, link)
            }
            News::Gone(index) => {
                self.asks_for_routes |= self.best.contains_key(&index);
                self.addresses.remove(&index);
                self.links.remove(&index).map(|_| LinkEvent::Gone(index))
            }
            News::Address(index, address) => {
                self.addresses.entry(index).or_default().insert(address.address, address);
                self.complete_again(index)
            }
            News::AddressGone(index, address) => {
                self.asks_for_routes |= self.best.contains_key(&index);
                self.addresses.get_mut(&index)?.remove(&address);
                self.complete_again(index)
            }
            News::DefaultRoute => {
                self.asks_for_routes = true;
                None
            }
        }
    }

    /// Takes in the default routes there are; the events that they come to.
    pub(super) fn note_routes(&mut self, ways: Vec<Way>) -> Vec<LinkEvent> {
        let before = std::mem::replace(&mut self.best, best(ways));
        let others: Vec<LinkIndex> = before.keys().chain(self.best.keys()).copied().collect();
        others.into_iter().filter_map(|index| self.complete_again(index)).collect()
    }

    fn complete_again(&mut self, index: LinkIndex) -> Option<LinkEvent> {
        let link = self.links.get(&index)?.clone();
        self.complete(index, link)
    }

    /// Adds to a link what is known of it by other messages; the event if it is another than before.
    fn complete(&mut self, index: LinkIndex, mut link: Link) -> Option<LinkEvent> {
        link.facts.addresses =
            self.addresses.get(&index).map(|all| all.values().copied().collect()).unwrap_or_default();
        link.facts.default_route = self.best.get(&index).copied();
        if self.links.get(&index) == Some(&link) {
            return None;
        }
        self.links.insert(index, link.clone());
        Some(LinkEvent::Changed(link))
    }
}

/// The links that the best default route of IPv4 leaves by, and that of IPv6. What routers announced counts only where there is no other of
/// either kind: any link that hears a router has such a route.
fn best(ways: Vec<Way>) -> BTreeMap<LinkIndex, DefaultRoute> {
    let has_own = ways.iter().any(|way| !way.is_from_router);
    let ways = ways.into_iter().filter(|way| !(has_own && way.is_from_router));
    let (v6, v4): (Vec<Way>, Vec<Way>) =
        ways.partition(|way| way.hops.first().is_some_and(|(_, route)| route.is_ipv6));
    let mut best = BTreeMap::new();
    for ways in [v6, v4] {
        let least = ways.iter().map(|way| way.metric).min();
        for way in ways.into_iter().filter(|way| Some(way.metric) == least) {
            best.extend(way.hops);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::super::message::samples::link;
    use super::*;

    fn way(link: u32, metric: u32, is_ipv6: bool, is_from_router: bool) -> Way {
        Way { is_from_router, metric, hops: vec![(LinkIndex(link), DefaultRoute { is_ipv6, via: None })] }
    }

    fn links(ways: Vec<Way>) -> Vec<u32> {
        best(ways).into_keys().map(|index| index.0).collect()
    }

    #[test]
    fn the_best_default_route_is_that_of_the_least_metric() {
        assert_eq!(links(vec![way(2, 100, false, false), way(3, 50, false, false)]), [3]);
        assert_eq!(links(vec![way(2, 100, false, false), way(3, 50, true, false)]), [2, 3]);
        assert_eq!(links(vec![way(2, 0, false, false), way(3, 0, false, false)]), [2, 3]);
    }

    #[test]
    fn what_a_router_announces_counts_where_there_is_no_other() {
        assert_eq!(links(vec![way(2, 100, false, false), way(3, 50, true, true)]), [2]);
        assert_eq!(links(vec![way(2, 100, true, true), way(3, 50, true, true)]), [3]);
    }

    fn address(text: &str) -> LinkAddress {
        LinkAddress { address: text.parse().unwrap(), prefix_len: 24, is_from_router: false }
    }

    fn changed(event: Option<LinkEvent>) -> Link {
        match event {
            Some(LinkEvent::Changed(link)) => link,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn addresses_are_kept_while_the_link_changes() {
        let mut known = Known::new(vec![link("eth2")], vec![(LinkIndex(7), address("192.0.2.1"))], vec![]);
        assert_eq!(known.all()[0].facts.addresses, [address("192.0.2.1")]);
        assert_eq!(known.note(News::Link(link("eth2"))), None, "nothing is new");
        let down = Link { is_up: false, ..link("eth2") };
        assert_eq!(changed(known.note(News::Link(down))).facts.addresses, [address("192.0.2.1")]);
        let more = known.note(News::Address(LinkIndex(7), address("192.0.2.9")));
        assert_eq!(changed(more).facts.addresses, [address("192.0.2.1"), address("192.0.2.9")]);
        let less = known.note(News::AddressGone(LinkIndex(7), "192.0.2.1".parse().unwrap()));
        assert_eq!(changed(less).facts.addresses, [address("192.0.2.9")]);
        assert_eq!(known.note(News::Gone(LinkIndex(7))), Some(LinkEvent::Gone(LinkIndex(7))));
        assert_eq!(
            known.note(News::Address(LinkIndex(7), address("192.0.2.1"))),
            None,
            "there is no such link"
        );
    }

    #[test]
    fn routes_are_asked_for_where_they_may_have_gone_without_a_word() {
        let all = || {
            Known::new(
                vec![link("eth2")],
                vec![(LinkIndex(7), address("192.0.2.1"))],
                vec![way(7, 0, false, false)],
            )
        };
        for (news, asks) in [
            (News::Link(Link { is_up: false, ..link("eth2") }), true),
            (News::Link(Link { mtu: 9_000, ..link("eth2") }), false),
            (News::AddressGone(LinkIndex(7), "192.0.2.1".parse().unwrap()), true),
            (News::Gone(LinkIndex(7)), true),
            (News::DefaultRoute, true),
        ] {
            let mut known = all();
            known.note(news.clone());
            assert_eq!(known.asks_for_routes, asks, "{news:?}");
        }
    }

    #[test]
    fn only_links_whose_part_in_the_default_route_changes_are_told() {
        let other = Link { index: LinkIndex(8), ..link("eth3") };
        let mut known = Known::new(vec![link("eth2"), other], vec![], vec![way(7, 0, false, false)]);
        assert_eq!(known.note_routes(vec![way(7, 0, false, false)]), []);
        let told = known.note_routes(vec![way(8, 0, false, false)]);
        let told: Vec<(u32, bool)> = told
            .into_iter()
            .map(|event| changed(Some(event)))
            .map(|link| (link.index.0, link.facts.default_route.is_some()))
            .collect();
        assert_eq!(told, [(7, false), (8, true)]);
    }
}

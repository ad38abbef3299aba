//! What messages of the kernel say of links, their addresses, and the default routes.

use std::net::IpAddr;

use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressProtocol};
use rtnetlink::packet_route::link::{
    InfoData, InfoVlan, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage, Prop,
};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteType, RouteVia,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use vlan::addr::MacAddr;

use crate::port::{DefaultRoute, Link, LinkAddress, LinkFacts, LinkIndex, LinkLayer, VlanDevice};

/// Something that a message tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum News {
    /// How a link is now; its addresses and routes are told apart.
    Link(Link),
    /// A link is gone from this namespace.
    Gone(LinkIndex),
    /// A link has an address.
    Address(LinkIndex, LinkAddress),
    /// A link has an address no more.
    AddressGone(LinkIndex, IpAddr),
    /// A default route is another, or there is one more, or one less.
    DefaultRoute,
}

/// What a message tells, if it is about something that is watched.
pub(super) fn read(message: &RouteNetlinkMessage) -> Option<News> {
    match message {
        RouteNetlinkMessage::NewLink(link) if is_of_the_link(link) => read_link(link).map(News::Link),
        // Also comes when the link moves to another namespace; here it is gone.
        RouteNetlinkMessage::DelLink(link) if is_of_the_link(link) => {
            Some(News::Gone(LinkIndex(link.header.index)))
        }
        RouteNetlinkMessage::NewAddress(message) => {
            read_address(message).map(|(link, address)| News::Address(link, address))
        }
        RouteNetlinkMessage::DelAddress(message) => {
            read_address(message).map(|(link, address)| News::AddressGone(link, address.address))
        }
        RouteNetlinkMessage::NewRoute(route) | RouteNetlinkMessage::DelRoute(route) => {
            is_default(route).then_some(News::DefaultRoute)
        }
        _ => None,
    }
}

/// A message of another family is about a part of the link: AF_BRIDGE's DelLink says that it left its bridge.
pub(super) fn is_of_the_link(message: &LinkMessage) -> bool {
    message.header.interface_family == AddressFamily::Unspec
}

/// The link that a message describes; `None` without a name.
pub(super) fn read_link(message: &LinkMessage) -> Option<Link> {
    let mut link = Link {
        index: LinkIndex(message.header.index),
        name: String::new(),
        is_up: message.header.flags.contains(LinkFlags::Up),
        has_carrier: message.header.flags.contains(LinkFlags::LowerUp),
        mtu: 0,
        mac: None,
        facts: read_facts(message),
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Address(bytes) => link.mac = bytes.as_slice().try_into().ok().map(MacAddr),
            _ => {}
        }
    }
    (!link.name.is_empty()).then_some(link)
}

fn read_facts(message: &LinkMessage) -> LinkFacts {
    let layer = match message.header.link_layer_type {
        LinkLayerType::Ether => LinkLayer::Ethernet,
        LinkLayerType::Loopback => LinkLayer::Loopback,
        _ => LinkLayer::Other,
    };
    let mut facts = LinkFacts { layer, ..LinkFacts::default() };
    let mut is_lower_elsewhere = false;
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::Controller(master) => {
                facts.master = (*master != 0).then_some(LinkIndex(*master));
            }
            LinkAttribute::Link(lower) => facts.lower = (*lower != 0).then_some(LinkIndex(*lower)),
            LinkAttribute::LinkNetNsId(_) => is_lower_elsewhere = true,
            LinkAttribute::PropList(list) => facts.alt_names.extend(list.iter().filter_map(alt_name)),
            LinkAttribute::LinkInfo(infos) => infos.iter().for_each(|info| read_info(&mut facts, info)),
            _ => {}
        }
    }
    // Of a pair, each has the other as its lower link, and takes nothing from it.
    if is_lower_elsewhere || ["veth", "netkit", "vxcan"].contains(&facts.kind.as_str()) {
        facts.lower = None;
    }
    facts
}

fn alt_name(property: &Prop) -> Option<String> {
    match property {
        Prop::AltIfName(name) => Some(name.clone()),
        _ => None,
    }
}

fn read_info(facts: &mut LinkFacts, info: &LinkInfo) {
    match info {
        LinkInfo::Kind(kind) => facts.kind = kind.to_string(),
        LinkInfo::Data(InfoData::Vlan(of_vlan)) => {
            let mut device = VlanDevice { vid: 0, tpid: 0x8100 };
            for info in of_vlan {
                match info {
                    InfoVlan::Id(vid) => device.vid = *vid,
                    InfoVlan::Protocol(protocol) => device.tpid = *protocol as u16,
                    _ => {}
                }
            }
            facts.vlan = Some(device);
        }
        _ => {}
    }
}

/// The address that a message is about. IFA_LOCAL is the link's own, where the other is its peer's.
pub(super) fn read_address(message: &AddressMessage) -> Option<(LinkIndex, LinkAddress)> {
    let (mut own, mut other) = (None, None);
    let mut flags = AddressFlags::from_bits_retain(u32::from(message.header.flags.bits()));
    let mut by = None;
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(address) => own = Some(*address),
            AddressAttribute::Address(address) => other = Some(*address),
            AddressAttribute::Flags(all) => flags = *all,
            AddressAttribute::Protocol(protocol) => by = Some(*protocol),
            _ => {}
        }
    }
    let address = own.or(other)?;
    let prefix_len = message.header.prefix_len;
    // Before Linux 5.18, and where a network manager makes them, nothing says so, but they end and have a prefix of 64 bits
    // (RFC 4862 5.5.3); addresses by DHCPv6 have one of 128.
    let is_announced = by == Some(AddressProtocol::RouterAnnouncement)
        || (!flags.contains(AddressFlags::Permanent) && prefix_len == 64);
    let is_from_router = address.is_ipv6() && is_announced;
    Some((LinkIndex(message.header.index), LinkAddress { address, prefix_len, is_from_router }))
}

/// Whether a route is a default route of the main table.
pub(super) fn is_default(route: &RouteMessage) -> bool {
    let table = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Table(table) => Some(*table),
        _ => None,
    });
    table.unwrap_or(u32::from(route.header.table)) == u32::from(RouteHeader::RT_TABLE_MAIN)
        && route.header.destination_prefix_length == 0
        && route.header.kind == RouteType::Unicast
}

/// A default route and the links that it leaves by; of two the lesser is the better.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Way {
    /// Announced by a router, so that every link that hears one may have such a route.
    pub(super) is_from_router: bool,
    pub(super) metric: u32,
    pub(super) hops: Vec<(LinkIndex, DefaultRoute)>,
}

/// The default route that a message describes; `None` if it is another route.
pub(super) fn read_way(route: &RouteMessage) -> Option<Way> {
    if !is_default(route) {
        return None;
    }
    let is_ipv6 = route.header.address_family == AddressFamily::Inet6;
    let is_from_router = route.header.protocol == RouteProtocol::Ra;
    let mut way = Way { is_from_router, metric: 0, hops: Vec::new() };
    let (mut link, via) = (None, router(&route.attributes));
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Priority(metric) => way.metric = *metric,
            RouteAttribute::Oif(index) => link = Some(LinkIndex(*index)),
            RouteAttribute::MultiPath(hops) => way.hops.extend(hops.iter().map(|hop| {
                let via = router(&hop.attributes);
                (LinkIndex(hop.interface_index), DefaultRoute { is_ipv6, via })
            })),
            _ => {}
        }
    }
    way.hops.extend(link.map(|link| (link, DefaultRoute { is_ipv6, via })));
    Some(way)
}

fn router(attributes: &[RouteAttribute]) -> Option<IpAddr> {
    attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(router)) => Some(IpAddr::V4(*router)),
        RouteAttribute::Gateway(RouteAddress::Inet6(router)) => Some(IpAddr::V6(*router)),
        RouteAttribute::Via(RouteVia::Inet(router)) => Some(IpAddr::V4(*router)),
        RouteAttribute::Via(RouteVia::Inet6(router)) => Some(IpAddr::V6(*router)),
        _ => None,
    })
}

#[cfg(test)]
pub(super) mod samples {
    use super::*;

    pub(in crate::link) fn message(family: AddressFamily, name: &str) -> LinkMessage {
        let mut message = LinkMessage::default();
        message.header.interface_family = family;
        message.header.index = 7;
        message.header.flags = LinkFlags::Up | LinkFlags::LowerUp;
        message.header.link_layer_type = LinkLayerType::Ether;
        message.attributes = vec![
            LinkAttribute::IfName(name.into()),
            LinkAttribute::Mtu(1_500),
            LinkAttribute::Address(vec![2, 0, 0, 0, 0, 1]),
        ];
        message
    }

    pub(in crate::link) fn link(name: &str) -> Link {
        let mac = Some(MacAddr([2, 0, 0, 0, 0, 1]));
        let facts = LinkFacts::default();
        Link {
            index: LinkIndex(7),
            name: name.into(),
            is_up: true,
            has_carrier: true,
            mtu: 1_500,
            mac,
            facts,
        }
    }
}

#[cfg(test)]
mod tests {
    use rtnetlink::packet_route::link::{InfoKind, VlanProtocol};

    use super::samples::{link, message};
    use super::*;

    #[test]
    fn a_link_is_read_with_its_state() {
        let new = RouteNetlinkMessage::NewLink(message(AddressFamily::Unspec, "eth2"));
        assert_eq!(read(&new), Some(News::Link(link("eth2"))));
        let gone = RouteNetlinkMessage::DelLink(message(AddressFamily::Unspec, "eth2"));
        assert_eq!(read(&gone), Some(News::Gone(LinkIndex(7))));
    }

    #[test]
    fn a_link_that_leaves_its_bridge_is_still_there() {
        let left = RouteNetlinkMessage::DelLink(message(AddressFamily::Bridge, "eth2"));
        assert_eq!(read(&left), None);
        let changed = RouteNetlinkMessage::NewLink(message(AddressFamily::Bridge, "eth2"));
        assert_eq!(read(&changed), None);
    }

    #[test]
    fn an_address_of_another_length_is_none() {
        let mut tunnel = message(AddressFamily::Unspec, "gre0");
        tunnel.attributes.retain(|attribute| !matches!(attribute, LinkAttribute::Address(_)));
        tunnel.attributes.push(LinkAttribute::Address(vec![10, 0, 0, 1]));
        assert_eq!(read_link(&tunnel).unwrap().mac, None);
    }

    #[test]
    fn a_vlan_device_is_read_with_its_tag_and_the_link_below() {
        let mut device = message(AddressFamily::Unspec, "eth2.8");
        let tag = vec![InfoVlan::Id(8), InfoVlan::Protocol(VlanProtocol::Ieee8021Ad)];
        device.attributes.extend([
            LinkAttribute::Link(3),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Vlan),
                LinkInfo::Data(InfoData::Vlan(tag)),
            ]),
        ]);
        let facts = read_link(&device).unwrap().facts;
        assert_eq!((facts.kind.as_str(), facts.lower), ("vlan", Some(LinkIndex(3))));
        assert_eq!(facts.vlan, Some(VlanDevice { vid: 8, tpid: 0x88a8 }));
        device.attributes.push(LinkAttribute::LinkNetNsId(0));
        assert_eq!(read_link(&device).unwrap().facts.lower, None, "the link below is in another namespace");
    }

    #[test]
    fn master_other_names_and_layer_are_read() {
        let mut member = message(AddressFamily::Unspec, "eth2");
        member.attributes.extend([
            LinkAttribute::Controller(9),
            LinkAttribute::PropList(vec![Prop::AltIfName("enp3s0f0".into())]),
        ]);
        let link = read_link(&member).unwrap();
        assert_eq!(link.facts.master, Some(LinkIndex(9)));
        assert!(link.is_called("enp3s0f0") && link.is_called("eth2") && !link.is_called("eth3"));
        for (kind, layer) in
            [(LinkLayerType::Loopback, LinkLayer::Loopback), (LinkLayerType::None, LinkLayer::Other)]
        {
            member.header.link_layer_type = kind;
            assert_eq!(read_link(&member).unwrap().facts.layer, layer);
        }
    }

    #[test]
    fn the_other_half_of_a_pair_is_no_link_below() {
        let mut half = message(AddressFamily::Unspec, "veth0");
        half.attributes
            .extend([LinkAttribute::Link(8), LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Veth)])]);
        assert_eq!(read_link(&half).unwrap().facts.lower, None);
    }

    fn address(text: &str, prefix_len: u8, flags: u32, by: Option<AddressProtocol>) -> LinkAddress {
        let mut message = AddressMessage::default();
        message.header.index = 7;
        message.header.prefix_len = prefix_len;
        message.attributes = vec![
            AddressAttribute::Address(text.parse().unwrap()),
            AddressAttribute::Flags(AddressFlags::from_bits_retain(flags)),
        ];
        message.attributes.extend(by.map(AddressAttribute::Protocol));
        let (link, address) = read_address(&message).unwrap();
        assert_eq!(link, LinkIndex(7));
        address
    }

    #[test]
    fn addresses_that_a_router_announced_are_told_apart() {
        let permanent = AddressFlags::Permanent.bits();
        for (address, is_from_router) in [
            (address("2001:db8::1", 64, permanent, None), false),
            (address("2001:db8::2", 64, permanent, Some(AddressProtocol::RouterAnnouncement)), true),
            (address("2001:db8::3", 64, 0, None), true),
            (address("2001:db8::4", 128, 0, None), false),
            (address("192.0.2.1", 24, 0, None), false),
        ] {
            assert_eq!(address.is_from_router, is_from_router, "{address}");
        }
    }

    #[test]
    fn the_own_address_counts_where_a_peers_is_told_as_well() {
        let mut message = AddressMessage::default();
        message.attributes = vec![
            AddressAttribute::Address("192.0.2.2".parse().unwrap()),
            AddressAttribute::Local("192.0.2.1".parse().unwrap()),
        ];
        let (_, address) = read_address(&message).unwrap();
        assert_eq!(address.address, "192.0.2.1".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn only_default_routes_of_the_main_table_count() {
        let mut route = RouteMessage::default();
        route.header.address_family = AddressFamily::Inet;
        route.header.table = RouteHeader::RT_TABLE_MAIN;
        route.header.kind = RouteType::Unicast;
        route.attributes = vec![
            RouteAttribute::Oif(3),
            RouteAttribute::Priority(100),
            RouteAttribute::Gateway(RouteAddress::Inet("192.0.2.254".parse().unwrap())),
        ];
        let way = read_way(&route).unwrap();
        let via = DefaultRoute { is_ipv6: false, via: Some("192.0.2.254".parse().unwrap()) };
        assert_eq!((way.metric, way.hops), (100, vec![(LinkIndex(3), via)]));
        assert_eq!(via.to_string(), "IPv4 default route via 192.0.2.254");
        route.attributes.push(RouteAttribute::Table(1_000));
        assert_eq!(read_way(&route), None, "another table");
        route.attributes.pop();
        route.header.destination_prefix_length = 24;
        assert_eq!(read_way(&route), None, "another destination");
        assert_eq!(read(&RouteNetlinkMessage::NewRoute(route)), None);
    }
}

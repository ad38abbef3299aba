//! What messages of rtnetlink say of links, their addresses, and the default routes (`include/uapi/linux/rtnetlink.h`).
//!
//! A link has some sixty attributes, and is told again whenever one of them changes: only those that count are looked at.

use std::net::IpAddr;

use vlan::addr::MacAddr;

use crate::netlink::message::Message;
use crate::netlink::nla::{Nla, NlaIter, align};
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
pub(super) fn read(message: &Message<'_>) -> Option<News> {
    match message.kind {
        RTM_NEWLINK => read_link(message.payload).map(News::Link),
        // Also comes when the link moves to another namespace; here it is gone.
        RTM_DELLINK => LinkHead::of(message.payload).map(|head| News::Gone(head.index)),
        RTM_NEWADDR => read_address(message.payload).map(|(link, address)| News::Address(link, address)),
        RTM_DELADDR => {
            read_address(message.payload).map(|(link, address)| News::AddressGone(link, address.address))
        }
        RTM_NEWROUTE | RTM_DELROUTE => is_default(message.payload).then_some(News::DefaultRoute),
        _ => None,
    }
}

/// struct ifinfomsg, as far as it counts.
struct LinkHead {
    layer: LinkLayer,
    index: LinkIndex,
    flags: u32,
}

impl LinkHead {
    /// Of a message about a link itself. One of another family is about a part of the link: AF_BRIDGE's RTM_DELLINK says that it left its
    /// bridge.
    fn of(payload: &[u8]) -> Option<LinkHead> {
        let [family, _, a, b, c, d, e, f, g, h, i, j, ..] = *payload.first_chunk::<LINK_HEAD_LEN>()?;
        let layer = match u16::from_ne_bytes([a, b]) {
            libc::ARPHRD_ETHER => LinkLayer::Ethernet,
            libc::ARPHRD_LOOPBACK => LinkLayer::Loopback,
            _ => LinkLayer::Other,
        };
        let index = LinkIndex(u32::from_ne_bytes([c, d, e, f]));
        let flags = u32::from_ne_bytes([g, h, i, j]);
        (i32::from(family) == libc::AF_UNSPEC).then_some(LinkHead { layer, index, flags })
    }

    fn has(&self, flag: i32) -> bool {
        self.flags & flag.cast_unsigned() != 0
    }
}

/// The link that a message describes; `None` without a name.
pub(super) fn read_link(payload: &[u8]) -> Option<Link> {
    let head = LinkHead::of(payload)?;
    let mut link = Link {
        index: head.index,
        name: String::new(),
        is_up: head.has(libc::IFF_UP),
        has_carrier: head.has(IFF_LOWER_UP),
        mtu: 0,
        mac: None,
        facts: LinkFacts { layer: head.layer, ..LinkFacts::default() },
    };
    let facts = &mut link.facts;
    let mut is_lower_elsewhere = false;
    for nla in NlaIter::behind(LINK_HEAD_LEN, payload).flatten() {
        match nla.kind {
            libc::IFLA_IFNAME => link.name = nla.text(),
            libc::IFLA_MTU => link.mtu = nla.u32().unwrap_or_default(),
            libc::IFLA_ADDRESS => link.mac = nla.payload.try_into().ok().map(MacAddr),
            libc::IFLA_MASTER => facts.master = other_link(nla),
            libc::IFLA_LINK => facts.lower = other_link(nla),
            libc::IFLA_LINK_NETNSID => is_lower_elsewhere = true,
            libc::IFLA_PROP_LIST => {
                let names = nla.nested().flatten().filter(|nla| nla.kind == libc::IFLA_ALT_IFNAME);
                facts.alt_names.extend(names.map(|nla| nla.text()));
            }
            libc::IFLA_LINKINFO => read_info(facts, nla),
            _ => {}
        }
    }
    // Of a pair, each has the other as its lower link, and takes nothing from it.
    if is_lower_elsewhere || ["veth", "netkit", "vxcan"].contains(&facts.kind.as_str()) {
        facts.lower = None;
    }
    (!link.name.is_empty()).then_some(link)
}

/// 0 stands for none.
fn other_link(nla: Nla<'_>) -> Option<LinkIndex> {
    nla.u32().ok().filter(|index| *index != 0).map(LinkIndex)
}

fn read_info(facts: &mut LinkFacts, infos: Nla<'_>) {
    let find = |wanted| infos.nested().flatten().find(|nla| nla.kind == wanted);
    facts.kind = find(libc::IFLA_INFO_KIND).map(|nla| nla.text()).unwrap_or_default();
    if facts.kind != "vlan" {
        return;
    }
    facts.vlan = find(libc::IFLA_INFO_DATA).map(|data| {
        let mut device = VlanDevice { vid: 0, tpid: 0x8100 };
        for nla in data.nested().flatten() {
            match nla.kind {
                IFLA_VLAN_ID => device.vid = nla.u16().unwrap_or_default(),
                IFLA_VLAN_PROTOCOL => device.tpid = nla.be16().unwrap_or(device.tpid),
                _ => {}
            }
        }
        device
    });
}

/// The address that a message is about. IFA_LOCAL is the link's own, where the other is its peer's.
pub(super) fn read_address(payload: &[u8]) -> Option<(LinkIndex, LinkAddress)> {
    // struct ifaddrmsg: family, length of the prefix, flags, scope, link.
    let [_, prefix_len, flags, _, a, b, c, d] = *payload.first_chunk::<ADDRESS_HEAD_LEN>()?;
    let (mut own, mut other) = (None, None);
    let (mut flags, mut by) = (u32::from(flags), None);
    for nla in NlaIter::behind(ADDRESS_HEAD_LEN, payload).flatten() {
        match nla.kind {
            libc::IFA_LOCAL => own = address_of(nla.payload),
            libc::IFA_ADDRESS => other = address_of(nla.payload),
            libc::IFA_FLAGS => flags = nla.u32().unwrap_or(flags),
            IFA_PROTO => by = nla.payload.first().copied(),
            _ => {}
        }
    }
    let address = own.or(other)?;
    // Before Linux 5.18, and where a network manager makes them, nothing says so, but they end and have a prefix of 64 bits
    // (RFC 4862 5.5.3); addresses by DHCPv6 have one of 128.
    let is_announced =
        by == Some(IFAPROT_KERNEL_RA) || (flags & libc::IFA_F_PERMANENT == 0 && prefix_len == 64);
    let is_from_router = address.is_ipv6() && is_announced;
    let link = LinkIndex(u32::from_ne_bytes([a, b, c, d]));
    Some((link, LinkAddress { address, prefix_len, is_from_router }))
}

fn address_of(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// struct rtmsg, as far as it counts.
struct RouteHead {
    family: u8,
    protocol: u8,
}

impl RouteHead {
    /// Of a default route of the main table.
    fn of_default(payload: &[u8]) -> Option<RouteHead> {
        let [family, destination_len, _, _, table, protocol, _, kind, ..] =
            *payload.first_chunk::<ROUTE_HEAD_LEN>()?;
        if destination_len != 0 || kind != libc::RTN_UNICAST {
            return None;
        }
        // Numbers beyond 255 stand behind.
        let mut attributes = NlaIter::behind(ROUTE_HEAD_LEN, payload).flatten();
        let long = attributes.find(|nla| nla.kind == libc::RTA_TABLE).and_then(|nla| nla.u32().ok());
        let is_main = long.unwrap_or(u32::from(table)) == u32::from(libc::RT_TABLE_MAIN);
        is_main.then_some(RouteHead { family, protocol })
    }
}

/// Whether a route is a default route of the main table.
pub(super) fn is_default(payload: &[u8]) -> bool {
    RouteHead::of_default(payload).is_some()
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
pub(super) fn read_way(payload: &[u8]) -> Option<Way> {
    let head = RouteHead::of_default(payload)?;
    let is_ipv6 = i32::from(head.family) == libc::AF_INET6;
    let attributes = NlaIter::behind(ROUTE_HEAD_LEN, payload);
    let via = router(attributes.clone());
    let mut way = Way { is_from_router: head.protocol == RTPROT_RA, metric: 0, hops: Vec::new() };
    for nla in attributes.flatten() {
        match nla.kind {
            libc::RTA_PRIORITY => way.metric = nla.u32().unwrap_or_default(),
            libc::RTA_OIF => {
                let link = nla.u32().ok().map(LinkIndex);
                way.hops.extend(link.map(|link| (link, DefaultRoute { is_ipv6, via })));
            }
            libc::RTA_MULTIPATH => way.hops.extend(hops(nla.payload, is_ipv6)),
            _ => {}
        }
    }
    Some(way)
}

/// The ways of a route that has several: struct rtnexthop each, with attributes behind.
fn hops(mut rest: &[u8], is_ipv6: bool) -> Vec<(LinkIndex, DefaultRoute)> {
    let mut hops = Vec::new();
    while let Some([a, b, _, _, c, d, e, f]) = rest.first_chunk::<HOP_HEAD_LEN>().copied() {
        let len = usize::from(u16::from_ne_bytes([a, b]));
        let Some(attributes) = rest.get(HOP_HEAD_LEN..len) else { break };
        let via = router(NlaIter::new(attributes));
        hops.push((LinkIndex(u32::from_ne_bytes([c, d, e, f])), DefaultRoute { is_ipv6, via }));
        rest = rest.get(align(len)..).unwrap_or_default();
    }
    hops
}

/// The router that a way leads to.
fn router(attributes: NlaIter<'_>) -> Option<IpAddr> {
    attributes.flatten().find_map(|nla| match nla.kind {
        libc::RTA_GATEWAY => address_of(nla.payload),
        // struct rtvia: a family, and the address.
        RTA_VIA => address_of(nla.payload.get(2..)?),
        _ => None,
    })
}

/// Types of messages.
const RTM_NEWLINK: u16 = libc::RTM_NEWLINK;
const RTM_DELLINK: u16 = libc::RTM_DELLINK;
const RTM_NEWADDR: u16 = libc::RTM_NEWADDR;
const RTM_DELADDR: u16 = libc::RTM_DELADDR;
const RTM_NEWROUTE: u16 = libc::RTM_NEWROUTE;
const RTM_DELROUTE: u16 = libc::RTM_DELROUTE;

/// Bytes of struct ifinfomsg, ifaddrmsg, rtmsg and rtnexthop.
pub(super) const LINK_HEAD_LEN: usize = 16;
pub(super) const ADDRESS_HEAD_LEN: usize = 8;
pub(super) const ROUTE_HEAD_LEN: usize = 12;
const HOP_HEAD_LEN: usize = 8;

/// IFF_LOWER_UP of linux/if.h.
const IFF_LOWER_UP: i32 = 1 << 16;
/// linux/if_link.h.
const IFLA_VLAN_ID: u16 = 1;
const IFLA_VLAN_PROTOCOL: u16 = 5;
/// linux/if_addr.h.
const IFA_PROTO: u16 = 11;
const IFAPROT_KERNEL_RA: u8 = 2;
/// linux/rtnetlink.h.
const RTPROT_RA: u8 = 9;
const RTA_VIA: u16 = 18;

#[cfg(test)]
pub(super) mod samples {
    use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
    use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkLayerType, LinkMessage};
    use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

    use super::*;

    /// A message as it comes, by a codec that is not ours.
    pub(super) fn datagram(message: RouteNetlinkMessage) -> Vec<u8> {
        let mut message = NetlinkMessage::new(Default::default(), NetlinkPayload::InnerMessage(message));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        bytes
    }

    /// What the kernel tells of a link that is there.
    pub(in crate::link) fn told(name: &str) -> Vec<u8> {
        datagram(RouteNetlinkMessage::NewLink(message(AddressFamily::Unspec, name)))
    }

    pub(super) fn message(family: AddressFamily, name: &str) -> LinkMessage {
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
    use proptest::prelude::*;
    use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressProtocol};
    use rtnetlink::packet_route::link::{
        InfoData, InfoKind, InfoVlan, LinkAttribute, LinkInfo, LinkLayerType, LinkMessage, Prop, VlanProtocol,
    };
    use rtnetlink::packet_route::route::{
        RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteNextHop, RouteType, RouteVia,
    };
    use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

    use super::samples::{datagram, link, message};
    use super::*;

    fn news(message: RouteNetlinkMessage) -> Option<News> {
        read(&Message::split(&datagram(message)).unwrap().0)
    }

    fn link_of(message: &LinkMessage) -> Link {
        match news(RouteNetlinkMessage::NewLink(message.clone())) {
            Some(News::Link(link)) => link,
            other => panic!("{other:?}"),
        }
    }

    fn address_of(message: &AddressMessage) -> (LinkIndex, LinkAddress) {
        match news(RouteNetlinkMessage::NewAddress(message.clone())) {
            Some(News::Address(link, address)) => (link, address),
            other => panic!("{other:?}"),
        }
    }

    fn way(message: &RouteMessage) -> Option<Way> {
        let bytes = datagram(RouteNetlinkMessage::NewRoute(message.clone()));
        read_way(Message::split(&bytes).unwrap().0.payload)
    }

    #[test]
    fn a_link_is_read_with_its_state() {
        let new = RouteNetlinkMessage::NewLink(message(AddressFamily::Unspec, "eth2"));
        assert_eq!(news(new), Some(News::Link(link("eth2"))));
        let gone = RouteNetlinkMessage::DelLink(message(AddressFamily::Unspec, "eth2"));
        assert_eq!(news(gone), Some(News::Gone(LinkIndex(7))));
    }

    #[test]
    fn a_link_that_leaves_its_bridge_is_still_there() {
        let left = RouteNetlinkMessage::DelLink(message(AddressFamily::Bridge, "eth2"));
        assert_eq!(news(left), None);
        let changed = RouteNetlinkMessage::NewLink(message(AddressFamily::Bridge, "eth2"));
        assert_eq!(news(changed), None);
    }

    #[test]
    fn an_address_of_another_length_is_none() {
        let mut tunnel = message(AddressFamily::Unspec, "gre0");
        tunnel.attributes.retain(|attribute| !matches!(attribute, LinkAttribute::Address(_)));
        tunnel.attributes.push(LinkAttribute::Address(vec![10, 0, 0, 1]));
        assert_eq!(link_of(&tunnel).mac, None);
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
        let facts = link_of(&device).facts;
        assert_eq!((facts.kind.as_str(), facts.lower), ("vlan", Some(LinkIndex(3))));
        assert_eq!(facts.vlan, Some(VlanDevice { vid: 8, tpid: 0x88a8 }));
        device.attributes.push(LinkAttribute::LinkNetNsId(0));
        assert_eq!(link_of(&device).facts.lower, None, "the link below is in another namespace");
    }

    #[test]
    fn master_other_names_and_layer_are_read() {
        let mut member = message(AddressFamily::Unspec, "eth2");
        member.attributes.extend([
            LinkAttribute::Controller(9),
            LinkAttribute::PropList(vec![Prop::AltIfName("enp3s0f0".into())]),
        ]);
        let link = link_of(&member);
        assert_eq!(link.facts.master, Some(LinkIndex(9)));
        assert!(link.is_called("enp3s0f0") && link.is_called("eth2") && !link.is_called("eth3"));
        for (kind, layer) in
            [(LinkLayerType::Loopback, LinkLayer::Loopback), (LinkLayerType::None, LinkLayer::Other)]
        {
            member.header.link_layer_type = kind;
            assert_eq!(link_of(&member).facts.layer, layer);
        }
    }

    #[test]
    fn the_other_half_of_a_pair_is_no_link_below() {
        let mut half = message(AddressFamily::Unspec, "veth0");
        half.attributes
            .extend([LinkAttribute::Link(8), LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Veth)])]);
        assert_eq!(link_of(&half).facts.lower, None);
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
        let (link, address) = address_of(&message);
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
        let (_, address) = address_of(&message);
        assert_eq!(address.address, "192.0.2.1".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn a_default_route_of_several_ways_has_each_of_them() {
        let mut route = RouteMessage::default();
        route.header.address_family = AddressFamily::Inet6;
        route.header.table = RouteHeader::RT_TABLE_MAIN;
        route.header.kind = RouteType::Unicast;
        let hop = |interface_index, router: &str| {
            let mut hop = RouteNextHop::default();
            hop.interface_index = interface_index;
            hop.attributes = vec![RouteAttribute::Gateway(RouteAddress::Inet6(router.parse().unwrap()))];
            hop
        };
        route.attributes = vec![RouteAttribute::MultiPath(vec![hop(3, "fe80::1"), hop(4, "fe80::2")])];
        let to = |router: &str| DefaultRoute { is_ipv6: true, via: Some(router.parse().unwrap()) };
        let hops = vec![(LinkIndex(3), to("fe80::1")), (LinkIndex(4), to("fe80::2"))];
        assert_eq!(way(&route).unwrap().hops, hops);
        route.attributes.push(RouteAttribute::Via(RouteVia::Inet("192.0.2.254".parse().unwrap())));
        route.attributes.push(RouteAttribute::Oif(5));
        let last = DefaultRoute { is_ipv6: true, via: Some("192.0.2.254".parse().unwrap()) };
        assert_eq!(way(&route).unwrap().hops[2], (LinkIndex(5), last), "the router may be of another family");
        assert_eq!(news(RouteNetlinkMessage::DelRoute(route)), Some(News::DefaultRoute));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(kind in 14_u16..28, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let message = Message { kind, flags: 0, seq: 0, payload: &bytes };
            let news = read(&message);
            prop_assert!(news.is_none() || bytes.len() >= ADDRESS_HEAD_LEN);
            let _ = read_way(&bytes);
        }

        /// Each attribute of a message cut or changed at one place.
        #[test]
        fn a_changed_message_is_read_without_panic(at in 16_usize..200, byte: u8) {
            let mut bytes = super::samples::told("eth2");
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            let (message, _) = Message::split(&bytes).unwrap();
            let _ = read(&message);
        }
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
        let found = way(&route).unwrap();
        let via = DefaultRoute { is_ipv6: false, via: Some("192.0.2.254".parse().unwrap()) };
        assert_eq!((found.metric, found.hops), (100, vec![(LinkIndex(3), via)]));
        assert_eq!(via.to_string(), "IPv4 default route via 192.0.2.254");
        route.attributes.push(RouteAttribute::Table(1_000));
        assert_eq!(way(&route), None, "another table");
        route.attributes.pop();
        route.header.destination_prefix_length = 24;
        assert_eq!(way(&route), None, "another destination");
        assert_eq!(news(RouteNetlinkMessage::NewRoute(route)), None);
    }
}

//! What is read of messages that a codec has written which is not ours.

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
        LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Vlan), LinkInfo::Data(InfoData::Vlan(tag))]),
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

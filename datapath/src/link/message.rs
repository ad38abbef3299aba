//! What messages of rtnetlink say of links, their addresses, and the default routes (`include/uapi/linux/rtnetlink.h`).
//!
//! A link has some sixty attributes, and is told again whenever one of them changes: only those that count are looked at.

use std::net::IpAddr;

use vlan::addr::MacAddr;

use crate::netlink::message::Message;
use crate::netlink::nla::{Nla, NlaIter, align};
use crate::port::{DefaultRoute, Link, LinkAddress, LinkFacts, LinkIndex, LinkLayer, VlanDevice};
use crate::tunnel::DEVICE_PREFIX;

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

/// The index and the flags of the link that a message is about.
pub(super) fn head_of(payload: &[u8]) -> Option<(LinkIndex, u32)> {
    LinkHead::of(payload).map(|head| (head.index, head.flags))
}

/// The link that a message describes; `None` without a name, and for the device by which a datapath reaches other hosts: that is nobody's
/// link.
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
    let (mut is_lower_elsewhere, mut is_uplink) = (false, false);
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
            libc::IFLA_LINKINFO => {
                read_info(facts, nla);
                is_uplink = has_metadata(nla);
            }
            _ => {}
        }
    }
    // Of a pair, each has the other as its lower link, and takes nothing from it.
    if is_lower_elsewhere || ["veth", "netkit", "vxcan"].contains(&facts.kind.as_str()) {
        facts.lower = None;
    }
    is_uplink &= link.facts.kind == VXLAN_KIND && link.name.starts_with(DEVICE_PREFIX);
    (!link.name.is_empty() && !is_uplink).then_some(link)
}

/// Whether a VXLAN device serves all tunnels.
fn has_metadata(infos: Nla<'_>) -> bool {
    let data = infos.nested().flatten().find(|nla| nla.kind == libc::IFLA_INFO_DATA);
    let mut settings = data.into_iter().flat_map(|data| data.nested().flatten());
    settings.any(|nla| {
        nla.kind == IFLA_VXLAN_COLLECT_METADATA && nla.payload.first().is_some_and(|byte| *byte != 0)
    })
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
pub(super) const IFLA_VXLAN_COLLECT_METADATA: u16 = 25;
/// IFLA_INFO_KIND of VXLAN devices.
pub(super) const VXLAN_KIND: &str = "vxlan";
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
mod tests;

//! What a message of the kernel says of a link.

use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use vlan::addr::MacAddr;

use crate::port::{Link, LinkEvent, LinkIndex};

/// The event that a message tells of, if it tells of a link.
pub(super) fn read_event(message: &RouteNetlinkMessage) -> Option<LinkEvent> {
    match message {
        RouteNetlinkMessage::NewLink(link) if is_of_the_link(link) => read_link(link).map(LinkEvent::Changed),
        // Also comes when the link moves to another namespace; here it is gone.
        RouteNetlinkMessage::DelLink(link) if is_of_the_link(link) => {
            Some(LinkEvent::Gone(LinkIndex(link.header.index)))
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

#[cfg(test)]
pub(super) mod samples {
    use super::*;

    pub(in crate::link) fn message(family: AddressFamily, name: &str) -> LinkMessage {
        let mut message = LinkMessage::default();
        message.header.interface_family = family;
        message.header.index = 7;
        message.header.flags = LinkFlags::Up | LinkFlags::LowerUp;
        message.attributes = vec![
            LinkAttribute::IfName(name.into()),
            LinkAttribute::Mtu(1_500),
            LinkAttribute::Address(vec![2, 0, 0, 0, 0, 1]),
        ];
        message
    }

    pub(in crate::link) fn link(name: &str) -> Link {
        let mac = Some(MacAddr([2, 0, 0, 0, 0, 1]));
        Link { index: LinkIndex(7), name: name.into(), is_up: true, has_carrier: true, mtu: 1_500, mac }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{link, message};
    use super::*;

    #[test]
    fn a_link_is_read_with_its_state() {
        let new = RouteNetlinkMessage::NewLink(message(AddressFamily::Unspec, "eth2"));
        assert_eq!(read_event(&new), Some(LinkEvent::Changed(link("eth2"))));
        let gone = RouteNetlinkMessage::DelLink(message(AddressFamily::Unspec, "eth2"));
        assert_eq!(read_event(&gone), Some(LinkEvent::Gone(LinkIndex(7))));
    }

    #[test]
    fn a_link_that_leaves_its_bridge_is_still_there() {
        let left = RouteNetlinkMessage::DelLink(message(AddressFamily::Bridge, "eth2"));
        assert_eq!(read_event(&left), None);
        let changed = RouteNetlinkMessage::NewLink(message(AddressFamily::Bridge, "eth2"));
        assert_eq!(read_event(&changed), None);
    }

    #[test]
    fn an_address_of_another_length_is_none() {
        let mut tunnel = message(AddressFamily::Unspec, "gre0");
        tunnel.attributes.retain(|attribute| !matches!(attribute, LinkAttribute::Address(_)));
        tunnel.attributes.push(LinkAttribute::Address(vec![10, 0, 0, 1]));
        assert_eq!(read_link(&tunnel).unwrap().mac, None);
    }
}

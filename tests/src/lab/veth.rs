//! A cable: a veth pair whose two ends lie in two namespaces, or in one.

use std::os::fd::AsRawFd;

use rtnetlink::packet_route::link::{InfoData, InfoVeth};
use rtnetlink::{LinkMessageBuilder, LinkUnspec, LinkVeth};

use super::netns::Netns;

/// One end of a cable: the namespace and the link's name in it, at most 15 bytes.
pub type End<'a> = (&'a Netns, &'a str);

/// Lays a cable and takes both ends up. It goes with either namespace, or when either end is deleted.
///
/// # Panics
/// One of the names is taken or too long, or the kernel refuses.
pub fn connect(near: End<'_>, far: End<'_>) {
    // Not up yet: the kernel opens the peer before it has the near end, and refuses (ENOTCONN).
    let peer = LinkMessageBuilder::<LinkUnspec>::new().name(far.1).setns_by_fd(far.0.as_raw_fd()).build();
    let pair = LinkVeth::new(near.1, far.1).set_info_data(InfoData::Veth(InfoVeth::Peer(peer))).up();
    near.0.links().add(&format!("{} to {} in {}", near.1, far.1, far.0.name()), pair.build());
    far.0.links().set_up(far.1);
    near.0.links().wait_until_ready(near.1);
    far.0.links().wait_until_ready(far.1);
}

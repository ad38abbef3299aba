//! Two hosts with a VXLAN tunnel between them, as each contender makes them: what a frame costs from one host's VM to another host's.

use std::net::Ipv4Addr;
use std::path::Path;

use rtnetlink::{LinkBridge, LinkVxlan};

use super::contender::{Contender, Engine, Kind};
use super::ovs::OpenVswitch;
use super::wire::{STATION, TRUNK, Wire};
use crate::lab::gateway::Gateway;
use crate::lab::netns::Netns;
use crate::lab::veth;

/// Those that are measured.
pub const TUNNELLING: [Kind; 3] = [Kind::Bridge, Kind::Ours, Kind::OpenVswitch];

/// Starts two hosts and waits until a frame has come from each one's VM to the other's. `ovs` is where Open vSwitch was unpacked.
///
/// # Panics
/// The contender has no tunnels, does not start, or forwards nothing.
pub fn start(kind: Kind, ovs: &Path) -> Contender {
    let (wire, hosts) = match kind {
        Kind::Ours => ours(),
        Kind::Bridge | Kind::OpenVswitch => others(kind, ovs),
        _ => panic!("{} makes no tunnels", kind.title()),
    };
    Contender::of_two(kind, wire, hosts)
}

fn ours() -> (Wire, [Engine; 2]) {
    let mut hosts = [file(STATION, ADDRESSES), file(TRUNK, [ADDRESSES[1], ADDRESSES[0]])]
        .map(|file| Gateway::new("host", &file));
    let wire = lay(hosts.each_ref().map(Gateway::netns));
    hosts.iter_mut().for_each(Gateway::start_up);
    (wire, hosts.map(|host| Engine::Ours(Box::new(host))))
}

fn others(kind: Kind, ovs: &Path) -> (Wire, [Engine; 2]) {
    let [near, far] = ["near", "far"].map(Netns::new);
    let wire = lay([&near, &far]);
    let host = |netns: Netns, link, own, other| {
        if kind == Kind::OpenVswitch {
            return Engine::OpenVswitch(OpenVswitch::with_tunnel(&netns, ovs, (link, other, VNI)), netns);
        }
        bridge_of_tunnel(&netns, link, own, other);
        Engine::Kernel(netns)
    };
    let [one, other] = ADDRESSES;
    (wire, [host(near, STATION, one, other), host(far, TRUNK, other, one)])
}

/// The wire's two cables, and the underlay: a cable from host to host.
fn lay([near, far]: [&Netns; 2]) -> Wire {
    veth::connect((near, UNDERLAY), (far, UNDERLAY));
    for (netns, address) in [near, far].into_iter().zip(ADDRESSES) {
        netns.links().set_mtu(UNDERLAY, UNDERLAY_MTU);
        netns.links().add_address(UNDERLAY, address.into(), 24);
    }
    Wire::between(near, far)
}

fn bridge_of_tunnel(netns: &Netns, link: &str, own: Ipv4Addr, other: Ipv4Addr) {
    let links = netns.links();
    links.add(BRIDGE, LinkBridge::new(BRIDGE).mcast_snooping(false).up().build());
    links.add(DEVICE, LinkVxlan::new(DEVICE, VNI).port(PORT).local(own).up().build());
    links.append_flood_target(DEVICE, other.into());
    [link, DEVICE].iter().for_each(|port| links.attach(port, BRIDGE));
    links.wait_until_ready(link);
}

/// Of one host, to which the other is a VTEP: two hosts of one topology would need a store between them, which would take its share.
fn file(link: &str, [own, other]: [Ipv4Addr; 2]) -> String {
    format!(
        "[hosts.gw1]\nunderlay = \"{own}\"\n[hosts.other]\nkind = \"vtep\"\nunderlay = \"{other}\"\n\
         [bridges.vub8]\nkind = \"vlan-unaware\"\nvni = {VNI}\n\
         [[ports]]\nname = \"{link}\"\nbridge = \"vub8\"\nhost = \"gw1\"\nlink = \"{link}\"\n\
         [[ports]]\nname = \"behind\"\nbridge = \"vub8\"\nhost = \"other\"\n"
    )
}

const BRIDGE: &str = "br0";
const DEVICE: &str = "vxlan8";
const UNDERLAY: &str = "underlay0";
/// With room for the outer headers of frames of 1 500 bytes of payload.
const UNDERLAY_MTU: u32 = 1_600;
const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(198, 51, 100, 1), Ipv4Addr::new(198, 51, 100, 2)];
const VNI: u32 = 8_008;
/// IANA's port of VXLAN, RFC 7348 section 5.
const PORT: u16 = 4_789;

#[cfg(test)]
mod tests {
    #[test]
    fn the_file_of_each_host_is_right() {
        let config = l2gw::config::parse("gateway.toml", &super::file("vm", super::ADDRESSES));
        assert!(config.is_ok(), "{:?}", config.err());
    }
}

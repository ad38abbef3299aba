//! Two rigs of namespaces with an underlay between them: a bridge in a namespace of its own, and a third party that is the bytes of a packet
//! socket.

use std::net::{IpAddr, UdpSocket};

use datapath::fake::Packet;
use datapath::ovs::UpcallSockets;

use super::kernel::KernelRig;
use super::pair::{Addresses, Family, Pair, VXLAN_PORT};
use crate::lab::frames::{Frame, Mac, internet_checksum};
use crate::lab::links::Carried;
use crate::lab::netns::Netns;
use crate::lab::tap::Tap;
use crate::lab::veth;

/// Two gateways and a plain VTEP.
#[derive(Debug)]
pub struct KernelPair {
    near: KernelRig,
    far: KernelRig,
    vtep: Netns,
    wire: Tap,
    family: Family,
    /// UDP ports that somebody has: the VTEP's, since its host would say otherwise that nobody is there; and those of the near host that
    /// another program has.
    taken: Vec<UdpSocket>,
    _underlay: Netns,
}

impl KernelPair {
    /// Hosts on an underlay of this family, which takes 1 500 bytes.
    ///
    /// # Panics
    /// The process may not make namespaces.
    pub fn new(family: Family) -> KernelPair {
        let rig = || {
            let mut rig = KernelRig::new(UpcallSockets::default());
            // In by a link, out to the underlay, through its bridge, in at the other host, out of the tunnel, out by a link.
            rig.set_stages(8);
            rig
        };
        let (near, far, vtep, underlay) = (rig(), rig(), Netns::new("vtep"), Netns::new("underlay"));
        underlay.links().add_vlan_bridge("br0");
        for (host, name, number) in
            [(near.gateway(), "near", 1), (far.gateway(), "far", 2), (&vtep, "vtep", 3)]
        {
            veth::connect((host, UPLINK), (&underlay, name));
            underlay.links().attach(name, "br0");
            underlay.links().add_bridge_vlan(name, 1, Carried::Untagged);
            let (address, prefix) = address(family, number);
            host.links().add_address(UPLINK, address, prefix);
        }
        ["near", "far", "vtep"].iter().for_each(|name| underlay.links().wait_until_ready(name));
        // So that no packet waits for it: of those that do, some may be dropped.
        for (host, number) in [(near.gateway(), 1), (far.gateway(), 2), (&vtep, 3)] {
            find_neighbours(host, family, number);
        }
        near.settle();
        let wire = vtep.tap(UPLINK);
        let own = take(&vtep, (address(family, 3).0, VXLAN_PORT));
        KernelPair { near, far, vtep, wire, family, taken: vec![own], _underlay: underlay }
    }

    /// The namespace of the VTEP, in which [`UPLINK`] leads to the underlay.
    pub fn vtep(&self) -> &Netns {
        &self.vtep
    }

    /// What came to the VTEP by the underlay since this was last asked, as it was on the wire.
    pub fn wire(&self) -> Vec<Vec<u8>> {
        self.near.settle();
        self.wire.drain()
    }

    /// The VTEP sends a packet to another address than those of [`Pair::addresses`].
    pub fn vtep_sends_as_it_is(&mut self, packet: &Packet) {
        let near = self.near.gateway().links().mac(UPLINK);
        let mac =
            if packet.to == self.addresses().far { self.far.gateway().links().mac(UPLINK) } else { near };
        self.wire.send(&packet_bytes(packet, self.vtep.links().mac(UPLINK), mac));
        self.near.settle();
    }
}

impl Pair for KernelPair {
    type Rig = KernelRig;

    fn near(&mut self) -> &mut KernelRig {
        &mut self.near
    }

    fn far(&mut self) -> &mut KernelRig {
        &mut self.far
    }

    fn addresses(&self) -> Addresses {
        let [near, far, vtep] = [1, 2, 3].map(|number| address(self.family, number).0);
        Addresses { near, far, vtep }
    }

    fn vtep_sends(&mut self, packet: &Packet) {
        let from = self.addresses().vtep;
        self.vtep_sends_as_it_is(&Packet { from, ..packet.clone() });
    }

    fn vtep_received(&mut self) -> Vec<Packet> {
        self.wire()
            .iter()
            .filter_map(|bytes| read(bytes))
            .filter(|packet| packet.port == VXLAN_PORT)
            .collect()
    }

    fn occupy_udp_of_near(&mut self, port: u16) {
        let socket = take(self.near.gateway(), (self.addresses().near, port));
        self.taken.push(socket);
    }
}

fn take(netns: &Netns, at: (IpAddr, u16)) -> UdpSocket {
    netns.run(|| UdpSocket::bind(at)).unwrap_or_else(|error| panic!("cannot take {at:?}: {error}"))
}

/// Has a host ask for the hardware addresses of the others.
fn find_neighbours(host: &Netns, family: Family, number: u8) {
    let asking = take(host, (address(family, number).0, 0));
    for other in (1..=3).filter(|other| *other != number) {
        let to = (address(family, other).0, DISCARD);
        asking.send_to(&[], to).unwrap_or_else(|error| panic!("cannot send to {to:?}: {error}"));
    }
}

fn address(family: Family, number: u8) -> (IpAddr, u8) {
    match family {
        Family::V4 => ([198, 51, 100, number].into(), 24),
        Family::V6 => ([0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into()].into(), 64),
    }
}

/// A packet as it is on the wire (RFC 7348 5).
fn packet_bytes(packet: &Packet, from: Mac, to: Mac) -> Vec<u8> {
    let [_, a, b, c] = packet.vni.to_be_bytes();
    let payload = [&[0x08, 0, 0, 0, a, b, c, 0], &packet.frame[..]].concat();
    let (frame, octet) = (Frame::new(from, to), packet.class << 5 | packet.ecn);
    match (packet.from, packet.to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut bytes = frame.udp4((from, SOURCE_PORT), (to, packet.port), &payload);
            bytes[15] = octet;
            bytes[24..26].fill(0);
            let checksum = internet_checksum(&[&bytes[14..34]]);
            bytes[24..26].copy_from_slice(&checksum.to_be_bytes());
            bytes
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let mut bytes = frame.udp6((from, SOURCE_PORT), (to, packet.port), &payload);
            bytes[14] |= octet >> 4;
            bytes[15] |= octet << 4;
            bytes
        }
        (from, to) => panic!("a packet from {from} to {to}"),
    }
}

/// The packet that is on the wire; none if it is not a whole one of UDP with a VNI.
pub fn read(bytes: &[u8]) -> Option<Packet> {
    let (from, to, octet, udp): (IpAddr, IpAddr, u8, &[u8]) = match (bytes.get(12..14)?, bytes.get(14..)?) {
        ([0x08, 0x00], ip) if ip.get(9) == Some(&17) => {
            let end = |at: usize| ip.get(at..)?.first_chunk::<4>().copied().map(IpAddr::from);
            (end(12)?, end(16)?, ip[1], ip.get(20..)?)
        }
        ([0x86, 0xdd], ip) if ip.get(6) == Some(&17) => {
            let end = |at: usize| ip.get(at..)?.first_chunk::<16>().copied().map(IpAddr::from);
            (end(8)?, end(24)?, ip[0] << 4 | ip[1] >> 4, ip.get(40..)?)
        }
        _ => return None,
    };
    let (&[a, b, c, d, e, f, _, _, 0x08, _, _, _, x, y, z, _], frame) = udp.split_first_chunk()? else {
        return None;
    };
    let frame = frame.get(..usize::from(u16::from_be_bytes([e, f])) - 16)?.to_vec();
    Some(Packet {
        from,
        to,
        port: u16::from_be_bytes([c, d]),
        vni: u32::from_be_bytes([0, x, y, z]),
        class: octet >> 5,
        ecn: octet & 3,
        path: u16::from_be_bytes([a, b]).into(),
        frame,
    })
}

/// The link of each host to the underlay.
pub const UPLINK: &str = "uplink";

const SOURCE_PORT: u16 = 50_000;
/// RFC 863.
const DISCARD: u16 = 9;

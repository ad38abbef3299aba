//! A rig in memory.

use std::net::IpAddr;
use std::time::Duration;

use datapath::fake::{FakeDatapath, FakeUnderlay, FakeWire, Options, Packet};
use datapath::{FlowTable, Refusal};
use vlan::frame::Header;
use vlan::time::Instant;
use vlan::verdict::Consulted;

use super::pair::{Addresses, Family, Pair, VXLAN_PORT};
use super::{LinkState, Rig};

/// A [`FakeWire`] as a rig, with the datapath as it is or in a wrapper.
#[derive(Debug)]
pub struct FakeRig<D = FakeDatapath> {
    wire: FakeWire,
    wrap: fn(FakeDatapath) -> D,
    thief: Option<FakeDatapath>,
}

impl FakeRig {
    /// A host without links whose datapath is as able as the options say.
    pub fn new(options: Options) -> FakeRig {
        FakeRig::wrapped(options, |datapath| datapath)
    }
}

impl<D> FakeRig<D> {
    /// A host without links whose datapath is in a wrapper.
    pub fn wrapped(options: Options, wrap: fn(FakeDatapath) -> D) -> FakeRig<D> {
        FakeRig { wire: FakeWire::new(options), wrap, thief: None }
    }
}

impl<D: FlowTable> Rig for FakeRig<D> {
    type Datapath = D;

    async fn open(&mut self) -> Result<D, Refusal> {
        FakeDatapath::adopt(&self.wire).map(self.wrap)
    }

    fn add_links(&mut self, links: &[&str]) {
        links.iter().for_each(|link| self.wire.add_link(link));
    }

    fn remove_link(&mut self, link: &str) {
        self.wire.remove_link(link);
    }

    fn rename_link(&mut self, link: &str, name: &str) {
        self.wire.rename_link(link, name);
    }

    fn set_state(&mut self, link: &str, state: LinkState) {
        self.wire.change_link(link, |link| link.is_up = state == LinkState::Up);
    }

    fn set_mtu(&mut self, link: &str, mtu: u32) {
        self.wire.change_link(link, |link| link.mtu = mtu);
    }

    fn inject(&mut self, link: &str, frames: &[Vec<u8>]) {
        frames.iter().for_each(|frame| self.wire.inject(link, frame));
    }

    fn sent(&mut self, link: &str) -> Vec<Vec<u8>> {
        self.wire.sent(link)
    }

    fn delete_datapath(&mut self) {
        self.wire.delete_datapath();
    }

    async fn steal_upcalls(&mut self, _link: &str) {
        self.thief = Some(FakeDatapath::open(&self.wire));
    }

    fn now(&self) -> Instant {
        self.wire.now()
    }

    async fn pass(&mut self, span: Duration) {
        self.wire.advance(span);
    }

    fn effective_mask(&self, asked: &Consulted, _key: &Header) -> Consulted {
        *asked
    }

    fn faults(&self) -> Vec<String> {
        self.wire.faults()
    }
}

/// Two [`FakeRig`]s on a [`FakeUnderlay`].
#[derive(Debug)]
pub struct FakePair<D = FakeDatapath> {
    near: FakeRig<D>,
    far: FakeRig<D>,
    underlay: FakeUnderlay,
    addresses: Addresses,
}

impl<D> FakePair<D> {
    /// Hosts without links whose datapaths are as able as the options say, each in a wrapper.
    pub fn wrapped(options: Options, family: Family, wrap: fn(FakeDatapath) -> D) -> FakePair<D> {
        let rig = || FakeRig::wrapped(options, wrap);
        let (near, far, underlay) = (rig(), rig(), FakeUnderlay::default());
        let [of_near, of_far, vtep] = ADDRESSES.map(|(v4, v6)| if family == Family::V4 { v4 } else { v6 });
        underlay.join(&near.wire, &[of_near]);
        underlay.join(&far.wire, &[of_far]);
        underlay.add_vtep(vtep);
        FakePair { near, far, underlay, addresses: Addresses { near: of_near, far: of_far, vtep } }
    }
}

impl<D: FlowTable> Pair for FakePair<D> {
    type Rig = FakeRig<D>;

    fn near(&mut self) -> &mut FakeRig<D> {
        &mut self.near
    }

    fn far(&mut self) -> &mut FakeRig<D> {
        &mut self.far
    }

    fn addresses(&self) -> Addresses {
        self.addresses
    }

    fn vtep_sends(&mut self, packet: &Packet) {
        self.underlay.inject(Packet { from: self.addresses.vtep, ..packet.clone() });
    }

    fn vtep_received(&mut self) -> Vec<Packet> {
        let mut received = self.underlay.received(self.addresses.vtep);
        received.retain(|packet| packet.port == VXLAN_PORT);
        received
    }

    fn occupy_udp_of_near(&mut self, port: u16) {
        self.near.wire.occupy_udp(port);
    }
}

/// Documentation addresses (RFC 5737, RFC 3849).
const ADDRESSES: [(IpAddr, IpAddr); 3] = [(v4(1), v6(1)), (v4(2), v6(2)), (v4(3), v6(3))];

const fn v4(host: u8) -> IpAddr {
    IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, host))
}

const fn v6(host: u16) -> IpAddr {
    IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host))
}

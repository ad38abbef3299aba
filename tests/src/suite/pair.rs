//! Two hosts that reach each other by an underlay, and a third party on it that is no datapath.

use std::net::IpAddr;

use datapath::fake::Packet;

use super::Rig;

/// Surroundings of two datapaths that speak with each other: the rig of each, and a plain VTEP on the same underlay.
///
/// ```text
///   near: Rig ── tunnel ──┬── underlay ── tunnel ── far: Rig
///                         └── a plain VTEP: sends what it is told to, keeps what it gets
/// ```
/// As with a [`Rig`], what was injected has been dealt with when a call returns, on both hosts.
pub trait Pair {
    /// Either host.
    type Rig: Rig;

    /// One host.
    fn near(&mut self) -> &mut Self::Rig;

    /// The other.
    fn far(&mut self) -> &mut Self::Rig;

    /// The address of each on the underlay, all of one family; it is the hosts' own from the beginning.
    fn addresses(&self) -> Addresses;

    /// The VTEP sends a packet from its own address, whatever the packet says of that. When this returns, the receiver has dealt with it.
    fn vtep_sends(&mut self, packet: &Packet);

    /// What came to the VTEP's address and [`VXLAN_PORT`] since this was last asked, in order. [`Packet::path`] is something that is
    /// the same for two packets exactly if routers send them the same way, as the UDP source port is.
    fn vtep_received(&mut self) -> Vec<Packet>;

    /// Another program on the near host takes a UDP port.
    fn occupy_udp_of_near(&mut self, port: u16);
}

/// Who is where on the underlay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// The near host.
    pub near: IpAddr,
    /// The far host.
    pub far: IpAddr,
    /// The plain VTEP.
    pub vtep: IpAddr,
}

/// Where the VTEP listens (RFC 7348 5).
pub const VXLAN_PORT: u16 = 4789;

/// The family of an underlay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

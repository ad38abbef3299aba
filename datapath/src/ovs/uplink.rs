//! The port to other hosts: the underlay's device, made a port of the datapath.

use super::family::refuse;
use super::handle::Handle;
use super::ports::Ports;
use super::socket::Home;
use super::transact::Denial;
use super::tunnel::Tunnel;
use super::underlay::{Underlay, device_of, opening};
use super::{Refusal, RefusalCause, Vport, VportStats, vport};
use crate::tunnel::TunnelEnd;

/// The port to other hosts that a datapath has or may get. Which one it has, the kernel knows.
#[derive(Debug)]
pub(super) struct Uplink {
    /// The kernel has VXLAN devices.
    is_supported: bool,
    /// The name of the link that it is.
    device: String,
}

impl Uplink {
    /// That of the datapath of this name.
    pub(super) async fn of(home: &Home, datapath: &str) -> Uplink {
        let is_supported = Underlay::of(home, datapath).are_tunnels_known().await;
        Uplink { is_supported, device: device_of(datapath) }
    }

    /// Whether there can be one.
    pub(super) fn is_supported(&self) -> bool {
        self.is_supported
    }

    /// Whether a port is this one.
    pub(super) fn is(&self, port: &Vport) -> bool {
        port.link == self.device
    }

    /// Has the port be there as this end wants it.
    pub(super) async fn open(
        &self,
        handle: &mut Handle,
        ports: &mut Ports,
        end: TunnelEnd,
    ) -> Result<Vport, Refusal> {
        let what = opening(end);
        if !self.is_supported {
            return Err(Refusal { what, cause: RefusalCause::Unsupported });
        }
        let is_there = underlay(handle).look(end).await?;
        let port = match self.find(handle, &what).await? {
            Some(port) if is_there => ports.listen_to(handle, &port).await.map(|()| port.port)?,
            None if is_there => ports.attach(handle, &self.device).await?,
            _ => {
                self.close(handle, ports, &what).await?;
                underlay(handle).make(end).await?;
                self.attach_made(handle, ports).await?
            }
        };
        ports.set_tunnel(handle, Some(Tunnel { no: port.no, local: end.local }));
        Ok(port)
    }

    /// Makes the device that was just made a port; without one it does not stay.
    async fn attach_made(&self, handle: &mut Handle, ports: &mut Ports) -> Result<Vport, Refusal> {
        let attached = ports.attach(handle, &self.device).await;
        if attached.is_err()
            && let Err(denial) = underlay(handle).remove().await
        {
            tracing::warn!(datapath = handle.name, ?denial, "the device of its tunnel stays");
        }
        attached
    }

    /// Removes the port and the device; where there is none, nothing.
    pub(super) async fn close(
        &self,
        handle: &mut Handle,
        ports: &mut Ports,
        what: &str,
    ) -> Result<(), Refusal> {
        if let Some(port) = self.find(handle, what).await? {
            ports.release(handle, port.port.no, what).await?;
        }
        ports.set_tunnel(handle, None);
        underlay(handle).remove().await.map(drop).map_err(|denial| refuse(what, denial))
    }

    /// The port, and what it counted. The kernel counts the bytes of a frame there from behind its Ethernet header on
    /// (`iptunnel_xmit` in `net/ipv4/ip_tunnel_core.c`, `vxlan_rcv` in `drivers/net/vxlan/vxlan_core.c`).
    pub(super) async fn count(&self, handle: &mut Handle) -> Result<Option<(Vport, VportStats)>, Refusal> {
        let port = self.find(handle, "read the tunnel").await?;
        let whole = |bytes: u64, frames: u64| bytes.saturating_add(frames.saturating_mul(ETHERNET_HEADER));
        Ok(port.map(|vport::Description { port, stats, .. }| {
            let rx_bytes = whole(stats.rx_bytes, stats.rx_packets);
            let tx_bytes = whole(stats.tx_bytes, stats.tx_packets);
            (port, VportStats { rx_bytes, tx_bytes, ..stats })
        }))
    }

    async fn find(&self, handle: &mut Handle, what: &str) -> Result<Option<vport::Description>, Refusal> {
        Ok(handle.vports(what).await?.into_iter().find(|port| self.is(&port.port)))
    }

    /// Goes on with the port that an earlier run opened, if it is among these.
    pub(super) async fn adopt(
        &self,
        handle: &mut Handle,
        ports: &mut Ports,
        found: &[vport::Description],
    ) -> Result<(), Denial> {
        if let Some(port) = found.iter().find(|port| self.is(&port.port)) {
            let local = underlay(handle).local().await?;
            ports.set_tunnel(handle, local.map(|local| Tunnel { no: port.port.no, local }));
        }
        Ok(())
    }
}

fn underlay(handle: &Handle) -> Underlay<'_> {
    Underlay::of(&handle.home, &handle.name)
}

/// Destination, source and EtherType (802.3 3.1.1).
const ETHERNET_HEADER: u64 = 14;

//! The VXLAN devices of a namespace: made, found and removed by rtnetlink (`include/uapi/linux/if_link.h`, `drivers/net/vxlan/`).
//!
//! One device in metadata mode serves all tunnels: where a frame goes, and whence it came, is told with each frame. Such a device takes
//! frames of IPv4 and IPv6. The kernel keeps the address that it is given as `local` and does nothing with it; here it says which end the
//! device was made for.

use std::io;
use std::net::IpAddr;

use super::asker::Asker;
use super::message::{
    ADDRESS_HEAD_LEN, IFLA_VXLAN_COLLECT_METADATA, LINK_HEAD_LEN, VXLAN_KIND, head_of, read_address,
};
use crate::netlink::message::{Denial, Outcome};
use crate::netlink::nla::{Nla, NlaIter, NlaWriter};
use crate::netlink::socket::Home;
use crate::port::LinkIndex;
use crate::tunnel::TunnelEnd;

/// A hand on the VXLAN devices of a namespace.
#[derive(Debug)]
pub(crate) struct Vxlans {
    asker: Asker,
}

/// A VXLAN device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Vxlan {
    pub(crate) index: LinkIndex,
    pub(crate) name: String,
    /// UDP port.
    pub(crate) port: u16,
    /// For all tunnels.
    pub(crate) has_metadata: bool,
    local: Option<IpAddr>,
    is_up: bool,
    mtu: u32,
    /// It keeps addresses itself, or takes what we do not send: UDP over IPv6 without a checksum, group policies.
    does_more: bool,
}

impl Vxlans {
    /// In this namespace.
    ///
    /// # Errors
    /// No rtnetlink socket to be had.
    pub(crate) fn open(home: &Home) -> io::Result<Vxlans> {
        Ok(Vxlans { asker: Asker::open(home)? })
    }

    /// Whether this kernel has such devices; it loads the module if it has one. It is asked for one without settings, which no kernel makes.
    pub(crate) async fn are_known(&mut self) -> bool {
        let body = new_link("", |_| {});
        let refused = self.asker.order(libc::RTM_NEWLINK, libc::NLM_F_CREATE | libc::NLM_F_EXCL, &body).await;
        refused.is_err_and(|denial| denial.is(libc::EINVAL))
    }

    /// Those there are.
    ///
    /// # Errors
    /// The kernel refuses, or does not answer.
    pub(crate) async fn all(&mut self) -> Result<Vec<Vxlan>, Denial> {
        let mut body = NlaWriter::behind(&[0; LINK_HEAD_LEN]);
        body.put_u32(libc::IFLA_EXT_MASK, super::asker::RTEXT_FILTER_SKIP_STATS);
        Ok(self.asker.all(libc::RTM_GETLINK, &body.into_bytes(), read).await?.all)
    }

    /// Whether an address is one of this host's.
    ///
    /// # Errors
    /// The kernel refuses, or does not answer.
    pub(crate) async fn is_own_address(&mut self, address: IpAddr) -> Result<bool, Denial> {
        let listed = self.asker.all(libc::RTM_GETADDR, &[0; ADDRESS_HEAD_LEN], read_address).await?;
        Ok(listed.all.iter().any(|(_, own)| own.address == address))
    }

    /// Makes a device for all tunnels of an end, up.
    ///
    /// # Errors
    /// EEXIST: there is a link of this name, or one for all tunnels with this port; EADDRINUSE: something else has the port; EOPNOTSUPP:
    /// the kernel has no such devices; no permission.
    pub(crate) async fn make(&mut self, name: &str, end: TunnelEnd) -> Outcome {
        let body = new_link(name, |info| info.nest(libc::IFLA_INFO_DATA, |data| put_settings(data, end)));
        self.asker.order(libc::RTM_NEWLINK, libc::NLM_F_CREATE | libc::NLM_F_EXCL, &body).await
    }

    /// Removes a device; one that is gone is no error.
    ///
    /// # Errors
    /// No permission, or the kernel does not answer.
    pub(crate) async fn remove(&mut self, index: LinkIndex) -> Outcome {
        match self.asker.order(libc::RTM_DELLINK, 0, &link_head(index.0, 0)).await {
            Err(denial) if denial.is(libc::ENODEV) => Ok(()),
            outcome => outcome,
        }
    }
}

impl Vxlan {
    /// Whether it is as [`Vxlans::make`] makes it for this end.
    pub(crate) fn is_for(&self, end: TunnelEnd) -> bool {
        self.has_metadata
            && self.is_up
            && !self.does_more
            && (self.port, self.local, self.mtu) == (end.port, Some(end.local), MTU)
    }

    /// The address that it was made for, where it says so.
    pub(crate) fn local(&self) -> Option<IpAddr> {
        self.local.filter(|_| self.has_metadata)
    }
}

/// The body of a request to make a device, up. Without a name it is for the kernel to find one.
fn new_link(name: &str, settings: impl FnOnce(&mut NlaWriter)) -> Vec<u8> {
    let mut body = NlaWriter::behind(&link_head(0, libc::IFF_UP));
    if !name.is_empty() {
        body.put_str(libc::IFLA_IFNAME, name);
    }
    body.put_u32(libc::IFLA_MTU, MTU);
    body.nest(libc::IFLA_LINKINFO, |info| {
        info.put_str(libc::IFLA_INFO_KIND, VXLAN_KIND);
        settings(info);
    });
    body.into_bytes()
}

/// struct ifinfomsg: any family, this link, these flags and no others to be set.
fn link_head(index: u32, flags: i32) -> [u8; LINK_HEAD_LEN] {
    let mut head = [0; LINK_HEAD_LEN];
    head[4..8].copy_from_slice(&index.to_ne_bytes());
    head[8..12].copy_from_slice(&flags.to_ne_bytes());
    head[12..].copy_from_slice(&flags.to_ne_bytes());
    head
}

fn put_settings(data: &mut NlaWriter, end: TunnelEnd) {
    data.put(IFLA_VXLAN_COLLECT_METADATA, &[1]);
    data.put(IFLA_VXLAN_LEARNING, &[0]);
    data.put_be16(IFLA_VXLAN_PORT, end.port);
    match end.local {
        IpAddr::V4(local) => data.put(IFLA_VXLAN_LOCAL, &local.octets()),
        IpAddr::V6(local) => data.put(IFLA_VXLAN_LOCAL6, &local.octets()),
    }
}

/// The device that a message describes; `None` if it is about another link.
fn read(payload: &[u8]) -> Option<Vxlan> {
    let mut device = Vxlan::of(head_of(payload)?);
    let mut info = None;
    for nla in NlaIter::behind(LINK_HEAD_LEN, payload).flatten() {
        match nla.kind {
            libc::IFLA_IFNAME => device.name = nla.text(),
            libc::IFLA_MTU => device.mtu = nla.u32().ok()?,
            libc::IFLA_LINKINFO => info = Some(nla),
            _ => {}
        }
    }
    let find = |wanted| info?.nested().flatten().find(|nla| nla.kind == wanted);
    if find(libc::IFLA_INFO_KIND)?.text() != VXLAN_KIND {
        return None;
    }
    find(libc::IFLA_INFO_DATA)?.nested().flatten().for_each(|nla| device.take(nla));
    Some(device)
}

impl Vxlan {
    /// One of which nothing is known but its index and its flags.
    fn of((index, flags): (LinkIndex, u32)) -> Vxlan {
        let is_up = flags & libc::IFF_UP.cast_unsigned() != 0;
        let name = String::new();
        Vxlan { index, name, port: 0, has_metadata: false, local: None, is_up, mtu: 0, does_more: false }
    }

    fn take(&mut self, nla: Nla<'_>) {
        let is_set = nla.payload.first().is_some_and(|byte| *byte != 0);
        match nla.kind {
            IFLA_VXLAN_PORT => self.port = nla.be16().unwrap_or_default(),
            IFLA_VXLAN_COLLECT_METADATA => self.has_metadata = is_set,
            IFLA_VXLAN_LOCAL => self.local = nla.bytes::<4>().ok().map(IpAddr::from),
            IFLA_VXLAN_LOCAL6 => self.local = nla.bytes::<16>().ok().map(IpAddr::from),
            IFLA_VXLAN_LEARNING | IFLA_VXLAN_UDP_ZERO_CSUM6_RX => self.does_more |= is_set,
            IFLA_VXLAN_GBP | IFLA_VXLAN_GPE => self.does_more = true,
            _ => {}
        }
    }
}

/// More than any underlay takes, so that it decides, and as much as Open vSwitch gives such a device.
const MTU: u32 = 65_000;

/// IFLA_VXLAN_*.
const IFLA_VXLAN_LOCAL: u16 = 4;
const IFLA_VXLAN_LEARNING: u16 = 7;
const IFLA_VXLAN_PORT: u16 = 15;
const IFLA_VXLAN_LOCAL6: u16 = 17;
const IFLA_VXLAN_UDP_ZERO_CSUM6_RX: u16 = 20;
const IFLA_VXLAN_GBP: u16 = 23;
const IFLA_VXLAN_GPE: u16 = 27;

#[cfg(test)]
mod tests {
    use super::*;

    fn end(local: &str) -> TunnelEnd {
        TunnelEnd { local: local.parse().unwrap(), port: 4_789 }
    }

    /// What the kernel tells of a device says what it was asked for with, and more.
    fn told(end: TunnelEnd, more: impl Fn(&mut NlaWriter)) -> Option<Vxlan> {
        let body = new_link("vx-gw", |info| {
            info.nest(libc::IFLA_INFO_DATA, |data| {
                put_settings(data, end);
                more(data);
            });
        });
        read(&body)
    }

    #[test]
    fn a_device_is_read_as_it_was_asked_for() {
        for local in ["192.0.2.1", "2001:db8::1"] {
            let device = told(end(local), |_| {}).unwrap();
            assert!(device.is_for(end(local)), "{device:?}");
            assert_eq!((device.name.as_str(), device.local()), ("vx-gw", Some(end(local).local)));
        }
    }

    #[test]
    fn a_device_is_for_one_end() {
        let device = told(end("192.0.2.1"), |_| {}).unwrap();
        assert!(!device.is_for(end("192.0.2.9")), "another address");
        assert!(!device.is_for(end("2001:db8::1")), "another family");
        assert!(!device.is_for(TunnelEnd { port: 8_472, ..end("192.0.2.1") }), "another port");
    }

    #[test]
    fn a_device_that_does_something_else_is_another() {
        let others: [(u16, &[u8]); 5] = [
            (IFLA_VXLAN_LEARNING, &[1]),
            (IFLA_VXLAN_UDP_ZERO_CSUM6_RX, &[1]),
            (IFLA_VXLAN_GBP, &[]),
            (IFLA_VXLAN_GPE, &[]),
            (IFLA_VXLAN_COLLECT_METADATA, &[0]),
        ];
        for (kind, payload) in others {
            let device = told(end("192.0.2.1"), |data| data.put(kind, payload)).unwrap();
            assert!(!device.is_for(end("192.0.2.1")), "attribute {kind}");
        }
    }

    #[test]
    fn a_link_that_is_no_vxlan_device_is_not_read() {
        assert_eq!(read(&new_link("vx-gw", |_| {})), None, "without settings");
        let mut bare = NlaWriter::behind(&link_head(3, 0));
        bare.put_str(libc::IFLA_IFNAME, "eth2");
        assert_eq!(read(&bare.into_bytes()), None, "another link");
    }
}

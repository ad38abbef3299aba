//! How a frame came from another host, and how it goes to one (enum ovs_tunnel_key_attr).
//!
//! In a key OVS_KEY_ATTR_TUNNEL says both ends, the VNI, the octet of DSCP and ECN, and more. A mask here counts the ends and the VNI,
//! and of that octet at most the class selector: a flow is right for frames with any ECN, TTL, checksum and source port. The kernel leaves
//! out what is zero, but always tells the TTL, in a mask too; a key must have one.
//!
//! A copy goes out by OVS_ACTION_ATTR_SET of the same attributes and an output to the tunnel's port right behind it. The kernel makes the
//! SET to a destination that it keeps, and tells it again as it was.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::nla::{HEADER_LEN, Nla, NlaIter, NlaWriter, malformed};
use super::transact::Denial;
use super::{Malformed, VportNo};
use crate::tunnel::{TunnelKey, TunnelTo};

/// The tunnel port of a datapath.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tunnel {
    pub(super) no: VportNo,
    /// The host's own address.
    pub(super) local: IpAddr,
}

impl Tunnel {
    /// Refuses a copy that cannot go by it.
    pub(super) fn check(&self, to: TunnelTo) -> Result<(), Denial> {
        let TunnelTo { remote, vni, class } = to;
        let message = if remote.is_ipv4() != self.local.is_ipv4() {
            format!("a copy to {remote} by a tunnel from {}", self.local)
        } else if remote.is_unspecified() || remote.is_multicast() {
            format!("a copy to {remote}, which is no host")
        } else if !(1..=VNI_MOST).contains(&vni) {
            format!("a copy to {remote} with VNI {vni}, allowed are 1 to {VNI_MOST}")
        } else if class > CLASS_MOST {
            format!("a copy to {remote} with class {class}, allowed are 0 to {CLASS_MOST}")
        } else {
            return Ok(());
        };
        Err(Denial::Errno { errno: libc::EINVAL, message: Some(message) })
    }

    /// Appends what OVS_ACTION_ATTR_SET has for a copy.
    pub(super) fn put_set(&self, set: &mut NlaWriter, to: TunnelTo) {
        let TunnelTo { remote, vni, class } = to;
        set.nest(OVS_KEY_ATTR_TUNNEL, |tunnel| {
            tunnel.put(OVS_TUNNEL_KEY_ATTR_ID, &u64::from(vni).to_be_bytes());
            put_ends(tunnel, self.local, remote);
            tunnel.put(OVS_TUNNEL_KEY_ATTR_TOS, &[class << CLASS_SHIFT]);
            tunnel.put(OVS_TUNNEL_KEY_ATTR_TTL, &[TTL]);
            // An underlay of IPv6 fragments nothing on its way, and a UDP checksum is optional over IPv4 only (RFC 7348 5, RFC 6935).
            let flag = match remote {
                IpAddr::V4(_) => OVS_TUNNEL_KEY_ATTR_DONT_FRAGMENT,
                IpAddr::V6(_) => OVS_TUNNEL_KEY_ATTR_CSUM,
            };
            tunnel.put(flag, &[]);
        });
    }

    /// The copy that an OVS_ACTION_ATTR_SET prepares; none if it is not one that [`put_set`](Self::put_set) writes.
    pub(super) fn read_set(&self, set: Nla<'_>) -> Option<TunnelTo> {
        let mut attributes = set.nested();
        let tunnel = attributes.split().filter(|nla| nla.kind == OVS_KEY_ATTR_TUNNEL)?;
        attributes.end().ok()?;
        let fields = Fields::read(tunnel.nested()).ok()?;
        let (key, local) = fields.key().ok()?;
        let to = TunnelTo { remote: fields.dst?, vni: key.vni, class: key.class };
        let is_ours = key.remote == self.local
            && local == to.remote
            && fields.tos & !CLASS_MASK == 0
            && fields.ttl == TTL
            && fields.may_not_fragment == local.is_ipv4()
            && fields.has_checksum == local.is_ipv6()
            && !fields.has_more;
        (is_ours && self.check(to).is_ok()).then_some(to)
    }
}

/// Bytes that a SET takes in the kernel: a header, and within it a header and a pointer (struct ovs_tunnel_info).
pub(super) const SET_KERNEL_LEN: usize = 2 * HEADER_LEN + size_of::<u64>();

/// How a frame came, by the attributes of its key; and the address that it was sent to.
///
/// # Errors
/// They lack an end or the VNI.
pub(super) fn read_key(attributes: NlaIter<'_>) -> Result<(TunnelKey, IpAddr), Malformed> {
    Fields::read(attributes)?.key()
}

/// Appends the mask for the key of a frame that came over this kind of underlay.
pub(super) fn put_mask(mask: &mut NlaWriter, remote: IpAddr, has_class: bool) {
    mask.nest(OVS_KEY_ATTR_TUNNEL, |tunnel| {
        tunnel.put(OVS_TUNNEL_KEY_ATTR_ID, &u64::MAX.to_be_bytes());
        let exact = all_ones(remote);
        put_ends(tunnel, exact, exact);
        if has_class {
            tunnel.put(OVS_TUNNEL_KEY_ATTR_TOS, &[CLASS_MASK]);
        }
    });
}

/// Whether the class counts in a mask that [`put_mask`] writes; none if it is another.
pub(super) fn read_mask(attributes: NlaIter<'_>) -> Option<bool> {
    let fields = Fields::read(attributes).ok()?;
    let is_exact = |end: Option<IpAddr>| end.is_some_and(|end| end == all_ones(end));
    let is_ours = fields.id == Some(u64::MAX)
        && is_exact(fields.src)
        && is_exact(fields.dst)
        && fields.ttl == 0
        && !(fields.may_not_fragment || fields.has_checksum || fields.has_more || fields.has_udp_ports);
    match fields.tos {
        0 => is_ours.then_some(false),
        CLASS_MASK => is_ours.then_some(true),
        _ => None,
    }
}

fn put_ends(list: &mut NlaWriter, src: IpAddr, dst: IpAddr) {
    for (end, v4, v6) in [
        (src, OVS_TUNNEL_KEY_ATTR_IPV4_SRC, OVS_TUNNEL_KEY_ATTR_IPV6_SRC),
        (dst, OVS_TUNNEL_KEY_ATTR_IPV4_DST, OVS_TUNNEL_KEY_ATTR_IPV6_DST),
    ] {
        match end {
            IpAddr::V4(end) => list.put(v4, &end.octets()),
            IpAddr::V6(end) => list.put(v6, &end.octets()),
        }
    }
}

fn all_ones(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::BROADCAST.into(),
        IpAddr::V6(_) => Ipv6Addr::from(u128::MAX).into(),
    }
}

/// What a list of attributes says; what is not there is zero.
#[derive(Debug, Default)]
struct Fields {
    id: Option<u64>,
    src: Option<IpAddr>,
    dst: Option<IpAddr>,
    tos: u8,
    ttl: u8,
    may_not_fragment: bool,
    has_checksum: bool,
    has_udp_ports: bool,
    /// There is something else.
    has_more: bool,
}

impl Fields {
    fn read(attributes: NlaIter<'_>) -> Result<Fields, Malformed> {
        let mut fields = Fields::default();
        for nla in attributes {
            fields.take(nla?)?;
        }
        Ok(fields)
    }

    fn take(&mut self, nla: Nla<'_>) -> Result<(), Malformed> {
        match nla.kind {
            OVS_TUNNEL_KEY_ATTR_ID => self.id = Some(u64::from_be_bytes(nla.bytes()?)),
            OVS_TUNNEL_KEY_ATTR_IPV4_SRC => self.src = Some(nla.bytes::<4>()?.into()),
            OVS_TUNNEL_KEY_ATTR_IPV4_DST => self.dst = Some(nla.bytes::<4>()?.into()),
            OVS_TUNNEL_KEY_ATTR_IPV6_SRC => self.src = Some(nla.bytes::<16>()?.into()),
            OVS_TUNNEL_KEY_ATTR_IPV6_DST => self.dst = Some(nla.bytes::<16>()?.into()),
            OVS_TUNNEL_KEY_ATTR_TOS => [self.tos] = nla.bytes()?,
            OVS_TUNNEL_KEY_ATTR_TTL => [self.ttl] = nla.bytes()?,
            OVS_TUNNEL_KEY_ATTR_DONT_FRAGMENT => self.may_not_fragment = true,
            OVS_TUNNEL_KEY_ATTR_CSUM => self.has_checksum = true,
            OVS_TUNNEL_KEY_ATTR_TP_SRC | OVS_TUNNEL_KEY_ATTR_TP_DST => self.has_udp_ports = true,
            // It only moves what follows.
            OVS_TUNNEL_KEY_ATTR_PAD => {}
            _ => self.has_more = true,
        }
        Ok(())
    }

    /// As that of a frame that came, and where it was sent to. Of an id a VXLAN header has 24 bits.
    fn key(&self) -> Result<(TunnelKey, IpAddr), Malformed> {
        let missing = |what: &str| malformed(format!("tunnel key without {what}"));
        let remote = self.src.ok_or_else(|| missing("sender"))?;
        let local = self.dst.ok_or_else(|| missing("receiver"))?;
        let id = self.id.ok_or_else(|| missing("VNI"))?;
        let vni = u32::try_from(id).ok().filter(|vni| *vni <= VNI_MOST);
        let vni = vni.ok_or_else(|| malformed(format!("tunnel id {id}, a VNI has 24 bits")))?;
        Ok((TunnelKey { remote, vni, class: self.tos >> CLASS_SHIFT }, local))
    }
}

/// RFC 7348 5.
const VNI_MOST: u32 = (1 << 24) - 1;

/// The class selector in the octet of DSCP and ECN (RFC 2474 4.2.2.1).
const CLASS_SHIFT: u8 = 5;
const CLASS_MASK: u8 = 0xe0;
const CLASS_MOST: u8 = 7;

/// The recommended default (RFC 1700, "IP time to live").
const TTL: u8 = 64;

/// Of enum ovs_key_attr.
pub(super) const OVS_KEY_ATTR_TUNNEL: u16 = 16;

/// enum ovs_tunnel_key_attr.
const OVS_TUNNEL_KEY_ATTR_ID: u16 = 0;
const OVS_TUNNEL_KEY_ATTR_IPV4_SRC: u16 = 1;
const OVS_TUNNEL_KEY_ATTR_IPV4_DST: u16 = 2;
const OVS_TUNNEL_KEY_ATTR_TOS: u16 = 3;
const OVS_TUNNEL_KEY_ATTR_TTL: u16 = 4;
const OVS_TUNNEL_KEY_ATTR_DONT_FRAGMENT: u16 = 5;
const OVS_TUNNEL_KEY_ATTR_CSUM: u16 = 6;
const OVS_TUNNEL_KEY_ATTR_TP_SRC: u16 = 9;
const OVS_TUNNEL_KEY_ATTR_TP_DST: u16 = 10;
const OVS_TUNNEL_KEY_ATTR_IPV6_SRC: u16 = 12;
const OVS_TUNNEL_KEY_ATTR_IPV6_DST: u16 = 13;
const OVS_TUNNEL_KEY_ATTR_PAD: u16 = 14;

#[cfg(test)]
mod tests;

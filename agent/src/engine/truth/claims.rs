//! What the host itself does with a link: whether the link is somebody else's, and what of it the host takes that is bound to a port.
//!
//! Frames that come in by a vport never reach the host: a link with the host's address goes deaf when it becomes one, and with it,
//! perhaps, the session of the operator. So such a link is not taken unless that is asked for. The other way round a VLAN device takes its
//! VLAN's frames before the datapath sees them.

use std::fmt;
use std::net::IpAddr;

use datapath::port::{DefaultRoute, Link, LinkAddress, LinkLayer, VlanDevice};
use vlan::model::description::HostAddresses;
use vlan::model::port::{Mode, Port};
use vlan::tag::Tpid;
use vlan::vid::Vid;

use crate::reconcile::Observed;

/// Why a link is not to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) enum Claim {
    /// It is the loopback link.
    Loopback,
    /// Its frames have no Ethernet header; its kind.
    NoEthernet(String),
    /// A bridge, bond or the like has it: its kind and name.
    Member(String, String),
    /// The host has an address on it, and so many more.
    Address(LinkAddress, usize),
    /// The host's best default route leaves by it.
    DefaultRoute(DefaultRoute),
}

impl Claim {
    /// Whose a link is that is no vport yet; `None` if it may be taken.
    pub(in crate::engine) fn on(link: &Link, observed: &Observed, policy: HostAddresses) -> Option<Claim> {
        match link.facts.layer {
            LinkLayer::Loopback => return Some(Claim::Loopback),
            LinkLayer::Other => return Some(Claim::NoEthernet(link.facts.kind.clone())),
            LinkLayer::Ethernet => {}
        }
        if let Some(master) = link.facts.master {
            let (kind, name) = match observed.link(master) {
                Some(master) => (master.facts.kind.clone(), master.name.clone()),
                None => (String::new(), format!("link number {}", master.0)),
            };
            return Some(Claim::Member(kind, name));
        }
        (policy == HostAddresses::Refuse).then(|| Claim::of_host(link)).flatten()
    }

    /// What the host itself uses a link for.
    fn of_host(link: &Link) -> Option<Claim> {
        let mut own = link.facts.addresses.iter().filter(|address| is_own(address));
        match own.next() {
            Some(first) => Some(Claim::Address(*first, own.count())),
            None => link.facts.default_route.map(Claim::DefaultRoute),
        }
    }
}

/// Whether an address makes the link the host's: every link has one of fe80::, and one that hears a router may have another.
fn is_own(address: &LinkAddress) -> bool {
    match address.address {
        IpAddr::V4(v4) => !v4.is_link_local() && !v4.is_loopback(),
        IpAddr::V6(v6) => !v6.is_unicast_link_local() && !v6.is_loopback() && !address.is_from_router,
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Claim::Loopback => f.write_str("is the loopback link; no port can be on it"),
            Claim::NoEthernet(kind) if kind.is_empty() => {
                f.write_str("has no Ethernet frames; no port can be on it")
            }
            Claim::NoEthernet(kind) => {
                write!(f, "has no Ethernet frames (its kind is {kind}); no port can be on it")
            }
            Claim::Member(kind, name) => {
                let kind = if kind.is_empty() { "another link," } else { kind.as_str() };
                write!(f, "belongs to {kind} {name}; `ip link set LINK nomaster` frees it")
            }
            Claim::Address(address, more) => {
                write!(f, "has address {address} of the host")?;
                if *more > 0 {
                    write!(f, " and {more} more")?;
                }
                f.write_str(KEEP)
            }
            Claim::DefaultRoute(route) => write!(f, "is the way to the {route}{KEEP}"),
        }
    }
}

/// What the host does with a link that is a port's: the first in the order of what it costs.
pub(in crate::engine) fn uses(port: &Port, link: &Link, observed: &Observed) -> Option<String> {
    let devices = observed.uppers(link.index).filter_map(|upper| Some((upper, upper.facts.vlan?)));
    let mut deaf: Vec<(u16, &str)> = devices
        .filter(|(_, device)| is_carried(port, *device))
        .map(|(upper, device)| (device.vid, upper.name.as_str()))
        .collect();
    deaf.sort_unstable();
    let more = deaf.len().saturating_sub(1);
    if let Some((vid, device)) = deaf.first() {
        let more = if more > 0 { format!(", and so do {more} more") } else { String::new() };
        return Some(format!(
            "deaf for VID {vid}: the host's VLAN device {device} takes its frames{more}; `ip link delete {device}` ends it"
        ));
    }
    let claim = (port.host_addresses == HostAddresses::Refuse).then(|| Claim::of_host(link)).flatten()?;
    Some(match claim {
        Claim::Address(address, _) => format!("the host hears nothing at its address {address} on this link"),
        _ => format!("the host hears nothing by this link, the way to its {}", link.facts.default_route?),
    })
}

/// What holds a link that cannot be made a vport, other than its master: a macvlan or the like on it.
pub(in crate::engine) fn holder(link: &Link, observed: &Observed) -> Option<String> {
    let holder = observed.uppers(link.index).find(|upper| upper.facts.vlan.is_none())?;
    Some(format!("{} {} sits on it", holder.facts.kind, holder.name))
}

/// Whether frames that a VLAN device takes would otherwise have been carried.
fn is_carried(port: &Port, device: VlanDevice) -> bool {
    let Some(tpid) = Tpid::from_ether_type(device.tpid) else { return false };
    let Some(vid) = Vid::new(device.vid) else {
        // VID 0 is a priority alone, and is carried where untagged frames are.
        return match &port.mode {
            Mode::Trunk(trunk) => tpid == port.tpid && trunk.native.is_some(),
            Mode::Qinq { customer_vlans, .. } => customer_vlans.is_none(),
            Mode::Access { .. } | Mode::Plain => true,
        };
    };
    match &port.mode {
        // Its tags are payload.
        Mode::Plain => true,
        Mode::Access { .. } => false,
        Mode::Trunk(trunk) => tpid == port.tpid && trunk.bridge_vid(vid).is_some(),
        Mode::Qinq { customer_vlans, .. } => {
            tpid == Tpid::Customer && customer_vlans.as_ref().is_none_or(|set| set.contains(vid))
        }
    }
}

/// What to do about a link that is the host's.
const KEEP: &str = "; host-addresses = \"keep\" takes it all the same";

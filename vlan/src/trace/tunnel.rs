//! The steps between hosts in words.

use crate::frame::Header;
use crate::model::id::HostId;
use crate::model::numbers::FIRST_DEALT_VNI;
use crate::model::topology::{Located, Topology};
use crate::model::vnis::Origin;
use crate::plane::Tunnelled;
use crate::verdict::{DropReason, Edit};

use super::{changed, domain_name, reason, tags};

/// A frame came in by the tunnel.
pub(crate) fn arrived(topology: &Topology, tunnelled: &Tunnelled, header: &Header) -> String {
    let Tunnelled { remote, vni, class } = tunnelled;
    let host =
        topology.host_at(*remote).map_or_else(String::new, |host| format!("host {}, ", name(topology, host)));
    let (src, dst, tags) = (header.src, header.dst, tags(&header.tags));
    format!(
        "{src} to {dst}, {tags}, arrives by the tunnel from {host}{remote} with VNI {vni} and class {class}"
    )
}

/// A frame from the tunnel is not let in.
pub(crate) fn refused(topology: &Topology, tunnelled: &Tunnelled, why: DropReason) -> String {
    let Tunnelled { remote, vni, .. } = tunnelled;
    let sentence = match why {
        DropReason::UnknownHost => format!("{remote} is the underlay address of no host"),
        DropReason::UnknownVni if topology.by_vni(*vni).is_none() => format!("VNI {vni} is no segment's"),
        other => reason::sentence(other).to_owned(),
    };
    format!("dropped ({why}): {sentence}")
}

/// A frame from the tunnel is in a segment.
pub(crate) fn located(topology: &Topology, located: Located, origin: Origin) -> String {
    let segment = topology.segment(located.segment.number);
    let here = domain_name(topology, segment.domain(located.domain));
    let how = match origin {
        Origin::Plain => String::new(),
        Origin::Group(fabric) => {
            format!(" and that it came in by a trunk of fabric {:?}", topology.fabric_name(fabric))
        }
        Origin::Isolated => " and that it came in by an isolated port".to_owned(),
    };
    format!("the VNI says that it is in {here}{how}")
}

/// A copy goes to another host.
pub(crate) fn leaves(
    topology: &Topology,
    (host, vni): (HostId, u32),
    header: &Header,
    edit: &Edit,
) -> String {
    let is_provisional = topology.has_own_numbers() && vni >= FIRST_DEALT_VNI;
    let provisional =
        if is_provisional { " (provisional: the number is dealt out with the revision)" } else { "" };
    let to = topology.hosts()[host.0 as usize].underlay.map_or_else(String::new, |to| format!(" at {to}"));
    let name = name(topology, host);
    format!("it leaves for host {name}{to} by VXLAN with VNI {vni}{provisional}, {}", changed(header, edit))
}

/// A frame goes to no other host, though others have ports on its segment.
pub(crate) fn no_copies(topology: &Topology, segment: u32, from: HostId) -> String {
    let others = topology.hosts_of(segment).iter().filter(|host| **host != from);
    let names: Vec<&str> = others.map(|host| name(topology, *host)).collect();
    let one = name(topology, from);
    format!(
        "no copy for {}: no tunnel leads there from {one}, for each end needs an underlay address",
        names.join(", ")
    )
}

fn name(topology: &Topology, host: HostId) -> &str {
    &topology.hosts()[host.0 as usize].name
}

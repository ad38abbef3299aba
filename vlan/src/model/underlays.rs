//! The tunnel addresses of hosts that share segments: whether these can send each other frames.

use std::net::IpAddr;

use crate::model::findings::Findings;
use crate::model::id::HostId;
use crate::model::mistake::Table;
use crate::model::topology::Topology;
use crate::model::value::quote;

/// Hosts with an address of another family than a host that they share a segment with: a tunnel has one IP version at both ends.
pub(super) fn mistakes(topology: &Topology, findings: &mut Findings) {
    let hosts = topology.hosts();
    let mut is_told = vec![false; hosts.len()];
    each_shared(topology, |segment, sharing| {
        let addressed = |host: &HostId| Some((host.0 as usize, hosts[host.0 as usize].underlay?));
        let Some((first, of_first)) = sharing.iter().find_map(addressed) else { return };
        for (host, address) in sharing.iter().filter_map(addressed) {
            if address.is_ipv4() != of_first.is_ipv4() && !std::mem::replace(&mut is_told[host], true) {
                let text = format!(
                    "\"{address}\" is {}, and host {}, with which it shares {}, has \"{of_first}\": between two hosts both are IPv4 or both IPv6",
                    family(address),
                    quote(&hosts[first].name),
                    topology.segment_name(segment)
                );
                findings.add(Table::Hosts, host, "underlay", text);
            }
        }
    });
}

/// Hosts that share a segment with another and have no address: nothing reaches them from there, and nothing the others.
pub(super) fn warnings(topology: &Topology, findings: &mut Findings) {
    let hosts = topology.hosts();
    let mut lacking: Vec<Option<(HostId, u32, u32)>> = vec![None; hosts.len()];
    each_shared(topology, |segment, sharing| {
        for host in sharing.iter().filter(|host| hosts[host.0 as usize].underlay.is_none()) {
            let Some(other) = sharing.iter().find(|other| *other != host) else { continue };
            lacking[host.0 as usize].get_or_insert((*other, segment, 0)).2 += 1;
        }
    });
    for (host, lack) in lacking.into_iter().enumerate() {
        let Some((other, segment, count)) = lack else { continue };
        let others = match count {
            1 => String::new(),
            2 => ", and one more segment".to_owned(),
            more => format!(", and {} more segments", more - 1),
        };
        let text = format!(
            "missing: it shares {}{others} with host {}, and without a tunnel address nothing goes between them",
            topology.segment_name(segment),
            quote(&hosts[other.0 as usize].name)
        );
        findings.add(Table::Hosts, host, "underlay", text);
    }
}

/// Calls for each segment with ports on several hosts, with these hosts in the order of the description.
pub(super) fn each_shared(topology: &Topology, mut call: impl FnMut(u32, &[HostId])) {
    let mut sharing: Vec<HostId> = Vec::new();
    for (number, segment) in topology.segments().iter().enumerate() {
        sharing.clear();
        for member in &segment.members {
            let host = topology.port(member.port).host;
            if sharing.last() != Some(&host) {
                sharing.push(host);
            }
        }
        sharing.sort_unstable();
        sharing.dedup();
        if sharing.len() > 1 {
            call(number as u32, &sharing);
        }
    }
}

fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "IPv4" } else { "IPv6" }
}

//! Whether the payloads of a segment that several hosts share fit into the packets of their underlay (behaviour.md 8), as far as MTUs are
//! declared. What only running links show is not known here.

use crate::model::description::Host;
use crate::model::encapsulation;
use crate::model::findings::Findings;
use crate::model::id::HostId;
use crate::model::mistake::Table;
use crate::model::port::{Mode, Port};
use crate::model::topology::Topology;
use crate::model::underlays::each_shared;
use crate::model::value::quote;

/// Hosts whose underlay carries less than what they share a segment for is declared to need.
pub(super) fn mistakes(topology: &Topology, findings: &mut Findings) {
    let of_customers = |port: &Port| matches!(port.mode, Mode::Qinq { .. });
    for (host, need) in too_small(topology, of_customers) {
        findings.add(Table::Hosts, host, "underlay-mtu", need.refusal(topology, host));
    }
}

/// Hosts whose underlay carries all that is declared, but not with a tag that a station may have put into it.
pub(super) fn warnings(topology: &Topology, findings: &mut Findings) {
    let of_anyone = |port: &Port| match port.mode {
        Mode::Qinq { .. } => true,
        Mode::Plain => !port.drops_tags,
        Mode::Access { .. } | Mode::Trunk(_) => false,
    };
    for (host, need) in too_small(topology, of_anyone) {
        findings.add(Table::Hosts, host, "underlay-mtu", need.warning(topology, host));
    }
}

/// What a segment needs, and whose it is.
#[derive(Debug, Clone, Copy)]
struct Need<'a> {
    segment: u32,
    other: HostId,
    load: Load<'a>,
}

/// The largest payload that is declared for a segment.
#[derive(Debug, Clone, Copy)]
struct Load<'a> {
    /// The MTU, bytes.
    mtu: u32,
    /// What it is declared at: "bridge", "trunk", "port", and its name.
    by: (&'static str, &'a str),
    /// The port that lets tags into the payload, if there is one. A port's MTU does not count one tag on top (behaviour.md 3), which is
    /// inside a tunnel's frame, where that is a customer's.
    tagged_by: Option<&'a str>,
}

impl Load<'_> {
    /// Bytes behind the Ethernet header of a tunnel's frame.
    fn bytes(&self) -> u32 {
        self.mtu + if self.tagged_by.is_some() { TAG } else { 0 }
    }
}

/// For each host with too small an underlay what needs the most of it.
fn too_small<'a>(topology: &'a Topology, is_tagged: impl Fn(&Port) -> bool) -> Vec<(usize, Need<'a>)> {
    let hosts = topology.hosts();
    let mut worst: Vec<Option<Need<'a>>> = vec![None; hosts.len()];
    if hosts.iter().any(|host| host.underlay_mtu.is_some()) {
        each_shared(topology, |segment, sharing| {
            let Some(load) = largest(topology, segment, &is_tagged) else { return };
            let has_end = |host: &HostId| hosts[host.0 as usize].underlay.is_some();
            let reached: Vec<HostId> = sharing.iter().copied().filter(has_end).collect();
            for host in &reached {
                let Some(other) = reached.iter().copied().find(|other| other != host) else { continue };
                let known = &mut worst[host.0 as usize];
                if known.is_none_or(|known| known.load.bytes() < load.bytes()) {
                    *known = Some(Need { segment, other, load });
                }
            }
        });
    }
    let is_short = |host: &Host, need: &Need<'_>| {
        host.underlay_mtu.is_some_and(|mtu| mtu < need.load.bytes() + around(host).0)
    };
    let needs = worst.into_iter().enumerate().filter_map(|(host, need)| Some((host, need?)));
    needs.filter(|(host, need)| is_short(&hosts[*host], need)).collect()
}

/// The largest payload of a segment: what its VUB declares, else what most any of its bridges does, else any of its ports.
fn largest<'a>(topology: &'a Topology, segment: u32, is_tagged: impl Fn(&Port) -> bool) -> Option<Load<'a>> {
    let segment = topology.segment(segment);
    let bridges = &topology.description().bridges;
    let members = || segment.members.iter().map(|member| topology.port(member.port));
    let declared = segment.domains.iter().filter_map(|domain| {
        let bridge = &bridges[domain.bridge.0 as usize];
        Some((domain.vid.is_none(), bridge.mtu?, bridge.name.as_str()))
    });
    if let Some((_, mtu, name)) = declared.max_by_key(|(is_unaware, mtu, _)| (*is_unaware, *mtu)) {
        let tagged_by = members().find(|port| is_tagged(port)).map(|port| port.name.as_str());
        return Some(Load { mtu, by: ("bridge", name), tagged_by });
    }
    let of_port = |port: &'a Port| {
        let by = (if port.is_trunk { "trunk" } else { "port" }, port.name.as_str());
        Some(Load { mtu: port.mtu?, by, tagged_by: is_tagged(port).then_some(port.name.as_str()) })
    };
    // Of equal ones the first.
    members().filter_map(of_port).reduce(|most, load| if load.bytes() > most.bytes() { load } else { most })
}

impl Need<'_> {
    fn refusal(&self, topology: &Topology, host: usize) -> String {
        let of = &topology.hosts()[host];
        format!("{} is too small: {}; {}", declared(of), self.sum(topology, of), self.allowed(of))
    }

    fn warning(&self, topology: &Topology, host: usize) -> String {
        let of = &topology.hosts()[host];
        format!(
            "{} is too small for a tag in a payload of that size: {}; {}, or tags = \"drop\" at ports of the bridge",
            declared(of),
            self.sum(topology, of),
            self.allowed(of)
        )
    }

    /// What comes together in a packet of the underlay.
    fn sum(&self, topology: &Topology, of: &Host) -> String {
        let Load { mtu, by: (what, name), tagged_by } = self.load;
        let tag = tagged_by
            .map_or(String::new(), |port| format!(" + {TAG} (a tag in it, by port {})", quote(port)));
        let (around, version) = around(of);
        format!(
            "{}, shared with host {}, has {mtu} (mtu of {what} {}){tag} + {around} (VXLAN over {version}) = {} bytes",
            topology.segment_name(self.segment),
            quote(&topology.hosts()[self.other.0 as usize].name),
            quote(name),
            self.load.bytes() + around
        )
    }

    fn allowed(&self, of: &Host) -> String {
        let (around, _) = around(of);
        let least = self.load.bytes() + around;
        let room = |underlay: u32| underlay.saturating_sub(self.load.bytes() - self.load.mtu + around);
        let here = encapsulation::MTUS
            .allows(least)
            .then(|| format!("{least} to {} here", encapsulation::MTUS.last));
        let there = Some(room(declared(of))).filter(|room| encapsulation::MTUS.allows(*room));
        let there = there.map(|room| format!("at most {room} there"));
        match (here, there) {
            (Some(here), Some(there)) => format!("allowed is {here}, or {there}"),
            (Some(only), None) | (None, Some(only)) => format!("allowed is {only}"),
            (None, None) => format!("allowed is at most {} there", room(encapsulation::MTUS.last)),
        }
    }
}

fn declared(host: &Host) -> u32 {
    host.underlay_mtu.unwrap_or(encapsulation::MTUS.last)
}

/// What a tunnel puts around a payload: Ethernet 14, VXLAN 8, UDP 8 (RFC 7348 5), and IP 20 or 40.
fn around(host: &Host) -> (u32, &'static str) {
    if host.underlay.is_some_and(|address| address.is_ipv6()) { (70, "IPv6") } else { (50, "IPv4") }
}

/// A tag's size, bytes (802.1Q 9.3).
const TAG: u32 = 4;

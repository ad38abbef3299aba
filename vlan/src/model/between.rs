//! What of a topology goes between hosts: who has a part in a segment, by which VNIs, and who can be reached.

use std::net::IpAddr;

use crate::model::description::{Host, HostKind};
use crate::model::id::HostId;
use crate::model::numbers::{Further, Numbers};
use crate::model::topology::Topology;
use crate::model::underlays::each_shared;
use crate::model::vnis::{Origin, Vnis};

impl Vnis {
    pub(super) fn new(topology: &Topology, numbers: &Numbers) -> Vnis {
        let mut vnis = Vnis::default();
        each_shared(topology, |number, sharing| {
            let further = numbers.further.get(&topology.segment_name(number));
            vnis.hosts.insert(number, sharing.into());
            vnis.add(topology, number, further);
        });
        let hosts = topology.hosts().iter().zip(0..);
        let number_of = |host: &Host| numbers.hosts.get(&host.name).copied().unwrap_or_default();
        vnis.host_numbers = topology.hosts().iter().map(number_of).collect();
        vnis.by_number = vnis.host_numbers.iter().copied().zip((0..).map(HostId)).collect();
        vnis.by_underlay = hosts.filter_map(|(host, id)| Some((host.underlay?, HostId(id)))).collect();
        vnis
    }

    fn add(&mut self, topology: &Topology, number: u32, further: Option<&Further>) {
        let fabrics = further.iter().flat_map(|further| &further.fabrics);
        let groups =
            fabrics.filter_map(|(name, vni)| Some((Origin::Group(topology.fabric_named(name)?), *vni)));
        let isolated = further.and_then(|further| further.isolated).map(|vni| (Origin::Isolated, vni));
        let plain = Some((Origin::Plain, topology.segment(number).vni)).filter(|(_, vni)| *vni != 0);
        for (origin, vni) in plain.into_iter().chain(groups).chain(isolated) {
            self.of.insert((number, origin), vni);
            self.by_vni.insert(vni, (number, origin));
        }
    }
}

impl Topology {
    /// The VNI by which frames of a segment go to another l2gw host; `None` where the segment is on one host alone, or nothing of it can
    /// have that origin.
    pub fn vni(&self, segment: u32, origin: Origin) -> Option<u32> {
        self.vnis.of.get(&(segment, origin)).copied()
    }

    /// The segment and origin of what comes by a VNI.
    pub fn by_vni(&self, vni: u32) -> Option<(u32, Origin)> {
        self.vnis.by_vni.get(&vni).copied()
    }

    /// The hosts that have ports on a segment, in ascending order; none where it is on one host alone.
    pub fn hosts_of(&self, segment: u32) -> &[HostId] {
        self.vnis.hosts.get(&segment).map_or(&[], |hosts| hosts)
    }

    /// Whom a flood on a segment is sent to from a host, and by which VNI: every other l2gw host that has ports on it and is reached.
    pub fn copies(
        &self,
        from: HostId,
        segment: u32,
        origin: Origin,
    ) -> impl Iterator<Item = (HostId, u32)> + '_ {
        let vni = self.vni(segment, origin);
        let others = self.hosts_of(segment).iter().copied();
        let reached =
            others.filter(move |host| *host != from && !self.is_vtep(*host) && self.is_reached(from, *host));
        reached.filter_map(move |host| Some((host, vni?)))
    }

    /// The number that a host keeps from revision to revision, from 1; `None` where none was dealt out to it.
    pub fn host_number(&self, host: HostId) -> Option<u32> {
        self.vnis.host_numbers.get(host.0 as usize).copied().filter(|number| *number != 0)
    }

    /// The host that has a number.
    pub fn host_numbered(&self, number: u32) -> Option<HostId> {
        self.vnis.by_number.get(&number).copied().filter(|_| number != 0)
    }

    /// The host with this underlay address.
    pub fn host_at(&self, underlay: IpAddr) -> Option<HostId> {
        self.vnis.by_underlay.get(&underlay).copied()
    }

    /// Whether a host is no l2gw host, but a VTEP that is only sent to and heard.
    pub fn is_vtep(&self, host: HostId) -> bool {
        self.hosts().get(host.0 as usize).is_some_and(|host| host.kind == HostKind::Vtep)
    }

    /// Whether two hosts can send each other frames: both have an underlay address, of one family.
    pub fn is_reached(&self, from: HostId, to: HostId) -> bool {
        let underlay = |host: HostId| self.hosts().get(host.0 as usize).and_then(|host| host.underlay);
        underlay(from).zip(underlay(to)).is_some_and(|(from, to)| from.is_ipv4() == to.is_ipv4())
    }
}

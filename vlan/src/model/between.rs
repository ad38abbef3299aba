//! What of a topology goes between hosts: who has a part in a segment, by which VNIs, and who can be reached.

use std::net::IpAddr;

use crate::model::description::HostKind;
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

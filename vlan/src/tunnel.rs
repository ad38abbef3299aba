//! A frame that comes from another host (behaviour.md 8): by the VXLAN network identifier it is in a segment at once, with no tag of that
//! segment on it.
//!
//! ```text
//!   whose address? ─ control? ─ which VNI? ─ group source? │ learn │ where to? ─ …     as in `forward`, but never to another host
//! ```

use crate::filters::ingress_filter;
use crate::frame::Header;
use crate::ingress::{Admitted, Priority};
use crate::model::id::{HostId, SegmentId};
use crate::model::topology::Located;
use crate::model::vnis::Origin;
use crate::plane::{Arrival, Entrance, Plane, Tunnelled};
use crate::policy::{self, Class, Special};
use crate::tag::Pcp;
use crate::trace::{self, Narrator};
use crate::verdict::{Decision, Dependency, DropReason, Verdict};

impl<'t> Plane<'t, '_> {
    /// The first half, of a frame that came by the tunnel: from the VNI to the segment. `None` when the story ended; the verdict says how.
    pub(crate) fn arrive_by_tunnel(
        &self,
        (tunnelled, special): (Tunnelled, Option<Special>),
        header: &Header,
        verdict: &mut Verdict,
        say: &mut impl Narrator,
    ) -> Option<Arrival<'t>> {
        say.say(|| trace::tunnel::arrived(self.topology, &tunnelled, header));
        match self.try_arrive_by_tunnel((tunnelled, special), header, verdict, say) {
            Ok(arrival) => Some(arrival),
            Err(reason) => {
                say.say(|| trace::tunnel::refused(self.topology, &tunnelled, reason));
                verdict.decision = Decision::Drop(reason);
                None
            }
        }
    }

    fn try_arrive_by_tunnel(
        &self,
        (tunnelled, special): (Tunnelled, Option<Special>),
        header: &Header,
        verdict: &mut Verdict,
        say: &mut impl Narrator,
    ) -> Result<Arrival<'t>, DropReason> {
        let host = self.topology.host_at(tunnelled.remote).ok_or(DropReason::UnknownHost)?;
        if host == self.host {
            return Err(DropReason::OwnHost);
        }
        let (segment, origin) = self.topology.by_vni(tunnelled.vni).ok_or(DropReason::UnknownVni)?;
        verdict.consulted.dst = true;
        verdict.consulted.ether_type = true;
        verdict.consulted.tag_presence(1);
        let class = self.control_by_tunnel(special)?;
        let located = self.locate_bare(segment, header, verdict);
        let vid = self.topology.segment(segment).domain(located.domain).vid;
        // Nobody knows what a VTEP means by it.
        let priority = match self.topology.is_vtep(host) {
            true => Priority::Fixed(Pcp::ZERO),
            false => Priority::OfTunnel(tunnelled.class),
        };
        let admitted = Admitted { vid, is_tagged: false, taken: 0, priority };
        say.say(|| trace::tunnel::located(self.topology, located, origin));
        let from = self.entrance(host, (segment, origin)).ok_or(DropReason::UnknownVni)?;
        match from {
            Entrance::Port(port) => {
                verdict.depends.push(Dependency::Port(port.id));
                ingress_filter(port, admitted, header, &mut verdict.consulted)?;
            }
            Entrance::Host { .. } if header.src.is_group() => return Err(DropReason::GroupSource),
            Entrance::Host { .. } => {}
        }
        Ok(Arrival { from, admitted, located, class, is_tunnelled: true })
    }

    /// A control frame goes on only as one that a customer's outer VLAN carries (behaviour.md 6). Nobody else sends one by a tunnel.
    fn control_by_tunnel(&self, special: Option<Special>) -> Result<Option<Class>, DropReason> {
        match special {
            Some(Special::Probe) => Err(DropReason::Probe),
            Some(Special::Control(class)) if !policy::is_tunnelled_by_qinq(class) => {
                Err(DropReason::Reserved)
            }
            Some(Special::Control(class)) => Ok(Some(class)),
            None => Ok(None),
        }
    }

    /// What sent it. A VTEP stands for the port that it has on the segment, and has no other way in.
    fn entrance(&self, host: HostId, (segment, origin): (u32, Origin)) -> Option<Entrance<'t>> {
        if !self.topology.is_vtep(host) {
            return Some(Entrance::Host { host, origin });
        }
        let ports =
            self.topology.segment(segment).members.iter().map(|member| self.topology.port(member.port));
        let its = ports.filter(|_| origin == Origin::Plain).find(|port| port.host == host);
        its.map(Entrance::Port)
    }

    /// Where a frame without any tag of its segment is: in the domain that has the fewest. Where one compiled segment stands for many, its
    /// first tag says which.
    fn locate_bare(&self, segment: u32, header: &Header, verdict: &mut Verdict) -> Located {
        let domains = &self.topology.segment(segment).domains;
        let least = domains.iter().zip(0..).min_by_key(|(domain, index)| (domain.height(), *index));
        let (domain, index) = least.map_or((&domains[0], 0), |least| least);
        let inner = domain
            .vid
            .filter(|_| domain.inner.is_none())
            .and_then(|vid| self.topology.inner_bridge(domain.bridge, vid));
        let next = inner.map_or(0, |inner| {
            verdict.consulted.tag_vid(0);
            let tag = header.tag(0).filter(|tag| tag.tpid() == self.topology.bridge(inner).tpid());
            tag.map_or(0, |tag| tag.raw_vid())
        });
        Located {
            segment: SegmentId { number: segment, inner: next },
            domain: index,
            by_next_tag: inner.is_some(),
        }
    }
}

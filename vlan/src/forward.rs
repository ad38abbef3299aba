//! The forwarding decision, step by step. Each step may end the story; the same steps, in words, are what `l2gw trace` prints.
//!
//! ```text
//!   up? ─ probe? ─ control? ─ which VLAN? ─ designated? ─ ingress filter │ learn │ where to? ─ flood or known ─ egress filter ─ tags
//!   `arrive`        control    ingress                    filters        │ switch│ `depart`    exits            filters         egress
//! ```

use crate::egress::Passage;
use crate::exits::Exits;
use crate::fdb::reflect::Likeness;
use crate::filters::ingress_filter;
use crate::frame::Header;
use crate::ingress::{self, Admitted};
use crate::model::id::{Location, PortId};
use crate::model::port::Port;
use crate::model::topology::Located;
use crate::plane::Ingress;
use crate::plane::{Arrival, Entrance, Plane};
use crate::policy::{Class, Special};
use crate::trace::{self, Narrator};
use crate::verdict::{Decision, Dependency, DropReason, Seen, StormClass, Verdict};

impl<'t> Plane<'t, '_> {
    /// The first half: from where it came in to the segment, of a frame that may be a special one ([`crate::policy::special`]). `None` when
    /// the story ended; the verdict says how.
    pub fn arrive(
        &self,
        (ingress, special): (Ingress, Option<Special>),
        header: &Header,
        verdict: &mut Verdict,
        say: &mut impl Narrator,
    ) -> Option<Arrival<'t>> {
        match ingress {
            Ingress::Port(port) => self.arrive_by_port((port, special), header, verdict, say),
            Ingress::Tunnel(tunnelled) => self.arrive_by_tunnel((tunnelled, special), header, verdict, say),
        }
    }

    fn arrive_by_port(
        &self,
        (port, special): (PortId, Option<Special>),
        header: &Header,
        verdict: &mut Verdict,
        say: &mut impl Narrator,
    ) -> Option<Arrival<'t>> {
        let port = self.topology.port(port);
        verdict.depends.push(Dependency::Port(port.id));
        say.say_of(port.id, || Some(trace::arrived(self.topology, port, header)));
        match self.try_arrive((port, special), header, verdict, say) {
            Ok(arrival) => Some(arrival),
            Err(decision) => {
                say.say(|| match decision {
                    Decision::Drop(reason) => trace::reason::entering(self, port, header, reason),
                    other => trace::ending(other, trace::copies(self.topology, self.host, verdict)),
                });
                if let Some(effect) = verdict.effect {
                    say.say(|| trace::effect(self.topology, effect));
                }
                verdict.decision = decision;
                None
            }
        }
    }

    fn try_arrive(
        &self,
        (port, special): (&'t Port, Option<Special>),
        header: &Header,
        verdict: &mut Verdict,
        say: &mut impl Narrator,
    ) -> Result<Arrival<'t>, Decision> {
        self.is_forwarding(port.id).map_err(Decision::Drop)?;
        verdict.consulted.dst = true;
        verdict.consulted.ether_type = true;
        verdict.consulted.tag_presence(1);
        let class = self.take_probe(special)?;
        if let Some(class) = class {
            say.say(|| trace::control(class, header.dst));
            self.take_control(port, class, verdict, say)?;
        }
        let (admitted, located) = self.classify(port, class, header, verdict, say)?;
        self.is_designated(port, admitted, verdict).map_err(Decision::Drop)?;
        say.say_of(port.id, || trace::carried(self, port, admitted.vid));
        ingress_filter(port, admitted, header, &mut verdict.consulted).map_err(Decision::Drop)?;
        Ok(Arrival { from: Entrance::Port(port), admitted, located, class, is_tunnelled: false })
    }

    /// Which VLAN the frame is in, and on which segment that is.
    fn classify(
        &self,
        port: &Port,
        class: Option<Class>,
        header: &Header,
        verdict: &mut Verdict,
        say: &mut impl Narrator,
    ) -> Result<(Admitted, Located), Decision> {
        let admitted = match ingress::admit(port, port.tpid, header, &mut verdict.consulted) {
            Ok(admitted) => admitted,
            Err(reason) => return Err(self.not_admitted(port, class, reason)),
        };
        let next = self.next_tag(port, admitted, header, verdict);
        let located = self
            .topology
            .locate(port.bridge, admitted.vid, next)
            .ok_or(Decision::Drop(DropReason::NoMember))?;
        say.say(|| trace::admitted(self.topology, port, header, (admitted, located)));
        if class.is_some() {
            self.is_customers(port, class, (admitted, located))?;
        }
        Ok((admitted, located))
    }

    /// The VID of the tag behind the VLAN's, where another VAB classifies by it.
    fn next_tag(
        &self,
        port: &Port,
        admitted: Admitted,
        header: &Header,
        verdict: &mut Verdict,
    ) -> Option<u16> {
        let inner = self.topology.inner_bridge(port.bridge, admitted.vid?)?;
        verdict.consulted.tag_vid(admitted.taken);
        let tag = header.tag(admitted.taken)?;
        (tag.tpid() == self.topology.bridge(inner).tpid()).then_some(tag.raw_vid())
    }

    fn is_designated(
        &self,
        port: &Port,
        admitted: Admitted,
        verdict: &mut Verdict,
    ) -> Result<(), DropReason> {
        if let (Some(fabric), Some(vid)) = (port.group, admitted.vid) {
            verdict.depends.push(Dependency::Designation(fabric, vid));
        }
        self.is_carrier(port, admitted.vid)
    }

    /// The second half: from the segment to the ports. `at` is where the destination is, if that is known.
    pub fn depart(
        &self,
        arrival: &Arrival<'_>,
        header: &Header,
        at: Option<Location>,
        verdict: &mut Verdict,
        say: &mut impl Narrator,
    ) {
        let segment = arrival.located.segment;
        verdict.depends.push(Dependency::Address(segment, header.src));
        let passage = self.passage(arrival, header);
        if arrival.teaches(header) {
            verdict.source =
                Some(Seen { segment, mac: header.src, location: arrival.location(self.topology) });
            (verdict.likeness, verdict.tags_read) = (likeness(&passage), passage.read_tags() as u8);
        }
        let exits = Exits { plane: *self, arrival, passage };
        let decision = if arrival.class.is_some() {
            exits.tunnel(verdict, say)
        } else if header.dst.is_group() {
            let class = if header.dst.is_broadcast() { StormClass::Broadcast } else { StormClass::Multicast };
            exits.flood(class, verdict, say)
        } else {
            verdict.depends.push(Dependency::Address(segment, header.dst));
            exits.unicast(at, verdict, say)
        };
        verdict.outputs.sort_unstable_by_key(|output| output.to);
        say.say(|| trace::ending(decision, trace::copies(self.topology, self.host, verdict)));
        verdict.decision = decision;
    }

    /// What a frame looks like, if it may be one of ours that has come back: one that came in by a trunk group.
    pub(crate) fn likeness(&self, arrival: &Arrival<'_>, header: &Header) -> Option<Likeness> {
        arrival.group().map(|_| likeness(&self.passage(arrival, header)))
    }

    /// How many tags at a frame's front say which VLAN it is in.
    pub(crate) fn tags_read(&self, arrival: &Arrival<'_>, header: &Header) -> u8 {
        self.passage(arrival, header).read_tags() as u8
    }

    /// Turns the verdict on a frame whose source may not be where it came in into a drop.
    pub(crate) fn refuse(
        &self,
        arrival: &Arrival<'_>,
        header: &Header,
        reason: DropReason,
        verdict: &mut Verdict,
    ) {
        verdict.tags_read = self.tags_read(arrival, header);
        verdict.depends.push(Dependency::Address(arrival.located.segment, header.src));
        verdict.refuse(reason);
    }

    fn passage<'b>(&self, arrival: &Arrival<'_>, header: &'b Header) -> Passage<'b>
    where
        't: 'b,
    {
        Passage {
            topology: self.topology,
            segment: self.topology.segment(arrival.located.segment.number),
            from: arrival.located.domain,
            admitted: arrival.admitted,
            header,
            is_bare: arrival.is_tunnelled,
        }
    }
}

fn likeness(passage: &Passage<'_>) -> Likeness {
    let header = passage.header;
    Likeness { dst: header.dst, ether_type: header.type_after(passage.read_tags()) }
}

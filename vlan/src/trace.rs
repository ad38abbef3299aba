//! The steps of forwarding in words, for `l2gw trace`.

use crate::addr::MacAddr;
use crate::egress::Passage;
use crate::forward::Arrival;
use crate::frame::Header;
use crate::ingress::Admitted;
use crate::model::id::{Location, PortId};
use crate::model::port::{Mode, Port};
use crate::model::segment::Member;
use crate::model::topology::{Located, Topology};
use crate::tag::Tag;
use crate::verdict::{Decision, DropReason, Edit, Protocol, StormClass};

/// Listens to the story of a frame. The silent one costs nothing: sentences are made only for who listens.
pub trait Narrator {
    /// Hears one sentence.
    fn say(&mut self, sentence: impl FnOnce() -> String);
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Narrator for Silent {
    fn say(&mut self, _: impl FnOnce() -> String) {}
}

impl Narrator for Vec<String> {
    fn say(&mut self, sentence: impl FnOnce() -> String) {
        self.push(sentence());
    }
}

/// A frame came in.
pub fn arrived(topology: &Topology, port: &Port, header: &Header) -> String {
    let bridge = &topology.bridge(port.bridge).name;
    let kind = match &port.mode {
        Mode::Plain => "port",
        Mode::Access { .. } => "access port",
        Mode::Trunk(_) => "trunk",
        Mode::Qinq { .. } => "qinq port",
    };
    format!(
        "{} to {}, {}, arrives at {kind} {} of bridge {bridge}",
        header.src,
        header.dst,
        tags(&header.tags),
        port.name
    )
}

/// A frame was let in.
pub fn admitted(topology: &Topology, port: &Port, admitted: Admitted, located: Located) -> String {
    let bridge = &topology.bridge(port.bridge).name;
    let segment = topology.segment(located.segment.number);
    let others = segment.domains.iter().filter(|domain| domain.bridge != port.bridge);
    let names: Vec<&str> = others.map(|domain| topology.bridge(domain.bridge).name.as_str()).collect();
    let joined = if names.is_empty() {
        String::new()
    } else {
        format!(", which is one segment with {}", names.join(", "))
    };
    match (admitted.vid, admitted.is_tagged) {
        (None, _) => format!("it is in bridge {bridge}{joined}"),
        (Some(vid), true) => format!("its tag puts it in VLAN {vid} of {bridge}{joined}"),
        (Some(vid), false) => {
            format!("without a VLAN tag of its own it is in the port's VLAN {vid} of {bridge}{joined}")
        }
    }
}

/// A frame is flooded.
pub fn flooded(class: StormClass, dst: MacAddr) -> String {
    match class {
        StormClass::Broadcast => "it is a broadcast: to every other port of the segment".to_owned(),
        StormClass::Multicast => format!("{dst} is a group address: to every other port of the segment"),
        StormClass::Unknown => format!("{dst} is not known on the segment: to every other port"),
    }
}

/// A control frame stays in its customer's outer VLAN.
pub fn tunnelled(topology: &Topology, arrival: &Arrival<'_>) -> String {
    let bridge = &topology.bridge(arrival.port.bridge).name;
    let vid = arrival.admitted.vid.map_or_else(String::new, |vid| format!("VLAN {vid} of "));
    format!("it is the customer's own: to the qinq ports and trunks of {vid}{bridge}, and nowhere else")
}

/// A member port is left out.
pub fn withheld(topology: &Topology, port: PortId, why: DropReason) -> String {
    format!("not by {}: {}", topology.port(port).name, reason(why))
}

/// The destination is known.
pub fn found(topology: &Topology, dst: MacAddr, at: Location) -> String {
    match at {
        Location::Port { port, .. } => format!("{dst} is behind port {}", topology.port(port).name),
        Location::Fabric { fabric, vid } => {
            format!("{dst} is behind the trunks of fabric {:?} in VLAN {vid}", topology.fabric_name(fabric))
        }
        Location::Host(host) => format!("{dst} is behind host {}", topology.hosts()[host.0 as usize].name),
    }
}

/// A copy leaves.
pub fn leaves(topology: &Topology, passage: &Passage<'_>, member: Member, edit: &Edit) -> String {
    let port = &topology.port(member.port).name;
    let way = passage.segment.path(passage.from, member.domain);
    let bridges: Vec<&str> =
        way.iter().map(|d| topology.bridge(passage.segment.domain(*d).bridge).name.as_str()).collect();
    let through = if bridges.len() > 1 { format!(" through {}", bridges.join(" > ")) } else { String::new() };
    let change = match (edit.pop, edit.push.len()) {
        (0, 0) => "unchanged".to_owned(),
        (pop, push) => format!("{pop} off, {push} on"),
    };
    format!("it leaves by {port}{through}, {} (tags {change})", tags(&edit.applied_to(passage.header)))
}

/// How the story ends.
pub fn ending(decision: Decision) -> String {
    match decision {
        Decision::Forward => "forwarded".to_owned(),
        Decision::Unjudged => "not judged".to_owned(),
        Decision::Drop(why) => format!("dropped ({why}): {}", reason(why)),
        Decision::Consume(Protocol::Lldp) => "consumed: the gateway reads LLDP itself".to_owned(),
        Decision::Consume(Protocol::Probe) => "consumed: a probe between trunks".to_owned(),
    }
}

/// One sentence for each drop reason.
pub fn reason(reason: DropReason) -> &'static str {
    match reason {
        DropReason::PortDown => "the port has no link that is up",
        DropReason::PortBlocked => "the port is blocked after a BPDU or a loop",
        DropReason::UntaggedOnTrunk => "the trunk has no native VLAN for a frame without a VLAN tag",
        DropReason::VlanNotAllowed => "the tag's VID is not one of the port's",
        DropReason::VlanReserved => "VID 4095 is reserved and never used",
        DropReason::CustomerVlanNotAllowed => "the customer's VLAN is not one of the port's customer-vlans",
        DropReason::NotDesignated => "another trunk of the fabric carries this VLAN",
        DropReason::GroupSource => "the source is a group address, which no station has",
        DropReason::AntiSpoof => "the source is not one of the port's declared addresses",
        DropReason::Reflected => "our own frame came back by a trunk",
        DropReason::Pinned => "the source is declared on another port",
        DropReason::Frozen => "the source moved too often and is frozen where it was",
        DropReason::AddressLimit => "the port has as many addresses as it may have",
        DropReason::Reserved => "a control protocol of the link that a bridge does not pass on",
        DropReason::Bpdu => "a BPDU where no bridge may be; the port is blocked",
        DropReason::Probe => "a probe that did not come by a trunk",
        DropReason::SamePort => "the destination is behind the port it came from",
        DropReason::SameGroup => "it came in by the same group of trunks",
        DropReason::NotMember => "the destination's port is not in this VLAN",
        DropReason::NativeHop => "it would leave untagged with another tag first, which is VLAN hopping",
        DropReason::NoMember => "no other port is there to leave by",
        DropReason::NoTrunk => "no live trunk can carry the VLAN",
        DropReason::Malformed => "the frame has no complete header",
    }
}

fn tags(tags: &[Tag]) -> String {
    if tags.is_empty() {
        return "untagged".to_owned();
    }
    let each: Vec<String> = tags.iter().map(|tag| format!("[{tag}]")).collect();
    format!("tagged {}", each.join(" "))
}

//! Why a frame, or one copy of it, goes no further: a sentence for each reason, with the values that decided.

use crate::designation::Carrier;
use crate::fdb::refusal::Refused;
use crate::frame::Header;
use crate::ingress;
use crate::model::id::Location;
use crate::model::port::{Mode, Port, Trunk};
use crate::model::topology::Topology;
use crate::plane::Plane;
use crate::time::{Instant, span};
use crate::verdict::{Consulted, DropReason};
use crate::vid::{Vid, VidSet};

use super::{other_tpid, place};

/// One sentence for each drop reason.
pub fn sentence(reason: DropReason) -> &'static str {
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
        DropReason::Tagged => "the port takes untagged frames only",
        DropReason::Reflected => "our own frame came back",
        DropReason::Pinned => "the source is declared on another port, or sticks there",
        DropReason::Frozen => "the source moved too often and is frozen where it was",
        DropReason::Sticky => "the addresses heard here first are pinned, and the source is known elsewhere",
        DropReason::AddressLimit => "the port has as many addresses as it may have",
        DropReason::Reserved => "not bridged: it is for the neighbour on this link alone",
        DropReason::Bpdu => "a BPDU where no bridge may be",
        DropReason::Probe => "not bridged: a probe between gateways is for no station",
        DropReason::SamePort => "the destination is behind the port it came from",
        DropReason::SameGroup => "it came in by a trunk of the same fabric, which delivers it itself",
        DropReason::NotMember => "the destination's port is not in this VLAN",
        DropReason::NativeHop => "it would leave untagged with another tag first, which is VLAN hopping",
        DropReason::Isolated => "it came from an isolated port, and this one is isolated too",
        DropReason::FloodOff => "the destination is not known, and the port is sent no unknown unicast",
        DropReason::NoMember => "no other port is there to leave by",
        DropReason::NoTrunk => "no live trunk can carry the VLAN",
        DropReason::UnknownHost => "the address that it was sent from is no host's",
        DropReason::OwnHost => "it was sent from this host's own address",
        DropReason::UnknownVni => "the VNI is no segment's by which that host may send",
        DropReason::NoTransit => {
            "what comes by a tunnel leaves by none, and the destination is behind another host"
        }
        DropReason::NoTunnel => "no tunnel leads there: the host, or this one, has no underlay address",
        DropReason::Malformed => "the frame has no complete header",
    }
}

/// Why a frame is not let in at a port.
pub(crate) fn entering(plane: &Plane<'_, '_>, port: &Port, header: &Header, reason: DropReason) -> String {
    let why = match reason {
        DropReason::UntaggedOnTrunk => no_native_vlan(plane.topology, port, header),
        DropReason::VlanNotAllowed => not_allowed(port, header),
        DropReason::CustomerVlanNotAllowed => customers(port),
        DropReason::NotDesignated => not_designated(plane, port, vlan_of(plane, port, header)),
        DropReason::AntiSpoof => {
            let macs: Vec<String> = port.only_sources().iter().map(ToString::to_string).collect();
            format!("the port's declared addresses are {}, others may not send here", macs.join(", "))
        }
        other => sentence(other).to_owned(),
    };
    format!("dropped ({reason}): {why}")
}

fn vlan_of(plane: &Plane<'_, '_>, port: &Port, header: &Header) -> Option<Vid> {
    let tpid = plane.topology.bridge(port.bridge).tpid();
    ingress::admit(port, tpid, header, &mut Consulted::default()).ok()?.vid
}

/// Why a copy does not leave by a member port of VLAN `vid`.
pub(crate) fn leaving(plane: &Plane<'_, '_>, port: &Port, vid: Option<Vid>, reason: DropReason) -> String {
    match reason {
        DropReason::CustomerVlanNotAllowed => customers(port),
        DropReason::NotDesignated => not_designated(plane, port, vid),
        other => sentence(other).to_owned(),
    }
}

/// Why a source address is not believed to be where it was seen.
pub(crate) fn source(
    topology: &Topology,
    now: Instant,
    reason: DropReason,
    refused: Option<&Refused>,
) -> String {
    let why = match refused {
        Some(Refused::Pinned { at }) if sticks(topology, *at) => {
            format!(
                "the source sticks to {}, to which it was pinned when it was heard there first",
                place(topology, *at)
            )
        }
        Some(Refused::Pinned { at }) => format!("the source is declared behind {}", place(topology, *at)),
        Some(Refused::Elsewhere { at }) => {
            format!(
                "the addresses heard here first are pinned, and the source is known behind {}",
                place(topology, *at)
            )
        }
        Some(Refused::Frozen { at, until }) => {
            let span = span(until.since(now));
            format!(
                "the source moved too often and is kept behind {} for another {span}",
                place(topology, *at)
            )
        }
        Some(Refused::Reflected { at }) => {
            let at = place(topology, *at);
            format!(
                "our own frame came back; we sent it there within the last second for a source behind {at}"
            )
        }
        _ => sentence(reason).to_owned(),
    };
    format!("dropped ({reason}): {why}")
}

/// Whether the addresses at a location stick to its port.
pub(super) fn sticks(topology: &Topology, at: Location) -> bool {
    matches!(at, Location::Port { port, .. } if topology.port(port).is_sticky)
}

fn no_native_vlan(topology: &Topology, port: &Port, header: &Header) -> String {
    let tpid = topology.bridge(port.bridge).tpid();
    let untagged = match other_tpid(header, tpid) {
        Some(other) => format!("tags are {tpid} here, so one of {other} is none, and"),
        None => "without a VLAN tag a frame would be in the native VLAN, but".to_owned(),
    };
    format!("{untagged} {} has no native VLAN", port.name)
}

fn not_allowed(port: &Port, header: &Header) -> String {
    let vid = header.tags.first().map_or(0, |tag| tag.raw_vid());
    match &port.mode {
        Mode::Access { vid: own } => {
            format!("{} takes untagged frames, which are in VLAN {own}; VID {vid} is a tag", port.name)
        }
        Mode::Trunk(trunk) => not_on_trunk(port, trunk, vid),
        Mode::Plain | Mode::Qinq { .. } => sentence(DropReason::VlanNotAllowed).to_owned(),
    }
}

fn not_on_trunk(port: &Port, trunk: &Trunk, vid: u16) -> String {
    if let Some(on_wire) = Vid::new(vid).and_then(|vid| trunk.wire_vid(vid)) {
        return format!("VLAN {vid} has VID {on_wire} on the wire of {}", port.name);
    }
    let on_wire: VidSet = trunk.allowed.iter().filter_map(|vid| trunk.wire_vid(vid)).collect();
    format!("VID {vid} is not one that {} allows: {on_wire}", port.name)
}

fn customers(port: &Port) -> String {
    match &port.mode {
        Mode::Qinq { customer_vlans: Some(allowed), .. } => {
            format!("customer-vlans of {} is {allowed}, a frame has to have such a tag", port.name)
        }
        _ => sentence(DropReason::CustomerVlanNotAllowed).to_owned(),
    }
}

fn not_designated(plane: &Plane<'_, '_>, port: &Port, vid: Option<Vid>) -> String {
    let fabric = port.group.map_or("", |fabric| plane.topology.fabric_name(fabric));
    let vlan = vid.map_or(0, Vid::get);
    match plane.designation.carrier(port, vid) {
        Carrier::Other(trunk) => {
            format!("{} carries VLAN {vlan} of fabric {fabric:?}", plane.topology.port(trunk).name)
        }
        _ => format!("no live trunk of fabric {fabric:?} carries VLAN {vlan}"),
    }
}

//! The steps of forwarding in words, for `l2gw trace`: a sentence a step, in the order in which they are taken, for a reader who knows
//! networks but not this program. Why a frame goes no further is in [`reason`](mod@reason).

use crate::addr::MacAddr;
use crate::designation::Designation;
use crate::egress::Passage;
use crate::fdb::Learned;
use crate::fdb::refusal::NotLearned;
use crate::frame::Header;
use crate::ingress::Admitted;
use crate::model::description::Storm;
use crate::model::id::{BridgeId, HostId, Location, PortId};
use crate::model::port::{Mode, Port};
use crate::model::segment::{Domain, Member};
use crate::model::topology::{Located, Topology};
use crate::plane::{Arrival, Plane};
use crate::policy::{self, Class};
use crate::tag::{Tag, Tpid};
use crate::verdict::{Decision, DropReason, Edit, Effect, Egress, Meter, StormClass, Verdict};
use crate::vid::Vid;

pub mod reason;
pub(crate) mod tunnel;

/// Listens to the story of a frame. The silent one costs nothing: sentences are made only for who listens.
pub trait Narrator {
    /// Hears one sentence, where there is one to say.
    fn say_if(&mut self, sentence: impl FnOnce() -> Option<String>);

    /// Hears one sentence.
    fn say(&mut self, sentence: impl FnOnce() -> String) {
        self.say_if(|| Some(sentence()));
    }

    /// Hears a sentence about each of many things.
    fn say_each<T>(&mut self, things: impl Iterator<Item = T>, sentence: impl Fn(T) -> String) {
        things.for_each(|thing| self.say(|| sentence(thing)));
    }

    /// Hears one sentence that is about a port, where there is one to say.
    fn say_of(&mut self, port: PortId, sentence: impl FnOnce() -> Option<String>) {
        let _ = port;
        self.say_if(sentence);
    }
}

/// A story, and which of its steps are about which port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Story {
    /// A sentence a step.
    pub steps: Vec<String>,
    /// Of steps that are about a port, their index and it, in order.
    pub about: Vec<(usize, PortId)>,
}

impl Narrator for Story {
    fn say_if(&mut self, sentence: impl FnOnce() -> Option<String>) {
        self.steps.extend(sentence());
    }

    fn say_of(&mut self, port: PortId, sentence: impl FnOnce() -> Option<String>) {
        let step = self.steps.len();
        self.say_if(sentence);
        if self.steps.len() > step {
            self.about.push((step, port));
        }
    }
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Narrator for Silent {
    fn say_if(&mut self, _: impl FnOnce() -> Option<String>) {}

    fn say_each<T>(&mut self, _: impl Iterator<Item = T>, _: impl Fn(T) -> String) {}
}

impl Narrator for Vec<String> {
    fn say_if(&mut self, sentence: impl FnOnce() -> Option<String>) {
        self.extend(sentence());
    }
}

/// A frame came in.
pub(crate) fn arrived(topology: &Topology, port: &Port, header: &Header) -> String {
    let bridge = &topology.bridge(port.bridge).name;
    let kind = match &port.mode {
        Mode::Plain => "port",
        Mode::Access { .. } => "access port",
        Mode::Trunk(_) => "trunk",
        Mode::Qinq { .. } => "qinq port",
    };
    let (src, dst, name) = (header.src, header.dst, &port.name);
    format!("{src} to {dst}, {}, arrives at {kind} {name} of bridge {bridge}", tags(&header.tags))
}

/// A frame is a control protocol's.
pub(crate) fn control(class: Class, dst: MacAddr) -> String {
    format!("the destination {dst} marks {}", policy::name(class))
}

/// A frame was let in.
pub(crate) fn admitted(
    topology: &Topology,
    port: &Port,
    header: &Header,
    (admitted, located): (Admitted, Located),
) -> String {
    let mut text = classified(topology, port, header, admitted);
    let segment = topology.segment(located.segment.number);
    let here = segment.domain(located.domain);
    if let Some(inner) = admitted.vid.and_then(|vid| topology.inner_bridge(port.bridge, vid)) {
        let inner = &topology.bridge(inner).name;
        text += &match here.inner {
            Some(vid) => format!("; its next tag puts it in VLAN {vid} of {inner}"),
            None => format!("; no next tag puts it in a VLAN of {inner}, so it stays there"),
        };
    }
    let inner = here.inner.and(admitted.vid).and_then(|vid| topology.inner_bridge(port.bridge, vid));
    let is_said = |domain: &Domain| {
        domain.bridge == port.bridge || (Some(domain.bridge) == inner && domain.vid == here.inner)
    };
    let others = segment.domains.iter().filter(|domain| !is_said(domain));
    let names: Vec<String> =
        others.take(MOST_NAMES + 1).map(|domain| domain_name(topology, domain)).collect();
    if !names.is_empty() {
        let more = if names.len() > MOST_NAMES { " and more" } else { "" };
        let shown = &names[..names.len().min(MOST_NAMES)];
        text += &format!(", one segment with {}{more}", shown.join(", "));
    }
    text
}

fn classified(topology: &Topology, port: &Port, header: &Header, admitted: Admitted) -> String {
    let bridge = topology.bridge(port.bridge);
    let has_priority_tag = admitted.taken == 1 && !admitted.is_tagged;
    let how = match (has_priority_tag, header.tags.first()) {
        (true, _) => "with only a priority tag, which comes off,".to_owned(),
        (false, Some(_)) => format!("its tag is none of TPID {}, so as if untagged", bridge.tpid()),
        (false, None) => "untagged,".to_owned(),
    };
    match (&port.mode, admitted.vid) {
        (Mode::Plain, _) | (_, None) if has_priority_tag => {
            format!("its priority tag comes off; it is in bridge {}", bridge.name)
        }
        (Mode::Plain, _) | (_, None) if header.tags.is_empty() => format!("it is in bridge {}", bridge.name),
        (Mode::Plain, _) | (_, None) => {
            format!("it is in bridge {}, to which a tag is payload", bridge.name)
        }
        (Mode::Trunk(_), Some(vid)) if admitted.is_tagged => {
            let wire = header.tags.first().map_or(0, |tag| tag.raw_vid());
            let translated =
                if wire == vid.get() { String::new() } else { format!(" (VID {wire} translated)") };
            format!("its tag puts it in VLAN {vid} of {}{translated}", bridge.name)
        }
        (Mode::Trunk(_), Some(vid)) => {
            format!("{how} it is in the trunk's native VLAN {vid} of {}", bridge.name)
        }
        (Mode::Qinq { .. }, Some(vid)) => {
            let payload = if header.tags.is_empty() { "" } else { "; the customer's tags are payload" };
            format!("it is in the port's outer VLAN {vid} of {}{payload}", bridge.name)
        }
        (Mode::Access { .. }, Some(vid)) => {
            format!("{how} it is in the port's VLAN {vid} of {}", bridge.name)
        }
    }
}

/// Of several trunks this is the one that carries the VLAN. Nothing where nobody was told which.
pub(crate) fn carried(plane: &Plane<'_, '_>, port: &Port, vid: Option<Vid>) -> Option<String> {
    let (fabric, vid) = (plane.topology.fabric_name(port.group?), vid?);
    if matches!(plane.designation, Designation::Everyone) {
        return None;
    }
    Some(format!("{} is the trunk that carries VLAN {vid} of fabric {fabric:?}", port.name))
}

/// What was learned of the source.
pub(crate) fn learned(topology: &Topology, src: MacAddr, at: Location, learned: &Learned) -> String {
    let place = |location| place(topology, location);
    let mut text = match learned {
        Learned::New { .. } if reason::sticks(topology, at) => {
            format!("{src} is learned behind {}, and sticks there", place(at))
        }
        Learned::New { .. } => format!("{src} is learned behind {}", place(at)),
        Learned::Refreshed => format!("{src} is known behind {}", place(at)),
        Learned::Moved { from, .. } => format!("{src} has moved from {} to {}", place(*from), place(at)),
        Learned::Frozen { at, .. } => {
            format!("{src} moved too often and is kept behind {} for a while", place(*at))
        }
        Learned::NotLearned(NotLearned::AtLimit { .. }) => {
            format!("{src} is not learned: {} has as many addresses as it may have", place(at))
        }
        Learned::NotLearned(_) | Learned::Undecided { .. } | Learned::Refused(_) => {
            format!("{src} is not learned")
        }
    };
    if let Some(gone) = learned.evicted() {
        text += &format!("; {} had to go for it", gone.mac);
    }
    text
}

/// Nothing was learned of the source.
pub(crate) fn not_learned(arrival: &Arrival<'_>, src: MacAddr) -> String {
    match arrival.class {
        Some(_) => "of a control frame's source nothing is learned".to_owned(),
        None => format!("{src} is the null address, which is not learned"),
    }
}

/// A frame is flooded.
pub(crate) fn flooded(topology: &Topology, class: StormClass, dst: MacAddr, meter: Option<Meter>) -> String {
    let why = match class {
        StormClass::Broadcast => "it is a broadcast".to_owned(),
        StormClass::Multicast => format!("{dst} is a group address"),
        StormClass::Unknown => format!("{dst} is not known on the segment"),
    };
    let metered = meter.map_or_else(String::new, |meter| {
        let port = topology.port(meter.port);
        let vlan = meter.vid.map_or_else(String::new, |vid| format!(" in VLAN {vid}"));
        let (name, rate) = storm(&port.storm, class);
        format!(", within {}'s storm limit for {name}{vlan} ({rate} a second)", port.name)
    });
    format!("{why}: to every other port of the segment{metered}")
}

fn storm(storm: &Storm, class: StormClass) -> (&'static str, u32) {
    match class {
        StormClass::Broadcast => ("broadcasts", storm.broadcast),
        StormClass::Multicast => ("multicasts", storm.multicast),
        StormClass::Unknown => ("unknown destinations", storm.unknown),
    }
}

/// A control frame stays in its customer's outer VLAN.
pub(crate) fn tunnelled(topology: &Topology, arrival: &Arrival<'_>) -> String {
    let Some(port) = arrival.port() else {
        return "it is a customer's own: to the qinq ports and trunks of his outer VLAN, and nowhere else"
            .to_owned();
    };
    let bridge = &topology.bridge(port.bridge).name;
    let vid = arrival.admitted.vid.map_or_else(String::new, |vid| format!("VLAN {vid} of "));
    format!(
        "it is the customer's own: to the other qinq ports and the trunks of {vid}{bridge}, and nowhere else"
    )
}

/// A control frame passes from switch to switch.
pub(crate) fn between_trunks(topology: &Topology, bridge: BridgeId) -> String {
    format!(
        "the switches decide by it: it passes unchanged to the other trunks of {}",
        topology.bridge(bridge).name
    )
}

/// A member port is left out.
pub(crate) fn withheld(plane: &Plane<'_, '_>, member: (PortId, Option<Vid>), why: DropReason) -> String {
    let port = plane.topology.port(member.0);
    format!("not by {}: {}", port.name, reason::leaving(plane, port, member.1, why))
}

/// The destination is known.
pub(crate) fn found(topology: &Topology, dst: MacAddr, at: Location) -> String {
    format!("{dst} is behind {}", place(topology, at))
}

/// A copy leaves.
pub(crate) fn leaves(topology: &Topology, passage: &Passage<'_>, member: Member, edit: &Edit) -> String {
    let port = &topology.port(member.port).name;
    let way = passage.segment.path(passage.from, member.domain);
    let bridges: Vec<&str> =
        way.iter().map(|d| topology.bridge(passage.segment.domain(*d).bridge).name.as_str()).collect();
    let through = if bridges.len() > 1 { format!(" through {}", bridges.join(" > ")) } else { String::new() };
    format!("it leaves by {port}{through}, {}", changed(passage.header, edit))
}

/// How a copy's tags are and what was done to them.
fn changed(header: &Header, edit: &Edit) -> String {
    let now = tags(&edit.applied_to(header));
    let off = each(&header.tags[..header.tags.len().min(usize::from(edit.pop))]);
    let (off_how, on_how) = (
        if edit.pop == 1 { "comes off" } else { "come off" },
        if edit.push.len() == 1 { "goes on" } else { "go on" },
    );
    match (off.as_str(), each(&edit.push).as_str()) {
        ("", "") => format!("{now}, as it came"),
        (off, "") => format!("{now}: {off} {off_how}"),
        ("", on) => format!("{now}: {on} {on_how}"),
        (off, on) => format!("{now}: {off} {off_how}, {on} {on_how}"),
    }
}

/// How many copies leave by a verdict of a host, those to other hosts among them.
pub fn copies(topology: &Topology, host: HostId, verdict: &Verdict) -> usize {
    let of = |to: Egress| match to {
        Egress::Port(_) | Egress::Tunnel { .. } => 1,
        Egress::Hosts { segment, origin, .. } => topology.copies(host, segment, origin).count(),
    };
    verdict.outputs.iter().map(|output| of(output.to)).sum()
}

/// How the story of a frame ends; `copies` is how many leave.
pub fn ending(decision: Decision, copies: usize) -> String {
    match (decision, copies) {
        (Decision::Forward, 1) => "forwarded, one copy".to_owned(),
        (Decision::Forward, copies) => format!("forwarded, {copies} copies"),
        (Decision::Unjudged, _) => "not judged".to_owned(),
        (Decision::Drop(why), _) => format!("dropped ({why}): {}", reason::sentence(why)),
    }
}

/// What else happens because of a frame.
pub(crate) fn effect(topology: &Topology, effect: Effect) -> String {
    match effect {
        Effect::BlockPort(port) => {
            format!("{} is blocked for 300 s, for a bridge seems to be behind it", topology.port(port).name)
        }
    }
}

/// A location, with names.
pub(crate) fn place(topology: &Topology, location: Location) -> String {
    match location {
        Location::Port { port, vid: None } => format!("port {}", topology.port(port).name),
        Location::Port { port, vid: Some(vid) } => format!("port {} in VLAN {vid}", topology.port(port).name),
        Location::Fabric { fabric, vid } => {
            format!("the trunks of fabric {:?} in VLAN {vid}", topology.fabric_name(fabric))
        }
        Location::Host(host) => format!("host {}", topology.hosts()[host.0 as usize].name),
    }
}

fn domain_name(topology: &Topology, domain: &Domain) -> String {
    let bridge = &topology.bridge(domain.bridge).name;
    match (domain.vid, domain.inner) {
        (None, _) => bridge.clone(),
        (Some(vid), None) => format!("VLAN {vid} of {bridge}"),
        (Some(vid), Some(inner)) => format!("VLAN {vid} of {bridge} with next tag {inner}"),
    }
}

fn tags(tags: &[Tag]) -> String {
    if tags.is_empty() { "untagged".to_owned() } else { format!("tagged {}", each(tags)) }
}

fn each(tags: &[Tag]) -> String {
    tags.iter().map(|tag| format!("[{tag}]")).collect::<Vec<_>>().join(" ")
}

/// A tag type in words, where a reader may wonder why a tag is none.
pub(crate) fn other_tpid(header: &Header, tpid: Tpid) -> Option<Tpid> {
    header.tags.first().map(|tag| tag.tpid()).filter(|other| *other != tpid)
}

/// Most bridges of a segment that are named.
const MOST_NAMES: usize = 4;

//! What becomes of a frame, what was looked at to decide it, and what the decision rests on.

use std::fmt;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::addr::MacAddr;
use crate::fdb::reflect::{Echo, Likeness};
use crate::frame::{Header, MAX_TAGS};
use crate::model::id::{FabricId, HostId, Location, PortId, SegmentId};
use crate::model::vnis::Origin;
use crate::tag::{Pcp, Tag};
use crate::vid::Vid;

/// What becomes of a frame. A verdict is made once for a whole class of frames: those that agree with the judged one in
/// arrival port, source address and every field of `consulted`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Verdict {
    /// Forwarded or dropped.
    pub decision: Decision,
    /// Where copies leave, in ascending order of port; empty unless forwarded.
    pub outputs: Vec<Output>,
    /// Members of the flood set that the frame did not leave by, with the reason (for the trace and the counters).
    pub withheld: SmallVec<[(PortId, DropReason); 4]>,
    /// The storm meter that a flooded frame passes first.
    pub meter: Option<Meter>,
    /// The header fields looked at, besides arrival port and source address.
    pub consulted: Consulted,
    /// The state looked at. When any of it changes, the verdict is to be made again.
    pub depends: SmallVec<[Dependency; 6]>,
    /// Where the source address was seen, if the frame was accepted by a segment.
    pub source: Option<Seen>,
    /// What the frame would look like if it came back, where there is a `source`.
    pub likeness: Likeness,
    /// How many tags at its front say which VLAN it is in, 0..=2: what is behind them is the same on every port.
    pub tags_read: u8,
    /// What else is to happen when such a frame arrives. A verdict with an effect is made for each frame, never cached.
    pub effect: Option<Effect>,
}

impl Verdict {
    /// Clears it for the next frame, keeping its memory.
    pub fn clear(&mut self) {
        // Each by itself: a fresh one would be written as a whole, and then copied.
        let Verdict {
            decision,
            outputs,
            withheld,
            meter,
            consulted,
            depends,
            source,
            likeness,
            tags_read,
            effect,
        } = self;
        outputs.clear();
        withheld.clear();
        depends.clear();
        (*decision, *meter, *consulted) = (Decision::default(), None, Consulted::default());
        (*source, *likeness, *tags_read, *effect) = (None, Likeness::default(), 0, None);
    }

    /// Turns it into a drop after all, with nothing sent.
    pub fn refuse(&mut self, reason: DropReason) {
        self.outputs.clear();
        self.meter = None;
        self.decision = Decision::Drop(reason);
    }
}

/// The ends a frame can come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Decision {
    /// It leaves by `outputs`.
    Forward,
    /// It goes nowhere.
    #[default]
    Unjudged,
    /// It goes nowhere, for this reason.
    Drop(DropReason),
}

/// A copy of the frame and how its tags change on the way.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Output {
    /// Where it leaves.
    pub to: Egress,
    /// Its tags' change.
    pub edit: Edit,
}

/// A way out of the host's switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Egress {
    /// An exterior port.
    Port(PortId),
    /// Another host, by VXLAN.
    Tunnel {
        /// The receiving host.
        host: HostId,
        /// VXLAN network identifier, 1..2^24-1.
        vni: u32,
        /// The priority that the outer header gets as DSCP class selector.
        class: Pcp,
    },
    /// Every other l2gw host that has ports on the segment and can be reached: [`Topology::copies`](crate::model::topology::Topology::copies).
    Hosts {
        /// Number of the segment.
        segment: u32,
        /// By what the frame came in.
        origin: Origin,
        /// The priority that the outer header gets as DSCP class selector.
        class: Pcp,
    },
}

/// Tags taken off the front, then tags put on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Edit {
    /// How many tags come off, 0..=2.
    pub pop: u8,
    /// Tags put on, the outermost first.
    pub push: SmallVec<[Tag; MAX_TAGS]>,
}

impl Edit {
    /// Whether the frame leaves as it came.
    pub fn is_none(&self) -> bool {
        self.pop == 0 && self.push.is_empty()
    }

    /// The first tags of a frame after the change: those put on, and what is left of the two that a header holds.
    pub fn applied_to(&self, header: &Header) -> Vec<Tag> {
        let left = header.tags.iter().skip(usize::from(self.pop));
        self.push.iter().chain(left).copied().collect()
    }
}

impl PartialOrd for Tag {
    fn partial_cmp(&self, other: &Tag) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Tag {
    fn cmp(&self, other: &Tag) -> std::cmp::Ordering {
        self.to_bytes().cmp(&other.to_bytes())
    }
}

/// The classes of flooded frames that storm control tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StormClass {
    /// To ff:ff:ff:ff:ff:ff.
    Broadcast,
    /// To any other group address.
    Multicast,
    /// To an individual address that is in no table.
    Unknown,
}

/// One storm meter: a class of one VLAN arriving at one port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Meter {
    /// The arrival port.
    pub port: PortId,
    /// The VLAN of its bridge; `None` on a VUB.
    pub vid: Option<Vid>,
    /// The class.
    pub class: StormClass,
}

/// The source address of an accepted frame and where it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Seen {
    /// The segment.
    pub segment: SegmentId,
    /// The source address.
    pub mac: MacAddr,
    /// Where.
    pub location: Location,
}

impl Seen {
    /// What may come back of a frame of this source that goes out into a fabric.
    pub fn echo(&self, likeness: Likeness, fabric: FabricId) -> Echo {
        Echo { segment: self.segment, mac: self.mac, likeness, fabric }
    }
}

/// Something that happens besides forwarding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Effect {
    /// A BPDU arrived where no bridge may be: the port is to be blocked.
    BlockPort(PortId),
}

/// A piece of state that a verdict looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Dependency {
    /// Whether a port is up, blocked or gone, and its settings.
    Port(PortId),
    /// Where an address is, or that it is unknown.
    Address(SegmentId, MacAddr),
    /// Which ports a segment has.
    Segment(u32),
    /// Which trunk of a fabric carries a VLAN of it, and who says that it does.
    Designation(FabricId, Vid),
    /// Whether another host is alive.
    Host(HostId),
}

/// The header fields that a verdict looked at. Arrival port and source address always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Consulted {
    /// The destination address.
    pub dst: bool,
    /// The first two tags, outermost first.
    pub tags: [TagFields; MAX_TAGS],
    /// The EtherType behind the first two tags.
    pub ether_type: bool,
    /// The priority that a tunnel carried beside the frame.
    #[serde(default)]
    pub class: bool,
}

/// The fields of one tag that a verdict looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct TagFields {
    /// Whether there is a tag, and its TPID.
    pub presence: bool,
    /// Its VID.
    pub vid: bool,
    /// Its priority.
    pub pcp: bool,
}

impl Consulted {
    /// Notes that the tag at `depth` was asked for, and its VID read if there is one. Deeper than the header reads: the EtherType.
    pub fn tag_vid(&mut self, depth: usize) {
        self.tag_presence(depth);
        if let Some(tag) = self.tags.get_mut(depth) {
            tag.vid = true;
        }
    }

    /// Notes that the priority of the tag at `depth` was read.
    pub fn tag_pcp(&mut self, depth: usize) {
        self.tag_presence(depth);
        if let Some(tag) = self.tags.get_mut(depth) {
            tag.pcp = true;
        }
    }

    /// Notes that the type behind the first `depth` tags was asked for: a tag, or which EtherType.
    pub fn tag_presence(&mut self, depth: usize) {
        for tag in self.tags.iter_mut().take(depth + 1) {
            tag.presence = true;
        }
        if depth >= MAX_TAGS {
            self.ether_type = true;
        }
    }

    /// Whether two headers that a verdict cannot tell apart agree in every consulted field.
    pub fn agree(&self, a: &Header, b: &Header) -> bool {
        a.src == b.src
            && (!self.dst || a.dst == b.dst)
            && (!self.ether_type || (a.tags.len() == b.tags.len() && a.ether_type == b.ether_type))
            && self.tags.iter().enumerate().all(|(depth, fields)| fields.agree(a.tag(depth), b.tag(depth)))
    }
}

impl TagFields {
    fn agree(&self, a: Option<Tag>, b: Option<Tag>) -> bool {
        if !self.presence {
            return true;
        }
        match (a, b) {
            (None, None) => true,
            (Some(a), Some(b)) => {
                a.tpid() == b.tpid()
                    && (!self.vid || a.raw_vid() == b.raw_vid())
                    && (!self.pcp || a.pcp() == b.pcp())
            }
            _ => false,
        }
    }
}

/// Why a frame, or one copy of it, went nowhere. The text form is stable: it is in counters, traces and documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DropReason {
    /// The port has no carrier, is admin down or is not bound.
    PortDown,
    /// The port is blocked after a BPDU or a loop.
    PortBlocked,
    /// Untagged or priority-tagged on a trunk without native VLAN.
    UntaggedOnTrunk,
    /// The tag's VID is not one of the port's.
    VlanNotAllowed,
    /// VID 4095 (802.1Q table 9-2).
    VlanReserved,
    /// The customer's VLAN is not one of the port's.
    CustomerVlanNotAllowed,
    /// The trunk does not carry this VLAN now.
    NotDesignated,
    /// The source address is a group address.
    GroupSource,
    /// The source address is not one of the port's declared ones.
    AntiSpoof,
    /// The port takes untagged frames only.
    Tagged,
    /// Our own frame came back by a trunk.
    Reflected,
    /// The source address is declared on another port, or sticks there.
    Pinned,
    /// The source address moved too often.
    Frozen,
    /// The addresses of the port stick, and the source address is known elsewhere.
    Sticky,
    /// The port has as many addresses as it may have, and `on-limit` is `drop` or the addresses stick.
    AddressLimit,
    /// A reserved address or control protocol that is not passed on.
    Reserved,
    /// A BPDU on a port where no bridge may be.
    Bpdu,
    /// A probe between gateways, which is never bridged.
    Probe,
    /// The destination is behind the arrival port.
    SamePort,
    /// The destination is behind the trunk group that the frame came in by.
    SameGroup,
    /// The destination's port is not a member of the VLAN.
    NotMember,
    /// The frame would leave untagged with another tag first.
    NativeHop,
    /// Both ports are isolated.
    Isolated,
    /// The port is sent no unknown unicast.
    FloodOff,
    /// No port is left to leave by.
    NoMember,
    /// No live trunk can carry the VLAN.
    NoTrunk,
    /// It came by the tunnel from an address that is no host's.
    UnknownHost,
    /// It came by the tunnel from this host's own address.
    OwnHost,
    /// It came by the tunnel with a VNI that is no segment's, or not one by which its sender may send.
    UnknownVni,
    /// It came by the tunnel, and its destination is behind another host.
    NoTransit,
    /// No tunnel leads to the host: it, or this one, has no underlay address.
    NoTunnel,
    /// The frame has no complete header.
    Malformed,
}

impl DropReason {
    /// Every reason, in the order in which a frame can meet them.
    pub const ALL: [DropReason; 32] = [
        DropReason::PortDown,
        DropReason::PortBlocked,
        DropReason::UntaggedOnTrunk,
        DropReason::VlanNotAllowed,
        DropReason::VlanReserved,
        DropReason::CustomerVlanNotAllowed,
        DropReason::NotDesignated,
        DropReason::GroupSource,
        DropReason::AntiSpoof,
        DropReason::Tagged,
        DropReason::Reflected,
        DropReason::Pinned,
        DropReason::Frozen,
        DropReason::Sticky,
        DropReason::AddressLimit,
        DropReason::Reserved,
        DropReason::Bpdu,
        DropReason::Probe,
        DropReason::SamePort,
        DropReason::SameGroup,
        DropReason::NotMember,
        DropReason::NativeHop,
        DropReason::Isolated,
        DropReason::FloodOff,
        DropReason::NoMember,
        DropReason::NoTrunk,
        DropReason::UnknownHost,
        DropReason::OwnHost,
        DropReason::UnknownVni,
        DropReason::NoTransit,
        DropReason::NoTunnel,
        DropReason::Malformed,
    ];

    /// The stable text form, as in `drop-reason` labels.
    pub const fn name(self) -> &'static str {
        match self {
            DropReason::PortDown => "port-down",
            DropReason::PortBlocked => "port-blocked",
            DropReason::UntaggedOnTrunk => "untagged-on-trunk",
            DropReason::VlanNotAllowed => "vlan-not-allowed",
            DropReason::VlanReserved => "vlan-reserved",
            DropReason::CustomerVlanNotAllowed => "customer-vlan-not-allowed",
            DropReason::NotDesignated => "not-designated",
            DropReason::GroupSource => "group-source",
            DropReason::AntiSpoof => "anti-spoof",
            DropReason::Tagged => "tagged",
            DropReason::Reflected => "reflected",
            DropReason::Pinned => "pinned",
            DropReason::Frozen => "frozen",
            DropReason::Sticky => "sticky",
            DropReason::AddressLimit => "address-limit",
            DropReason::Reserved => "reserved",
            DropReason::Bpdu => "bpdu",
            DropReason::Probe => "probe",
            DropReason::SamePort => "same-port",
            DropReason::SameGroup => "same-group",
            DropReason::NotMember => "not-member",
            DropReason::NativeHop => "native-hop",
            DropReason::Isolated => "isolated",
            DropReason::FloodOff => "flood-off",
            DropReason::NoMember => "no-member",
            DropReason::NoTrunk => "no-trunk",
            DropReason::UnknownHost => "unknown-host",
            DropReason::OwnHost => "own-host",
            DropReason::UnknownVni => "unknown-vni",
            DropReason::NoTransit => "no-transit",
            DropReason::NoTunnel => "no-tunnel",
            DropReason::Malformed => "malformed",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

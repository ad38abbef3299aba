//! Flows: the kernel's cached verdicts.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use vlan::frame::Header;
use vlan::tag::Tag;
use vlan::time::Instant;
use vlan::verdict::Consulted;

use crate::port::VportNo;
use crate::tunnel::{GroupId, TunnelKey, TunnelTo};

/// A flow's identity, chosen by whoever puts it: unique within a datapath (openvswitch.h OVS_FLOW_ATTR_UFID, 128 bits).
// As pointers are aligned, not as u128 is: what holds one needs no padding, and allocators serve it without a detour.
#[repr(C, packed(8))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FlowId(pub u128);

impl fmt::LowerHex for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&{ self.0 }, f)
    }
}

/// What a flow matches before its mask is laid over it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FlowKey {
    /// The arrival vport.
    pub vport: VportNo,
    /// The fields that the forwarding plane reads.
    pub header: Header,
    /// How it came from another host, where the vport is the tunnel's. Sender and VNI always count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<TunnelKey>,
    /// Recirculation id, 0 for a frame from the wire.
    pub recirc: u32,
    /// The backend's own form of the whole key, as it came in an upcall or a dump; sent back verbatim, never read by others.
    pub opaque: Opaque,
}

/// Bytes that only the backend reads. They are never changed, and copies share them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Opaque(Arc<[u8]>);

impl Deref for Opaque {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<T: Into<Arc<[u8]>>> From<T> for Opaque {
    fn from(bytes: T) -> Opaque {
        Opaque(bytes.into())
    }
}

impl Serialize for Opaque {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self)
    }
}

impl<'de> Deserialize<'de> for Opaque {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Opaque, D::Error> {
        bytes::Bytes::deserialize(deserializer).map(|bytes| Opaque::from(&bytes[..]))
    }
}

/// One step that the datapath takes with a frame. An empty list drops it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Action {
    /// Send it, as it is now, out of a vport.
    Output(VportNo),
    /// Send it, as it is now, to another host.
    Tunnel(TunnelTo),
    /// Take the steps of a group with a copy; the frame itself stays as it is. Nothing is sent by a group that is not set.
    Group(GroupId),
    /// Put a tag on the front.
    PushTag(Tag),
    /// Take the first tag off.
    PopTag,
    /// Go on only within the meter's rate.
    Meter(MeterId),
    /// Take these steps with a copy; the frame itself stays as it is.
    Clone(Vec<Action>),
    /// Look how long the frame is, as it is now. What the steps do to it does not show behind them.
    IfFits {
        /// The most bytes behind its Ethernet header and its first tag, 1 to 65 521. Of a super-frame its segments are judged.
        mtu: u32,
        /// The steps for one that is no longer.
        fits: Vec<Action>,
        /// The steps for one that is longer.
        longer: Vec<Action>,
    },
}

impl Action {
    /// The lists of steps inside, each taken for some frames or with a copy.
    pub fn inner(&self) -> [&[Action]; 2] {
        match self {
            Action::Clone(steps) => [steps, &[]],
            Action::IfFits { fits, longer, .. } => [fits, longer],
            _ => [&[], &[]],
        }
    }
}

/// A flow to be put or withdrawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FlowChange {
    /// Put a flow; one with the same id or the same masked key is replaced in place, without a gap.
    Put {
        /// Its identity.
        id: FlowId,
        /// Its key.
        key: FlowKey,
        /// Which fields of the key count.
        mask: Consulted,
        /// What it does.
        actions: Vec<Action>,
    },
    /// Withdraw a flow; one that is not there is no error.
    Delete {
        /// Its identity.
        id: FlowId,
    },
}

/// As an error says what was asked.
impl fmt::Display for FlowChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FlowChange::Put { id, key, .. } => write!(f, "put flow {id:032x} on {}", key.vport),
            FlowChange::Delete { id } => write!(f, "delete flow {id:032x}"),
        }
    }
}

/// A flow as the datapath has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    /// Its identity.
    pub id: FlowId,
    /// Its key.
    pub key: FlowKey,
    /// Which fields of the key count; `None` if the mask is not one that this program makes.
    pub mask: Option<Consulted>,
    /// What it does; `None` if it has an action that this program does not make.
    pub actions: Option<Vec<Action>>,
    /// How often and when it was hit.
    pub stats: FlowStats,
}

/// How often and when a flow was hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FlowStats {
    /// Frames.
    pub packets: u64,
    /// Bytes, tags included, FCS not.
    pub bytes: u64,
    /// When last; `None` if never. openvswitch.ko reckons it anew at each reading, from a clock in milliseconds and an idle time in ticks
    /// (`net/openvswitch/flow.c`, `ovs_flow_used_time`): two readings of one hit may differ by a tick, up to 10 ms.
    pub used: Option<Instant>,
}

/// A meter of the datapath.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MeterId(pub u32);

/// A meter's rate. What exceeds it is dropped and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MeterRate {
    /// Packets per second, at least 1.
    pub packets_per_second: u32,
    /// Packets that may come at once, at least 1. A backend whose clock ticks in milliseconds takes what passes in one for it if
    /// that is more.
    pub burst: u32,
}

/// What passed a meter and what did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MeterStats {
    /// Frames that reached the meter.
    pub packets: u64,
    /// Frames that it dropped.
    pub dropped: u64,
}

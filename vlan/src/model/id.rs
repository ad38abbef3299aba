//! Identifiers of the compiled topology: dense, and valid within one [`super::topology::Topology`]. Whoever goes from one revision to
//! the next translates them by name.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::vid::Vid;

/// An exterior port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PortId(pub u32);

/// A bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BridgeId(pub u32);

/// A host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HostId(pub u32);

/// A connected physical network; with a segment it names a trunk group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FabricId(pub u32);

/// A segment: a VUB with all that is peered to it, or a VLAN of a VAB that is peered to nothing.
///
/// Where a VLAN of a VAB leads into another VAB, each next tag is a segment of its own. The tags that the inner VAB
/// knows have a segment number each; all others share the number of the outer VLAN and differ by `inner`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SegmentId {
    /// Number of the compiled segment.
    pub number: u32,
    /// The next tag's VID (1..=4095) where the compiled segment stands for many; 0 otherwise and where there is no next tag.
    pub inner: u16,
}

/// Where on a segment an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Location {
    /// Behind one port of a host; `vid` is the bridge VID by which it is a member (`None` on a VUB).
    Port {
        /// The port.
        port: PortId,
        /// The VLAN of the port's bridge.
        vid: Option<Vid>,
    },
    /// Behind the trunk group of a fabric, whichever trunk carries the VLAN now.
    Fabric {
        /// The fabric.
        fabric: FabricId,
        /// The VLAN of the fabric.
        vid: Vid,
    },
    /// Behind another host's port.
    Host(HostId),
}

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "port {}", self.0)
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.inner {
            0 => write!(f, "segment {}", self.number),
            inner => write!(f, "segment {}.{inner}", self.number),
        }
    }
}

//! Segments: what users call "the VLAN", compiled from bridges, VLANs and peerings.
//!
//! The peerings of a segment form a tree of *domains*: a VUB, a VLAN of a VAB, or a VLAN of an outer VAB together with the
//! next tag that the inner VAB reads. Each domain holds frames with a number of tags of its own: none in a VUB, the VID's in
//! a VAB, both in an outer VAB. Going from one domain to a neighbour pops the outermost tag or pushes one. So
//! a frame keeps as many tags on its way through the tree as the lowest domain has.

use std::fmt;
use std::str::FromStr;

use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::model::id::{BridgeId, PortId};
use crate::vid::Vid;

/// A compiled segment. Two cache lines, where it has few domains and members.
#[derive(Debug, Clone, PartialEq)]
#[repr(align(64))]
pub struct Segment {
    /// Its domains; the first is the root of the tree.
    pub domains: SmallVec<[Domain; 2]>,
    /// Its exterior ports in ascending order, each with the domain it is a member of.
    pub members: SmallVec<[Member; 6]>,
    /// VXLAN network identifier, 1..2^24-1 (RFC 7348 5): the VUB's own or one that was dealt out. 0: none, all ports are on one host.
    pub vni: u32,
}

/// A broadcast domain of one bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Domain {
    /// The bridge.
    pub bridge: BridgeId,
    /// The VLAN; `None` on a VUB.
    pub vid: Option<Vid>,
    /// The next tag's VLAN, where the VLAN leads into another VAB that knows it.
    pub inner: Option<Vid>,
    /// The domain one step nearer to the root; the root names itself.
    pub parent: u16,
    /// Steps to the root.
    pub depth: u16,
}

/// An exterior port as a member of a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// The port.
    pub port: PortId,
    /// Index of the domain.
    pub domain: u16,
}

/// What a segment is called: its VUB, else the VLAN that it is of the bridge that reads the fewest tags of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SegmentName {
    /// A bridge.
    pub bridge: String,
    /// Its VLAN; `None` on a VUB.
    pub vid: Option<Vid>,
    /// The next tag's VLAN, where that decides too.
    pub inner: Option<Vid>,
}

impl Domain {
    /// The tags that frames have here, the outermost first.
    pub fn stack(&self) -> ArrayVec<Vid, 2> {
        self.vid.into_iter().chain(self.inner).collect()
    }

    /// How many tags frames have here.
    pub fn height(&self) -> usize {
        usize::from(self.vid.is_some()) + usize::from(self.inner.is_some())
    }
}

impl Segment {
    /// How many of a frame's tags, the innermost ones, survive the way from one domain to another.
    pub fn kept_tags(&self, from: u16, to: u16) -> usize {
        let (mut a, mut b) = (from, to);
        let mut lowest = self.height(a).min(self.height(b));
        while a != b {
            let climbs = if self.domain(a).depth >= self.domain(b).depth { &mut a } else { &mut b };
            *climbs = self.domains[usize::from(*climbs)].parent;
            lowest = lowest.min(self.domains[usize::from(*climbs)].height());
        }
        lowest
    }

    /// The domains on the way from one to another, both ends included.
    pub fn path(&self, from: u16, to: u16) -> Vec<u16> {
        let (mut head, mut tail) = (vec![from], vec![to]);
        while let (Some(&a), Some(&b)) = (head.last(), tail.last()) {
            if a == b {
                tail.pop();
                break;
            }
            if self.domain(a).depth >= self.domain(b).depth {
                head.push(self.domain(a).parent);
            } else {
                tail.push(self.domain(b).parent);
            }
        }
        head.extend(tail.into_iter().rev());
        head
    }

    /// A port as a member, once for each domain that it is a member of.
    pub fn members_of(&self, port: PortId) -> &[Member] {
        let first = self.members.partition_point(|member| member.port < port);
        let behind = self.members.partition_point(|member| member.port <= port);
        &self.members[first..behind]
    }

    /// The domain with this index.
    pub fn domain(&self, index: u16) -> &Domain {
        &self.domains[usize::from(index)]
    }

    fn height(&self, index: u16) -> usize {
        self.domain(index).height()
    }
}

impl fmt::Display for SegmentName {
    /// `vub8`, `dc1.8` for a VLAN, `dc1.8.5` with the next tag; no bridge's name has a dot.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.bridge)?;
        [self.vid, self.inner].iter().flatten().try_for_each(|vid| write!(f, ".{vid}"))
    }
}

impl FromStr for SegmentName {
    type Err = String;

    fn from_str(text: &str) -> Result<SegmentName, String> {
        let mut parts = text.split('.');
        let bridge = parts.next().unwrap_or_default().to_owned();
        let mut vid = || match parts.next() {
            Some(part) => part.parse().ok().and_then(Vid::new).map(Some).ok_or_else(|| wrong(text)),
            None => Ok(None),
        };
        let name = SegmentName { bridge, vid: vid()?, inner: vid()? };
        if parts.next().is_some() || name.bridge.is_empty() { Err(wrong(text)) } else { Ok(name) }
    }
}

fn wrong(text: &str) -> String {
    format!("{text:?} is no segment's name, allowed are vub8, dc1.8 and dc1.8.5")
}

impl TryFrom<String> for SegmentName {
    type Error = String;

    fn try_from(text: String) -> Result<SegmentName, String> {
        text.parse()
    }
}

impl From<SegmentName> for String {
    fn from(name: SegmentName) -> String {
        name.to_string()
    }
}

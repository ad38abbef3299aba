//! The way out: where copies leave and with which tags.

use serde::{Deserialize, Serialize};
use vlan::frame::Header;
use vlan::tag::{Pcp, Tag, Tpid, is_tag_type};
use vlan::verdict::DropReason;
use vlan::vid::{Vid, VidSet};

use super::control::Discard;
use crate::port::VportNo;

/// One way into a segment. Arrivals may share one if every frame among them leaves in the same way by every exit: the same
/// domain, the same tags read and of the same VIDs, the same trunk group or none. The arrival vport may differ, since no frame leaves by
/// that. So a segment of 300 plain ports has one attachment, 300 routes and one flood list, not 300 of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttachmentId(pub u32);

/// The trunks of a fabric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupId(pub u32);

/// Where frames go that came in by an attachment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AttachmentRule {
    /// Where broadcast and multicast go: every member, those by which this attachment's frames come in included.
    pub flood: Vec<Exit>,
    /// Where unicast to an unknown address goes.
    pub unknown: Vec<Exit>,
    /// Where a control frame goes that was admitted.
    pub control: ControlFlood,
}

/// Where an admitted control frame goes; never learned from, never metered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ControlFlood {
    /// By these exits.
    To(Vec<Exit>),
    /// Nowhere. Only spanning tree frames (`Bpdu`, `Pvst`) are reported.
    Drop(Discard),
}

impl Default for ControlFlood {
    fn default() -> ControlFlood {
        ControlFlood::Drop(Discard { reason: DropReason::Reserved, is_reported: false })
    }
}

/// What becomes of unicast frames from an attachment to a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Route {
    /// They leave by the first of these whose guard lets them, and by those after it that have the same vport and let them.
    By(Vec<Exit>),
    /// They are dropped: `same-group`, `no-trunk`, `port-down`, `native-hop` and the like.
    Drop(DropReason),
}

/// A vport and how a frame's tags change on the way there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The vport.
    pub vport: VportNo,
    /// The trunk group that it is of, if it is of one: what leaves here may come back by another trunk.
    pub group: Option<GroupId>,
    /// How many tags come off the front, 0..=2.
    pub pop: u8,
    /// Tags put on then, the outermost first; at most 2.
    pub push: Vec<PushTag>,
    /// What the frame must be like.
    pub guard: Guard,
}

impl Exit {
    /// An exit by which frames leave as they came.
    pub fn unchanged(vport: VportNo) -> Exit {
        Exit { vport, group: None, pop: 0, push: Vec::new(), guard: Guard::Any }
    }

    /// The tags to be put on a frame that arrived with this header, the outermost first.
    pub fn tags(&self, header: &Header) -> Vec<Tag> {
        let is_still_tagged = is_tag_type(header.type_after(usize::from(self.pop)));
        let is_put = |push: &&PushTag| !(is_still_tagged && matches!(push, PushTag::Priority { .. }));
        self.push.iter().filter(is_put).filter_map(|push| push.tag(header)).collect()
    }
}

/// A tag to be put on, with DEI 0 unless the datapath keeps that of the tag it replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PushTag {
    /// A VLAN's.
    Vlan {
        /// Its TPID.
        tpid: Tpid,
        /// Its VID.
        vid: Vid,
        /// Its priority.
        pcp: PcpSource,
    },
    /// VID 0, and only if the priority is not 0 and no tag of TPID 0x8100, 0x88a8 or 0x9100 follows those that came off.
    Priority {
        /// Its TPID.
        tpid: Tpid,
        /// Its priority.
        pcp: PcpSource,
    },
}

impl PushTag {
    fn tag(self, header: &Header) -> Option<Tag> {
        match self {
            PushTag::Vlan { tpid, vid, pcp } => Some(Tag::new(tpid, vid, pcp.read(header))),
            PushTag::Priority { tpid, pcp } => {
                Some(pcp.read(header)).filter(|pcp| *pcp != Pcp::ZERO).map(|pcp| Tag::priority(tpid, pcp))
            }
        }
    }
}

/// Where a pushed tag's priority is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PcpSource {
    /// It is this.
    Fixed(Pcp),
    /// That of the arriving frame's tag at this depth (0 is the outermost); 0 if there is none.
    OfTag(u8),
}

impl PcpSource {
    /// Reads it.
    pub fn read(self, header: &Header) -> Pcp {
        match self {
            PcpSource::Fixed(pcp) => pcp,
            PcpSource::OfTag(depth) => header.tag(usize::from(depth)).map_or(Pcp::ZERO, Tag::pcp),
        }
    }
}

/// What a frame must be like to leave by an exit. Depths count the arriving frame's tags, 0 is the outermost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Guard {
    /// Anything.
    Any,
    /// Behind its first `depth` tags follows no tag of TPID 0x8100, 0x88a8 or 0x9100; else `native-hop`.
    NoTagAt(u8),
    /// The tag at `depth` is a customer's (0x8100) of one of these VLANs; else `customer-vlan-not-allowed`.
    CustomerTagAt {
        /// Which tag.
        depth: u8,
        /// The VLANs.
        vids: VidSet,
    },
    /// Nothing: it only tells where a destination is that frames of this attachment do not reach, and why.
    Closed(DropReason),
}

impl Guard {
    /// Whether a frame with this header may leave.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, header: &Header) -> Result<(), DropReason> {
        match self {
            Guard::Any => Ok(()),
            Guard::NoTagAt(depth) if is_tag_type(header.type_after(usize::from(*depth))) => {
                Err(DropReason::NativeHop)
            }
            Guard::NoTagAt(_) => Ok(()),
            Guard::CustomerTagAt { depth, vids } => {
                let tag = header.tag(usize::from(*depth)).filter(|tag| tag.tpid() == Tpid::Customer);
                let is_allowed = tag.and_then(Tag::vid).is_some_and(|vid| vids.contains(vid));
                if is_allowed { Ok(()) } else { Err(DropReason::CustomerVlanNotAllowed) }
            }
            Guard::Closed(reason) => Err(*reason),
        }
    }
}

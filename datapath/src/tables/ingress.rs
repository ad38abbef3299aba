//! The way in: what a port lets pass, and which VLAN a frame is in.

use serde::{Deserialize, Serialize};
use vlan::addr::MacAddr;
use vlan::frame::Header;
use vlan::model::id::SegmentId;
use vlan::tag::{Tag, Tpid};
use vlan::verdict::{DropReason, StormClass};

use super::address::{LearnId, PlaceId};
use super::control::{ControlClass, Discard};
use super::exit::{AttachmentId, Exit, GroupId};
use crate::flow::MeterId;

/// What holds for every frame that arrives at a vport.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRule {
    /// Whether it takes part.
    pub gate: PortGate,
    /// The only source addresses that may arrive, sorted; empty: any.
    pub macs: Vec<MacAddr>,
    /// Whether admitted frames that still have a tag behind those that were read are dropped.
    pub drops_tags: bool,
    /// What is done with control frames, at most one rule for each class. Without a rule a probe is dropped as `probe`,
    /// any other as `reserved`.
    pub controls: Vec<(ControlClass, ControlRule)>,
}

/// Whether a port takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PortGate {
    /// It does.
    Open,
    /// Every frame is dropped for this reason: `port-down` or `port-blocked`.
    Closed(DropReason),
}

/// What is done with a class of control frames, before any VLAN is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ControlRule {
    /// It is dropped.
    Drop(Discard),
    /// It leaves by these exits, whatever its tags.
    Pass(Vec<Exit>),
    /// It is admitted like data; where it leaves is in [`super::AttachmentRule::control`].
    Classify {
        /// What is done with one that is not admitted; `None`: what is done with data.
        unadmitted: Option<Discard>,
    },
}

impl PortRule {
    /// The rule for a class of control frames.
    pub fn control(&self, class: ControlClass) -> ControlRule {
        let rule = self.controls.iter().find(|(c, _)| *c == class).map(|(_, rule)| rule.clone());
        let reason = if class == ControlClass::Probe { DropReason::Probe } else { DropReason::Reserved };
        rule.unwrap_or(ControlRule::Drop(Discard { reason, is_reported: false }))
    }
}

/// How a frame begins, as a key of the admission table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Arrives {
    /// With no tag of TPID 0x8100 or 0x88a8.
    Untagged,
    /// With a tag of this TPID for which there is no entry by VID.
    AnyTag(Tpid),
    /// With this tag, whatever follows. VID 0 is the priority tag.
    Tag(WireTag),
    /// With these two tags, the outermost first.
    TwoTags(WireTag, WireTag),
}

/// A tag's TPID and VID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WireTag {
    /// Its TPID.
    pub tpid: Tpid,
    /// Its VID, 0..=4095.
    pub vid: u16,
}

impl From<Tag> for WireTag {
    fn from(tag: Tag) -> WireTag {
        WireTag { tpid: tag.tpid(), vid: tag.raw_vid() }
    }
}

impl Arrives {
    /// The keys that a frame has, the most specific first.
    pub fn keys(header: &Header) -> impl Iterator<Item = Arrives> {
        let (first, second) = (header.tag(0).map(WireTag::from), header.tag(1).map(WireTag::from));
        let both = first.zip(second).map(|(first, second)| Arrives::TwoTags(first, second));
        let bare = first.is_none().then_some(Arrives::Untagged);
        let any = first.map(|first| Arrives::AnyTag(first.tpid));
        both.into_iter().chain(first.map(Arrives::Tag)).chain(any).chain(bare)
    }

    /// Why a frame without an entry is dropped: `untagged-on-trunk` without a tag or with a priority tag, `vlan-reserved` with VID
    /// 4095, `vlan-not-allowed` otherwise.
    pub fn absent(header: &Header) -> DropReason {
        match header.tag(0) {
            None => DropReason::UntaggedOnTrunk,
            Some(tag) if tag.is_priority() => DropReason::UntaggedOnTrunk,
            Some(tag) if tag.vid().is_none() => DropReason::VlanReserved,
            Some(_) => DropReason::VlanNotAllowed,
        }
    }
}

/// What becomes of frames that arrive at a port in this way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Ingress {
    /// They are dropped.
    Drop(DropReason),
    /// They are in a VLAN.
    Admit(Admission),
}

/// The VLAN that a frame is in, and by which way it came there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Admission {
    /// The segment in which addresses are looked up.
    pub segment: SegmentId,
    /// A tag whose VID goes into `segment.inner` (a VLAN of an outer VAB where one entry stands for many next tags).
    pub inner: Option<InnerKey>,
    /// How many tags at the front say which VLAN it is in, 0..=2: what is behind them is the same on every port.
    pub tags_read: u8,
    /// The way in.
    pub attachment: AttachmentId,
    /// Where its source address is.
    pub place: PlaceId,
    /// How that is learned.
    pub learn: LearnId,
    /// The trunk group by which it came in; `None` if by another port.
    pub group: Option<GroupId>,
    /// Data is dropped for this reason, unlearned; `None`: it is not.
    pub closed: Option<DropReason>,
    /// The storm meters.
    pub storm: StormMeters,
}

impl Admission {
    /// The segment of a frame: with the VID of the inner tag, where that is asked for and there.
    pub fn segment_of(&self, header: &Header) -> SegmentId {
        let Some(key) = self.inner else { return self.segment };
        let tag = header.tag(usize::from(key.depth)).filter(|tag| tag.tpid() == key.tpid);
        SegmentId { inner: tag.map_or(0, Tag::raw_vid), ..self.segment }
    }
}

/// A tag of the arriving frame by which one segment's addresses are kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InnerKey {
    /// Which tag, 0 is the outermost.
    pub depth: u8,
    /// Its TPID; one of another does not count.
    pub tpid: Tpid,
}

/// The meters that flooded frames pass; `None`: no limit. Several admissions may share a meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct StormMeters {
    /// For broadcast.
    pub broadcast: Option<StormMeter>,
    /// For multicast.
    pub multicast: Option<StormMeter>,
    /// For unknown unicast.
    pub unknown: Option<StormMeter>,
}

/// The meters of one class. What the first does not let pass is not taken from the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StormMeter {
    /// The VLAN's at its port.
    pub vlan: MeterId,
    /// The port's, of all VLANs together.
    pub port: MeterId,
}

impl StormMeters {
    /// The meters of a class.
    pub fn of(&self, class: StormClass) -> Option<StormMeter> {
        match class {
            StormClass::Broadcast => self.broadcast,
            StormClass::Multicast => self.multicast,
            StormClass::Unknown => self.unknown,
        }
    }
}

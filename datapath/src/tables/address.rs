//! Where addresses are, and what the datapath tells of them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use vlan::addr::MacAddr;
use vlan::model::description::OnLimit;
use vlan::model::id::SegmentId;
use vlan::time::Instant;
use vlan::verdict::DropReason;

use super::control::ControlClass;
use crate::port::VportNo;

/// Where an address can be: a port as a member of a segment, a trunk group, another host. Addresses name the place and not the vport, so
/// that a trunk group moves to another trunk by its routes alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PlaceId(pub u32);

/// The number of a batch of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Generation(pub u64);

/// A rule of learning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LearnId(pub u32);

/// What several rules have a limit together by (the trunks of one fabric).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LimitId(pub u32);

/// How addresses are learned that arrive in one way. It is not the place's: two trunks of a group may age their addresses differently,
/// and an address has the rule that it was last heard by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearnRule {
    /// Time after which an address that was not heard is forgotten, to the second ([`vlan::fdb::lifetime`]); zero is never.
    pub ageing: Duration,
    /// What the limit counts by.
    pub limited_by: LimitId,
    /// Most addresses that count by any rule with the same `limited_by` ([`AddressKind::counts_by`]); with 0 none is learned, and none
    /// is evicted for it. The writer's own entries may be more.
    pub limit: u32,
    /// What happens to one too many.
    pub on_limit: OnLimit,
    /// Whether what is learned by it stays where it was learned ([`DropReason::Pinned`]), and none is learned by it that is known
    /// elsewhere ([`DropReason::Sticky`]).
    pub pins: bool,
}

/// An entry of the address table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Where it is.
    pub place: PlaceId,
    /// Whose it is.
    pub kind: AddressKind,
    /// The last batch before it came or moved.
    pub generation: Generation,
    /// When it was last heard; `None`: never.
    pub used: Option<Instant>,
}

/// Who may change an entry of the address table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AddressKind {
    /// The datapath too; it has this rule. One that the writer puts without `used` counts as heard when it was put.
    Dynamic(LearnId),
    /// The writer alone: the datapath neither moves nor evicts it, and it does not age.
    Held {
        /// Why a frame from elsewhere with this source is dropped (`pinned`, `frozen`), and reported.
        reason: DropReason,
        /// The rule under whose limit it takes room, as a learned address that may not move for a while does; `None`: it takes none.
        counts_by: Option<LearnId>,
    },
}

impl AddressKind {
    /// The rule under whose limit the address takes room, if it takes any.
    pub fn counts_by(self) -> Option<LearnId> {
        match self {
            AddressKind::Dynamic(learn) => Some(learn),
            AddressKind::Held { counts_by, .. } => counts_by,
        }
    }
}

/// Something the datapath tells, and the last batch before it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableReport {
    /// The batch.
    pub generation: Generation,
    /// What.
    pub event: TableEvent,
}

/// Something the datapath tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TableEvent {
    /// An address that was not known.
    Learned {
        /// Its segment.
        segment: SegmentId,
        /// The address.
        mac: MacAddr,
        /// Where it is.
        place: PlaceId,
        /// By which rule.
        learn: LearnId,
    },
    /// An address that was elsewhere.
    Moved {
        /// Its segment.
        segment: SegmentId,
        /// The address.
        mac: MacAddr,
        /// Where it was.
        from: PlaceId,
        /// Where it is.
        to: PlaceId,
        /// By which rule.
        learn: LearnId,
    },
    /// A dynamic address is gone.
    Forgotten {
        /// Its segment.
        segment: SegmentId,
        /// The address.
        mac: MacAddr,
        /// Where it was.
        place: PlaceId,
        /// Why.
        cause: ForgetCause,
    },
    /// An address that was not learned: it is held elsewhere, or there are as many as there may be.
    Refused {
        /// Its segment.
        segment: SegmentId,
        /// The address.
        mac: MacAddr,
        /// Where it was seen.
        place: PlaceId,
        /// By which rule it would have been learned.
        learn: LearnId,
        /// Why: the held entry's reason, or `address-limit`. A frame over the limit is dropped only where the rule says so.
        reason: DropReason,
    },
    /// A control frame whose rule asks for a report.
    Control {
        /// Where it arrived.
        vport: VportNo,
        /// Its class.
        class: ControlClass,
    },
}

/// Why a dynamic address went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ForgetCause {
    /// It was not heard for its rule's ageing time.
    Aged,
    /// Another address came where there were as many as there may be.
    Evicted,
    /// It was heard elsewhere and not learned there, for there were as many as there may be: it is known nowhere now.
    Left,
}

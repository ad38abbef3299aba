//! What is known of an address.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::addr::MacAddr;
use crate::model::id::{Location, SegmentId};
use crate::time::Instant;

/// An address and what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The segment it is on.
    pub segment: SegmentId,
    /// The address.
    pub mac: MacAddr,
    /// Where it is.
    pub location: Location,
    /// How we know.
    pub kind: Kind,
    /// Whether no port of this host has heard it there: a frame of another host said so.
    pub is_hint: bool,
    /// When it was first known to be there; [`Instant::ZERO`] if declared before it was heard.
    pub learned: Instant,
    /// When it was last heard; [`Instant::ZERO`] if never.
    pub used: Instant,
    /// Time from `used` until it is forgotten; zero is never.
    pub ageing: Duration,
    /// Moves from one slot or host to another (RFC 7432 7.7).
    pub mobility: u64,
    /// Differs after each change of `location` or `kind`; no two addresses share one until 2^32 changes have passed.
    pub generation: u32,
    /// Until when it may not move after too many moves.
    pub frozen_until: Option<Instant>,
}

/// How an address is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Learned from frames: it ages, moves and counts towards a limit.
    Dynamic,
    /// Declared by the operator: it does none of these.
    Declared,
    /// Another host says it has it: it moves, and stays until that host takes it back.
    Remote,
}

/// An address that is known no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Gone {
    /// The segment it was on.
    pub segment: SegmentId,
    /// The address.
    pub mac: MacAddr,
    /// Where it was.
    pub location: Location,
}

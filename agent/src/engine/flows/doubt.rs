//! Which frames wait, and for what: named by who asks and by who hears the answer.

use datapath::flow::FlowId;
use smallvec::SmallVec;
use vlan::fdb::reflect::Echo;

use super::upcall::Came;

/// A frame that waits for what flows say.
#[derive(Debug)]
pub(in crate::engine) struct Doubt {
    pub(in crate::engine) echo: Echo,
    pub(in crate::engine) came: Came,
    /// Those that may have sent it.
    pub(in crate::engine) flows: SmallVec<[FlowId; 2]>,
}

/// Flows that are asked for one frame: the last ones put of those that may have sent it. They differ in priorities and inner tags.
pub(super) const MOST_ASKED: usize = 16;

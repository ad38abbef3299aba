//! Which frames wait, and for what: named by who asks and by who hears the answer.

use datapath::flow::{FlowId, FlowKey};
use smallvec::SmallVec;
use vlan::fdb::reflect::Echo;

/// A frame that waits for what flows say.
#[derive(Debug)]
pub(super) struct Doubt {
    pub(super) echo: Echo,
    pub(super) key: FlowKey,
    pub(super) frame: Vec<u8>,
    /// Those that may have sent it.
    pub(super) flows: SmallVec<[FlowId; 2]>,
}

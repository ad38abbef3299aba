//! Which frames wait, and for what: named by who asks and by who hears the answer.

use datapath::flow::FlowKey;
use vlan::model::id::HostId;
use vlan::policy::Special;

use super::book::alike::Suspects;
use super::book::eras::Dated;
use crate::hello::question::Question;

/// A frame that came up.
#[derive(Debug)]
pub(in crate::engine) struct Came {
    pub(in crate::engine) key: FlowKey,
    pub(in crate::engine) frame: Vec<u8>,
    pub(in crate::engine) hash: Option<u64>,
}

/// A frame that waits for what flows say, or another host.
#[derive(Debug)]
pub(in crate::engine) struct Doubt {
    pub(in crate::engine) echo: Dated,
    pub(in crate::engine) whose: Whose,
    /// The flows that may have sent it.
    pub(in crate::engine) suspects: Suspects,
}

/// Who waits for what flows say.
#[derive(Debug)]
pub(in crate::engine) enum Whose {
    /// A frame that came up here.
    Frame(Came),
    /// A host that has asked.
    Host(HostId, Question),
}

/// Most frames and questions that wait for flows at once; and as many frames wait for other hosts.
pub(super) const MOST_WAITING: usize = 1_024;
/// Only a frame that teaches where its source is can be in doubt: no special one does.
pub(super) const ORDINARY: Option<Special> = None;

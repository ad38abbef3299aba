//! What is still to be looked at, attached and released. Sets in order, so that the same events lead to the same steps.

use std::collections::{BTreeMap, BTreeSet};

use datapath::port::{Vport, VportNo};
use vlan::model::id::PortId;

/// What is to be done.
#[derive(Debug, Default)]
pub(in crate::engine) struct Work {
    /// Ports whose link or vport changed.
    pub(super) dirty: BTreeSet<PortId>,
    /// Vports whose link changed.
    pub(super) loose: BTreeSet<VportNo>,
    /// Ports whose link is to become a vport.
    pub(super) arriving: BTreeSet<PortId>,
    /// Vports that are to be released.
    pub(super) leaving: BTreeMap<VportNo, Vport>,
}

impl Work {
    /// Whether nothing waits to be looked at.
    pub(in crate::engine) fn is_clean(&self) -> bool {
        self.dirty.is_empty() && self.loose.is_empty()
    }

    /// Whether there is nothing to be looked at, attached or released.
    pub(super) fn is_done(&self) -> bool {
        self.is_clean() && self.arriving.is_empty() && self.leaving.is_empty()
    }

    /// The next port to be looked at.
    pub(in crate::engine) fn next_dirty(&mut self) -> Option<PortId> {
        self.dirty.pop_first()
    }

    /// The next port whose link is to become a vport.
    pub(in crate::engine) fn next_arriving(&mut self) -> Option<PortId> {
        self.arriving.pop_first()
    }
}

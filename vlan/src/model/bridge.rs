//! Bridges of the compiled topology.

use std::time::Duration;

use crate::model::description::Redundancy;
use crate::model::id::{BridgeId, FabricId};
use crate::tag::Tpid;

/// A bridge.
#[derive(Debug, Clone, PartialEq)]
pub struct Bridge {
    /// Its identifier.
    pub id: BridgeId,
    /// Its name.
    pub name: String,
    /// Time until an address not heard from is forgotten; zero is never.
    pub ageing: Duration,
    /// Most dynamic addresses behind its trunks.
    pub mac_limit: u32,
    /// What only one of the two kinds has.
    pub kind: Awareness,
    /// Whether one of its ports is a qinq port.
    pub has_qinq: bool,
}

/// VLAN-aware or not.
#[derive(Debug, Clone, PartialEq)]
pub enum Awareness {
    /// One broadcast domain a VLAN.
    Aware {
        /// The fabric that its trunks belong to.
        fabric: FabricId,
        /// How several trunks live together.
        redundancy: Redundancy,
        /// The tag its trunks speak.
        tpid: Tpid,
    },
    /// One broadcast domain.
    Unaware,
}

impl Bridge {
    /// The tag that its ports classify by; a VUB removes only customer priority tags.
    pub fn tpid(&self) -> Tpid {
        match self.kind {
            Awareness::Aware { tpid, .. } => tpid,
            Awareness::Unaware => Tpid::Customer,
        }
    }

    /// How several trunks live together; `None` on a VUB, which has no trunks.
    pub fn redundancy(&self) -> Option<Redundancy> {
        match self.kind {
            Awareness::Aware { redundancy, .. } => Some(redundancy),
            Awareness::Unaware => None,
        }
    }
}

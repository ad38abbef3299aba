//! VNIs of a segment besides its own, by which a host that gets a frame from another knows where it must not go (behaviour.md 7): what
//! came in by a trunk group goes to no trunk of that group, what came in by an isolated port to no isolated port.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::topology::Topology;

/// VNIs of a segment besides its own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Further {
    /// Of what came in by a trunk group, by the group's fabric.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fabrics: BTreeMap<String, u32>,
    /// Of what came in by an isolated port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolated: Option<u32>,
}

impl Further {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.fabrics.is_empty() && self.isolated.is_none()
    }

    /// All of them.
    pub fn vnis(&self) -> impl Iterator<Item = u32> + '_ {
        self.fabrics.values().copied().chain(self.isolated)
    }

    /// Those that a segment has next: what it had stays as long as there is what it was for, and `deal` gives the others.
    pub(super) fn next(
        &self,
        (topology, number): (&Topology, u32),
        mut deal: impl FnMut() -> Option<u32>,
    ) -> Option<Further> {
        let mut next = Further::default();
        let is_wide = topology.is_on_several_hosts(number);
        for fabric in fabrics(topology, number) {
            let vni = match self.fabrics.get(fabric) {
                None if !is_wide => continue,
                None => deal()?,
                Some(had) => *had,
            };
            next.fabrics.insert(fabric.to_owned(), vni);
        }
        let members = &topology.segment(number).members;
        if members.iter().any(|member| topology.port(member.port).isolated) {
            next.isolated = match self.isolated {
                None if is_wide => Some(deal()?),
                had => had,
            };
        }
        Some(next)
    }
}

/// The fabrics into which trunk groups of a segment lead.
fn fabrics(topology: &Topology, number: u32) -> BTreeSet<&str> {
    let members = topology.segment(number).trunk_members(topology).iter();
    let groups = members.filter_map(|member| topology.port(member.port).group);
    groups.map(|fabric| topology.fabric_name(fabric)).collect()
}

//! What is looked for in a compiled topology, found without looking at everything: objects by name, trunks by bridge.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::model::description::Description;
use crate::model::id::{BridgeId, FabricId, HostId, PortId};
use crate::model::port::Port;

/// The index of a topology.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Index {
    bridges: ByName,
    /// Bridges by the name that they had before.
    renamed: BTreeMap<String, BridgeId>,
    /// And those names by bridge.
    before: BTreeMap<BridgeId, String>,
    hosts: ByName,
    fabrics: ByName,
    ports: ByName,
    /// Of each bridge, in the order of the description.
    trunks: Vec<Vec<PortId>>,
}

impl Index {
    pub(super) fn new(description: &Description, fabrics: &[String], ports: &[Port]) -> Index {
        let mut trunks = vec![Vec::new(); description.bridges.len()];
        for port in ports.iter().filter(|port| port.is_trunk) {
            trunks[port.bridge.0 as usize].push(port.id);
        }
        let bridges = description.bridges.iter().zip((0..).map(BridgeId));
        let before: BTreeMap<BridgeId, String> =
            bridges.filter_map(|(bridge, id)| Some((id, bridge.renamed_from.clone()?))).collect();
        Index {
            renamed: before.iter().map(|(id, name)| (name.clone(), *id)).collect(),
            before,
            bridges: ByName::new(description.bridges.iter().map(|bridge| bridge.name.as_str())),
            hosts: ByName::new(description.hosts.iter().map(|host| host.name.as_str())),
            fabrics: ByName::new(fabrics.iter().map(String::as_str)),
            ports: ByName::new(ports.iter().map(|port| port.name.as_str())),
            trunks,
        }
    }

    pub(super) fn bridge(&self, name: &str) -> Option<BridgeId> {
        self.bridges.find(name).map(BridgeId)
    }

    pub(super) fn bridge_once(&self, name: &str) -> Option<BridgeId> {
        self.renamed.get(name).copied()
    }

    pub(super) fn name_before(&self, bridge: BridgeId) -> Option<&str> {
        self.before.get(&bridge).map(String::as_str)
    }

    pub(super) fn host(&self, name: &str) -> Option<HostId> {
        self.hosts.find(name).map(HostId)
    }

    pub(super) fn fabric(&self, name: &str) -> Option<FabricId> {
        self.fabrics.find(name).map(FabricId)
    }

    pub(super) fn port(&self, name: &str) -> Option<PortId> {
        self.ports.find(name).map(PortId)
    }

    pub(super) fn trunks(&self, bridge: BridgeId) -> &[PortId] {
        self.trunks.get(bridge.0 as usize).map_or(&[][..], Vec::as_slice)
    }
}

/// The numbers of a list's objects by their names. Hashed: a search through ten thousand sorted names visits memory for each comparison.
#[derive(Debug, Clone, PartialEq, Default)]
struct ByName(FxHashMap<Box<str>, u32>);

impl ByName {
    fn new<'a>(names: impl Iterator<Item = &'a str>) -> ByName {
        ByName(names.map(Box::from).zip(0..).collect())
    }

    fn find(&self, name: &str) -> Option<u32> {
        self.0.get(name).copied()
    }
}

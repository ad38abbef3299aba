//! How frames of a segment go from host to host: by which VNIs, which hosts have a part in it, and whose an underlay address is.

use std::net::IpAddr;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::model::id::{FabricId, HostId};

/// By what kind of port a frame came into its segment, as far as the host that receives a copy has to know (behaviour.md 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// By one that nothing is to be known of.
    Plain,
    /// By a trunk of this fabric: it goes to no trunk of it.
    Group(FabricId),
    /// By an isolated port: it goes to no isolated port.
    Isolated,
}

/// The numbers and hosts of the segments that have ports on several hosts.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Vnis {
    /// By segment and origin.
    pub(super) of: FxHashMap<(u32, Origin), u32>,
    /// The other way.
    pub(super) by_vni: FxHashMap<u32, (u32, Origin)>,
    /// The hosts that have ports on a segment, by identifier.
    pub(super) hosts: FxHashMap<u32, Box<[HostId]>>,
    pub(super) by_underlay: FxHashMap<IpAddr, HostId>,
    /// The numbers of hosts, by identifier; 0 where none was dealt out.
    pub(super) host_numbers: Vec<u32>,
    /// The other way.
    pub(super) by_number: FxHashMap<u32, HostId>,
}

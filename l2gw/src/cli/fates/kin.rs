//! Which ports let frames in alike.

use vlan::model::id::{BridgeId, HostId};
use vlan::model::port::{Mode, Port};
use vlan::model::topology::Topology;
use vlan::tag::{Pcp, Tpid};
use vlan::vid::Vid;

/// All of a port that may show in what becomes of a broadcast frame that it lets in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Kin {
    bridge: BridgeId,
    host: HostId,
    tpid: Tpid,
    vlan: Way,
    isolated: bool,
    drops_tags: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Way {
    Plain,
    Access(Vid),
    Qinq(Vid, Option<String>, Option<Pcp>),
}

impl Kin {
    /// `None` of a port that is like no other: a trunk, and a qinq port whose customers' tags choose the segment.
    pub(super) fn of(topology: &Topology, port: &Port) -> Option<Kin> {
        // Whoever adds a setting decides here whether two ports that differ in it let frames in alike.
        let Port {
            bridge,
            host,
            mode,
            tpid,
            id: _,
            mac_limit: _,
            group: _,
            ageing: _,
            is_trunk: _,
            checks_sources: _,
            on_limit: _,
            priority_tags: _,
            bpdu: _,
            isolated,
            drops_tags,
            // It hangs on addresses, not on the way in.
            is_sticky: _,
            // It shows where frames leave.
            takes_unknown: _,
            macs: _,
            shared_macs: _,
            storm: _,
            mtu: _,
            name: _,
            link: _,
            host_addresses: _,
        } = port;
        let vlan = match mode {
            Mode::Plain => Way::Plain,
            Mode::Access { vid } => Way::Access(*vid),
            Mode::Qinq { vid, customer_vlans, pcp } if topology.inner_bridge(*bridge, *vid).is_none() => {
                Way::Qinq(*vid, customer_vlans.as_ref().map(ToString::to_string), *pcp)
            }
            Mode::Qinq { .. } | Mode::Trunk(_) => return None,
        };
        let (isolated, drops_tags) = (*isolated, *drops_tags);
        Some(Kin { bridge: *bridge, host: *host, tpid: *tpid, vlan, isolated, drops_tags })
    }
}

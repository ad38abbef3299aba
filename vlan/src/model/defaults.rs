//! What holds where an operator declares nothing.

use std::time::Duration;

use crate::model::description::{HostKind, Storm, TagPolicy};

/// Default ageing time (802.1Q table 8-6).
pub const DEFAULT_AGEING: Duration = Duration::from_secs(300);
/// Default of [`Bridge::mac_limit`](super::description::Bridge::mac_limit).
pub const DEFAULT_BRIDGE_MAC_LIMIT: u32 = 1_000_000;
/// Default of [`Port::mac_limit`](super::description::Port::mac_limit) on a port that is no trunk.
pub const DEFAULT_PORT_MAC_LIMIT: u32 = 1_024;
/// Default of a VLAN-aware bridge's fabric.
pub const DEFAULT_FABRIC: &str = "fabric";
/// Default storm control of a trunk, packets per second a VLAN and class.
pub const DEFAULT_TRUNK_STORM: u32 = 20_000;

/// Default limit of broadcasts from a port that is no trunk, packets per second a VLAN: no machine has need of so many, and a loop at
/// the port makes many more. Multicast may be the port's business, and unknown unicast a sign of somebody else's silence: neither has a
/// limit there unless it is declared.
pub const DEFAULT_PORT_BROADCAST: u32 = 2_000;

/// What becomes of tagged frames on a port of a VUB for which nothing is declared: a VTEP may discard them, or take the tag for a VLAN of
/// its own (RFC 7348 6.1).
pub const fn default_tags(at: HostKind) -> TagPolicy {
    match at {
        HostKind::L2gw => TagPolicy::Pass,
        HostKind::Vtep => TagPolicy::Drop,
    }
}

/// Storm control of a port for which none is declared; of a class that is not named where others are, its part.
pub fn default_storm(is_trunk: bool) -> Storm {
    match is_trunk {
        true => Storm {
            broadcast: DEFAULT_TRUNK_STORM,
            multicast: DEFAULT_TRUNK_STORM,
            unknown: DEFAULT_TRUNK_STORM,
        },
        false => Storm { broadcast: DEFAULT_PORT_BROADCAST, multicast: 0, unknown: 0 },
    }
}

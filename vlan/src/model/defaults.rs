//! What holds where an operator declares nothing.

use std::time::Duration;

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

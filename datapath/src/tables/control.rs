//! Control frames: which classes there are, and how those of a class are dropped.

use serde::{Deserialize, Serialize};
use vlan::frame::Header;
use vlan::policy::{self, Special};
use vlan::verdict::DropReason;

/// The classes of control frames (802.1Q table 8-1; behaviour.md 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ControlClass {
    /// Spanning tree: 01:80:c2:00:00:00.
    Bpdu,
    /// Per-VLAN spanning tree: 01:00:0c:cc:cc:cd.
    Pvst,
    /// 802.1X: 01:80:c2:00:00:03.
    PortAccess,
    /// Provider bridge protocols: 01:80:c2:00:00:0b to 0d, and 0f.
    ProviderBridge,
    /// LLDP: 01:80:c2:00:00:0e with EtherType 0x88cc.
    Lldp,
    /// PAUSE, LACP, PTP peer delay, CDP, ERPS and the rest that no bridge passes on.
    Local,
    /// Our own probes: EtherType 0x88b5 behind at most two tags, to any address.
    Probe,
}

impl ControlClass {
    /// The class of a frame; `None` for data. A probe is a probe whatever its destination.
    pub fn of(header: &Header) -> Option<ControlClass> {
        Some(match policy::special(header)? {
            Special::Probe => ControlClass::Probe,
            Special::Control(class) => ControlClass::from(class),
        })
    }
}

impl From<policy::Class> for ControlClass {
    fn from(class: policy::Class) -> ControlClass {
        match class {
            policy::Class::Bpdu => ControlClass::Bpdu,
            policy::Class::Pvst => ControlClass::Pvst,
            policy::Class::PortAccess => ControlClass::PortAccess,
            policy::Class::ProviderBridge => ControlClass::ProviderBridge,
            policy::Class::Lldp => ControlClass::Lldp,
            policy::Class::Local => ControlClass::Local,
        }
    }
}

/// How control frames are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Discard {
    /// Why.
    pub reason: DropReason,
    /// Whether each such frame is reported ([`super::TableEvent::Control`]).
    pub is_reported: bool,
}

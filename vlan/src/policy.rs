//! Reserved addresses and control protocols (802.1Q table 8-1 and 8.6.3, behaviour.md 6). The class is decided before the
//! VLAN is, at any outer tag.

use crate::addr::MacAddr;
use crate::frame::Header;
use crate::model::description::{BpduPolicy, Redundancy};
use crate::model::port::{Mode, Port};

/// A class of control frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Spanning tree of any kind: 01:80:c2:00:00:00.
    Bpdu,
    /// Cisco's per-VLAN spanning tree: 01:00:0c:cc:cc:cd.
    Pvst,
    /// 802.1X: 01:80:c2:00:00:03.
    PortAccess,
    /// Provider bridge protocols: 01:80:c2:00:00:0b to 0d, and 0f.
    ProviderBridge,
    /// LLDP: 01:80:c2:00:00:0e with EtherType 0x88cc.
    Lldp,
    /// Everything else that is never passed on: PAUSE, LACP, PTP peer delay, CDP, ERPS.
    Local,
}

/// What a port does with a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handling {
    /// It is dropped.
    Discard,
    /// It is dropped, and the port blocked.
    Block,
    /// It passes between the trunks of the bridge or within the port's outer VLAN, unlearned.
    Tunnel,
}

/// What a frame is that is not forwarded like any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    /// One of our probes.
    Probe,
    /// A control frame of this class.
    Control(Class),
}

/// What a frame is, if it is not to be forwarded like any other.
pub fn special(header: &Header) -> Option<Special> {
    if header.ether_type == PROBE_TYPE {
        return Some(Special::Probe);
    }
    class(header).map(Special::Control)
}

fn class(header: &Header) -> Option<Class> {
    match header.dst.0 {
        [0x01, 0x80, 0xc2, 0x00, 0x00, last] if last <= 0x0f => Some(reserved_class(last, header.ether_type)),
        [0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcd] => Some(Class::Pvst),
        [0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcc | 0xc0..=0xcb | 0xce..=0xcf] => Some(Class::Local),
        [0x01, 0x19, 0xa7, ..] => Some(Class::Local),
        _ => None,
    }
}

fn reserved_class(last: u8, ether_type: u16) -> Class {
    match last {
        0x00 => Class::Bpdu,
        0x03 => Class::PortAccess,
        0x0b..=0x0d | 0x0f => Class::ProviderBridge,
        0x0e if ether_type == LLDP_TYPE => Class::Lldp,
        _ => Class::Local,
    }
}

/// What `port` of a bridge with this redundancy does with a class.
pub fn handling(class: Class, port: &Port, redundancy: Option<Redundancy>) -> Handling {
    if port.is_trunk {
        return trunk_handling(class, redundancy);
    }
    match (&port.mode, class) {
        (_, Class::Local | Class::Lldp) => Handling::Discard,
        (Mode::Qinq { .. }, Class::Bpdu | Class::Pvst) if port.bpdu == BpduPolicy::Discard => {
            Handling::Discard
        }
        (Mode::Qinq { .. }, _) => Handling::Tunnel,
        (_, Class::Bpdu | Class::Pvst) if port.bpdu == BpduPolicy::Block => Handling::Block,
        _ => Handling::Discard,
    }
}

fn trunk_handling(class: Class, redundancy: Option<Redundancy>) -> Handling {
    match class {
        Class::Bpdu | Class::Pvst if redundancy == Some(Redundancy::Stp) => Handling::Tunnel,
        _ => Handling::Discard,
    }
}

/// Whether qinq ports pass the class on within their outer VLAN.
pub fn is_tunnelled_by_qinq(class: Class) -> bool {
    !matches!(class, Class::Local | Class::Lldp)
}

/// What a control frame is called in a trace.
pub fn name(class: Class) -> &'static str {
    match class {
        Class::Bpdu => "a spanning tree BPDU",
        Class::Pvst => "a PVST+ BPDU",
        Class::PortAccess => "an 802.1X frame",
        Class::ProviderBridge => "a provider bridge protocol frame",
        Class::Lldp => "an LLDP frame",
        Class::Local => "a link-local control frame",
    }
}

/// The multicast address of probes, from the locally administered range.
pub const PROBE_ADDRESS: MacAddr = MacAddr([0x03, 0x6c, 0x32, 0x67, 0x77, 0x01]);
/// EtherType of probes: for local experiments (IEEE 802 9.2.4).
pub const PROBE_TYPE: u16 = 0x88b5;
/// EtherType of LLDP (802.1AB 8.3).
const LLDP_TYPE: u16 = 0x88cc;

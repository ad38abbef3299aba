//! The table of behaviour.md 6: what is done with a frame to a reserved address, by the kind of port it came in by.

use vlan::model::description::{BpduPolicy, Mode, Port};

/// What is done with a frame to a reserved address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// It is dropped.
    Discard,
    /// It is dropped, and the port is blocked.
    Block,
    /// It is passed on as it is by the trunks of the bridge.
    TunnelAmongTrunks,
    /// It is passed on unlearned within the outer VLAN of a qinq port; on a trunk it may be of no such VLAN, and is discarded.
    TunnelIfCustomers,
}

/// `None` for an address that is bridged like any other. A port that carries several VLANs but is none of the trunks is a station's.
pub fn treatment(dst: [u8; 6], port: &Port, trunk: Trunk) -> Option<Treatment> {
    let is_qinq = matches!(port.mode, Mode::Qinq { .. });
    Some(match (class(dst)?, trunk) {
        (Class::Bpdu, Trunk::OfStp) => Treatment::TunnelAmongTrunks,
        (Class::Bpdu | Class::Tunnelled, Trunk::Other) => Treatment::TunnelIfCustomers,
        (Class::Tunnelled, Trunk::OfStp) => Treatment::TunnelIfCustomers,
        (Class::Bpdu, Trunk::Not) if is_qinq && port.bpdu == BpduPolicy::Discard => Treatment::Discard,
        (Class::Bpdu | Class::Tunnelled, Trunk::Not) if is_qinq => Treatment::TunnelIfCustomers,
        (Class::Bpdu, Trunk::Not) if port.bpdu == BpduPolicy::Block => Treatment::Block,
        _ => Treatment::Discard,
    })
}

/// Which of the table's columns a port is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trunk {
    /// VM, access or qinq.
    Not,
    /// A trunk whose switches run spanning tree through us.
    OfStp,
    /// Any other trunk.
    Other,
}

enum Class {
    /// STP and PVST+.
    Bpdu,
    /// 802.1X and provider bridges: the customer's own.
    Tunnelled,
    /// All others.
    Discarded,
}

fn class(dst: [u8; 6]) -> Option<Class> {
    Some(match dst {
        [0x01, 0x80, 0xc2, 0, 0, 0x00] | [0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcd] => Class::Bpdu,
        [0x01, 0x80, 0xc2, 0, 0, 0x03 | 0x0b..=0x0d | 0x0f] => Class::Tunnelled,
        [0x01, 0x80, 0xc2, 0, 0, 0x01..=0x0f] => Class::Discarded,
        [0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xc0..=0xcf] | [0x01, 0x19, 0xa7, ..] => Class::Discarded,
        _ => return None,
    })
}

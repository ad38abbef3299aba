//! What has become of a port: which vport its link is, and why it does not forward.

use std::fmt;

use datapath::port::VportNo;
use rustc_hash::FxHashMap;
use vlan::model::id::PortId;
use vlan::plane::PortState;
use vlan::tag::Tag;

use super::claims::Claim;

/// What has become of a port.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::engine) struct Standing {
    /// The vport that its link is, if it is one.
    pub(in crate::engine) vport: Option<VportNo>,
    /// Why it does not forward; `None` if it does.
    pub(in crate::engine) why_not: Option<WhyNot>,
    /// The MTU of its link; 0 if it is not known.
    pub(in crate::engine) mtu: u32,
    /// What the host itself does with its link that is in the way of frames.
    pub(in crate::engine) in_use: Option<String>,
}

impl Standing {
    /// It is no vport, and so it does not forward.
    pub(in crate::engine) fn down(why_not: WhyNot) -> Standing {
        Standing { why_not: Some(why_not), ..Standing::default() }
    }

    /// Whether frames fare as they do by another.
    pub(in crate::engine) fn is_like(&self, other: &Standing) -> bool {
        (self.vport, &self.why_not, self.mtu) == (other.vport, &other.why_not, other.mtu)
    }

    /// The state that forwarding sees.
    pub(in crate::engine) fn state(&self) -> PortState {
        match self.why_not {
            None => PortState::Up,
            Some(WhyNot::Blocked(_)) => PortState::Blocked,
            Some(_) => PortState::Down,
        }
    }
}

/// What has become of each port.
#[derive(Debug, Default)]
pub(in crate::engine) struct Standings {
    /// By port identifier.
    of: Vec<Standing>,
    by_vport: FxHashMap<VportNo, PortId>,
}

impl Standings {
    /// There are other ports, so many, and nothing is known of them.
    pub(super) fn forget(&mut self, ports: usize) {
        self.of = vec![Standing::down(WhyNot::NotSeen); ports];
        self.by_vport.clear();
    }

    /// The port that a vport is.
    pub(in crate::engine) fn port_of(&self, vport: VportNo) -> Option<PortId> {
        self.by_vport.get(&vport).copied()
    }

    /// The vport that a port is.
    pub(in crate::engine) fn vport_of(&self, port: PortId) -> Option<VportNo> {
        self.of.get(port.0 as usize)?.vport
    }

    /// The MTU of a port's link; 0 if it is not known.
    pub(in crate::engine) fn mtu_of(&self, port: PortId) -> u32 {
        self.of.get(port.0 as usize).map_or(0, |standing| standing.mtu)
    }

    /// The longest frame, without FCS, that a port of this host may send, with the one tag that no MTU counts: a jumbo frame at most.
    pub(super) fn longest_frame(&self) -> usize {
        let mtu = self.of.iter().map(|standing| standing.mtu).max().unwrap_or(0);
        mtu.min(JUMBO) as usize + ETHERNET_HEADER + Tag::LEN
    }

    /// What has become of a port.
    pub(in crate::engine) fn of(&self, port: PortId) -> Standing {
        self.of.get(port.0 as usize).cloned().unwrap_or_else(|| Standing::down(WhyNot::NotSeen))
    }

    /// Writes down what has become of a port, and returns what it was.
    pub(super) fn set(&mut self, port: PortId, standing: Standing) -> Option<Standing> {
        let slot = self.of.get_mut(port.0 as usize)?;
        if slot.vport != standing.vport {
            if let Some(before) = slot.vport
                && self.by_vport.get(&before) == Some(&port)
            {
                self.by_vport.remove(&before);
            }
            self.by_vport.extend(standing.vport.map(|vport| (vport, port)));
        }
        Some(std::mem::replace(slot, standing))
    }
}

/// The payload of a jumbo frame.
const JUMBO: u32 = 9_216;
/// Destination, source and EtherType (802.3 3.1.1).
const ETHERNET_HEADER: usize = 14;

/// Why a port does not forward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) enum WhyNot {
    /// The host's links are not known yet.
    NotSeen,
    /// It is another host's.
    Elsewhere,
    /// There is no link of its name.
    NoLink,
    /// The link is somebody else's.
    Claimed(Claim),
    /// The link is that of another port, which has its proper name.
    SameLink(String),
    /// The link is no vport yet, or could not be made one: why.
    NotAttached(Option<String>),
    /// The link is set down.
    AdminDown,
    /// The link has no carrier.
    NoCarrier,
    /// It is blocked.
    Blocked(Cause),
}

/// Why a port is blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Cause {
    /// A BPDU came in where no bridge may be.
    Bpdu,
    /// What we sent out of it came back in by it.
    Loop,
}

impl Cause {
    /// For the event.
    pub(in crate::engine) fn sentence(self) -> &'static str {
        match self {
            Cause::Bpdu => "a BPDU came in: a bridge is behind this port",
            Cause::Loop => {
                "frames of several addresses that we sent out of it came back in by it: a loop is behind this port"
            }
        }
    }
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WhyNot::NotSeen => "the host's links are still being read",
            WhyNot::Elsewhere => "on another host",
            WhyNot::NoLink => "no such link",
            WhyNot::Claimed(claim) => return claim.fmt(f),
            WhyNot::SameLink(port) => return write!(f, "the link is that of port {port}"),
            WhyNot::NotAttached(None) => "not attached yet",
            WhyNot::NotAttached(Some(why)) => return write!(f, "not attached: {why}"),
            WhyNot::AdminDown => "admin down",
            WhyNot::NoCarrier => "no carrier",
            WhyNot::Blocked(Cause::Bpdu) => "blocked after a BPDU",
            WhyNot::Blocked(Cause::Loop) => {
                "blocked: frames that we send out of it come back in by it (loop)"
            }
        })
    }
}

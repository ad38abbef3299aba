//! What every step of forwarding is given: the state of the host, and a frame that was let in. In which order the steps are taken is told
//! by [`forward`](mod@crate::forward).

use crate::designation::{Carrier, Designation};
use crate::frame::Header;
use crate::ingress::Admitted;
use crate::model::id::{HostId, Location, PortId};
use crate::model::port::Port;
use crate::model::topology::{Located, Topology};
use crate::policy::Class;
use crate::verdict::DropReason;
use crate::vid::Vid;

/// What forwarding looks at besides the frame and the addresses.
#[derive(Debug, Clone, Copy)]
pub struct Plane<'t, 's> {
    /// The topology.
    pub topology: &'t Topology,
    /// The state of each port, by identifier.
    pub ports: &'s [PortState],
    /// Which trunk carries which VLAN.
    pub designation: &'s Designation,
    /// The host on which the frame is.
    pub host: HostId,
}

impl Plane<'_, '_> {
    /// Whether a port takes part.
    ///
    /// # Errors
    /// `port-down` or `port-blocked`.
    pub fn is_forwarding(&self, port: PortId) -> Result<(), DropReason> {
        match self.ports.get(port.0 as usize).copied().unwrap_or_default() {
            PortState::Up => Ok(()),
            PortState::Down => Err(DropReason::PortDown),
            PortState::Blocked => Err(DropReason::PortBlocked),
        }
    }

    /// Whether a port carries a VLAN of its bridge now.
    ///
    /// # Errors
    /// `not-designated`.
    pub fn is_carrier(&self, port: &Port, vid: Option<Vid>) -> Result<(), DropReason> {
        match self.designation.carrier(port, vid) {
            Carrier::This => Ok(()),
            Carrier::Other(_) | Carrier::Nobody => Err(DropReason::NotDesignated),
        }
    }
}

/// Whether a port takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PortState {
    /// Not bound to a link, or the link has no carrier or is admin down.
    #[default]
    Down,
    /// It forwards and learns.
    Up,
    /// It was blocked after a BPDU or a loop.
    Blocked,
}

/// A frame that was let in and belongs to a segment.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// The port it came in by.
    pub port: &'a Port,
    /// How it was let in.
    pub admitted: Admitted,
    /// Where it is.
    pub located: Located,
    pub(crate) class: Option<Class>,
}

impl Arrival<'_> {
    /// Where its source address is, as far as learning goes.
    pub fn location(&self) -> Location {
        self.port.location(self.admitted.vid)
    }

    /// Whether its source address is learned: not that of a control frame, and not the null address.
    pub fn teaches(&self, header: &Header) -> bool {
        self.class.is_none() && !header.src.is_zero()
    }
}

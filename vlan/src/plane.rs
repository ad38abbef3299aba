//! What every step of forwarding is given: the state of the host, and a frame that was let in. In which order the steps are taken is told
//! by [`forward`](mod@crate::forward).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::designation::{Carrier, Designation};
use crate::frame::Header;
use crate::ingress::Admitted;
use crate::model::id::{FabricId, HostId, Location, PortId};
use crate::model::port::Port;
use crate::model::topology::{Located, Topology};
use crate::model::vnis::Origin;
use crate::peers::Peers;
use crate::policy::Class;
use crate::tag::Pcp;
use crate::verdict::DropReason;
use crate::vid::Vid;

/// By which way a frame comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Ingress {
    /// An exterior port of this host.
    Port(PortId),
    /// The tunnel.
    Tunnel(Tunnelled),
}

/// What a VXLAN packet says beside the frame that it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tunnelled {
    /// The underlay address that it was sent from.
    pub remote: IpAddr,
    /// VXLAN network identifier, 0..2^24-1.
    pub vni: u32,
    /// The priority that the sender wrote into the outer header as DSCP class selector (RFC 2474 4.2.2.1).
    pub class: Pcp,
}

impl From<PortId> for Ingress {
    fn from(port: PortId) -> Ingress {
        Ingress::Port(port)
    }
}

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
    /// What it knows of the others.
    pub peers: &'s Peers,
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

/// What a frame came in by.
#[derive(Debug, Clone, Copy)]
pub enum Entrance<'a> {
    /// An exterior port of this host, or that of a VTEP.
    Port(&'a Port),
    /// Another l2gw host.
    Host {
        /// Which.
        host: HostId,
        /// By what it came in there.
        origin: Origin,
    },
}

/// A frame that was let in and belongs to a segment.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// What it came in by.
    pub from: Entrance<'a>,
    /// How it was let in.
    pub admitted: Admitted,
    /// Where it is.
    pub located: Located,
    pub(crate) class: Option<Class>,
    /// Whether it came from another host: then it goes to none.
    pub(crate) is_tunnelled: bool,
}

impl<'a> Arrival<'a> {
    /// The port that it came in by, unless it came in at another l2gw host.
    pub fn port(&self) -> Option<&'a Port> {
        match self.from {
            Entrance::Port(port) => Some(port),
            Entrance::Host { .. } => None,
        }
    }

    /// By what it came in, wherever that was.
    pub fn origin(&self) -> Origin {
        match self.from {
            Entrance::Port(port) if port.isolated => Origin::Isolated,
            Entrance::Port(port) => port.group.map_or(Origin::Plain, Origin::Group),
            Entrance::Host { origin, .. } => origin,
        }
    }

    /// The fabric of the trunk group that it came in by, if by one.
    pub fn group(&self) -> Option<FabricId> {
        match self.origin() {
            Origin::Group(fabric) => Some(fabric),
            Origin::Plain | Origin::Isolated => None,
        }
    }

    /// Where its source address is, as far as learning goes. What came in by a trunk group of another host is behind that group, if one
    /// VLAN of it leads here: then it stays there when another trunk takes over.
    pub fn location(&self, topology: &Topology) -> Location {
        match self.from {
            Entrance::Port(port) => port.location(self.admitted.vid),
            Entrance::Host { host, origin: Origin::Group(fabric) } => {
                match topology.only_vid(self.located.segment.number, fabric) {
                    Some(vid) => Location::Fabric { fabric, vid },
                    None => Location::Host(host),
                }
            }
            Entrance::Host { host, .. } => Location::Host(host),
        }
    }

    /// Whether its source address is learned: not that of a control frame, and not the null address.
    pub fn teaches(&self, header: &Header) -> bool {
        self.class.is_none() && !header.src.is_zero()
    }
}

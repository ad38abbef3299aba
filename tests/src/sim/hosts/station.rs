//! Machines with an address, and where they are.

use std::fmt;

use nsdb::{AddressRecord, Presence};
use vlan::addr::MacAddr;
use vlan::time::Instant;

use super::frames::Site;
use crate::lab::frames::Mac;

/// A machine.
#[derive(Debug, Clone)]
pub(super) struct Station {
    /// Its address.
    pub mac: Mac,
    /// Its VLAN.
    pub vlan: u16,
    /// Where it is.
    pub at: Place,
    /// When it spoke last.
    pub spoke: Option<Instant>,
    /// When it spoke last at another place than where it is.
    pub spoke_elsewhere: Option<Instant>,
    /// Whether every host must know where it is, or not know it.
    pub is_settled: bool,
}

/// Where a machine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// At a port.
    Port(Site),
    /// Behind the trunks.
    Fabric,
}

impl Station {
    /// One that has said nothing yet.
    pub(super) fn new(mac: Mac, vlan: u16, at: Place) -> Station {
        Station { mac, vlan, at, spoke: None, spoke_elsewhere: None, is_settled: false }
    }

    /// It is somewhere else now.
    pub(super) fn move_to(&mut self, at: Place) {
        self.at = at;
        self.spoke_elsewhere = self.spoke.or(self.spoke_elsewhere);
        (self.spoke, self.is_settled) = (None, false);
    }

    /// Where a host must take it to be.
    pub(super) fn location(&self, host: &str) -> String {
        match &self.at {
            Place::Fabric => "trunks of fabric".to_owned(),
            Place::Port((at, port)) if at == host => port.clone(),
            Place::Port((at, _)) => format!("host {at}"),
        }
    }
}

impl fmt::Display for Station {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {} at {:?}", MacAddr(self.mac), self.vlan, self.at)
    }
}

/// A word in a line.
pub(super) fn told(word: &AddressRecord) -> String {
    let AddressRecord { key, owner, mobility, session, number, by, presence } = word;
    let is_gone = if *presence == Presence::Gone { " gone" } else { "" };
    let (owner, mobility) = (owner.0, mobility.0);
    format!("\n  {} by {by} at {owner}: {mobility}, {session}.{number}{is_gone}", key.mac)
}

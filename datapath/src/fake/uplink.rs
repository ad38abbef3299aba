//! A host's place on the underlay: its addresses there, what its UDP ports are taken by, and packets that are to leave.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::packet::{Departed, Road};
use crate::RefusalCause;
use crate::tunnel::TunnelEnd;

#[derive(Debug, Default)]
pub(super) struct Uplink {
    addresses: BTreeSet<IpAddr>,
    /// UDP ports that other programs have.
    taken: BTreeSet<u16>,
    road: Option<Arc<dyn Road>>,
    departing: Vec<Departed>,
}

impl Uplink {
    /// Gives the host addresses.
    ///
    /// # Panics
    /// It is on another underlay.
    pub(super) fn join(&mut self, road: Arc<dyn Road>, addresses: &[IpAddr]) {
        let place = |road: &Arc<dyn Road>| Arc::as_ptr(road).cast::<()>();
        let is_same = self.road.as_ref().is_none_or(|known| place(known) == place(&road));
        assert!(is_same, "the host is on another underlay already");
        self.addresses.extend(addresses);
        self.road = Some(road);
    }

    pub(super) fn occupy(&mut self, port: u16) {
        self.taken.insert(port);
    }

    /// Whether a tunnel may end here.
    pub(super) fn admit(&self, end: TunnelEnd) -> Result<(), RefusalCause> {
        let refused = |errno, message: &str| RefusalCause::Kernel { errno, message: message.to_owned() };
        if end.port == 0 {
            return Err(refused(libc::EINVAL, "allowed are UDP ports 1 to 65535"));
        }
        if !self.addresses.contains(&end.local) {
            return Err(refused(libc::EADDRNOTAVAIL, "it is no address of this host"));
        }
        if self.taken.contains(&end.port) {
            return Err(RefusalCause::Busy);
        }
        Ok(())
    }

    pub(super) fn send(&mut self, departed: Departed) {
        self.departing.push(departed);
    }

    /// Packets that wait to leave, and what takes them.
    pub(super) fn departing(&mut self) -> (Vec<Departed>, Option<Arc<dyn Road>>) {
        (std::mem::take(&mut self.departing), self.road.clone())
    }
}

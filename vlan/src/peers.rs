//! What a host knows of the others: who is alive, and who says that it carries which VLAN of a fabric (behaviour.md 7).

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::model::id::{BridgeId, HostId};
use crate::vid::Vid;

/// What is known of other hosts. At first all are taken to be alive, and none has said anything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Peers {
    /// Those that are dead, in ascending order: they are few.
    dead: SmallVec<[HostId; 4]>,
    claims: FxHashMap<(BridgeId, Vid), SmallVec<[HostId; 2]>>,
    /// Whether hosts hear from each other which addresses each has. Then what a frame from another host says is a hint.
    pub are_telling: bool,
}

impl Peers {
    /// Whether a host is taken to be alive.
    pub fn is_alive(&self, host: HostId) -> bool {
        self.dead.binary_search(&host).is_err()
    }

    /// Says whether a host is alive. Returns whether that is news.
    pub fn set_alive(&mut self, host: HostId, is_alive: bool) -> bool {
        match (self.dead.binary_search(&host), is_alive) {
            (Ok(at), true) => drop(self.dead.remove(at)),
            (Err(at), false) => self.dead.insert(at, host),
            _ => return false,
        }
        true
    }

    /// The hosts that say that they carry a VLAN of a bridge, in ascending order.
    pub fn claimants(&self, bridge: BridgeId, vid: Vid) -> &[HostId] {
        self.claims.get(&(bridge, vid)).map_or(&[], SmallVec::as_slice)
    }

    /// A host says whether it carries a VLAN of a bridge. Returns whether that is news.
    pub fn claim(&mut self, host: HostId, (bridge, vid): (BridgeId, Vid), is_carried: bool) -> bool {
        if self.claimants(bridge, vid).contains(&host) == is_carried {
            return false;
        }
        let claimants = self.claims.entry((bridge, vid)).or_default();
        match claimants.binary_search(&host) {
            Ok(at) => drop(claimants.remove(at)),
            Err(at) => claimants.insert(at, host),
        }
        if claimants.is_empty() {
            self.claims.remove(&(bridge, vid));
        }
        true
    }
}

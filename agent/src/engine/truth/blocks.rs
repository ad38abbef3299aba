//! Which ports are blocked, why, and until when. By name: a block outlives a change of the topology.

use std::collections::BTreeMap;
use std::time::Duration;

use vlan::model::topology::Topology;
use vlan::time::Instant;

use super::standing::Cause;
use crate::engine::due::Due;

/// The blocked ports.
#[derive(Debug)]
pub(in crate::engine) struct Blocks {
    causes: BTreeMap<String, Cause>,
    /// When each of them is let go.
    release: Due<String>,
    /// How long a BPDU blocks a port.
    after_bpdu: Duration,
}

impl Blocks {
    /// None is blocked.
    pub(in crate::engine) fn new(after_bpdu: Duration) -> Blocks {
        Blocks { causes: BTreeMap::new(), release: Due::default(), after_bpdu }
    }

    /// How long a BPDU blocks a port.
    pub(in crate::engine) fn after_bpdu(&self) -> Duration {
        self.after_bpdu
    }

    /// Blocks a port until then; whether it was not blocked before.
    pub(in crate::engine) fn block(&mut self, port: String, cause: Cause, until: Instant) -> bool {
        self.release.set(port.clone(), until);
        self.causes.insert(port, cause).is_none()
    }

    /// Blocks a port no longer; whether it was blocked.
    pub(in crate::engine) fn lift(&mut self, port: &str) -> bool {
        self.release.remove(&port.to_owned());
        self.causes.remove(port).is_some()
    }

    /// The next port to be let go.
    pub(in crate::engine) fn take_due(&mut self, now: Instant) -> Option<String> {
        self.release.take(now)
    }

    /// Ports that are no more are blocked no longer.
    pub(in crate::engine) fn forget_gone(&mut self, topology: &Topology) {
        let gone = |name: &String| topology.port_named(name).is_none();
        for (name, _) in self.causes.extract_if(.., |name, _| gone(name)) {
            self.release.remove(&name);
        }
    }

    /// Until when a port is blocked.
    pub(in crate::engine) fn until(&self, port: &str) -> Option<Instant> {
        self.release.when(&port.to_owned())
    }

    /// Why a port is blocked, if it is.
    pub(in crate::engine) fn why(&self, port: &str) -> Option<Cause> {
        self.causes.get(port).copied()
    }

    /// When the next port is let go.
    pub(in crate::engine) fn next_due(&self) -> Option<Instant> {
        self.release.next()
    }
}

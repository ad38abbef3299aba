//! What sessions and leases are made of.

use std::fmt;
use std::time::Duration;

/// A session, unique in its store, also over restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub(crate) u64);

impl SessionId {
    /// Its number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An open session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its id.
    pub id: SessionId,
    /// The name it was opened with: usually a host's.
    pub name: String,
    /// How long it lives without a sign of life.
    pub ttl: Duration,
    /// What it has said of itself; empty if nothing.
    pub word: String,
}

/// Grows with every acquisition of a lease, also over restarts. Whoever acts under a lease passes it on, and whoever
/// is acted upon refuses a lower one than it has seen: so a holder that slept through its expiry does no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseToken(pub(crate) u64);

impl LeaseToken {
    /// Its number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A lease that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What it is a lease of.
    pub name: String,
    /// The session that holds it.
    pub session: SessionId,
    /// The name of that session.
    pub holder: String,
    /// The token of this acquisition.
    pub token: LeaseToken,
}

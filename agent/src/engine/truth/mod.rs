//! What is so on this host, whatever a datapath was told of it: its links and ports.

pub(super) mod bind;
pub(super) mod claims;
pub(super) mod links;
pub(super) mod standing;

//! What becomes of a host's journal when nodes and the way to them fail, and who may write it: on real Cassandra nodes.

// Clippy sees tests only where it sees #[test]; what these share is test code too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod faults;
mod growing;
mod host;
mod logins;
mod making;
mod tls;

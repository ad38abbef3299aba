//! What becomes of a host's session, its watches and what it writes when servers and networks fail: on real servers.

// Clippy sees tests only where it sees #[test]; what these share is test code too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod accepted;
mod another;
mod collecting;
mod connection;
mod feed;
mod fresh;
mod host;
mod kept;
mod partition;
mod refused;
mod steps;

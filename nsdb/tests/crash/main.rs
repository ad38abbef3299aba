//! The embedded store of a process that is killed. By itself, since a process that is being started holds for a moment what its parent has
//! open: to a test beside it, a store that was just closed would be held still.

// Clippy sees tests only where it sees #[test]; what these share is test code too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../store/content.rs"]
mod content;
mod killed;
#[path = "../store/seed.rs"]
mod seed;

//! What this crate decides: every row and story on the forwarding plane, any frame at all, topologies refused and large, numbers dealt out.

// Clippy sees tests only where it sees #[test]; what these share is test code too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod any_frame;
mod described;
mod large;
mod numbers;
mod overlay;
mod payloads;
mod refusals;
mod rows;
// Other crates play the same rows, so the language is not in this folder.
#[path = "../table/mod.rs"]
mod table;

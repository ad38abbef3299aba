//! What is counted by an allocator of its own: that a verdict allocates nothing, and how building a topology grows.

// Clippy sees tests only where it sees #[test]; what these share is test code too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod growth;
mod verdict;

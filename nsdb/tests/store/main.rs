//! The embedded store and the faulty wrapper: what a disk, a broken file or a second process do to it.

// Clippy sees tests only where it sees #[test]; what these share is test code too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod content;
mod corruption;
mod directory;
mod disk;
mod embedded;
mod faulty;
mod filling;
mod seed;

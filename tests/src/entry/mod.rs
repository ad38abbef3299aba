//! One entry a fuzz target: any bytes in, and what must hold whatever they are.
//!
//! ```text
//!   libFuzzer (tests/fuzz, nightly) ────────┐
//!   proptest (tests/tests/faults/fuzz.rs) ───┼──► entry(bytes) ──► asserts
//!   rows of what was found (tests/fuzz/rows) ┘
//! ```
//! An entry panics where something does not hold, and for nothing else. Bytes are read as choices ([`feed`]), so that most inputs reach
//! deep; what a target asserts is in docs/fuzzing.md.

mod documents;
pub mod examples;
pub mod feed;
mod frame_grammar;
mod frames;
mod http;
mod json_grammar;
mod netlink;
mod seeds;
mod socket;
mod toml;
mod verdicts;

pub use documents::documents;
pub use frames::frames;
pub use netlink::netlink;
pub use seeds::{TARGETS, seeds};
pub use socket::socket;
pub use toml::toml;

/// The entry of a target.
///
/// # Panics
/// There is no such target, or something that holds for every input does not.
pub fn enter(target: &str, bytes: &[u8]) {
    match target {
        "frames" => frames(bytes),
        "netlink" => netlink(bytes),
        "documents" => documents(bytes),
        "toml" => toml(bytes),
        "socket" => socket(bytes),
        other => panic!("{other:?} is no target, {TARGETS:?} are"),
    }
}

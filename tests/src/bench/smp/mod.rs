//! Two CPUs, which User-Mode Linux does not have: does a later frame overtake the first of its flow while the flow is being set up, and is a
//! first frame lost while ports are added? `make test-smp` boots Debian's kernel under QEMU for it.
//!
//! ```text
//!   CPU 0: sender ──► port ──► [ flow? ]──► the other port ──► receiver: in which order?
//!                                 └─ no ──► daemon, on CPU 1 ──┘
//! ```
//! What overtakes what depends on who runs when, so that ours is held against ovs-vswitchd's in the same guest and not against a number.

pub mod crossing;
pub mod order;
pub mod streams;

//! Simulation: random topologies and frames, and an independent bridge to compare the forwarding plane with.
//!
//! ```text
//!   rng ──► cases (a description, a designation)  ──┐
//!       └─► traffic (a frame after another)  ───────┼──► duel: the same frame to both, outputs compared as bytes
//!                        reference, vlan::Switch  ──┘
//! ```
//! [`reference`](mod@reference) is written from the behaviour contract alone and walks real bytes from bridge to bridge; it shares with
//! `vlan` the description's types and nothing of its forwarding. A test of a kernel can take a case from [`cases`] and ask the
//! reference what must come out.

pub mod asked;
mod brief;
pub mod cases;
pub mod cluster;
pub mod compare;
pub mod director;
pub mod duel;
pub mod egress;
pub mod feed;
pub mod flow_host;
pub mod gateway;
pub mod hosts;
pub mod oracle;
pub mod reference;
pub mod reserved;
pub mod rng;
pub mod standing;
pub mod table_gateway;
pub mod tagged;
pub mod traffic;
pub mod whereabouts;
pub mod wiring;

//! VLAN bridging as pure code: the model, frames, the forwarding database and the forwarding decision.
//!
//! Nothing here does I/O, reads a clock, draws a random number or spawns anything. Time is an argument
//! ([`time::Instant`]), so that the same code runs in the daemon, in `l2gw trace` and in a simulation.
//!
//! The story of a frame: [`frame::Header`] is read once from the bytes (or from the kernel's flow key);
//! [`ingress`] says which VLAN it is in, or why it is dropped; [`fdb`] learns where its source is;
//! [`forward`] finds the destination through the chain of bridges, which [`model::topology`] has compiled into
//! *segments*; [`egress`] says by which ports it leaves and with which tags. The result is a
//! [`verdict::Verdict`], which also lists the header fields it consulted and the state it depended on, so that
//! one verdict may become a kernel flow and be withdrawn when, and only when, that state changes.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]

pub mod addr;
pub mod control;
pub mod designation;
pub mod egress;
pub mod exits;
pub mod fdb;
pub mod forward;
pub mod frame;
pub mod ingress;
pub mod model;
pub mod policy;
pub mod switch;
pub mod tag;
pub mod time;
pub mod trace;
pub mod verdict;
pub mod vid;

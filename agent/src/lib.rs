//! The agent of one host: a pure engine, and the tasks that feed it and carry out what it wants.
//!
//! [`engine::Engine`] decides everything: which links become ports, what becomes of each frame that the kernel has no flow for,
//! which flows the kernel gets and when they change. It is told what happens ([`input::Input`]) and says what it wants done
//! ([`output::Output`]). It does no I/O, knows no clock and draws no random number, so that a recorded run can be replayed
//! and hundreds of engines run in one test. Everything that touches the system is in the tasks around it.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]

pub mod admin;
pub mod budget;
pub mod clock;
pub mod counters;
pub mod daemon;
pub mod documents;
mod driver;
pub mod engine;
pub mod event;
pub mod input;
pub mod journal;
pub mod lower;
pub mod output;
pub mod reconcile;
pub mod record;
pub mod runtime;
pub mod socket;
pub mod start;
pub mod supervise;
pub mod topology;
pub mod view;

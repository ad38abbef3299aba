//! The appliance: the agent's engine plus trunks, configuration and the command line.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]

pub mod cli;
pub mod config;

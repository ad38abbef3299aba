//! Verdicts in the words of a datapath. One decision can be lowered to flows, or to tables.

pub mod flows;
pub mod storm;
pub mod tables;

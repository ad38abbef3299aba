//! The model: what an operator declares ([`description`], [`defaults`]), what is wrong with it ([`mistake`]) and what forwarding runs on
//! ([`topology`]).

pub mod bridge;
mod build;
mod check;
pub mod defaults;
pub mod description;
mod graph;
pub mod id;
mod join;
pub mod mistake;
pub mod nearest;
pub mod port;
pub(crate) mod renumber;
pub mod segment;
pub mod topology;

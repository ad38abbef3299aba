//! The model: what an operator declares ([`description`], [`defaults`]), what is wrong with it ([`mistake`]) and what forwarding runs on
//! ([`topology`]).

mod between;
pub mod bridge;
mod build;
mod chains;
mod check;
pub mod defaults;
pub mod description;
pub mod encapsulation;
mod findings;
mod graph;
pub mod id;
mod index;
mod join;
mod members;
pub mod mistake;
mod names;
pub mod nearest;
mod numbered;
pub mod numbers;
mod objects;
mod payloads;
pub mod port;
pub mod renumber;
pub mod segment;
pub mod share;
pub mod shown;
pub mod topology;
mod underlays;
pub mod value;
pub mod vnis;
mod vteps;
mod warnings;
pub mod words;

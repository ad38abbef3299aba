//! Simulations that take longer: the engine with its flows, every row by both lowerings, and mistakes put in on purpose.

mod engine;
mod hosts;
mod mutants;
mod rows;

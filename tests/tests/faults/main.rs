//! What goes wrong: a datapath and a store that fail as asked, things in an order that rarely happens, any bytes at all.

mod conformance;
mod datapath;
mod engine;
mod fuzz;
mod runtime;
mod underlay;

//! The engine and its lowerings on the datapath in memory, and what they cost.

mod host;
mod overlay;
mod renumbered;
mod replay;
mod scale;
mod stragglers;
mod tables;
mod trace;
mod work;

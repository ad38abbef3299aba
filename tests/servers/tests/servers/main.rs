//! The servers that tests stand on, tried themselves: each fault does what it says, and nothing is left behind.

mod client;
mod disk;
mod ensemble;
mod relay;

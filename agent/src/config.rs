//! What a host is started with, as far as files say it: where the network's state and the journal are.

pub mod store;
pub mod unrun;

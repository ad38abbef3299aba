//! What an operator is told.

pub(super) mod bursts;

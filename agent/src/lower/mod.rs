//! Verdicts in the words of a datapath. One decision can be lowered to flows, or to tables.
//!
//! What the engine has told a datapath rests on its state. Whoever changes that says to the [`Lowering`] which piece of it is another, and
//! knows nothing else of it. Why both have no more in common is in docs/design/0007-one-face.md.

use vlan::verdict::Dependency;

pub mod flows;
pub mod storm;
pub mod tables;

/// What a datapath was told, in one way or another.
pub trait Lowering {
    /// This piece of state is another: what rests on it is to be looked over.
    fn spoil(&mut self, state: Dependency);

    /// All state may be another.
    fn spoil_all(&mut self);
}

//! The verdicts that a datapath keeps as flows: which it has, what each rests on, and what becomes of a frame for which it has none.

pub(super) mod adopt;
pub(super) mod answer;
pub(super) mod book;
pub(super) mod changes;
pub(super) mod class;
pub(super) mod doubt;
pub(super) mod echo;
pub(super) mod hands;
pub(super) mod lengths;
pub(super) mod loops;
pub(super) mod meters;
pub(super) mod renew;
pub(super) mod statistics;
pub(super) mod turn;
pub(super) mod upcall;

//! The workspace itself: which crate may name which, the size of the code, and what the documentation says of it.

mod arrows;
mod docs;
mod packaging;
mod size;

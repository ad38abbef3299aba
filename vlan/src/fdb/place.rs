//! Where in the table an address is.

/// The index of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place(pub(super) u32);

impl Place {
    /// No node.
    pub(super) const NONE: Place = Place(u32::MAX);
}

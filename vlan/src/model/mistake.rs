//! What is wrong with a description, and where.

use std::fmt;

/// A mistake or a warning about one key of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where it is.
    pub place: ObjectKey,
    /// Which value, and what is allowed: `"100-4095" ends past 4094, the last usable VLAN`.
    pub text: String,
}

/// A key of an object of a [`super::description::Description`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Which list.
    pub table: Table,
    /// Index in that list.
    pub index: usize,
    /// The key in the file's spelling, such as `vlans`; empty for the object as a whole.
    pub key: &'static str,
}

/// The lists of a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// `[overlay]`, of which there is one.
    Overlay,
    /// `[hosts.NAME]`
    Hosts,
    /// `[bridges.NAME]`
    Bridges,
    /// `[[vlans]]`
    Vlans,
    /// `[[trunks]]`
    Trunks,
    /// `[[ports]]`
    Ports,
}

impl Table {
    /// The list's name in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Table::Overlay => "overlay",
            Table::Hosts => "hosts",
            Table::Bridges => "bridges",
            Table::Vlans => "vlans",
            Table::Trunks => "trunks",
            Table::Ports => "ports",
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

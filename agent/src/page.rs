//! Long lists a page at a time. The engine's thread makes one page and goes on with frames; whoever asked puts the pages together.
//!
//! Between two pages things happen. What is there all the time is in one of the pages; what comes, goes or moves meanwhile may be
//! missed, or met twice: then its key is the same, and [`crate::list`] keeps one of the two.

use serde::{Deserialize, Serialize};
use vlan::addr::MacAddr;
use vlan::vid::Vid;

/// Rows that were found, and where to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows, each with what it is told apart by from the others.
    pub rows: Vec<(u128, T)>,
    /// Where the next page begins; `None` if this was the last.
    pub next: Option<u64>,
    /// How much was looked at for it: places of a table, ports, actions of flows. It is at most [`LOOKED_AT_ONCE`] and what a single row
    /// takes, however much there is.
    pub looked_at: usize,
}

impl<T> Page<T> {
    /// Nothing yet, and nothing behind it.
    pub fn empty() -> Page<T> {
        Page { rows: Vec::new(), next: None, looked_at: 0 }
    }

    /// Whether as much was looked at, or found, as is allowed for one page.
    pub fn is_full(&self) -> bool {
        self.looked_at >= LOOKED_AT_ONCE || self.rows.len() >= ROWS_AT_ONCE
    }

    /// Adds what took so much to look at; the row only if it is wanted.
    pub fn add(&mut self, looked_at: usize, row: Option<(u128, T)>) {
        self.looked_at += looked_at;
        self.rows.extend(row);
    }
}

/// Which rows of a list are asked for. What is not given does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Selection {
    /// Of this port, or of the port on this link.
    pub port: Option<String>,
    /// Of this VLAN, of whichever bridge.
    pub vlan: Option<Vid>,
    /// With this address.
    pub mac: Option<MacAddr>,
    /// Of what is not up.
    pub down: bool,
}

/// Places of a table, ports or actions that are looked at for one page: some nanoseconds each.
pub const LOOKED_AT_ONCE: usize = 8_192;
/// Rows of a page, at most: a microsecond or two each.
pub const ROWS_AT_ONCE: usize = 1_000;

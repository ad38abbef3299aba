//! The language of `table.txt` and `stories.txt`, and what their rows mean as topologies and bytes.
//!
//! A row is played in a [`Story`]: a topology, and frames into its ports with what is expected of each. `ingress`, `egress` and
//! `reserved` rows are about one port and bring their topology with them ([`modes`], [`reserved`]); under `story` the topology is
//! written out ([`stories`]). Expectations are bytes, so that other datapaths can be held to the same rows.

// Included by tests of other crates as well, as a file.
#![allow(unreachable_pub, missing_docs)]

use std::time::Duration;

use vlan::addr::MacAddr;
use vlan::model::description::Description;

pub mod coverage;
pub mod modes;
pub mod play;
pub mod ports;
pub mod reserved;
pub mod stories;
pub mod words;

/// A topology and what happens in it.
#[derive(Debug, Clone)]
pub struct Story {
    /// Line of the heading, or of the row that brought its topology with it.
    pub line: usize,
    /// What the reader is told when it fails.
    pub title: String,
    /// The topology; the first host is the one whose switch is looked at.
    pub description: Description,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// Something that happens, and the line that says so.
#[derive(Debug, Clone)]
pub struct Step {
    /// The line.
    pub line: usize,
    /// What happens.
    pub what: What,
}

/// What can happen.
#[derive(Debug, Clone)]
pub enum What {
    /// A frame arrives.
    Frame(Frame),
    /// Time passes.
    Wait(Duration),
    /// A link loses its carrier.
    Down(String),
    /// A link has its carrier again.
    Up(String),
    /// One trunk carries a VLAN of a bridge (bridge, VID, trunk).
    Carry(String, u16, String),
    /// A record that came from elsewhere says that an address, on the segment of a port, is behind another port in a VLAN.
    Put(MacAddr, String, String, u16),
    /// The gateway chooses among the trunks that are up.
    Choose,
    /// The topology is replaced; ports and addresses are kept by name.
    Replace(Description),
}

/// A frame and what is expected of it.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The arrival port.
    pub port: String,
    /// From the destination address on, without FCS.
    pub bytes: Vec<u8>,
    /// What becomes of it.
    pub expected: Fate,
    /// What else is expected, beyond where copies go.
    pub notes: Vec<Note>,
}

/// What becomes of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Copies, in the order of [`To`].
    Forward(Vec<(To, Vec<u8>)>),
    /// The stable name of the reason.
    Drop(String),
}

/// Where a copy goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum To {
    /// Out of a port.
    Port(String),
    /// To another host.
    Host(String),
}

/// What a row says besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// `new`, `refreshed`, `moved`, `frozen`, `not-learned` or `refused`; `unlearned`: nothing was to be learned.
    Lesson(String),
    /// It passes this storm meter: class and VID (0 on a VUB) of the arrival port.
    Meter(String, u16),
    /// It passes no storm meter.
    Unmetered,
    /// A port is blocked for it.
    Blocks(String),
    /// Nothing else happens.
    NoEffect,
    /// A member port that it does not leave by, and why.
    Withheld(String, String),
    /// A sentence of the trace has these words.
    Says(String),
    /// How many dynamic addresses are counted on a port.
    Count(String, u32),
}

/// Every story of a table. `Err` names the line that is not understood.
pub fn parse(text: &str) -> Result<Vec<Story>, String> {
    let mut stories = Vec::new();
    for section in sections(text) {
        let made = match section.kind {
            "ingress" => modes::ingress(&section),
            "egress" => modes::egress(&section),
            "reserved" => reserved::stories(&section),
            "story" => stories::story(&section).map(|story| vec![story]),
            other => Err(format!("{}: no section is called {other:?}", section.line)),
        };
        stories.extend(made?);
    }
    Ok(stories)
}

/// A heading and the rows below it.
#[derive(Debug, Clone)]
pub struct Section<'a> {
    /// The heading's line.
    pub line: usize,
    /// The heading's first word.
    pub kind: &'a str,
    /// The rest of the heading.
    pub title: &'a str,
    /// Each with its line.
    pub rows: Vec<(usize, &'a str)>,
}

/// Headings begin at the margin, rows are indented; what follows `#` is for the reader.
pub fn sections(text: &str) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        let content = line.split('#').next().unwrap_or_default().trim_end();
        if content.is_empty() {
            continue;
        }
        if content.starts_with(' ') {
            let row = (line_number, content.trim());
            sections.last_mut().expect("a row stands below a heading").rows.push(row);
        } else {
            let (kind, title) = content.split_once(' ').unwrap_or((content, ""));
            sections.push(Section { line: line_number, kind, title: title.trim(), rows: Vec::new() });
        }
    }
    sections
}

/// The columns of a row: they stand two spaces or more apart.
pub fn columns(row: &str) -> Vec<&str> {
    row.split("  ").map(str::trim).filter(|column| !column.is_empty()).collect()
}

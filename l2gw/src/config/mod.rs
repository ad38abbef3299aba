//! The configuration file: from its bytes to a checked topology, or to every mistake in it at once.
//!
//! ```text
//! bytes ──source──► text ──syntax──► tree ──document──► Description ──judge──► Topology
//!                                      └── each value read by section + value; mistakes kept as drafts ──► Problems
//! ```
//! Each arrow can only narrow. A mistake of TOML's grammar ends the list; all others are collected, sorted by their
//! place in the file, and one that merely follows from another is left out. Nothing but the file itself is opened.

use std::collections::HashSet;
use std::path::Path;

use vlan::model::description::Description;
use vlan::model::mistake::Mistake;
use vlan::model::topology::Topology;

use draft::Drafts;
use finding::{Finding, Problems, in_order};
use places::Places;
use position::Positions;
use store::{Journal, Nsdb};
use syntax::Double;

mod document;
mod draft;
pub mod finding;
mod judge;
mod objects;
pub mod places;
mod ports;
pub mod position;
mod section;
pub mod source;
pub mod store;
mod syntax;
mod value;
mod vids;
mod words;

/// A configuration without mistakes.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file's name as it was given.
    pub file: String,
    /// SHA-256 of its text, in hexadecimal.
    pub digest: String,
    /// What the file declares of the topology; its lists have the file's order.
    pub description: Description,
    /// The same, compiled.
    pub topology: Topology,
    /// The network state database.
    pub nsdb: Nsdb,
    /// History and counters.
    pub journal: Journal,
    /// What is odd but allowed, sorted by position.
    pub warnings: Vec<Finding>,
    /// Where in the file each object is.
    pub places: Places,
}

/// Reads and checks the file at `path`. Never blocks on what is not a regular file, never reads more than [`source::MAX_BYTES`].
///
/// # Errors
/// Every mistake of the file; one if it cannot be read or is no TOML.
pub fn load(path: &Path) -> Result<Config, Problems> {
    let text = source::read(path)?;
    parse(&path.display().to_string(), &text)
}

/// Checks `text`, which messages call `file`.
///
/// # Errors
/// Every mistake of the text; one if it is no TOML.
pub fn parse(file: &str, text: &str) -> Result<Config, Problems> {
    let positions = Positions::new(text);
    let parsed = syntax::parse(text).map_err(|mistake| {
        let mut drafts = Drafts::default();
        drafts.add(mistake.offset, "syntax".to_owned(), mistake.text);
        Problems::new(file, drafts.into_findings(&positions))
    })?;
    if parsed.root.is_empty() {
        return Err(Problems::of_file(file, source::EMPTY.to_owned()));
    }
    let mut drafts = Drafts::default();
    let document = document::read(&parsed.root, &positions, &mut drafts);
    let doubled = note_doubles(parsed.doubles, &mut drafts);
    match judge::judge(&document, &drafts, &doubled) {
        Ok(topology) => Ok(config(file, text, document, topology)),
        Err(mistakes) => {
            let mut findings = findings(&mistakes, &document.places);
            findings.extend(drafts.into_findings(&positions));
            Err(Problems::new(file, findings))
        }
    }
}

/// What is in the file twice; of the tables among it, whose contents are mixed now, only that is told.
fn note_doubles(doubles: Vec<Double>, drafts: &mut Drafts) -> HashSet<String> {
    let tables = doubles.iter().filter(|double| double.is_table);
    let doubled: HashSet<String> = tables.map(|double| double.path.clone()).collect();
    drafts.forget_below(&doubled);
    for Double { offset, path, text, .. } in doubles {
        drafts.add(offset, path, text);
    }
    doubled
}

fn config(file: &str, text: &str, document: document::Document, topology: Topology) -> Config {
    Config {
        file: file.to_owned(),
        digest: nsdb::ShardId::of(text.as_bytes()).to_string(),
        warnings: in_order(findings(&judge::in_file(topology.warnings(), &document.vlans), &document.places)),
        description: document.description,
        topology,
        nsdb: document.nsdb,
        journal: document.journal,
        places: document.places,
    }
}

fn findings(mistakes: &[Mistake], places: &Places) -> Vec<Finding> {
    mistakes.iter().map(|mistake| places.finding(mistake)).collect()
}

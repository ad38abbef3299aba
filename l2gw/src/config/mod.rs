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

use doubles::Double;
use draft::Drafts;
use finding::{Finding, Problems, first_in_order};
use places::Places;
use position::{Position, Positions};
use store::{Journal, Nsdb};
use unrun::Unrun;

mod document;
mod doubles;
mod draft;
pub mod finding;
mod judge;
mod objects;
pub mod places;
mod ports;
pub mod position;
mod scan;
mod section;
pub mod source;
pub mod store;
mod syntax;
pub mod unrun;
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
    /// What this version does not run; the warnings have it too.
    pub unrun: Vec<Unrun>,
    /// Where in the file each object is.
    pub places: Places,
}

impl Config {
    /// Why this version does not run the file: what it does not know for any host, and for `host`.
    pub fn refusals(&self, host: Option<&str>) -> Vec<&Finding> {
        let is_met = |unrun: &&Unrun| unrun.host.is_none() || unrun.host.as_deref() == host;
        self.unrun.iter().filter(is_met).map(|unrun| &unrun.finding).collect()
    }
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
    if let Some(too_much) = source::too_much(text) {
        return Err(Problems::of_file(file, too_much));
    }
    let positions = Positions::new(text);
    let parsed = syntax::parse(text).map_err(|mistake| {
        let position = positions.at(mistake.offset);
        let Position { line, column } = position;
        let finding = Finding { line, column, key: "syntax".to_owned(), text: mistake.text };
        Problems::new(file, vec![finding], 0)
    })?;
    if parsed.root.is_empty() {
        return Err(Problems::of_file(file, source::EMPTY.to_owned()));
    }
    let mut drafts = Drafts::new(doubled_tables(&parsed.doubles));
    let document = document::read(&parsed.root, &positions, &mut drafts);
    for Double { offset, path, text, .. } in parsed.doubles {
        drafts.add_double(offset, path, text);
    }
    match judge::judge(&document, &drafts) {
        Ok(topology) => {
            let stores = (&document.nsdb, &document.journal);
            let unrun = unrun::unrun(&parsed.root, &positions, stores, &document.description.hosts);
            Ok(config((file, text), document, topology, unrun))
        }
        Err(mistakes) => {
            let (mut findings, more) = drafts.into_findings(&positions);
            findings.extend(self::findings(&mistakes, &document.places));
            Err(Problems::new(file, findings, more))
        }
    }
}

/// The paths of tables that are in the file twice: their contents are mixed, so only that is told of them.
fn doubled_tables(doubles: &[Double]) -> HashSet<String> {
    doubles.iter().filter(|double| double.is_table).map(|double| double.path.clone()).collect()
}

fn config(
    (file, text): (&str, &str),
    document: document::Document,
    topology: Topology,
    unrun: Vec<Unrun>,
) -> Config {
    Config {
        file: file.to_owned(),
        digest: nsdb::ShardId::of(text.as_bytes()).to_string(),
        warnings: warnings(&topology, &document, &unrun),
        unrun,
        description: document.description,
        topology,
        nsdb: document.nsdb,
        journal: document.journal,
        places: document.places,
    }
}

fn warnings(topology: &Topology, document: &document::Document, unrun: &[Unrun]) -> Vec<Finding> {
    let mut all = findings(&judge::in_file(topology.warnings(), &document.vlans), &document.places);
    all.extend(unrun.iter().map(|unrun| unrun.finding.clone()));
    let (mut warnings, more) = first_in_order(all);
    if more > 0 {
        warnings.push(Finding::of_file(format!("… and {more} more")));
    }
    warnings
}

fn findings(mistakes: &[Mistake], places: &Places) -> Vec<Finding> {
    mistakes.iter().map(|mistake| places.finding(mistake)).collect()
}

//! The configuration file: from its bytes to a checked topology, or to every mistake in it at once.
//!
//! ```text
//! bytes ──reader──► tree ──document──► Description ──judge──► Topology
//!                     └── each value read by section + value; mistakes kept as drafts ──► Problems
//! ```
//! The reader is [`agent::reader`], and what the file says of stores is read by [`agent::config`]; here is what is about the topology.
//! Each arrow can only narrow. A mistake of TOML's grammar ends the list; all others are collected, sorted by their
//! place in the file, and one that merely follows from another is left out. Nothing but the file itself is opened.

use std::path::Path;

use agent::config::file::File;
use agent::config::store::{Journal, Nsdb};
use agent::reader::finding::{Finding, Problems, first_in_order};
use agent::reader::{self, Opened, source};
use vlan::model::description::Description;
use vlan::model::mistake::Mistake;
use vlan::model::topology::Topology;

use places::Places;
use unrun::Unrun;

mod addresses;
mod document;
mod judge;
mod objects;
pub mod places;
mod ports;
mod shared;
pub mod text;
pub mod unrun;
mod vids;

/// A configuration without mistakes.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file's name as it was given.
    pub file: String,
    /// Its text.
    pub text: String,
    /// SHA-256 of it, in hexadecimal.
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

/// Where it is said where the store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreSaid {
    /// In the file, or nowhere: then it is the host's own.
    InFile,
    /// By the command line, or by the store that the text was read from. How many hosts it may have, its door judges.
    Elsewhere,
}

/// Reads and checks the file at `path`. Never blocks on what is not a regular file, never reads more than [`source::MAX_BYTES`].
///
/// # Errors
/// Every mistake of the file; one if it cannot be read or is no TOML.
pub fn load(path: &Path) -> Result<Config, Problems> {
    load_as(path, StoreSaid::InFile)
}

/// The same, of a file whose store may be another than it says.
///
/// # Errors
/// As [`load`].
pub fn load_as(path: &Path, store: StoreSaid) -> Result<Config, Problems> {
    let text = source::read(path)?;
    parse_as(&path.display().to_string(), &text, store)
}

/// Checks `text`, which messages call `file`.
///
/// # Errors
/// Every mistake of the text; one if it is no TOML.
pub fn parse(file: &str, text: &str) -> Result<Config, Problems> {
    parse_as(file, text, StoreSaid::InFile)
}

/// The same, of a text whose store may be another than it says.
///
/// # Errors
/// As [`parse`].
pub fn parse_as(file: &str, text: &str, store: StoreSaid) -> Result<Config, Problems> {
    let Opened { root, positions, mut drafts } = reader::open(file, text)?;
    if root.is_empty() {
        return Err(Problems::of_file(file, EMPTY.to_owned()));
    }
    let document = document::read(&root, &positions, &mut drafts);
    match judge::judge(&document, &drafts, store) {
        Ok(topology) => {
            let looked_through = File { root: &root, positions: &positions };
            let unrun = unrun::unrun(&looked_through, &document.description.hosts);
            let shared = shared::warnings(&looked_through, &document);
            Ok(config((file, text), document, topology, unrun, shared))
        }
        Err(mistakes) => {
            let (mut findings, more) = drafts.into_findings(&positions);
            findings.extend(self::findings(&mistakes, &document.places));
            Err(Problems::new(file, findings, more))
        }
    }
}

fn config(
    (file, text): (&str, &str),
    document: document::Document,
    topology: Topology,
    unrun: Vec<Unrun>,
    shared: Vec<Finding>,
) -> Config {
    Config {
        file: file.to_owned(),
        text: text.to_owned(),
        digest: nsdb::ShardId::of(text.as_bytes()).to_string(),
        warnings: warnings(&topology, &document, &unrun, shared),
        unrun,
        description: document.description,
        topology,
        nsdb: document.stores.nsdb,
        journal: document.stores.journal,
        places: document.places,
    }
}

fn warnings(
    topology: &Topology,
    document: &document::Document,
    unrun: &[Unrun],
    shared: Vec<Finding>,
) -> Vec<Finding> {
    let mut all = findings(&judge::in_file(topology.warnings(), &document.vlans), &document.places);
    all.extend(unrun.iter().map(|unrun| unrun.finding.clone()).chain(shared));
    let (mut warnings, more) = first_in_order(all);
    if more > 0 {
        warnings.push(Finding::of_file(format!("… and {more} more")));
    }
    warnings
}

fn findings(mistakes: &[Mistake], places: &Places) -> Vec<Finding> {
    mistakes.iter().map(|mistake| places.finding(mistake)).collect()
}

/// What is said of a file that declares nothing.
const EMPTY: &str = "is empty, allowed is a configuration such as examples/gateway.example.toml";

//! The reader of TOML: from bytes to values with their places, and every mistake at once.
//!
//! ```text
//! bytes ──source──► text ──syntax──► tree ──section + value──► typed values
//!                                      └── what is wrong with them: drafts ──► Problems
//! ```
//! Each arrow can only narrow. A mistake of TOML's grammar ends the list; all others are collected, and sorted by their place in the file. What
//! a file may hold is its own reader's: [`crate::config`] has what a host is started with, the topology has one where it is written.

use std::collections::HashSet;

use toml::de::DeTable;

use doubles::Double;
use draft::Drafts;
use finding::{Finding, Problems};
use position::{Position, Positions};

mod doubles;
pub mod draft;
pub mod finding;
pub mod paths;
pub mod position;
mod scan;
pub mod section;
pub mod source;
mod syntax;
pub mod value;
pub mod words;

/// A text that is TOML, to be read.
#[derive(Debug)]
pub struct Opened<'a> {
    /// Its tree.
    pub root: DeTable<'a>,
    /// Its lines.
    pub positions: Positions<'a>,
    /// Its mistakes so far: what is in it twice.
    pub drafts: Drafts,
}

/// Opens `text`, which messages call `file`.
///
/// # Errors
/// One problem: more values than a file is worth, or no TOML.
pub fn open<'a>(file: &str, text: &'a str) -> Result<Opened<'a>, Problems> {
    if let Some(too_much) = source::too_much(text) {
        return Err(Problems::of_file(file, too_much));
    }
    let positions = Positions::new(text);
    let parsed = syntax::parse(text).map_err(|mistake| {
        let Position { line, column } = positions.at(mistake.offset);
        let finding = Finding { line, column, key: "syntax".to_owned(), text: mistake.text };
        Problems::new(file, vec![finding], 0)
    })?;
    let mut drafts = Drafts::new(doubled_tables(&parsed.doubles));
    for Double { offset, path, text, .. } in parsed.doubles {
        drafts.add_double(offset, path, text);
    }
    Ok(Opened { root: parsed.root, positions, drafts })
}

/// The paths of tables that are in the file twice: their contents are mixed, so only that is told of them.
fn doubled_tables(doubles: &[Double]) -> HashSet<String> {
    doubles.iter().filter(|double| double.is_table).map(|double| double.path.clone()).collect()
}

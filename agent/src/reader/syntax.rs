//! From text to a tree of values with their places.
//!
//! A mistake of TOML's grammar ends the list of mistakes: what follows it cannot be told. A key or a table that is
//! there twice is TOML's mistake too, but the tree is whole without the second one, so reading goes on.

use std::cell::OnceCell;

use toml::de::DeTable;
use vlan::model::value::quote;

use super::doubles::{self, Double};
use super::scan;

/// A file's tree, and what is in it twice.
#[derive(Debug)]
pub(super) struct Parsed<'a> {
    /// The top of the file.
    pub(super) root: DeTable<'a>,
    /// What is there twice.
    pub(super) doubles: Vec<Double>,
}

/// A place where the text is no TOML.
#[derive(Debug)]
pub(super) struct SyntaxMistake {
    /// Byte offset.
    pub(super) offset: usize,
    /// What was found and what was expected.
    pub(super) text: String,
}

/// Reads `text` as TOML 1.1.
///
/// # Errors
/// The first mistake of grammar.
pub(super) fn parse(text: &str) -> Result<Parsed<'_>, SyntaxMistake> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let (doubles, errors): (Vec<_>, Vec<_>) = errors.into_iter().partition(|e| e.message() == DUPLICATE);
    let too_deep = OnceCell::new();
    let offset_of = |error: &toml::de::Error| match error.span() {
        Some(span) => span.start,
        None => *too_deep.get_or_init(|| first_too_deep(text)),
    };
    if let Some(first) = errors.iter().min_by_key(|error| offset_of(error)) {
        return Err(SyntaxMistake { offset: offset_of(first), text: in_words(first, text) });
    }
    let root = root.into_inner();
    let offsets = doubles.iter().filter_map(|error| error.span().map(|span| span.start));
    let doubles = if doubles.is_empty() { Vec::new() } else { doubles::doubles(&root, text, offsets) };
    Ok(Parsed { root, doubles })
}

/// Where a name of too many parts is: the parser does not tell.
fn first_too_deep(text: &str) -> usize {
    let first = scan::statements(text).into_iter().find(|one| one.parts.len() > MOST_PARTS);
    first.map_or(text.len(), |one| one.span.start)
}

fn in_words(error: &toml::de::Error, text: &str) -> String {
    let found = error.span().and_then(|span| text.get(span)).map(str::trim).filter(|found| !found.is_empty());
    let found = found.map(|found| format!("{} is not allowed here: ", quote(found))).unwrap_or_default();
    if error.message() == TOO_DEEP {
        return format!("is nested too deeply, allowed is a name of at most {MOST_PARTS} parts");
    }
    let message = error.message().trim_end_matches(", expected nothing");
    let message: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("{found}{message}")
}

/// What toml 1.2 says of a key or a table that is there twice.
const DUPLICATE: &str = "duplicate key";
/// What it says of a dotted name of too many parts, without a place.
const TOO_DEEP: &str = "recursion limit";
/// Most parts of a dotted name that it takes.
const MOST_PARTS: usize = 80;

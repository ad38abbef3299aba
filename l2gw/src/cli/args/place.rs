//! The store that a command opens itself, as its words name it.

use std::ffi::OsString;

use agent::config::place::StorePlace;
use clap::builder::{OsStringValueParser, TypedValueParser};

/// A store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The one that the `[nsdb]` of the command's FILE names.
    OfFile,
    /// One that is named.
    Named(StorePlace),
}

impl Place {
    fn parse(word: OsString) -> Result<Place, &'static str> {
        if word == "file" {
            return Ok(Place::OfFile);
        }
        let allowed = "allowed are embedded:DIR and zookeeper:HOST:PORT,HOST:PORT/ROOT, and of plan and apply also the word file";
        StorePlace::parse(word).map(Place::Named).map_err(|_| allowed)
    }
}

/// The reader of such a word.
pub(super) fn place() -> impl TypedValueParser<Value = Place> {
    OsStringValueParser::new().try_map(Place::parse)
}

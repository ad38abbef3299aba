//! Decides which names the database accepts: for shards, sessions, leases, journal kinds and local keys.
//!
//! The rule is the narrowest of all backends (a ZooKeeper path refuses control characters, empty components, `.` and
//! `..`), so that a name accepted on one host can be stored by every other.

use thiserror::Error;

/// A name that no backend would store.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NameError {
    /// The name has no characters, or more than 255 bytes.
    #[error("{what} name {name:?} has {length} bytes: 1 to {MAX_NAME_BYTES} are allowed")]
    Length {
        /// What was being named.
        what: &'static str,
        /// The name, cut to its first 64 characters.
        name: String,
        /// Its length in bytes.
        length: usize,
    },
    /// The name has a character that is not printable ASCII, or is a space.
    #[error("{what} name {name:?} has {character:?}: printable ASCII without spaces is allowed")]
    Character {
        /// What was being named.
        what: &'static str,
        /// The name.
        name: String,
        /// The first character that is refused.
        character: char,
    },
    /// A part between slashes is empty, `.` or `..`.
    #[error(
        "{what} name {name:?} has the part {part:?}: parts between slashes must not be empty, \".\" or \"..\""
    )]
    Part {
        /// What was being named.
        what: &'static str,
        /// The name.
        name: String,
        /// The refused part.
        part: String,
    },
}

/// Checks `name`, the name of a `what` ("shard", "session", …).
pub(crate) fn check_name(what: &'static str, name: &str) -> Result<(), NameError> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        let length = name.len();
        return Err(NameError::Length { what, name: name.chars().take(64).collect(), length });
    }
    if let Some(character) = name.chars().find(|c| !c.is_ascii_graphic()) {
        return Err(NameError::Character { what, name: name.to_owned(), character });
    }
    match name.split('/').find(|part| matches!(*part, "" | "." | "..")) {
        Some(part) => Err(NameError::Part { what, name: name.to_owned(), part: part.to_owned() }),
        None => Ok(()),
    }
}

/// Longest name in bytes: a file name's limit (`NAME_MAX`, linux/limits.h), short enough for any backend's key.
pub(crate) const MAX_NAME_BYTES: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["a", "bridge/vab1", "host:gw1", "..a", "x".repeat(255).as_str()] {
            assert_eq!(check_name("shard", good), Ok(()), "{good}");
        }
        for (bad, text) in [
            ("", "shard name \"\" has 0 bytes: 1 to 255 are allowed"),
            ("a b", "shard name \"a b\" has ' ': printable ASCII without spaces is allowed"),
            ("ä", "shard name \"ä\" has 'ä': printable ASCII without spaces is allowed"),
            (
                "/a",
                "shard name \"/a\" has the part \"\": parts between slashes must not be empty, \".\" or \"..\"",
            ),
            (
                "a/../b",
                "shard name \"a/../b\" has the part \"..\": parts between slashes must not be empty, \".\" or \"..\"",
            ),
        ] {
            assert_eq!(check_name("shard", bad).map_err(|e| e.to_string()), Err(text.to_owned()));
        }
        assert!(check_name("shard", &"x".repeat(256)).is_err());
    }
}

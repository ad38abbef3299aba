//! Names and contents of shards: a [`ShardName`] says what a shard is about, a [`ShardId`] is what it says.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::sha256;
use crate::path::{NameError, check_name};

/// What a shard is about, such as `bridge/vub8` or `host/gw1`: 1 to 255 printable ASCII characters, parts separated by
/// slashes, no part empty, `.` or `..`. Stable over revisions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ShardName(String);

impl ShardName {
    /// Checks and takes `name`.
    ///
    /// # Errors
    /// [`NameError`] names the rule that `name` breaks.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        check_name("shard", &name).map(|()| Self(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ShardName {
    type Error = NameError;

    fn try_from(name: String) -> Result<Self, NameError> {
        Self::new(name)
    }
}

impl FromStr for ShardName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        Self::new(name)
    }
}

impl From<ShardName> for String {
    fn from(name: ShardName) -> Self {
        name.0
    }
}

impl fmt::Display for ShardName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The SHA-256 (FIPS 180-4) of a document's bytes: its address in the store, and the proof that they are whole. Written in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ShardId([u8; 32]);

impl ShardId {
    /// The id that a shard with this content has, on every backend.
    pub fn of(content: &[u8]) -> Self {
        Self(sha256(content))
    }

    /// The id with this hash.
    pub(crate) const fn from_bytes(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// The hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl TryFrom<String> for ShardId {
    type Error = &'static str;

    fn try_from(hex: String) -> Result<Self, Self::Error> {
        const WRONG: &str = "an id is 64 digits of 0-9 and a-f";
        let mut hash = [0; 32];
        let (pairs, []) = hex.as_bytes().as_chunks::<2>() else { return Err(WRONG) };
        if pairs.len() != hash.len() {
            return Err(WRONG);
        }
        for (byte, [high, low]) in hash.iter_mut().zip(pairs) {
            *byte = digit(*high).zip(digit(*low)).map(|(high, low)| high << 4 | low).ok_or(WRONG)?;
        }
        Ok(Self(hash))
    }
}

/// Lower case only: one id has one text.
fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

impl From<ShardId> for String {
    fn from(id: ShardId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ShardId({self})")
    }
}

/// Names, in order, and where each leads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Page {
    /// 0: an entry is a shard's name and the shard. Above: an entry is the last name of a page, and that page, which is one less deep.
    pub(crate) depth: u8,
    /// At most [`MOST_ENTRIES`](super::page::MOST_ENTRIES), but for the roots of format 1, which named every shard.
    pub(crate) entries: BTreeMap<ShardName, ShardId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_from_its_text_and_from_no_other() {
        let id = ShardId::of(b"abc");
        let text = id.to_string();
        assert_eq!(ShardId::try_from(text.clone()), Ok(id));
        for wrong in [
            text.to_uppercase(),
            text[2..].to_owned(),
            format!("{text}00"),
            text.replace('a', "g"),
            "é".repeat(32),
        ] {
            assert!(ShardId::try_from(wrong.clone()).is_err(), "{wrong}");
        }
    }
}

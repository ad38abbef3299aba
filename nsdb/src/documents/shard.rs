//! Names and contents of shards: a [`ShardName`] says what a shard is about, a [`ShardId`] is what it says.

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

/// The SHA-256 (FIPS 180-4) of a shard's bytes: its address in the store, and the proof that they are whole.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardId([u8; 32]);

impl ShardId {
    /// The id that a shard with this content has, on every backend.
    pub fn of(content: &[u8]) -> Self {
        Self(sha256(content))
    }

    /// The hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
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

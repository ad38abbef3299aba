//! What a host hears of the others, at a glance.

use serde::{Deserialize, Serialize};

/// The other hosts at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OthersView {
    /// How many there are.
    pub hosts: usize,
    /// How many of them are heard.
    pub heard: usize,
    /// The first of the others, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub silent: Vec<String>,
    /// Why none is reached: there is no tunnel port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_tunnel: Option<String>,
}

/// What hosts say to each other of addresses, at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedView {
    /// Segments that this host shares with others.
    pub segments: usize,
    /// Those of which it has heard all that was said.
    pub heard: usize,
    /// Addresses on them that some host says it has, this one's included.
    pub addresses: usize,
    /// Words of this host that the store has not taken yet.
    pub unsaid: usize,
    /// Why it did not take them when it was last asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

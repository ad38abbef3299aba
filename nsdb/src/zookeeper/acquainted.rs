//! What a host knows of a database from one start to the next.

use serde::{Deserialize, Serialize};

use crate::documents::layout::{decode_root, encode_root};
use crate::documents::revision::Root;
use crate::schema;

/// A database that was followed, and the newest root of it that was taken: what is there later is the same, and no older.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acquainted {
    /// The incarnation of the database.
    pub(super) incarnation: String,
    /// The newest root; `None` where it had none.
    pub(super) root: Option<Root>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    incarnation: String,
    /// As it lies in its node.
    root: Option<Vec<u8>>,
}

impl Acquainted {
    /// The stored form; `None` if its root has none, which no root that was read lacks.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let root = self.root.as_ref().map(encode_root).transpose().ok()?;
        schema::encode(VERSION, &Stored { incarnation: self.incarnation.clone(), root }).ok()
    }

    /// Reads what [`encode`](Self::encode) made; `None` of what is damaged or of a newer program.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let Stored { incarnation, root } = schema::decode(VERSION, bytes).ok()?;
        let root = root.map(|root| decode_root(&root)).transpose().ok()?;
        Some(Self { incarnation, root })
    }
}

const VERSION: u8 = 1;

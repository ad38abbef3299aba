//! How to read all of a store back.

use std::collections::BTreeMap;
use std::path::Path;

use nsdb::{
    Documents, DocumentsError, Embedded, EmbeddedOptions, Journal, JournalEntry, JournalError, Local,
    LocalError, Query, RevisionInfo, Root, ShardName, StoreError,
};

/// Everything that a store says.
#[derive(Debug, PartialEq)]
pub(crate) struct Everything {
    pub(crate) root: Option<Root>,
    pub(crate) shards: BTreeMap<ShardName, Vec<u8>>,
    /// Every revision that is kept, the newest among them, and its shards.
    pub(crate) history: Vec<(RevisionInfo, BTreeMap<ShardName, Vec<u8>>)>,
    pub(crate) journal: Vec<JournalEntry>,
    pub(crate) local: BTreeMap<String, Vec<u8>>,
}

pub(crate) fn open(dir: &Path) -> Result<Embedded, StoreError> {
    Embedded::open(dir, EmbeddedOptions::default())
}

/// Reads all there is, or says what is wrong with it.
pub(crate) async fn read(store: &Embedded) -> Result<Everything, StoreError> {
    let root = store.root().await.map_err(documents)?;
    let mut shards = BTreeMap::new();
    if let Some(root) = &root {
        shards = store.read_shards(root, &[""]).await.map_err(documents)?;
    }
    let mut history = Vec::new();
    for info in store.revisions().await.map_err(documents)? {
        let root =
            store.root_of(info.revision).await.map_err(documents)?.expect("a listed revision has a root");
        history.push((info, store.read_shards(&root, &[""]).await.map_err(documents)?));
    }
    let query = Query { newest: usize::MAX, ..Query::default() };
    let journal = store.query(query).await.map_err(|error| match error {
        JournalError::Store(error) => error,
        other => panic!("{other}"),
    })?;
    let mut local = BTreeMap::new();
    for key in store.keys("").await.map_err(locals)? {
        let value = store.load(&key).await.map_err(locals)?;
        local.insert(key, value.expect("a listed key has a value"));
    }
    Ok(Everything { root, shards, history, journal, local })
}

fn documents(error: DocumentsError) -> StoreError {
    match error {
        DocumentsError::Store(error) => error,
        other => panic!("{other}"),
    }
}

fn locals(error: LocalError) -> StoreError {
    match error {
        LocalError::Store(error) => error,
        other => panic!("{other}"),
    }
}

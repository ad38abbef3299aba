//! How an operator says that a database is meant which hosts do not follow by themselves.
//!
//! The database gets a new incarnation, which is in the place of the one that hosts knew and of its own before: so whoever knows the
//! database as it is goes on with it. Since no database has been in the place of a number that was never there, no two are ever in each
//! other's: a copy of the one before is not followed by who has come to this one.

use crate::documents::layout::decode_root;
use crate::documents::revision::RevisionInfo;
use crate::error::StoreError;
use crate::zookeeper::coordinator::Coordinator;
use crate::zookeeper::documents::ROOT;
use crate::zookeeper::ground::{STORE, StoreNode, error, read};
use crate::zookeeper::refusal::Refusal;

/// What came of accepting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptance {
    /// What the database says of itself now.
    pub store: StoreNode,
    /// The newest revision that is there; `None` where there is none yet.
    pub newest: Option<RevisionInfo>,
    /// Whether something had to be written.
    pub is_new: bool,
}

/// Lets all hosts that knew the database `known` follow the one that is there, with the revision that it has now.
///
/// # Errors
/// `known` is not how an incarnation is written; there is no database; its newest revision cannot be read; the login may not change it;
/// somebody else changed it at the same time; the ensemble does not answer.
pub async fn accept(coordinator: &Coordinator, known: &str) -> Result<Acceptance, StoreError> {
    let unaccepted = |why: String| StoreError::Unaccepted {
        root: coordinator.settings().full_path("/"),
        servers: coordinator.settings().ensemble(),
        why,
    };
    if known.len() != INCARNATION_DIGITS || !known.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let what = format!(
            "\"{known}\" is no incarnation: {INCARNATION_DIGITS} hexadecimal digits, as hosts tell it"
        );
        return Err(unaccepted(what));
    }
    let known = &*known.to_ascii_lowercase();
    // Somebody else may have accepted one a moment ago.
    coordinator.catch_up().await.map_err(error(coordinator, "read", STORE))?;
    let (mut store, version) = read(coordinator).await?;
    let newest = newest(coordinator).await?;
    if store.incarnation != known && store.replaces.iter().any(|name| name == known) {
        return Ok(Acceptance { store, newest, is_new: false });
    }
    let own = std::mem::replace(&mut store.incarnation, new_incarnation());
    if own != known {
        store.replaces.push(known.to_owned());
    }
    store.replaces.push(own);
    let too_old = store.replaces.len().saturating_sub(MOST_REPLACED);
    store.replaces.drain(..too_old);
    let bytes = serde_json::to_vec(&store).map_err(|error| unaccepted(error.to_string()))?;
    match coordinator.write(STORE, &bytes, Some(version)).await {
        Ok(_) => Ok(Acceptance { store, newest, is_new: true }),
        Err(Refusal::BadVersion) => Err(unaccepted("somebody else changed it at the same time".to_owned())),
        Err(refusal) => Err(error(coordinator, "write", STORE)(refusal)),
    }
}

/// The newest revision, which must be one that hosts can read.
async fn newest(coordinator: &Coordinator) -> Result<Option<RevisionInfo>, StoreError> {
    let Some((bytes, _)) = coordinator.read(ROOT).await.map_err(error(coordinator, "read", ROOT))? else {
        return Ok(None);
    };
    let unreadable = |why: String| {
        let path = coordinator.settings().full_path(ROOT).into();
        StoreError::Unexpected { doing: "read", path, why }
    };
    let root = decode_root(&bytes).map_err(|error| unreadable(error.to_string()))?;
    Ok(Some(RevisionInfo::from(&root)))
}

/// A number by chance: RFC 9562, section 5.4, without its dashes.
pub(super) fn new_incarnation() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

const INCARNATION_DIGITS: usize = 32;
/// A host that was away for longer than so many acceptances has to be told once more.
const MOST_REPLACED: usize = 64;

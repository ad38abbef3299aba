//! Revisions: which there are, what one declares, and publishing another.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use nsdb::{Revision, RevisionInfo, Store};
use serde::{Deserialize, Serialize};
use vlan::model::numbers::Numbers;

use super::{Admin, failure, rejected, stopping};
use crate::documents::{FileText, Stored};
use crate::door::DoorError;
use crate::socket::Peer;
use crate::topology::{self, Newest, TopologyError};
use crate::tree::{Sources, Tree};

/// A revision, as the socket gives it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Published {
    /// Its number; 0 for an empty store.
    pub revision: u64,
    /// What it declares.
    pub topology: Tree,
    /// The numbers that were dealt out up to it, as whoever publishes the next has to heed them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Numbers>,
    /// The file that it was published from, if it was and its text was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<FileText>,
    /// Where its objects came from: those that did not from the daemon's own file.
    #[serde(default, skip_serializing_if = "Sources::is_empty")]
    pub sources: Sources,
    /// The host of which it is the share, where it is not all of the revision but what that host has kept of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_of: Option<String>,
}

impl Published {
    /// All of a revision.
    fn whole(revision: u64, stored: Stored) -> Published {
        let topology = Tree::from(&stored.description);
        let Stored { numbers, text, sources, .. } = stored;
        Published { revision, topology, numbers, text, sources, share_of: None }
    }
}

/// Who published a revision, when and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionView {
    /// Its number.
    pub revision: u64,
    /// When, in milliseconds since 1970 by the publisher's wall clock.
    pub at_ms: u64,
    /// Who: the user that connected, or `file` for the daemon's own.
    pub author: String,
    /// What about, in the publisher's words.
    pub note: String,
    /// Why nothing else is known of it, if what is stored of it cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
    /// Of the newest: which of its objects did not come from the daemon's own file as they are, with their origins and authors.
    #[serde(default, skip_serializing_if = "Sources::is_empty")]
    pub sources: Sources,
}

impl From<RevisionInfo> for RevisionView {
    fn from(info: RevisionInfo) -> RevisionView {
        let RevisionInfo { revision, author, at, note, unreadable } = info;
        let (revision, at_ms, sources) = (revision.get(), at.as_millis(), Sources::default());
        RevisionView { revision, at_ms, author, note, unreadable, sources }
    }
}

/// The revisions that are kept, the newest first.
pub(super) async fn known(State(admin): State<Admin>) -> Response {
    let here = tokio::runtime::Handle::current();
    let read = move || match here.block_on(list(&admin.store)) {
        Ok(known) => Json(known).into_response(),
        Err(error) => failure(read_status(&error), error.to_string()),
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| stopping())
}

async fn list(store: &Store) -> Result<Vec<RevisionView>, TopologyError> {
    let known = topology::revisions(store).await?;
    let mut known: Vec<RevisionView> = known.into_iter().map(RevisionView::from).collect();
    // The list is there without it too, and one that has come in between is in the next list.
    let newest = topology::newest(store).await.ok().flatten();
    if let (Some(first), Some(Newest { revision, stored: Ok(stored) })) = (known.first_mut(), newest)
        && first.revision == revision.get()
    {
        first.sources = stored.sources;
    }
    Ok(known)
}

/// The newest revision.
pub(super) async fn newest(State(admin): State<Admin>) -> Response {
    let store = admin.store;
    read(async move { topology::newest(&store).await }, None).await
}

/// What this host has kept of the revision in force, for as long as the store is away.
pub(super) async fn kept(State(admin): State<Admin>) -> Response {
    let host = admin.door.host().to_owned();
    let here = tokio::runtime::Handle::current();
    let read = move || match here.block_on(topology::kept_of(&admin.store, &host)) {
        Some(Newest { revision, stored: Ok(stored) }) => {
            let whole = Published::whole(revision.get(), stored);
            Json(Published { share_of: Some(host), ..whole }).into_response()
        }
        _ => failure(StatusCode::NOT_FOUND, format!("host {host} has kept nothing of a revision")),
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| stopping())
}

/// One of those that are kept.
pub(super) async fn one(State(admin): State<Admin>, Path(number): Path<String>) -> Response {
    // `01` and `+1` would be a second name of the same.
    let canonical = number.parse().ok().filter(|parsed: &u64| parsed.to_string() == number);
    let Some(revision) = canonical.and_then(Revision::new) else {
        let number = vlan::model::value::quote(&number);
        return failure(
            StatusCode::BAD_REQUEST,
            format!("{number} is no revision, allowed are numbers from 1"),
        );
    };
    let store = admin.store;
    read(async move { topology::of(&store, revision).await }, Some(revision)).await
}

/// A large topology is read and written on a thread that nobody waits for.
async fn read(
    asked: impl Future<Output = Result<Option<Newest>, TopologyError>> + Send + 'static,
    revision: Option<Revision>,
) -> Response {
    let here = tokio::runtime::Handle::current();
    let read = move || match (here.block_on(asked), revision) {
        (Ok(Some(Newest { revision, stored: Ok(stored) })), _) => {
            Json(Published::whole(revision.get(), stored)).into_response()
        }
        (Ok(Some(Newest { revision, stored: Err(why) })), _) => {
            let error = format!("revision {revision} in the store cannot be read: {why}");
            failure(StatusCode::INTERNAL_SERVER_ERROR, error)
        }
        (Ok(None), None) => Json(Published::whole(0, Stored::default())).into_response(),
        (Ok(None), Some(revision)) => {
            let error =
                format!("revision {revision} is not kept; `l2gw show revisions` lists those that are");
            failure(StatusCode::NOT_FOUND, error)
        }
        (Err(error), _) => failure(read_status(&error), error.to_string()),
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| stopping())
}

fn read_status(error: &TopologyError) -> StatusCode {
    match error {
        TopologyError::Away { .. } => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Publishes what whoever is connected proposes.
pub(super) async fn publish(
    State(admin): State<Admin>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return rejected(rejection.status(), rejection.body_text()),
    };
    match admin.door.publish_text(body, peer.in_words()).await {
        Ok(accepted) => Json(accepted).into_response(),
        Err(error) => failure(refusal_status(&error), error.to_string()),
    }
}

fn refusal_status(error: &DoorError) -> StatusCode {
    match error {
        error if error.is_conflict() => StatusCode::CONFLICT,
        error if error.is_wrong() => StatusCode::UNPROCESSABLE_ENTITY,
        DoorError::Unreadable(_) => StatusCode::BAD_REQUEST,
        DoorError::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        DoorError::Topology(error) => read_status(error),
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

//! Revisions: which there are, what one declares, publishing another, and confirming the newest.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use nsdb::Revision;

use super::{Admin, Body, failure, rejected, stopping};
use crate::door::{Confirmation, DoorError};
use crate::revisions::{self, Published, Unconfirmed, Unshown};
use crate::socket::Peer;
use crate::topology::{self, Newest, TopologyError};

/// The revisions that are kept, the newest first.
pub(super) async fn known(State(admin): State<Admin>) -> Response {
    let here = tokio::runtime::Handle::current();
    let waits = Unconfirmed::here(&admin.door.built());
    let read = move || match here.block_on(revisions::known(&admin.store)) {
        Ok(mut known) => {
            if let Some((newest, waits)) = known.first_mut().zip(waits)
                && newest.revision == waits.revision
            {
                newest.seconds_left = waits.seconds_left;
            }
            Json(known).into_response()
        }
        Err(error) => failure(read_status(&error), error.to_string()),
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| stopping())
}

/// The newest revision.
pub(super) async fn newest(State(admin): State<Admin>) -> Response {
    let store = admin.store;
    read(async move { revisions::newest(&store).await }).await
}

/// What this host has kept of the revision in force, for as long as the store is away.
pub(super) async fn kept(State(admin): State<Admin>) -> Response {
    let host = admin.door.host().unwrap_or_default().to_owned();
    let here = tokio::runtime::Handle::current();
    let read = move || match here.block_on(topology::kept_of(&admin.store, &host)) {
        Some(Newest { revision, stored: Ok(stored), .. }) => {
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
    read(async move { revisions::one(&store, revision).await }).await
}

/// A large topology is read and written on a thread that nobody waits for.
async fn read(asked: impl Future<Output = Result<Published, Unshown>> + Send + 'static) -> Response {
    let here = tokio::runtime::Handle::current();
    let read = move || match here.block_on(asked) {
        Ok(published) => Json(published).into_response(),
        Err(error) => failure(unshown_status(&error), error.to_string()),
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| stopping())
}

fn unshown_status(error: &Unshown) -> StatusCode {
    match error {
        Unshown::NotKept(_) => StatusCode::NOT_FOUND,
        Unshown::Unreadable { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        Unshown::Store(error) => read_status(error),
    }
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

/// Lets the revision that waits for its confirmation stay.
pub(super) async fn confirm(
    State(admin): State<Admin>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Body(confirmation): Body<Confirmation>,
) -> Response {
    match admin.door.confirm(confirmation, peer.in_words()).await {
        Ok(accepted) => Json(accepted).into_response(),
        Err(error) => failure(refusal_status(&error), error.to_string()),
    }
}

fn refusal_status(error: &DoorError) -> StatusCode {
    match error {
        error if error.is_conflict() => StatusCode::CONFLICT,
        // Not a conflict: trying again at once is of no use.
        DoorError::Waits { .. } => StatusCode::LOCKED,
        DoorError::NothingToConfirm { .. } => StatusCode::CONFLICT,
        error if error.is_wrong() => StatusCode::UNPROCESSABLE_ENTITY,
        DoorError::Unreadable(_) => StatusCode::BAD_REQUEST,
        DoorError::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        DoorError::Topology(error) => read_status(error),
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

//! The hosts, and which of them are there.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{Admin, failure};
use crate::hosts::{self, HostsError};
use crate::runtime::ask;
use crate::topology::TopologyError;
use crate::view::StatusView;

/// The hosts of the newest revision, and those that have a session.
pub(super) async fn all(State(admin): State<Admin>) -> Response {
    let own = ask(&admin.requests, |engine, now| engine.view().status(now)).await;
    match hosts::all(&admin.store).await {
        Ok(mut all) => {
            if let Some(StatusView { host, namesake, .. }) = own {
                all.note_namesake(&host, namesake);
            }
            Json(all).into_response()
        }
        Err(error) => failure(status_of(&error), error.to_string()),
    }
}

fn status_of(error: &HostsError) -> StatusCode {
    match error {
        HostsError::Topology(TopologyError::Away { .. }) => StatusCode::SERVICE_UNAVAILABLE,
        HostsError::Sessions(error) if error.is_retryable() => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

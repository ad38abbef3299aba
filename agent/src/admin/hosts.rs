//! The hosts, and which of them are there.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{Admin, failure};
use crate::hosts::{self, HostsError};
use crate::topology::TopologyError;

/// The hosts of the newest revision, and those that have a session.
pub(super) async fn all(State(admin): State<Admin>) -> Response {
    match hosts::all(&admin.store).await {
        Ok(hosts) => Json(hosts).into_response(),
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

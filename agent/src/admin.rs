//! The daemon's socket: HTTP and JSON under `/v1/` on a Unix socket, and metrics in Prometheus text format.
//!
//! | method and path | answer |
//! |---|---|
//! | GET `/v1/status` | the whole at a glance ([`crate::view`]) |
//! | GET `/v1/ports`, `/v1/trunks`, `/v1/bridges`, `/v1/macs`, `/v1/flows`, `/v1/counters` | lists, with `?port=`, `vlan=`, `mac=`, `down=`, `sort=`, `limit=` ([`crate::list`]) |
//! | GET `/v1/events?newest=100` | the newest events of the journal, the oldest of them first |
//! | GET `/v1/topology` | the newest revision, in the words of the file ([`crate::tree`]) |
//! | GET `/v1/hosts` | the hosts of the newest revision, which of them are there, and what they say of themselves ([`crate::hosts`]) |
//! | GET `/v1/revisions`, `/v1/revisions/7` | the revisions that are kept, the newest first; what one of them declares |
//! | POST `/v1/topology` | publishes a revision ([`crate::door`]); 409 if another came first, 422 if it does not build, is too large or takes away this host, 423 while the newest waits for its confirmation |
//! | POST `/v1/confirm` | the newest revision, which waits for its confirmation, stays; 409 if it does not wait |
//! | POST `/v1/trace` | what the running switch would do with a frame; nothing is learned |
//! | POST `/v1/command` | an operator's command |
//! | GET `/metrics` | counters |
//!
//! A query, or a key of one, that a path does not take is refused (400), like a key of a body.
//! Errors are `{"error": "…"}` with a fitting status. While the daemon starts, every answer is 503 with what it is at.

mod costs;
mod hosts;
mod revisions;

use std::fmt::{Debug, Write as _};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::connect_info::Connected;
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Query, Request as AxumRequest, State};
use axum::http::header::ALLOW;
use axum::http::{StatusCode, Uri};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::{IncomingStream, Listener};
use axum::{Json, Router};
use nsdb::Store;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use vlan::model::shown::beginning;

use crate::door::{Door, body, unread};
use crate::engine::show::NoCommand;
use crate::input::Command;
use crate::journal;
use crate::list::{self, Asked, ListError, Listed};
use crate::revisions::Unconfirmed;
use crate::runtime::{Request, ask};
use crate::socket::Peer;
use crate::view::{CounterView, FlowView, MacView, PortView, StatusView, TrunkView};

/// What the handlers need.
#[derive(Clone)]
pub struct Admin {
    /// To the task that owns the engine.
    pub requests: mpsc::Sender<Request>,
    /// The shared store.
    pub store: Arc<Store>,
    /// By which revisions come in.
    pub door: Arc<Door>,
    /// What the daemon's start is at; `None` once there is an engine to ask.
    pub starting: watch::Receiver<Option<&'static str>>,
}

/// A frame to be traced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceQuestion {
    /// The arrival port.
    pub port: String,
    /// The frame's bytes.
    pub frame: Vec<u8>,
}

/// An error, as the socket gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What, which value, where, what is allowed.
    pub error: String,
}

/// Answers on a socket until the task is dropped.
///
/// # Errors
/// The socket itself fails.
pub async fn serve<L: Listener<Addr: Debug>>(socket: L, admin: Admin) -> std::io::Result<()>
where
    Peer: for<'a> Connected<IncomingStream<'a, L>>,
{
    axum::serve(socket, router(admin).into_make_service_with_connect_info::<Peer>()).await
}

fn router(admin: Admin) -> Router {
    let without_query = Router::new()
        .route("/v1/status", get(status))
        .route("/v1/topology", get(revisions::newest).post(revisions::publish))
        .route("/v1/topology/kept", get(revisions::kept))
        .route("/v1/hosts", get(hosts::all))
        .route("/v1/confirm", post(revisions::confirm))
        .route("/v1/revisions", get(revisions::known))
        .route("/v1/revisions/{revision}", get(revisions::one))
        .route("/v1/trace", post(trace))
        .route("/v1/command", post(command))
        .route("/metrics", get(metrics))
        .route_layer(from_fn(no_query));
    Router::new()
        .merge(without_query)
        .route("/v1/ports", get(listed::<PortView>))
        .route("/v1/trunks", get(listed::<TrunkView>))
        .route("/v1/bridges", get(bridges))
        .route("/v1/macs", get(listed::<MacView>))
        .route("/v1/flows", get(listed::<FlowView>))
        .route("/v1/counters", get(counters))
        .route("/v1/events", get(events))
        .fallback(|| async {
            failure(StatusCode::NOT_FOUND, "there is nothing here; see /v1/status".to_owned())
        })
        .method_not_allowed_fallback(not_allowed)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(admin.clone(), once_started))
        .with_state(admin)
}

/// Before there is an engine, whoever asks is told what the start is at.
async fn once_started(State(admin): State<Admin>, request: AxumRequest, next: Next) -> Response {
    let step = *admin.starting.borrow();
    match step {
        None => next.run(request).await,
        Some(step) => {
            failure(StatusCode::SERVICE_UNAVAILABLE, format!("the daemon is starting: {step}; ask again"))
        }
    }
}

/// Refuses a query where none is taken: what is passed over may be what was meant.
async fn no_query(request: AxumRequest, next: Next) -> Response {
    match request.uri().query() {
        None | Some("") => next.run(request).await,
        Some(query) => {
            let (path, query) = (request.uri().path(), beginning(query, MOST_REPEATED));
            failure(StatusCode::BAD_REQUEST, format!("{path} takes no query, and was given ?{query}"))
        }
    }
}

/// A query that cannot be understood.
fn wrong_query(rejection: &QueryRejection) -> Response {
    failure(StatusCode::BAD_REQUEST, unread::of_query(&rejection.body_text()))
}

/// Says by which methods a path can be asked (RFC 9110 15.5.6).
async fn not_allowed(uri: Uri) -> Response {
    let path = uri.path();
    let (methods, words) = match path {
        "/v1/topology" => ("GET, HEAD, POST", "read by GET and written by POST"),
        "/v1/trace" | "/v1/command" | "/v1/confirm" => ("POST", "asked by POST, with JSON"),
        _ => ("GET, HEAD", "read by GET"),
    };
    let answer =
        failure(StatusCode::METHOD_NOT_ALLOWED, format!("{path} is {words}, and by no other method"));
    ([(ALLOW, methods)], answer).into_response()
}

/// What the engine says, and what it does not know.
async fn status(State(admin): State<Admin>) -> Response {
    match ask(&admin.requests, |engine, now| engine.view().status(now)).await {
        Some(status) => {
            let unconfirmed = Unconfirmed::here(&admin.door.built());
            Json(StatusView { unconfirmed, ..status }).into_response()
        }
        None => stopping(),
    }
}

/// What is asked of a list.
type AskedOf = Result<Query<Asked>, QueryRejection>;

async fn listed<T: Listed>(State(admin): State<Admin>, asked: AskedOf) -> Response {
    match asked {
        Ok(Query(asked)) => written(list::list::<T>(&admin.requests, &asked).await).await,
        Err(rejection) => wrong_query(&rejection),
    }
}

async fn bridges(State(admin): State<Admin>, asked: AskedOf) -> Response {
    match asked {
        Ok(Query(asked)) => written(list::bridges(&admin.requests, &asked).await).await,
        Err(rejection) => wrong_query(&rejection),
    }
}

/// Those of the engine, and what the store that is shared has cost: not where a port or a VLAN is asked about.
async fn counters(State(admin): State<Admin>, asked: AskedOf) -> Response {
    let asked = match asked {
        Ok(Query(asked)) => asked,
        Err(rejection) => return wrong_query(&rejection),
    };
    let mut rows = list::list::<CounterView>(&admin.requests, &asked).await;
    if let (Ok(rows), None, None) = (&mut rows, &asked.port, &asked.vlan) {
        rows.extend(costs::of(&admin.store));
        rows.truncate(asked.limit.unwrap_or(usize::MAX));
    }
    written(rows).await
}

/// A list as JSON. A long one is written on a thread that nobody waits for.
async fn written<T: Serialize + Send + 'static>(list: Result<Vec<T>, ListError>) -> Response {
    let rows = match list {
        Ok(rows) => rows,
        Err(error) => return failure(status_of(&error), error.to_string()),
    };
    tokio::task::spawn_blocking(move || Json(rows).into_response()).await.unwrap_or_else(|_| stopping())
}

fn status_of(error: &ListError) -> StatusCode {
    match error {
        ListError::Wrong(_) => StatusCode::BAD_REQUEST,
        ListError::NoPort(_) => StatusCode::NOT_FOUND,
        ListError::Stopping => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// What is asked of the journal.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewestEvents {
    /// How many.
    #[serde(default = "usual_number")]
    newest: usize,
}

fn usual_number() -> usize {
    nsdb::Query::default().newest
}

async fn events(State(admin): State<Admin>, asked: Result<Query<NewestEvents>, QueryRejection>) -> Response {
    let Query(NewestEvents { newest }) = match asked {
        Ok(asked) => asked,
        Err(rejection) => return wrong_query(&rejection),
    };
    if newest > MAX_EVENTS {
        let error = format!("newest is {newest}, allowed are at most {MAX_EVENTS}");
        return failure(StatusCode::BAD_REQUEST, error);
    }
    match journal::read(&admin.store, newest).await {
        Ok(events) => Json(events).into_response(),
        Err(error) => failure(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

async fn trace(State(admin): State<Admin>, Body(question): Body<TraceQuestion>) -> Response {
    let TraceQuestion { port, frame } = question;
    let asked = frame.clone();
    match ask(&admin.requests, move |engine, now| engine.view().trace(now, &port, &asked)).await {
        Some(Ok(traced)) => Json(traced.view(&frame)).into_response(),
        Some(Err(error)) => failure(StatusCode::NOT_FOUND, error),
        None => stopping(),
    }
}

async fn command(State(admin): State<Admin>, Body(command): Body<Command>) -> Response {
    let command = match ask(&admin.requests, move |engine, _| engine.view().understand(command)).await {
        Some(Ok(command)) => command,
        Some(Err(NoCommand::NoPort(error))) => return failure(StatusCode::NOT_FOUND, error),
        Some(Err(NoCommand::Pointless(error))) => return failure(StatusCode::CONFLICT, error),
        None => return stopping(),
    };
    match admin.requests.send(Request::Command(command)).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(_) => stopping(),
    }
}

async fn metrics(State(admin): State<Admin>) -> Response {
    let counters: Vec<CounterView> = match list::list(&admin.requests, &Asked::default()).await {
        Ok(counters) => counters.into_iter().chain(costs::of(&admin.store)).collect(),
        Err(error) => return failure(status_of(&error), error.to_string()),
    };
    let text = tokio::task::spawn_blocking(move || prometheus(&counters)).await;
    text.map_or_else(|_| stopping(), IntoResponse::into_response)
}

/// Counters in the Prometheus text exposition format 0.0.4.
pub fn prometheus(counters: &[CounterView]) -> String {
    let mut sorted: Vec<&CounterView> = counters.iter().collect();
    sorted.sort_by(|a, b| (&a.name, &a.labels).cmp(&(&b.name, &b.labels)));
    let (mut text, mut family) = (String::new(), "");
    for counter in sorted {
        if counter.name != family {
            family = &counter.name;
            let _ = writeln!(text, "# TYPE {family} counter");
        }
        let labels: Vec<String> =
            counter.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(text, "{}{labels} {}", counter.name, counter.value);
    }
    text
}

/// The JSON body of a request; what is wrong with it is told like every other error.
struct Body<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Response;

    async fn from_request(request: AxumRequest, state: &S) -> Result<Body<T>, Response> {
        let bytes = Bytes::from_request(request, state).await;
        let bytes = bytes.map_err(|rejection| rejected(rejection.status(), rejection.body_text()))?;
        body::read("the body", &bytes).map(Body).map_err(|why| failure(StatusCode::BAD_REQUEST, why))
    }
}

/// A body that cannot be taken.
fn rejected(status: StatusCode, why: String) -> Response {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => failure(status, format!("the body is longer than {MAX_BODY} bytes")),
        _ => failure(StatusCode::BAD_REQUEST, why),
    }
}

fn stopping() -> Response {
    failure(StatusCode::SERVICE_UNAVAILABLE, "the daemon is stopping".to_owned())
}

fn failure(status: StatusCode, error: String) -> Response {
    (status, Json(ErrorBody { error })).into_response()
}

/// Longest body of a request: a description of 4 094 VLANs is about 1 MiB.
const MAX_BODY: usize = 16 << 20;
/// Characters of a query that are repeated.
const MOST_REPEATED: usize = 64;
/// Events in one answer.
const MAX_EVENTS: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_grouped_by_family() {
        let counter = |name: &str, port: &str, value| CounterView {
            name: name.to_owned(),
            labels: vec![("port".to_owned(), port.to_owned())],
            value,
        };
        let text =
            prometheus(&[counter("b_total", "x", 1), counter("a_total", "y", 2), counter("b_total", "a", 3)]);
        let expected = "# TYPE a_total counter\na_total{port=\"y\"} 2\n# TYPE b_total counter\n\
                        b_total{port=\"a\"} 3\nb_total{port=\"x\"} 1\n";
        assert_eq!(text, expected);
    }
}

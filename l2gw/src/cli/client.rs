//! The daemon's socket, seen from the command line.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::cli::{BAD_CONFIGURATION, FAILED, WRONG_USAGE};

/// Why the daemon did not answer as asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers.
    #[error("{socket}: no daemon answers here ({source}); is `l2gw run` running, with this --socket?")]
    NoDaemon {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is a socket, and it is not for this user.
    #[error(
        "{socket}: no permission: it is for root and {}; become one of them (`usermod -aG`), or use sudo",
        group_of(socket)
    )]
    NoPermission {
        /// The socket.
        socket: PathBuf,
    },
    /// The connection broke.
    #[error("{socket}: the daemon broke off: {cause}")]
    Broken {
        /// The socket.
        socket: PathBuf,
        /// Why.
        cause: String,
    },
    /// The daemon refused; these are its words.
    #[error("{message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// What it said.
        message: String,
    },
}

impl ClientError {
    /// How the command ends: what names an object that is not there is wrong usage, what does not build is bad configuration.
    pub fn exit_code(&self) -> u8 {
        match self {
            ClientError::Refused { status: 400 | 404, .. } => WRONG_USAGE,
            ClientError::Refused { status: 422, .. } => BAD_CONFIGURATION,
            _ => FAILED,
        }
    }
}

/// A daemon behind a socket.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// For the daemon at `socket`; nothing is opened yet.
    pub fn new(socket: &Path) -> Client {
        Client { socket: socket.to_owned() }
    }

    /// Asks and reads the JSON answer.
    ///
    /// # Errors
    /// No daemon, a broken connection, or the daemon refused.
    pub fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let bytes = self.exchange(Method::GET, path, Vec::new())?;
        serde_json::from_slice(&bytes)
            .map_err(|error| self.broken(format!("its answer to {path} cannot be read: {error}")))
    }

    /// Sends JSON and reads the JSON answer.
    ///
    /// # Errors
    /// As for [`Client::read`].
    pub fn send<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| self.broken(error.to_string()))?;
        let bytes = self.exchange(Method::POST, path, body)?;
        let bytes = if bytes.is_empty() { Bytes::from_static(b"null") } else { bytes };
        serde_json::from_slice(&bytes)
            .map_err(|error| self.broken(format!("its answer to {path} cannot be read: {error}")))
    }

    fn exchange(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Bytes, ClientError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| self.broken(error.to_string()))?;
        runtime.block_on(self.exchange_async(method, path, body))
    }

    async fn exchange_async(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Bytes, ClientError> {
        let stream = UnixStream::connect(&self.socket).await;
        let stream = stream.map_err(|source| self.unreachable(source))?;
        let broken = |error: hyper::Error| self.broken(error.to_string());
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "l2gw")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| self.broken(error.to_string()))?;
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status();
        let bytes = response.into_body().collect().await.map_err(broken)?.to_bytes();
        if status.is_success() { Ok(bytes) } else { Err(refused(status, &bytes)) }
    }

    fn unreachable(&self, source: std::io::Error) -> ClientError {
        let socket = self.socket.clone();
        match source.kind() {
            std::io::ErrorKind::PermissionDenied => ClientError::NoPermission { socket },
            _ => ClientError::NoDaemon { socket, source },
        }
    }

    fn broken(&self, cause: String) -> ClientError {
        ClientError::Broken { socket: self.socket.clone(), cause }
    }
}

/// The group that may use a socket, as far as can be seen: a directory on the way may hide it.
fn group_of(socket: &Path) -> String {
    let Ok(metadata) = std::fs::metadata(socket) else { return "the group of its directory".to_owned() };
    let gid = metadata.gid();
    let group = nix::unistd::Group::from_gid(nix::unistd::Gid::from_raw(gid)).ok().flatten();
    group.map_or_else(|| format!("group {gid}"), |group| format!("group {}", group.name))
}

fn refused(status: StatusCode, bytes: &[u8]) -> ClientError {
    let said = serde_json::from_slice::<agent::admin::ErrorBody>(bytes).map(|body| body.error);
    let message = said.unwrap_or_else(|_| format!("the daemon refused with status {status}"));
    ClientError::Refused { status: status.as_u16(), message }
}

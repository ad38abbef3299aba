//! The daemon's socket, seen from the command line.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

use crate::cli::{BAD_CONFIGURATION, FAILED, WRONG_USAGE};

/// Why the daemon did not answer as asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers.
    #[error(
        "{socket}: no daemon answers here ({source}); is `l2gw run` or `l2gw-agent` running, with this --socket?"
    )]
    NoDaemon {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: io::Error,
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
    /// The daemon has the question, and says nothing.
    #[error(
        "{socket}: the daemon has not answered for {seconds} s: is it stopped (SIGSTOP), or very busy? its log says more"
    )]
    Silent {
        /// The socket.
        socket: PathBuf,
        /// How long it was waited for.
        seconds: u64,
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
    /// Whether the daemon has what was asked for, and cannot give it now: it starts or stops, or its store is away.
    pub fn is_for_now(&self) -> bool {
        matches!(self, ClientError::Refused { status: 503, .. })
    }

    /// Whether somebody else published in between.
    pub fn is_conflict(&self) -> bool {
        matches!(self, ClientError::Refused { status: 409, .. })
    }

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
    /// How long an answer may take.
    patience: Duration,
}

impl Client {
    /// For the daemon at `socket`; nothing is opened yet.
    pub fn new(socket: &Path) -> Client {
        Client { socket: socket.to_owned(), patience: PATIENCE }
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
        runtime.block_on(async {
            let exchange = self.exchange_async(method, path, body);
            let silent =
                ClientError::Silent { socket: self.socket.clone(), seconds: self.patience.as_secs() };
            tokio::time::timeout(self.patience, exchange).await.unwrap_or(Err(silent))
        })
    }

    async fn exchange_async(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Bytes, ClientError> {
        let stream = UnixStream::connect(&self.socket).await;
        let stream = stream.map_err(|source| self.unreachable(source))?;
        let broken = |error: hyper::Error| self.broken(error.to_string());
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(ReadOn(stream))).await.map_err(broken)?;
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

    fn unreachable(&self, source: io::Error) -> ClientError {
        let socket = self.socket.clone();
        match source.kind() {
            io::ErrorKind::PermissionDenied => ClientError::NoPermission { socket },
            _ => ClientError::NoDaemon { socket, source },
        }
    }

    fn broken(&self, cause: String) -> ClientError {
        ClientError::Broken { socket: self.socket.clone(), cause }
    }
}

/// A connection that is still read when its peer takes nothing more. A daemon that refuses a request by its head says why, and closes
/// while the body is still on its way.
struct ReadOn(UnixStream);

impl AsyncRead for ReadOn {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl AsyncWrite for ReadOn {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.0).poll_write(context, bytes) {
            Poll::Ready(Err(error)) if is_closed(&error) => Poll::Ready(Ok(bytes.len())),
            written => written,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
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

/// How long an answer may take: the largest proposal is checked in some seconds, and a store that is away is waited for ten.
const PATIENCE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    use super::*;

    /// A daemon that answers to the head of a request and closes.
    fn daemon(socket: &Path, answer: &'static str) -> std::thread::JoinHandle<()> {
        let listener = UnixListener::bind(socket).unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 16];
            stream.read_exact(&mut head).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        })
    }

    #[test]
    fn what_a_daemon_says_of_a_body_that_it_does_not_read_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("socket");
        let body = r#"{"error":"the body is longer than 16777216 bytes"}"#;
        let answer: &str = Box::leak(
            format!("HTTP/1.1 413 Payload Too Large\r\ncontent-length: {}\r\n\r\n{body}", body.len())
                .into_boxed_str(),
        );
        let daemon = daemon(&socket, answer);
        let said = Client::new(&socket).send::<()>("/v1/topology", &"x".repeat(32 << 20)).unwrap_err();
        daemon.join().unwrap();
        assert_eq!(said.to_string(), "the body is longer than 16777216 bytes");
        assert!(matches!(said, ClientError::Refused { status: 413, .. }), "{said:?}");
    }

    #[test]
    fn a_daemon_that_breaks_off_without_a_word_is_told_so() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("socket");
        let daemon = daemon(&socket, "");
        let said = Client::new(&socket).send::<()>("/v1/topology", &"x".repeat(32 << 20)).unwrap_err();
        daemon.join().unwrap();
        assert!(said.to_string().contains("the daemon broke off"), "{said}");
    }

    #[test]
    fn a_daemon_that_says_nothing_is_not_waited_for_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("socket");
        let _stopped = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let client = Client { patience: Duration::from_millis(50), ..Client::new(&socket) };
        let said = client.read::<()>("/v1/status").unwrap_err();
        assert!(matches!(said, ClientError::Silent { .. }), "{said}");
        assert_eq!(said.exit_code(), crate::cli::FAILED);
    }
}

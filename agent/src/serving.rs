//! The socket's task, from its opening to the daemon's end.
//!
//! ```text
//! opened ─► "the file is being published" ─► "the datapath is being opened" ─► the engine answers ─► end
//! ```
//! Until there is an engine, every question gets at once what the start is at: nobody waits, and nobody takes a start for a fault.

use std::sync::Arc;

use nsdb::Store;
use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use crate::admin::{self, Admin};
use crate::door::Door;
use crate::runtime::Request;
use crate::socket::Socket;

/// A socket that answers. Dropping it ends that.
#[derive(Debug)]
pub struct Serving {
    /// What is asked of the engine.
    asked: mpsc::Receiver<Request>,
    /// Where the engine is asked.
    requests: mpsc::Sender<Request>,
    rest: Answering,
}

/// What answers once the engine's questions go to the engine.
#[derive(Debug)]
pub(crate) struct Answering {
    start: watch::Sender<Option<&'static str>>,
    _task: AbortOnDropHandle<()>,
}

impl Serving {
    /// Begins to answer; the start is at `step`.
    pub fn begin(socket: Socket, store: Arc<Store>, door: Arc<Door>, step: &'static str) -> Serving {
        let (requests, asked) = mpsc::channel(QUEUE);
        let (start, starting) = watch::channel(Some(step));
        let admin = Admin { requests: requests.clone(), store, door, starting };
        let task = tokio::spawn(async move {
            if let Err(error) = admin::serve(socket, admin).await {
                warn!(%error, "the socket answers no more");
            }
        });
        Serving { asked, requests, rest: Answering { start, _task: AbortOnDropHandle::new(task) } }
    }

    /// The start is at another step now.
    pub fn tell(&self, step: &'static str) {
        self.rest.start.send_replace(Some(step));
    }

    /// Where the engine is asked; the answer comes once there is one.
    pub(crate) fn requests(&self) -> mpsc::Sender<Request> {
        self.requests.clone()
    }

    /// The questions for the engine, and the rest, which is told when there is one.
    pub(crate) fn split(self) -> (mpsc::Receiver<Request>, Answering) {
        (self.asked, self.rest)
    }
}

impl Answering {
    /// From now on the engine answers.
    pub(crate) fn has_started(&self) {
        self.start.send_replace(None);
    }
}

/// What the start is at, last.
pub(crate) const OPENING: &str = "the datapath is being opened";
/// Questions that wait for the engine; each is answered between two of its inputs.
const QUEUE: usize = 256;

#[cfg(test)]
mod tests {
    use nsdb::StoreConfig;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    use super::*;

    async fn ask(path: &std::path::Path, what: &str) -> String {
        let mut stream = UnixStream::connect(path).await.unwrap();
        let request = format!("GET {what} HTTP/1.1\r\nhost: l2gw\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn until_there_is_an_engine_everybody_is_told_what_the_start_is_at() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("l2gw.sock");
        let store = Arc::new(Store::open(StoreConfig::in_memory()).unwrap());
        let door = Arc::new(Door::new(Arc::clone(&store), "gw1", None));
        let socket = Socket::open(&path).await.unwrap();
        let serving = Serving::begin(socket, store, door, "the file is being published");
        for what in ["/v1/status", "/v1/ports", "/v1/events", "/metrics"] {
            let said = ask(&path, what).await;
            assert!(said.starts_with("HTTP/1.1 503 "), "{what}: {said}");
            assert!(
                said.ends_with(
                    "{\"error\":\"the daemon is starting: the file is being published; ask again\"}"
                ),
                "{what}: {said}"
            );
        }
        serving.tell("the datapath is being opened");
        assert!(ask(&path, "/v1/status").await.contains("starting: the datapath is being opened; ask"));
        let (mut asked, answering) = serving.split();
        answering.has_started();
        let (said, ()) = tokio::join!(ask(&path, "/v1/status"), async {
            // Nobody answers here: the question is let go.
            asked.recv().await.expect("the question");
        });
        assert!(said.starts_with("HTTP/1.1 503 ") && said.contains("the daemon is stopping"), "{said}");
    }
}

//! The daemon's socket, without a socket: bytes into the admin server beside an engine on the datapath's twin.

use std::sync::Arc;
use std::time::Duration;

use agent::admin::{Admin, serve};
use agent::door::Door;
use agent::engine::Settings;
use agent::input::Input;
use agent::runtime::Request;
use agent::socket::Single;
use agent::view::StatusView;
use nsdb::{Store, StoreConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use vlan::time::Instant;

use super::documents::example_descriptions;
use super::http;
use crate::sim::gateway::Gateway;

/// Any bytes as what a client sends.
///
/// # Panics
/// What comes back is no HTTP or no answer of ours, or the daemon does not answer afterwards.
pub fn socket(bytes: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build();
    let runtime = runtime.expect("a runtime without drivers");
    runtime.block_on(async {
        let mut daemon = Daemon::start();
        let answered = daemon.talk(&http::requests(bytes)).await;
        http::check_answers(&answered);
        let shown = daemon.talk(b"GET /v1/status HTTP/1.1\r\nHost: l2gw\r\nConnection: close\r\n\r\n").await;
        assert_eq!(http::check_answers(&shown), 1);
        let at = shown.windows(4).position(|four| four == b"\r\n\r\n").expect("a head has an end");
        let status: StatusView = serde_json::from_slice(&shown[at + 4..]).expect("a status");
        assert_eq!((status.host.as_str(), status.outstanding), ("gw1", 0), "{status:?}");
        assert!(status.ports_up <= status.ports, "{status:?}");
    });
}

/// A daemon without tasks of its own: the engine works when the client waits.
struct Daemon {
    gateway: Gateway,
    store: Arc<Store>,
    requests: mpsc::Sender<Request>,
    asked: mpsc::Receiver<Request>,
    revision: u64,
}

impl Daemon {
    fn start() -> Daemon {
        let description = &example_descriptions()[0];
        let wire = Gateway::wire(description, START);
        let gateway = Gateway::start(&wire, Settings::new("gw1"), (1, description), Vec::new());
        let (requests, asked) = mpsc::channel(16);
        let store = Store::open(StoreConfig::in_memory()).expect("memory is there");
        Daemon { gateway, store: Arc::new(store), requests, asked, revision: 0 }
    }

    /// Sends bytes, says that there are no more once nothing happens, and returns all that came back.
    async fn talk(&mut self, bytes: &[u8]) -> Vec<u8> {
        let (client, server) = tokio::io::duplex(bytes.len().max(64 << 10));
        let door = Arc::new(Door::new(Arc::clone(&self.store), "gw1", None));
        let (requests, store) = (self.requests.clone(), Arc::clone(&self.store));
        let (_, starting) = tokio::sync::watch::channel(None);
        let admin = Admin { requests, store, door, starting };
        let serving = tokio::spawn(serve(Single::new(server), admin));
        let (mut reader, mut writer) = tokio::io::split(client);
        let mut answered = Vec::new();
        // It fails where the server hangs up before it has read everything.
        let _ = writer.write_all(bytes).await;
        self.work(&mut reader, &mut answered).await;
        let _ = writer.shutdown().await;
        self.work(&mut reader, &mut answered).await;
        serving.abort();
        answered
    }

    /// Lets the server and the engine work until neither does anything more.
    async fn work(&mut self, reader: &mut tokio::io::ReadHalf<DuplexStream>, answered: &mut Vec<u8>) {
        let mut idle = 0;
        while idle < ENOUGH {
            idle += 1;
            tokio::task::yield_now().await;
            if idle == ENOUGH / 2 {
                // The one thread for long work does one thing after another: all that was begun is done behind this.
                tokio::task::spawn_blocking(|| ()).await.expect("nothing is nothing to panic over");
            }
            while let Ok(request) = self.asked.try_recv() {
                self.take(request);
                idle = 0;
            }
            self.follow().await;
            let mut piece = [0; 4096];
            let read = futures::FutureExt::now_or_never(reader.read(&mut piece));
            if let Some(Ok(len @ 1..)) = read {
                answered.extend(&piece[..len]);
                idle = 0;
            }
        }
    }

    fn take(&mut self, request: Request) {
        match request {
            Request::Look(look) => look(&self.gateway.engine, START),
            Request::Command(command) => self.gateway.handle(Input::Operator(command)),
        }
    }

    /// What was published comes into force, and time goes by over it.
    async fn follow(&mut self) {
        let root = agent::topology::newest_root(&self.store).await.expect("what was published is read");
        if root.is_none_or(|root| root.revision.get() == self.revision) {
            return;
        }
        let newest = agent::topology::newest(&self.store).await.expect("what was published is read");
        if let Some(newest) = newest {
            self.revision = newest.revision.get();
            let stored = newest.stored.expect("what was published is read");
            self.gateway.handle(Input::Topology {
                revision: 1 + self.revision,
                description: Box::new(stored.description),
                numbers: stored.numbers.map(Box::new),
                built: None,
            });
            self.gateway.settle();
            self.gateway.pass(Duration::from_secs(400));
        }
    }
}

const START: Instant = Instant::from_secs(1_000);
/// So many turns of every task without a byte mean that nothing more comes: a request goes through few of them.
const ENOUGH: usize = 24;

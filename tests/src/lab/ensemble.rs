//! A real ensemble of three ZooKeeper servers, one for all tests of a process or one of its own, and the way to it from namespaces.
//!
//! The servers listen on loopback addresses of a namespace of their own. A host's namespace gets listeners on its own 127.0.0.1, or theirs
//! gets some on addresses that hosts reach by the underlay; what connects there is carried to the servers by a thread in theirs, since a
//! socket stays in the namespace that it was made in.

use std::net::{SocketAddr, TcpListener};
use std::sync::OnceLock;

use servers::{Ensemble, Options};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::netns::Netns;

/// The servers. Dropping them ends them.
#[derive(Debug)]
pub struct Servers {
    netns: Netns,
    ensemble: Ensemble,
}

impl Servers {
    /// The servers of this process, started when they are first asked for. They end with the process.
    ///
    /// # Panics
    /// They are not installed or do not come up.
    pub fn of_this_process() -> &'static Servers {
        static SERVERS: OnceLock<Servers> = OnceLock::new();
        SERVERS.get_or_init(|| Servers::start(Options::three()))
    }

    /// Servers in a namespace of their own.
    ///
    /// # Panics
    /// They are not installed or do not come up.
    pub fn start(options: Options) -> Servers {
        let netns = Netns::new("servers");
        let ensemble = netns.run(|| Ensemble::start(options));
        Servers { ensemble: ensemble.unwrap_or_else(|error| panic!("no servers: {error}")), netns }
    }

    /// The namespace that they are in.
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// Has something done with the servers where they are: to be killed and started again.
    pub fn run<T: Send>(&self, step: impl FnOnce(&Ensemble) -> T + Send) -> T {
        self.netns.run(|| step(&self.ensemble))
    }

    /// Has the servers be reached at [`ADDRESSES`] from a namespace, as long as what is returned is kept.
    ///
    /// # Panics
    /// Somebody listens there.
    pub fn reach_from(&self, netns: &Netns) -> Reach {
        self.reach_at(netns, &ADDRESSES)
    }

    /// Has the servers, in the order of their numbers, be reached at these addresses of a namespace, as long as what is returned is kept.
    ///
    /// # Panics
    /// An address is not there, or somebody listens on it.
    pub fn reach_at(&self, netns: &Netns, addresses: &[&str]) -> Reach {
        let listeners: Vec<TcpListener> = netns.run(|| addresses.iter().map(|at| listen(at)).collect());
        let servers: Vec<SocketAddr> =
            self.ensemble.servers().iter().map(|server| server.address()).collect();
        let (end, ended) = oneshot::channel();
        let carry_all = move || carry_all(listeners.into_iter().zip(servers).collect(), ended);
        let thread = self.netns.run(|| std::thread::spawn(carry_all));
        Reach { end: Some(end), thread: Some(thread) }
    }
}

/// A way to the servers. Dropping it ends its connections.
#[derive(Debug)]
pub struct Reach {
    end: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Reach {
    fn drop(&mut self) {
        drop(self.end.take());
        // A thread that panicked has said so.
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

fn listen(at: &str) -> TcpListener {
    let listener =
        TcpListener::bind(at).and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
    listener.unwrap_or_else(|error| panic!("cannot listen on {at}: {error}"))
}

fn carry_all(ways: Vec<(TcpListener, SocketAddr)>, ended: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        for (listener, server) in ways {
            tokio::spawn(carry(listener, server));
        }
        // An error says that the other end is dropped.
        let _ = ended.await;
    });
}

/// Carries each connection in a task of its own. One that breaks ends both sides, which is all that either can be told.
async fn carry(listener: TcpListener, server: SocketAddr) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener that does not block");
    while let Ok((mut client, _)) = listener.accept().await {
        tokio::spawn(async move {
            if let Ok(mut server) = TcpStream::connect(server).await {
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
}

/// Where the servers are reached in a namespace that [`Servers::reach_from`] was called for.
pub const ADDRESSES: [&str; 3] = ["127.0.0.1:2181", "127.0.0.1:2182", "127.0.0.1:2183"];

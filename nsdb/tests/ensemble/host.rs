//! What the cases share: a host's connection, and what is asked of it.

use std::future::Future;
use std::time::{Duration, Instant};

use nsdb::zookeeper::{Access, Coordinator, Life, Login, ZooKeeperSettings, make};
use servers::Ensemble;

/// Servers end a session after this much silence.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(4);

/// How to reach all servers past their relays.
pub(crate) fn straight(ensemble: &Ensemble) -> ZooKeeperSettings {
    settings(&ensemble.connection_string())
}

/// How to reach all servers through their relays.
pub(crate) fn relayed(ensemble: &Ensemble) -> ZooKeeperSettings {
    settings(&ensemble.relayed_string())
}

fn settings(servers: &str) -> ZooKeeperSettings {
    let servers = servers.split(',').map(str::to_owned).collect();
    ZooKeeperSettings { session_timeout: TIMEOUT, ..ZooKeeperSettings::new(servers, "/", "this machine") }
}

/// A database under a root of its own, and how to reach it.
pub(crate) async fn database(at: ZooKeeperSettings, root: &str) -> ZooKeeperSettings {
    let settings = ZooKeeperSettings { root: root.to_owned(), ..at };
    let maker = Coordinator::open(settings.clone());
    make(&maker, None).await.unwrap();
    maker.close().await;
    settings
}

pub(crate) fn login(user: &str) -> Login {
    Login { user: user.to_owned(), password: format!("{user}-0123456789abcdef") }
}

/// A host that is connected and has a node that lives with its session.
pub(crate) struct Host {
    pub(crate) coordinator: Coordinator,
    pub(crate) session: i64,
    pub(crate) node: String,
}

impl Host {
    pub(crate) async fn connected(settings: ZooKeeperSettings) -> Self {
        let coordinator = Coordinator::open(settings);
        let session = coordinator.session().await.unwrap();
        let node = format!("/host-{session:x}");
        coordinator.create(&node, &[], Life::OfSession, &Access::open()).await.unwrap();
        Self { coordinator, session, node }
    }

    /// Whether its node is still the one of its first session.
    pub(crate) async fn has_its_node(&self) -> bool {
        let stat = self.coordinator.look(&self.node).await.unwrap();
        stat.is_some_and(|stat| stat.owner == self.session)
    }

    /// Writes until it succeeds; how long that took.
    pub(crate) async fn until_it_writes(&self) -> Duration {
        let start = Instant::now();
        while self.coordinator.write(&self.node, b"alive", None).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert!(start.elapsed() < Duration::from_secs(90), "no server takes a write");
        }
        start.elapsed()
    }
}

/// Waits for what must come, and says what did not.
pub(crate) async fn within<T>(most: Duration, what: &str, wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(most, wait).await.unwrap_or_else(|_| panic!("not within {most:?}: {what}"))
}

/// Whether this is the process of this test alone; otherwise runs it in one, since other tests use the processor too.
pub(crate) fn is_alone(test: &str) -> bool {
    const ALONE: &str = "ALONE_IN_ITS_PROCESS";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let status = command.args(["--exact", test, "--nocapture"]).env(ALONE, "1").status().unwrap();
    assert!(status.success(), "{test} failed in a process of its own");
    false
}

/// Processor time that this process has used, user and system (`getrusage`).
pub(crate) fn cpu_time() -> Duration {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF).unwrap();
    let [user, system] = [usage.user_time(), usage.system_time()];
    let micros = |time: nix::sys::time::TimeVal| (time.tv_sec() * 1_000_000 + time.tv_usec()).unsigned_abs();
    Duration::from_micros(micros(user) + micros(system))
}

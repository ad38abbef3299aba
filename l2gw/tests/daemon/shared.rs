//! Two hosts that share a store on a real ZooKeeper ensemble: a gateway with its file, and an agent that knows its name and the servers.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nsdb::zookeeper::{Coordinator, Login, ZooKeeperSettings};
use servers::{Ensemble, Options};

use crate::agent_program::program;
use crate::process::{FILE, Gateway, finish, l2gw};

/// A gateway and a compute host, no daemon of them yet, and a database that both may use.
pub(crate) struct Network {
    pub(crate) ensemble: Ensemble,
    pub(crate) gateway: Gateway,
    pub(crate) compute: Gateway,
}

impl Network {
    fn new() -> Network {
        let ensemble = Ensemble::start(Options::three()).unwrap();
        let network = Network { ensemble, gateway: Gateway::new(), compute: Gateway::new() };
        for (host, login) in [(&network.gateway, "gateway"), (&network.compute, "agent")] {
            let path = host.path("zookeeper.auth");
            fs::write(&path, format!("{login}:0123456789-{login}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        network.write(8);
        network
    }

    /// With both daemons, and the first revision in force at both.
    pub(crate) fn running() -> Network {
        let mut network = Network::new();
        network.init();
        let (mut run, mut agent) = (network.gateway.run(&[]), network.agent());
        network.gateway.launch_as(&mut run);
        network.compute.launch_as(&mut agent);
        for host in network.hosts() {
            host.wait_for("an answer", |host| is_at(host, 0));
        }
        network.gateway.ask_about_file("apply", &[]).done();
        for host in network.hosts() {
            host.wait_for("the first revision", |host| is_at(host, 1));
        }
        network
    }

    /// What was at the root of the database; puts `new` there if it is given.
    pub(crate) fn with_root(&self, new: Option<Vec<u8>>) -> Vec<u8> {
        self.by_hand(async |coordinator| {
            let (before, _) = coordinator.read("/root").await.unwrap().unwrap();
            if let Some(new) = new {
                coordinator.write("/root", &new, None).await.unwrap();
            }
            before
        })
    }

    /// Takes the newest revision away.
    pub(crate) fn without_root(&self) {
        self.by_hand(async |coordinator| coordinator.delete("/root", None).await.unwrap());
    }

    fn by_hand<T>(&self, done: impl AsyncFnOnce(&Coordinator) -> T) -> T {
        let servers = self.ensemble.servers().iter().map(|server| server.address().to_string()).collect();
        let login = fs::read_to_string(self.gateway.path("zookeeper.auth")).unwrap();
        let login = Some(Login::parse(&login).unwrap());
        let settings = ZooKeeperSettings { login, ..ZooKeeperSettings::new(servers, "/l2gw", "by hand") };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let coordinator = Coordinator::open(settings);
            let done = done(&coordinator).await;
            coordinator.close().await;
            done
        })
    }

    fn kill_all(&self) {
        for server in self.ensemble.servers() {
            server.kill().unwrap();
        }
    }

    fn restart_all(&self) {
        for server in self.ensemble.servers() {
            server.restart().unwrap();
        }
        self.ensemble.wait_until_ready().unwrap();
    }

    /// Writes the gateway's file, with this VLAN to `vub8`.
    pub(crate) fn write(&self, vid: u16) {
        let there = "\n[hosts.compute1]\n\n[[ports]]\nname = \"vm9\"\nbridge = \"vub8\"\nhost = \"compute1\"\nlink = \"tap9\"\n";
        let file = FILE.replace("vid = 8", &format!("vid = {vid}"));
        self.write_topology(&format!("{file}{there}"));
    }

    /// Writes the gateway's file, with this topology.
    pub(crate) fn write_topology(&self, topology: &str) {
        let servers: Vec<_> =
            self.ensemble.servers().iter().map(|server| server.address().to_string()).collect();
        let nsdb = format!(
            "[nsdb]\nbackend = \"zookeeper\"\nservers = {servers:?}\nauth-file = {:?}\npath = {:?}\n",
            self.gateway.path("zookeeper.auth"),
            self.gateway.path("state")
        );
        self.gateway.write(&format!("{nsdb}{topology}"));
    }

    fn init(&self) {
        let mut command = l2gw();
        command.args(["store", "init"]).arg(self.gateway.path("gateway.toml"));
        finish(command.arg("--agents-auth-file").arg(self.compute.path("zookeeper.auth"))).done();
    }

    /// What starts the compute host's daemon.
    pub(crate) fn agent(&self) -> Command {
        self.agent_by(&self.ensemble.connection_string())
    }

    /// The same, which reaches the servers at these addresses.
    pub(crate) fn agent_by(&self, servers: &str) -> Command {
        let mut command = program();
        let state = format!("[nsdb]\npath = {:?}\n", self.compute.path("state"));
        fs::write(self.compute.path("agent.toml"), state).unwrap();
        command
            .args(["--host", "compute1", "--datapath", "fake", "--config"])
            .arg(self.compute.path("agent.toml"));
        command.arg("--nsdb").arg(format!("zookeeper:{servers}"));
        command.arg("--auth-file").arg(self.compute.path("zookeeper.auth"));
        command.arg("--socket").arg(self.compute.socket());
        command
    }

    pub(crate) fn hosts(&self) -> [&Gateway; 2] {
        [&self.gateway, &self.compute]
    }
}

pub(crate) fn is_at(host: &Gateway, revision: u64) -> bool {
    let said = host.ask(&["show", "status", "--json"]);
    said.code == 0 && said.json()["revision"] == revision
}

/// Whether it says that the store is away.
pub(crate) fn misses_the_store(host: &Gateway) -> bool {
    let said = host.ask(&["show", "status", "--json"]);
    said.code == 0 && said.json().get("store_away").is_some()
}

#[test]
fn what_is_applied_at_one_host_is_in_force_at_the_other() {
    if !servers::are_there() {
        return;
    }
    let mut network = Network::running();
    assert!(network.compute.ask(&["show", "ports"]).done().contains("vm9"));
    // An agent may not change the topology.
    network.write(9);
    fs::copy(network.gateway.path("gateway.toml"), network.compute.path("gateway.toml")).unwrap();
    let refused = network.compute.ask_about_file("apply", &[]);
    assert!(refused.code == 1 && refused.err.contains("agent may not make"), "{refused:?}");
    network.gateway.ask_about_file("apply", &[]).done();
    for host in network.hosts() {
        host.wait_for("the second revision", |host| is_at(host, 2));
    }
    assert!(network.compute.ask(&["show", "config"]).done().contains("vid = 9"));
    let counters = network.compute.ask(&["show", "counters"]).done();
    assert!(counters.contains("l2gw_store_calls_total") && counters.contains("call=watch"), "{counters}");
    let (code, metrics) = network.compute.http("GET", "/metrics", &[]);
    assert!(code == 200 && metrics.contains("l2gw_store_bytes_total{call=\"read\"}"), "{metrics}");
    network.gateway.stop();
    network.compute.stop();
}

#[test]
fn what_is_in_force_stays_without_the_store_also_where_a_host_starts() {
    if !servers::are_there() {
        return;
    }
    let mut network = Network::running();
    network.kill_all();
    for host in network.hosts() {
        host.wait_for("a word about the store", misses_the_store);
        assert!(is_at(host, 1), "the revision in force stays");
        let said = host.ask(&["show", "status"]).done();
        assert!(said.contains("what is in force stays: none of 127."), "{said}");
    }
    // What is known already is said at once.
    let asked = Instant::now();
    for refused in [network.gateway.ask_about_file("apply", &[]), network.gateway.ask(&["show", "revisions"])]
    {
        assert!(refused.code == 1 && refused.err.contains("the store has been away for "), "{refused:?}");
        assert!(refused.err.contains(" s: none of 127."), "{refused:?}");
    }
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    for (host, its) in [(&network.gateway, "gw1"), (&network.compute, "compute1")] {
        let shown = host.ask(&["show", "config"]);
        let part = format!("this is what host {its} has kept of revision 1, its share: not all of it");
        assert!(shown.code == 1 && shown.err.contains(&part) && shown.out.contains(&part), "{shown:?}");
        assert!(shown.out.starts_with("# the store has been away for "), "{shown:?}");
        assert!(shown.out.contains("[bridges.vub8]") && shown.out.contains("vm9"), "{shown:?}");
        assert_eq!(shown.out.contains("[bridges.vub5]"), its == "gw1", "its share: {shown:?}");
        let json = host.ask(&["show", "config", "--json"]);
        assert!(json.code == 1 && json.failure().contains(&part), "{json:?}");
        let mut shown = serde_json::Deserializer::from_str(&json.out).into_iter::<serde_json::Value>();
        assert_eq!(shown.next().unwrap().unwrap()["share_of"], its, "{json:?}");
    }
    network.compute.signal(Signal::SIGKILL);
    network.compute.ended();
    let mut agent = network.agent();
    network.compute.launch_as(&mut agent);
    network.compute.wait_for("what was kept", |host| is_at(host, 1));
    network.compute.wait_for("a word about the store", misses_the_store);
    let log = network.compute.log();
    assert!(log.contains("the store is away: the revision that was kept here is taken"), "{log}");
    network.restart_all();
    for host in network.hosts() {
        host.wait_for("the store", |host| !misses_the_store(host));
    }
    let events = network.gateway.ask(&["show", "events"]).done();
    assert!(events.contains("store-away") && events.contains("store-back"), "{events}");
    network.write(9);
    network.gateway.ask_about_file("apply", &[]).done();
    for host in network.hosts() {
        host.wait_for("the second revision", |host| is_at(host, 2));
    }
    network.gateway.stop();
    network.compute.stop();
}

/// Somebody writes what is no revision, or another one of the same number, by hand.
#[test]
fn a_root_that_is_not_to_be_followed_is_told_until_it_is_right_again() {
    if !servers::are_there() {
        return;
    }
    let mut network = Network::running();
    let before = network.with_root(None);
    let another = String::from_utf8(before.clone()).unwrap().replace("\"note\":\"", "\"note\":\"another");
    assert_ne!(another.as_bytes(), before);
    for (wrong, told) in [
        (b"junk".to_vec(), "cannot read /l2gw/root: "),
        (another.into_bytes(), "it has another revision 1, and had revision 1 before: was it put back"),
    ] {
        network.with_root(Some(wrong));
        for host in network.hosts() {
            host.wait_for("a word about the root", misses_the_store);
            let said = host.ask(&["show", "status"]).done();
            assert!(is_at(host, 1) && said.contains(told), "{said}");
        }
        let refused = network.gateway.ask_about_file("apply", &[]);
        assert!(refused.code == 1 && refused.err.contains(told), "nothing comes on top of it: {refused:?}");
        network.with_root(Some(before.clone()));
        for host in network.hosts() {
            host.wait_for("no more such word", |host| !misses_the_store(host));
        }
    }
    network.gateway.stop();
    network.compute.stop();
}

#[test]
fn a_login_that_everybody_can_read_and_a_store_that_is_not_there_are_told() {
    if !servers::are_there() {
        return;
    }
    let mut network = Network::new();
    let login = network.gateway.path("zookeeper.auth");
    fs::set_permissions(&login, fs::Permissions::from_mode(0o644)).unwrap();
    let refused = finish(&mut network.gateway.run(&[]));
    assert!(refused.code == 78 && refused.err.contains("everybody can read the password"), "{refused:?}");
    fs::set_permissions(&login, fs::Permissions::from_mode(0o600)).unwrap();
    // Without a database it runs, forwards nothing new, and says why nothing can be applied.
    let mut run = network.gateway.run(&[]);
    network.gateway.launch_as(&mut run);
    network.gateway.wait_for("a word about the store", misses_the_store);
    let said = network.gateway.ask(&["show", "status"]).done();
    assert!(
        said.contains("what is in force stays: /l2gw on 127.") && said.contains("it is not there"),
        "{said}"
    );
    let refused = network.gateway.ask_about_file("apply", &[]);
    assert!(refused.code == 1 && refused.err.contains("`l2gw store init FILE` makes one"), "{refused:?}");
    network.init();
    network.gateway.ask_about_file("apply", &[]).done();
    network.gateway.wait_for("the first revision", |host| is_at(host, 1));
    network.gateway.stop();
}

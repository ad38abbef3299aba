//! Which hosts are there: `l2gw show hosts`, by a daemon and by the store itself.

use agent::hosts::{HostView, HostsView};
use nix::sys::signal::Signal;

use crate::agent_program::program;
use crate::process::{Gateway, finish, l2gw};
use crate::shared::Network;

/// What a daemon says of the hosts.
fn hosts_of(gateway: &Gateway) -> HostsView {
    serde_json::from_str(&gateway.ask(&["show", "hosts", "--json"]).done()).unwrap()
}

fn named<'a>(view: &'a HostsView, name: &str) -> Option<&'a HostView> {
    view.hosts.iter().find(|host| host.host == name)
}

#[test]
fn a_host_is_alive_while_its_daemon_runs_and_says_which_revision_it_has() {
    if !servers::are_there() {
        return;
    }
    let mut network = Network::running();
    let is_at = |view: &HostsView, name: &str, revision: u64| {
        let word = named(view, name).and_then(|host| host.word.as_ref());
        word.is_some_and(|word| word.status.revision == revision && word.status.settled)
    };
    for gateway in network.hosts() {
        gateway.wait_for("both hosts", |host| {
            let view = hosts_of(host);
            view.revision == 1 && is_at(&view, "gw1", 1) && is_at(&view, "compute1", 1)
        });
    }
    network.write(9);
    network.gateway.ask_about_file("apply", &[]).done();
    network.gateway.wait_for("the second revision at both", |host| {
        let view = hosts_of(host);
        view.revision == 2 && is_at(&view, "gw1", 2) && is_at(&view, "compute1", 2)
    });
    // The store itself says the same to whoever has a login.
    let store = format!("zookeeper:{}", network.ensemble.connection_string());
    let mut direct = l2gw();
    direct
        .args(["show", "hosts", "--nsdb", &store, "--auth-file"])
        .arg(network.compute.path("zookeeper.auth"));
    let said = finish(&mut direct).done();
    assert!(said.ends_with("2 of 2 alive; the newest revision is 2\n"), "{said}");
    // A daemon that is stopped is gone at once, one that is killed when its session runs out.
    network.compute.signal(Signal::SIGKILL);
    network.compute.ended();
    network.gateway.wait_for("the killed host to be gone", |host| {
        named(&hosts_of(host), "compute1")
            .is_some_and(|host| !host.alive && host.declared && host.word.is_none())
    });
    let text = network.gateway.ask(&["show", "hosts"]).done();
    assert!(text.contains("no daemon of this name has a session in the store"), "{text}");
    network.gateway.stop();
    let said = finish(&mut direct).done();
    assert!(said.ends_with("0 of 2 alive; the newest revision is 2\n"), "{said}");
}

#[test]
fn a_name_that_is_used_twice_is_told_to_the_first_that_had_it() {
    if !servers::are_there() {
        return;
    }
    let mut network = Network::running();
    let mut second = Gateway::new();
    let state = format!("[nsdb]\npath = {:?}\n", second.path("state"));
    std::fs::write(second.path("agent.toml"), state).unwrap();
    let mut agent = program();
    agent.args(["--host", "compute1", "--datapath", "fake", "--nsdb"]);
    agent.arg(format!("zookeeper:{}", network.ensemble.connection_string()));
    agent.arg("--auth-file").arg(network.compute.path("zookeeper.auth"));
    agent.arg("--config").arg(second.path("agent.toml")).arg("--socket").arg(second.socket());
    second.launch_as(&mut agent);
    let is_told = |host: &Gateway| host.ask(&["show", "events"]).out.contains("host-twice");
    network.compute.wait_for("a word about the second", is_told);
    let status = network.compute.ask(&["show", "status"]).done();
    assert!(status.contains("another process has the name compute1, on this machine"), "{status}");
    // What is shown of the name is the other's, and the one that does not have it says so; nobody else knows.
    let twice = "this is another process, on this machine: the daemon that was asked has the same name";
    network.compute.wait_for("the other's session", |host| {
        let shown = host.ask(&["show", "hosts"]).out;
        shown.lines().any(|line| line.starts_with("compute1  alive") && line.contains(twice))
    });
    assert!(!network.gateway.ask(&["show", "hosts"]).done().contains(twice));
    second.stop();
    network
        .compute
        .wait_for("a word that it is gone", |host| host.ask(&["show", "events"]).out.contains("host-once"));
    network.gateway.wait_for("the first again", |host| {
        named(&hosts_of(host), "compute1").is_some_and(|host| host.alive)
    });
    network.gateway.stop();
    network.compute.stop();
}

#[test]
fn a_port_of_another_host_is_traced_there() {
    if !servers::are_there() {
        return;
    }
    let mut network = Network::running();
    let there = |port: &str, there: &str, here: &str| {
        format!(
            "l2gw: {port} is a port of host {there}, and the daemon that was asked is host {here}: run this on {there}; or, by a file \
             and with all links taken to be up, `l2gw trace FILE --port {port}` (`l2gw show config` prints such a FILE)\n"
        )
    };
    // vm9 is on a bridge of both, vm5 on one of which the compute host has no share; tap5 is the link of vm5.
    for (asked, port, expected) in [
        (&network.gateway, "vm9", there("vm9", "compute1", "gw1")),
        (&network.gateway, "tap9", there("vm9", "compute1", "gw1")),
        (&network.compute, "leaf1", there("leaf1", "gw1", "compute1")),
        (&network.compute, "vm5", there("vm5", "gw1", "compute1")),
        (&network.compute, "tap5", there("vm5", "gw1", "compute1")),
    ] {
        let said = asked.ask(&["trace", "--port", port, "--vid", "8"]);
        assert_eq!((said.code, said.out, said.err), (64, String::new(), expected), "{port}");
    }
    // Also by the socket, which others than this command ask.
    let (code, said) = network.gateway.http("POST", "/v1/trace", br#"{"port":"vm9","frame":[1,2]}"#);
    assert!(code == 404 && said.contains("vm9 is a port of host compute1"), "{said}");
    for (asked, own) in [(&network.gateway, "tap8"), (&network.compute, "vm9")] {
        assert_eq!(asked.ask(&["trace", "--port", own, "--vid", "8"]).code, 0, "{own}");
    }
    network.gateway.stop();
    network.compute.stop();
}

//! A database that was put back from a backup under hosts that run, and under one that starts.

use nix::sys::signal::Signal;

use crate::process::{finish, l2gw};
use crate::shared::{Network, is_at, misses_the_store};

#[test]
fn a_database_that_was_put_back_is_followed_when_an_operator_says_so() {
    if !servers::are_there() {
        return;
    }
    let mut network = Network::running();
    let backup = network.with_root(None);
    network.write(9);
    network.gateway.ask_about_file("apply", &[]).done();
    for host in network.hosts() {
        host.wait_for("the second revision", |host| is_at(host, 2));
    }
    network.with_root(Some(backup));
    for host in network.hosts() {
        host.wait_for("a word about the root", misses_the_store);
    }
    // A restart is no consent.
    network.compute.signal(Signal::SIGKILL);
    network.compute.ended();
    let mut agent = network.agent();
    network.compute.launch_as(&mut agent);
    network.compute.wait_for("what was kept", |host| is_at(host, 2));
    network.compute.wait_for("a word about the root", misses_the_store);
    let said = network.compute.ask(&["show", "status"]).done();
    assert!(
        said.contains("it has revision 1, and had revision 2 before: was it put back from a backup?"),
        "{said}"
    );
    let known = said.split("`l2gw store accept ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    // An agent's login is not enough.
    let mut denied = accept(&network, &known);
    let denied = finish(denied.arg("--auth-file").arg(network.compute.path("zookeeper.auth")));
    assert!(denied.code == 1 && denied.err.contains("agent may not write /l2gw/store"), "{denied:?}");
    assert!(network.hosts().into_iter().all(|host| is_at(host, 2)));
    let said = finish(&mut accept(&network, &known)).done();
    assert!(said.contains(&format!("in the place of {known}; its incarnation is ")), "{said}");
    assert!(said.contains("hosts that knew that one follow its revision 1, by "), "{said}");
    for host in network.hosts() {
        host.wait_for("the revision that was put back", |host| is_at(host, 1));
        host.wait_for("no more such word", |host| !misses_the_store(host));
    }
    assert!(network.compute.ask(&["show", "config"]).done().contains("vid = 8"));
    let said = finish(accept(&network, &known).arg("--json"));
    assert_eq!(said.json()["is_new"], false);
    // Things go on.
    network.write(10);
    network.gateway.ask_about_file("apply", &[]).done();
    for host in network.hosts() {
        host.wait_for("the next revision", |host| is_at(host, 2));
    }
    assert!(network.compute.ask(&["show", "config"]).done().contains("vid = 10"));
    network.gateway.stop();
    network.compute.stop();
}

#[test]
fn what_is_not_to_be_accepted_is_told() {
    let gateway = crate::process::Gateway::new();
    let known = "0".repeat(32);
    let mut embedded = l2gw();
    let embedded = finish(embedded.args(["store", "accept", &known]).arg(gateway.path("gateway.toml")));
    assert!(embedded.code == 78 && embedded.err.contains("is the store of a single host"), "{embedded:?}");
    let nothing = finish(l2gw().args(["store", "accept", &known]));
    assert!(nothing.code == 64 || nothing.code == 2, "{nothing:?}");
    let file = finish(l2gw().args(["store", "accept", &known, "--nsdb", "file"]));
    assert!(file.err.contains("\"file\" names no database here"), "{file:?}");
}

/// What says that the database of the gateway's file is meant.
fn accept(network: &Network, known: &str) -> std::process::Command {
    let mut command = l2gw();
    command.args(["store", "accept", known]).arg(network.gateway.path("gateway.toml"));
    command
}

//! A database that was put back from a backup under hosts that run, and under one that starts.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::process::{Gateway, finish, l2gw};
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
    restart_compute(&mut network);
    network.compute.wait_for("what was kept", |host| is_at(host, 2));
    network.compute.wait_for("a word about the root", misses_the_store);
    let said = network.compute.ask(&["show", "status"]).done();
    assert!(
        said.contains("it has revision 1, and had revision 2 before: was it put back from a backup?"),
        "{said}"
    );
    let known = known_by(&network);
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

/// A revision of the former database waits for its confirmation, and runs out, while another is accepted in which its number comes again.
#[test]
fn what_waits_in_a_database_has_no_say_in_one_that_is_accepted() {
    if !servers::are_there() {
        return;
    }
    let mut network = Network::running();
    let backup = network.with_root(None);
    network.write(9);
    network.gateway.ask_about_file("apply", &["--confirm", "20s"]).done();
    for host in network.hosts() {
        host.wait_for("what waits", |host| is_at(host, 2));
    }
    let began = Instant::now();
    put_back(&network, Some(backup.clone()));
    for host in network.hosts() {
        host.wait_for("the revision that was put back", |host| is_at(host, 1));
    }
    assert!(began.elapsed() < Duration::from_secs(20), "before its time was over");
    assert_eq!(network.hosts().map(unconfirmed), [None, None]);
    std::thread::sleep(Duration::from_secs(22).saturating_sub(began.elapsed()));
    assert!(network.hosts().into_iter().all(|host| is_at(host, 1)), "nobody goes back from it");
    // One runs out in its database before another is accepted.
    network.gateway.ask_about_file("apply", &["--confirm", "3s"]).done();
    for host in network.hosts() {
        host.wait_for("what was taken back", |host| is_at(host, 3));
    }
    put_back(&network, Some(backup));
    for host in network.hosts() {
        host.wait_for("the revision that was put back", |host| is_at(host, 1));
    }
    restart_compute(&mut network);
    network.compute.wait_for("the same", |host| is_at(host, 1));
    let before = network.hosts().map(times_in_force);
    network.gateway.ask_about_file("apply", &["--confirm", "3s"]).done();
    for (host, before) in network.hosts().into_iter().zip(before) {
        host.wait_for("it in force", |host| times_in_force(host) > before);
        host.wait_for("what was taken back in its time", |host| is_at(host, 3));
    }
    network.gateway.stop();
    network.compute.stop();
}

/// A database without a revision is accepted: what is in force stays, over a restart as well.
#[test]
fn what_is_kept_stays_where_nothing_is_published_yet() {
    if !servers::are_there() {
        return;
    }
    let mut network = Network::running();
    network.without_root();
    put_back(&network, None);
    for host in network.hosts() {
        host.wait_for("no more word", |host| !misses_the_store(host) && is_at(host, 1));
    }
    restart_compute(&mut network);
    network.compute.wait_for("what was kept", |host| is_at(host, 1));
    let log = network.compute.log();
    assert!(log.contains("the store has no revision: the revision that was kept here is taken"), "{log}");
    network.write(9);
    network.gateway.ask_about_file("apply", &[]).done();
    for host in network.hosts() {
        host.wait_for("the first revision", |host| host.ask(&["show", "config"]).out.contains("vid = 9"));
    }
    network.gateway.stop();
    network.compute.stop();
}

/// Puts a root back, if one is given, waits until a host tells which database it knew, and accepts what is there.
fn put_back(network: &Network, root: Option<Vec<u8>>) {
    if root.is_some() {
        network.with_root(root);
    }
    network.compute.wait_for("a word about the root", misses_the_store);
    finish(&mut accept(network, &known_by(network))).done();
}

/// The incarnation that the compute host says is to be named.
fn known_by(network: &Network) -> String {
    let said = network.compute.ask(&["show", "status"]).done();
    said.split("`l2gw store accept ").nth(1).unwrap().split(' ').next().unwrap().to_owned()
}

fn restart_compute(network: &mut Network) {
    network.compute.signal(Signal::SIGKILL);
    network.compute.ended();
    let mut agent = network.agent();
    network.compute.launch_as(&mut agent);
}

/// How often revision 2 has come into force.
fn times_in_force(host: &Gateway) -> usize {
    host.log().matches("revision 2 is in force").count()
}

/// The revision that a host says waits for its confirmation, or ran out.
fn unconfirmed(host: &Gateway) -> Option<serde_json::Value> {
    host.ask(&["show", "status", "--json"]).json().get("unconfirmed").cloned()
}

#[test]
fn what_is_not_to_be_accepted_is_told() {
    let gateway = Gateway::new();
    let known = "0".repeat(32);
    let mut embedded = l2gw();
    let embedded = finish(embedded.args(["store", "accept", &known]).arg(gateway.path("gateway.toml")));
    assert!(embedded.code == 78 && embedded.err.contains("is the store of a single host"), "{embedded:?}");
    let nothing = finish(l2gw().args(["store", "accept", &known]));
    assert!(nothing.code == 64 && nothing.err.contains("FILE"), "{nothing:?}");
    let file = finish(l2gw().args(["store", "accept", &known, "--nsdb", "file"]));
    assert!(file.err.contains("\"file\" names no database here"), "{file:?}");
}

/// What says that the database of the gateway's file is meant.
fn accept(network: &Network, known: &str) -> std::process::Command {
    let mut command = l2gw();
    command.args(["store", "accept", known]).arg(network.gateway.path("gateway.toml"));
    command
}

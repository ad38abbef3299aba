//! `apply --confirm` where hosts share a store on a real ZooKeeper ensemble: every host goes back, also one that the store is away from.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::process::{FILE, Gateway, finish, l2gw};
use crate::shared::{Network, is_at};

/// The revisions that a host tells: number and note, the newest first.
fn notes(host: &Gateway) -> Vec<(u64, String)> {
    let known = host.ask(&["show", "revisions", "--json"]).json();
    let note = |known: &serde_json::Value| {
        (known["revision"].as_u64().unwrap(), known["note"].as_str().unwrap().to_owned())
    };
    known.as_array().unwrap().iter().map(note).collect()
}

fn has_gone_back(host: &Gateway) -> bool {
    let status = host.ask(&["show", "status", "--json"]);
    status.code == 0 && status.json()["unconfirmed"] == json!({"revision": 2, "seconds_left": null})
}

/// Who applied it, and the only host that may publish, are gone: the other host goes back all the same, and all do once that is back.
#[test]
fn a_host_goes_back_although_nobody_is_there_who_may_publish() {
    if !servers::are_there() {
        return;
    }
    let mut network = Network::running();
    network.write(9);
    network.gateway.ask_about_file("apply", &["--confirm", "2s"]).done();
    network.compute.wait_for("what waits", |host| is_at(host, 2));
    network.gateway.signal(Signal::SIGKILL);
    network.gateway.ended();
    network.compute.wait_for("what was before", |host| is_at(host, 1) && has_gone_back(host));
    let said = network.compute.ask(&["show", "status"]).done();
    let told = "revision 2 was not confirmed in its time: this host has gone back to the one before";
    assert!(said.contains(told), "{said}");
    // What it went back from stays so over a restart, with the store there.
    network.compute.stop();
    let mut agent = network.agent();
    network.compute.launch_as(&mut agent);
    network.compute.wait_for("what was before", |host| is_at(host, 1) && has_gone_back(host));
    assert_eq!(notes(&network.compute)[0].0, 2, "nobody has published");
    let mut run = network.gateway.run(&[]);
    network.gateway.launch_as(&mut run);
    for host in network.hosts() {
        host.wait_for("what was before, for all", |host| is_at(host, 3));
    }
    let notes = notes(&network.gateway);
    assert_eq!(notes[0], (3, "revision 2 was not confirmed within 2 s".to_owned()));
    assert!(network.compute.ask(&["show", "config"]).done().contains("vid = 8"));
    network.gateway.stop();
    network.compute.stop();
}

/// The compute host as a second gateway, with a trunk of its own.
fn with_two_gateways() -> Network {
    let mut network = Network::running();
    network.compute.stop();
    let (vid, trunk) = (
        "vid = 8",
        "\n[hosts.compute1]\n\n[[trunks]]\nname = \"leaf2\"\nbridge = \"dc1\"\nhost = \"compute1\"\nlink = \"eth9\"\n",
    );
    network.write_topology(&format!("{FILE}{trunk}").replace(vid, "vid = 7"));
    network.gateway.ask_about_file("apply", &[]).done();
    let mut run = l2gw();
    run.arg("run").arg(network.gateway.path("gateway.toml")).args([
        "--host",
        "compute1",
        "--datapath",
        "fake",
    ]);
    run.arg("--state").arg(network.compute.path("state2")).arg("--socket").arg(network.compute.socket());
    network.compute.launch_as(&mut run);
    network.compute.wait_for("the second revision", |host| is_at(host, 2));
    network.write_topology(&format!("{FILE}{trunk}").replace(vid, "vid = 9"));
    network
}

#[test]
fn of_two_gateways_one_takes_it_back_for_both() {
    if !servers::are_there() {
        return;
    }
    let mut network = with_two_gateways();
    network.gateway.ask_about_file("apply", &["--confirm", "1s"]).done();
    for host in network.hosts() {
        host.wait_for("what was before, for all", |host| is_at(host, 4));
    }
    // Were both to publish, the second would within its turn, which is half a second.
    std::thread::sleep(Duration::from_secs(1));
    let notes = notes(&network.compute);
    assert_eq!(notes.len(), 4, "{notes:?}");
    assert_eq!(notes[0], (4, "revision 3 was not confirmed within 1 s".to_owned()));
    let known = network.gateway.ask(&["show", "revisions", "--json"]).json();
    let (taken_back, applied) = (known[0]["at_ms"].as_u64().unwrap(), known[1]["at_ms"].as_u64().unwrap());
    println!("published for both {} ms after it was applied", taken_back - applied);
    for host in network.hosts() {
        let events = host.ask(&["show", "events", "--json"]).json();
        let mut events = events.as_array().unwrap().iter();
        let back = events.find(|event| event["event"] == "revision-unconfirmed").unwrap();
        let after = back["at_ms"].as_u64().unwrap() - applied;
        println!("gone back {after} ms after it was applied");
        // By the wall clock, which is not the one that counts.
        assert!(after >= 900, "{after} ms");
        assert!(is_at(host, 4) && host.ask(&["show", "config"]).done().contains("vid = 7"));
    }
    network.gateway.stop();
    network.compute.stop();
}

/// The change is confirmed elsewhere, but this host cannot hear of it: it goes back by itself, and follows again when it can.
#[test]
fn a_host_that_is_cut_off_goes_back_and_follows_again() {
    if !servers::are_there() {
        return;
    }
    let mut network = Network::running();
    network.compute.stop();
    let mut agent = network.agent_by(&network.ensemble.relayed_string());
    network.compute.launch_as(&mut agent);
    network.compute.wait_for("the first revision", |host| is_at(host, 1));
    network.write(9);
    network.gateway.ask_about_file("apply", &["--confirm", "3s"]).done();
    network.compute.wait_for("what waits", |host| is_at(host, 2));
    for relay in network.ensemble.relays() {
        relay.drop_packets();
    }
    assert_eq!(network.gateway.ask(&["confirm", "2"]).done(), "revision 3 is in force\n");
    network.compute.wait_for("what was before", |host| is_at(host, 1) && has_gone_back(host));
    let log = network.compute.log();
    assert!(
        log.contains("revision 2 was not confirmed within 3 s: this host goes back to revision 1"),
        "{log}"
    );
    // A restart without the store does not bring it back.
    network.compute.signal(Signal::SIGKILL);
    network.compute.ended();
    let mut agent = network.agent_by(&network.ensemble.relayed_string());
    network.compute.launch_as(&mut agent);
    network.compute.wait_for("what it went back to", |host| is_at(host, 1));
    for relay in network.ensemble.relays() {
        relay.heal();
    }
    network.compute.wait_for("what was confirmed", |host| is_at(host, 3));
    assert!(network.gateway.ask(&["show", "config"]).done().contains("vid = 9"));
    assert_eq!(notes(&network.gateway)[0], (3, "confirms revision 2".to_owned()));
    network.gateway.stop();
    network.compute.stop();
}

/// From another machine, past any daemon: what is applied there waits, is refused to be built upon, and is confirmed there.
#[test]
fn what_is_applied_from_anywhere_is_confirmed_from_anywhere() {
    if !servers::are_there() {
        return;
    }
    let mut network = Network::running();
    network.write(9);
    let (place, file) =
        (format!("zookeeper:{}", network.ensemble.connection_string()), network.gateway.path("gateway.toml"));
    let login = network.gateway.path("zookeeper.auth");
    let ask =
        |words: &[&str]| finish(l2gw().args(words).arg("--nsdb").arg(&place).arg("--auth-file").arg(&login));
    let file = file.display().to_string();
    let said = ask(&["apply", &file, "--confirm", "5m"]).done();
    assert!(
        said.starts_with("revision 2 is stored, and in force until ")
            && said.contains(" UTC by this machine's clock, or later, unless confirmed: ")
            && said.contains("`l2gw confirm 2 --nsdb …`; each host takes"),
        "{said}"
    );
    for host in network.hosts() {
        host.wait_for("what waits", |host| is_at(host, 2));
    }
    let refused = ask(&["apply", &file]);
    let waits = " waits for its confirmation, 300 s at most from when hosts saw it: `l2gw confirm` keeps it";
    assert!(refused.code == 1 && refused.err.contains(waits), "{refused:?}");
    assert!(ask(&["show", "revisions"]).done().contains(" (unconfirmed, within 300 s)"));
    // A login of agents reads, and may not.
    let agent = network.compute.ask(&["confirm"]);
    assert!(agent.code == 1 && agent.err.contains("agent may not make"), "{agent:?}");
    let said = ask(&["confirm"]).done();
    assert!(said.starts_with("revision 3 is stored; each host takes it from there"), "{said}");
    for host in network.hosts() {
        host.wait_for("what was confirmed", |host| is_at(host, 3));
    }
    // A rollback for a while, which nobody confirms: all are where they were before it.
    let said = ask(&["rollback", "1", "--confirm", "2s"]).done();
    assert!(said.starts_with("revision 4 is stored, and in force until "), "{said}");
    for host in network.hosts() {
        host.wait_for("what was before the rollback", |host| is_at(host, 5));
    }
    assert_eq!(notes(&network.gateway)[0], (5, "revision 4 was not confirmed within 2 s".to_owned()));
    assert!(network.compute.ask(&["show", "config"]).done().contains("vid = 9"));
    fs::remove_file(&login).unwrap();
    network.gateway.stop();
    network.compute.stop();
}

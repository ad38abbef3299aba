//! A gateway whose journal is on a real Cassandra node that comes and goes: what it forwards and answers does not depend on it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use serde_json::Value;
use servers::{CASSANDRA_ROLE, Cassandra, CassandraOptions};

use crate::process::{FILE, Gateway, file_with_vlan_9, finish};

/// A gateway whose file says where the node is.
fn gateway(node: &Cassandra, more: &str) -> Gateway {
    let gateway = Gateway::new();
    let section = format!(
        "[journal]\nbackend = \"cassandra\"\ncontact-points = [\"{}\"]\n{more}",
        node.contact_point()
    );
    fs::write(gateway.path("journal.toml"), &section).unwrap();
    gateway.write(&format!("{section}{FILE}"));
    gateway
}

/// The kinds of the events that the gateway shows; `None` while the journal cannot be read.
fn shown(gateway: &Gateway) -> Option<Vec<String>> {
    let said = gateway.ask(&["show", "events", "--json"]);
    let events: Value = serde_json::from_str(&said.out).ok()?;
    let kind = |event: &Value| event["event"].as_str().unwrap().to_owned();
    Some(events.as_array()?.iter().map(kind).collect())
}

fn count(gateway: &Gateway, kind: &str) -> usize {
    shown(gateway).unwrap_or_default().iter().filter(|event| *event == kind).count()
}

fn apply(gateway: &Gateway, topology: &str) {
    let section = fs::read_to_string(gateway.path("journal.toml")).unwrap();
    gateway.write(&format!("{section}{topology}"));
    let (begun, said) = (Instant::now(), gateway.ask_about_file("apply", &[]));
    assert_eq!(said.code, 0, "{} {}", said.out, said.err);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn events_are_on_the_cluster_and_wait_while_it_is_away() {
    if !servers::cassandra_is_there() {
        return;
    }
    let node = Cassandra::start(CassandraOptions::plain()).unwrap();
    let mut gateway = gateway(&node, "");
    gateway.start(&[]);
    gateway.wait_for("the first events", |gateway| count(gateway, "applied") == 1);
    // A node that is alone loses what it has not synced when it is killed: this one syncs each second.
    std::thread::sleep(Duration::from_secs(2));

    node.kill().unwrap();
    apply(&gateway, &file_with_vlan_9());
    assert_eq!(gateway.revision(), 2, "what is forwarded does not wait for the journal");
    gateway.wait_for("the log", |gateway| gateway.log().contains("events wait here until it is back"));
    let said = gateway.ask(&["show", "events"]);
    assert!(said.code != 0 && said.err.contains("cannot be used: "), "{} {}", said.out, said.err);
    apply(&gateway, FILE);

    node.restart().unwrap();
    node.wait_until_ready().unwrap();
    // A node that was away is left alone for a while, by the daemon and by the client.
    let until = Instant::now() + Duration::from_secs(90);
    while count(&gateway, "journal-back") == 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(count(&gateway, "journal-back"), 1, "{}", gateway.log());
    assert_eq!((count(&gateway, "applied"), count(&gateway, "journal-away")), (3, 1));
    let (code, metrics) = gateway.http("GET", "/metrics", b"");
    assert_eq!(code, 200, "{metrics}");
    assert!(metrics.lines().any(|line| line == "l2gw_journal_lost_total 0"), "{metrics}");
    // Nothing of it is in the state directory of the host.
    gateway.stop();
    gateway.write(FILE);
    gateway.start(&[]);
    gateway.wait_for("events", |gateway| shown(gateway).is_some());
    assert_eq!(count(&gateway, "journal-away"), 0);
}

/// The node is not there at the start, and then does not take the password.
#[test]
fn a_gateway_starts_and_stops_without_its_journal() {
    if !servers::cassandra_is_there() {
        return;
    }
    let node = Cassandra::start(CassandraOptions::plain().login()).unwrap();
    node.freeze().unwrap();
    let mut frozen = gateway(&node, "");
    let begun = Instant::now();
    frozen.start(&[]);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let begun = Instant::now();
    frozen.stop();
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(frozen.log().contains("the journal does not take the last events in time"), "{}", frozen.log());

    node.thaw().unwrap();
    let mut refused = gateway(&node, "");
    let auth = refused.path("cassandra.auth");
    let set = |password: &str| {
        fs::write(&auth, format!("{CASSANDRA_ROLE}:{password}\n")).unwrap();
        fs::set_permissions(&auth, fs::Permissions::from_mode(0o600)).unwrap();
    };
    let section = fs::read_to_string(refused.path("journal.toml")).unwrap();
    refused.write(&format!("{section}auth-file = \"{}\"\n{FILE}", auth.display()));
    set("wrong");
    refused.start(&[]);
    refused.wait_for("the log", |gateway| {
        gateway.log().contains("the login is refused: look at user and password")
    });
    refused.stop();
    set(CASSANDRA_ROLE);
    refused.start(&[]);
    refused.wait_for("events", |gateway| count(gateway, "applied") == 1);
    fs::set_permissions(&auth, fs::Permissions::from_mode(0o644)).unwrap();
    refused.stop();
    let said = finish(&mut refused.run(&[]));
    assert_eq!(said.code, 78, "{}", said.err);
    assert!(said.err.contains("everybody can read the password"), "{}", said.err);
}

//! `l2gw store init`: what it makes, says and refuses.

use std::fs;

use servers::{Ensemble, Options};

use crate::{AGENT, GATEWAY, Said, file, l2gw, login};

#[test]
fn a_database_is_made_once_and_its_users_are_told() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::one()).unwrap();
    let servers = ensemble.connection_string();
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path(), &servers, Some(&login(folder.path(), GATEWAY)));
    let agents = login(folder.path(), AGENT);
    let init = |more: &[&str]| l2gw(&[&["store", "init", file.to_str().unwrap()], more].concat());
    let with_agents = ["--agents-auth-file", agents.to_str().unwrap()];
    let (code, out, err) = init(&with_agents);
    assert_eq!((code, err.as_str()), (0, ""));
    let (first, rest) = out.split_once('\n').unwrap();
    assert!(first.starts_with(&format!("a database is made: /l2gw on {servers}, incarnation ")), "{out}");
    let expected = "user gateway may read and change everything: gateways\n\
        user agent may read everything, and make or delete leases and addresses, and make, change or delete sessions: agents\n\
        no other user may read or change anything\n";
    assert_eq!(rest, expected);
    let there = format!("no database was made at /l2gw on {servers}: a database is there already");
    assert_eq!(init(&[]), (1, String::new(), format!("l2gw: {there}\n")));
    assert_eq!(init(&["--json"]), (1, format!("{{\"error\":\"{there}\"}}\n"), String::new()));
    login(folder.path(), "gateway:another-password-of-24");
    let (code, out, err) = init(&[]);
    let denied = "l2gw: gateway may not list /l2gw: it has not the right to, its password is wrong, or another user has the database\n";
    assert_eq!((code, out.as_str(), err.as_str()), (1, "", denied));
}

#[test]
fn without_a_login_everybody_may_do_everything_and_that_is_said() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::one()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path(), &ensemble.connection_string(), None);
    let agents = login(folder.path(), AGENT);
    let init = |more: &[&str]| l2gw(&[&["store", "init", file.to_str().unwrap()], more].concat());
    let (code, _, err) = init(&["--agents-auth-file", agents.to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(
        err.contains("agent would be the user of agents, and gateways have none: all would be open"),
        "{err}"
    );
    let (code, out, _) = init(&["--json"]);
    let said: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, &said["open"], &said["gateways"]),
        (0, &true.into(), &serde_json::Value::Null),
        "{out}"
    );
    assert_eq!(said["servers"][0], ensemble.connection_string());
}

/// Nothing of this asks a server, but for the last, which is not there.
#[test]
fn what_is_wrong_with_files_is_told_before_a_server_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = folder.path().join("gateway.toml");
    let path = gateway.to_str().unwrap();
    let init = |text: &str, more: &[&str]| -> Said {
        fs::write(&gateway, text).unwrap();
        l2gw(&[&["store", "init", path], more].concat())
    };
    let (code, out, err) = init("[hosts.gw1]\n", &[]);
    assert_eq!((code, out.as_str()), (78, ""));
    assert!(err.contains("gateway.toml: nsdb.backend: \"embedded\" is the store of a single host"), "{err}");
    assert!(err.contains("backend = \"zookeeper\" with servers = [\"10.0.0.1:2181\", …]"), "{err}");
    let (code, out, _) = init("[nsdb]\nbackend = \"zookeeper\"\n", &["--json"]);
    assert_eq!(code, 78);
    assert!(out.starts_with("{\"error\":") && out.contains("nsdb.servers: missing"), "{out}");
    let away = "[nsdb]\nbackend = \"zookeeper\"\nservers = [\"127.0.0.1:1\"]\n";
    let (code, _, err) = init(&format!("{away}auth-file = \"/nowhere/zk.auth\"\n"), &[]);
    assert_eq!(code, 78);
    assert!(err.starts_with("l2gw: auth-file /nowhere/zk.auth: No such file"), "{err}");
    let (code, _, err) = init(away, &["--agents-auth-file", "/nowhere/agents.auth"]);
    assert_eq!(code, 1);
    assert!(
        err.starts_with("l2gw: --agents-auth-file: auth-file /nowhere/agents.auth: No such file"),
        "{err}"
    );
    let (code, out, err) = init(away, &[]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("none of 127.0.0.1:1 answers; once it is, run"), "{err}");
}

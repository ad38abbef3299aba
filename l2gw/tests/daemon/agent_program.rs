//! `l2gw-agent` as a process: a host whose topology comes by its socket and stays in its store.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::process::{Gateway, Said, file_with_vlan_9, finish};

/// It is built next to `l2gw`.
pub(crate) fn program() -> Command {
    let path = PathBuf::from(env!("CARGO_BIN_EXE_l2gw")).with_file_name("l2gw-agent");
    assert!(path.exists(), "{} is not built: cargo build --workspace --bins", path.display());
    let mut command = Command::new(path);
    command.env_remove("NOTIFY_SOCKET").env_remove("L2GW_LOG");
    command
}

/// Writes a file for a host with its state and its socket in the gateway's directory, with `more` in front.
fn write(gateway: &Gateway, more: &str) -> PathBuf {
    let path = gateway.path("agent.toml");
    let (state, socket) = (gateway.path("state"), gateway.socket());
    let text = format!(
        "{more}\nsocket = \"{}\"\ndatapath = \"fake\"\n[nsdb]\npath = \"{}\"\n",
        socket.display(),
        state.display()
    );
    fs::write(&path, text).unwrap();
    path
}

/// The program with such a file, of the host `gw1`.
fn agent(gateway: &Gateway) -> Command {
    let mut command = program();
    command.arg("--config").arg(write(gateway, "host = \"gw1\""));
    command
}

/// With a daemon that has had no topology yet.
fn on_an_empty_store() -> Gateway {
    let mut gateway = Gateway::new();
    let mut command = agent(&gateway);
    gateway.launch_as(&mut command);
    gateway.wait_for("an answer", |gateway| gateway.ask(&["show", "status", "--json"]).code == 0);
    gateway
}

fn start_again(gateway: &mut Gateway) {
    let mut command = agent(gateway);
    gateway.start_as(&mut command);
}

/// What is said of a file in which `text` is.
fn said_of(text: &str, words: &[&str]) -> (Gateway, Said) {
    let gateway = Gateway::new();
    fs::write(gateway.path("agent.toml"), text).unwrap();
    let said = finish(program().arg("--config").arg(gateway.path("agent.toml")).args(words));
    (gateway, said)
}

#[test]
fn it_starts_on_an_empty_store_and_its_topology_comes_by_the_socket() {
    let mut gateway = on_an_empty_store();
    let status = gateway.ask(&["show", "status", "--json"]).json();
    assert_eq!(
        (&status["revision"], &status["ports"], &status["host"]),
        (&0.into(), &0.into(), &"gw1".into())
    );
    let said = gateway.ask(&["show", "status"]).done();
    assert!(said.starts_with("host gw1, no revision yet (`l2gw apply FILE` makes the first)"), "{said}");
    gateway.ask_about_file("apply", &[]).done();
    gateway.wait_for("three ports up", |gateway| {
        gateway.ask(&["show", "status", "--json"]).json()["ports_up"] == 3
    });
    assert_eq!(gateway.revision(), 1);
    let frame = "ffffffffffff02000000000181000008080600";
    let story = gateway.ask(&["trace", "--port", "leaf1", "--frame", frame]).done();
    assert!(story.contains("vm8"), "{story}");
    gateway.stop();
    assert!(!gateway.socket().exists());
}

#[test]
fn what_was_applied_is_in_force_after_a_restart_and_after_a_crash() {
    let mut gateway = on_an_empty_store();
    gateway.ask_about_file("apply", &[]).done();
    gateway.write(&file_with_vlan_9());
    gateway.ask_about_file("apply", &[]).done();
    gateway.stop();
    start_again(&mut gateway);
    assert_eq!(gateway.revision(), 2);
    gateway.signal(Signal::SIGKILL);
    gateway.ended();
    start_again(&mut gateway);
    assert_eq!(gateway.revision(), 2);
    assert!(gateway.ask(&["show", "config"]).done().contains("vid = 9"));
    gateway.ask(&["rollback", "1"]).done();
    assert_eq!(gateway.revision(), 3);
}

#[test]
fn sighup_changes_nothing_and_is_told() {
    let mut gateway = on_an_empty_store();
    gateway.ask_about_file("apply", &[]).done();
    // What a reading would find now.
    fs::write(gateway.path("agent.toml"), "host = 1").unwrap();
    gateway.write("wrong");
    for times in 1..=2 {
        gateway.signal(Signal::SIGHUP);
        let told =
            |gateway: &Gateway| gateway.log().matches("SIGHUP: nothing is read again").count() == times;
        gateway.wait_for("a word about SIGHUP", told);
    }
    assert_eq!(gateway.revision(), 1);
    let events = gateway.ask(&["show", "events"]).done();
    assert!(!events.contains("file-"), "{events}");
    gateway.stop();
}

#[test]
fn a_bad_file_is_told_whole_and_opens_nothing() {
    for words in [&[][..], &["--check"]] {
        let (gateway, said) = said_of("hots = \"gw1\"\n[nsdb]\npath = \"state\"\n", words);
        assert_eq!((said.code, said.out.as_str()), (78, ""), "{}", said.err);
        let file = gateway.path("agent.toml").display().to_string();
        let expected = [
            format!("{file}:1:1: hots: unknown key, the nearest known one is \"host\""),
            format!(
                "{file}:3:8: nsdb.path: \"state\" is not an absolute path, allowed is one that starts with \"/\""
            ),
        ];
        let told: Vec<&str> = said.err.lines().filter(|line| line.starts_with(&file)).collect();
        assert_eq!(told, expected, "{}", said.err);
        assert_eq!(gateway.files(), ["agent.toml", "gateway.toml"]);
    }
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let gateway = Gateway::new();
    for words in [&[][..], &["--check"]] {
        let said = finish(program().arg("--config").arg(gateway.path("none.toml")).args(words));
        assert_eq!(said.code, 78, "{}", said.err);
        assert!(said.err.contains("none.toml: does not exist"), "{}", said.err);
    }
}

#[test]
fn a_journal_whose_login_cannot_be_read_is_refused() {
    let text = "host = \"gw1\"\n[journal]\nbackend = \"cassandra\"\ncontact-points = [\"10.0.0.1:9042\"]\nauth-file = \"/no/such.auth\"\n";
    let (gateway, said) = said_of(text, &[]);
    assert_eq!((said.code, said.out.as_str()), (78, ""), "{}", said.err);
    assert!(said.err.contains("auth-file /no/such.auth: No such file"), "{}", said.err);
    assert_eq!(gateway.files(), ["agent.toml", "gateway.toml"]);
}

#[test]
fn check_says_what_the_example_comes_to() {
    let example = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/agent.toml");
    let out = finish(program().args(["--check", "--host", "gw1", "--config"]).arg(&example)).done();
    let expected =
        "ok: host gw1, nsdb embedded:/var/lib/l2gw, socket /run/l2gw/l2gw.sock, datapath auto, device l2gw";
    assert_eq!(out, format!("{}: {expected}\n", example.display()));
}

#[test]
fn a_second_daemon_on_the_same_state_is_refused() {
    let mut gateway = on_an_empty_store();
    for mut second in [agent(&gateway), gateway.run(&[])] {
        let said = finish(second.env("L2GW_LOG", "error"));
        assert_eq!(said.code, 1, "{}", said.err);
        assert!(said.err.contains(&gateway.path("state").display().to_string()), "{}", said.err);
    }
    assert_eq!(gateway.revision(), 0, "the first goes on");
    gateway.stop();
}

#[test]
fn a_gateway_that_was_run_with_a_file_goes_on_without_it() {
    let mut gateway = Gateway::running();
    gateway.stop();
    start_again(&mut gateway);
    assert_eq!(gateway.revision(), 1);
    gateway.stop();
}

#[test]
fn wrong_words_are_wrong_usage() {
    for words in [
        &["--host", "a b"][..],
        &["--nsdb", "zookeeper:zk1"],
        &["--auth-file", "/a"],
        &["--nsdb", "embedded:"],
        &["--device", "a name that is too long"],
        &["--datapath", "ebpf"],
        &["--upcall-rate", "-1"],
        &["--socket", ""],
        &["gateway.toml"],
    ] {
        let (gateway, said) = said_of("", words);
        assert_eq!((said.code, said.out.as_str()), (64, ""), "{words:?}: {}", said.err);
        assert_eq!(gateway.files(), ["agent.toml", "gateway.toml"]);
    }
    for word in ["--help", "--version"] {
        assert!(finish(program().arg(word)).done().contains("l2gw-agent"), "{word}");
    }
    let (_, said) = said_of("", &["--no\u{1b}[31m"]);
    assert!(said.code == 64 && !said.err.contains("no\u{1b}[31m"), "{}", said.err);
}

//! Long lists: what is asked of them, and what an operator is told of ports by name.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

use serde_json::{Value, json};

use crate::process::{FILE, Gateway, finish, l2gw};

/// An address more on `vm5`, and a third VM, so that lists have something to leave out.
fn gateway() -> Gateway {
    let mut gateway = Gateway::new();
    let third = "\n[[ports]]\nname = \"vm9\"\nbridge = \"vub5\"\nhost = \"gw1\"\nlink = \"tap9\"\n\
                 macs = [\"02:00:00:00:00:09\", \"02:00:00:00:00:0a\"]\n";
    gateway.write(&(FILE.to_owned() + third));
    gateway.start(&[]);
    gateway
}

fn column(list: &Value, name: &str) -> Vec<String> {
    let text = |row: &Value| row[name].as_str().map_or_else(|| row[name].to_string(), str::to_owned);
    list.as_array().unwrap().iter().map(text).collect()
}

#[test]
fn lists_are_filtered_sorted_and_cut() {
    let gateway = gateway();
    let shown = |words: &[&str]| gateway.ask(&[&["show"], words, &["--json"]].concat()).json();
    assert_eq!(column(&shown(&["macs"]), "location"), ["vm9", "vm9", "vm8"]);
    assert_eq!(column(&shown(&["macs", "--port", "vm8"]), "mac"), ["02:00:00:00:00:08"]);
    assert_eq!(column(&shown(&["macs", "--port", "tap8"]), "mac"), ["02:00:00:00:00:08"], "by its link");
    assert_eq!(column(&shown(&["macs", "--vlan", "5"]), "location"), ["vm9", "vm9"]);
    assert_eq!(column(&shown(&["macs", "--mac", "02:00:00:00:00:0a"]), "location"), ["vm9"]);
    assert_eq!(column(&shown(&["macs", "--sort", "address", "--limit", "2"]), "location"), ["vm8", "vm9"]);
    assert_eq!(column(&shown(&["ports", "--vlan", "8"]), "port"), ["leaf1", "vm8"]);
    assert_eq!(column(&shown(&["ports", "--sort", "addresses", "--limit", "1"]), "port"), ["vm9"]);
    assert_eq!(shown(&["ports", "--down"]), json!([]));
    assert_eq!(shown(&["flows", "--port", "vm8", "--vlan", "8", "--sort", "idle"]), json!([]));
    let of_port = shown(&["counters", "--port", "vm8"]);
    let is_its = |row: &Value| row["labels"][0] == json!(["port", "vm8"]);
    assert!(
        of_port.as_array().unwrap().len() > 8 && of_port.as_array().unwrap().iter().all(is_its),
        "{of_port}"
    );
    assert_eq!(column(&shown(&["trunks", "--vlan", "8"]), "trunk"), ["leaf1"]);
    assert_eq!(shown(&["trunks", "--vlan", "9"]), json!([]));
}

#[test]
fn what_a_list_does_not_have_is_told_with_what_it_has() {
    let gateway = gateway();
    for (words, expected) in [
        (&["macs", "--down"][..], "macs cannot be filtered by down: port, vlan, mac"),
        (&["bridges", "--vlan", "8"], "bridges cannot be filtered by vlan: no filter"),
        (
            &["ports", "--sort", "age"],
            "ports cannot be sorted by \"age\": file, name, addresses, drops, rx, tx, upcalls",
        ),
        (
            &["status", "--port", "vm8"],
            "status, events, hosts, config and revisions are shown as a whole, without a filter",
        ),
        (
            &["events", "--limit", "1"],
            "status, events, hosts, config and revisions are shown as a whole, without a filter",
        ),
        (
            &["macs", "--port", "vm80"],
            "\"vm80\" is no port of the topology in force, nor a link of one, did you mean \"vm8\"?",
        ),
    ] {
        let said = gateway.ask(&[&["show"], words].concat());
        assert_eq!((said.code, said.err.as_str()), (64, format!("l2gw: {expected}\n").as_str()), "{words:?}");
    }
    for words in [["--vlan", "4095"], ["--vlan", "x"], ["--limit", "0"], ["--mac", "02:00"]] {
        let said = gateway.ask(&[&["show", "macs"], &words[..]].concat());
        assert_eq!(said.code, 64, "{words:?}: {}", said.err);
    }
    for query in [
        "?vlan=0",
        "?vlan=05",
        "?vlan=%2b5",
        "?vlan=",
        "?vlan=4095",
        "?limit=0",
        "?sort=age",
        "?colour=red",
        "?down=perhaps",
    ] {
        let (status, body) = gateway.http("GET", &format!("/v1/macs{query}"), b"");
        let error = serde_json::from_str::<Value>(&body).unwrap()["error"].as_str().map(str::to_owned);
        assert!(status == 400 && error.is_some(), "{query}: {status} {body}");
    }
    assert_eq!(gateway.http("GET", "/v1/macs?port=vm80", b"").0, 404);
}

#[test]
fn a_link_is_taken_wherever_a_port_is() {
    let gateway = gateway();
    let frame = "ffffffffffff02000000000108000000";
    let trace = |port: &str| gateway.ask(&["trace", "--port", port, "--frame", frame, "--json"]).json();
    assert_eq!(trace("tap9"), trace("vm9"));
    assert_eq!(
        gateway.ask(&["flush", "macs", "--port", "eth2"]).done(),
        "the addresses learned at eth2 are forgotten\n"
    );
    let said = gateway.ask(&["unblock", "tap5"]);
    assert_eq!((said.code, said.err.as_str()), (1, "l2gw: vm5 is not blocked\n"));
}

#[test]
fn a_port_that_is_not_blocked_cannot_be_unblocked() {
    let gateway = gateway();
    let said = gateway.ask(&["unblock", "vm5"]);
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (1, "", "l2gw: vm5 is not blocked\n"));
    let said = gateway.ask(&["unblock", "leaf1", "--json"]);
    assert_eq!((said.code, said.failure().as_str()), (1, "leaf1 is not blocked"));
    assert_eq!(gateway.ask(&["unblock", "vm50"]).code, 64);
}

/// A user that is neither root nor in the socket's group.
#[test]
fn who_may_not_use_the_socket_is_told_who_may() {
    let gateway = gateway();
    let socket = gateway.socket();
    let directory = socket.parent().unwrap();
    std::fs::set_permissions(directory, PermissionsExt::from_mode(0o755)).unwrap();
    let program = directory.join("l2gw");
    std::fs::copy(env!("CARGO_BIN_EXE_l2gw"), &program).unwrap();
    let mut command = l2gw();
    if nix::unistd::geteuid().is_root() {
        command = std::process::Command::new(&program);
        command.uid(NOBODY).gid(NOBODY).current_dir("/");
    } else {
        std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o000)).unwrap();
    }
    let said = finish(command.args(["show", "status", "--socket"]).arg(&socket));
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    let is_told =
        said.err.contains("no permission: it is for root and group ") && !said.err.contains("no daemon");
    assert!(is_told, "{}", said.err);
}

/// As the kernel has it where there is no user (`/proc/sys/kernel/overflowuid`).
const NOBODY: u32 = 65_534;

#[test]
fn a_limit_of_counters_is_one_of_those_that_are_shown() {
    let gateway = Gateway::running();
    let all = gateway.ask(&["show", "counters"]).done();
    let one = gateway.ask(&["show", "counters", "--limit", "1"]).done();
    let (all, one): (Vec<&str>, Vec<&str>) = (all.lines().collect(), one.lines().collect());
    assert!(all.len() > 3, "{all:?}");
    // A column is as wide as what is shown in it.
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(one[0]), words(all[0]));
    assert!(one.len() == 3 && one[2].ends_with("more are 0; --json has them all)"), "{one:?}");
}

//! Which port is asked for, and what becomes of a revision with it and without it.

use clap::Parser;

use super::*;
use crate::cli::args::{Cli, Porting, Verb};
use crate::config::{self, StoreSaid};

fn asked(words: &[&str]) -> PortAddRequest {
    let usual = ["l2gw", "port", "add", "vm9", "--bridge", "vub8", "--host", "gw1", "--link", "tap9"];
    let Verb::Port { what: Porting::Add(request) } =
        Cli::try_parse_from(usual.iter().chain(words)).unwrap().verb
    else {
        panic!("another verb")
    };
    request
}

fn built(words: &[&str]) -> Result<Port, (u8, String)> {
    port(&asked(words)).map_err(|error| (error.exit_code(), error.to_string()))
}

fn said(words: &[&str]) -> Value {
    serde_json::to_value(built(words).unwrap()).unwrap()
}

#[test]
fn a_port_has_the_keys_that_are_given() {
    let plain = json!({"name": "vm9", "bridge": "vub8", "host": "gw1", "link": "tap9"});
    assert_eq!(said(&[]), plain);
    let words = ["--mac", "02:00:00:00:00:0A", "--mac", "02:00:00:00:00:0b", "--mtu", "9000", "--isolated"];
    let mut expected = plain.clone();
    expected["macs"] = json!(["02:00:00:00:00:0a", "02:00:00:00:00:0b"]);
    expected["mtu"] = json!(9000);
    expected["isolated"] = json!(true);
    assert_eq!(said(&words), expected);
    let mut expected = plain.clone();
    (expected["mode"], expected["vlans"]) = (json!("trunk"), json!(["5", "8", "100-199"]));
    assert_eq!(said(&["--mode", "trunk", "--vlans", "5,8,100-199"]), expected);
    let set = ["--set", "sticky=1", "--set", "bpdu=discard", "--set", "flood={ unknown = false }"];
    let mut expected = plain;
    expected["sticky"] = json!(1);
    expected["bpdu"] = json!("discard");
    expected["flood"] = json!({"unknown": false});
    assert_eq!(said(&set), expected);
    assert_eq!(said(&["--set", "on-limit = \"drop\""])["on-limit"], "drop");
}

#[test]
fn what_is_wrong_with_a_port_is_told_in_the_files_words() {
    for (words, code, told) in [
        (
            &["--set", "stciky=1"][..],
            64,
            "stciky: \"stciky\" is an unknown key, the nearest known one is \"sticky\"",
        ),
        (&["--set", "sticky"], 64, "--set \"sticky\": allowed is KEY=VALUE, such as mac-limit=16"),
        (&["--set", "link=tap8"], 64, "--set \"link=tap8\": link is given twice, allowed is once"),
        (
            &["--set", "mac-limit=x"],
            64,
            "mac-limit: the string \"x\" is given, allowed is a whole number from 0 to 4294967295",
        ),
        // A second line is no second key.
        (&["--set", "mac-limit=1\nvid = 2"], 64, "mac-limit: the string \"1\\nvid = 2\" is given"),
        (&["--vid", "8"], 78, "ports.vm9.vid: is no key of a port without a mode"),
        (&["--mode", "acces"], 78, "ports.vm9.mode: \"acces\", allowed are \"access\""),
        (&["--mac", "02:00"], 78, "ports.vm9.macs: "),
    ] {
        let (got, said) = built(words).unwrap_err();
        assert!(got == code && said.starts_with(told), "{words:?}: {got} {said}");
    }
}

/// Revision 7: vm5 and vm8 of the file, on two hosts, vm6 by the socket, vm9 by `port add` on a third host.
fn there() -> Published {
    let text = "[hosts.gw1]\n[hosts.gw2]\n[hosts.gw3]\n[bridges.vub8]\nkind = \"vlan-unaware\"\n\
        [[ports]]\nname = \"vm8\"\nbridge = \"vub8\"\nhost = \"gw1\"\nlink = \"tap8\"\n\
        [[ports]]\nname = \"vm5\"\nbridge = \"vub8\"\nhost = \"gw2\"\nlink = \"tap5\"\n";
    assert!(config::parse("gw.toml", text).is_err(), "no file of a host's own store");
    let read = config::parse_as("gw.toml", text, StoreSaid::Elsewhere).unwrap();
    let mut topology = Tree::from(&read.description);
    let mut sources = Map::new();
    for (name, host, origin) in [("vm6", "gw1", "socket"), ("vm9", "gw3", "cli")] {
        let keys = json!({"name": name, "bridge": "vub8", "host": host, "link": name});
        topology.ports.push(Port::of_keys(keys.as_object().unwrap()).unwrap());
        sources.insert(format!("ports.{name}"), json!({"origin": origin, "author": "ann"}));
    }
    serde_json::from_value(json!({
        "revision": 7, "topology": topology, "sources": sources, "text": {"file": "gw.toml", "text": text},
    }))
    .unwrap()
}

fn names(next: Result<Next, PortError>) -> (Vec<String>, Vec<String>) {
    let Next { topology, without_hosts } = next.unwrap();
    (topology.ports.iter().map(|port| port.name().to_owned()).collect(), without_hosts)
}

fn refused(next: Result<Next, PortError>) -> (u8, String) {
    let error = next.err().unwrap();
    (error.exit_code(), error.to_string())
}

fn keyed(name: &str, host: &str, link: &str) -> Port {
    let keys = json!({"name": name, "bridge": "vub8", "host": host, "link": link});
    Port::of_keys(keys.as_object().unwrap()).unwrap()
}

#[test]
fn a_port_is_added_beside_what_is_there() {
    let there = there();
    let (all, gone) = names(with(&there, &keyed("vm10", "gw1", "tap10")));
    assert_eq!((all, gone.len()), (["vm5", "vm8", "vm6", "vm9", "vm10"].map(str::to_owned).into(), 0));
    let (same, _) = names(with(&there, &keyed("vm9", "gw3", "vm9")));
    assert_eq!(same, ["vm5", "vm8", "vm6", "vm9"], "the same again is nothing new");
    for (port, told) in [
        (
            keyed("vm9", "gw3", "tap1"),
            "ports.vm9: it is there already, with other keys; `l2gw port del vm9` removes it",
        ),
        (keyed("vm8", "gw1", "tap8"), "ports.vm8: it is there already and came by file (gw.toml:6)"),
        (keyed("vm6", "gw1", "vm6"), "ports.vm6: it is there already and came by socket, from ann"),
    ] {
        assert_eq!(refused(with(&there, &port)), (78, told.to_owned()));
    }
}

#[test]
fn only_what_was_added_so_is_removed() {
    let there = there();
    let (rest, gone) = names(without(&there, "vm9"));
    assert_eq!((rest, gone), (["vm5", "vm8", "vm6"].map(str::to_owned).into(), vec!["gw3".to_owned()]));
    let rest = "; `l2gw port del` removes only what `l2gw port add` added: remove it where it came from";
    for (name, whence) in [("vm8", "by file (gw.toml:6)"), ("vm6", "by socket, from ann")] {
        assert_eq!(refused(without(&there, name)), (78, format!("ports.{name}: it came {whence}{rest}")));
    }
    let said = "\"vm7\" is no port in revision 7; `l2gw show config` has those that there are";
    assert_eq!(refused(without(&there, "vm7")), (64, said.to_owned()));
}

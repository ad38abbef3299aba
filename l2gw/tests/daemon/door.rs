//! What may come in by the daemon's door, whether from a file, by SIGHUP or by the socket; and what nobody does by mistake.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::process::{FILE, Gateway, file_with_vlan_9, finish};

/// The file with host gw2 in the place of gw1.
fn of_another_host() -> String {
    FILE.replace("gw1", "gw2")
}

/// The file without any port or trunk.
fn without_ports() -> String {
    FILE[..FILE.find("[[trunks]]").unwrap()].to_owned()
}

fn is_as_it_was(gateway: &Gateway) {
    let status = gateway.ask(&["show", "status", "--json"]).json();
    assert_eq!((&status["revision"], &status["ports_up"]), (&json!(1), &json!(3)));
}

/// Events of a kind, oldest first.
fn events(gateway: &Gateway, kind: &str) -> Vec<Value> {
    let all = gateway.ask(&["show", "events", "--json"]).json();
    all.as_array().unwrap().iter().filter(|event| event["event"] == kind).cloned().collect()
}

/// What the daemon has published.
fn published(gateway: &Gateway) -> Value {
    let (code, text) = gateway.http("GET", "/v1/topology", b"");
    assert_eq!(code, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// Proposes a description by the socket: status and words of the answer.
fn propose(gateway: &Gateway, description: &Value, more: &Value) -> (u16, String) {
    let mut proposal = json!({"expected": null, "topology": description, "note": ""});
    for (key, value) in more.as_object().unwrap() {
        proposal[key] = value.clone();
    }
    gateway.http("POST", "/v1/topology", proposal.to_string().as_bytes())
}

#[test]
fn a_file_that_takes_this_host_away_is_refused_unless_it_is_named() {
    let gateway = Gateway::running();
    gateway.write(&of_another_host());
    let said = gateway.ask_about_file("apply", &[]);
    assert_eq!((said.code, said.out.as_str()), (78, ""), "{}", said.err);
    assert_eq!(
        said.err,
        "l2gw: \"gw1\", this host, is no host of it any more: leaf1, vm5, vm8 would forward nothing any more; \
         if that is meant, say so by --without-host gw1\n"
    );
    let said = gateway.ask_about_file("apply", &["--without-host", "gw2"]);
    assert_eq!(said.code, 78, "{}", said.err);
    assert!(said.err.contains("does not take away host \"gw2\""), "{}", said.err);
    is_as_it_was(&gateway);
    let said = gateway.ask_about_file("apply", &["--without-host", "gw1"]);
    assert_eq!(said.done(), "revision 2 is in force\n");
    assert_eq!(gateway.ask(&["show", "status", "--json"]).json()["ports_up"], 0);
    gateway.wait_for("the losses to be told", |gateway| events(gateway, "port-down").len() == 3);
    let down = events(&gateway, "port-down");
    let lost: Vec<&str> = down.iter().map(|event| event["port"].as_str().unwrap()).collect();
    assert_eq!(lost, ["leaf1", "vm5", "vm8"]);
    assert!(down.iter().all(|event| event["why"] == "on another host now"), "{down:?}");
    gateway.write(FILE);
    assert_eq!(gateway.ask_about_file("apply", &[]).done(), "revision 3 is in force\n");
    gateway.wait_for("all ports up again", |gateway| {
        gateway.ask(&["show", "status", "--json"]).json()["ports_up"] == 3
    });
}

#[test]
fn a_file_that_takes_all_ports_of_this_host_away_is_refused_unless_it_is_named() {
    let gateway = Gateway::running();
    gateway.write(&without_ports());
    let said = gateway.ask_about_file("apply", &[]);
    assert_eq!(said.code, 78, "{}", said.err);
    assert!(
        said.err.contains("\"gw1\", this host, has no port in it any more: leaf1, vm5, vm8"),
        "{}",
        said.err
    );
    is_as_it_was(&gateway);
    // One port is enough to be meant.
    gateway.write(&FILE[..FILE.find("[[ports]]").unwrap()]);
    assert_eq!(gateway.ask_about_file("apply", &[]).done(), "revision 2 is in force\n");
    gateway.wait_for("the losses to be told", |gateway| events(gateway, "port-down").len() == 2);
    let down = events(&gateway, "port-down");
    assert!(down.iter().all(|event| event["why"] == "no longer in the topology"), "{down:?}");
    gateway.write(&without_ports());
    assert_eq!(
        gateway.ask_about_file("apply", &["--without-host", "gw1"]).done(),
        "revision 3 is in force\n"
    );
    // What it has not, nobody can take away.
    gateway.write(&without_ports().replace("vid = 8", "vid = 9"));
    assert_eq!(gateway.ask_about_file("apply", &[]).done(), "revision 4 is in force\n");
}

#[test]
fn another_host_may_come_and_go() {
    let gateway = Gateway::running();
    gateway.write(&format!("[hosts.gw2]\n\n{FILE}"));
    assert_eq!(gateway.ask_about_file("apply", &[]).done(), "revision 2 is in force\n");
    gateway.write(FILE);
    assert_eq!(gateway.ask_about_file("apply", &[]).done(), "revision 3 is in force\n");
    assert!(events(&gateway, "port-down").is_empty());
}

#[test]
fn sighup_takes_no_host_away() {
    let gateway = Gateway::running();
    for (number, file) in [of_another_host(), without_ports()].into_iter().enumerate() {
        gateway.write(&file);
        gateway.signal(Signal::SIGHUP);
        gateway.wait_for("the refusal", |gateway| events(gateway, "file-refused").len() == number + 1);
        let why = events(&gateway, "file-refused")[number]["why"].as_str().unwrap().to_owned();
        assert!(why.contains("leaf1, vm5, vm8 would forward nothing any more"), "{why}");
        assert!(why.ends_with("of `l2gw apply`; SIGHUP never does it"), "{why}");
    }
    is_as_it_was(&gateway);
    gateway.write(&file_with_vlan_9());
    gateway.signal(Signal::SIGHUP);
    gateway.wait_for("revision 2", |gateway| gateway.revision() == 2);
}

#[test]
fn a_start_takes_no_host_away() {
    let mut gateway = Gateway::running();
    gateway.stop();
    gateway.write(&without_ports());
    let said = finish(&mut gateway.run(&[]));
    assert_eq!(said.code, 78, "{}", said.err);
    let last = said.err.lines().last().unwrap();
    assert!(last.contains("gateway.toml: \"gw1\", this host, has no port in it any more"), "{last}");
    assert!(last.ends_with("--without-host gw1"), "{last}");
    gateway.write(FILE);
    gateway.start(&[]);
    assert_eq!(gateway.revision(), 1);
    gateway.stop();
    gateway.write(&without_ports());
    gateway.launch(&["--without-host", "gw1"]);
    gateway.wait_for("revision 2", |gateway| {
        let said = gateway.ask(&["show", "status", "--json"]);
        said.code == 0 && said.json()["revision"] == 2
    });
}

#[test]
fn the_socket_takes_no_host_away() {
    let gateway = Gateway::running();
    let whole = published(&gateway)["topology"].clone();
    let mut without_host = whole.clone();
    without_host["hosts"] = json!({"gw9": {}});
    for table in ["trunks", "ports"] {
        without_host[table].as_array_mut().unwrap().iter_mut().for_each(|port| port["host"] = json!("gw9"));
    }
    let mut without_ports = whole.clone();
    (without_ports["trunks"], without_ports["ports"]) = (json!([]), json!([]));
    let nothing = json!({});
    for (description, words) in [
        (&without_host, "\"gw1\", this host, is no host of it any more: leaf1, vm5, vm8"),
        (&without_ports, "\"gw1\", this host, has no port in it any more: leaf1, vm5, vm8"),
        (&nothing, "this declares nothing at all: host \"gw1\" would forward nothing any more"),
    ] {
        let (code, said) = propose(&gateway, description, &json!({}));
        assert_eq!(code, 422, "{said}");
        assert!(said.replace("\\\"", "\"").contains(words), "{said}");
    }
    is_as_it_was(&gateway);
    let (code, said) = propose(&gateway, &whole, &json!({}));
    assert_eq!((code, said.as_str()), (200, "{\"revision\":1,\"is_new\":false}"));
    let (code, said) = propose(&gateway, &nothing, &json!({"without_hosts": ["gw1"]}));
    assert_eq!((code, said.as_str()), (200, "{\"revision\":2,\"is_new\":true}"));
}

/// A change of a description, as a client may make it.
type Change = fn(&mut Value);

/// What a file may not say either: how, and a word of the answer.
const WRONG: &[(&str, Change, &str)] = &[
    ("a name with newline and escape", |d| d["ports"][0]["name"] = json!("vm\n\u{1b}[31m8\""), "name"),
    ("an empty name", |d| d["ports"][0]["name"] = json!(""), "name"),
    ("a name in upper case", |d| d["ports"][0]["name"] = json!("VM8"), "VM8"),
    ("a link of 40 bytes", |d| d["ports"][0]["link"] = json!("x".repeat(40)), "15"),
    ("an empty link", |d| d["ports"][0]["link"] = json!(""), "link"),
    ("a link that reads backwards", |d| d["ports"][0]["link"] = json!("tap\u{202e}5"), "does not show"),
    (
        "an IPv4 address as IPv6",
        |d| d["ports"][0]["ips"] = json!(["::ffff:127.0.0.1"]),
        "in the form of IPv6",
    ),
    ("a link with NUL", |d| d["ports"][0]["link"] = json!("a\u{0}b"), "link"),
    ("a link with slashes", |d| d["ports"][0]["link"] = json!("../../x"), "link"),
    ("a limit of no address", |d| d["ports"][0]["mac-limit"] = json!(0), "0"),
    ("an MTU of 0", |d| d["trunks"][0]["mtu"] = json!(0), "0"),
    ("a group address", |d| d["ports"][0]["macs"] = json!(["01:00:00:00:00:01"]), "01:00:00:00:00:01"),
    ("the zero address", |d| d["ports"][0]["macs"] = json!(["00:00:00:00:00:00"]), "00:00:00:00:00:00"),
    ("a loopback address", |d| d["ports"][0]["ips"] = json!(["127.0.0.1"]), "127.0.0.1"),
    ("a weight of 0", |d| d["trunks"][0]["weight"] = json!(0), "0"),
    ("an ageing of 1 ms", |d| d["bridges"]["dc1"]["ageing"] = json!("1ms"), "ageing"),
    ("an ageing of no unit", |d| d["bridges"]["dc1"]["ageing"] = json!("300"), "ageing"),
    ("a bridge's limit of no address", |d| d["bridges"]["dc1"]["mac-limit"] = json!(0), "0"),
    ("VNI 0", |d| d["bridges"]["vub5"]["vni"] = json!(0), "0"),
    ("VNI 2^32-1", |d| d["bridges"]["vub5"]["vni"] = json!(u32::MAX), "4294967295"),
    ("VLAN 0", |d| d["vlans"][0]["vid"] = json!(0), "vlans dc1.0.vid: 0 is not"),
    (
        "a word that is none",
        |d| d["bridges"]["dc1"]["redundancy"] = json!("both"),
        "\"designated\", \"stp\", \"none\"",
    ),
    (
        "a key of another mode",
        |d| d["ports"][0]["vid"] = json!(5),
        "ports.vm5.vid: is no key of a port without a mode",
    ),
    (
        "a key of the other kind",
        |d| d["bridges"]["vub5"]["tpid"] = json!("0x8100"),
        "bridges.vub5.tpid: is for kind",
    ),
    (
        "a translation of two to one",
        |d| d["trunks"][0]["translate"] = json!({"1-2": 3}),
        "as many on both sides",
    ),
];

#[test]
fn the_socket_refuses_what_the_file_refuses() {
    let gateway = Gateway::running();
    let whole = published(&gateway)["topology"].clone();
    for (what, change, word) in WRONG {
        let mut description = whole.clone();
        change(&mut description);
        let (code, said) = propose(&gateway, &description, &json!({}));
        assert_eq!(code, 422, "{what}: {said}");
        let said: Value = serde_json::from_str(&said).unwrap();
        let said = said["error"].as_str().unwrap();
        assert!(said.contains(word), "{what}: {said}");
        assert!(!said.contains(char::is_control), "{what}: {said:?} reaches a terminal");
    }
    is_as_it_was(&gateway);
    for change in [
        (|d| d["ports"][0]["name"] = json!("vm5-b")) as Change,
        |d| d["ports"][0]["link"] = json!("x".repeat(15)),
        |d| d["ports"][0]["macs"] = json!(["02:00:00:00:00:05"]),
        |d| d["trunks"][0]["macs"] = json!(["02:00:00:00:00:01"]),
        |d| d["bridges"]["dc1"]["ageing"] = json!("10s"),
        |d| d["bridges"]["dc1"]["ageing"] = json!("5m"),
        |d| d["trunks"][0]["vlans"] = json!([5, "8", "100-199"]),
    ] {
        let mut description = whole.clone();
        change(&mut description);
        let (code, said) = propose(&gateway, &description, &json!({}));
        assert_eq!(code, 200, "{said}");
    }
}

/// A key that is passed over does something else than its writer meant: `without_host` would publish without a word.
#[test]
fn the_socket_refuses_a_key_that_it_does_not_know() {
    let gateway = Gateway::running();
    let whole = published(&gateway)["topology"].clone();
    let (code, said) = propose(&gateway, &whole, &json!({"without_host": ["gw1"]}));
    assert_eq!(code, 400, "{said}");
    let said: Value = serde_json::from_str(&said).unwrap();
    let said = said["error"].as_str().unwrap();
    assert!(said.contains("\"without_host\" is an unknown key"), "{said}");
    assert!(said.ends_with("the nearest known one is \"without_hosts\""), "{said}");
    for (change, word) in [
        ((|d| d["ports"][0]["shared-mac"] = json!([])) as Change, "shared-macs"),
        (|d| d["ports"][0]["host-adresses"] = json!("keep"), "host-addresses"),
        (|d| d["trunks"][0]["native-taged"] = json!(true), "native-tagged"),
        (
            |d| {
                d["trunks"][0]["storm"] = json!({"broadcast": 1, "multicast": 1, "unknown": 1, "brodcast": 0})
            },
            "broadcast",
        ),
        (|d| d["bridges"]["dc1"]["agein"] = json!(1), "ageing"),
        (|d| d["bridges"]["dc1"]["join-vid"] = json!(true), "join-vids"),
        (|d| d["vlans"][0]["tos"] = json!("x"), "to"),
        (|d| d["hosts"]["gw1"]["underlya"] = json!("192.0.2.1"), "underlay"),
        (|d| d["port"] = json!([]), "ports"),
    ] {
        let mut description = whole.clone();
        change(&mut description);
        let (code, said) = propose(&gateway, &description, &json!({}));
        assert_eq!(code, 400, "{word}: {said}");
        assert!(said.contains(&format!("the nearest known one is \\\"{word}\\\"")), "{word}: {said}");
    }
    let file = json!({"path": "/x", "digest": "0", "diget": "1"});
    assert_eq!(propose(&gateway, &whole, &json!({"file": file})).0, 400);
    is_as_it_was(&gateway);
}

/// The last of two keys would win, and a list would be an object by the order of its values.
#[test]
fn the_socket_refuses_a_key_that_is_there_twice_and_a_list_for_an_object() {
    let gateway = Gateway::running();
    let host = r#""hosts":{"gw1":{}},"bridges":{"b":{"kind":"vlan-unaware"}}"#;
    let port = r#"{"name":"p","bridge":"b","host":"gw1","link":"l","flood":{"unknown":true}}"#;
    let post = |text: &str| gateway.http("POST", "/v1/topology", text.as_bytes());
    let whole = |topology: &str| format!(r#"{{"topology":{{{topology}}},"note":""}}"#);
    let right = whole(&format!(r#"{host},"ports":[{port}]"#));
    for (text, word) in [
        (right.replace(r#""gw1":{}"#, r#""gw1":{},"gw1":{"datapath":"ovs"}"#), "\\\"gw1\\\" is there twice"),
        (right.replace(r#""note":"""#, r#""note":"a","note":"b""#), "\\\"note\\\" is there twice"),
        (right.replace(r#"{"gw1":{}}"#, r#"{"gw1":[]}"#), "is a list, allowed is an object"),
        (right.replace(port, r#"["p","b","gw1","l"]"#), "ports.1 is a list"),
        (right.replace(r#"{"unknown":true}"#, "[false]"), "ports.p.flood is a list"),
        (right.replace(r#""link":"l""#, r#""link":"l","mtu":[9000]"#), "ports.p.mtu: "),
        (format!("[null,{{{host}}},\"\",[],null]"), "the proposal is a list"),
    ] {
        let (code, said) = post(&text);
        assert_eq!(code, 400, "{text}: {said}");
        assert!(said.contains(word), "{text}: {said}");
    }
    is_as_it_was(&gateway);
    assert_eq!(post(&right).0, 200);
}

#[test]
fn a_note_reaches_no_terminal_with_control_characters() {
    let gateway = Gateway::running();
    let whole = published(&gateway)["topology"].clone();
    for (key, text) in [("note", "line\nline"), ("note", "line\u{2028}line"), ("note", "zero\u{200b}width")] {
        let (code, said) = propose(&gateway, &whole, &json!({key: text}));
        assert_eq!(code, 422, "{said}");
        assert!(said.contains("allowed is printable text"), "{said}");
    }
    let (code, _) = propose(&gateway, &whole, &json!({"note": "für «alle»"}));
    assert_eq!(code, 200);
}

#[test]
fn what_was_planned_against_nothing_is_never_in_conflict() {
    let gateway = Gateway::running();
    let whole = published(&gateway)["topology"].clone();
    let with_ageing = |secs: usize| {
        let mut description = whole.clone();
        description["bridges"]["dc1"]["ageing"] = json!(format!("{secs}s"));
        description
    };
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..6)
            .map(|writer| {
                let (gateway, with_ageing) = (&gateway, &with_ageing);
                scope.spawn(move || {
                    for round in 0..10 {
                        // Like the file, which would otherwise have to name what came by the socket.
                        let more = json!({"origin": "file"});
                        let (code, said) =
                            propose(gateway, &with_ageing(1_000 + 100 * writer + round), &more);
                        assert_eq!(code, 200, "{said}");
                    }
                })
            })
            .collect();
        for vid in 10..20 {
            gateway.write(&FILE.replace("vid = 8", &format!("vid = {vid}")));
            gateway.signal(Signal::SIGHUP);
            let note = "the file is a new revision";
            let told = vid - 9;
            gateway.wait_for("SIGHUP to be obeyed", |gateway| gateway.log().matches(note).count() > told);
        }
        writers.into_iter().for_each(|writer| writer.join().unwrap());
    });
    assert!(!gateway.log().contains("was made for"), "{}", gateway.log());
    assert_eq!(published(&gateway)["revision"], 71, "60 proposals, 10 signals and the file at the start");
    let (code, said) = propose(&gateway, &with_ageing(10), &json!({"expected": 70}));
    assert_eq!(code, 409);
    assert!(said.contains("it was made for revision 70, but revision 71 is there"), "{said}");
}

#[test]
fn applies_without_a_planned_revision_all_come_in() {
    let gateway = Gateway::running();
    std::thread::scope(|scope| {
        for number in 0..4 {
            let gateway = &gateway;
            scope.spawn(move || {
                let file = gateway.path(&format!("file-{number}.toml"));
                std::fs::write(&file, FILE.replace("vid = 8", &format!("vid = {}", 100 + number))).unwrap();
                let file = file.display().to_string();
                let said = gateway.ask(&["apply", &file]).done();
                assert!(said.ends_with("is in force\n"), "{said}");
            });
        }
    });
    assert_eq!(gateway.revision(), 5);
}

#[test]
fn every_setting_of_a_port_comes_back_from_the_store() {
    let mut gateway = Gateway::running();
    let settings =
        "flood = { unknown = false }\nisolated = true\ntags = \"drop\"\nmac-limit = 1024\nbpdu = \"block\"\n";
    let with_settings = FILE.replace("macs = [", &format!("{settings}macs = ["));
    let with_settings = with_settings.replace("link = \"tap5\"", "link = \"tap5\"\nsticky = 2");
    gateway.write(&with_settings);
    gateway.ask_about_file("apply", &[]).done();
    gateway.write(FILE);
    let said = gateway.ask_about_file("plan", &[]).done();
    for line in ["flood.unknown: false -> true", "isolated: true -> false", "tags: drop -> pass"] {
        assert!(said.contains(&format!("~ ports.vm8.{line}")), "{line}: {said}");
    }
    assert!(said.contains("~ ports.vm5.sticky: 2 -> unset"), "{said}");
    assert!(!said.contains("mac-limit") && !said.contains("bpdu"), "defaults that are written: {said}");
    gateway.stop();
    gateway.write(&with_settings);
    gateway.start(&[]);
    let status = gateway.ask(&["show", "status"]).done();
    assert!(status.starts_with("host gw1, revision 2, "), "{status}");
}

//! What the verbs say, and how they end.

use std::path::Path;

use clap::Parser;
use l2gw::cli::args::Cli;
use serde_json::{Value, json};

use crate::process::{FILE, Gateway, file_with_vlan_9, finish, l2gw, with_file};

const VERBS: [&str; 11] =
    ["check", "table", "trace", "run", "show", "plan", "apply", "flush", "unblock", "demo", "completions"];
const FRAME: &str = "ffffffffffff02000000000181000008080600";

#[test]
fn every_subject_is_shown_as_text() {
    let gateway = Gateway::running();
    let said = |subject: &str| gateway.ask(&["show", subject]).done();
    assert_eq!(
        said("status"),
        "host gw1, revision 1, datapath fake\nports 3 of 3 up, 1 addresses, 0 flows\n"
    );
    assert_eq!(
        said("ports"),
        "PORT   STATE  BRIDGE  MODE   VLANS  LINK  ADDRESSES  RX  TX  UPCALLS  DROPS  WHY\n\
         leaf1  up     dc1     trunk  5,8    eth2  0          0   0   0        0\n\
         vm5    up     vub5    plain  -      tap5  0          0   0   0        0\n\
         vm8    up     vub8    plain  -      tap8  1          0   0   0        0\n"
    );
    assert_eq!(
        said("trunks"),
        "TRUNK  STATE  BRIDGE  FABRIC  LINK  ALLOWED  CARRIES\n\
         leaf1  up     dc1     rack1   eth2  5,8      5,8\n"
    );
    assert_eq!(
        said("bridges"),
        "BRIDGE  KIND          ADDRESSES  AGEING  PORTS  PEERINGS\n\
         dc1     vlan-aware    0          300 s   leaf1  5 > vub5, 8 > vub8\n\
         vub5    vlan-unaware  0          300 s   vm5    dc1.5\n\
         vub8    vlan-unaware  1          300 s   vm8    dc1.8\n"
    );
    assert_eq!(
        said("macs"),
        "ADDRESS            BRIDGE  VLAN  LOCATION  KIND      IDLE\n\
         02:00:00:00:00:08  vub8    -     vm8       declared  -\n"
    );
    assert_eq!(said("flows"), "PORT  SOURCE  DESTINATION  TAGS  TYPE  FRAMES  IDLE  ACTIONS\n");
    let counters = said("counters");
    let lines: Vec<&str> = counters.lines().collect();
    assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), ["COUNTER", "OF", "VALUE"]);
    assert!(lines.iter().any(|line| line.ends_with("event=applied  1")), "{counters}");
    assert!(lines.last().unwrap().ends_with("more are 0; --json has them all)"), "{counters}");
}

#[test]
fn every_subject_is_shown_as_json() {
    let gateway = Gateway::running();
    let said = |subject: &str| gateway.ask(&["show", subject, "--json"]).json();
    let status = said("status");
    assert_eq!(
        (&status["host"], &status["revision"], &status["ports_up"]),
        (&json!("gw1"), &json!(1), &json!(3))
    );
    let names = |list: Value, key: &str| -> Vec<String> {
        list.as_array().unwrap().iter().map(|object| object[key].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(said("ports"), "port"), ["leaf1", "vm5", "vm8"]);
    assert_eq!(names(said("trunks"), "carries"), ["5,8"]);
    assert_eq!(names(said("bridges"), "bridge"), ["dc1", "vub5", "vub8"]);
    assert_eq!(names(said("macs"), "mac"), ["02:00:00:00:00:08"]);
    assert_eq!(said("flows"), json!([]));
    let counters = said("counters");
    let ups = counters
        .as_array()
        .unwrap()
        .iter()
        .find(|counter| counter["labels"] == json!([["event", "port-up"]]));
    assert_eq!(ups.unwrap()["value"], 3);
}

#[test]
fn events_are_shown_also_those_of_an_earlier_run() {
    let mut gateway = Gateway::running();
    let has_applied = |gateway: &Gateway, times: usize| {
        let all = gateway.ask(&["show", "events", "--json"]).json();
        let kinds = all.as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap());
        // Three ports, and one revision a run; what was told last is kept last.
        kinds.clone().filter(|kind| *kind == "applied").count() == times
            && kinds.filter(|kind| *kind == "port-up").count() == 3 * times
    };
    gateway.wait_for("the events of a run", |gateway| has_applied(gateway, 1));
    let events = gateway.ask(&["show", "events"]).done();
    let lines: Vec<&str> = events.lines().collect();
    assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), ["TIME", "EVENT", "WHAT"], "{events}");
    assert!(lines.iter().any(|line| line.contains("  port-up  port leaf1 is up on eth2")), "{events}");
    let (day, _) = lines[1].split_once('T').unwrap();
    assert_eq!(day.len(), 10, "{events}");
    gateway.stop();
    gateway.start(&[]);
    gateway.wait_for("the events of two runs", |gateway| has_applied(gateway, 2));
    let all = gateway.ask(&["show", "events", "--json"]).json();
    let last = gateway.ask(&["show", "events", "--json", "--newest", "1"]).json();
    assert_eq!(last, json!([all.as_array().unwrap().last().unwrap()]));
}

#[test]
fn a_plan_says_what_would_change_and_changes_nothing() {
    let gateway = Gateway::running();
    assert_eq!(gateway.ask_about_file("plan", &[]).done(), "nothing to do: revision 1 is as the file says\n");
    gateway.write(&file_with_vlan_9());
    assert_eq!(
        gateway.ask_about_file("plan", &[]).done(),
        "against revision 1:\n  - vlans dc1.8\n  + vlans dc1.9: to = \"vub8\"\nfor a broadcast frame:\n  \
         leaf1 [8]: vm8 untagged => drop vlan-not-allowed\n  \
         leaf1 [9]: drop vlan-not-allowed => vm8 untagged\n  \
         vm8 untagged: leaf1 [8] => leaf1 [9]\n"
    );
    let plan = gateway.ask_about_file("plan", &["--json"]).json();
    assert_eq!(
        (&plan["revision"], &plan["objects"]),
        (&json!(1), &json!(["- vlans dc1.8", "+ vlans dc1.9: to = \"vub8\""]))
    );
    assert_eq!(plan["hosts_without_ports"], json!([]));
    let frame = json!({"port": "vm8", "tags": [], "vids": null, "before": "leaf1 [8]", "after": "leaf1 [9]"});
    assert_eq!(plan["frames"][2], frame);
    assert_eq!(gateway.revision(), 1);
}

/// The running host's own file, but for another host: nothing that runs would be left.
#[test]
fn a_plan_names_the_host_that_would_have_no_port_any_more() {
    let gateway = Gateway::running();
    gateway.write(&FILE.replace("gw1", "gw2"));
    let plan = gateway.ask_about_file("plan", &[]).done();
    let first = "  gw1 loses all of its ports; where gw1 runs, `l2gw apply` asks for --without-host gw1";
    assert_eq!(plan.lines().nth(1), Some(first), "{plan}");
    assert!(plan.contains("\n  ~ ports.vm5.host: gw1 -> gw2\n"), "{plan}");
    assert_eq!(gateway.ask_about_file("plan", &["--json"]).json()["hosts_without_ports"], json!(["gw1"]));
    assert_eq!(gateway.ask_about_file("apply", &[]).code, 78, "as the plan said");
    gateway.write(&FILE.replace("tap5", "tap6"));
    assert_eq!(gateway.ask_about_file("plan", &["--json"]).json()["hosts_without_ports"], json!([]));
}

#[test]
fn a_file_is_applied_once() {
    let gateway = Gateway::running();
    assert_eq!(
        gateway.ask_about_file("apply", &[]).done(),
        "nothing to do: revision 1 is as the file says\n"
    );
    gateway.write(&file_with_vlan_9());
    assert_eq!(gateway.ask_about_file("apply", &[]).done(), "revision 2 is in force\n");
    assert_eq!(gateway.ask(&["show", "trunks", "--json"]).json()[0]["allowed"], "5,9");
    let again = gateway.ask_about_file("apply", &["--json"]).json();
    assert_eq!(again, json!({"revision": 2, "is_new": false, "in_force": true}));
}

#[test]
fn what_was_planned_against_an_older_revision_is_not_applied() {
    let gateway = Gateway::running();
    gateway.write(&file_with_vlan_9());
    let planned = gateway.ask_about_file("plan", &["--json"]).json()["revision"].to_string();
    gateway.write(&FILE.replace("vid = 8", "vid = 10"));
    gateway.ask_about_file("apply", &[]).done();
    gateway.write(&file_with_vlan_9());
    let said = gateway.ask_about_file("apply", &["--against", &planned]);
    assert_eq!(said.code, 1);
    assert_eq!(
        said.err,
        "l2gw: not published: it was made for revision 1, but revision 2 is there; look at it (`l2gw plan`, `l2gw show revisions`) and try again\n"
    );
    assert_eq!(gateway.revision(), 2);
    assert_eq!(gateway.ask_about_file("apply", &["--against", "2"]).done(), "revision 3 is in force\n");
}

#[test]
fn a_bad_file_is_neither_planned_nor_applied() {
    let gateway = Gateway::running();
    gateway.write(&FILE.replace("kind = \"vlan-aware\"", "kind = \"vlan-awar\""));
    for verb in ["plan", "apply"] {
        let said = gateway.ask_about_file(verb, &[]);
        assert_eq!((said.code, said.out.as_str()), (78, ""), "{verb}");
        assert!(said.err.contains("bridges.dc1.kind"), "{verb}: {}", said.err);
        let said = gateway.ask_about_file(verb, &["--json"]);
        assert_eq!(said.code, 78, "{verb}");
        assert!(said.failure().contains("bridges.dc1.kind"), "{verb}: {}", said.failure());
    }
    assert_eq!(gateway.revision(), 1);
}

#[test]
fn a_live_trace_knows_what_the_gateway_knows() {
    let gateway = Gateway::running();
    let live = gateway.ask(&["trace", "--port", "leaf1", "--frame", FRAME, "--json"]).json();
    let file = gateway.path("gateway.toml");
    let offline = with_file("trace", &file, &["--port", "leaf1", "--frame", FRAME, "--json"]).json();
    assert_eq!(live["outputs"], offline["outputs"]);
    assert_eq!(live["verdict"], "forward");
    assert_eq!(
        live["outputs"],
        json!([{"port": "vm8", "frame": "ffffffffffff0200000000010806 00".replace(' ', "")}])
    );
    // Declared on vm8, so known: not flooded. And the trunk has no VLAN 6.
    let known =
        gateway.ask(&["trace", "--port", "leaf1", "--frame", "0200000000080200000000018100000808004500"]);
    let known = known.done();
    assert!(known.contains("02:00:00:00:00:08 is behind port vm8"), "{known}");
    let dropped =
        gateway.ask(&["trace", "--port", "leaf1", "--frame", &FRAME.replace("0008", "0006"), "--json"]);
    assert_eq!(dropped.json()["drop"], "vlan-not-allowed");
    assert_eq!(
        gateway.ask(&["show", "macs", "--json"]).json().as_array().unwrap().len(),
        1,
        "nothing is learned"
    );
}

#[test]
fn a_live_trace_reads_captures() {
    let gateway = Gateway::running();
    let frame: Vec<u8> =
        (0..FRAME.len()).step_by(2).map(|at| u8::from_str_radix(&FRAME[at..at + 2], 16).unwrap()).collect();
    let length = u32::try_from(frame.len()).unwrap().to_le_bytes();
    let mut capture =
        [0xa1b2_c3d4_u32.to_le_bytes(), [2, 0, 4, 0], [0; 4], [0; 4], [255, 255, 0, 0], [1, 0, 0, 0]]
            .concat();
    for _ in 0..2 {
        capture.extend([[0; 4], [0; 4], length, length].concat());
        capture.extend(&frame);
    }
    std::fs::write(gateway.path("two.pcap"), capture).unwrap();
    let path = gateway.path("two.pcap").display().to_string();
    let said = gateway.ask(&["trace", "--port", "leaf1", "--pcap", &path]).done();
    assert_eq!(said, "1: forward vm8\n2: forward vm8\n");
}

#[test]
fn operators_are_told_what_they_named_wrongly() {
    let gateway = Gateway::running();
    for words in [
        &["trace", "--port", "leaf2", "--frame", FRAME][..],
        &["flush", "macs", "--port", "leaf2"],
        &["unblock", "leaf2"],
    ] {
        let said = gateway.ask(words);
        assert_eq!((said.code, said.out.as_str()), (64, ""), "{words:?}");
        assert!(
            said.err.contains("\"leaf2\" is no port") && said.err.contains("\"leaf1\""),
            "{words:?}: {}",
            said.err
        );
    }
    let said = gateway.ask(&["trace", "--port", "leaf1", "--frame", "fffg"]);
    assert!(said.code == 64 && said.err.contains("'g' is not a hexadecimal digit"), "{}", said.err);
}

#[test]
fn commands_are_carried_out() {
    let gateway = Gateway::running();
    assert_eq!(gateway.ask(&["flush", "macs"]).done(), "all learned addresses are forgotten\n");
    assert_eq!(
        gateway.ask(&["flush", "macs", "--port", "leaf1"]).done(),
        "the addresses learned at leaf1 are forgotten\n"
    );
    let macs = gateway.ask(&["show", "macs", "--json"]).json();
    assert_eq!(macs.as_array().unwrap().len(), 1, "a declared address stays");
}

#[test]
fn without_a_daemon_every_client_says_so() {
    let gateway = Gateway::new();
    let file = gateway.path("gateway.toml").display().to_string();
    for words in [
        &["show", "status"][..],
        &["show", "flows"],
        &["plan", &file],
        &["apply", &file],
        &["trace", "--port", "leaf1", "--frame", FRAME],
        &["flush", "macs"],
        &["unblock", "vm5"],
    ] {
        let said = gateway.ask(words);
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{words:?}");
        let socket = gateway.socket().display().to_string();
        assert!(
            said.err.contains(&socket) && said.err.contains("no daemon answers"),
            "{words:?}: {}",
            said.err
        );
        let as_json = gateway.ask(&[words, &["--json"]].concat());
        assert_eq!(as_json.code, 1, "{words:?}");
        assert_eq!(format!("l2gw: {}\n", as_json.failure()), said.err, "{words:?}");
    }
}

#[test]
fn every_failure_is_an_object_where_json_is_asked_for() {
    let gateway = Gateway::new();
    let file = gateway.path("gateway.toml");
    let missing = gateway.path("missing.toml").display().to_string();
    let record = gateway.path("missing.jsonl").display().to_string();
    let file = file.display().to_string();
    for (words, code, part) in [
        (&["table", &missing][..], 78, "missing.toml"),
        (&["trace", &missing, "--port", "leaf1", "--vid", "8"], 78, "missing.toml"),
        (&["trace", &file, "--port", "leaf9", "--vid", "8"], 64, "\"leaf9\" is no port"),
        (&["trace", &file, "--port", "leaf1", "--frame", "xyz"], 64, "is not a hexadecimal digit"),
        (&["trace", &file, "--port", "leaf1", "--pcap", &missing], 1, "missing.toml"),
        (&["trace", &file], 64, "--port"),
        (&["replay", &record], 1, "missing.jsonl"),
        (&["show", "nonsense"], 64, "nonsense"),
        (&["show", "ports", "--limit", "0"], 64, "--limit"),
        (&["no-such-verb"], 64, "no-such-verb"),
    ] {
        let said = finish(l2gw().args(words).arg("--json"));
        assert_eq!((said.code, said.err.as_str()), (code, ""), "{words:?}: {}", said.out);
        assert!(said.failure().contains(part), "{words:?}: {}", said.failure());
    }
    // Each by itself, and the one that answers with an object of its own.
    let checked = finish(l2gw().args(["check", &missing, "--json"]));
    assert_eq!((checked.code, checked.out.lines().count()), (78, 1), "{}", checked.out);
}

#[test]
fn wrong_usage_is_64() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/gateway.example.toml");
    let file = file.display().to_string();
    let long = "s".repeat(108);
    for words in [
        &["show"][..],
        &["show", "status", "--socket", &long],
        &["run", &file, "--socket", &long],
        &["show", "nonsense"],
        &["sho", "ports"],
        &["run"],
        &["run", &file, "--datapath", "ebpf"],
        &["run", &file, "--device", "a-name-of-16-byte"],
        &["run", &file, "--device", "a/b"],
        &["run", &file, "--device", ""],
        &["teardown", "--device", ""],
        &["teardown", "--device", "a/b"],
        &["show", "macs", "--vlan", "08"],
        &["apply", &file, "--against", "x"],
        &["trace", "--port", "leaf1"],
        &["trace", "--port", "leaf1", "--frame", FRAME, "--learn", "vm1=02:00:00:00:00:01"],
        &["flush", "flows"],
        &["unblock"],
    ] {
        let said = finish(l2gw().args(words));
        assert_eq!((said.code, said.out.as_str()), (64, ""), "{words:?}: {}", said.err);
        assert!(said.err.starts_with("error: "), "{words:?}: {}", said.err);
    }
    let said = finish(l2gw().args(["show", "status", "--socket", &long[1..]]));
    assert!(said.code == 1 && said.err.contains("no daemon answers here"), "{}", said.err);
}

/// Whether the kernel has openvswitch or not: a datapath of this name it has not.
#[test]
fn where_there_is_no_datapath_nothing_is_removed_and_that_is_no_failure() {
    let said = finish(l2gw().args(["teardown", "--device", "l2gw-no-such"]));
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{}", said.out);
    let words = "there is no datapath l2gw-no-such: nothing to remove\n";
    let without = format!("the kernel has no openvswitch, so {words}");
    assert!([words, without.as_str()].contains(&said.out.as_str()), "{}", said.out);
    let said = finish(l2gw().args(["teardown", "--device", "l2gw-no-such", "--json"])).json();
    assert_eq!(
        said,
        json!({"datapath": "l2gw-no-such", "removed": false, "links": [], "flows": 0, "tunnel": null})
    );
}

/// Every page of help, as a terminal of 80 columns shows it.
fn help_pages() -> Vec<String> {
    let help = |words: &[&str]| finish(l2gw().args(words).env("COLUMNS", "80")).done();
    VERBS.iter().map(|verb| help(&[verb, "--help"])).chain([help(&["--help"])]).collect()
}

#[test]
fn help_fits_a_terminal_of_80_columns() {
    for page in help_pages() {
        for line in page.lines() {
            assert!(line.chars().count() <= 80, "{line}");
            assert!(!line.starts_with("--"), "wrapped: {line}");
        }
    }
}

/// A command of a help page without the remark behind it.
fn joined(line: &str) -> String {
    let parts: Vec<&str> = line.split("   ").map(str::trim).filter(|part| !part.is_empty()).collect();
    parts
        .iter()
        .enumerate()
        .filter(|(at, part)| *at == 0 || part.starts_with("--"))
        .map(|(_, part)| *part)
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn commands_in_help_can_be_typed() {
    let mut count = 0;
    for page in help_pages() {
        let page = page.replace("\\\n", " ");
        // What follows two blanks is a remark, and `...` is for the reader to fill in.
        let commands = page.lines().filter_map(|line| line.strip_prefix("  l2gw "));
        for command in commands.filter(|line| !line.contains("...")) {
            let command = joined(command);
            let words = command.split_whitespace().take_while(|word| *word != ">");
            let parsed = Cli::try_parse_from(["l2gw"].into_iter().chain(words));
            assert!(parsed.is_ok(), "{command}: {}", parsed.unwrap_err());
            count += 1;
        }
    }
    assert!(count >= 10, "{count}");
}

#[test]
fn help_teaches() {
    let help = finish(l2gw().arg("--help")).done();
    for verb in
        ["check", "table", "trace", "run", "show", "plan", "apply", "flush", "unblock", "demo", "completions"]
    {
        assert!(
            help.lines().any(|line| line.trim_start().starts_with(&format!("{verb} "))),
            "{verb}: {help}"
        );
        let said = finish(l2gw().args([verb, "--help"])).done();
        assert!(said.contains("Usage: l2gw"), "{said}");
    }
    assert!(help.contains("Exit codes: 0 done, 1 failed, 64 wrong usage, 78 bad configuration."), "{help}");
}

#[test]
fn completions_are_there_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = finish(l2gw().args(["completions", shell])).done();
        assert!(said.contains("unblock"), "{shell}: {said}");
    }
}

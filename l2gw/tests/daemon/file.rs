//! The daemon's own file at the start: a changed one wins, one that has not changed does not undo what came after it.

use std::fs;

use serde_json::Value;

use crate::process::{FILE, Gateway, file_with_vlan_9, finish, l2gw};

fn events(gateway: &Gateway, kind: &str) -> Vec<Value> {
    let all = gateway.ask(&["show", "events", "--json"]).json();
    all.as_array().unwrap().iter().filter(|event| event["event"] == kind).cloned().collect()
}

/// Applies another file than the daemon's own.
fn apply_other(gateway: &Gateway, text: &str) {
    let other = gateway.path("other.toml");
    fs::write(&other, text).unwrap();
    let said = gateway.ask(&["apply", &other.display().to_string()]).done();
    assert!(said.ends_with("is in force\n"), "{said}");
}

fn with_vlan(vid: u16) -> String {
    FILE.replace("vid = 8", &format!("vid = {vid}"))
}

#[test]
fn a_file_that_has_not_changed_does_not_undo_what_was_applied_since() {
    let mut gateway = Gateway::running();
    apply_other(&gateway, &file_with_vlan_9());
    gateway.stop();
    gateway.start(&[]);
    assert_eq!(gateway.revision(), 2);
    assert_eq!(gateway.ask(&["show", "trunks", "--json"]).json()[0]["allowed"], "5,9");
    let kept = events(&gateway, "file-kept");
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!((&kept[0]["published"], &kept[0]["revision"]), (&Value::from(1), &Value::from(2)));
    let by = kept[0]["by"].as_str().unwrap();
    assert!(by.contains("apply ") && by.contains("other.toml"), "{by}");
    assert!(gateway.log().contains("came after it and stays"), "{}", gateway.log());
    // Once more, and it is still so.
    gateway.stop();
    gateway.start(&[]);
    assert_eq!(gateway.revision(), 2);
}

#[test]
fn a_file_that_has_changed_wins_and_says_what_it_replaces() {
    let mut gateway = Gateway::running();
    apply_other(&gateway, &file_with_vlan_9());
    gateway.stop();
    gateway.write(&with_vlan(10));
    gateway.start(&[]);
    assert_eq!(gateway.revision(), 3);
    assert_eq!(gateway.ask(&["show", "trunks", "--json"]).json()[0]["allowed"], "5,10");
    let applied = events(&gateway, "file-applied");
    assert_eq!(applied.len(), 1, "{applied:?}");
    assert_eq!((&applied[0]["revision"], &applied[0]["replaced"]), (&Value::from(3), &Value::from(2)));
    assert!(applied[0]["by"].as_str().unwrap().contains("other.toml"), "{applied:?}");
}

#[test]
fn a_file_is_published_last_by_whoever_published_it() {
    let mut gateway = Gateway::running();
    // By `apply`, with the daemon's own file.
    gateway.write(&file_with_vlan_9());
    gateway.ask_about_file("apply", &[]).done();
    apply_other(&gateway, &with_vlan(10));
    gateway.stop();
    gateway.start(&[]);
    assert_eq!(gateway.revision(), 3);
    // By SIGHUP.
    gateway.write(&with_vlan(11));
    gateway.signal(nix::sys::signal::Signal::SIGHUP);
    gateway.wait_for("revision 4", |gateway| gateway.revision() == 4);
    apply_other(&gateway, &with_vlan(12));
    gateway.stop();
    gateway.start(&[]);
    assert_eq!(gateway.revision(), 5);
    // Back to what it was once is a change.
    gateway.stop();
    gateway.write(&file_with_vlan_9());
    gateway.start(&[]);
    assert_eq!(gateway.revision(), 6);
    assert_eq!(gateway.ask(&["show", "trunks", "--json"]).json()[0]["allowed"], "5,9");
}

/// SIGHUP is "read the file and make it so": what was applied meanwhile is undone, and the journal says what that was.
#[test]
fn a_sighup_says_what_it_replaces() {
    let gateway = Gateway::running();
    apply_other(&gateway, &file_with_vlan_9());
    gateway.signal(nix::sys::signal::Signal::SIGHUP);
    gateway.wait_for("the event", |gateway| !events(gateway, "file-applied").is_empty());
    assert_eq!(gateway.revision(), 3);
    let applied = events(&gateway, "file-applied");
    assert_eq!(applied.len(), 1, "{applied:?}");
    assert_eq!((&applied[0]["revision"], &applied[0]["replaced"]), (&Value::from(3), &Value::from(2)));
    assert!(applied[0]["by"].as_str().unwrap().contains("other.toml"), "{applied:?}");
    assert!(applied[0]["file"].as_str().unwrap().ends_with("/gateway.toml"), "{applied:?}");
    let text = applied[0]["text"].as_str().unwrap();
    assert!(text.contains("gateway.toml is revision 3 now; it replaces revision 2"), "{text}");
    // Once more: nothing has changed, which is told in the log and is no event.
    gateway.signal(nix::sys::signal::Signal::SIGHUP);
    gateway.wait_for("the log", |gateway| gateway.log().contains("nothing has changed"));
    assert_eq!((gateway.revision(), events(&gateway, "file-applied").len()), (3, 1));
}

/// What `run` would refuse at the next start is warned of now.
#[test]
fn a_file_that_run_refuses_is_warned_of_by_every_way_in() {
    let mut gateway = Gateway::running();
    // Which datapath the daemon was started with is not for the file to say: here it is another.
    gateway.write(&file_with_vlan_9().replace("[hosts.gw1]\n", "[hosts.gw1]\ndatapath = \"ebpf\"\n"));
    for (verb, part) in [("plan", "against revision 1"), ("apply", "revision 2 is in force")] {
        let said = gateway.ask_about_file(verb, &[]);
        assert_eq!((said.code, said.out.starts_with(part)), (0, true), "{verb}: {} {}", said.out, said.err);
        let warning = ":2:12: hosts.gw1.datapath: \"ebpf\" is checked but not run by this version, \"auto\" and \"ovs\" are\n";
        assert!(said.err.starts_with("warning: ") && said.err.ends_with(warning), "{verb}: {}", said.err);
    }
    gateway.stop();
    gateway.start(&[]);
    assert_eq!(gateway.revision(), 2, "by --datapath it runs");
    let mut run = l2gw();
    run.arg("run").arg(gateway.path("gateway.toml")).args(["--host", "gw1"]);
    let said = finish(&mut run);
    assert_eq!(said.code, 78, "{}", said.err);
    assert!(
        said.err.ends_with("\"ebpf\" is checked but not run by this version, \"auto\" and \"ovs\" are\n"),
        "{}",
        said.err
    );
}

#[test]
fn a_comment_is_no_change() {
    let mut gateway = Gateway::running();
    apply_other(&gateway, &file_with_vlan_9());
    gateway.stop();
    gateway.write(&format!("# a comment\n{FILE}"));
    gateway.start(&[]);
    assert_eq!(gateway.revision(), 2);
    assert_eq!(events(&gateway, "file-kept").len(), 1);
}

#[test]
fn another_order_of_objects_is_no_change() {
    let mut gateway = Gateway::running();
    let mut objects: Vec<String> = Vec::new();
    for line in FILE.lines() {
        match objects.last_mut() {
            Some(object) if !line.starts_with('[') => object.push_str(&format!("{line}\n")),
            _ => objects.push(format!("{line}\n")),
        }
    }
    objects.reverse();
    apply_other(&gateway, &file_with_vlan_9());
    gateway.stop();
    gateway.write(&objects.concat());
    gateway.start(&[]);
    assert_eq!(gateway.revision(), 2, "it undoes nothing");
}

#[test]
fn a_start_that_changes_nothing_tells_nothing() {
    let mut gateway = Gateway::running();
    gateway.stop();
    gateway.start(&[]);
    assert_eq!(gateway.revision(), 1);
    assert!(events(&gateway, "file-kept").is_empty() && events(&gateway, "file-applied").is_empty());
}

#[test]
fn a_sighup_is_tried_again_until_the_store_takes_it() {
    let gateway = Gateway::running();
    let (file, aside) = (gateway.path("state/state.redb"), gateway.path("aside"));
    fs::rename(&file, &aside).unwrap();
    gateway.write(&file_with_vlan_9());
    gateway.signal(nix::sys::signal::Signal::SIGHUP);
    gateway.wait_for("a vain try", |gateway| gateway.log().contains("it is tried again"));
    assert_eq!(gateway.revision(), 1);
    // Another one takes its place.
    gateway.write(&with_vlan(10));
    gateway.signal(nix::sys::signal::Signal::SIGHUP);
    gateway.wait_for("another vain try", |gateway| gateway.log().matches("it is tried again").count() > 1);
    fs::rename(&aside, &file).unwrap();
    gateway.wait_for("revision 2", |gateway| gateway.revision() == 2);
    assert_eq!(gateway.ask(&["show", "trunks", "--json"]).json()[0]["allowed"], "5,10");
}

//! `apply --confirm` and `confirm` on one gateway.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::process::{FILE, Gateway, file_with_vlan_9, finish, l2gw};

/// A daemon with its file as revision 1, and VLAN 9 in place of 8 as revision 2, to be confirmed within this time.
fn with_one_that_waits(within: &str) -> Gateway {
    let gateway = Gateway::running();
    gateway.write(&file_with_vlan_9());
    let said = gateway.ask_about_file("apply", &["--confirm", within]).done();
    let rest = said.strip_prefix("revision 2 is in force until ").unwrap_or_else(|| panic!("{said}"));
    let (time, rest) = rest.split_at("12:34:56".len());
    assert!(time.chars().all(|c| c.is_ascii_digit() || c == ':'), "{said}");
    assert_eq!(rest, " UTC unless confirmed: `l2gw confirm 2`\n");
    gateway
}

fn events(gateway: &Gateway) -> Vec<Value> {
    gateway.ask(&["show", "events", "--json"]).json().as_array().unwrap().clone()
}

#[test]
fn what_waits_is_shown_nothing_comes_on_top_of_it_and_a_confirmation_lets_it_stay() {
    let gateway = with_one_that_waits("10m");
    let status = gateway.ask(&["show", "status"]).done();
    let expected = "\nrevision 2 is not confirmed: this host goes back to revision 1 in ";
    assert!(status.contains(expected), "{status}");
    let config = gateway.ask(&["show", "config"]).done();
    assert!(config.starts_with("# revision ") && config.contains(" has to be confirmed within "), "{config}");
    let known = gateway.ask(&["show", "revisions"]).done();
    let marked: Vec<bool> = known.lines().map(|line| line.contains(" (unconfirmed, ")).collect();
    assert_eq!(marked, [false, true, false], "{known}");
    let known = gateway.ask(&["show", "revisions", "--json"]).json();
    assert_eq!((&known[0]["confirm_within_s"], &known[0]["is_unconfirmed"]), (&json!(600), &json!(true)));
    assert!((500..=600).contains(&known[0]["seconds_left"].as_u64().unwrap()), "{known}");
    gateway.write(FILE);
    let plan = gateway.ask_about_file("plan", &[]);
    assert!(plan.code == 0 && plan.out.starts_with("against revision 2:\n  - vlans dc1.9\n"), "{plan:?}");
    let warning = "warning: revision 2 waits for its confirmation, within 600 s from when hosts saw it: nothing is applied before \
                   `l2gw confirm` or `l2gw rollback 1`\n";
    assert_eq!(plan.err, warning);
    let port = ["port", "add", "vm7", "--bridge", "vub8", "--host", "gw1", "--link", "tap7"];
    for refused in [
        gateway.ask_about_file("apply", &[]),
        gateway.ask_about_file("apply", &["--confirm", "5s"]),
        gateway.ask(&port),
        gateway.ask(&["port", "del", "vm7"]),
    ] {
        // A port that is not there is told first.
        if refused.code == 64 {
            assert!(refused.err.contains("\"vm7\" is no port"), "{refused:?}");
            continue;
        }
        let (code, err) = (refused.code, &refused.err);
        assert!(code == 1 && err.contains(" waits for its confirmation, another "), "{refused:?}");
        assert!(err.contains(" s at most: `l2gw confirm` keeps it, `l2gw rollback 1` ends it now"), "{err}");
    }
    // A file that is read again does not come in either, and is not tried for a minute.
    gateway.signal(Signal::SIGHUP);
    gateway.wait_for("a refusal", |gateway| {
        events(gateway).iter().any(|event| event["event"] == "file-refused")
    });
    assert_eq!(gateway.revision(), 2);
    let other = gateway.ask(&["confirm", "1"]);
    assert!(
        other.code == 1 && other.err.contains("revision 1 does not wait for a confirmation: revision 2 does")
    );
    assert_eq!(gateway.ask(&["confirm"]).done(), "revision 3 is in force\n");
    assert!(gateway.ask(&["show", "config"]).done().contains("vid = 9"));
    let status = gateway.ask(&["show", "status", "--json"]).json();
    assert!(status.get("unconfirmed").is_none(), "{status}");
    let again = gateway.ask(&["confirm", "--json"]);
    let why = again.failure();
    assert!(
        again.code == 1
            && why.contains("revision 3 is the newest, by ")
            && why.contains(": confirms revision 2")
    );
    gateway.ask_about_file("apply", &[]).done();
}

/// Whoever applied it is gone: nobody has to be there.
#[test]
fn what_nobody_confirms_is_taken_back() {
    let gateway = with_one_that_waits("1s");
    gateway.wait_for("what was before", |gateway| gateway.revision() == 3);
    assert_eq!(gateway.ask(&["show", "config"]).done(), FILE);
    let known = gateway.ask(&["show", "revisions", "--json"]).json();
    assert_eq!(known[0]["note"], "revision 2 was not confirmed within 1 s");
    assert_eq!((&known[0]["author"], &known[1]["is_unconfirmed"]), (&json!("l2gw on gw1"), &Value::Null));
    let unconfirmed = events(&gateway).into_iter().find(|event| event["event"] == "revision-unconfirmed");
    let unconfirmed = unconfirmed.unwrap();
    let expected = "revision 2 was not confirmed within 1 s: this host goes back to revision 1";
    assert_eq!(unconfirmed["text"], expected);
    let late = gateway.ask(&["confirm", "2"]);
    let told = "nothing waits for a confirmation: revision 3 is the newest, by l2gw on gw1: revision 2 was not confirmed within 1 s";
    assert!(late.code == 1 && late.err.contains(told), "{late:?}");
    // The file has what was taken back.
    let plan = gateway.ask_about_file("plan", &[]).done();
    assert!(plan.starts_with("against revision 3:"), "{plan}");
}

#[test]
fn a_rollback_ends_the_wait_at_once() {
    let gateway = with_one_that_waits("1h");
    assert_eq!(gateway.ask(&["rollback", "1"]).done(), "revision 3 is in force\n");
    let plan = gateway.ask_about_file("plan", &[]).done();
    assert!(plan.starts_with("against revision 3:"), "{plan}");
    gateway.ask_about_file("apply", &[]).done();
}

/// A daemon with VLAN 9 as revision 2, and revision 1 again as revision 3, to be confirmed within this time.
fn rolled_back_for(within: &str) -> Gateway {
    let gateway = Gateway::running();
    gateway.write(&file_with_vlan_9());
    gateway.ask_about_file("apply", &[]).done();
    let said = gateway.ask(&["rollback", "1", "--confirm", within]).done();
    assert!(said.starts_with("revision 3 is in force until "), "{said}");
    assert!(said.ends_with(" UTC unless confirmed: `l2gw confirm 3`\n"), "{said}");
    assert_eq!(
        gateway.ask(&["show", "config"]).done().lines().skip(1).collect::<Vec<_>>().join("\n") + "\n",
        FILE
    );
    gateway
}

#[test]
fn a_rollback_that_nobody_confirms_is_taken_back() {
    let gateway = rolled_back_for("1s");
    gateway.wait_for("what was before", |gateway| gateway.revision() == 4);
    assert_eq!(gateway.ask(&["show", "config"]).done(), file_with_vlan_9());
    let known = gateway.ask(&["show", "revisions", "--json"]).json();
    assert_eq!(known[0]["note"], "revision 3 was not confirmed within 1 s");
    assert_eq!(
        (&known[1]["note"], &known[1]["confirm_within_s"]),
        (&json!("rollback to revision 1"), &json!(1))
    );
}

#[test]
fn a_rollback_stays_once_it_is_confirmed_and_none_on_trial_comes_on_top_of_one() {
    let gateway = rolled_back_for("10m");
    let tried = gateway.ask(&["rollback", "2", "--confirm", "5m"]);
    assert!(tried.code == 1 && tried.err.contains(" waits for its confirmation, another "), "{tried:?}");
    assert!(tried.err.ends_with("`l2gw rollback 2` without --confirm ends it now\n"), "{tried:?}");
    assert_eq!(gateway.revision(), 3);
    assert_eq!(gateway.ask(&["confirm", "3"]).done(), "revision 4 is in force\n");
    assert_eq!(gateway.ask(&["show", "config"]).done(), FILE);
    let status = gateway.ask(&["show", "status", "--json"]).json();
    assert!(status.get("unconfirmed").is_none(), "{status}");
    // What is there already waits for nothing.
    let same = gateway.ask(&["rollback", "1", "--confirm", "5m", "--json"]).json();
    assert_eq!(
        (&same["revision"], &same["is_new"], same.get("confirm_by_ms")),
        (&json!(4), &json!(false), None)
    );
    let wrong = gateway.ask(&["rollback", "2", "--confirm", "60"]);
    assert!(
        wrong.code == 64 && wrong.err.contains("is no such time, allowed are whole seconds"),
        "{wrong:?}"
    );
}

/// Nobody counts where no daemon runs.
#[test]
fn a_rollback_past_a_daemon_that_does_not_run_is_none_on_trial() {
    let mut gateway = Gateway::running();
    gateway.write(&file_with_vlan_9());
    gateway.ask_about_file("apply", &[]).done();
    gateway.stop();
    let place = format!("embedded:{}", gateway.path("state").display());
    let ask = |words: &[&str]| finish(l2gw().args(words).args(["--nsdb", &place]));
    let said = ask(&["rollback", "1", "--confirm", "60s"]);
    assert!(
        said.code == 64 && said.err.contains("--confirm: no daemon runs with this directory"),
        "{said:?}"
    );
    assert!(ask(&["rollback", "1"]).done().starts_with("revision 3 is stored"));
}

#[test]
fn a_daemon_that_starts_again_has_it_in_force_counts_anew_and_goes_back() {
    let mut gateway = with_one_that_waits("2s");
    gateway.signal(Signal::SIGKILL);
    gateway.ended();
    gateway.start(&[]);
    let status = gateway.ask(&["show", "status", "--json"]).json();
    assert_eq!((&status["revision"], &status["unconfirmed"]["revision"]), (&json!(2), &json!(2)), "{status}");
    gateway.wait_for("what was before", |gateway| gateway.revision() == 3);
    assert_eq!(gateway.ask(&["show", "config"]).done(), FILE);
    // The file is as it was when it was applied: a start does not bring it back.
    gateway.stop();
    gateway.start(&[]);
    assert_eq!(gateway.revision(), 3);
    gateway.stop();
}

#[test]
fn a_time_that_is_none_is_refused_with_those_that_are_allowed() {
    let gateway = Gateway::running();
    for time in ["0s", "60", "2d"] {
        let said = gateway.ask_about_file("apply", &["--confirm", time]);
        let allowed = "is no such time, allowed are whole seconds from 1s to 86400s (24h), such as 60s or 5m";
        assert!(said.code == 64 && said.err.contains(allowed), "{said:?}");
    }
    let (_, published) = gateway.http("GET", "/v1/topology", b"");
    let published: Value = serde_json::from_str(&published).unwrap();
    let proposal = json!({"topology": published["topology"], "note": "", "confirm_within_s": 0}).to_string();
    let (code, said) = gateway.http("POST", "/v1/topology", proposal.as_bytes());
    assert!(
        code == 400 && said.contains("0 s to confirm a revision, allowed are whole seconds from 1 to 86400")
    );
}

//! Who published which revision, and going back to one.

use serde_json::{Value, json};

use crate::process::{FILE, Gateway, file_with_vlan_9, finish, l2gw};

/// A daemon with its file as revision 1, and VLAN 9 in place of 8 by `apply` as revision 2.
fn with_two_revisions() -> Gateway {
    let gateway = Gateway::running();
    gateway.write(&file_with_vlan_9());
    gateway.ask_about_file("apply", &[]).done();
    gateway
}

/// The user that runs this test, as the daemon tells it.
fn this_user() -> String {
    let number = nix::unistd::getuid();
    match nix::unistd::User::from_uid(number) {
        Ok(Some(user)) => format!("{} (user {number})", user.name),
        _ => format!("user {number}"),
    }
}

#[test]
fn revisions_are_listed_with_who_published_them_and_why() {
    let gateway = with_two_revisions();
    let known = gateway.ask(&["show", "revisions", "--json"]).json();
    let of = |index: usize, key: &str| known[index][key].clone();
    assert_eq!((of(0, "revision"), of(1, "revision")), (json!(2), json!(1)));
    assert_eq!((of(0, "author"), of(1, "author")), (json!(this_user()), json!("file")));
    assert!(of(0, "note").as_str().unwrap().starts_with("apply /"), "{known}");
    let text = gateway.ask(&["show", "revisions"]).done();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("REVISION  TIME") && lines.len() == 3, "{text}");
    assert!(lines[1].starts_with("2 ") && lines[1].contains(&this_user()), "{text}");
    assert_eq!(gateway.ask(&["show", "revisions", "--limit", "1"]).code, 64);
}

/// Publishes what is there with a change.
fn publish(gateway: &Gateway, note: &str, change: impl FnOnce(&mut Value)) {
    let (_, published) = gateway.http("GET", "/v1/topology", b"");
    let published: Value = serde_json::from_str(&published).unwrap();
    let mut proposal = json!({"topology": published["topology"], "note": note});
    change(&mut proposal);
    let (code, said) = gateway.http("POST", "/v1/topology", proposal.to_string().as_bytes());
    assert_eq!(code, 200, "{said}");
}

/// Who publishes is whoever connected: a client has no say in it.
#[test]
fn nobody_publishes_in_another_name() {
    let gateway = Gateway::running();
    let (_, published) = gateway.http("GET", "/v1/topology", b"");
    let published: Value = serde_json::from_str(&published).unwrap();
    let mut proposal = json!({"topology": published["topology"], "note": "mine", "author": "alice"});
    let (code, said) = gateway.http("POST", "/v1/topology", proposal.to_string().as_bytes());
    assert!(code == 400 && said.contains("\\\"author\\\" is an unknown key"), "{code} {said}");
    proposal.as_object_mut().unwrap().remove("author");
    proposal["topology"]["bridges"]["dc1"]["ageing"] = json!("20s");
    assert_eq!(gateway.http("POST", "/v1/topology", proposal.to_string().as_bytes()).0, 200);
    let known = gateway.ask(&["show", "revisions", "--json"]).json();
    assert_eq!((&known[0]["author"], &known[0]["note"]), (&json!(this_user()), &json!("mine")));
}

/// A file is the truth about what came from files.
#[test]
fn what_came_by_the_socket_outlives_the_file() {
    let gateway = Gateway::running();
    let port = json!({"name": "vm9", "bridge": "vub8", "host": "gw1", "link": "tap9"});
    publish(&gateway, "one more", |proposal| {
        proposal["topology"]["ports"].as_array_mut().unwrap().push(port);
    });
    let vm9 = format!("ports.vm9 (by socket, from {})", this_user());
    let shown = gateway.ask(&["show", "config"]).done();
    let others = shown.strip_prefix(FILE).expect("the file as it was");
    assert!(
        others
            .starts_with(&format!("\n# Also in revision 2, and not from a file:\n#   {vm9}\n# [[ports]]\n"))
    );
    gateway.write(&shown);
    let stays = format!("stays, since it did not come from a file: {vm9}\n");
    let plan = gateway.ask_about_file("plan", &[]).done();
    let first = "revision 2 declares what the file does; its text is another (comments, order)";
    assert!(plan.starts_with(first) && plan.ends_with(&stays), "{plan}");
    gateway.write(&FILE.replace("name = \"vm8\"", "name = \"vm8\"\nmtu = 1400"));
    let plan = gateway.ask_about_file("plan", &[]).done();
    let lines: Vec<&str> = plan.lines().collect();
    assert_eq!(lines[..2], ["against revision 2:", "  ~ ports.vm8.mtu: unset -> 1400"], "{plan}");
    assert!(plan.ends_with(&stays), "{plan}");
    assert_eq!(gateway.ask_about_file("apply", &[]).done(), "revision 3 is in force\n");
    assert!(gateway.ask(&["show", "ports"]).done().contains("vm9"));
    let named =
        format!("{FILE}\n[[ports]]\nname = \"vm9\"\nbridge = \"vub8\"\nhost = \"gw1\"\nlink = \"tap9\"\n");
    gateway.write(&named);
    for verb in ["plan", "apply"] {
        let said = gateway.ask_about_file(verb, &[]);
        assert_eq!(said.code, 78, "{verb}: {}", said.out);
        assert!(said.err.contains("ports.vm9: it is there already and came by socket, from"), "{}", said.err);
    }
    // As it was in revision 2, then in revision 1, which it was not in.
    gateway.ask(&["rollback", "2"]).done();
    let (_, published) = gateway.http("GET", "/v1/topology", b"");
    let published: Value = serde_json::from_str(&published).unwrap();
    assert_eq!(published["sources"], json!({"ports.vm9": {"origin": "socket", "author": this_user()}}));
    gateway.ask(&["rollback", "1"]).done();
    gateway.write(&named);
    gateway.ask_about_file("apply", &[]).done();
}

#[test]
fn an_earlier_revision_is_made_the_next_one() {
    let gateway = with_two_revisions();
    let said = gateway.ask(&["rollback", "1"]).done();
    assert_eq!(said, "revision 3 is in force\n");
    gateway.write(FILE);
    let plan = gateway.ask_about_file("plan", &[]).done();
    assert_eq!(plan, "nothing to do: revision 3 is as the file says\n");
    let said = gateway.ask(&["rollback", "1"]).done();
    assert_eq!(said, "nothing to do: revision 3 is as revision 1 was\n");
    let known = gateway.ask(&["show", "revisions", "--json"]).json();
    assert_eq!(known[0]["note"].as_str().unwrap().split(',').next(), Some("rollback to revision 1"));
    let said = gateway.ask(&["rollback", "2", "--json"]).done();
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said, json!({"revision": 4, "is_new": true, "in_force": true}));
}

#[test]
fn what_cannot_be_gone_back_to_is_refused_and_changes_nothing() {
    let gateway = with_two_revisions();
    for (words, code, what) in [
        (&["rollback", "9"][..], 64, "revision 9 is not kept; `l2gw show revisions` lists those that are"),
        (&["rollback", "0"], 64, "0"),
        (&["rollback", "1", "--against", "1"], 1, "made for revision 1, but revision 2 is there"),
        (&["rollback", "1", "--without-host", "gw1"], 78, "does not take away host \"gw1\""),
        (&["rollback", "one"], 64, "one"),
    ] {
        let said = gateway.ask(words);
        assert_eq!(said.code, code, "{words:?}: {}", said.err);
        assert!(said.err.contains(what), "{words:?}: {}", said.err);
    }
    assert_eq!(gateway.revision(), 2);
    for (path, code) in [
        ("/v1/revisions/1", 200),
        ("/v1/revisions/1x", 400),
        ("/v1/revisions/0", 400),
        ("/v1/revisions/01", 400),
        ("/v1/revisions/%2B1", 400),
        ("/v1/revisions/3", 404),
    ] {
        assert_eq!(gateway.http("GET", path, b"").0, code, "{path}");
    }
    assert_eq!(gateway.http("GET", "/v1/revisions?newest=1", b"").0, 400);
}

/// What `apply` would refuse, `plan` refuses, at its place.
#[test]
fn a_vni_of_another_bridge_is_refused_by_plan_and_apply() {
    let gateway = Gateway::running();
    let with = |vub5: u32, vub8: u32| {
        let of = |name: &str, vni: u32| {
            let head = format!("[bridges.{name}]\nkind = \"vlan-unaware\"\n");
            (head.clone(), format!("{head}vni = {vni}\n"))
        };
        let ((a, with_a), (b, with_b)) = (of("vub5", vub5), of("vub8", vub8));
        FILE.replace(&a, &with_a).replace(&b, &with_b)
    };
    gateway.write(&with(100, 200));
    gateway.ask_about_file("apply", &[]).done();
    gateway.write(&with(200, 100));
    let said = gateway.ask_about_file("plan", &[]);
    assert_eq!(said.code, 78, "{}", said.out);
    let lines: Vec<&str> = said.err.lines().collect();
    assert!(
        lines[0].contains("gateway.toml:9:")
            && lines[0].contains("bridges.vub5.vni: 200 is the VNI of segment vub8"),
        "{lines:?}"
    );
    assert_eq!(lines.len(), 2, "{lines:?}");
    let said = gateway.ask_about_file("apply", &[]);
    assert_eq!(said.code, 78, "{}", said.err);
    assert!(said.err.contains("bridges.vub8.vni: 100 is the VNI of segment vub5"), "{}", said.err);
    gateway.write(&with(100, 201));
    gateway.ask_about_file("plan", &[]).done();
    gateway.ask_about_file("apply", &[]).done();
}

/// Made of what is declared, where no text was published with it.
#[test]
fn the_newest_revision_is_shown_as_a_file_that_says_the_same() {
    let gateway = with_two_revisions();
    publish(&gateway, "http", |proposal| proposal["topology"]["bridges"]["dc1"]["ageing"] = json!("20s"));
    let text = gateway.ask(&["show", "config"]).done();
    assert!(text.starts_with("# revision 3; "), "{text}");
    gateway.write(&text);
    finish(l2gw().arg("check").arg(gateway.path("gateway.toml"))).done();
    let plan = gateway.ask_about_file("plan", &[]).done();
    assert!(plan.starts_with("revision 3 declares what the file does; its text is another"), "{plan}");
    let json = gateway.ask(&["show", "config", "--json"]).json();
    assert_eq!(json["topology"]["ports"][1]["macs"], json!(["02:00:00:00:00:08"]));
}

#[test]
fn revisions_are_there_after_a_restart_and_a_rollback_stays() {
    let mut gateway = with_two_revisions();
    gateway.ask(&["rollback", "1"]).done();
    gateway.stop();
    gateway.start(&[]);
    assert_eq!(gateway.revision(), 3, "the file is as it was applied; the rollback came after it");
    let known = gateway.ask(&["show", "revisions", "--json"]).json();
    assert_eq!(known.as_array().unwrap().len(), 3);
}

//! The text of a file is kept with its revision: its comments come back, and a step of a trace names a line of it.

use serde_json::{Value, json};

use crate::process::{FILE, Gateway};
use crate::words::FRAME;

/// A file with comments, and with what is of the host alone.
fn commented() -> String {
    format!("# the site of Basel\n\n[journal]\nkeep = \"7d\" # swordfish\n\n# what it has\n{FILE}# the end")
}

fn topology(gateway: &Gateway) -> Value {
    serde_json::from_str(&gateway.http("GET", "/v1/topology", b"").1).unwrap()
}

#[test]
fn a_file_comes_back_with_its_comments_and_without_what_it_says_of_stores() {
    let mut gateway = Gateway::running();
    assert_eq!(gateway.ask(&["show", "config"]).done(), FILE);
    gateway.write(&commented());
    let plan = gateway.ask_about_file("plan", &[]).done();
    assert!(plan.starts_with("revision 1 declares what the file does; its text is another"), "{plan}");
    assert_eq!(gateway.ask_about_file("plan", &["--json"]).json()["is_text_other"], json!(true));
    assert_eq!(gateway.ask_about_file("apply", &[]).done(), "revision 2 is in force\n");
    assert_eq!(
        gateway.ask_about_file("apply", &[]).done(),
        "nothing to do: revision 2 is as the file says\n"
    );
    assert_eq!(gateway.ask_about_file("plan", &[]).done(), "nothing to do: revision 2 is as the file says\n");
    let kept = commented().replace("[journal]\nkeep = \"7d\" # swordfish\n", "\n\n");
    assert_eq!(gateway.ask(&["show", "config"]).done(), kept);
    gateway.stop();
    gateway.start(&[]);
    assert_eq!((gateway.revision(), gateway.ask(&["show", "config"]).done()), (2, kept));
    gateway.ask(&["rollback", "1"]).done();
    assert_eq!(gateway.ask(&["show", "config"]).done(), FILE, "a rollback brings the text too");
}

#[test]
fn a_step_of_a_trace_names_the_line_of_its_port() {
    let gateway = Gateway::running();
    gateway.write(&commented());
    gateway.ask_about_file("apply", &[]).done();
    let line =
        |name: &str| commented().lines().position(|line| line == format!("name = \"{name}\"")).unwrap();
    let (file, trunk) = (gateway.path("gateway.toml"), format!("gateway.toml:{})", line("leaf1")));
    let live = gateway.ask(&["trace", "--port", "leaf1", "--frame", FRAME]).done();
    let offline = gateway.ask_about_file("trace", &["--port", "leaf1", "--frame", FRAME]);
    for told in [&live, &offline.out] {
        let first = told.lines().next().unwrap();
        assert!(first.contains("arrives at trunk leaf1") && first.ends_with(&trunk), "{told}");
        assert!(first.contains(&format!("({}", file.display())), "{told}");
    }
    let json = gateway.ask(&["trace", "--port", "leaf1", "--frame", FRAME, "--json"]).json();
    let about = json["about"].as_array().unwrap();
    assert_eq!((&about[0]["step"], &about[0]["port"]), (&json!(1), &json!("leaf1")), "{json}");
    let ports = ["vm5", "vm8"].map(|port| (port, format!("gateway.toml:{}", line(port))));
    for (port, place) in ports {
        let of_it = about.iter().filter(|about| about["port"] == port);
        assert!(
            of_it.clone().all(|about| about["declared_at"].as_str().unwrap().ends_with(&place)),
            "{json}"
        );
    }
    assert!(about.iter().any(|about| about["port"] == "vm8"), "{json}");
}

/// Whoever publishes may send any text: what does not declare the topology is not shown as if it did.
#[test]
fn a_text_that_says_something_else_is_not_told() {
    let gateway = Gateway::running();
    let mut proposal = json!({"topology": topology(&gateway)["topology"], "note": "lies"});
    proposal["text"] = json!({"file": "gateway.toml", "text": FILE.replace("vm8", "vm9")});
    assert_eq!(gateway.http("POST", "/v1/topology", proposal.to_string().as_bytes()).0, 200);
    assert_eq!(topology(&gateway)["text"]["text"], proposal["text"]["text"], "it is kept");
    assert!(gateway.ask(&["show", "config"]).done().starts_with("# revision 2; "));
    let told = gateway.ask(&["trace", "--port", "leaf1", "--frame", FRAME]).done();
    assert!(!told.contains("gateway.toml:"), "{told}");
    for (text, why) in [
        (json!({"file": "a\u{1b}[31m", "text": ""}), "text.file: "),
        (json!({"file": "a", "text": "\u{202e}"}), "text.text: it has '\\\\u{202e}', allowed"),
        (
            json!({"file": "a", "text": "#".repeat((4 << 20) + 1)}),
            "text.text: it has 4194305 bytes, allowed are 4194304",
        ),
        (json!(["a", ""]), "text is a list, allowed is an object"),
    ] {
        proposal["text"] = text;
        let (code, said) = gateway.http("POST", "/v1/topology", proposal.to_string().as_bytes());
        assert!(code == 400 || code == 422, "{code}: {said}");
        assert!(said.contains(why), "{said}");
    }
}

/// Without a text, what is there stays as long as the topology does, and goes with it.
#[test]
fn a_text_goes_with_its_topology() {
    let gateway = Gateway::running();
    let mut proposal = json!({"topology": topology(&gateway)["topology"], "note": "the same"});
    let publish = |proposal: &Value| gateway.http("POST", "/v1/topology", proposal.to_string().as_bytes());
    assert_eq!(publish(&proposal).0, 200);
    let newest = topology(&gateway);
    assert_eq!((newest["revision"].as_u64(), newest["text"]["text"].as_str()), (Some(1), Some(FILE)));
    proposal["topology"]["bridges"]["dc1"]["ageing"] = json!("20s");
    assert_eq!(publish(&proposal).0, 200);
    // It is published before it is in force.
    let newest = topology(&gateway);
    assert_eq!((newest["revision"].as_u64(), &newest["text"]), (Some(2), &Value::Null));
}

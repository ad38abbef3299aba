//! What clients that mean no good, or do no good, can do to the daemon: nothing.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use l2gw::cli::client::Client;
use serde_json::{Value, json};

use crate::process::{Gateway, answer};

/// More than the daemon has seats for.
const MANY: usize = 200;

fn status(gateway: &Gateway) -> Value {
    gateway.ask(&["show", "status", "--json"]).json()
}

#[test]
fn half_requests_keep_nobody_out() {
    let gateway = Gateway::running();
    let halves: Vec<UnixStream> = (0..MANY)
        .map(|number| {
            let mut stream = gateway.connect();
            let half: &[u8] = match number % 4 {
                0 => b"",
                1 => b"GET /v1/sta",
                2 => b"POST /v1/topology HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{\"expe",
                _ => b"POST /v1/trace HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
            };
            stream.write_all(half).unwrap();
            stream
        })
        .collect();
    assert_eq!(status(&gateway)["ports_up"], 3);
    // Those that were given up end as their tasks get to it.
    gateway.wait_for("most halves to be given up", |gateway| gateway.open_files() < MANY / 2);
    drop(halves);
    assert_eq!(gateway.revision(), 1);
}

#[test]
fn clients_that_do_not_read_keep_nobody_out() {
    let gateway = Gateway::running();
    let deaf: Vec<UnixStream> = (0..MANY)
        .map(|_| {
            let mut stream = gateway.connect();
            let request = b"GET /v1/counters HTTP/1.1\r\nhost: x\r\n\r\n";
            // As many as it takes; a connection given up for a newer one is no failure of this client.
            for _ in 0..8 {
                let _ = stream.write_all(request);
            }
            stream
        })
        .collect();
    assert_eq!(status(&gateway)["ports_up"], 3);
    drop(deaf);
    assert_eq!(status(&gateway)["ports_up"], 3);
}

#[test]
fn many_clients_are_all_answered() {
    let gateway = Gateway::running();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..32)
            .map(|number| {
                let gateway = &gateway;
                let path = ["/v1/status", "/v1/ports", "/v1/counters", "/metrics"][number % 4];
                scope.spawn(move || (0..10).all(|_| gateway.http("GET", path, b"").0 == 200))
            })
            .collect();
        for client in clients {
            assert!(client.join().unwrap());
        }
    });
}

#[test]
fn a_body_that_is_too_long_is_refused_and_not_kept() {
    let gateway = Gateway::running();
    let error =
        |body: &str| serde_json::from_str::<Value>(body).unwrap()["error"].as_str().unwrap().to_owned();
    let long = vec![b' '; (16 << 20) + 1];
    let (code, body) = gateway.http("POST", "/v1/topology", &long);
    assert_eq!(code, 413, "{body}");
    assert!(error(&body).contains("16777216"), "{body}");
    // The same in pieces, without its length said beforehand.
    let mut stream = gateway.connect();
    let head = "POST /v1/topology HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let piece = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    for _ in 0..300 {
        if stream.write_all(piece.as_bytes()).is_err() {
            break;
        }
    }
    let (code, body) = answer(&mut stream);
    assert_eq!(code, 413, "{body}");
    assert_eq!(gateway.revision(), 1);
}

/// The command line's own client is told why, although the daemon closes while the body is on its way.
#[test]
fn the_client_tells_why_a_body_is_refused() {
    let gateway = Gateway::running();
    let client = Client::new(&gateway.socket());
    for _ in 0..5 {
        let said = client.send::<()>("/v1/topology", &"x".repeat(17 << 20)).unwrap_err();
        assert_eq!(said.to_string(), "the body is longer than 16777216 bytes");
    }
    assert_eq!(gateway.revision(), 1);
}

#[test]
fn what_cannot_be_understood_is_told_so() {
    let gateway = Gateway::running();
    let deep = "[".repeat(100_000);
    for (method, path, body, expected) in [
        ("POST", "/v1/topology", "{\"expected\":", 400),
        ("POST", "/v1/topology", "{}", 400),
        ("POST", "/v1/topology", deep.as_str(), 400),
        ("POST", "/v1/trace", "{\"port\":\"leaf1\",\"frame\":\"x\"}", 400),
        ("POST", "/v1/trace", "{\"port\":\"leaf9\",\"frame\":[1,2]}", 404),
        ("POST", "/v1/command", "{\"make-coffee\":{}}", 400),
        ("POST", "/v1/command", "{\"unblock\":{\"port\":\"leaf9\"}}", 404),
        ("POST", "/v1/command", "{\"flush-addresses\":{\"prot\":\"leaf1\"}}", 400),
        ("POST", "/v1/trace", "{\"port\":\"leaf1\",\"frame\":[1,2],\"learn\":1}", 400),
        ("POST", "/v1/trace", "[\"leaf1\",[1,2]]", 400),
        ("POST", "/v1/command", "{\"unblock\":[\"leaf1\"]}", 400),
        ("GET", "/v1/events?newst=5", "", 400),
        ("GET", "/v1/nothing", "", 404),
        ("GET", "/v1/events?newest=all", "", 400),
        ("DELETE", "/v1/topology", "", 405),
        ("POST", "/v1/status", "{}", 405),
    ] {
        let (code, said) = gateway.http(method, path, body.as_bytes());
        assert_eq!(code, expected, "{method} {path}: {said}");
        let error =
            serde_json::from_str::<Value>(&said).unwrap_or_else(|error| panic!("{path}: {error}: {said}"));
        assert!(error["error"].as_str().is_some_and(|text| !text.is_empty()), "{path}: {said}");
    }
    let mut stream = gateway.connect();
    stream.write_all(&[0x16, 0x03, 0x01, 0xff, 0x00, b'\r', b'\n', b'\r', b'\n']).unwrap();
    assert_eq!(answer(&mut stream).0, 400, "no HTTP at all");
    assert_eq!(status(&gateway)["revision"], 1);
}

/// A misspelt `port` would flush what every port has learned.
#[test]
fn a_key_that_is_unknown_is_told_with_the_one_that_was_meant() {
    let gateway = Gateway::running();
    for (path, body, meant) in [
        ("/v1/command", "{\"flush-addresses\":{\"prot\":\"leaf1\"}}", "port"),
        ("/v1/command", "{\"unblok\":{\"port\":\"leaf1\"}}", "unblock"),
        ("/v1/trace", "{\"port\":\"leaf1\",\"frames\":[1,2]}", "frame"),
    ] {
        let (code, said) = gateway.http("POST", path, body.as_bytes());
        let said: Value = serde_json::from_str(&said).unwrap();
        let said = said["error"].as_str().unwrap();
        assert_eq!(
            (code, said.ends_with(&format!("the nearest known one is \"{meant}\""))),
            (400, true),
            "{said}"
        );
    }
}

/// What is passed over may be what was meant: `?down=true` of a list that is asked for as the status.
#[test]
fn a_query_that_a_path_does_not_take_is_refused() {
    let gateway = Gateway::running();
    let ask = |method: &str, path: &str, body: &str| {
        let (code, said) = gateway.http(method, path, body.as_bytes());
        (
            code,
            serde_json::from_str::<Value>(&said)
                .map_or(said, |said| said["error"].as_str().unwrap_or_default().to_owned()),
        )
    };
    for (method, path, body) in [
        ("GET", "/v1/status", ""),
        ("GET", "/v1/topology", ""),
        ("POST", "/v1/topology", "{}"),
        ("POST", "/v1/trace", "{\"port\":\"leaf1\",\"frame\":[1]}"),
        ("POST", "/v1/command", "{\"flush-addresses\":{}}"),
        ("GET", "/metrics", ""),
    ] {
        for query in ["down=true", "x", "%1b=1"] {
            let (code, said) = ask(method, &format!("{path}?{query}"), body);
            let expected = format!("{path} takes no query, and was given ?{query}");
            assert_eq!((code, said), (400, expected), "{method} {path}?{query}");
        }
    }
    for path in ["/v1/status?", "/v1/topology", "/metrics?", "/v1/macs?limit=1", "/v1/events?newest=10000"] {
        assert_eq!(gateway.http("GET", path, b"").0, 200, "{path}");
    }
    let lists = ["ports", "trunks", "bridges", "macs", "flows", "counters"];
    for list in lists {
        let (code, said) = ask("GET", &format!("/v1/{list}?limt=1"), "");
        let expected = "\"limt\" is an unknown key, the nearest known one is \"limit\"";
        assert_eq!((code, said.as_str()), (400, expected), "{list}");
    }
    for (path, expected) in [
        ("/v1/macs?vlan=05", "vlan: \"05\" is no VLAN, allowed is 1 to 4094"),
        ("/v1/macs?limit=99999999999999999999", "limit: the number is too large"),
        ("/v1/macs?limit=-1", "limit: allowed is a whole number from 0"),
        ("/v1/macs?down=yes", "down: allowed is true or false"),
        ("/v1/events?newest=10001", "newest is 10001, allowed are at most 10000"),
        ("/v1/events?newst=5", "\"newst\" is an unknown key, the nearest known one is \"newest\""),
        (
            "/v1/macs?colour=red",
            "\"colour\" is an unknown key, allowed are \"port\", \"vlan\", \"mac\", \"down\", \"sort\", \"limit\"",
        ),
    ] {
        assert_eq!(ask("GET", path, ""), (400, expected.to_owned()));
    }
    // What is repeated of it is short, and fit for a terminal.
    let (code, said) = ask("GET", &format!("/v1/macs?%1b%5b31m%e2%80%ae{}=1", "x".repeat(10_000)), "");
    assert!(
        code == 400 && said.len() < 400 && said.chars().all(vlan::model::shown::is_shown),
        "{code} {said}"
    );
}

/// A file has no word for it, so what is in force could not be written as a file.
#[test]
fn what_a_file_cannot_say_is_refused() {
    let gateway = Gateway::running();
    let (_, published) = gateway.http("GET", "/v1/topology", b"");
    let published: Value = serde_json::from_str(&published).unwrap();
    let post = |ageing: &str| {
        let mut topology = published["topology"].clone();
        topology["bridges"]["dc1"]["ageing"] = json!(ageing);
        let proposal = json!({"expected": null, "topology": topology, "note": ""});
        gateway.http("POST", "/v1/topology", proposal.to_string().as_bytes())
    };
    for time in ["300.000000001s", "300.0015s", "300", "-300s", "300us", ""] {
        let (code, said) = post(time);
        let expected = format!("bridges.dc1.ageing: \\\"{time}\\\" is no time, allowed are such as");
        assert_eq!((code, said.contains(&expected)), (422, true), "{said}");
    }
    assert_eq!(gateway.revision(), 1);
    assert_eq!(post("300002ms").0, 200);
    gateway.wait_for("revision 2", |gateway| gateway.revision() == 2);
    let plan = gateway.ask_about_file("plan", &[]).done();
    assert!(plan.contains("~ bridges.dc1.ageing: 300002ms -> 300s"), "{plan}");
}

#[test]
fn a_method_that_a_path_does_not_have_is_told_with_those_that_it_has() {
    let gateway = Gateway::running();
    for (method, path, allowed, words) in [
        ("POST", "/v1/status", "GET, HEAD", "/v1/status is read by GET, and by no other method"),
        ("PUT", "/metrics", "GET, HEAD", "/metrics is read by GET, and by no other method"),
        (
            "DELETE",
            "/v1/topology",
            "GET, HEAD, POST",
            "/v1/topology is read by GET and written by POST, and by",
        ),
        ("GET", "/v1/trace", "POST", "/v1/trace is asked by POST, with JSON, and by no other method"),
        ("GET", "/v1/command", "POST", "/v1/command is asked by POST, with JSON, and by no other method"),
    ] {
        let mut stream = gateway.connect();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        )
        .unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        assert!(said.starts_with("HTTP/1.1 405 ") && said.contains(words), "{method} {path}: {said}");
        let header: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("allow: ")).collect();
        assert_eq!(header, [allowed], "{method} {path}: {said}");
    }
}

#[test]
fn a_description_that_does_not_build_is_refused_and_changes_nothing() {
    let gateway = Gateway::running();
    let (_, published) = gateway.http("GET", "/v1/topology", b"");
    let mut published: Value = serde_json::from_str(&published).unwrap();
    published["topology"]["ports"][0]["bridge"] = json!("nowhere");
    let proposal = json!({"expected": 1, "topology": published["topology"], "note": ""});
    let (code, said) = gateway.http("POST", "/v1/topology", proposal.to_string().as_bytes());
    assert_eq!(code, 422, "{said}");
    assert!(said.contains("ports.vm5.bridge: ") && said.contains("nowhere"), "{said}");
    assert_eq!(gateway.revision(), 1);
}

#[test]
fn metrics_are_in_the_text_format() {
    let gateway = Gateway::running();
    let (code, text) = gateway.http("GET", "/metrics", b"");
    assert_eq!(code, 200);
    let mut family = String::new();
    for line in text.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            family = declared.strip_suffix(" counter").unwrap_or_else(|| panic!("{line}")).to_owned();
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        assert_eq!(name.split('{').next(), Some(family.as_str()), "{line}");
        assert!(value.parse::<u64>().is_ok(), "{line}");
    }
    assert!(text.contains("l2gw_events_total{event=\"port-up\"} 3\n"), "{text}");
}

//! Whatever goes on, SIGTERM ends the daemon within two seconds; and one question does not keep another waiting.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::process::Gateway;

/// How long an end may take.
const SOON: Duration = Duration::from_secs(2);
/// Bridges of 4 094 VLANs each.
const MANY: usize = 40;

/// Ends it, and says how long that took.
fn stop(gateway: &mut Gateway) -> Duration {
    let begun = Instant::now();
    gateway.signal(Signal::SIGTERM);
    let status = gateway.ended();
    assert_eq!(status.code(), Some(0), "{}", gateway.log());
    assert!(!gateway.log().contains("panicked"), "{}", gateway.log());
    begun.elapsed()
}

/// A proposal that takes long to check: bridges that each lead to the next, and very many ports.
fn large_proposal() -> Vec<u8> {
    let name = |number: usize| format!("b{number}");
    let bridge = |number: usize| (name(number), json!({"kind": "vlan-aware", "fabric": "f"}));
    let peering =
        |number: usize| json!({"bridge": name(number), "vid": number % 4094 + 1, "to": name(number + 1)});
    let port = |number: usize| {
        json!({"name": format!("p{number}"), "bridge": name(number % 2_500), "host": "gw1", "link": format!("l{number}"),
            "mode": "access", "vid": 7})
    };
    let description = json!({
        "hosts": {"gw1": {}},
        "bridges": (0..2_500).map(bridge).collect::<serde_json::Map<_, _>>(),
        "vlans": (0..2_499).map(peering).collect::<Vec<_>>(),
        "trunks": [],
        "ports": (0..60_000).map(port).collect::<Vec<_>>(),
    });
    json!({"expected": null, "topology": description, "note": ""}).to_string().into_bytes()
}

/// Sends a proposal and does not wait for the answer.
fn send(gateway: &Gateway, proposal: &[u8]) -> UnixStream {
    let mut stream = gateway.connect();
    let length = proposal.len();
    let head = format!(
        "POST /v1/topology HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(proposal).unwrap();
    stream
}

#[test]
fn large_proposals_keep_nobody_waiting_and_end_with_the_daemon() {
    let mut gateway = Gateway::running();
    let proposal = large_proposal();
    assert!(proposal.len() < 16 << 20, "{} bytes", proposal.len());
    let asking: Vec<UnixStream> = (0..4).map(|_| send(&gateway, &proposal)).collect();
    let mut longest = Duration::ZERO;
    for _ in 0..20 {
        let begun = Instant::now();
        let (code, _) = gateway.http("GET", "/v1/status", b"");
        assert_eq!(code, 200);
        longest = longest.max(begun.elapsed());
    }
    assert!(longest < Duration::from_secs(1), "a status took {longest:?}");
    let took = stop(&mut gateway);
    assert!(took < SOON, "{took:?}");
    drop(asking);
}

#[test]
fn half_requests_end_with_the_daemon() {
    let mut gateway = Gateway::running();
    let head = b"POST /v1/topology HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{";
    let halves: Vec<UnixStream> = (0..20)
        .map(|_| {
            let mut stream = gateway.connect();
            stream.write_all(head).unwrap();
            stream
        })
        .collect();
    // The daemon has read them when it has answered one that came after them.
    assert_eq!(gateway.http("GET", "/v1/status", b"").0, 200);
    let took = stop(&mut gateway);
    assert!(took < SOON, "{took:?}");
    drop(halves);
}

#[test]
fn clients_that_do_not_read_end_with_the_daemon() {
    let mut gateway = Gateway::running();
    let deaf: Vec<UnixStream> = (0..20)
        .map(|_| {
            let mut stream = gateway.connect();
            for _ in 0..8 {
                let _ = stream.write_all(b"GET /v1/counters HTTP/1.1\r\nhost: x\r\n\r\n");
            }
            stream
        })
        .collect();
    assert_eq!(gateway.http("GET", "/v1/status", b"").0, 200);
    let took = stop(&mut gateway);
    assert!(took < SOON, "{took:?}");
    drop(deaf);
}

#[test]
fn a_file_that_became_a_fifo_keeps_nobody_waiting() {
    let mut gateway = Gateway::running();
    let file = gateway.path("gateway.toml");
    std::fs::remove_file(&file).unwrap();
    nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).unwrap();
    gateway.signal(Signal::SIGHUP);
    gateway.wait_for("the refusal", |gateway| gateway.log().contains("is a named pipe"));
    assert_eq!(gateway.revision(), 1);
    let took = stop(&mut gateway);
    assert!(took < SOON, "{took:?}");
}

/// A file that takes seconds to check, with [`MANY`] bridges.
fn large_file(bridges: usize) -> String {
    let mut text = String::from("[hosts.gw1]\n");
    for number in 0..bridges {
        text.push_str(&format!(
            "[bridges.d{number}]\nkind = \"vlan-aware\"\nfabric = \"f{number}\"\n[[vlans]]\nbridge = \"d{number}\"\n\
             vid = \"1-4094\"\nto = \"v{number}-{{vid}}\"\n"
        ));
    }
    text
}

/// Until the file is checked nothing else is opened, and whoever says stop is obeyed already.
#[test]
fn a_signal_while_the_file_is_being_checked_ends_it_in_order() {
    for signals in [
        &[Signal::SIGTERM][..],
        &[Signal::SIGINT],
        &[Signal::SIGHUP, Signal::SIGTERM],
        &[Signal::SIGHUP, Signal::SIGHUP, Signal::SIGINT],
    ] {
        let mut gateway = Gateway::new();
        gateway.write(&large_file(MANY));
        gateway.launch_until_it_listens(&[]);
        let begun = Instant::now();
        signals.iter().for_each(|signal| gateway.signal(*signal));
        let status = gateway.ended();
        let took = begun.elapsed();
        assert_eq!(status.code(), Some(0), "{signals:?}: {status} {}", gateway.log());
        assert!(took < SOON, "{signals:?}: {took:?}");
        assert!(gateway.log().contains("stopping"), "{}", gateway.log());
        assert_eq!(gateway.files(), ["gateway.toml", "log"], "{signals:?}");
    }
}

#[test]
fn a_sighup_during_the_start_is_acted_upon_once_it_runs() {
    let mut gateway = Gateway::new();
    gateway.launch_until_it_listens(&[]);
    gateway.signal(Signal::SIGHUP);
    gateway.wait_for("the file to be read again", |gateway| {
        let log = gateway.log();
        log.contains("SIGHUP: the file is read") && log.contains("nothing has changed: the file says")
    });
    stop(&mut gateway);
}

/// The second comes while the first is being acted upon: both are told.
#[test]
fn a_sighup_behind_another_does_not_silence_it() {
    let mut gateway = Gateway::running();
    // Long enough for the second to come meanwhile, and read twice.
    let wrong = large_file(MANY / 4)
        + "[[ports]]\nname = \"p1\"\nbridge = \"d0\"\nhost = \"gw9\"\nlink = \"tap1\"\nvid = 5\nmode = \"access\"\n";
    gateway.write(&wrong);
    gateway.signal(Signal::SIGHUP);
    gateway.wait_for("the first", |gateway| gateway.log().contains("SIGHUP: the file is read"));
    gateway.signal(Signal::SIGHUP);
    gateway.wait_for("both to be told", |gateway| {
        gateway.log().matches("\"gw9\" is no host of this file").count() == 2
    });
    assert_eq!(gateway.revision(), 1);
    let events = gateway.ask(&["show", "events", "--json"]).json();
    let refused = events.as_array().unwrap().iter().filter(|event| event["event"] == "file-refused").count();
    assert_eq!(refused, 2, "{events}");
    stop(&mut gateway);
}

#[test]
fn a_sighup_that_waits_for_the_store_is_told_of_at_the_end() {
    let mut gateway = Gateway::running();
    let (file, aside) = (gateway.path("state/state.redb"), gateway.path("aside"));
    std::fs::rename(&file, &aside).unwrap();
    gateway.write(&crate::process::file_with_vlan_9());
    gateway.signal(Signal::SIGHUP);
    gateway.wait_for("a vain try", |gateway| gateway.log().contains("it is tried again"));
    gateway.signal(Signal::SIGHUP);
    gateway.wait_for("a word on the first", |gateway| {
        gateway.log().contains("another SIGHUP came before it could be published: ")
    });
    gateway.wait_for("a vain try of the second", |gateway| {
        gateway.log().matches("it is tried again").count() > 1
    });
    let took = stop(&mut gateway);
    assert!(took < SOON, "{took:?}");
    assert!(gateway.log().contains("the daemon stops before it could be published: "), "{}", gateway.log());
}

#[test]
fn a_state_directory_that_is_gone_is_told_and_nothing_is_said_to_be_in_force() {
    let mut gateway = Gateway::running();
    std::fs::remove_dir_all(gateway.path("state")).unwrap();
    gateway.write(&crate::process::file_with_vlan_9());
    let said = gateway.ask_about_file("apply", &[]);
    assert_eq!((said.code, said.out.as_str()), (1, ""), "{}", said.err);
    let expected = "was removed or replaced while it was in use: nothing can be stored";
    assert!(said.err.contains(expected), "{}", said.err);
    assert_eq!(gateway.revision(), 1, "what is in force goes on");
    let took = stop(&mut gateway);
    assert!(took < SOON, "{took:?}");
    gateway.start(&[]);
    assert_eq!(gateway.ask(&["show", "trunks", "--json"]).json()[0]["allowed"], "5,9");
}

#[test]
fn a_state_directory_that_others_may_change_is_refused() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let mut gateway = Gateway::running();
    gateway.stop();
    let state = gateway.path("state");
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o777)).unwrap();
    let said = crate::process::finish(&mut gateway.run(&[]));
    assert_eq!(said.code, 1, "{}", said.err);
    let expected = format!("has mode 0777, so that others can change it: chmod 0700 {}", state.display());
    assert!(said.err.contains(&expected), "{}", said.err);
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::write(gateway.path("precious"), "text").unwrap();
    std::fs::remove_file(state.join("holder")).unwrap();
    symlink(gateway.path("precious"), state.join("holder")).unwrap();
    let said = crate::process::finish(&mut gateway.run(&[]));
    assert!(said.code == 1 && said.err.contains("is a symbolic link"), "{}", said.err);
    assert_eq!(std::fs::read_to_string(gateway.path("precious")).unwrap(), "text");
    std::fs::remove_file(state.join("holder")).unwrap();
    gateway.start(&[]);
}

#[test]
fn the_sockets_directory_is_for_its_owner_to_write_whatever_the_umask() {
    use std::os::unix::fs::MetadataExt;
    for umask in ["000", "077"] {
        let mut gateway = Gateway::new();
        gateway.set_socket("run/l2gw/l2gw.sock");
        let run = gateway.run(&[]);
        let mut shell = std::process::Command::new("sh");
        shell.arg("-c").arg(format!("umask {umask}; exec \"$@\"")).arg("sh").arg(run.get_program());
        shell.args(run.get_args()).env_remove("NOTIFY_SOCKET").env_remove("L2GW_LOG");
        gateway.start_as(&mut shell);
        let mode = |name: &str| std::fs::metadata(gateway.path(name)).unwrap().mode() & 0o7777;
        let modes =
            ["run", "run/l2gw", "run/l2gw/l2gw.sock", "state"].map(|name| format!("{:o}", mode(name)));
        assert_eq!(modes, ["755", "755", "660", "700"], "umask {umask}");
    }
}

//! How a daemon starts, is told, ends and starts again.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::process::{FILE, Gateway, file_with_vlan_9, finish, l2gw};

#[test]
fn sigterm_and_sigint_end_it_in_order() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut gateway = Gateway::running();
        assert!(gateway.socket().exists());
        gateway.signal(signal);
        assert_eq!(gateway.ended().code(), Some(0), "{signal}: {}", gateway.log());
        assert!(!gateway.socket().exists(), "{signal}: the socket's file is left");
        assert!(gateway.log().contains("stopping"), "{}", gateway.log());
    }
}

/// Each thread would have some of its own (docs/benchmarks.md).
#[test]
fn it_takes_no_huge_pages() {
    assert_eq!(Gateway::running().kernel_says("THP_enabled"), "0");
}

#[test]
fn teardown_is_an_end_in_order_too() {
    let mut gateway = Gateway::new();
    gateway.start(&["--teardown"]);
    gateway.stop();
    assert!(gateway.log().contains("the datapath is removed"), "{}", gateway.log());
}

#[test]
fn a_bad_file_opens_nothing() {
    let gateway = Gateway::new();
    gateway.write(&FILE.replace("vid = 8", "vid = 4095"));
    let said = finish(&mut gateway.run(&[]));
    assert_eq!((said.code, said.out.as_str()), (78, ""));
    let line = said.err.lines().next().unwrap();
    assert!(line.contains("gateway.toml:20:7: vlans.2.vid: 4095"), "{}", said.err);
    assert_eq!(gateway.files(), ["gateway.toml"]);
}

#[test]
fn what_this_version_does_not_run_is_bad_configuration() {
    let gateway = Gateway::new();
    gateway.write(&FILE.replace("[hosts.gw1]", "[hosts.gw1]\ndatapath = \"ebpf\""));
    let file = gateway.path("gateway.toml");
    let said = finish(l2gw().arg("run").arg(file).args(["--host", "gw1"]));
    assert_eq!(said.code, 78, "{}", said.err);
    assert!(said.err.contains("hosts.gw1.datapath: \"ebpf\""), "{}", said.err);
}

#[test]
fn an_unknown_host_opens_nothing_and_names_the_known_ones() {
    let gateway = Gateway::new();
    let said = finish(&mut gateway.run(&["--host", "gw7"]));
    assert_eq!(said.code, 64, "{}", said.err);
    let twice = said.err.contains("--host") && said.err.contains("cannot be used multiple times");
    assert!(twice, "{}", said.err);
    let mut run = l2gw();
    run.arg("run").arg(gateway.path("gateway.toml")).args(["--host", "gw7", "--datapath", "fake"]);
    let said = finish(run.arg("--state").arg(gateway.path("state")).arg("--socket").arg(gateway.socket()));
    assert_eq!(said.code, 64, "{}", said.err);
    assert!(said.err.contains("\"gw7\" is no host of") && said.err.contains("--host: gw1"), "{}", said.err);
    assert_eq!(gateway.files(), ["gateway.toml"]);
}

#[test]
fn a_second_daemon_on_the_same_state_is_refused() {
    let gateway = Gateway::running();
    let mut second = gateway.run(&[]);
    let said = finish(second.args(["--record", "/dev/null"]));
    assert_eq!(said.code, 1, "{}", said.err);
    let state = gateway.path("state").display().to_string();
    assert!(said.err.contains(&state), "{}", said.err);
    assert!(said.err.lines().last().unwrap().contains("l2gw: "), "{}", said.err);
    assert_eq!(gateway.revision(), 1, "the first goes on");
}

#[test]
fn a_second_daemon_on_the_same_socket_is_refused() {
    let gateway = Gateway::running();
    let mut second = l2gw();
    second.arg("run").arg(gateway.path("gateway.toml")).args(["--host", "gw1", "--datapath", "fake"]);
    let said = finish(second.arg("--state").arg(gateway.path("other")).arg("--socket").arg(gateway.socket()));
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(said.err.contains("another daemon answers on this socket"), "{}", said.err);
    assert_eq!(gateway.revision(), 1, "the first goes on");
}

#[test]
fn something_that_is_no_socket_is_not_replaced() {
    let gateway = Gateway::new();
    fs::write(gateway.socket(), "precious").unwrap();
    let said = finish(&mut gateway.run(&[]));
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(said.err.contains("this is no socket"), "{}", said.err);
    assert_eq!(fs::read_to_string(gateway.socket()).unwrap(), "precious");
}

#[test]
fn a_restart_keeps_the_revision() {
    let mut gateway = Gateway::running();
    gateway.write(&file_with_vlan_9());
    gateway.ask_about_file("apply", &[]).done();
    assert_eq!(gateway.revision(), 2);
    gateway.stop();
    gateway.start(&[]);
    assert_eq!(gateway.revision(), 2, "the file says what is stored");
    gateway.stop();
    gateway.write(FILE);
    gateway.start(&[]);
    assert_eq!(gateway.revision(), 3, "the file says something else");
}

#[test]
fn a_killed_daemon_is_followed_by_another_at_once() {
    let mut gateway = Gateway::running();
    gateway.signal(Signal::SIGKILL);
    assert_eq!(gateway.ended().code(), None);
    assert!(gateway.socket().exists(), "nobody removed the socket's file");
    gateway.start(&[]);
    assert_eq!(gateway.revision(), 1);
}

#[test]
fn sighup_applies_the_file_and_a_bad_one_changes_nothing() {
    let gateway = Gateway::running();
    gateway.write(&file_with_vlan_9());
    gateway.signal(Signal::SIGHUP);
    gateway.wait_for("revision 2", |gateway| gateway.revision() == 2);
    gateway.write(&FILE.replace("vid = 8", "vid = 0"));
    gateway.signal(Signal::SIGHUP);
    gateway.wait_for("the mistake in the log", |gateway| gateway.log().contains("vlans.2.vid: 0"));
    gateway.write(&FILE.replace("gw1", "gw2"));
    gateway.signal(Signal::SIGHUP);
    gateway
        .wait_for("the missing host in the log", |gateway| gateway.log().contains("no host of it any more"));
    assert_eq!(gateway.revision(), 2);
}

#[test]
fn a_new_port_of_a_datapath_in_memory_finds_its_link() {
    let gateway = Gateway::running();
    let port = "[[ports]]\nname = \"vm9\"\nbridge = \"vub8\"\nhost = \"gw1\"\nlink = \"tap9\"\n";
    gateway.write(&format!("{FILE}\n{port}"));
    gateway.ask_about_file("apply", &[]).done();
    gateway.wait_for("four ports up", |gateway| {
        gateway.ask(&["show", "status", "--json"]).json()["ports_up"] == 4
    });
}

#[test]
fn a_file_of_several_hosts_needs_a_store_that_they_share() {
    let gateway = Gateway::new();
    let port = "[[ports]]\nname = \"far\"\nbridge = \"vub8\"\nhost = \"gw2\"\nlink = \"tap9\"\n";
    gateway.write(&format!("[hosts.gw2]\n{FILE}{port}"));
    let said = finish(&mut gateway.run(&[]));
    assert_eq!(said.code, 78, "{}", said.err);
    let expected =
        "ports.far.host: \"gw2\" is a second host with ports, after \"gw1\": nsdb.backend \"embedded\"";
    assert!(said.err.contains(expected), "{}", said.err);
    assert_eq!(gateway.files(), ["gateway.toml"]);
}

#[test]
fn ports_of_several_hosts_do_not_come_in_by_the_socket_either() {
    let gateway = Gateway::running();
    let mut newest: serde_json::Value =
        serde_json::from_str(&gateway.http("GET", "/v1/topology", b"").1).unwrap();
    let description = &mut newest["topology"];
    description["hosts"]["gw2"] = serde_json::json!({});
    let post = |description: &serde_json::Value| {
        let proposal = serde_json::json!({"expected": null, "topology": description, "note": ""});
        gateway.http("POST", "/v1/topology", proposal.to_string().as_bytes())
    };
    assert_eq!(post(description).0, 200, "a second host without ports has nothing to be forwarded to");
    let mut port = description["ports"][0].clone();
    (port["name"], port["link"], port["host"]) = ("far".into(), "tap9".into(), "gw2".into());
    description["ports"].as_array_mut().unwrap().push(port);
    let (status, said) = post(description);
    assert_eq!(status, 422, "{said}");
    assert!(
        said.contains("it has ports on several hosts: gw1, gw2; the embedded store is that of a single host"),
        "{said}"
    );
}

#[test]
fn a_host_is_known_by_its_name_in_any_letter_case_and_with_its_domain() {
    for name in ["GW1", "gw1.lab.example"] {
        let gateway = Gateway::new();
        let mut run = l2gw();
        run.arg("run").arg(gateway.path("gateway.toml")).args(["--host", name, "--datapath", "fake"]);
        // The host is found before the socket is opened, and this one cannot be.
        let said =
            finish(run.arg("--state").arg(gateway.path("state")).arg("--socket").arg("/proc/l2gw.sock"));
        assert_eq!(said.code, 1, "{name}: {}", said.err);
    }
}

/// A gateway that is told of systemd's socket and of `more`, and what it said there until it was ready and `count` times more.
fn told_to_systemd(more: &[(&str, &str)], count: usize) -> (Gateway, UnixDatagram, Vec<String>) {
    let mut gateway = Gateway::new();
    let notified = UnixDatagram::bind(gateway.path("notify")).unwrap();
    notified.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut run = gateway.run(&[]);
    gateway.start_as(run.env("NOTIFY_SOCKET", gateway.path("notify")).envs(more.iter().copied()));
    let told = (0..=count).map(|_| next_told(&notified)).collect();
    (gateway, notified, told)
}

fn next_told(notified: &UnixDatagram) -> String {
    let mut buffer = [0; 64];
    let len = notified.recv(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..len]).trim().to_owned()
}

#[test]
fn systemd_is_told_when_it_is_ready_and_when_it_stops() {
    // Somebody else's watchdog, as WATCHDOG_PID says, is none of ours.
    for more in [&[][..], &[("WATCHDOG_USEC", "30000"), ("WATCHDOG_PID", "1")], &[("WATCHDOG_USEC", "0")]] {
        let (mut gateway, notified, told) = told_to_systemd(more, 0);
        assert_eq!(told, ["READY=1"], "{more:?}");
        std::thread::sleep(Duration::from_millis(100));
        gateway.stop();
        assert_eq!(next_told(&notified), "STOPPING=1", "{more:?}");
    }
}

/// systemd gives a daemon up that says nothing for `WATCHDOG_USEC`: this one says it three times in that, and not more often.
#[test]
fn systemds_watchdog_hears_that_the_engine_answers() {
    let begun = Instant::now();
    let (mut gateway, notified, told) = told_to_systemd(&[("WATCHDOG_USEC", "300000")], 5);
    assert_eq!(told[0], "READY=1");
    gateway.stop();
    let longest = begun.elapsed().as_millis() / 100 + 1;
    let mut beats = told[1..].to_vec();
    while beats.last().is_some_and(|last| last == "WATCHDOG=1") {
        beats.push(next_told(&notified));
    }
    assert_eq!(beats.pop().as_deref(), Some("STOPPING=1"));
    assert!(beats.len() >= 5 && beats.iter().all(|word| word == "WATCHDOG=1"), "{beats:?}");
    assert!(beats.len() as u128 <= longest, "{} times in {longest} pauses", beats.len());
}

/// What is written wrongly is not passed over in silence.
#[test]
fn a_log_filter_that_cannot_be_understood_is_told() {
    let told = "the log is as without L2GW_LOG, which cannot be understood";
    for (filter, is_told, has_infos) in
        [("l2gw=loud", true, true), ("bad[[[", true, true), ("warn", false, false), ("info", false, true)]
    {
        let mut gateway = Gateway::new();
        let mut run = gateway.run(&[]);
        gateway.start_as(run.env("L2GW_LOG", filter));
        gateway.stop();
        let log = gateway.log();
        assert_eq!((log.contains(told), log.contains(" INFO ")), (is_told, has_infos), "{filter}: {log}");
    }
}

#[test]
fn state_and_socket_are_for_their_owner_and_group() {
    use std::os::unix::fs::MetadataExt;
    let gateway = Gateway::running();
    let mode = |name: &str| fs::metadata(gateway.path(name)).unwrap().mode() & 0o7777;
    assert_eq!(format!("{:o}", mode("l2gw.sock")), "660");
    assert_eq!(format!("{:o}", mode("state")), "700");
    for entry in fs::read_dir(gateway.path("state")).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().mode() & 0o7777;
        assert_eq!(format!("{mode:o}"), "600", "{}", entry.path().display());
    }
}

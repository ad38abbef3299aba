//! `l2gw port`: a VM's port in one line, at a running daemon.

use nix::sys::signal::Signal;

use crate::process::{FILE, Gateway, file_with_vlan_9};

const VM7: [&str; 9] = ["port", "add", "vm7", "--bridge", "vub8", "--host", "gw1", "--link", "tap7"];

#[test]
fn a_port_is_in_force_at_once_and_outlives_a_file_and_a_start() {
    let mut gateway = Gateway::running();
    assert_eq!(gateway.ask(&VM7).done(), "revision 2 is in force\n");
    gateway.wait_for("the port", |gateway| {
        let ports = gateway.ask(&["show", "ports", "--port", "vm7", "--json"]).json();
        ports[0]["state"] == "up" && ports[0]["link"] == "tap7"
    });
    assert_eq!(gateway.ask(&VM7).done(), "nothing to do: revision 2 is as asked: port vm7 is there\n");
    gateway.write(&file_with_vlan_9());
    let plan = gateway.ask_about_file("plan", &[]).done();
    assert!(plan.contains("stays, since it did not come from a file: ports.vm7 (by cli, from "), "{plan}");
    gateway.ask_about_file("apply", &[]).done();
    gateway.write(FILE);
    gateway.signal(Signal::SIGHUP);
    gateway.wait_for("the file again", |gateway| gateway.revision() == 4);
    gateway.stop();
    gateway.start(&[]);
    let config = gateway.ask(&["show", "config"]).done();
    assert!(config.starts_with(FILE) && config.contains("#   ports.vm7 (by cli, from "), "{config}");
    let said = gateway.ask(&["port", "del", "vm7", "--json"]).json();
    assert_eq!(said, serde_json::json!({"revision": 5, "is_new": true, "in_force": true}));
    assert!(!gateway.ask(&["show", "config"]).done().contains("vm7"));
    gateway.stop();
}

#[test]
fn only_what_was_added_so_is_removed_and_a_file_may_not_name_it() {
    let mut gateway = Gateway::running();
    gateway.ask(&VM7).done();
    let said = gateway.ask(&["port", "del", "vm8"]);
    let line = 1 + FILE.lines().position(|line| line == "name = \"vm8\"").unwrap();
    let declared = format!("{}:{}", gateway.path("gateway.toml").display(), line - 1);
    assert_eq!(said.code, 78);
    let expected = format!(
        "l2gw: ports.vm8: it came by file ({declared}); `l2gw port del` removes only what `l2gw port add` added: remove it where it came \
         from\n"
    );
    assert_eq!(said.err, expected);
    let said = gateway.ask(&["port", "del", "vm9"]);
    assert!(said.code == 64 && said.err.contains("\"vm9\" is no port in revision 2"), "{said:?}");
    let said = gateway.ask(&["port", "add", "vm8", "--bridge", "vub8", "--host", "gw1", "--link", "tap8"]);
    assert!(said.code == 78 && said.err.contains(&format!("came by file ({declared})")), "{said:?}");
    let said = gateway.ask(&["port", "add", "vm9", "--bridge", "vub8", "--host", "gw1", "--link", "tap7"]);
    assert!(said.code == 78 && said.err.contains("tap7"), "one link, two ports: {said:?}");
    let vm7 = "[[ports]]\nname = \"vm7\"\nbridge = \"vub8\"\nhost = \"gw1\"\nlink = \"tap70\"\n";
    gateway.write(&format!("{FILE}\n{vm7}"));
    let said = gateway.ask_about_file("apply", &[]);
    assert!(
        said.code == 78 && said.err.contains("ports.vm7: it is there already and came by cli"),
        "{said:?}"
    );
    gateway.stop();
}

/// Where `vm7` is all that the host has, removing it is what was asked for.
#[test]
fn the_last_port_of_a_host_goes_by_its_name() {
    let mut gateway = Gateway::new();
    gateway.write("[hosts.gw1]\n\n[bridges.vub8]\nkind = \"vlan-unaware\"\n");
    gateway.launch(&[]);
    gateway.wait_for("an answer", |gateway| gateway.ask(&["show", "status"]).code == 0);
    gateway.ask(&VM7).done();
    assert_eq!(gateway.ask(&["port", "del", "vm7"]).done(), "revision 3 is in force\n");
    gateway.stop();
}

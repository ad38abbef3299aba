//! `--nsdb embedded:DIR`: the state directory of a daemon that does not run.

use crate::process::{FILE, Gateway, file_with_vlan_9};

#[test]
fn a_directory_is_changed_where_no_daemon_has_it() {
    let mut gateway = Gateway::running();
    let place = format!("embedded:{}", gateway.path("state").display());
    let ask = |verb: &[&str]| {
        let words = [verb, &["--nsdb", place.as_str()]].concat();
        crate::process::finish(crate::process::l2gw().args(words))
    };
    let file = gateway.path("gateway.toml").display().to_string();
    let said = ask(&["show", "revisions"]);
    assert!(said.code == 1 && said.err.contains(" is in use by process "), "{said:?}");
    assert!(said.err.contains("; a daemon that has it is asked by its socket, without --nsdb"), "{said:?}");
    gateway.stop();
    assert_eq!(ask(&["show", "config"]).done(), FILE);
    gateway.write(&file_with_vlan_9());
    let stored = "revision 2 is stored; the daemon of this directory takes it at its next start\n";
    assert_eq!(ask(&["apply", &file]).done(), stored);
    let port = ["port", "add", "vm7", "--bridge", "vub8", "--host", "gw1", "--link", "tap7"];
    assert_eq!(ask(&port).done(), stored.replace('2', "3"));
    gateway.start(&[]);
    assert!(gateway.ask(&["show", "ports"]).done().contains("vm7"));
    assert!(gateway.ask(&["show", "config"]).done().contains("vid = 9"));
    gateway.stop();
}

#[test]
fn no_directory_is_made_for_a_name() {
    let gateway = Gateway::new();
    let place = format!("embedded:{}", gateway.path("stat").display());
    let said = crate::process::finish(crate::process::l2gw().args(["show", "config", "--nsdb", &place]));
    let expected =
        format!("l2gw: --nsdb {place}: there is no such directory; a daemon makes it at its first start\n");
    assert_eq!((said.code, said.err), (1, expected));
    assert_eq!(gateway.files(), ["gateway.toml"]);
}

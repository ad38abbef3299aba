//! Which host of a file this machine is.

use agent::config::host::candidates;
use vlan::model::description::Host;
use vlan::model::topology::Topology;
use vlan::model::value::quote;

/// Which host of a topology a machine called `name` is: the one of this name, else of the name in lower case, else of its part before the
/// first dot in lower case. Names of hosts are in lower case and have no dot; a machine's own name may have both. No machine is a VTEP.
///
/// `takes_only_host`: if no name fits, the machine is the single host of the file.
///
/// # Errors
/// The names that were tried.
pub fn host_for(name: &str, topology: &Topology, takes_only_host: bool) -> Result<String, Vec<String>> {
    let tried = candidates(name);
    let agents: Vec<&Host> = topology.description().agents().collect();
    if let Some(host) = tried.iter().find(|candidate| agents.iter().any(|host| host.name == **candidate)) {
        return Ok(host.clone());
    }
    match agents.as_slice() {
        [only] if takes_only_host => Ok(only.name.clone()),
        _ => Err(tried),
    }
}

/// What is said where nothing fits. `given` says where the name is from: `--host` or `the hostname`.
pub fn unknown(given: &str, tried: &[String], file: &str, topology: &Topology) -> String {
    let quoted: Vec<String> = tried.iter().map(|name| quote(name)).collect();
    let none = match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("none of {} and {last} is a", rest.join(", ")),
        _ => format!("{} is no", quoted.join("")),
    };
    let names: Vec<&str> = topology.description().agents().map(|host| host.name.as_str()).collect();
    match names.is_empty() {
        true => format!("{given}: {none} host of {file}: it has no [hosts.NAME] that runs l2gw"),
        false => format!("{given}: {none} host of {file}; allowed for --host: {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topology(hosts: &[&str]) -> Topology {
        let text: String = hosts.iter().map(|host| format!("[hosts.{host}]\n")).collect();
        crate::config::parse("f", &text).unwrap().topology
    }

    #[test]
    fn letter_case_domain_and_the_only_host_are_tried() {
        let (one, two) = (topology(&["gw1"]), topology(&["gw1", "gw2"]));
        for (name, topology, only, expected) in [
            ("gw1", &two, false, Ok("gw1")),
            ("GW1", &two, false, Ok("gw1")),
            ("gw2.lab.example", &two, false, Ok("gw2")),
            ("GW2.Lab.Example", &two, false, Ok("gw2")),
            ("gw3.lab.example", &two, true, Err("gw3.lab.example gw3")),
            ("GW3.lab", &two, true, Err("GW3.lab gw3.lab gw3")),
            ("gw3", &one, false, Err("gw3")),
            ("gw3", &one, true, Ok("gw1")),
            ("", &one, true, Ok("gw1")),
            ("", &two, true, Err("")),
        ] {
            let got = host_for(name, topology, only).map_err(|tried| tried.join(" "));
            assert_eq!(got, expected.map(str::to_owned).map_err(str::to_owned), "{name:?}");
        }
    }

    #[test]
    fn no_machine_is_a_vtep() {
        let vtep = "[hosts.vt1]\nkind = \"vtep\"\nunderlay = \"192.0.2.9\"\n";
        let of = |text: &str| crate::config::parse("f", text).unwrap().topology;
        let both = of(&format!("{vtep}[hosts.gw1]\n"));
        assert_eq!(host_for("other", &both, true), Ok("gw1".to_owned()));
        let tried = host_for("vt1", &both, false).unwrap_err();
        let said = unknown("--host", &tried, "f", &both);
        assert_eq!(said, "--host: \"vt1\" is no host of f; allowed for --host: gw1");
        let said = unknown("--host", &tried, "f", &of(vtep));
        assert_eq!(said, "--host: \"vt1\" is no host of f: it has no [hosts.NAME] that runs l2gw");
    }

    #[test]
    fn a_refusal_says_what_was_tried() {
        let two = topology(&["gw1", "gw2"]);
        let said = |name: &str| unknown("the hostname", &host_for(name, &two, true).unwrap_err(), "f", &two);
        assert_eq!(said("gw3"), "the hostname: \"gw3\" is no host of f; allowed for --host: gw1, gw2");
        let expected = "the hostname: none of \"GW3.lab\", \"gw3.lab\" and \"gw3\" is a host of f; allowed for --host: gw1, gw2";
        assert_eq!(said("GW3.lab"), expected);
        let none = crate::config::parse("f", "[bridges.v]\nkind = \"vlan-unaware\"\n").unwrap().topology;
        let expected = "--host: \"gw1\" is no host of f: it has no [hosts.NAME] that runs l2gw";
        assert_eq!(unknown("--host", &["gw1".to_owned()], "f", &none), expected);
    }
}

//! What examples, guide and JSON promise is so.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use l2gw::cli::{BAD_CONFIGURATION, DONE};
use l2gw::config;

use super::{BASE, checked, example, said};

#[test]
fn a_right_file_is_told_in_one_line() {
    let path = example().with_file_name("01-one-trunk-two-vlans").join("gateway.toml");
    let (code, out, err) = checked(&path, false);
    let expected = format!("{}: ok: 1 host, 3 bridges, 2 VLANs, 1 trunk, 3 ports\n", path.display());
    assert_eq!((code, out, err), (DONE, expected, String::new()));
}

/// The example with every line that is commented out there; it may not, as it were, show a key that is refused.
#[test]
fn every_key_of_the_example_is_known() {
    let text = fs::read_to_string(example()).unwrap();
    let shown: String = text
        .lines()
        .map(|line| {
            let is_key = line
                .strip_prefix("# ")
                .is_some_and(|rest| rest.starts_with('[') || rest.split(' ').nth(1) == Some("="));
            if is_key { &line[2..] } else { line }
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    let shown = shown
        .replace(
            r#"backend = "embedded"                # "embedded" (default, one host)"#,
            "backend = \"zookeeper\" #",
        )
        .replace("backend = \"embedded\"                # or", "backend = \"cassandra\" #")
        .replace("vid = \"100-199\"", "vid = \"110-199\"")
        .replace("translate = { 108 = 9 }", "translate = { 108 = 9, \"2100-2199\" = \"200-299\" }")
        .replace(r#"vlans = ["5", "8", "100-199"]"#, r#"vlans = ["5", "8", "100-199", "2100-2199"]"#);
    let said = said(&shown);
    let warnings: Vec<&str> = said.lines().filter_map(|line| line.split(": ").nth(2)).collect();
    let expected = ["nsdb.servers", "trunks.leaf1.vlans", "ports.vm1.ips"];
    assert_eq!(warnings, expected, "{said}\n{shown}");
    assert!(said.ends_with("\nok"), "{said}");
}

#[test]
fn json_says_the_same() {
    let (code, out, err) = checked(&example(), true);
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, err.as_str(), out.lines().count()), (DONE, "", 1));
    assert_eq!(report["ok"], true);
    assert_eq!(
        report["summary"],
        serde_json::json!({"hosts": 1, "bridges": 3, "vlans": 2, "trunks": 1, "ports": 3})
    );
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"[hosts.gw1]\ndatapath = \"x\"\n").unwrap();
    let (code, out, err) = checked(file.path(), true);
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, err.as_str()), (BAD_CONFIGURATION, ""));
    let mistake = serde_json::json!({
        "line": 2, "column": 12, "key": "hosts.gw1.datapath",
        "text": "\"x\" is unknown, allowed is \"auto\", \"ovs\" or \"ebpf\"",
    });
    assert_eq!((&report["ok"], &report["mistakes"]), (&false.into(), &serde_json::json!([mistake])));
}

#[test]
fn defaults_are_those_of_the_guide() {
    let port = "[[ports]]\nname = \"p\"\nbridge = \"vub8\"\nhost = \"gw1\"\nlink = \"tap1\"\nstorm = { broadcast = 5 }\n";
    let trunk = "[[trunks]]\nname = \"t\"\nbridge = \"dc1\"\nhost = \"gw1\"\nlink = \"eth0\"\nstorm = { unknown = 0 }\n";
    let config = config::parse("f", &format!("{BASE}{port}{trunk}")).unwrap();
    let storms =
        [&config.description.ports[0], &config.description.trunks[0]].map(|port| port.storm.unwrap());
    assert_eq!((storms[0].broadcast, storms[0].multicast, storms[0].unknown), (5, 0, 0));
    assert_eq!((storms[1].broadcast, storms[1].multicast, storms[1].unknown), (20_000, 20_000, 0));
    assert_eq!(config.nsdb, agent::config::store::Nsdb::Embedded { path: "/var/lib/l2gw".into() });
    assert_eq!(config.journal.keep.as_secs(), 30 * 86_400);
    assert_eq!(config.description.bridges[0].ageing.as_secs(), 300);
}

/// Every key that a file may have is in the guide; the guide is where an operator looks first.
#[test]
fn the_guide_has_every_key() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guide/configuration.md");
    let guide = fs::read_to_string(guide).unwrap();
    let refusals = said(
        "x = 1\n[nsdb]\nx = 1\n[journal]\nx = 1\n[hosts.a]\nxyzzy = 1\n[overlay]\nxyzzy = 1\n[bridges.a]\nxyzzy = 1\n[[vlans]]\nxyzzy = 1\n[[trunks]]\nxyzzy = 1\nstorm = { xyzzy = 1 }\n[[ports]]\nxyzzy = 1\n",
    );
    let known: Vec<&str> = refusals
        .lines()
        .filter_map(|line| line.split_once(" knows "))
        .flat_map(|(_, keys)| keys.split('"').skip(1).step_by(2))
        .collect();
    assert!(known.len() > 60, "{refusals}");
    for key in known {
        let forms = [format!("`{key}`"), format!("`[{key}"), format!("`[[{key}")];
        assert!(forms.iter().any(|form| guide.contains(form)), "{key} is not in the guide");
    }
}

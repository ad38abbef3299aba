//! `agent.toml`: what holds where it says nothing, what it may say, and what is said of mistakes.

use std::fs;
use std::time::Duration;

use nsdb::cassandra::Sureness;

use super::store::{Journal, JournalBackend, Nsdb};
use super::*;

fn said(text: &str) -> String {
    parse("f", text).unwrap_err().to_string()
}

#[test]
fn a_file_that_says_nothing_is_right() {
    for text in ["", "# nothing\n", "[nsdb]\n[journal]\n"] {
        assert_eq!(
            parse("f", text),
            Ok(Config { file: Some("f".to_owned()), ..Config::default() }),
            "{text:?}"
        );
    }
    let defaults = Config::default();
    assert_eq!(defaults.socket, Path::new("/run/l2gw/l2gw.sock"));
    assert_eq!(defaults.stores.nsdb, Nsdb::Embedded { path: "/var/lib/l2gw".into() });
    assert_eq!((defaults.datapath, defaults.device.as_str()), (Choice::Auto, "l2gw"));
    assert_eq!(defaults.upcall_rate, 5_000);
}

#[test]
fn every_key_is_obeyed() {
    let text = "host = \"gw1\"\nsocket = \"/run/x.sock\"\ndatapath = \"fake\"\ndevice = \"gw\"\nupcall-rate = 0\n\
                [nsdb]\nbackend = \"embedded\"\npath = \"/srv/l2gw\"\n[journal]\nkeep = \"2d\"\n";
    let config = parse("f", text).unwrap();
    assert_eq!(config.host.as_deref(), Some("gw1"));
    assert_eq!((config.socket.as_path(), config.datapath), (Path::new("/run/x.sock"), Choice::Fake));
    assert_eq!((config.device.as_str(), config.upcall_rate), ("gw", 0));
    assert_eq!(config.stores.nsdb, Nsdb::Embedded { path: "/srv/l2gw".into() });
    assert_eq!(
        config.stores.journal,
        Journal { keep: Duration::from_secs(2 * 86_400), ..Journal::default() }
    );
}

#[test]
fn mistakes_are_told_all_at_once_with_their_places() {
    let long = "x".repeat(200);
    for (text, expected) in [
        (
            "host = \"a b\"\n[nsdb]\npath = \"state\"\n",
            "f:1:8: host: \"a b\" is not a name, allowed is a-z, 0-9 and '-' (not first), at most 63 bytes\nf:3:8: nsdb.path: \"state\" is not an absolute path, allowed is one that starts with \"/\"",
        ),
        ("hots = \"gw1\"\n", "f:1:1: hots: unknown key, the nearest known one is \"host\""),
        ("[nsbd]\n", "f:1:2: nsbd: unknown key, the nearest known one is \"nsdb\""),
        (
            "socket = \"l2gw.sock\"\n",
            "f:1:10: socket: \"l2gw.sock\" is not an absolute path, allowed is one that starts with \"/\"",
        ),
        (
            &format!("socket = \"/{long}\"\n"),
            "f:1:10: socket: it has 201 bytes, a socket's path has at most 107",
        ),
        (
            "datapath = \"ebpf\"\n",
            "f:1:12: datapath: \"ebpf\" is unknown, allowed is \"auto\", \"ovs\" or \"fake\"",
        ),
        (
            "device = \"0123456789abcdef\"\n",
            "f:1:10: device: \"0123456789abcdef\" is longer than a link's name can be, allowed are 1 to 15 bytes without '/', ':' and white space",
        ),
        (
            "upcall-rate = -1\n",
            "f:1:15: upcall-rate: -1 is out of range, allowed is 0 to 4294967295 frames a second",
        ),
        ("nsdb = 5\n", "f:1:8: nsdb: 5 is an integer, allowed is [nsdb]"),
        ("host = \"a\"\nhost = \"b\"\n", "f:2:1: host: is set twice, one value is allowed"),
        (
            "[hosts.gw1]\n",
            "f:1:2: hosts: {…} has no use here: it is of the topology, which `l2gw apply FILE` brings to the running host",
        ),
        (
            "[nsdb]\nkeep = \"1d\"\n",
            "f:2:1: nsdb.keep: unknown key, [nsdb] knows \"backend\", \"path\", \"servers\", \"root\" and \"auth-file\"",
        ),
        ("host =\n", "f:1:7: syntax: "),
    ] {
        let said = said(text);
        assert!(said.starts_with(expected) && said.lines().count() == expected.lines().count(), "{said}");
    }
}

#[test]
fn a_cluster_has_its_usual_keyspace_and_sureness_unless_told() {
    let read = |more: &str| {
        let text =
            format!("[journal]\nbackend = \"cassandra\"\ncontact-points = [\"10.0.0.1:9042\"]\n{more}");
        let JournalBackend::Cassandra(cluster) = parse("f", &text).unwrap().stores.journal.backend else {
            panic!("a cluster")
        };
        cluster
    };
    let usual = read("");
    assert_eq!((usual.keyspace.as_str(), usual.consistency), ("l2gw", Sureness::LocalQuorum));
    assert_eq!((usual.datacenter, usual.ca_file, usual.auth_file), (None, None, None));
    let told = read("datacenter = \"east\"\nconsistency = \"one\"\nca-file = \"/c\"\nkeyspace = \"k\"\n");
    assert_eq!((told.keyspace.as_str(), told.consistency), ("k", Sureness::One));
    assert_eq!((told.datacenter.as_deref(), told.ca_file), (Some("east"), Some(PathBuf::from("/c"))));
}

#[test]
fn what_is_of_a_cluster_alone_is_refused_elsewhere() {
    for key in ["datacenter = \"east\"", "consistency = \"one\"", "ca-file = \"/c\"", "keyspace = \"k\""] {
        let name = key.split(' ').next().unwrap();
        let said = parse("f", &format!("[journal]\n{key}\n")).unwrap_err().to_string();
        assert!(said.contains(&format!("\"{name}\" is for backend \"cassandra\"")), "{said}");
    }
    let text = "[journal]\nbackend = \"cassandra\"\ncontact-points = [\"a:1\"]\nconsistency = \"most\"\ndatacenter = \"\"\n";
    let said = parse("f", text).unwrap_err().to_string();
    let own = parse(
        "f",
        "[journal]\nbackend = \"cassandra\"\ncontact-points = [\"a:1\"]\nkeyspace = \"System_auth\"\n",
    );
    assert!(own.unwrap_err().to_string().contains("is one of Cassandra's own"));
    assert!(said.contains("\"most\" is unknown") && said.contains("is not a data centre's name"), "{said}");
}

#[test]
fn only_the_default_file_may_be_missing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agent.toml");
    assert_eq!(load_if_there(&path), Ok(Config::default()));
    let missing = load(Some(&path)).unwrap_err();
    assert_eq!(missing.to_string(), format!("{}: does not exist", path.display()));
    std::os::unix::fs::symlink(directory.path().join("nowhere"), &path).unwrap();
    assert!(load_if_there(&path).is_err(), "somebody meant a file");
    fs::remove_file(&path).unwrap();
    fs::write(&path, "host = \"gw1\"\n").unwrap();
    assert_eq!(load_if_there(&path), load(Some(&path)));
    fs::write(&path, "host = 1\n").unwrap();
    assert!(load_if_there(&path).is_err());
}

/// The example as it is says what holds without it; with every line that is commented out there it shows every key.
#[test]
fn the_example_shows_every_key_with_its_default() {
    let example = include_str!("../../../examples/agent.toml");
    let config = parse("f", example).unwrap();
    assert_eq!(config, Config { file: Some("f".to_owned()), ..Config::default() });
    let is_key = |rest: &&str| rest.split(' ').nth(1) == Some("=");
    let shown: Vec<&str> =
        example.lines().map(|line| line.strip_prefix("# ").filter(is_key).unwrap_or(line)).collect();
    let config = parse("f", &shown.join("\n")).unwrap();
    assert_eq!(
        config,
        Config { file: Some("f".to_owned()), host: Some("gw1".to_owned()), ..Config::default() }
    );
    for key in KEYS {
        let forms = [format!("{key} = "), format!("[{key}]")];
        assert!(
            shown.iter().any(|line| forms.iter().any(|form| line.starts_with(form))),
            "{key} is not shown"
        );
    }
}

/// Each key has its row in the guide, which begins with its default.
#[test]
fn the_guide_has_every_key_with_its_default() {
    let guide = include_str!("../../../docs/guide/agent.md");
    let Config { socket, datapath, device, upcall_rate, .. } = Config::default();
    let defaults = [
        ("socket", format!("`\"{}\"`", socket.display())),
        ("datapath", format!("`\"{}\"`", datapath.word())),
        ("device", format!("`\"{device}\"`")),
        ("upcall-rate", upcall_rate.to_string()),
    ];
    for key in KEYS {
        let is_row = |line: &&str| {
            ["`KEY` |", "`[KEY]` |"]
                .iter()
                .any(|form| line.starts_with(&format!("| {}", form.replace("KEY", key))))
        };
        let row = guide.lines().find(is_row).unwrap_or_else(|| panic!("{key} is not in the guide"));
        if let Some((_, default)) = defaults.iter().find(|(of, _)| of == key) {
            assert_eq!(row.split(" | ").nth(1), Some(default.as_str()), "{key}");
        }
    }
    assert!(guide.contains(&format!("`{DEFAULT_FILE}`")));
}

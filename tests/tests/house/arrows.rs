//! Which crate of this workspace may name which: the arrows of the design, and no other.
//!
//! ```text
//! l2gw ──► agent ──► datapath ──► vlan
//!   │        └────► nsdb ──────────▲            tests may name any crate; nothing names tests
//!   └─────────────► nsdb, vlan ────┘            the tests of any crate may name servers
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

#[test]
fn every_dependency_between_our_crates_is_an_arrow_of_the_design() {
    let crates = read_workspace();
    let drawn: BTreeSet<&str> = ARROWS.iter().map(|(from, _)| *from).collect();
    let ours: BTreeSet<&str> = crates.keys().map(String::as_str).collect();
    assert_eq!(ours, drawn, "the crates of the workspace and of this table differ");
    assert_eq!(
        refused(&crates),
        Vec::<String>::new(),
        "an edge needs a note in docs/design/ and a line in this table"
    );
}

#[test]
fn an_edge_that_is_not_drawn_is_found() {
    let edge = |from: &str, to: &str| BTreeMap::from([(from.to_owned(), BTreeSet::from([to.to_owned()]))]);
    for (from, to) in [("vlan", "nsdb"), ("nsdb", "datapath"), ("datapath", "nsdb"), ("l2gw", "datapath")] {
        assert_eq!(refused(&edge(from, to)), [format!("{from} -> {to}")]);
    }
    for ours in ["vlan", "datapath", "nsdb", "agent", "l2gw"] {
        assert_eq!(refused(&edge(ours, "tests")), [format!("{ours} -> tests")]);
        assert_eq!(refused(&edge("tests", ours)), Vec::<String>::new());
    }
}

#[test]
fn an_edge_counts_whatever_its_kind() {
    let package = |name: &str, kind: Value| serde_json::json!({"name": name, "dependencies": [{"name": "tests", "kind": kind, "path": "/x/tests"}]});
    for kind in [Value::Null, "dev".into(), "build".into()] {
        let crates = read_packages(&[package("vlan", kind.clone()), package("tests", kind)]);
        assert!(crates["vlan"].contains("tests"), "{crates:?}");
    }
}

#[test]
fn only_tests_may_start_servers() {
    let package = |name: &str, kind: Value| serde_json::json!({"name": name, "dependencies": [{"name": "servers", "kind": kind, "path": "/x/servers"}]});
    let of = |name: &str, kind: Value| {
        let crates = read_packages(&[package(name, kind), package("servers", "dev".into())]);
        refused(&crates)
    };
    for ours in ["vlan", "datapath", "nsdb", "agent", "l2gw", "tests"] {
        assert_eq!(of(ours, "dev".into()), [""; 0]);
    }
    assert_eq!(of("tests", Value::Null), [""; 0]);
    for kind in [Value::Null, "build".into()] {
        assert_eq!(of("nsdb", kind), ["nsdb -> servers"]);
    }
}

#[test]
fn pure_rooms_have_no_clock_no_randomness_no_threads_and_no_files() {
    let files = PURE.iter().flat_map(|room| sources(&root().join(room)));
    let mut found = Vec::new();
    let mut read = 0;
    for file in files {
        let source = std::fs::read_to_string(&file).unwrap();
        let code = source.split("#[cfg(test)]").next().unwrap_or_default();
        read += 1;
        let is_comment = |line: &str| line.trim_start().starts_with("//");
        let lines = code.lines().filter(|line| !is_comment(line));
        for (line, (word, why)) in lines.flat_map(|line| IMPURE.iter().map(move |impure| (line, impure))) {
            if line.contains(word) {
                found.push(format!("{}: {word}: {why}: {line}", file.display()));
            }
        }
    }
    assert!(read >= 80, "{read} files");
    assert_eq!(found, Vec::<String>::new());
}

/// The Rust files of a room, tests apart.
fn sources(room: &Path) -> Vec<std::path::PathBuf> {
    if room.is_file() {
        return vec![room.to_owned()];
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(room).unwrap() {
        let path = entry.unwrap().path();
        let is_test = path.file_stem().is_some_and(|stem| stem == "tests" || stem == "stories");
        if !is_test && (path.is_dir() || path.extension().is_some_and(|extension| extension == "rs")) {
            files.extend(sources(&path));
        }
    }
    files
}

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What an engine decides is the same in a replay, and hundreds of engines run in one test.
const PURE: [&str; 6] = [
    "vlan/src",
    "agent/src/engine",
    "agent/src/lower",
    "agent/src/reconcile.rs",
    "agent/src/budget.rs",
    "agent/src/counters.rs",
];
const IMPURE: [(&str, &str); 10] = [
    ("std::time::Instant", "time is an argument"),
    ("SystemTime", "time is an argument"),
    ("crate::clock", "time is an argument"),
    ("std::thread", "whoever calls decides on threads"),
    ("tokio", "whoever calls decides on threads"),
    ("async ", "whoever calls decides on threads"),
    ("std::fs", "bytes are an argument"),
    ("std::io", "bytes are an argument"),
    ("std::env", "what is configured is an argument"),
    ("RandomState", "randomness is an argument"),
];

/// The edges that no arrow allows, as `from -> to`.
fn refused(crates: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let edges =
        crates.iter().flat_map(|(from, names)| names.iter().map(move |to| (from.as_str(), to.as_str())));
    edges.filter(|edge| !is_drawn(*edge)).map(|(from, to)| format!("{from} -> {to}")).collect()
}

fn is_drawn((from, to): (&str, &str)) -> bool {
    ARROWS.iter().any(|(crate_name, targets)| *crate_name == from && targets.contains(&to))
}

/// Each crate of the workspace, and those of them that it names for building, testing or its build script.
fn read_workspace() -> BTreeMap<String, BTreeSet<String>> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let output = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
        .args(["metadata", "--offline", "--no-deps", "--format-version", "1", "--manifest-path"])
        .arg(manifest)
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    read_packages(metadata["packages"].as_array().expect("metadata has packages"))
}

fn read_packages(packages: &[Value]) -> BTreeMap<String, BTreeSet<String>> {
    let name = |value: &Value| value["name"].as_str().expect("everything in metadata has a name").to_owned();
    let ours: BTreeSet<String> = packages.iter().map(name).collect();
    let counts = |edge: &&Value| name(edge) != FOR_TESTS || edge["kind"] != "dev";
    let named = |package: &Value| {
        let all = package["dependencies"].as_array().expect("a package has dependencies");
        all.iter().filter(counts).map(name).filter(|target| ours.contains(target)).collect()
    };
    packages.iter().map(|package| (name(package), named(package))).collect()
}

/// What the tests of any crate may name.
const FOR_TESTS: &str = "servers";

/// Each crate and those that it may name.
const ARROWS: [(&str, &[&str]); 7] = [
    ("vlan", &[]),
    ("datapath", &["vlan"]),
    ("nsdb", &["vlan"]),
    ("agent", &["datapath", "nsdb", "vlan"]),
    ("l2gw", &["agent", "nsdb", "vlan"]),
    ("servers", &[]),
    ("tests", &["agent", "datapath", "l2gw", "nsdb", "servers", "vlan"]),
];

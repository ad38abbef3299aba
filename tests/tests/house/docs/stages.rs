//! `make test` and `make test-slow` together run every test target once, and `.ci/run` runs both.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use super::{CRATES, root, text};

#[test]
fn every_test_target_is_run_by_one_of_test_and_test_slow() {
    let output = Command::new(root().join("tests/setup/run-tests.sh")).arg("targets").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let listed = String::from_utf8(output.stdout).unwrap();
    let mut runs: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (mode, target) in listed.lines().filter_map(|line| line.split_once(' ')) {
        runs.entry(target).or_default().push(mode);
    }
    for target in targets() {
        let run = runs.get(target.as_str()).cloned().unwrap_or_default();
        assert_eq!(run.len(), 1, "{target} is run by {run:?}");
    }
    for mode in ["test", "test-slow"] {
        assert!(runs.values().any(|modes| modes == &[mode]), "make {mode} runs none");
    }
}

#[test]
fn a_landing_runs_both() {
    let gate = text(".ci/run");
    let run: Vec<&str> = gate.lines().filter(|line| line.starts_with("make ")).collect();
    let targets: Vec<&str> = run.iter().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(targets, ["test", "test-slow"], "{gate}");
}

/// The test targets of all crates: folders of their `tests/` that have a `main.rs`. A file beside them would be one more program to link.
pub(super) fn targets() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for name in CRATES {
        for entry in fs::read_dir(root().join(name).join("tests")).into_iter().flatten() {
            let path = entry.unwrap().path();
            assert!(
                path.extension().is_none_or(|end| end != "rs"),
                "{}: it belongs into a target",
                path.display()
            );
            if path.join("main.rs").exists() {
                let target = path.file_name().unwrap().to_str().unwrap().to_owned();
                assert!(found.insert(target), "two targets have the name of {}", path.display());
            }
        }
    }
    found
}

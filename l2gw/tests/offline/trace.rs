//! `l2gw trace`: the sentences of `trace.txt`, and what is said of options that make no sense.
//!
//! `UPDATE_EXPECTED=1` writes what is said now; the difference is reviewed.

use std::fmt::Write as _;
use std::sync::Arc;

use l2gw::cli::trace::{Tracer, from_hex};
use l2gw::config;

/// `$ PORT FRAME [--learn X]… [--designated X]…` below the topology, and below that the sentences, and what was taken for granted.
const STORIES: &str = include_str!("../trace.txt");

#[test]
fn every_story_is_told_as_expected() {
    let (topology, stories) = STORIES.split_once("\n$ ").unwrap();
    let topology = Arc::new(config::parse("trace.txt", topology).unwrap().topology);
    let (mut count, mut differences) = (0, String::new());
    let mut now = STORIES.split_once("\n$ ").unwrap().0.to_owned();
    for story in stories.split("\n$ ") {
        let (command, expected) = story.split_once('\n').unwrap();
        let said = told(&topology, command);
        count += 1;
        write!(now, "\n$ {command}\n{}", said.trim_end()).unwrap();
        if said.trim_end() != expected.trim_end() {
            writeln!(differences, "$ {command}\n    expected\n{}\n    said\n{said}", expected.trim_end())
                .unwrap();
        }
    }
    if std::env::var_os("UPDATE_EXPECTED").is_some_and(|value| value == "1") {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trace.txt");
        std::fs::write(file, now + "\n").unwrap();
        return;
    }
    assert!(differences.is_empty(), "\n{differences}");
    assert!(count >= 35, "{count} stories");
}

fn told(topology: &Arc<vlan::model::topology::Topology>, command: &str) -> String {
    let words: Vec<&str> = command.split_whitespace().collect();
    let mut tracer = match Tracer::new(topology, words[0]) {
        Ok(tracer) => tracer,
        Err(error) => return error.to_string(),
    };
    for option in words[2..].chunks(2) {
        let done = match option {
            ["--learn", lesson] => tracer.learn(lesson),
            ["--designated", told] => tracer.designate(told),
            _ => panic!("{command}"),
        };
        if let Err(error) = done {
            return error.to_string();
        }
    }
    let answer = tracer.trace(&from_hex(words[1]).unwrap());
    let lines = answer.steps.iter().chain(&answer.assumed).map(|step| format!("{step}\n"));
    lines.collect()
}

//! Every row of `table.txt` and `stories.txt` on the forwarding plane, and any frame at all.

use std::collections::BTreeSet;

use vlan::verdict::DropReason;

use crate::table::{self, What};

const TABLE: (&str, &str) = ("vlan/tests/table.txt", include_str!("../table.txt"));
const STORIES: (&str, &str) = ("vlan/tests/stories.txt", include_str!("../stories.txt"));

#[test]
fn every_row_of_the_table_holds() {
    hold(TABLE, 8_000);
}

#[test]
fn every_line_of_the_stories_holds() {
    hold(STORIES, 250);
}

#[test]
fn every_kind_of_port_is_shown_every_kind_of_tag_with_every_priority() {
    let sections = table::sections(TABLE.1);
    let modes: Vec<_> = sections.iter().filter(|s| matches!(s.kind, "ingress" | "egress")).collect();
    let missing: Vec<String> = modes.iter().flat_map(|section| table::coverage::missing(section)).collect();
    assert_eq!(modes.len(), 2);
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_drop_reason_is_shown() {
    let text = format!("{}{}", TABLE.1, STORIES.1);
    let words: BTreeSet<&str> = text.split([' ', ';', '\n']).collect();
    let unseen: Vec<&str> =
        DropReason::ALL.into_iter().map(DropReason::name).filter(|name| !words.contains(name)).collect();
    assert!(unseen.is_empty(), "{unseen:?}");
}

/// Plays a file, and says of each line that does not hold what was expected and what came.
fn hold((file, text): (&str, &str), least: usize) {
    let stories = table::parse(text).unwrap_or_else(|error| panic!("{file}:{error}"));
    let (mut failed, mut frames) = (BTreeSet::new(), 0);
    let mut report = String::new();
    for story in &stories {
        frames += story.steps.iter().filter(|step| matches!(step.what, What::Frame(_))).count();
        for (line, difference) in table::play::play(story) {
            if failed.insert(line) {
                report += &format!("{file}:{line}: {}: {difference}\n", story.title);
            }
        }
    }
    assert!(failed.is_empty(), "{} lines do not hold\n{report}", failed.len());
    println!("{file}: {} stories, {frames} frames", stories.len());
    assert!(frames >= least, "{file}: only {frames} frames, lines are missing");
}

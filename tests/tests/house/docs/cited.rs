//! Every page, test target and file of tests that code, tests and pages cite is there, and so is every section of the contract.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::stages::targets;
use super::{CRATES, pages, root, rust_files, text};

#[test]
fn every_page_that_is_cited_is_there() {
    let (mut cited, mut missing) = (0, Vec::new());
    for file in citing() {
        let source = fs::read_to_string(&file).unwrap();
        for name in names(&source, ".md") {
            cited += 1;
            if !is_there(&file, name) {
                missing.push(format!("{} of {}", name, file.display()));
            }
        }
    }
    assert!(cited >= 100, "{cited} citations");
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_section_of_the_contract_that_is_cited_is_there() {
    let contract = text(CONTRACT);
    let heads = contract.lines().filter_map(|line| line.strip_prefix("## ")?.split_once(". "));
    let sections: BTreeSet<u32> = heads.map(|(number, _)| number.parse().unwrap()).collect();
    assert_eq!(sections, (1..=9).collect(), "the sections are numbered");
    let (mut cited, mut missing) = (0, Vec::new());
    for file in citing() {
        let source = fs::read_to_string(&file).unwrap();
        let is_contract = file == root().join(CONTRACT);
        let places = source.split(if is_contract { "§" } else { "behaviour.md " }).skip(1);
        for number in places.flat_map(numbers) {
            cited += 1;
            if !sections.contains(&number) {
                missing.push(format!("{number} of {}", file.display()));
            }
        }
    }
    assert!(cited >= 40, "{cited} citations");
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_test_target_and_file_of_tests_that_is_cited_is_there() {
    let targets = targets();
    let (mut cited, mut missing) = ((0, 0), Vec::new());
    for file in citing().into_iter().chain(scripts()) {
        let source = fs::read_to_string(&file).unwrap();
        for name in names_of_targets(&source) {
            cited.0 += 1;
            if !targets.contains(name) {
                missing.push(format!("--test {name} of {}", file.display()));
            }
        }
        for name in names(&source, ".rs").filter(|name| is_of_tests(name)) {
            cited.1 += 1;
            if !root().join(name).exists() {
                missing.push(format!("{name} of {}", file.display()));
            }
        }
    }
    assert!(cited.0 >= 5 && cited.1 >= 15, "{cited:?} citations");
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn a_target_is_read_as_it_is_typed() {
    let read = |text| names_of_targets(text).collect::<Vec<_>>();
    assert_eq!(
        read("cargo test -p vlan --test allocation.\n`--test kernel_slow attack`"),
        ["allocation", "kernel_slow"]
    );
    assert_eq!(read("--test-threads 2 --test $name"), [""; 0]);
}

#[test]
fn what_is_not_built_yet_is_marked() {
    let contract = text(CONTRACT);
    // A mark that ends must have begun in the same item.
    for item in contract.split("\n- ") {
        let marks: Vec<char> = item.chars().filter(|c| matches!(c, '◌' | '●')).collect();
        let is_paired = marks.windows(2).all(|pair| pair != ['●', '●']) && marks.first() != Some(&'●');
        assert!(is_paired || item.contains("A rule behind ◌"), "{item}");
    }
}

#[test]
fn numbers_are_read_as_they_are_written() {
    let read = |text: &str| numbers(text).into_iter().collect::<Vec<_>>();
    assert_eq!(read("1, 4 and 7).\nMore 8"), [1, 4, 7]);
    assert_eq!(read("1 to 6 on rows"), [1, 2, 3, 4, 5, 6]);
    assert_eq!(read("2, 802.1Q 6.9"), [2], "a standard is not a section");
    assert_eq!(read("alone"), [0; 0]);
}

/// Files that cite.
fn citing() -> Vec<PathBuf> {
    let folders = ["src", "tests", "benches"];
    let folders =
        CRATES.iter().chain(&["tests"]).flat_map(|name| folders.map(|one| root().join(name).join(one)));
    let sources = folders.filter(|folder| folder.exists()).flat_map(|folder| rust_files(&folder));
    // This one has citations that are none.
    sources.chain(pages()).filter(|file| !file.ends_with("docs/cited.rs")).collect()
}

/// What people type and machines run.
fn scripts() -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(root().join("tests/setup")).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|end| end == "sh")).chain([root().join("Makefile")])
}

/// The paths in a text that end so.
fn names<'a>(source: &'a str, ending: &'a str) -> impl Iterator<Item = &'a str> {
    source.match_indices(ending).filter_map(move |(at, _)| {
        let end = at + ending.len();
        let is_end = source[end..].chars().next().is_none_or(|next| !next.is_ascii_alphanumeric());
        let before = &source[..at];
        let start = before.rfind(|c: char| !(c.is_ascii_alphanumeric() || "-_./".contains(c)));
        let start = start.map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        (is_end && start < at).then(|| &source[start..end])
    })
}

fn names_of_targets(source: &str) -> impl Iterator<Item = &str> {
    let behind = source.split("--test ").skip(1);
    behind
        .filter_map(|rest| rest.split(|c: char| !(c.is_ascii_lowercase() || c == '_')).next())
        .filter(|name| !name.is_empty())
}

fn is_of_tests(path: &str) -> bool {
    CRATES.iter().any(|name| path.strip_prefix(name).is_some_and(|rest| rest.starts_with("/tests/")))
}

fn is_there(file: &Path, name: &str) -> bool {
    let beside = file.parent().unwrap().join(name);
    let by_name = || pages().iter().any(|page| page.file_name().is_some_and(|one| one == name));
    beside.exists() || root().join(name).exists() || root().join("docs").join(name).exists() || by_name()
}

/// The numbers of sections at the beginning of a text: `1, 4 and 7`, `1 to 6`.
fn numbers(text: &str) -> BTreeSet<u32> {
    let (mut found, mut rest, mut last) = (BTreeSet::new(), text, None);
    loop {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let behind = &rest[digits..];
        // `802.1Q` and `6.9` are a standard's.
        let is_number = digits > 0
            && !behind.strip_prefix('.').is_some_and(|next| next.starts_with(|c: char| c.is_ascii_digit()));
        let Some(number) = rest[..digits].parse::<u32>().ok().filter(|_| is_number) else { return found };
        found.extend(last.map_or(number, |from| from)..=number);
        let joined =
            [", ", " and ", " to "].into_iter().find_map(|word| Some((word, behind.strip_prefix(word)?)));
        let Some((word, next)) = joined else { return found };
        last = (word == " to ").then_some(number);
        rest = next;
    }
}

const CONTRACT: &str = "docs/behaviour.md";

//! What the documentation says against what the code has: every drop reason, event, counter, exit code and file is there and nothing
//! else is; commands can be typed as they stand; the guide's sessions print what they show.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use l2gw::cli::args::{Cli, Verb};
use l2gw::cli::{check, offline};
use nsdb::{Embedded, EmbeddedOptions};

#[test]
fn every_drop_reason_has_its_line() {
    let mut reasons = words_of(&arms("vlan/src/verdict.rs", "DropReason::PortDown =>"));
    assert!(reasons.len() >= 20, "{reasons:?}");
    let losses = words_of(&arms("agent/src/counters.rs", "Loss::Verdict(reason, _) => reason.name()"));
    assert!(losses.len() >= 5, "{losses:?}");
    reasons.extend(losses);
    assert_eq!(first_column("docs/operations/drops.md"), reasons);
}

#[test]
fn every_event_has_its_line() {
    let kinds = words_of(&arms("agent/src/event.rs", "Event::Applied { .. } => \"applied\""));
    assert!(kinds.len() >= 13, "{kinds:?}");
    assert_eq!(first_column("docs/operations/events.md"), kinds);
}

#[test]
fn every_value_of_an_event_is_named() {
    let source = text("agent/src/event.rs");
    let declared = source.split_once("pub enum Event {").unwrap().1.split_once("\n}").unwrap().0;
    let fields: BTreeSet<String> = declared
        .lines()
        .filter_map(|line| line.strip_prefix("        ")?.split_once(": "))
        .filter(|(name, _)| name.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        .map(|(name, _)| name.to_owned())
        .collect();
    assert!(fields.len() > 10, "{fields:?}");
    let page = text("docs/operations/events.md");
    let values: BTreeSet<String> = rows(&page).iter().flat_map(|row| quoted(&row[1])).collect();
    assert_eq!(values, fields);
}

#[test]
fn every_counter_has_its_line() {
    let mut names = BTreeSet::new();
    for file in rust_files(&root().join("agent/src")) {
        let source = fs::read_to_string(file).unwrap();
        let literals = source.split("\"l2gw_").skip(1).filter_map(|rest| rest.split('"').next());
        names.extend(literals.filter(|word| is_counter(word)).map(|word| format!("l2gw_{word}")));
    }
    assert!(names.len() >= 15, "{names:?}");
    assert_eq!(first_column("docs/operations/counters.md"), names);
}

#[test]
fn everything_that_can_be_refused_is_named_with_its_counter() {
    let mut refused = BTreeSet::new();
    for file in rust_files(&root().join("agent/src/engine")) {
        let source = fs::read_to_string(file).unwrap();
        for call in ["counts.refuse(\"", "note_refusal(now, \"", "note_refusals(now, \""] {
            let words = source.split(call).skip(1).filter_map(|rest| rest.split('"').next());
            refused.extend(words.map(str::to_owned));
        }
    }
    assert!(refused.len() >= 6, "{refused:?}");
    let page = text("docs/operations/counters.md");
    let row = rows(&page).into_iter().find(|row| row[0] == "`l2gw_refusals_total`").unwrap();
    assert_eq!(quoted(&row[2]), refused);
}

#[test]
fn every_exit_code_has_its_line() {
    let source = text("l2gw/src/cli/mod.rs");
    let codes: BTreeSet<String> = source
        .lines()
        .filter(|line| line.starts_with("pub const ") && line.contains(": u8 = "))
        .filter_map(|line| line.trim_end_matches(';').rsplit(' ').next().map(str::to_owned))
        .collect();
    assert_eq!(codes.len(), 4, "{codes:?}");
    let page = text("docs/operations/daemon.md");
    let section = page.split_once("## Exit codes").unwrap().1.split_once("\n## ").unwrap().0.to_owned();
    let listed: BTreeSet<String> =
        rows(&section).into_iter().map(|row| row[0].clone()).filter(|word| word != "code").collect();
    assert_eq!(listed, codes);
}

#[test]
fn every_file_of_a_state_directory_has_its_line() {
    let page = text("docs/operations/daemon.md");
    let listed: BTreeSet<String> = rows(&page)
        .into_iter()
        .filter_map(|row| row[0].strip_prefix("… ").map(|name| name.trim_matches('`').to_owned()))
        .collect();
    let source = text("nsdb/src/embedded/directory.rs");
    let joined = source.split("dir.join(\"").skip(1).filter_map(|rest| rest.split('"').next());
    assert_eq!(listed, joined.map(str::to_owned).collect());
    let state = tempfile::tempdir().unwrap();
    let store = Embedded::open(state.path(), EmbeddedOptions::default()).unwrap();
    for entry in fs::read_dir(state.path()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(listed.contains(&name), "{name} is not in daemon.md");
    }
    store.close().unwrap();
}

#[test]
fn every_command_can_be_typed_as_it_stands() {
    let mut count = 0;
    for page in pages() {
        for line in command_lines(&fs::read_to_string(&page).unwrap()) {
            let words = line.split_whitespace().skip_while(|word| !word.ends_with("l2gw"));
            let words: Vec<&str> = words.take_while(|word| !["&", ">", "|", "#"].contains(word)).collect();
            if let Err(error) = Cli::try_parse_from(&words) {
                assert!(!error.use_stderr(), "{}: {line}: {error}", page.display());
            }
            count += 1;
        }
    }
    assert!(count >= 20, "{count} commands");
}

#[test]
fn the_guides_sessions_print_what_they_show() {
    let guide = text("docs/guide/first-gateway.md");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("gateway.toml");
    fs::write(&file, &blocks(&guide, "toml")[0]).unwrap();
    let mut count = 0;
    for session in blocks(&guide, "console") {
        let (command, expected) = session.split_once('\n').unwrap();
        let printed = print(command, &file);
        let printed = printed.replace(&format!("{}/", directory.path().display()), "");
        assert_eq!(printed.trim_end(), expected.trim_end(), "{command}");
        count += 1;
    }
    assert_eq!(count, 3);
}

#[test]
fn the_readmes_file_is_right() {
    let file = &blocks(&text("README.md"), "toml")[0];
    let checked = l2gw::config::parse("README.md", file);
    assert!(checked.as_ref().is_ok_and(|config| config.warnings.is_empty()), "{checked:?}");
}

#[test]
fn every_link_leads_somewhere() {
    let mut count = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            let target = page.parent().unwrap().join(path);
            assert!(target.exists(), "{}: {path} is not there", page.display());
            count += 1;
        }
    }
    assert!(count >= 30, "{count} links");
}

/// What a verb that reads a file prints.
fn print(command: &str, file: &Path) -> String {
    let words = command.trim_start_matches("$ ").split_whitespace();
    let cli = Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{command}: {error}"));
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = match cli.verb {
        Verb::Check { json, .. } => check::check(file, json, &mut out, &mut err),
        Verb::Table { json, .. } => offline::table(file, json, &mut out, &mut err),
        Verb::Trace(request) => offline::trace(file, &request, &mut out, &mut err),
        _ => panic!("{command}: a session is of check, table or trace"),
    };
    assert_eq!(code.unwrap(), 0, "{command}: {}", String::from_utf8_lossy(&err));
    String::from_utf8(out).unwrap()
}

/// The arms of the match in which an arm is written.
fn arms(path: &str, arm: &str) -> String {
    let source = text(path);
    let at = source.find(arm).unwrap_or_else(|| panic!("{path} has no {arm:?} any more"));
    let start = source[..at].rfind("match ").unwrap();
    let end = source[at..].find("\n        }\n").unwrap();
    source[start..at + end].to_owned()
}

/// The string literals of a piece of source.
fn words_of(source: &str) -> BTreeSet<String> {
    source.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

fn is_counter(word: &str) -> bool {
    word.ends_with("_total") && word.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

/// The words in backticks of the first column of a page's tables.
fn first_column(page: &str) -> BTreeSet<String> {
    let page = text(page);
    let mut names = BTreeSet::new();
    for name in rows(&page).iter().flat_map(|row| quoted(&row[0])) {
        assert!(names.insert(name.clone()), "{name} is there twice");
    }
    names
}

/// The cells of every row of every table of a page; heading rows too.
fn rows(page: &str) -> Vec<Vec<String>> {
    let lines = page.lines().filter(|line| line.starts_with("| "));
    lines.map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// The words in backticks of a cell.
fn quoted(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The fenced blocks of a page that are of a kind.
fn blocks(page: &str, kind: &str) -> Vec<String> {
    let fence = format!("```{kind}\n");
    page.split(&fence).skip(1).filter_map(|rest| rest.split("```").next()).map(str::to_owned).collect()
}

/// Lines of a page's sessions, scripts and indented commands that run l2gw, and those of a unit file.
fn command_lines(page: &str) -> Vec<String> {
    let fenced = [blocks(page, "console"), blocks(page, "sh")].concat();
    let fenced = fenced.iter().flat_map(|block| block.lines());
    let indented = page.lines().filter_map(|line| line.strip_prefix("    "));
    let is_command = |line: &&str| {
        let word = line.trim_start_matches("$ ").split(' ').next().unwrap_or_default();
        word == "l2gw" || word.ends_with("/l2gw")
    };
    let units = page.lines().filter_map(|line| line.strip_prefix("ExecStart="));
    let commands = fenced.chain(indented).filter(is_command).filter(|line| !line.contains('►'));
    commands.chain(units).map(str::to_owned).collect()
}

/// Every page for people, and the unit file.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md"), root().join("CONTRIBUTING.md")];
    let mut folders = vec![root().join("docs"), root().join("examples")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension().and_then(|extension| extension.to_str()) {
                _ if path.is_dir() => folders.push(path),
                Some("md" | "service") => pages.push(path),
                _ => {}
            }
        }
    }
    pages
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

fn text(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

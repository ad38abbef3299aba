//! What the documentation says against what the code has: every drop reason, event, counter, exit code and file is there and nothing
//! else is; commands can be typed as they stand; the guide's sessions print what they show.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use agent::config::defaults::DEFAULT_FILE;
use agent::event::Event;
use agent::program::options::Arguments;
use clap::Parser;
use l2gw::cli::args::{Cli, Verb};
use l2gw::cli::difference::Difference;
use l2gw::cli::{check, offline};
use nsdb::{Embedded, EmbeddedOptions};

mod cited;
mod stages;

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
    let source = text("agent/src/life/exit.rs");
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
fn the_defaults_of_files_and_sockets_are_the_codes() {
    let Verb::Run(run) = Cli::try_parse_from(["l2gw", "run", "gateway.toml"]).unwrap().verb else {
        panic!("run is another verb now")
    };
    let checked = l2gw::config::parse("README.md", &blocks(&text("README.md"), "toml")[0]).unwrap();
    let agent::config::store::Nsdb::Embedded { path } = checked.nsdb else {
        panic!("the default store is another")
    };
    let page = text("docs/operations/daemon.md");
    let default = |what: &str| {
        let row = rows(&page).into_iter().find(|row| row[0] == what);
        row.unwrap_or_else(|| panic!("no line for {what}"))[1].clone()
    };
    assert!(default("file of `l2gw-agent`").starts_with(&format!("`{DEFAULT_FILE}`")));
    assert!(default("socket").starts_with(&format!("`{}`", run.socket.display())));
    assert!(default("datapath").starts_with(&format!("`{}`", run.device)));
    assert!(default("state directory").starts_with(&format!("`{}`", path.display())));
}

#[test]
fn the_limits_are_the_codes() {
    let settings = agent::engine::Settings::new("gw1");
    let limits = [
        ("flows in the kernel", thousands(settings.flow_limit as u64)),
        ("first frames of a port", format!("{} a second", thousands(settings.rates.port.into()))),
        ("a flow that nothing uses", format!("{} s", settings.flow_idle.as_secs())),
    ];
    let page = text("docs/operations/daemon.md");
    for (what, limit) in limits {
        let row = rows(&page)
            .into_iter()
            .find(|row| row[0] == what)
            .unwrap_or_else(|| panic!("no line for {what}"));
        assert!(row[1].starts_with(&limit), "{what}: {} in the page, {limit} in the code", row[1]);
    }
}

#[test]
fn every_variable_that_the_daemon_reads_is_named() {
    let page = text("docs/operations/daemon.md");
    for name in ["l2gw", "agent", "datapath", "nsdb"] {
        for file in rust_files(&root().join(name).join("src")) {
            let source = fs::read_to_string(&file).unwrap();
            for word in source.split("\"L2GW_").skip(1).filter_map(|rest| rest.split('"').next()) {
                assert!(page.contains(&format!("`L2GW_{word}")), "L2GW_{word} of {}", file.display());
            }
        }
    }
}

#[test]
fn every_variable_that_a_test_reads_is_named() {
    let page = text("CONTRIBUTING.md");
    let section = page.split_once("variables\n").unwrap().1.split_once("\n## ").unwrap().0;
    let listed: BTreeSet<String> = rows(section).iter().skip(1).flat_map(|row| quoted(&row[0])).collect();
    let mut read = BTreeSet::new();
    for folder in ["tests/src", "tests/tests", "tests/servers", "vlan/tests", "nsdb/tests", "l2gw/tests"] {
        for file in rust_files(&root().join(folder)) {
            read.extend(
                words_of(&fs::read_to_string(file).unwrap()).into_iter().filter(|word| is_variable(word)),
            );
        }
    }
    read.retain(|word| !WITHIN.contains(&word.as_str()));
    assert_eq!(listed, read);
}

#[test]
fn the_glossary_has_each_word_once_and_in_order() {
    let page = text("docs/glossary.md");
    let words: Vec<String> = rows(&page).into_iter().skip(1).map(|row| row[0].to_lowercase()).collect();
    assert!(words.len() >= 60, "{} words", words.len());
    let mut sorted = words.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(words, sorted);
}

#[test]
fn the_guides_change_is_what_plan_says() {
    let guide = text("docs/guide/first-gateway.md");
    let (before, more) = (&blocks(&guide, "toml")[0], &blocks(&guide, "text")[0]);
    let after = l2gw::config::parse("gateway.toml", &format!("{before}{more}")).unwrap();
    let before = l2gw::config::parse("gateway.toml", before).unwrap();
    let plan = Difference::new(&before.description, &Arc::new(after.topology));
    let frames: Vec<String> = plan.frames.iter().map(ToString::to_string).collect();
    let section = guide.split_once("## 6.").unwrap().1.split_once("\n## ").unwrap().0;
    let quoted: Vec<String> =
        quoted(section).into_iter().filter(|word| word.starts_with('+') || word.contains("=>")).collect();
    assert_eq!(quoted.len(), 2, "{quoted:?}");
    for line in quoted {
        assert!(plan.objects.contains(&line) || frames.contains(&line), "{line}: {plan:#?}");
    }
}

#[test]
fn every_command_can_be_typed_as_it_stands() {
    let mut count = 0;
    for page in pages() {
        for line in command_lines(&fs::read_to_string(&page).unwrap()) {
            let words =
                line.split_whitespace().skip_while(|word| !PROGRAMS.iter().any(|name| word.ends_with(name)));
            let words: Vec<&str> = words.take_while(|word| !["&", ">", "|", "#"].contains(word)).collect();
            let parsed = match words[0].ends_with("l2gw") {
                true => Cli::try_parse_from(&words).map(drop),
                false => Arguments::try_parse_from(&words).map(drop),
            };
            if let Err(error) = parsed {
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
fn what_the_guides_daemon_says_is_what_a_daemon_says() {
    let guide = text("docs/guide/first-gateway.md");
    let (port, link) = ("leaf1".to_owned(), "enp3s0f0".to_owned());
    for event in [Event::Applied { revision: 1 }, Event::PortUp { port, link }] {
        assert!(guide.contains(&format!("`{event}`")), "{event}");
    }
    let limits = nsdb::JournalLimits::default();
    let days = format!("({} days), at most {} MiB", limits.keep.as_secs() / 86_400, limits.max_bytes >> 20);
    assert!(text("docs/operations/events.md").contains(&days), "{days}");
}

#[test]
fn the_readmes_file_is_right() {
    let file = &blocks(&text("README.md"), "toml")[0];
    let checked = l2gw::config::parse("README.md", file);
    assert!(checked.as_ref().is_ok_and(|config| config.warnings.is_empty()), "{checked:?}");
}

#[test]
fn every_path_in_the_architecture_is_there() {
    let page = text("docs/architecture.md");
    let paths: BTreeSet<String> =
        code_words(&page).iter().filter(|word| is_path(word)).flat_map(|word| spread(word)).collect();
    assert!(paths.len() >= 60, "{} paths", paths.len());
    let missing: Vec<&String> = paths.iter().filter(|path| !root().join(path).exists()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_function_in_the_architecture_is_in_the_code() {
    let sources: Vec<String> = CRATES
        .iter()
        .flat_map(|name| rust_files(&root().join(name).join("src")))
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let (mut count, mut missing) = (0, Vec::new());
    for word in code_words(&text("docs/architecture.md")) {
        let Some(name) = word.strip_suffix("()") else { continue };
        count += 1;
        let name = name.rsplit("::").next().unwrap_or(name);
        if !sources
            .iter()
            .any(|source| source.contains(&format!("fn {name}(")) || source.contains(&format!("fn {name}<")))
        {
            missing.push(word);
        }
    }
    assert!(count >= 40, "{count} functions");
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_room_of_a_crate_is_in_the_code_map() {
    let page = text("docs/architecture.md");
    let map = page.split_once("## Code map").unwrap().1.split_once("\n## ").unwrap().0;
    let named: BTreeSet<String> =
        code_words(map).iter().filter(|word| is_path(word)).flat_map(|word| spread(word)).collect();
    let mut missing = Vec::new();
    for name in CRATES {
        for entry in fs::read_dir(root().join(name).join("src")).unwrap() {
            let path = entry.unwrap().path();
            let short = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            let is_root = ["lib.rs", "main.rs", "bin"].iter().any(|end| path.ends_with(end));
            if !is_root && !named.iter().any(|path| path.trim_end_matches('/') == short) {
                missing.push(short);
            }
        }
    }
    missing.sort();
    assert!(missing.is_empty(), "{missing:#?}");
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

/// Whether a word is a variable of ours.
fn is_variable(word: &str) -> bool {
    let is_ours = ["L2GW_", "LAB_", "NSDB_", "UPDATE_"]
        .iter()
        .any(|start| word.starts_with(start) && word.len() > start.len());
    is_ours && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
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

/// A number as the pages write it: in groups of three.
fn thousands(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        _ => format!("{} {:03}", thousands(number / 1_000), number % 1_000),
    }
}

/// The words in backticks of a cell.
fn quoted(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The words in backticks of a page, fenced blocks left out.
fn code_words(page: &str) -> Vec<String> {
    let prose: String = page.split("```").step_by(2).collect();
    prose.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Whether a word is a path of the repository: it begins with one of its folders, and has no room for words.
fn is_path(word: &str) -> bool {
    let folder = word.split('/').next().unwrap_or_default();
    word.contains('/')
        && !word.contains(' ')
        && (CRATES.contains(&folder) || ["docs", "examples"].contains(&folder))
}

/// A path with `{a,b}` as the paths that it stands for.
fn spread(path: &str) -> Vec<String> {
    let Some((before, (within, after))) =
        path.split_once('{').and_then(|(a, b)| Some((a, b.split_once('}')?)))
    else {
        return vec![path.to_owned()];
    };
    within.split(',').map(|one| format!("{before}{one}{after}")).collect()
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
        PROGRAMS.contains(&word.rsplit('/').next().unwrap_or(word))
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

/// Variables by which tests speak to the processes that they start, and one that is the daemon's.
const WITHIN: [&str; 6] =
    ["L2GW_LOG", "L2GW_SKIPS", "LAB_INSIDE", "LAB_JOB", "NSDB_CRASH_DIRECTORY", "NSDB_CRASH_ROUND"];

/// The programs that people start.
const PROGRAMS: [&str; 2] = ["l2gw", "l2gw-agent"];
/// The crates of this workspace.
const CRATES: [&str; 7] = ["vlan", "datapath", "nsdb", "agent", "l2gw", "tests", "tests/servers"];

//! A configuration file: any text is accepted or refused in words that point into it, and what is accepted is what it says.

use std::sync::{Arc, OnceLock};

use agent::reader::finding::Finding;
use l2gw::cli::table;
use l2gw::config::{self, Config};
use vlan::model::description::Description;
use vlan::model::topology::Topology;

use super::documents::take;
use super::examples;
use super::feed::Feed;

/// Any bytes as a configuration.
///
/// # Panics
/// A mistake has no words or points nowhere; the same text is read twice in two ways; or what is accepted cannot be shown, kept or compiled
/// again.
pub fn toml(bytes: &[u8]) {
    let text = text(bytes);
    check_agent(&text);
    let read = config::parse(FILE, &text);
    let again = config::parse(FILE, &text);
    match (read, again) {
        (Ok(config), Ok(again)) => {
            assert_eq!((&config.topology, &config.warnings), (&again.topology, &again.warnings));
            check_findings(&text, &config.warnings);
            check_config(config);
        }
        (Err(problems), Err(again)) => {
            assert_eq!(problems, again);
            assert!(!problems.mistakes.is_empty());
            let lines = problems.mistakes.len() + usize::from(problems.more > 0);
            assert_eq!(problems.to_string().lines().count(), lines, "{problems}");
            check_findings(&text, &problems.mistakes);
        }
        (read, again) => panic!("{read:?} and then {again:?}"),
    }
}

/// The same text as the file of `l2gw-agent`: its mistakes have words and places too, and what is accepted is read twice alike.
fn check_agent(text: &str) {
    let read = agent::config::parse(FILE, text);
    assert_eq!(read, agent::config::parse(FILE, text));
    match &read {
        Ok(_) => {}
        Err(problems) => check_findings(text, &problems.mistakes),
    }
}

/// Each finding has words on one line and a place in the text, and they are in order.
fn check_findings(text: &str, findings: &[Finding]) {
    let lines: Vec<usize> = text.split('\n').map(|line| line.chars().count()).collect();
    for finding in findings {
        let is_whole = (finding.line, finding.column) == (0, 0);
        let is_there = finding.line >= 1 && finding.column >= 1;
        let width = finding.line.checked_sub(1).and_then(|line| lines.get(line));
        assert!(
            is_whole || is_there && width.is_some_and(|width| finding.column <= width + 1),
            "{finding:?}"
        );
        assert!(!finding.text.is_empty() && !finding.line_for(FILE).contains('\n'), "{finding:?}");
        assert!(!finding.text.ends_with('.'), "{finding:?}");
    }
    assert!(findings.windows(2).all(|pair| pair[0] < pair[1]), "{findings:?}");
}

/// What was accepted compiles again to the same, survives being written, and every port of it can be asked about.
fn check_config(config: Config) {
    let topology = Arc::new(config.topology);
    assert_eq!(topology.description(), &config.description);
    assert_eq!(Topology::build(&config.description).as_ref(), Ok(&*topology));
    let written = serde_json::to_string(&config.description).expect("a description is written");
    let read: Description = serde_json::from_str(&written).expect("and read");
    assert_eq!(read, config.description);
    let vids: usize = topology.ports().iter().map(|port| port.vids().len()).sum();
    if topology.ports().len() * vids < MOST_ROWS {
        take(&config.description);
        let rows = table::rows(&topology);
        assert!(rows.len() >= 2 * topology.ports().len());
        assert!(rows.iter().all(|row| row.drop.is_some() == row.outputs.is_empty()), "{rows:?}");
    }
}

/// As it is, an example with changes, or lines out of known words.
fn text(bytes: &[u8]) -> String {
    let mut feed = Feed::new(bytes);
    match feed.byte() % 4 {
        0 => String::from_utf8_lossy(feed.rest()).into_owned(),
        1 | 2 => changed(&mut feed),
        _ => lines(&mut feed),
    }
}

/// An example with lines doubled, left out, swapped, or with other words.
fn changed(feed: &mut Feed<'_>) -> String {
    let (_, example) = feed.pick(&examples::FILES);
    let mut lines: Vec<String> = example.lines().map(str::to_owned).collect();
    for _ in 0..feed.byte() % 12 {
        let at = usize::from(feed.u16()) % lines.len();
        match feed.byte() % 8 {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[at].clone()),
            2 => {
                let other = feed.below(lines.len());
                lines.swap(at, other);
            }
            3 => lines.insert(at, String::from_utf8_lossy(feed.bytes(12)).into_owned()),
            4 => lines.insert(at, line(feed)),
            5 => {
                let value = word(feed);
                let key = lines[at].split('=').next().unwrap_or_default().to_owned();
                lines[at] = format!("{key}= {value}");
            }
            6 => {
                let from = word(feed);
                lines[at] = lines[at].replacen(|c: char| c.is_ascii_digit(), from, 1);
            }
            _ => {
                let (cut, byte) = (feed.below(lines[at].len() + 1), feed.byte());
                if lines[at].is_char_boundary(cut) {
                    lines[at].insert(cut, char::from(byte));
                }
            }
        }
        if lines.is_empty() {
            break;
        }
    }
    lines.join("\n")
}

fn lines(feed: &mut Feed<'_>) -> String {
    let mut text = String::new();
    while !feed.is_empty() && text.len() < LONGEST {
        text += &line(feed);
        text.push('\n');
    }
    text
}

/// A table's heading, or a key with a value.
fn line(feed: &mut Feed<'_>) -> String {
    let shape = feed.byte();
    let (a, b) = (word(feed), word(feed));
    match shape % 8 {
        0 => format!("[{a}.{b}]"),
        1 => format!("[[{a}]]"),
        2 => format!("{a} = [{b}, {}]", word(feed)),
        3 => format!("{a} = {{ {b} = {} }}", word(feed)),
        4 => format!("{a}.{b} = {}", word(feed)),
        _ => format!("{a} = {b}"),
    }
}

/// A word of the examples, or one that none of them has.
fn word(feed: &mut Feed<'_>) -> &'static str {
    let words = words();
    words[usize::from(feed.u16()) % words.len()]
}

fn words() -> &'static [&'static str] {
    static ALL: OnceLock<Vec<&'static str>> = OnceLock::new();
    ALL.get_or_init(|| {
        let texts = examples::FILES.iter().flat_map(|(_, text)| text.lines());
        let code = texts.map(|line| line.split('#').next().unwrap_or_default());
        let parts = code.flat_map(|line| line.split(['=', ' ', '[', ']', '.', ',', '{', '}']));
        let mut words: Vec<&str> = parts.filter(|word| !word.is_empty()).chain(ODD).collect();
        words.sort_unstable();
        words.dedup();
        words
    })
}

/// Keys that no example has, and values at the ends of their ranges.
const ODD: [&str; 47] = [
    "0",
    "1",
    "4094",
    "4095",
    "-1",
    "65536",
    "4294967296",
    "9223372036854775807",
    "1.5",
    "nan",
    "true",
    "false",
    "\"\"",
    "\"1-4094\"",
    "\"4094-1\"",
    "\"8,8\"",
    "\"0\"",
    "\"é\"",
    "\"a\\u0000b\"",
    "1979-05-27",
    "\"none\"",
    "\"stp\"",
    "\"designated\"",
    "redundancy",
    "\"0x88a8\"",
    "tpid",
    "join-vids",
    "vni",
    "ageing",
    "mac-limit",
    "on-limit",
    "\"drop\"",
    "\"flood\"",
    "storm",
    "broadcast",
    "customer-vlans",
    "pcp",
    "weight",
    "native-tagged",
    "native-inner",
    "\"pass\"",
    "underlay",
    "\"192.0.2.1\"",
    "underlay-mtu",
    "\"vtep\"",
    "[overlay]",
    "backend",
];
const FILE: &str = "gateway.toml";
/// Longer texts are not made of choices.
const LONGEST: usize = 16 << 10;
/// Ports times VLANs that every table is made of.
const MOST_ROWS: usize = 4_096;

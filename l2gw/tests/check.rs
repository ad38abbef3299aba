//! `l2gw check`: what is said of files, line by line.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use proptest::prelude::*;

use l2gw::cli::check::check;
use l2gw::cli::{BAD_CONFIGURATION, DONE};
use l2gw::config;

/// What the cases of `check.txt` go on from: their first line is line 10.
const BASE: &str = r#"[hosts.gw1]
[bridges.dc1]
kind = "vlan-aware"
[bridges.vub8]
kind = "vlan-unaware"
[[vlans]]
bridge = "dc1"
vid = 8
to = "vub8"
"#;

/// What is said of `text` under the name `f`: its mistakes, or its warnings and `ok`.
fn said(text: &str) -> String {
    match config::parse("f", text) {
        Ok(config) => {
            let mut lines = String::new();
            for warning in &config.warnings {
                writeln!(lines, "warning: {}", warning.line_for("f")).unwrap();
            }
            lines + "ok"
        }
        Err(problems) => problems.to_string(),
    }
}

/// The text of a case of `check.txt`.
fn text_of(case: &str) -> String {
    match case.strip_prefix("alone\n") {
        Some(alone) => alone.to_owned(),
        None => format!("{BASE}{case}"),
    }
}

/// Exit code, standard output and standard error of `l2gw check`.
fn checked(path: &Path, is_json: bool) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = check(path, is_json, &mut out, &mut err).unwrap();
    (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

/// The example that everything here is about.
fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/gateway.example.toml")
}

/// Says of every case what is expected and what is said, not only of the first that differs.
#[test]
fn every_case_is_told_as_expected() {
    let cases = include_str!("check.txt");
    let lines =
        cases.lines().skip_while(|line| line.starts_with("# ")).filter(|line| !line.starts_with("##"));
    let cases: String = lines.flat_map(|line| [line, "\n"]).collect();
    let (mut count, mut differences) = (0, String::new());
    for case in cases.split("---\n").map(str::trim_start).filter(|case| !case.is_empty()) {
        let (text, expected) = case.split_once(">>>\n").unwrap();
        let said = said(&text_of(text));
        count += 1;
        if said != expected.trim_end() {
            writeln!(differences, "{text}>>> expected\n{expected}>>> said\n{said}\n").unwrap();
        }
    }
    assert!(differences.is_empty(), "\n{differences}");
    assert!(count >= 60, "{count} cases");
}

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
                .is_some_and(|rest| rest.starts_with("[[") || rest.split(' ').nth(1) == Some("="));
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
        .replace("path = \"/var/lib/l2gw\"", "#")
        .replace("vid = \"100-199\"", "vid = \"110-199\"")
        .replace("translate = { 108 = 9 }", "translate = { 108 = 9, \"2100-2199\" = \"200-299\" }")
        .replace(r#"vlans = ["5", "8", "100-199"]"#, r#"vlans = ["5", "8", "100-199", "2100-2199"]"#);
    let said = said(&shown);
    let warnings: Vec<&str> = said.lines().filter_map(|line| line.split(": ").nth(2)).collect();
    assert_eq!(warnings, ["trunks.leaf1.vlans", "ports.vm1.ips"], "{said}\n{shown}");
    assert!(said.ends_with("\nok"), "{said}");
}

#[test]
fn warnings_come_before_the_summary() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gw.toml");
    fs::write(&path, BASE).unwrap();
    let (code, out, err) = checked(&path, false);
    let file = path.display();
    let warning = "vlans.1.vid: 8 of \"dc1\" is mapped, but no trunk or port of that bridge lets it in";
    let expected =
        format!("warning: {file}:8:7: {warning}\n{file}: ok: 1 host, 2 bridges, 1 VLAN, 0 trunks, 0 ports\n");
    assert_eq!((code, out, err), (DONE, expected, String::new()));
}

#[test]
fn several_trunks_in_one_group_are_a_warning() {
    let trunk = |name: &str, link: &str| {
        format!("[[trunks]]\nname = \"{name}\"\nbridge = \"dc1\"\nhost = \"gw1\"\nlink = \"{link}\"\n")
    };
    let said = said(&format!("{BASE}{}{}", trunk("a", "eth0"), trunk("b", "eth1")));
    assert!(said.contains("warning: f:17:10: trunks.b.bridge: trunks a, b share fabric"), "{said}");
    assert!(said.ends_with("\nok"), "{said}");
}

#[test]
fn syntax_ends_the_list() {
    for (text, expected) in [
        ("[bridges.dc1\nkind = 5", "f:1:13: syntax: unclosed table, expected `]`"),
        ("colour = 1\nx = \"abc", "f:2:9: syntax: invalid basic string, expected `\"`"),
        ("a = [1, 2\nb = 3\n", "f:2:1: syntax: missing comma between array elements, expected `,`"),
        ("x = 08\n", "f:1:5: syntax: \"0\" is not allowed here: unexpected leading zero"),
        (
            "é = 1\n",
            "f:1:1: syntax: \"é\" is not allowed here: invalid unquoted key, expected letters, numbers, `-`, `_`",
        ),
    ] {
        assert_eq!(said(text), expected, "{text:?}");
    }
}

#[test]
fn columns_are_characters_and_line_ends_may_be_those_of_windows() {
    let text = "[hosts.gw1]\r\ndatapath = \"é€\" # \r\n\t underlay = \"𝄞\"\r\n";
    let expected = "f:2:12: hosts.gw1.datapath: \"é€\" is unknown, allowed is \"auto\", \"ovs\" or \"ebpf\"\n\
                    f:3:14: hosts.gw1.underlay: \"𝄞\" is not an IP address, allowed is one such as \"192.0.2.1\" or \"2001:db8::1\"";
    assert_eq!(said(text), expected);
}

#[test]
fn a_value_cannot_forge_a_line() {
    let text = "[hosts.gw1]\ndatapath = \"x\\nf:1:1: ok\\u001b[2J\"\n\"a\\nb\" = 1\n";
    let said = said(text);
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(said.contains(r#""x\nf:1:1: ok\u{1b}[2J" is unknown"#), "{said}");
}

#[test]
fn a_file_that_cannot_be_read_is_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("empty"), "").unwrap();
    fs::write(at("comments"), "# nothing\n\n").unwrap();
    fs::write(at("latin1"), b"[hosts.gw1]\n# caf\xe9\n").unwrap();
    fs::write(at("utf16"), b"\xff\xfe[\0").unwrap();
    fs::write(at("nul"), b"a = 1\0").unwrap();
    fs::File::create(at("large")).unwrap().set_len(config::source::MAX_BYTES + 1).unwrap();
    mkfifo(&at("fifo"), Mode::S_IRWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    std::os::unix::fs::symlink(at("loop"), at("loop")).unwrap();
    let empty = ": is empty, allowed is a configuration such as examples/gateway.example.toml";
    for (name, expected) in [
        ("missing", ": does not exist"),
        ("empty", empty),
        ("comments", empty),
        ("latin1", ":2:6: byte 0xe9 at offset 17 is not UTF-8, allowed is UTF-8 text only"),
        ("utf16", ":1:1: byte 0xff at offset 0 is not UTF-8, allowed is UTF-8 text only"),
        ("large", ": has 16777217 bytes or more, allowed are 16777216 (16 MiB)"),
        ("fifo", ": is a named pipe, allowed is a regular file"),
        ("socket", ": is a socket, allowed is a regular file"),
        (".", ": is a directory, allowed is a regular file"),
        ("empty/x", ": cannot be read: a part of its path is not a directory"),
        ("loop", ": cannot be read: too many levels of symbolic links (os error 40)"),
    ] {
        let path = at(name);
        let expected = format!("{}{expected}\n", path.display());
        assert_eq!(checked(&path, false), (BAD_CONFIGURATION, String::new(), expected));
    }
    let (code, out, err) = checked(&at("nul"), false);
    assert!(code == BAD_CONFIGURATION && out.is_empty() && err.contains(":1:5: syntax: "), "{err}");
    let device = Path::new("/dev/zero");
    let expected = "/dev/zero: is a device, allowed is a regular file\n".to_owned();
    assert_eq!(checked(device, false), (BAD_CONFIGURATION, String::new(), expected));
}

/// Files of /proc are regular and say that they have 0 bytes.
#[test]
fn a_file_without_a_known_size_is_read() {
    let (code, _, err) = checked(Path::new("/proc/version"), false);
    assert_eq!(code, BAD_CONFIGURATION);
    assert!(err.starts_with("/proc/version:1:7: syntax: "), "{err}");
}

#[test]
fn a_byte_order_mark_is_not_counted() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all("\u{feff}nodb = 1\n".as_bytes()).unwrap();
    let expected =
        format!("{}:1:1: nodb: unknown key, the nearest known one is \"nsdb\"\n", file.path().display());
    assert_eq!(checked(file.path(), false), (BAD_CONFIGURATION, String::new(), expected));
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
    assert_eq!(config.nsdb, config::store::Nsdb::Embedded { path: "/var/lib/l2gw".into() });
    assert_eq!(config.journal.keep.as_secs(), 30 * 86_400);
    assert_eq!(config.description.bridges[0].ageing.as_secs(), 300);
}

/// Every key that a file may have is in the guide; the guide is where an operator looks first.
#[test]
fn the_guide_has_every_key() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guide/configuration.md");
    let guide = fs::read_to_string(guide).unwrap();
    let refusals = said(
        "x = 1\n[nsdb]\nx = 1\n[journal]\nx = 1\n[hosts.a]\nxyzzy = 1\n[bridges.a]\nxyzzy = 1\n[[vlans]]\nxyzzy = 1\n[[trunks]]\nxyzzy = 1\nstorm = { xyzzy = 1 }\n[[ports]]\nxyzzy = 1\n",
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

/// Printed, not asserted: machines differ. `--nocapture` shows it.
#[test]
fn a_file_with_every_vlan_is_checked() {
    let mut text = String::from("[hosts.gw1]\n[bridges.dc1]\nkind = \"vlan-aware\"\n");
    for vid in 1..=4094 {
        write!(text, "[bridges.vub{vid}]\nkind = \"vlan-unaware\"\n[[vlans]]\nbridge = \"dc1\"\nvid = {vid}\nto = \"vub{vid}\"\n")
            .unwrap();
    }
    text += "[[trunks]]\nname = \"leaf1\"\nbridge = \"dc1\"\nhost = \"gw1\"\nlink = \"eth0\"\nvlans = [\"1-4094\"]\n";
    let start = Instant::now();
    let config = config::parse("f", &text).unwrap();
    println!("{} bytes with 4094 VLANs: {:?}", text.len(), start.elapsed());
    assert_eq!((config.description.vlans.len(), config.topology.bridges().len()), (4094, 4095));
    let start = Instant::now();
    let problems = config::parse("f", &text.replace("to = \"vub", "to = 5 #")).unwrap_err();
    println!("the same with {} mistakes: {:?}", problems.mistakes.len(), start.elapsed());
    assert_eq!((problems.mistakes.len(), problems.more), (1_000, 3_094));
}

/// Files that are nothing but one thing, many times: what is said of them comes about as much later as there is more of it. The bound is far
/// from linear, because other programs run on the machine as well; looking at everything for everything would be sixteen times as long.
#[test]
fn a_file_of_four_times_the_size_takes_about_four_times_as_long() {
    for (what, file, size) in LARGE {
        let [small, large] = [*size, size * 4].map(|size| {
            let text = file(size);
            let start = Instant::now();
            let said = said(&text);
            println!("{what}, {size}: {:?}, {} bytes said of {}", start.elapsed(), said.len(), text.len());
            assert!(said.len() < 300_000, "{what}, {size}: {} bytes are said", said.len());
            start.elapsed()
        });
        let bound = small.max(Duration::from_millis(50)) * 12;
        assert!(large <= bound, "{what}: {small:?}, with four times as many {large:?}");
    }
}

/// What a file is made of, and the smaller of its two sizes.
type Large = (&'static str, fn(usize) -> String, usize);

const LARGE: &[Large] = &[
    ("bridges in a chain", chain, 1_600),
    ("misspelt names", misspelt, 2_500),
    ("ranges in a list", |size| trunk_with(&format!("vlans = [{}]", "\"1-4094\", ".repeat(size))), 200_000),
    ("wrong elements of a list", |size| trunk_with(&format!("vlans = [{}]", "0, ".repeat(size))), 200_000),
    (
        "unknown keys",
        |size| (0..size).fold("[hosts.gw1]\n".to_owned(), |text, key| text + &format!("x{key} = 1\n")),
        60_000,
    ),
    ("tables that are there twice", |size| "[hosts.gw1]\n".repeat(size), 20_000),
    (
        "keys that are there twice",
        |size| "[hosts.gw1]\n".to_owned() + &"datapath = \"ovs\"\n".repeat(size),
        60_000,
    ),
    ("dotted names that are too deep", |size| "a.".repeat(90) + "a = 1\n" + &"# \n".repeat(size), 100_000),
];

fn chain(size: usize) -> String {
    let mut text = String::from("[hosts.gw1]\n");
    for number in 0..size {
        let (vid, next) = (number % 4094 + 1, number + 1);
        write!(text, "[bridges.b{number}]\nkind = \"vlan-aware\"\n").unwrap();
        write!(text, "[[vlans]]\nbridge = \"b{number}\"\nvid = {vid}\nto = \"b{next}\"\n").unwrap();
    }
    text
}

fn misspelt(size: usize) -> String {
    let mut text = String::from("[hosts.gw1]\n");
    for number in 0..size {
        write!(text, "[bridges.bridge{number}]\nkind = \"vlan-unaware\"\n[[ports]]\nname = \"p{number}\"\n")
            .unwrap();
        write!(text, "bridge = \"bridgx{number}\"\nhost = \"gw1\"\nlink = \"l{number}\"\n").unwrap();
    }
    text
}

fn trunk_with(line: &str) -> String {
    format!("{BASE}[[trunks]]\nname = \"t\"\nbridge = \"dc1\"\nhost = \"gw1\"\nlink = \"eth0\"\n{line}\n")
}

#[test]
fn mistakes_end_after_a_thousand_with_a_count() {
    let told = said(&trunk_with(&format!("vlans = [{}]", "0, ".repeat(2_500))));
    let lines: Vec<&str> = told.lines().collect();
    let expected = "trunks.t.vlans: 0 is not a usable VLAN identifier, allowed is 1 to 4094";
    assert_eq!((lines.len(), lines[1_000]), (1_001, "f: … and 1500 more mistakes"));
    assert_eq!(
        (lines[0], lines[999]),
        (&*format!("f:15:10: {expected}"), &*format!("f:15:3007: {expected}"))
    );
    let thousand = said(&trunk_with(&format!("vlans = [{}]", "0, ".repeat(1_000))));
    assert_eq!(thousand.lines().count(), 1_000);
}

#[test]
fn a_text_that_would_take_too_much_memory_is_not_read() {
    let list = |values: usize| trunk_with(&format!("vlans = [{}8]", "8, ".repeat(values)));
    let expected = "f: has 1100074 values, a key counted as three and a table as four, allowed are 1048576";
    assert_eq!(said(&list(1_100_000)), expected);
    assert!(said(&list(1_000_000)).ends_with("ok"));
    assert!(said(&"[bridges.b]\n".repeat(200_000)).starts_with("f: has 1600000 values"));
    // What is in text or a comment is nothing to the reader.
    assert!(said(&format!("{BASE}# {}\n", "=".repeat(2_000_000))).ends_with("ok"));
}

/// Every problem has its place in the file, and they are in order.
fn is_well_formed(text: &str) -> Result<(), TestCaseError> {
    let Err(problems) = config::parse("f", text) else { return Ok(()) };
    prop_assert!(!problems.mistakes.is_empty());
    prop_assert!(problems.mistakes.is_sorted());
    let lines: Vec<&str> = text.split('\n').collect();
    for mistake in &problems.mistakes {
        prop_assert!(mistake.line <= lines.len(), "{mistake:?}");
        if let Some(line) = mistake.line.checked_sub(1) {
            prop_assert!((1..=lines[line].chars().count() + 1).contains(&mistake.column), "{mistake:?}");
        }
        prop_assert!(!mistake.line_for("f").contains('\n'), "{mistake:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        is_well_formed(&String::from_utf8_lossy(&bytes))?;
    }

    #[test]
    fn no_tokens_make_it_panic(
        tokens in prop::collection::vec(prop::sample::select(TOKENS.to_vec()), 0..60),
    ) {
        is_well_formed(&tokens.concat())?;
    }

    #[test]
    fn no_change_of_the_example_makes_it_panic(
        at in any::<prop::sample::Index>(),
        length in 0_usize..40,
        tokens in prop::collection::vec(prop::sample::select(TOKENS.to_vec()), 0..4),
        again in any::<prop::sample::Index>(),
    ) {
        let mut chars: Vec<char> = fs::read_to_string(example()).unwrap().chars().collect();
        let at = at.index(chars.len());
        let end = (at + length).min(chars.len());
        let cut: Vec<char> = chars.splice(at..end, tokens.concat().chars()).collect();
        let again = again.index(chars.len() + 1);
        chars.splice(again..again, cut);
        is_well_formed(&chars.into_iter().collect::<String>())?;
    }
}

/// What configurations are made of, and what breaks parsers of them.
const TOKENS: &[&str] = &[
    "\n",
    "\n",
    "\n",
    "=",
    " = ",
    ".",
    ",",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "\"",
    "'",
    "\"\"\"",
    "#",
    "-",
    "\\",
    "\\u",
    "hosts",
    "[hosts.gw1]\n",
    "[hosts.gw1]\n",
    "bridges",
    "[bridges.dc1]\n",
    "[bridges.v]\n",
    "kind = \"vlan-aware\"\n",
    "kind = \"vlan-unaware\"\n",
    "[[vlans]]\n",
    "bridge = \"dc1\"\n",
    "bridge = \"v\"\n",
    "to = \"dc1\"\n",
    "to = \"v\"\n",
    "vid = 8\n",
    "vid = 0\n",
    "[[trunks]]\n",
    "[[ports]]\n",
    "name = \"a\"\n",
    "host = \"gw1\"\n",
    "link = \"e\"\n",
    "vlans = [\"1-9\"]\n",
    "native = 3\n",
    "translate = { 7 = 8 }\n",
    "mode = \"access\"\n",
    "mode = \"qinq\"\n",
    "storm.broadcast = 1\n",
    "storm = { unknown = 1 }\n",
    "nsdb",
    "[nsdb]\n",
    "backend = \"zookeeper\"\n",
    "1",
    "0x",
    "1e9",
    "é",
    "\u{0}",
    "\u{202e}",
    "true",
    "1979-05-27",
];

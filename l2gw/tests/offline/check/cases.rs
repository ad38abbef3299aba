//! Files of a few lines: what is said of each, word for word.

use std::fmt::Write as _;
use std::fs;

use l2gw::cli::DONE;

use super::{BASE, checked, said};

/// The text of a case of `check.txt`.
fn text_of(case: &str) -> String {
    match case.strip_prefix("alone\n") {
        Some(alone) => alone.to_owned(),
        None => format!("{BASE}{case}"),
    }
}

/// Says of every case what is expected and what is said, not only of the first that differs.
#[test]
fn every_case_is_told_as_expected() {
    let cases = include_str!("../../check.txt");
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

//! No text at all makes the reader panic.

use std::fs;

use proptest::prelude::*;

use l2gw::config;

use super::example;

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

//! The text of a file as it is kept with a revision.

use agent::documents::FileText;
use vlan::model::shown::printable;

use super::Config;

/// The text as it is kept. What it says of stores is the host's own, and may be secret: their tables are blank, so that each line keeps its
/// number. `None` if that cannot be told apart line by line, if the text is too long, or if it has what a terminal must not be shown.
pub fn kept(config: &Config) -> Option<FileText> {
    let kept = FileText { file: printable(&config.file), text: without_stores(&config.text) };
    kept.check().ok()?;
    // A key `nsdb.servers` at the top, or a header inside a text of several lines: nothing is kept before what may be secret is.
    let mut all: toml::Table = config.text.parse().ok()?;
    STORES.iter().for_each(|store| drop(all.remove(*store)));
    let left: toml::Table = kept.text.parse().ok()?;
    (left == all).then_some(kept)
}

fn without_stores(text: &str) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let headers = (0..lines.len()).filter_map(|at| table_of(lines[at]).map(|table| (at, table)));
    let headers: Vec<(usize, &str)> = headers.chain([(lines.len(), "")]).collect();
    let mut left: Vec<&str> = lines.clone();
    for pair in headers.windows(2) {
        let ((begin, table), (end, _)) = (pair[0], pair[1]);
        if STORES.contains(&table) {
            let end = begin + end_of_store(&lines[begin..end]);
            left[begin..end].iter_mut().for_each(|line| *line = if line.ends_with('\n') { "\n" } else { "" });
        }
    }
    left.concat()
}

/// Where a table ends whose lines these are: comments right above the next header, behind an empty line, are that one's.
fn end_of_store(lines: &[&str]) -> usize {
    let comments = lines.iter().rev().take_while(|line| line.starts_with('#')).count();
    let above = lines.len() - comments;
    if lines[..above].last().is_some_and(|line| line.trim().is_empty()) { above } else { lines.len() }
}

/// The outermost key of a table's header (TOML 1.0 "Table").
fn table_of(line: &str) -> Option<&str> {
    let header = line.trim_start().strip_prefix('[')?;
    let key = header.strip_prefix('[').unwrap_or(header).split(['.', ']']).next()?;
    Some(key.trim().trim_matches(['"', '\'']))
}

const STORES: [&str; 2] = ["nsdb", "journal"];

#[cfg(test)]
mod tests {
    use agent::documents::LONGEST_TEXT;

    use super::*;
    use crate::config::parse;

    const SITE: &str = "# the site of Basel\n[hosts.gw1]\n\n[bridges.vub8]  # the VMs\nkind = \"vlan-unaware\"\n\n\
                        [[ports]]\nname = \"vm8\"\nbridge = \"vub8\"\nhost = \"gw1\"\nlink = \"tap8\"\n";
    const STORE: &str =
        "[nsdb]\nbackend = \"embedded\" # password: swordfish\npath = \"/var/lib/l2gw/state\"\n";

    fn kept_of(text: &str) -> Option<String> {
        kept(&parse("gateway.toml", text).unwrap_or_else(|problems| panic!("{problems}")))
            .map(|kept| kept.text)
    }

    #[test]
    fn comments_and_lines_are_kept_and_stores_are_blank() {
        assert_eq!(kept_of(SITE).as_deref(), Some(SITE));
        assert_eq!(kept_of(&format!("{STORE}\n{SITE}")), Some(format!("\n\n\n\n{SITE}")));
        let bare = SITE.replace("# the site of Basel", "");
        assert_eq!(
            kept_of(&format!("{STORE}{SITE}")),
            Some(format!("\n\n\n{bare}")),
            "it may be of the store"
        );
        assert_eq!(kept_of(&format!("{SITE}{STORE}")), Some(format!("{SITE}\n\n\n")));
        let quoted = STORE.replace("[nsdb]", " [ \"nsdb\" ] # x");
        assert_eq!(kept_of(&format!("{quoted}{SITE}")), Some(format!("\n\n\n{bare}")));
    }

    #[test]
    fn what_cannot_be_told_apart_is_not_kept() {
        for store in [
            "nsdb.backend = \"embedded\"\n",
            "nsdb = { backend = \"embedded\" }\n",
            "\"nsdb\".backend = \"embedded\"\n",
        ] {
            assert_eq!(kept_of(&format!("{store}{SITE}")), None, "{store}");
        }
        assert_eq!(kept_of(&format!("# \u{202e}\n{SITE}")), None, "a terminal is not shown that");
        assert_eq!(kept_of(&format!("{SITE}{}", "#\n".repeat(LONGEST_TEXT / 2))), None, "too long");
    }
}

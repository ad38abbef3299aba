//! A text looked over without reading its values: how much there is of it, and where its headers and keys are.
//!
//! This file knows only strings and comments, so that nothing inside them is taken for more than it is. It finds something even in a text
//! that is no TOML, and looks at no byte twice.

use std::ops::Range;

/// How much of a reader's memory a text will take, in values of some 150 bytes. A key counts for several, since it is an entry of a map; so
/// does a table, which is a map.
pub(super) fn weight(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut weight) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' | b'\'' => {
                at = behind_string(bytes, at);
                continue;
            }
            b'#' => {
                at = behind_line(bytes, at);
                continue;
            }
            b',' => weight += 1,
            b'=' => weight += KEY,
            b'[' | b'{' | b'.' => weight += MAP,
            _ => {}
        }
        at += 1;
    }
    weight
}

/// A header, or a key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    /// Where it starts, and where its header or its key ends.
    pub(super) span: Range<usize>,
    /// Where each part of the dotted name is, without quotes.
    pub(super) parts: Vec<Range<usize>>,
    /// What it is.
    pub(super) kind: Kind,
}

/// What a statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `[a.b]`
    Table,
    /// `[[a]]`
    Element,
    /// `a.b = …`
    Key,
}

/// All headers and keys of a text, in their order; what is in inline tables is none.
pub(super) fn statements(text: &str) -> Vec<Statement> {
    let bytes = text.as_bytes();
    let (mut at, mut statements) = (0, Vec::new());
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'#' => at = behind_line(bytes, at),
            byte if byte.is_ascii_whitespace() => at += 1,
            b'[' => {
                let is_element = bytes.get(at + 1) == Some(&b'[');
                let kind = if is_element { Kind::Element } else { Kind::Table };
                let inside = at + 1 + usize::from(is_element);
                let (parts, end) = name(bytes, inside, b']');
                let closed = end + bytes[end..].iter().take(inside - at).take_while(|b| **b == b']').count();
                statements.push(Statement { span: at..closed, parts, kind });
                at = behind_line(bytes, closed);
            }
            _ => {
                let (parts, end) = name(bytes, at, b'=');
                statements.push(Statement { span: at..end, parts, kind: Kind::Key });
                at = behind_value(bytes, end);
            }
        }
    }
    statements
}

/// The parts of a dotted name up to `last`, which is not a part of it, or to the end of the line.
fn name(bytes: &[u8], start: usize, last: u8) -> (Vec<Range<usize>>, usize) {
    let (mut at, mut parts) = (start, Vec::new());
    while let Some(byte) = bytes.get(at).filter(|byte| **byte != last && **byte != b'\n') {
        match byte {
            b'"' | b'\'' => {
                let end = behind_string(bytes, at);
                parts.push(at + 1..end.saturating_sub(1).max(at + 1));
                at = end;
            }
            b'.' | b' ' | b'\t' => at += 1,
            _ => {
                let is_part =
                    |b: &&u8| !matches!(**b, b'.' | b' ' | b'\t' | b'\n' | b'"' | b'\'') && **b != last;
                let end = at + bytes[at..].iter().take_while(is_part).count();
                parts.push(at..end);
                at = end;
            }
        }
    }
    (parts, at)
}

/// Behind the end of the line on which a value ends; its lists and tables may have several lines.
fn behind_value(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' | b'\'' => {
                at = behind_string(bytes, at);
                continue;
            }
            b'#' => {
                at = behind_line(bytes, at).saturating_sub(1).max(at + 1);
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'\n' if depth == 0 => return at + 1,
            _ => {}
        }
        at += 1;
    }
    at
}

fn behind_line(bytes: &[u8], start: usize) -> usize {
    bytes[start..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| start + end + 1)
}

/// Behind a string of any of the four kinds that starts here; one of a single line ends with that line at the latest.
fn behind_string(bytes: &[u8], start: usize) -> usize {
    let quote = bytes[start];
    let is_long = bytes[start..].starts_with(&[quote; 3]);
    let mut at = start + if is_long { 3 } else { 1 };
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if quote == b'"' => at += 2,
            b'\n' if !is_long => return at,
            byte if *byte == quote && !is_long => return at + 1,
            byte if *byte == quote && bytes[at..].starts_with(&[quote; 3]) => return at + 3,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// An entry of a map costs as much as so many values.
const KEY: usize = 3;
/// A map costs as much as so many values.
const MAP: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let name = |statement: &Statement| {
            let parts: Vec<&str> = statement.parts.iter().map(|part| &text[part.clone()]).collect();
            let name = parts.join("/");
            match statement.kind {
                Kind::Table => format!("[{name}]"),
                Kind::Element => format!("[[{name}]]"),
                Kind::Key => name,
            }
        };
        statements(text).iter().map(name).collect()
    }

    #[test]
    fn headers_and_keys_are_found_and_nothing_inside_values() {
        let text = "a.b = 1 # [no]\n[hosts.\"g.w]1\"] # [x]\n'k' . l = [ # ]\n  \"]\", { x = 1 },\n]\n[[ports]]\ns = \"\"\"\n[no]\n\"\"\"\nt = '''[no]'''\nu = \"a\\\"\\n[no]\"\n";
        assert_eq!(found(text), ["a/b", "[hosts/g.w]1]", "k/l", "[[ports]]", "s", "t", "u"]);
        let spans: Vec<&str> = statements(text).iter().map(|one| &text[one.span.clone()]).collect();
        assert_eq!(spans[1..4], ["[hosts.\"g.w]1\"]", "'k' . l ", "[[ports]]"]);
    }

    #[test]
    fn any_text_is_gone_through() {
        for text in [
            "[",
            "[[",
            "[a",
            "[a\n]",
            "\"",
            "a",
            "a =",
            "= 1",
            "a = [",
            "a = \"x",
            "'''",
            "]]]",
            "\u{e9}.x = {",
        ] {
            let _ = (statements(text), weight(text));
        }
        assert_eq!(found("[a\n]\nb = 1"), ["[a]", "]", "b"]);
    }

    #[test]
    fn what_is_in_strings_and_comments_weighs_nothing() {
        assert_eq!(weight("# a, b = [1]\nk = \"[,=.\"\n"), KEY);
        assert_eq!(weight("v = [1, 2, 3]\n"), KEY + MAP + 2);
        assert_eq!(weight("[hosts.gw1]\n"), 2 * MAP);
    }
}

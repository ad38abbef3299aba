//! The text of the file that a revision was published from, in pieces, so that it comes back with its comments and its line numbers.
//!
//! A piece ends behind a line that its own content chooses: a line that is changed, added or removed changes the piece that it is in, and
//! the pieces of the rest, which are stored by their content, stay. Whose text it is stands apart: it is another in each revision.

use std::collections::BTreeMap;

use nsdb::ShardId;
use serde::{Deserialize, Serialize};
use vlan::model::shown::is_shown;
use vlan::model::value::quote;

/// A file as it was when a revision was published from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileText {
    /// The file's name, as whoever published it had it.
    pub file: String,
    /// Its text. What it says of stores is blank: that is of the host, and may be secret.
    pub text: String,
}

impl FileText {
    /// Whether it may be kept: it is shown on terminals, and a store has it a hundred times.
    ///
    /// # Errors
    /// Which of the two is wrong, and what is allowed.
    pub fn check(&self) -> Result<(), String> {
        let is_fit = |c: char| is_shown(c) || matches!(c, '\n' | '\r' | '\t');
        if let Some(c) = self.file.chars().find(|c| !is_shown(*c)) {
            return Err(format!("file: {} has {c:?}, allowed is printable text", quote(&self.file)));
        }
        if let Some(c) = self.text.chars().find(|c| !is_fit(*c)) {
            return Err(format!("text: it has {c:?}, allowed is printable text in lines"));
        }
        match self.text.len() {
            0..=LONGEST_TEXT => Ok(()),
            length => Err(format!("text: it has {length} bytes, allowed are {LONGEST_TEXT}")),
        }
    }

    /// Whether it is what is kept already, whatever the file is called.
    pub fn is_kept(&self, kept: Option<&FileText>) -> bool {
        kept.is_some_and(|kept| kept.text == self.text)
    }
}

/// Whose text the pieces are.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TextShard {
    pub(super) file: String,
    /// Digest of what the revision declares ([`crate::tree::Tree::digest`]). Where it is another, a version that does not know of texts
    /// has passed on that of an earlier revision.
    pub(super) of: String,
}

/// A piece as it is stored: nothing but its text, so that revisions that have it share it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PieceShard {
    pub(super) text: String,
}

/// A piece that says itself whose text it is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WholePiece {
    file: String,
    of: String,
    text: String,
}

/// What has been read of a text so far; pieces by the names of their shards.
#[derive(Debug, Default)]
pub(super) struct TextReading {
    pub(super) head: Option<TextShard>,
    pub(super) pieces: BTreeMap<String, PieceShard>,
    pub(super) whole_pieces: BTreeMap<String, WholePiece>,
}

impl TextReading {
    /// The text, if there is one and it belongs to what is declared, which has this digest.
    pub(super) fn finish(self, digest: impl FnOnce() -> String) -> Option<FileText> {
        let TextReading { head, pieces, whole_pieces } = self;
        if let Some(TextShard { file, of }) = head {
            let text = pieces.into_values().map(|piece| piece.text).collect();
            return (of == digest()).then_some(FileText { file, text });
        }
        let first = whole_pieces.values().next()?;
        let (file, of) = (first.file.clone(), digest());
        let its: Vec<String> =
            whole_pieces.into_values().filter(|piece| piece.of == of).map(|piece| piece.text).collect();
        (!its.is_empty()).then(|| FileText { file, text: its.concat() })
    }
}

/// The pieces of a text, in order: together they are the text.
pub(super) fn pieces(text: &str) -> Vec<&str> {
    let (mut pieces, mut begun, mut at) = (Vec::new(), 0, 0);
    for line in text.split_inclusive('\n') {
        at += line.len();
        // A line may be of any length.
        while at - begun >= 2 * LONGEST {
            let end = text.floor_char_boundary(begun + LONGEST);
            pieces.push(&text[begun..end]);
            begun = end;
        }
        let length = at - begun;
        if length >= LONGEST || (length >= SHORTEST && ends_piece(line)) {
            pieces.push(&text[begun..at]);
            begun = at;
        }
    }
    if begun < text.len() || pieces.is_empty() {
        pieces.push(&text[begun..]);
    }
    pieces
}

/// One line in [`LINES`], whichever: by a byte of its digest.
fn ends_piece(line: &str) -> bool {
    ShardId::of(line.as_bytes()).as_bytes()[0].is_multiple_of(LINES)
}

/// Bytes of a text: 100 000 lines.
pub const LONGEST_TEXT: usize = 4 << 20;
/// Bytes of a piece, unless its lines choose otherwise; at most twice as many.
const LONGEST: usize = 32 << 10;
const SHORTEST: usize = 2 << 10;
const LINES: u8 = 32;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn text(ports: usize) -> String {
        (0..ports).map(|port| format!("[[ports]]\nname = \"vm{port}\"\nlink = \"tap{port}\"\n")).collect()
    }

    #[test]
    fn the_pieces_are_the_text() {
        for text in [
            "",
            "\n",
            "a",
            "a\nb",
            &text(1),
            &text(5_000),
            &"x".repeat(100_000),
            &format!("{}\n", "é\n".repeat(70_000)),
        ] {
            assert_eq!(pieces(text).concat(), text);
        }
        let long = text(5_000) + &"é".repeat(300_000);
        assert!(pieces(&long).iter().all(|piece| piece.len() <= 2 * LONGEST), "a store takes each");
        assert_eq!(pieces(&long).concat(), long);
    }

    #[test]
    fn another_line_changes_a_piece_or_two() {
        let before = text(5_000);
        let known: BTreeSet<&str> = pieces(&before).into_iter().collect();
        assert!(known.len() > 20, "{}", known.len());
        for line in [0, 7_000, 14_999] {
            let lines: Vec<&str> = before.split_inclusive('\n').collect();
            let mut more = lines.clone();
            more.insert(line, "# a comment\n");
            let (more, less) = (more.concat(), [&lines[..line], &lines[line + 1..]].concat().concat());
            for after in [more, less] {
                let new = pieces(&after).into_iter().filter(|piece| !known.contains(piece)).count();
                assert!(new <= 2, "line {line}: {new} new pieces");
            }
        }
    }
}

//! What is said about a file: findings, their order and their two forms, lines and JSON.

use std::fmt;

use serde::Serialize;
use vlan::model::shown::printable;

/// One mistake or warning about one place of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Finding {
    /// Line, from 1; 0 when the mistake is about the file as a whole (missing, a directory, …).
    pub line: usize,
    /// Column in characters, from 1; 0 together with line 0.
    pub column: usize,
    /// The key with its object's name, `trunks.leaf1.vlans`; empty for the file as a whole.
    pub key: String,
    /// Which value and what is allowed, in lower case, without a full stop.
    pub text: String,
}

impl Finding {
    /// A mistake about the file as a whole.
    pub fn of_file(text: String) -> Finding {
        Finding { line: 0, column: 0, key: String::new(), text }
    }

    /// The line that is printed: `FILE:LINE:COLUMN: key: text`; without position and key where there are none.
    pub fn line_for(&self, file: &str) -> String {
        let mut line = printable(file);
        if self.line > 0 {
            line.push_str(&format!(":{}:{}", self.line, self.column));
        }
        line.push_str(": ");
        if !self.key.is_empty() {
            line.push_str(&self.key);
            line.push_str(": ");
        }
        line.push_str(&self.text);
        line
    }
}

/// Every mistake of a file, in the file's order. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problems {
    /// The file's name as it was given.
    pub file: String,
    /// The first 1 000 mistakes, sorted by position.
    pub mistakes: Vec<Finding>,
    /// How many there are behind these.
    #[serde(skip_serializing_if = "is_none")]
    pub more: usize,
}

impl Problems {
    /// Sorts the mistakes and drops those that are there twice; `more` are known only by their number.
    pub fn new(file: &str, mistakes: Vec<Finding>, more: usize) -> Problems {
        let (mistakes, cut) = first_in_order(mistakes);
        Problems { file: file.to_owned(), mistakes, more: more + cut }
    }

    /// The one mistake of a file that cannot be read.
    pub fn of_file(file: &str, text: String) -> Problems {
        Problems { file: file.to_owned(), mistakes: vec![Finding::of_file(text)], more: 0 }
    }
}

impl fmt::Display for Problems {
    /// One line a mistake, no line end after the last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.mistakes.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&mistake.line_for(&self.file))?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\n{}: … and {more} more mistakes", printable(&self.file)),
        }
    }
}

impl std::error::Error for Problems {}

/// By position, then key, then text, each once; and how many there are behind the first [`MOST_TOLD`].
pub fn first_in_order(mut findings: Vec<Finding>) -> (Vec<Finding>, usize) {
    findings.sort();
    findings.dedup();
    let more = findings.len().saturating_sub(MOST_TOLD);
    findings.truncate(MOST_TOLD);
    (findings, more)
}

/// Whether there is nothing more to be counted.
pub fn is_none(more: &usize) -> bool {
    *more == 0
}

/// Mistakes or warnings that are told; nobody mends more of them at once.
pub const MOST_TOLD: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(line: usize, column: usize) -> Finding {
        Finding { line, column, key: "k".to_owned(), text: "t".to_owned() }
    }

    #[test]
    fn lines_are_sorted_by_position_and_not_repeated() {
        let problems =
            Problems::new("f", vec![finding(10, 1), finding(2, 9), finding(2, 1), finding(2, 9)], 0);
        assert_eq!(problems.to_string(), "f:2:1: k: t\nf:2:9: k: t\nf:10:1: k: t");
    }

    #[test]
    fn the_first_thousand_are_told_and_the_rest_is_counted() {
        let problems = Problems::new("f", (1..=1_002).rev().map(|line| finding(line, 1)).collect(), 5);
        let text = problems.to_string();
        assert_eq!(text.lines().count(), MOST_TOLD + 1);
        assert!(text.ends_with("f:1000:1: k: t\nf: … and 7 more mistakes"), "{text}");
    }

    #[test]
    fn a_file_name_cannot_forge_a_line() {
        let problems = Problems::of_file("a\nb", "does not exist".to_owned());
        assert_eq!(problems.to_string(), "a\\nb: does not exist");
    }
}

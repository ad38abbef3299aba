//! How a verb says that it failed. For a reader it is a line, in which nothing can make a terminal show something else than there is. With
//! `--json` it is `{"error": …}` on standard output, whatever the verb.
//!
//! A verb writes why it failed to `err`, as a line for a reader. A program that reads JSON does not read that, and an empty answer tells
//! nothing. So with `--json` the line becomes the answer.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;
use vlan::model::shown::printable;

use crate::cli::DONE;

#[derive(Serialize)]
struct Failure<'a> {
    /// Why, as a reader without `--json` is told; several mistakes are several lines.
    error: &'a str,
}

/// Says why a verb fails, on one line: what it names (a file, a socket, a word of the command line) may be of any bytes.
///
/// # Errors
/// The message cannot be written.
pub(super) fn say(why: &impl Display, err: &mut impl Write) -> io::Result<()> {
    writeln!(err, "l2gw: {}", printable(&why.to_string()))
}

/// Says what is odd although the verb goes on, as [`say`].
///
/// # Errors
/// The message cannot be written.
pub(super) fn warn(what: &impl Display, err: &mut impl Write) -> io::Result<()> {
    writeln!(err, "warning: {}", printable(&what.to_string()))
}

/// Runs a verb that answers in JSON. If it fails, what it says is one more JSON object, the last. What it says of a success,
/// such as a warning, goes to `err`.
///
/// # Errors
/// The answer cannot be written.
pub(super) fn in_json<O: Write, E: Write>(
    out: &mut O,
    err: &mut E,
    verb: impl FnOnce(&mut O, &mut Vec<u8>) -> io::Result<u8>,
) -> io::Result<u8> {
    let mut said = Vec::new();
    let code = verb(out, &mut said)?;
    if code == DONE {
        err.write_all(&said)?;
    } else {
        tell(&String::from_utf8_lossy(&said), out)?;
    }
    Ok(code)
}

/// Writes why a verb failed as JSON on a line, without what a line for a reader begins with. Writes nothing if nothing was said.
///
/// # Errors
/// The answer cannot be written.
pub(super) fn tell(said: &str, out: &mut impl Write) -> io::Result<()> {
    let bare = |line: &str| {
        let line = line.strip_prefix("l2gw: ").unwrap_or(line);
        line.strip_prefix("error: ").unwrap_or(line).to_owned()
    };
    let lines: Vec<String> = said.trim().lines().map(bare).collect();
    let error = lines.join("\n");
    if error.is_empty() {
        return Ok(());
    }
    serde_json::to_writer(&mut *out, &Failure { error: &error })?;
    writeln!(out)
}

/// The option by which every verb that has an answer is asked for JSON.
pub(super) const OPTION: &str = "--json";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{FAILED, WRONG_USAGE};

    fn run(code: u8, answer: &str, said: &str) -> (u8, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = in_json(&mut out, &mut err, |out, err| {
            write!(out, "{answer}")?;
            write!(err, "{said}")?;
            Ok(code)
        });
        (code.unwrap(), String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn what_is_said_stays_on_its_line_and_shows() {
        let mut err = Vec::new();
        say(&"a\nl2gw: b\u{1b}[31m\u{202e}c\u{9b}é", &mut err).unwrap();
        warn(&"d\re", &mut err).unwrap();
        let said = String::from_utf8(err).unwrap();
        assert_eq!(said, "l2gw: a\\nl2gw: b\\u{1b}[31m\\u{202e}c\\u{9b}é\nwarning: d\\re\n");
    }

    #[test]
    fn a_failure_is_an_object() {
        let (code, out, err) = run(FAILED, "", "l2gw: no \"daemon\" here\n");
        assert_eq!(
            (code, out.as_str(), err.as_str()),
            (FAILED, "{\"error\":\"no \\\"daemon\\\" here\"}\n", "")
        );
    }

    #[test]
    fn several_mistakes_are_several_lines() {
        let (_, out, _) = run(WRONG_USAGE, "", "f:1:1: a: wrong\nf:2:1: b: wrong\n");
        assert_eq!(out, "{\"error\":\"f:1:1: a: wrong\\nf:2:1: b: wrong\"}\n");
    }

    #[test]
    fn a_success_and_what_is_said_of_it_stay_as_they_are() {
        assert_eq!(run(DONE, "[]\n", "warning: w\n"), (DONE, "[]\n".to_owned(), "warning: w\n".to_owned()));
    }

    #[test]
    fn an_answer_that_says_itself_that_it_failed_is_the_only_one() {
        assert_eq!(
            run(FAILED, "{\"ok\":false}\n", ""),
            (FAILED, "{\"ok\":false}\n".to_owned(), String::new())
        );
    }
}

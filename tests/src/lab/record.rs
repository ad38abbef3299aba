//! Which test of a group wrote what, and how each ended: marks in the output of the test binary.
//!
//! A mark is one line, `␞lab start NAME` or `␞lab end NAME passed|failed`. It may follow other text on its line.

use std::io::Write;

/// What is known of one test from the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// The test's name, as libtest has it.
    pub(super) test: String,
    /// What was written between its start and its end, or the end of all output.
    pub(super) output: Vec<u8>,
    /// How it ended; nothing if the output breaks off first.
    pub(super) end: Option<End>,
}

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The body returned.
    Passed,
    /// The body panicked.
    Failed,
}

/// Writes the mark that opens the part of `test`.
pub(super) fn mark_start(test: &str) {
    write_mark(&format!("start {test}"));
}

/// Writes the mark that closes the part of `test`.
pub(super) fn mark_end(test: &str, end: End) {
    write_mark(&format!("end {test} {}", if end == End::Passed { PASSED } else { FAILED }));
}

/// Takes the output of a test binary apart.
pub(super) fn read_records(output: &[u8]) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    let mut rest = output;
    while let Some((before, mark, after)) = next_mark(rest) {
        append(&mut records, before);
        match mark.split(' ').collect::<Vec<_>>()[..] {
            ["start", test] => records.push(Record { test: test.to_owned(), output: Vec::new(), end: None }),
            ["end", test, end] => close(&mut records, test, end),
            _ => append(&mut records, mark.as_bytes()),
        }
        rest = after;
    }
    append(&mut records, rest);
    records
}

/// The test that was running when the output broke off.
pub(super) fn unfinished(records: &[Record]) -> Option<&str> {
    records.iter().find(|record| record.end.is_none()).map(|record| record.test.as_str())
}

/// libtest captures what `print!` writes, so the mark goes to the stream itself, in one write.
fn write_mark(text: &str) {
    let mut stream = std::io::stdout().lock();
    let written = stream.write_all(format!("{MARK}{text}\n").as_bytes()).and_then(|()| stream.flush());
    if let Err(error) = written {
        panic!("cannot write the mark `{text}`: {error}");
    }
}

fn next_mark(bytes: &[u8]) -> Option<(&[u8], &str, &[u8])> {
    let at = bytes.windows(MARK.len()).position(|part| part == MARK.as_bytes())?;
    let line = &bytes[at + MARK.len()..];
    let length = line.iter().position(|byte| *byte == b'\n')?;
    Some((&bytes[..at], std::str::from_utf8(&line[..length]).ok()?, &line[length + 1..]))
}

fn append(records: &mut [Record], text: &[u8]) {
    if let Some(record) = records.last_mut().filter(|record| record.end.is_none()) {
        record.output.extend_from_slice(text);
    }
}

fn close(records: &mut [Record], test: &str, end: &str) {
    if let Some(record) = records.iter_mut().rfind(|record| record.test == test) {
        record.end = Some(if end == PASSED { End::Passed } else { End::Failed });
    }
}

/// U+001E, the record separator, which no test prints.
const MARK: &str = "\u{1e}lab ";

const PASSED: &str = "passed";
const FAILED: &str = "failed";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_test_gets_the_output_between_its_marks() {
        let output =
            b"running 2 tests\ntest a ... \x1elab start a\none\n\x1elab end a passed\nok\ntest b ... \
                       \x1elab start b\ntwo\n\x1elab end b failed\nFAILED\n";
        assert_eq!(
            read_records(output),
            [
                Record { test: "a".into(), output: b"one\n".to_vec(), end: Some(End::Passed) },
                Record { test: "b".into(), output: b"two\n".to_vec(), end: Some(End::Failed) },
            ]
        );
    }

    #[test]
    fn output_that_breaks_off_names_the_test_that_ran() {
        let records = read_records(b"\x1elab start m::a\nhalf a li");
        assert_eq!(unfinished(&records), Some("m::a"));
        assert_eq!(records[0].output, b"half a li");
        assert_eq!(unfinished(&read_records(b"\x1elab start a\n\x1elab end a failed\nmore")), None);
    }

    #[test]
    fn a_mark_that_is_cut_short_is_output() {
        let records = read_records(b"\x1elab start a\n\x1elab end a pas");
        assert_eq!(records[0].end, None);
    }
}

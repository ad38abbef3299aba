//! How a program that runs a daemon ends, and what it says of a command line that is no right one.

use std::ffi::OsString;
use std::io::{self, Write};

use vlan::model::shown::printable;

use super::log;

/// It was done.
pub const DONE: u8 = 0;
/// It failed.
pub const FAILED: u8 = 1;
/// The command line is wrong (`EX_USAGE` of `sysexits.h`).
pub const WRONG_USAGE: u8 = 64;
/// The configuration is wrong (`EX_CONFIG` of `sysexits.h`).
pub const BAD_CONFIGURATION: u8 = 78;

/// Says what is wrong with a command line, or what was asked of the grammar itself: `--help`, `--version`. Returns the exit code.
pub fn refuse(error: &clap::Error, arguments: &[OsString]) -> u8 {
    if !error.use_stderr() {
        let _ = error.print();
        return DONE;
    }
    let text = error.render().to_string();
    let shown = shown(&text, arguments);
    let _ = if shown == text { error.print() } else { io::stderr().write_all(shown.as_bytes()) };
    WRONG_USAGE
}

/// What the grammar says, fit to be shown on a terminal. It repeats the words that it refuses, and the value behind a `=`.
pub fn shown(text: &str, arguments: &[OsString]) -> String {
    let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
    let values = words.iter().filter_map(|word| Some(word.split_once('=')?.1));
    let mut shown = text.to_owned();
    for word in words.iter().map(|word| word.as_ref()).chain(values) {
        let printable = printable(word);
        if printable != word {
            shown = shown.replace(word, &printable);
        }
    }
    log::lines(&shown)
}

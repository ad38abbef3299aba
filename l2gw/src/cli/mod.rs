//! The verbs of the command line.

pub mod args;
pub mod check;
pub mod offline;
pub mod pcap;
pub mod table;
pub mod trace;

use std::ffi::OsString;
use std::io::{self, Write};

use clap::{CommandFactory, Parser};

use crate::cli::args::{Cli, Verb};

/// It was done.
pub const DONE: u8 = 0;
/// It failed.
pub const FAILED: u8 = 1;
/// The command line is wrong (`EX_USAGE` of `sysexits.h`).
pub const WRONG_USAGE: u8 = 64;
/// The configuration is wrong (`EX_CONFIG` of `sysexits.h`).
pub const BAD_CONFIGURATION: u8 = 78;

/// Runs one command line and returns its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { WRONG_USAGE } else { DONE };
            let _ = error.print();
            return code;
        }
    };
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    match carry_out(cli.verb, &mut out, &mut err) {
        Ok(code) => code,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => DONE,
        Err(error) => {
            let _ = writeln!(err, "l2gw: cannot write the answer: {error}");
            FAILED
        }
    }
}

fn carry_out(verb: Verb, out: &mut impl Write, err: &mut impl Write) -> io::Result<u8> {
    match verb {
        Verb::Check { file, json } => check::check(&file, json, out, err),
        Verb::Table { file, json } => offline::table(&file, json, out, err),
        Verb::Trace(request) => offline::trace(&request, out, err),
        Verb::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "l2gw", out);
            Ok(DONE)
        }
    }
}

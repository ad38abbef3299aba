//! The verbs of the command line.

pub mod args;
pub mod change;
pub mod check;
pub mod client;
pub mod demo;
pub mod difference;
mod help;
pub mod host;
pub mod live;
pub mod offline;
pub mod pcap;
pub mod run;
pub mod show;
pub mod table;
pub mod time;
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
    // Standard error is not locked: while `run` runs, other threads log to it.
    let (mut out, mut err) = (io::BufWriter::new(io::stdout()), io::stderr());
    let code = carry_out(cli.verb, &mut out, &mut err).and_then(|code| out.flush().map(|()| code));
    match code {
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
        Verb::Trace(request) => match &request.file {
            Some(file) => offline::trace(file, &request, out, err),
            None => live::trace(&request, out, err),
        },
        Verb::Run(request) => run::run(&request, err),
        Verb::Show { subject, newest, at } => show::show(subject, newest, &at, out, err),
        Verb::Plan { file, at } => change::plan(&file, &at, out, err),
        Verb::Apply { file, against, at } => change::apply(&file, against, &at, out, err),
        Verb::Flush { what, port, at } => live::flush(what, port, &at, out, err),
        Verb::Unblock { port, at } => live::unblock(port, &at, out, err),
        Verb::Demo { json } => demo::demo(json, out, err),
        Verb::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "l2gw", out);
            Ok(DONE)
        }
    }
}

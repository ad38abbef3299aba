//! The verbs of the command line, and how they end.
//!
//! | code | of every verb |
//! |---|---|
//! | [`DONE`] | it was done |
//! | [`FAILED`] | it could not be done: nobody answers, the kernel refuses, a file other than the configuration cannot be read, made or understood |
//! | [`WRONG_USAGE`] | the words of the command line are wrong by themselves, or name an object that is not there |
//! | [`BAD_CONFIGURATION`] | the configuration cannot be read, has mistakes, or is not to be run as it is |

pub mod args;
pub mod change;
pub mod check;
pub mod client;
mod confirm;
pub mod craft;
mod declared;
pub mod demo;
pub mod difference;
mod direct;
mod failure;
mod fates;
pub mod frames;
mod help;
pub mod host;
mod lines;
pub mod live;
pub mod offline;
pub mod paste;
pub mod pcap;
mod pipe;
mod port;
pub mod replay;
mod revisions;
mod rollback;
pub mod run;
#[cfg(test)]
mod sample;
pub mod show;
pub mod store;
pub mod table;
pub mod teardown;
pub mod time;
pub mod trace;

use std::ffi::OsString;
use std::io::{self, Write};

use agent::life::exit;
use clap::{CommandFactory, Parser};

use crate::cli::args::{Cli, Porting, Storing, Verb};
use crate::cli::pipe::MayClose;

pub use agent::life::exit::{BAD_CONFIGURATION, DONE, FAILED, WRONG_USAGE};

/// Runs one command line and returns its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let is_json = arguments.iter().any(|word| word == failure::OPTION);
    // Standard error is not locked: while `run` runs, other threads log to it.
    let (mut out, mut err) = (io::BufWriter::new(MayClose(io::stdout())), MayClose(io::stderr()));
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return wrong_usage(&error, &arguments, is_json),
    };
    let code = if is_json {
        failure::in_json(&mut out, &mut err, |out, err| carry_out(cli.verb, out, err))
    } else {
        carry_out(cli.verb, &mut out, &mut err)
    };
    let code = code.and_then(|code| out.flush().map(|()| code));
    match code {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(err, "l2gw: cannot write the answer: {error}");
            FAILED
        }
    }
}

/// Says what is wrong with a command line, or what was asked of the grammar itself: `--help`, `--version`.
fn wrong_usage(error: &clap::Error, arguments: &[OsString], is_json: bool) -> u8 {
    if !(is_json && error.use_stderr()) {
        return exit::refuse(error, arguments);
    }
    let shown = exit::shown(&error.render().to_string(), arguments);
    let _ = failure::tell(&shown, &mut io::stdout());
    WRONG_USAGE
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
        Verb::Show { subject, newest, selection, of } => {
            show::show(subject, (newest.into(), &selection), &of, out, err)
        }
        Verb::Plan { file, of } => change::plan(&file, &of, out, err),
        Verb::Apply(request) => change::apply(&request, out, err),
        Verb::Confirm(request) => confirm::confirm(&request, out, err),
        Verb::Rollback(request) => rollback::rollback(&request, out, err),
        Verb::Port { what: Porting::Add(request) } => port::add(&request, out, err),
        Verb::Port { what: Porting::Del { name, of } } => port::del(&name, &of, out, err),
        Verb::Flush { what, port, at } => live::flush(what, port, &at, out, err),
        Verb::Unblock { port, at } => live::unblock(port, &at, out, err),
        Verb::Teardown { device, json } => teardown::teardown(&device, json, out, err),
        Verb::Store { what: Storing::Init(request) } => store::init(&request, out, err),
        Verb::Store { what: Storing::Accept(request) } => store::accept(&request, out, err),
        Verb::Replay { file, json } => replay::replay(&file, json, out, err),
        Verb::Demo { json } => demo::demo(json, out, err),
        Verb::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "l2gw", out);
            Ok(DONE)
        }
    }
}

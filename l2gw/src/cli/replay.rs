//! `l2gw replay`: what was recorded, played to a fresh engine.

use std::io::{self, Write};
use std::path::Path;

use agent::replay::{self, Replayed};
use serde::Serialize;
use vlan::model::shown::printable;

use crate::cli::failure::say;
use crate::cli::{DONE, FAILED};

#[derive(Serialize)]
struct Answer<'a> {
    equal: bool,
    host: &'a str,
    version: &'a str,
    inputs: usize,
    outputs: usize,
    line: Option<usize>,
    difference: Option<&'a str>,
    /// Where the record ends in the middle of something.
    cut: Option<&'a str>,
}

/// `l2gw replay FILE`.
///
/// # Errors
/// The answer cannot be written.
pub fn replay(file: &Path, json: bool, out: &mut impl Write, err: &mut impl Write) -> io::Result<u8> {
    let replayed = match replay::replay(file) {
        Ok(replayed) => replayed,
        Err(error) => {
            say(&error, err)?;
            return Ok(FAILED);
        }
    };
    match json {
        true => print_json(&replayed, out)?,
        false => print(file, &replayed, out)?,
    }
    Ok(if replayed.difference.is_none() { DONE } else { FAILED })
}

fn print(file: &Path, replayed: &Replayed, out: &mut impl Write) -> io::Result<()> {
    let Replayed { host, version, inputs, outputs, time, difference, cut } = replayed;
    // A record may have been written by anybody.
    let mut line = |text: String| writeln!(out, "{}", printable(&text));
    match difference {
        None => {
            let seconds = time.as_secs_f64();
            line(format!("equal: {inputs} inputs of host {host} in {seconds:.1} s, {outputs} outputs"))?;
            cut.iter().try_for_each(|cut| line(format!("as far as it goes: {cut}")))
        }
        Some(difference) => {
            line(format!("{}:{}: {}", file.display(), difference.line, difference.what))?;
            let ours = env!("CARGO_PKG_VERSION");
            match version == ours {
                true => Ok(()),
                false => line(format!("it was recorded by version {version}, this is {ours}")),
            }
        }
    }
}

fn print_json(replayed: &Replayed, out: &mut impl Write) -> io::Result<()> {
    let difference = replayed.difference.as_ref();
    let answer = Answer {
        equal: difference.is_none(),
        host: &replayed.host,
        version: &replayed.version,
        inputs: replayed.inputs,
        outputs: replayed.outputs,
        line: difference.map(|difference| difference.line),
        difference: difference.map(|difference| difference.what.as_str()),
        cut: replayed.cut.as_deref(),
    };
    serde_json::to_writer(&mut *out, &answer)?;
    writeln!(out)
}

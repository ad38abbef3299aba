//! The verbs that read a file and nothing else: `table`, and `trace` with a file.

use std::convert::Infallible;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use agent::view::TraceView;

use crate::cli::args::TraceRequest;
use crate::cli::failure::say;
use crate::cli::lines::Lines;
use crate::cli::trace::{TraceError, Tracer};
use crate::cli::{BAD_CONFIGURATION, DONE, table as rows, trace as answers};
use crate::config::{self, Config, StoreSaid};

/// `l2gw table`.
///
/// # Errors
/// The answer cannot be written.
pub fn table(file: &Path, json: bool, out: &mut impl Write, err: &mut impl Write) -> io::Result<u8> {
    let Some(config) = load(file, err)? else { return Ok(BAD_CONFIGURATION) };
    rows::print(&Arc::new(config.topology), json, out)?;
    Ok(DONE)
}

/// `l2gw trace FILE`.
///
/// # Errors
/// The answer cannot be written.
pub fn trace(
    file: &Path,
    request: &TraceRequest,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<u8> {
    let Some(config) = load(file, err)? else { return Ok(BAD_CONFIGURATION) };
    let lines = Lines::of(&config);
    let mut tracer = match tracer(config, request) {
        Ok(tracer) => tracer,
        Err(error) => return refuse(&error, err),
    };
    if let Some(path) = &request.pcap {
        let answer = |frame: Vec<u8>| Ok::<_, Infallible>(traced(&mut tracer, &lines, &frame));
        let Ok(code) = answers::tell_capture(path, request.at.json, out, err, answer)?;
        return Ok(code);
    }
    let tpids = tracer.tpids(request.fields.vids());
    let frame = match answers::frame_of(request, tpids) {
        Ok(frame) => frame,
        Err(error) => return refuse(&error, err),
    };
    answers::print(&traced(&mut tracer, &lines, &frame), request.at.json, out)?;
    Ok(DONE)
}

fn traced(tracer: &mut Tracer, lines: &Lines, frame: &[u8]) -> TraceView {
    let mut story = tracer.trace(frame);
    lines.add_to(&mut story);
    story
}

fn tracer(config: Config, request: &TraceRequest) -> Result<Tracer, TraceError> {
    let mut tracer = Tracer::new(&Arc::new(config.topology), &request.port)?;
    for text in &request.designated {
        tracer.designate(text)?;
    }
    for text in &request.learn {
        tracer.learn(text)?;
    }
    Ok(tracer)
}

fn refuse(error: &TraceError, err: &mut impl Write) -> io::Result<u8> {
    say(error, err)?;
    Ok(error.exit_code())
}

/// Says why this version does not run a right file: what it runs on no host, and what it does not run on `host`. False if it runs the file.
///
/// # Errors
/// The message cannot be written.
pub(crate) fn is_refused(config: &Config, host: Option<&str>, err: &mut impl Write) -> io::Result<bool> {
    let refusals = config.refusals(host);
    for refusal in &refusals {
        writeln!(err, "{}", refusal.line_for(&config.file))?;
    }
    Ok(!refusals.is_empty())
}

pub(crate) fn load(file: &Path, err: &mut impl Write) -> io::Result<Option<Config>> {
    load_as(file, StoreSaid::InFile, err)
}

pub(crate) fn load_as(file: &Path, store: StoreSaid, err: &mut impl Write) -> io::Result<Option<Config>> {
    match config::load_as(file, store) {
        Ok(config) => Ok(Some(config)),
        Err(problems) => {
            writeln!(err, "{problems}")?;
            Ok(None)
        }
    }
}

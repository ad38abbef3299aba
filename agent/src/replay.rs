//! Plays a record to a fresh engine, and says where that does something else than what was recorded.

use std::path::Path;
use std::time::Duration;

use vlan::model::shown::beginning;
use vlan::time::Instant;

use crate::engine::Engine;
use crate::output::Output;
use crate::record::{Followed, Line, Reader, RecordError, digest, short};

/// What came of a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// The host that was recorded.
    pub host: String,
    /// The version that recorded it.
    pub version: String,
    /// Inputs played, up to the first difference.
    pub inputs: usize,
    /// Outputs that followed from them.
    pub outputs: usize,
    /// From the first input to the last.
    pub time: Duration,
    /// Where it first did something else.
    pub difference: Option<Divergence>,
    /// Where the record ends in the middle of something, so that not all of it was compared. One that was cut between an input's outputs
    /// and the next input looks whole.
    pub cut: Option<String>,
}

/// Where a replay did something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Divergence {
    /// Number of the record's line with the input, from 1.
    pub line: usize,
    /// What is different.
    pub what: String,
}

/// Plays the record at `path` as far as it goes: a daemon that was killed leaves the last line cut off, or its outputs unsaid.
///
/// # Errors
/// It cannot be read, or is no record.
pub fn replay(path: &Path) -> Result<Replayed, RecordError> {
    let (mut reader, head) = Reader::open(path)?;
    let mut replayed = Replayed {
        host: head.settings.host.clone(),
        version: head.version,
        inputs: 0,
        outputs: 0,
        time: Duration::ZERO,
        difference: None,
        cut: None,
    };
    let mut engine = Engine::new(head.settings);
    let (mut began, mut last) = (None, Last::default());
    while let Some(step) = Step::read(&mut reader)? {
        let what = match step.changed() {
            Some(changed) => Some(changed),
            None => {
                let line: Line = serde_json::from_slice(&step.text).map_err(|error| RecordError::Line {
                    path: path.to_owned(),
                    line: step.line,
                    why: error.to_string(),
                })?;
                if line.at < last.at {
                    let why =
                        format!("it is of {} ns, earlier than the input before, of {}", line.at, last.at);
                    return Err(RecordError::Line { path: path.to_owned(), line: step.line, why });
                }
                last = Last {
                    at: line.at,
                    line: step.line,
                    goes_on: step.goes_on(),
                    is_followed: step.followed.is_some(),
                };
                replayed.time = Duration::from_nanos(line.at - line.at.min(*began.get_or_insert(line.at)));
                engine.handle(Instant::from_nanos(line.at), line.input);
                let goes_on = last.goes_on;
                let next = || if goes_on { None } else { engine.poll_output() };
                let outputs: Vec<Output> = std::iter::from_fn(next).collect();
                (replayed.inputs, replayed.outputs) = (replayed.inputs + 1, replayed.outputs + outputs.len());
                step.followed.and_then(|followed| difference(&followed.outputs, &outputs))
            }
        };
        if let Some(what) = what {
            replayed.difference = Some(Divergence { line: step.line, what });
            break;
        }
    }
    if replayed.difference.is_some() {
        return Ok(replayed);
    }
    replayed.cut = last.cut(&reader);
    // Nothing may be left in silence that was not compared: behind the last input outputs were asked for.
    if replayed.cut.is_none() && last.goes_on && engine.poll_output().is_some() {
        let what = "it goes on, it says, and nothing comes behind it".to_owned();
        replayed.difference = Some(Divergence { line: last.line, what });
    }
    Ok(replayed)
}

/// The input that was played last.
#[derive(Debug, Default)]
struct Last {
    at: u64,
    line: usize,
    goes_on: bool,
    is_followed: bool,
}

impl Last {
    /// Where the record ends behind this input, if that is in the middle of something.
    fn cut(&self, reader: &Reader) -> Option<String> {
        let (line, next) = (self.line, reader.line() + 1);
        let is_played = line > 0;
        match (reader.is_cut(), is_played && !self.is_followed) {
            (true, true) => Some(format!(
                "the record ends inside line {next}: what followed from the input on line {line} was not compared"
            )),
            (true, false) => {
                Some(format!("the record ends inside line {next}, an input that was not played"))
            }
            (false, true) => Some(format!(
                "the record ends behind line {line}, an input: what followed from it was not compared"
            )),
            (false, false) => None,
        }
    }
}

/// An input's line, and what followed.
struct Step {
    line: usize,
    text: Vec<u8>,
    /// An input that a panic or a kill followed has none.
    followed: Option<Followed>,
}

impl Step {
    fn read(reader: &mut Reader) -> Result<Option<Step>, RecordError> {
        let Some(text) = reader.next_line()? else { return Ok(None) };
        let line = reader.line();
        let followed = reader.next_line()?.map(|followed| serde_json::from_slice(&followed)).transpose();
        let followed =
            followed.map_err(|error| reader.wrong(format!("it does not say what followed: {error}")))?;
        Ok(Some(Step { line, text, followed }))
    }

    fn goes_on(&self) -> bool {
        self.followed.as_ref().is_some_and(|followed| followed.goes_on)
    }

    /// How the input's line is another than was recorded.
    fn changed(&self) -> Option<String> {
        let (now, then) = (digest(&self.text), &self.followed.as_ref()?.of);
        (now != *then)
            .then(|| format!("it has been changed since it was recorded: its digest is {now}, not {then}"))
    }
}

fn difference(recorded: &[(String, String)], outputs: &[Output]) -> Option<String> {
    for (number, output) in (1..).zip(outputs) {
        let now = short(output);
        match recorded.get(number - 1) {
            Some(then) if *then == now => {}
            Some((then, _)) if *then == now.0 => {
                return Some(format!("output {number}, {then}, is another than recorded: {}", shown(output)));
            }
            Some((then, _)) => {
                return Some(format!(
                    "output {number} was {then} when it was recorded, and is {}",
                    shown(output)
                ));
            }
            None => {
                return Some(format!(
                    "output {number} was not there when it was recorded: {}",
                    shown(output)
                ));
            }
        }
    }
    let missing = recorded.get(outputs.len())?;
    Some(format!("output {}, {}, was there when it was recorded, and is not", outputs.len() + 1, missing.0))
}

/// The beginning of an output as JSON.
fn shown(output: &Output) -> String {
    beginning(&serde_json::to_string(output).unwrap_or_default(), SHOWN)
}

/// Characters of an output that are shown.
const SHOWN: usize = 400;

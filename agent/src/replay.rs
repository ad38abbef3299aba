//! Plays a record to a fresh engine, and says where that does something else than what was recorded.

use std::path::Path;
use std::time::Duration;

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
    pub difference: Option<Difference>,
}

/// Where a replay did something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
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
    };
    let mut engine = Engine::new(head.settings);
    let mut began = None;
    while let (Some(text), number) = (reader.next_line()?, reader.line()) {
        // What followed is on the next line. An input that a panic or a kill followed has none.
        let followed = reader.next_line()?;
        let tell = |what: String| Some(Difference { line: number, what });
        let followed: Option<Followed> = match followed.as_deref().map(serde_json::from_slice).transpose() {
            Ok(followed) => followed,
            Err(error) => {
                replayed.difference = tell(format!("the line behind it does not say what followed: {error}"));
                return Ok(replayed);
            }
        };
        if let Some(changed) = followed.as_ref().filter(|followed| followed.of != digest(&text)) {
            replayed.difference = tell(format!(
                "it has been changed since it was recorded: its digest is {}, not {}",
                digest(&text),
                changed.of
            ));
            return Ok(replayed);
        }
        let line: Line = serde_json::from_slice(&text).map_err(|error| RecordError::Line {
            path: path.to_owned(),
            line: number,
            why: error.to_string(),
        })?;
        let began = *began.get_or_insert(line.at);
        replayed.time = Duration::from_nanos(line.at.saturating_sub(began));
        engine.handle(Instant::from_nanos(line.at), line.input);
        let outputs: Vec<Output> = std::iter::from_fn(|| engine.poll_output()).collect();
        replayed.inputs += 1;
        replayed.outputs += outputs.len();
        if let Some(what) = followed.and_then(|followed| difference(&followed.outputs, &outputs)) {
            replayed.difference = tell(what);
            return Ok(replayed);
        }
    }
    Ok(replayed)
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
    let text = serde_json::to_string(output).unwrap_or_default();
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// Characters of an output that are shown.
const SHOWN: usize = 400;

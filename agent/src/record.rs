//! Records every input of a running engine, one JSON object a line, so that a run can be replayed and put in a bug report.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use tracing::warn;
use vlan::time::Instant;

use crate::input::Input;

/// One line of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// When, in nanoseconds of the monotonic clock.
    pub at: u64,
    /// What.
    pub input: Input,
}

/// Writes inputs to a file. After a failed write it stops and says so once; the daemon goes on.
#[derive(Debug)]
pub struct Recorder {
    out: Option<BufWriter<File>>,
}

impl Recorder {
    /// Starts a new record; a file that is there is replaced.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create(path: &Path) -> std::io::Result<Recorder> {
        Ok(Recorder { out: Some(BufWriter::new(File::create(path)?)) })
    }

    /// Writes one input.
    pub fn record(&mut self, at: Instant, input: &Input) {
        let Some(out) = &mut self.out else { return };
        let line = Line { at: at.as_nanos(), input: input.clone() };
        let written = serde_json::to_writer(&mut *out, &line).map_err(std::io::Error::from);
        if let Err(error) = written.and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()) {
            warn!(%error, "the record cannot be written, recording stops");
            self.out = None;
        }
    }
}

/// Reads a record.
///
/// # Errors
/// The file cannot be read, or a line is not an input (the line's number is said).
pub fn read(path: &Path) -> std::io::Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (index, text) in BufReader::new(File::open(path)?).lines().enumerate() {
        let line = serde_json::from_str(&text?).map_err(|error| {
            std::io::Error::new(std::io::ErrorKind::InvalidData, format!("line {}: {error}", index + 1))
        })?;
        lines.push(line);
    }
    Ok(lines)
}

//! Records every input of a running engine, so that a run can be replayed and put in a bug report.
//!
//! ```text
//! {"record":2,"version":"0.1.0","settings":{…}}            what the engine began with, its seed among it
//! {"at":81234567890,"input":{…}}                           what came in, and when
//! {"of":"5d41402abc4b2a76","outputs":[["Flows","…"],…]}    a digest of the line before, and of each output that followed;
//!                                                          `"goes_on":true` where they follow behind the next input
//! ```
//! It holds frames and addresses, so it is for its owner alone.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nsdb::ShardId;
use serde::{Deserialize, Serialize};
use tracing::warn;
use vlan::time::Instant;

use crate::engine::Settings;
use crate::input::Input;
use crate::output::Output;
use crate::regular;

/// Its first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The format of the rest; readers of this version read theirs alone.
    pub record: u32,
    /// Which version of this program wrote it.
    pub version: String,
    /// What the engine began with.
    pub settings: Settings,
}

/// A line with an input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// When, in nanoseconds of the monotonic clock.
    pub at: u64,
    /// What.
    pub input: Input,
}

/// The line behind an input: what followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Followed {
    /// Digest of the input's line, so that a record that was changed afterwards shows.
    pub of: String,
    /// Kind and digest of each output, in their order.
    pub outputs: Vec<(String, String)>,
    /// The next input came at once: what followed from both is behind that one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub goes_on: bool,
}

/// Why a record cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Something has that name.
    #[error("{path}: there is {what} already, and it is not written over; name a file that is not there")]
    Exists {
        /// The path.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// It cannot be read or made.
    #[error("{path}: {why}")]
    Refused {
        /// The path.
        path: PathBuf,
        /// Why not, such as `is a device, allowed is a regular file`.
        why: String,
    },
    /// A line is not what belongs there.
    #[error("{path}:{line}: {why}")]
    Line {
        /// The path.
        path: PathBuf,
        /// Its number, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
}

/// A new file for a record, still empty.
#[derive(Debug)]
pub struct RecordFile {
    path: PathBuf,
    file: File,
}

impl RecordFile {
    /// Makes it, for its owner alone.
    ///
    /// # Errors
    /// Something has that name, a symbolic link and a named pipe among it; it cannot be made.
    pub fn create(path: &Path) -> Result<RecordFile, RecordError> {
        let file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path);
        let file = file.map_err(|source| match (source.kind(), path.symlink_metadata()) {
            (io::ErrorKind::AlreadyExists, Ok(there)) => {
                RecordError::Exists { path: path.to_owned(), what: regular::kind(there.file_type()) }
            }
            _ => RecordError::Refused { path: path.to_owned(), why: regular::unmade(&source) },
        })?;
        Ok(RecordFile { path: path.to_owned(), file })
    }
}

/// Writes inputs to a file. After a failed write it stops and says so once; the daemon goes on.
#[derive(Debug)]
pub struct Recorder {
    out: Option<BufWriter<File>>,
    followed: Followed,
}

impl Recorder {
    /// Begins the record of an engine with these settings.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn begin(file: RecordFile, settings: &Settings) -> Result<Recorder, RecordError> {
        let RecordFile { path, file } = file;
        let mut recorder = Recorder { out: Some(BufWriter::new(file)), followed: nothing() };
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let head = Head { record: FORMAT, version, settings: settings.clone() };
        let written =
            serde_json::to_vec(&head).map_err(io::Error::from).and_then(|line| recorder.try_write(&line));
        written.map_err(|source| RecordError::Refused { path, why: regular::unmade(&source) })?;
        Ok(recorder)
    }

    /// Writes one input, before the engine gets it: one that it panics over is the last.
    pub fn record(&mut self, at: Instant, input: &Input) {
        if self.out.is_none() {
            return;
        }
        match serde_json::to_vec(&Line { at: at.as_nanos(), input: input.clone() }) {
            Ok(line) => {
                self.followed = Followed { of: digest(&line), ..nothing() };
                self.write(&line);
            }
            Err(error) => self.give_up(&error.into()),
        }
    }

    /// Notes an output that followed.
    pub fn note(&mut self, output: &Output) {
        if self.out.is_some() {
            self.followed.outputs.push(short(output));
        }
    }

    /// Another input comes before anything follows from this one.
    pub fn go_on(&mut self) {
        self.followed.goes_on = true;
        self.finish();
    }

    /// Writes what followed: there is no more.
    pub fn finish(&mut self) {
        if self.out.is_none() {
            return;
        }
        match serde_json::to_vec(&std::mem::replace(&mut self.followed, nothing())) {
            Ok(line) => self.write(&line),
            Err(error) => self.give_up(&error.into()),
        }
    }

    fn write(&mut self, line: &[u8]) {
        if let Err(error) = self.try_write(line) {
            self.give_up(&error);
        }
    }

    fn try_write(&mut self, line: &[u8]) -> io::Result<()> {
        let Some(out) = &mut self.out else { return Ok(()) };
        out.write_all(line)?;
        out.write_all(b"\n")?;
        out.flush()
    }

    fn give_up(&mut self, error: &io::Error) {
        warn!(%error, "the record cannot be written, recording stops");
        self.out = None;
    }
}

/// Kind and digest of an output.
pub(crate) fn short(output: &Output) -> (String, String) {
    (output.kind().to_owned(), digest(&serde_json::to_vec(output).unwrap_or_default()))
}

/// The first 64 bits of SHA-256, in hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    ShardId::of(bytes).to_string()[..DIGEST_CHARACTERS].to_owned()
}

fn nothing() -> Followed {
    Followed { of: String::new(), outputs: Vec::new(), goes_on: false }
}

/// The lines of a record, one after another: it may be larger than memory.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    from: BufReader<File>,
    line: usize,
    /// Whether there are bytes behind the last line that was read, and no end of a line behind them.
    is_cut: bool,
    /// Most bytes of a line.
    longest: u64,
}

impl Reader {
    /// Opens a record and reads its head.
    ///
    /// # Errors
    /// It cannot be read, or is no record.
    pub fn open(path: &Path) -> Result<(Reader, Head), RecordError> {
        let refused = |why| RecordError::Refused { path: path.to_owned(), why };
        let (file, _) = regular::open(path).map_err(refused)?;
        let (path, from) = (path.to_owned(), BufReader::new(file));
        let mut reader = Reader { path, from, line: 0, is_cut: false, longest: MAX_LINE };
        let Some(first) = reader.next_line()? else {
            let why = if reader.is_cut { "it ends inside its first line" } else { "it is empty" };
            return Err(reader.wrong(format!("{why}; a record begins with the engine's settings")));
        };
        match serde_json::from_slice::<Head>(&first) {
            Ok(head) if head.record == FORMAT => Ok((reader, head)),
            Ok(head) => Err(reader.wrong(format!("a record of format {}, allowed is {FORMAT}", head.record))),
            Err(error) => Err(reader.wrong(format!("a record begins with the engine's settings: {error}"))),
        }
    }

    /// The next line without its end; `None` at the end, or where the last line is cut off.
    ///
    /// # Errors
    /// It cannot be read, or has more than 1 GiB in a line.
    pub fn next_line(&mut self) -> Result<Option<Vec<u8>>, RecordError> {
        let mut line = Vec::new();
        let read = self.from.by_ref().take(self.longest).read_until(b'\n', &mut line);
        let read = read.map_err(|error| RecordError::Refused {
            path: self.path.clone(),
            why: regular::unread(&error),
        })?;
        if read as u64 == self.longest && line.last() != Some(&b'\n') {
            self.line += 1;
            let longest = self.longest;
            return Err(self.wrong(format!("it has {longest} bytes or more, which no line of a record has")));
        }
        if line.pop() != Some(b'\n') {
            self.is_cut |= read > 0;
            return Ok(None);
        }
        self.line += 1;
        Ok(Some(line))
    }

    /// Number of the line that was read last.
    pub fn line(&self) -> usize {
        self.line
    }

    /// Whether the record ends inside a line, behind the one that was read last.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// An error that names the line that was read last.
    pub(crate) fn wrong(&self, why: String) -> RecordError {
        RecordError::Line { path: self.path.clone(), line: self.line.max(1), why }
    }
}

/// The format that is written and read.
const FORMAT: u32 = 2;
const MODE: u32 = 0o600;
const DIGEST_CHARACTERS: usize = 16;
/// Most bytes of a line: far more than an engine's largest input takes.
const MAX_LINE: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn create(path: &Path) -> Result<Recorder, RecordError> {
        Recorder::begin(RecordFile::create(path)?, &Settings::new("gw1"))
    }

    #[test]
    fn a_record_is_a_new_file_for_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record");
        create(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
        let said = create(&path).unwrap_err().to_string();
        assert!(said.contains("there is a file already"), "{said}");
    }

    #[test]
    fn nothing_that_is_there_is_written_or_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("precious"), "text").unwrap();
        std::os::unix::fs::symlink(path("precious"), path("link")).unwrap();
        std::os::unix::fs::symlink(path("nowhere"), path("dangling")).unwrap();
        std::fs::create_dir(path("directory")).unwrap();
        nix::unistd::mkfifo(&path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        for (name, what) in [
            ("precious", "a file"),
            ("link", "a symbolic link"),
            ("dangling", "a symbolic link"),
            ("fifo", "a named pipe"),
            ("directory", "a directory"),
        ] {
            let said = create(&path(name)).unwrap_err().to_string();
            assert!(said.contains(&format!("there is {what} already")), "{name}: {said}");
        }
        assert_eq!(std::fs::read_to_string(path("precious")).unwrap(), "text");
        assert!(!path("nowhere").exists());
        assert!(
            Reader::open(&path("fifo")).unwrap_err().to_string().contains("fifo: is a named pipe, allowed")
        );
    }

    #[test]
    fn what_has_no_end_is_read_to_a_bound() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record");
        drop(create(&path).unwrap());
        let head = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&head, &b"0".repeat(64)[..], b"\n", &b"0".repeat(65)[..], b"\n"].concat())
            .unwrap();
        let (mut reader, _) = Reader::open(&path).unwrap();
        reader.longest = 65;
        assert_eq!(reader.next_line().unwrap().map(|line| line.len()), Some(64));
        let said = reader.next_line().unwrap_err().to_string();
        assert!(said.ends_with("record:3: it has 65 bytes or more, which no line of a record has"), "{said}");
        let said = Reader::open(Path::new("/dev/zero")).unwrap_err().to_string();
        assert_eq!(said, "/dev/zero: is a device, allowed is a regular file");
    }

    #[test]
    fn what_is_no_record_is_said_so() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record");
        for (text, said) in [
            ("", "it is empty; a record"),
            ("no line", "it ends inside its first line; a record"),
            ("{\"at\":1,\"input\":\"Tick\"}\n", "a record"),
            ("\n", "a record"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Reader::open(&path).unwrap_err().to_string();
            let expected = format!("record:1: {said} begins with the engine's settings");
            assert!(error.contains(&expected), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_record_whose_end_is_missing_is_told_from_a_whole_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record");
        drop(create(&path).unwrap());
        let head = std::fs::read(&path).unwrap();
        for (behind, lines, is_cut) in [("", 0, false), ("1\n", 1, false), ("1\n2", 1, true), ("1", 0, true)]
        {
            std::fs::write(&path, [&head, behind.as_bytes()].concat()).unwrap();
            let (mut reader, _) = Reader::open(&path).unwrap();
            let read = std::iter::from_fn(|| reader.next_line().unwrap()).count();
            assert_eq!((read, reader.is_cut()), (lines, is_cut), "{behind:?}");
        }
    }
}

//! The state directory: its files, and the one process that may use them.
//!
//! ```text
//! state.redb        everything, in redb's format
//! state.redb.new    the same while it is being made; without meaning after a crash
//! state.commit      the number of the newest acknowledged commit (see `mark`)
//! holder            locked (flock) by the process that uses the directory; says its process id
//! ```

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::StoreError;

/// Where the files of a store are.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    pub(super) dir: PathBuf,
    pub(super) state: PathBuf,
    pub(super) unfinished: PathBuf,
    pub(super) mark: PathBuf,
    holder: PathBuf,
}

impl Paths {
    /// The files in `dir`, which is created if it is missing, for its owner alone.
    pub(super) fn prepare(dir: &Path) -> Result<Self, StoreError> {
        let made = DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(dir);
        made.map_err(|e| StoreError::io("create state directory", dir, e))?;
        Ok(Self {
            dir: dir.to_path_buf(),
            state: dir.join("state.redb"),
            unfinished: dir.join("state.redb.new"),
            mark: dir.join("state.commit"),
            holder: dir.join("holder"),
        })
    }

    /// Makes new and renamed names in the directory durable.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        let synced = File::open(&self.dir).and_then(|dir| dir.sync_all());
        synced.map_err(|e| StoreError::io("sync state directory", &self.dir, e))
    }
}

/// Opens `path` for reading and writing, for its owner alone, made if it is missing.
pub(super) fn open_private(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(path)
        .map_err(|e| StoreError::io("open", path, e))
}

/// Holds the directory until it is dropped, however the process ends: the lock belongs to the open file.
#[derive(Debug)]
pub(super) struct Holder(#[expect(dead_code, reason = "kept open for its lock")] File);

impl Holder {
    /// Takes the directory for this process.
    ///
    /// # Errors
    /// [`StoreError::Held`] names the process that has it.
    pub(super) fn take(paths: &Paths) -> Result<Self, StoreError> {
        let mut file = open_private(&paths.holder)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Held { dir: paths.dir.clone(), pid: written_pid(&mut file) });
            }
            Err(TryLockError::Error(e)) => return Err(StoreError::io("lock", &paths.holder, e)),
        }
        sign(&mut file).map_err(|e| StoreError::io("write", &paths.holder, e))?;
        Ok(Self(file))
    }
}

fn sign(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

/// `None` if the holder has not written it yet, or somebody else wrote something into the file.
fn written_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// The documents say who is connected to what: for the daemon's user alone.
const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

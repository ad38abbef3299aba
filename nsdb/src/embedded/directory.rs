//! The state directory: its files, and the one process that may use them.
//!
//! ```text
//! state.redb        everything, in redb's format
//! state.redb.new    the same while it is being made; without meaning after a crash
//! state.commit      the number of the newest acknowledged commit (see `mark`)
//! holder            locked (flock) by the process that uses the directory; says its process id
//! ```
//! Nobody else may write into the directory, and none of its names leads out of it: what a symbolic link names would be written over.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

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
    ///
    /// # Errors
    /// [`StoreError::Exposed`] if it is there and others may change what is in it.
    pub(super) fn prepare(dir: &Path) -> Result<Self, StoreError> {
        let made = DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(dir);
        made.map_err(|e| StoreError::io("create state directory", dir, e))?;
        let metadata = std::fs::metadata(dir).map_err(|e| StoreError::io("look at", dir, e))?;
        check_access(dir, &metadata, DIRECTORY_MODE)?;
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
///
/// # Errors
/// [`StoreError::Exposed`] if something is there that leads elsewhere, is no file, or can be changed by others.
pub(super) fn open_private(path: &Path) -> Result<File, StoreError> {
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
        .open(path);
    let refused = |e| StoreError::io("open", path, e);
    let file = opened.map_err(|e| match path.is_symlink() {
        true => exposed(path, "is a symbolic link, which is not followed", "remove it"),
        false => refused(e),
    })?;
    let metadata = file.metadata().map_err(refused)?;
    if !metadata.is_file() {
        return Err(exposed(path, "is no regular file", "move it away"));
    }
    if metadata.nlink() > 1 {
        return Err(exposed(path, "has another name elsewhere (a hard link)", "move it away"));
    }
    check_access(path, &metadata, FILE_MODE)?;
    Ok(file)
}

/// Refuses what others than the owner may change, or what belongs to somebody who is neither this process nor root.
fn check_access(path: &Path, metadata: &Metadata, right: u32) -> Result<(), StoreError> {
    let (mode, owner) = (metadata.mode() & 0o7777, metadata.uid());
    if mode & WRITABLE_BY_OTHERS != 0 {
        let why = format!("has mode {mode:04o}, so that others can change it");
        return Err(exposed(path, why, format!("chmod {right:04o} {}", path.display())));
    }
    let ours = nix::unistd::geteuid().as_raw();
    if owner != ours && owner != ROOT {
        let why = format!("belongs to user {owner}, and this process runs as user {ours}");
        return Err(exposed(path, why, format!("chown {ours} {}", path.display())));
    }
    Ok(())
}

fn exposed(path: &Path, why: impl Into<String>, remedy: impl Into<String>) -> StoreError {
    StoreError::Exposed { path: path.to_path_buf(), why: why.into(), remedy: remedy.into() }
}

/// Which file a path led to when it was opened.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Identity {
    /// Of the open file `file`, which was opened by `path`. The number of an open file is not given to another.
    pub(super) fn of(path: &Path, file: &File) -> Result<Self, StoreError> {
        let metadata = file.metadata().map_err(|e| StoreError::io("look at", path, e))?;
        Ok(Self { path: path.to_path_buf(), device: metadata.dev(), inode: metadata.ino() })
    }

    /// Whether the path still leads to it.
    ///
    /// # Errors
    /// [`StoreError::Removed`] if it leads nowhere, or to another.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let found = std::fs::symlink_metadata(&self.path);
        match found.is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode)) {
            true => Ok(()),
            false => Err(StoreError::Removed { path: self.path.clone() }),
        }
    }
}

/// Holds the directory until it is dropped, however the process ends: the lock belongs to the open file.
#[derive(Debug)]
pub(super) struct Holder {
    identity: Identity,
    _locked: File,
}

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
        Ok(Self { identity: Identity::of(&paths.holder, &file)?, _locked: file })
    }

    /// The file that is locked.
    pub(super) fn identity(&self) -> &Identity {
        &self.identity
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
const WRITABLE_BY_OTHERS: u32 = 0o022;
const ROOT: u32 = 0;

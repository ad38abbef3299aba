//! A folder for an ensemble, which is gone with it; or with the next ensemble, if the process was killed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use tempfile::TempDir;

use crate::ServersError;

/// A folder below the system's folder for temporary files. An exclusive lock on it says that its owner lives.
#[derive(Debug)]
pub(crate) struct Folder {
    folder: TempDir,
    _lock: Flock<File>,
}

impl Folder {
    /// A new, empty one. Those of owners that were killed are removed.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn make() -> Result<Folder, ServersError> {
        Folder::make_in(&std::env::temp_dir())
    }

    fn make_in(parent: &Path) -> Result<Folder, ServersError> {
        remove_orphans(parent, GRACE);
        let made = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent);
        let folder = made.map_err(ServersError::system("make a folder for servers"))?;
        let what = format!("lock {}", folder.path().display());
        let lock = lock(folder.path()).ok_or_else(|| {
            ServersError::system(what)(std::io::Error::from(std::io::ErrorKind::WouldBlock))
        })?;
        Ok(Folder { folder, _lock: lock })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes the folders that nobody holds. What cannot be removed belongs to somebody else, or is tried again by the next.
fn remove_orphans(parent: &Path, grace: Duration) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    let ours = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX)) && path.is_dir()
    };
    for path in entries.flatten().map(|entry| entry.path()).filter(ours) {
        // One that was just made may not be locked yet.
        let age = fs::metadata(&path).ok().and_then(|about| about.modified().ok()?.elapsed().ok());
        if age.is_some_and(|age| age >= grace) && lock(&path).is_some() {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

/// The lock of a folder, if nobody has it.
fn lock(folder: &Path) -> Option<Flock<File>> {
    let file = File::open(folder).ok()?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).ok()
}

const PREFIX: &str = "l2gw-servers-";

const GRACE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_owner_is_removed_and_no_other() {
        let parent = tempfile::tempdir().unwrap();
        let held = Folder::make_in(parent.path()).unwrap();
        let orphan = parent.path().join(format!("{PREFIX}orphan"));
        let other = parent.path().join("other");
        fs::create_dir_all(orphan.join("data")).unwrap();
        fs::create_dir(&other).unwrap();

        remove_orphans(parent.path(), GRACE);
        assert!(orphan.exists(), "it is too young to tell");
        remove_orphans(parent.path(), Duration::ZERO);
        assert!(!orphan.exists() && other.exists() && held.path().exists());
    }
}

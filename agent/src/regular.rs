//! Regular files that people name: opened so that none of them keeps the reader waiting, and what is said of one that cannot be read.

use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;

/// Opens the regular file at `path`. Never waits for a writer, and opens no device.
///
/// # Errors
/// What is to be said of it, behind its name: `does not exist`, `is a device, allowed is a regular file`.
pub fn open(path: &Path) -> Result<(File, Metadata), String> {
    // Looked at first, because opening some devices already does something to them.
    must_be_regular(&path.metadata().map_err(|error| unread(&error))?)?;
    let file = OpenOptions::new()
        .read(true)
        // If it became a FIFO since, open must not wait for a writer.
        .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
        .open(path)
        .map_err(|error| unread(&error))?;
    let metadata = file.metadata().map_err(|error| unread(&error))?;
    must_be_regular(&metadata)?;
    Ok((file, metadata))
}

/// The bytes of the regular file at `path`, which may have `most` of them. Never waits for a writer, and opens no device.
///
/// # Errors
/// What is to be said of the file, behind its name: `does not exist`, `is a device, allowed is a regular file`.
pub fn read_bytes(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let (file, metadata) = open(path)?;
    if metadata.len() > most {
        return Err(too_large(metadata.len(), most));
    }
    read_bounded(file, most)
}

/// What `from` has, which may be `most` bytes. The size in an inode is not to be trusted: files of /proc say 0, and a file may grow.
///
/// # Errors
/// What is to be said of it, behind its name.
pub fn read_bounded(from: impl Read, most: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = from.take(most + 1).read_to_end(&mut bytes).map_err(|error| unread(&error))?;
    if read as u64 > most { Err(too_large(read as u64, most)) } else { Ok(bytes) }
}

fn too_large(bytes: u64, most: u64) -> String {
    format!("has {bytes} bytes or more, allowed are {most} ({} MiB)", most >> 20)
}

fn must_be_regular(metadata: &Metadata) -> Result<(), String> {
    match metadata.is_file() {
        true => Ok(()),
        false => Err(format!("is {}, allowed is a regular file", kind(metadata.file_type()))),
    }
}

/// What something is: `a named pipe`.
pub fn kind(of: FileType) -> &'static str {
    match of {
        of if of.is_file() => "a file",
        of if of.is_dir() => "a directory",
        of if of.is_symlink() => "a symbolic link",
        of if of.is_fifo() => "a named pipe",
        of if of.is_socket() => "a socket",
        _ => "a device",
    }
}

/// Why something cannot be read, behind its name.
pub fn unread(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "cannot be read: permission denied".to_owned(),
        io::ErrorKind::NotADirectory => "cannot be read: a part of its path is not a directory".to_owned(),
        _ => format!("cannot be read: {}", error.to_string().to_lowercase()),
    }
}

/// Why something cannot be made, behind its name.
pub fn unmade(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "cannot be made: its directory does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "cannot be made: permission denied".to_owned(),
        io::ErrorKind::NotADirectory => "cannot be made: a part of its path is not a directory".to_owned(),
        _ => format!("cannot be made: {}", error.to_string().to_lowercase()),
    }
}

//! A file's bytes or text, read so that no file can block, exhaust or confuse the reader.

use std::io::Read;
use std::path::Path;

use agent::regular;

use super::finding::{Finding, Problems};
use super::position::Positions;
use super::scan;

/// Most bytes that a configuration may have.
pub const MAX_BYTES: u64 = 16 << 20;

/// Most values that a configuration may have, keys and tables counted as several: a gateway of every VLAN with three ports each has a
/// third of that.
const MOST_VALUES: usize = 1 << 20;

/// What is said of a file that declares nothing.
pub(super) const EMPTY: &str = "is empty, allowed is a configuration such as examples/gateway.example.toml";

/// The text of the file at `path`, without a byte order mark.
///
/// # Errors
/// One problem: missing, unreadable, not a regular file, over [`MAX_BYTES`], empty, or not UTF-8.
pub(super) fn read(path: &Path) -> Result<String, Problems> {
    let file = path.display().to_string();
    let bytes = read_bytes(path, MAX_BYTES).map_err(|text| Problems::of_file(&file, text))?;
    text_of(bytes).map_err(|mistake| Problems::new(&file, vec![mistake], 0))
}

/// What is said of a text that would take more memory than a configuration is worth, before it is read: a value of one byte takes
/// a hundred and more.
pub(super) fn too_much(text: &str) -> Option<String> {
    let weight = scan::weight(text);
    let text =
        format!("has {weight} values, a key counted as three and a table as four, allowed are {MOST_VALUES}");
    (weight > MOST_VALUES).then_some(text)
}

/// The bytes of the regular file at `path`, which may have `most` of them. Never waits for a writer, and opens no device.
///
/// # Errors
/// What is to be said of the file, behind its name: `does not exist`, `is a device, allowed is a regular file`.
pub fn read_bytes(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let (file, metadata) = regular::open(path)?;
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
    let read = from.take(most + 1).read_to_end(&mut bytes).map_err(|error| regular::unread(&error))?;
    if read as u64 > most { Err(too_large(read as u64, most)) } else { Ok(bytes) }
}

fn too_large(bytes: u64, most: u64) -> String {
    format!("has {bytes} bytes or more, allowed are {most} ({} MiB)", most >> 20)
}

fn text_of(bytes: Vec<u8>) -> Result<String, Finding> {
    if bytes.is_empty() {
        return Err(Finding::of_file(EMPTY.to_owned()));
    }
    let text = String::from_utf8(bytes).map_err(|e| not_utf8(e.as_bytes(), e.utf8_error().valid_up_to()))?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

fn not_utf8(bytes: &[u8], valid: usize) -> Finding {
    let before = String::from_utf8_lossy(&bytes[..valid]);
    let position = Positions::new(&before).at(valid);
    let byte = bytes.get(valid).copied().unwrap_or_default();
    Finding {
        line: position.line,
        column: position.column,
        key: String::new(),
        text: format!("byte {byte:#04x} at offset {valid} is not UTF-8, allowed is UTF-8 text only"),
    }
}

//! A file's bytes or text, read so that no file can block, exhaust or confuse the reader.

use std::path::Path;

use super::finding::{Finding, Problems};
use super::position::Positions;
use super::scan;
use crate::regular;

/// Most bytes that a configuration may have.
pub const MAX_BYTES: u64 = 16 << 20;

/// Most values that a configuration may have; a key and a table count as several. A gateway of every VLAN with three ports each has a
/// third of that.
const MOST_VALUES: usize = 1 << 20;

/// The text of the file at `path`, without a byte order mark.
///
/// # Errors
/// One problem: missing, unreadable, not a regular file, over [`MAX_BYTES`], or not UTF-8.
pub fn read(path: &Path) -> Result<String, Problems> {
    let file = path.display().to_string();
    let bytes = regular::read_bytes(path, MAX_BYTES).map_err(|text| Problems::of_file(&file, text))?;
    text_of(bytes).map_err(|mistake| Problems::new(&file, vec![mistake], 0))
}

/// Why a text is refused before it is read, if it would take too much memory: a value of one byte takes a hundred and more.
pub(super) fn too_much(text: &str) -> Option<String> {
    let weight = scan::weight(text);
    let text =
        format!("has {weight} values, a key counted as three and a table as four, allowed are {MOST_VALUES}");
    (weight > MOST_VALUES).then_some(text)
}

fn text_of(bytes: Vec<u8>) -> Result<String, Finding> {
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

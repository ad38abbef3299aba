//! The number of the newest acknowledged commit, kept beside the database.
//!
//! redb commits with one flush and falls back to the commit before when the newest does not verify: after a power cut
//! that one was never acknowledged, so this is right. But a newest commit that was acknowledged and damaged *later*
//! looks the same, and the fallback would silently lose it; so would an old copy of the file put in its place. Each
//! commit therefore carries its number, and after it is durable the number is also written here. A database that
//! is older than its mark is refused.
//!
//! The mark is written in place, without a flush of its own. After a power cut it may be older than the database, which
//! is harmless; it can never be newer. Its 64 bytes lie in one sector, which a disk writes whole.

use std::fs::File;
use std::os::unix::fs::FileExt;

use tracing::warn;

use crate::digest::checksum;
use crate::embedded::directory::{Identity, Paths, open_private};
use crate::error::{Corruption, Extent, StoreError};

/// The mark of an open store.
#[derive(Debug)]
pub(super) struct Mark {
    file: File,
    identity: Identity,
    paths: Paths,
}

impl Mark {
    /// Opens the mark, made if it is missing, and reads the number in it: `None` if there is none that can be read.
    pub(super) fn open(paths: &Paths) -> Result<(Self, Option<u64>), StoreError> {
        let file = open_private(&paths.mark)?;
        let mut line = [0; LINE_BYTES];
        let number = match file.read_exact_at(&mut line, 0) {
            Ok(()) => parse(&line),
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => None,
            Err(e) => return Err(StoreError::io("read", &paths.mark, e)),
        };
        if number.is_none() && file.metadata().is_ok_and(|metadata| metadata.len() > 0) {
            // Only a warning: the database verifies itself, and the mark is written anew with the next commit.
            warn!(file = %paths.mark.display(), "the commit mark is damaged and cannot vouch for the newest commit");
        }
        let identity = Identity::of(&paths.mark, &file)?;
        Ok((Self { file, identity, paths: paths.clone() }, number))
    }

    /// The file that it is in.
    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Notes that commit `number` is durable.
    pub(super) fn note(&self, number: u64) {
        if let Err(error) = self.file.write_all_at(&format(number), 0) {
            // The commit itself is safe; an older mark only vouches for less.
            warn!(file = %self.paths.mark.display(), %error, "cannot write the commit mark");
        }
    }
}

/// Refuses a database whose newest commit is `found` if `noted` was acknowledged.
pub(super) fn check(paths: &Paths, noted: Option<u64>, found: u64) -> Result<(), StoreError> {
    match noted {
        Some(noted) if noted > found => Err(StoreError::corrupt(Corruption {
            file: paths.state.clone(),
            place: format!("commit {noted}"),
            why: format!("it was acknowledged and is damaged or gone, the newest readable one is {found}"),
            remedy: format!(
                "restore a copy of the state directory, or remove {} to go on from commit {found}",
                paths.mark.display()
            ),
            extent: Extent::File,
        })),
        _ => Ok(()),
    }
}

fn format(number: u64) -> [u8; LINE_BYTES] {
    let mut line = [b' '; LINE_BYTES];
    let text = format!("{PREFIX}{number:020}");
    let sum: String = checksum(&[text.as_bytes()])[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    for (place, byte) in line.iter_mut().zip(format!("{text} {sum}").bytes()) {
        *place = byte;
    }
    line[LINE_BYTES - 1] = b'\n';
    line
}

fn parse(line: &[u8; LINE_BYTES]) -> Option<u64> {
    let text = std::str::from_utf8(line).ok()?;
    let number = text.strip_prefix(PREFIX)?.split(' ').next()?.parse().ok()?;
    (format(number) == *line).then_some(number)
}

/// Reads the beginning of bytes as a mark, if it is one, and writes it again.
pub(crate) fn reread_mark(bytes: &[u8]) -> Result<(), String> {
    let Some(line) = bytes.first_chunk() else { return Ok(()) };
    match parse(line) {
        Some(number) if format(number) != *line => Err(format!("mark {number} was written otherwise")),
        _ => Ok(()),
    }
}

const PREFIX: &str = "l2gw commit ";
const LINE_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_one_line_and_every_flipped_byte_shows() {
        let line = format(42);
        assert!(line.starts_with(b"l2gw commit 00000000000000000042 ") && line.ends_with(b" \n"));
        assert_eq!(parse(&line), Some(42));
        for at in 0..LINE_BYTES {
            let mut flipped = line;
            flipped[at] ^= 1;
            assert_eq!(parse(&flipped), None, "byte {at}");
        }
    }
}

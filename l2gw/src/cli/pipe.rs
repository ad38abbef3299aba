//! A reader of the output may leave early. What is then written goes nowhere, and the exit code is still that of what was done.

use std::io::{self, ErrorKind, Write};

/// A writer whose reader may close its end.
pub(super) struct MayClose<W>(pub(super) W);

impl<W: Write> Write for MayClose<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.write(bytes) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(bytes.len()),
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0.flush() {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            flushed => flushed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fails(ErrorKind);

    impl Write for Fails {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn only_a_reader_that_left_is_no_failure() {
        let mut left = MayClose(Fails(ErrorKind::BrokenPipe));
        assert!(left.write_all(b"a row").is_ok() && left.flush().is_ok());
        let mut full = MayClose(Fails(ErrorKind::StorageFull));
        assert!(full.write_all(b"a row").is_err() && full.flush().is_err());
    }
}

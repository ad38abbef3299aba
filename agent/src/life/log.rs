//! The log of a daemon: which lines, and that they show nothing else than there is.

use std::io::{self, Write};

use tracing::warn;
use tracing_subscriber::EnvFilter;
use vlan::model::shown::printable;

/// Starts the log, on standard error: as `L2GW_LOG` says, which takes the directives of `tracing_subscriber`'s `EnvFilter`.
pub fn start() {
    let given = std::env::var_os("L2GW_LOG");
    let given = given.map(|given| EnvFilter::try_new(given.to_string_lossy()));
    let (filter, mistake) = match given {
        None => (LOG.into(), None),
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (LOG.into(), Some(error)),
    };
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(standard_error)
        .with_ansi(false)
        .try_init();
    if let Some(error) = mistake {
        warn!(%error, "the log is as without L2GW_LOG, which cannot be understood");
    }
}

fn standard_error() -> Shown<io::Stderr> {
    Shown(io::stderr())
}

/// Standard error of a log. Each write is one message. What would make a terminal show something else than there is becomes an
/// escape. A further line is indented, so that none looks like a message of its own. Values of fields come from links, files and other
/// programs.
struct Shown<W>(W);

impl<W: Write> Write for Shown<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let message = lines(text.strip_suffix('\n').unwrap_or(&text)).replace('\n', GOES_ON);
        writeln!(self.0, "{message}")?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The same lines, as a terminal may be shown them.
pub fn lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// What is logged unless told otherwise. At the end netlink's own tasks complain that nobody listens any more. What
/// the client of Cassandra meets is told once, by the event `journal-away`.
const LOG: &str = "info,netlink_proto=error,scylla=off";
/// How a line of the log goes on.
const GOES_ON: &str = "\n    ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_keeps_its_lines_and_shows_nothing_else_than_there_is() {
        let mut log = Vec::new();
        Shown(&mut log).write_all("one \u{1b}[31m\nINFO of one \u{202e} ß\n".as_bytes()).unwrap();
        Shown(&mut log).write_all(b"two \xff\n").unwrap();
        let said = String::from_utf8(log).unwrap();
        assert_eq!(said, "one \\u{1b}[31m\n    INFO of one \\u{202e} ß\ntwo \u{fffd}\n");
    }
}

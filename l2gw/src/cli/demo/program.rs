//! Programs that the demo runs, and what can be wrong with them.

use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

/// Something of the demo's own setting failed, not the gateway.
#[derive(Debug, thiserror::Error)]
pub(super) enum LabError {
    /// A program is missing or cannot be run.
    #[error("cannot run {program}: {source}; the demo needs root, iproute2 and iputils-ping")]
    Program {
        /// Its name.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// A step failed.
    #[error("{step}: {said}")]
    Step {
        /// The command line, or what it was about.
        step: String,
        /// What was said.
        said: String,
    },
    /// The daemon did not come up.
    #[error("the daemon was not ready within {seconds} s; it said:\n{log}")]
    Daemon {
        /// How long it was waited for.
        seconds: u64,
        /// Its log.
        log: String,
    },
}

/// A program that goes on running, killed on drop.
pub(super) struct Running {
    pub(super) child: Child,
}

impl Running {
    /// Starts a program; standard error is as the command says, nothing is to be read from it otherwise.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn start(command: &mut Command) -> Result<Running, LabError> {
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command.stdin(Stdio::null()).spawn();
        Ok(Running { child: child.map_err(|source| LabError::Program { program, source })? })
    }

    /// Kills it at once, as a crash would.
    pub(super) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A command that runs in a network namespace.
pub(super) fn inside(namespace: &str, program: impl Into<PathBuf>) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(program.into());
    command
}

/// Runs a command line, split at white space, to its end.
///
/// # Errors
/// It cannot be run, or exits with anything but 0.
pub(super) fn shell(line: &str) -> Result<String, LabError> {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    finish(command.args(words))
}

/// Runs a command to its end and gives what it printed.
///
/// # Errors
/// It cannot be run, or exits with anything but 0.
pub(super) fn finish(command: &mut Command) -> Result<String, LabError> {
    let output = output(command)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    let step = format!("{} {}", command.get_program().to_string_lossy(), words.join(" "));
    Err(LabError::Step { step, said: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
}

/// Runs a command to its end, whatever that is.
///
/// # Errors
/// It cannot be run.
pub(super) fn output(command: &mut Command) -> Result<Output, LabError> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).output().map_err(|source| LabError::Program { program, source })
}

/// The path of this program.
pub(super) fn own_path() -> PathBuf {
    std::env::current_exe().unwrap_or_else(|_| PathBuf::from("l2gw"))
}

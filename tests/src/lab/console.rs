//! The console by which a program in a machine of ours is heard outside, and the program that is given it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Stdio};

use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};

use super::job::Job;

/// Opens a console raw, so that no byte is changed on the way.
///
/// # Errors
/// There is none, or it is no terminal.
pub fn open(path: &str) -> Result<File, String> {
    let console = OpenOptions::new().read(true).write(true).custom_flags(nix::libc::O_NOCTTY).open(path);
    let console = console.map_err(|e| format!("cannot open {path}: {e}"))?;
    let mut mode = tcgetattr(&console).map_err(|e| format!("{path} is no terminal: {e}"))?;
    cfmakeraw(&mut mode);
    tcsetattr(&console, SetArg::TCSANOW, &mode).map_err(|e| format!("cannot make {path} raw: {e}"))?;
    Ok(console)
}

/// The program of a job, which writes to a console and reads nothing.
///
/// # Errors
/// The console cannot be shared.
pub fn program(job: &Job, console: &File) -> Result<Command, String> {
    let output =
        || console.try_clone().map(Stdio::from).map_err(|e| format!("cannot share the console: {e}"));
    let mut command = Command::new(&job.exec);
    command
        .args(&job.args)
        .env_clear()
        .envs(job.env.iter().map(|(name, value)| (name, value)))
        .current_dir(&job.cwd)
        .stdin(Stdio::null())
        .stdout(output()?)
        .stderr(output()?);
    Ok(command)
}

/// Why a job's program did not start.
pub fn cannot_run(job: &Job, error: &std::io::Error) -> String {
    format!("cannot run {} in {}: {error}", job.exec.display(), job.cwd.display())
}

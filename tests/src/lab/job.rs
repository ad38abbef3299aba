//! What a test kernel is asked to do, and how it says what came of it.
//!
//! Both travel through the job directory, the only place that a test kernel shares with its host: the lab writes
//! [`JOB_FILE`] before the boot, `lab-init` writes [`STATUS_FILE`] before it powers off.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The file in the job directory that holds the [`Job`], as JSON.
pub const JOB_FILE: &str = "job.json";

/// The file in the job directory that holds the [`Status`], as JSON.
pub const STATUS_FILE: &str = "status.json";

/// Environment of PID 1: the job directory, as a path of the host.
pub const JOB_VARIABLE: &str = "LAB_JOB";

/// Environment of a test that runs inside a test kernel; its value is `1`.
pub const INSIDE_VARIABLE: &str = "LAB_INSIDE";

/// Where the job directory is mounted inside the test kernel.
pub const JOB_MOUNT: &str = "/mnt/job";

/// One program to run inside a test kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The program, as an absolute path.
    pub exec: PathBuf,
    /// Its arguments, without the name of the program.
    pub args: Vec<String>,
    /// Its whole environment.
    pub env: Vec<(String, String)>,
    /// Its working directory, absolute.
    pub cwd: PathBuf,
    /// Kernel modules to insert first, by name; `?` before a name allows that this kernel has none of that name.
    pub modules: Vec<String>,
    /// Directories of the host that must stay visible, read-only, where a tmpfs would hide them.
    pub windows: Vec<PathBuf>,
    /// Seconds after which the program is killed; 0 for never.
    pub limit_secs: u64,
}

impl Job {
    /// Writes the job into its directory.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, directory: &Path) -> std::io::Result<()> {
        std::fs::write(directory.join(JOB_FILE), serde_json::to_vec_pretty(self)?)
    }

    /// Reads the job from its directory.
    ///
    /// # Errors
    /// The file cannot be read or is not a job.
    pub fn read(directory: &Path) -> std::io::Result<Self> {
        Ok(serde_json::from_slice(&std::fs::read(directory.join(JOB_FILE))?)?)
    }
}

/// How a program in a test kernel ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It returned this exit code.
    Exited(i32),
    /// It was killed by the signal of this number.
    Signalled(i32),
    /// It ran for longer than this many seconds and was killed.
    TimedOut(u64),
    /// It was never started, or PID 1 failed beside it; the text says where.
    InitFailed(String),
    /// The test kernel ended without a word.
    KernelDied,
}

impl Status {
    /// Whether the program ran to its end and was content.
    pub fn is_success(&self) -> bool {
        *self == Self::Exited(0)
    }

    /// Writes the status into the job directory and waits until it is on the host.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, directory: &Path) -> std::io::Result<()> {
        use std::io::Write;
        let mut file = std::fs::File::create(directory.join(STATUS_FILE))?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()
    }

    /// Reads the status from the job directory; a missing or broken file is [`Status::KernelDied`].
    pub fn read(directory: &Path) -> Self {
        std::fs::read(directory.join(STATUS_FILE))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or(Self::KernelDied)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit code {code}"),
            Self::Signalled(signal) => write!(f, "killed by signal {signal}"),
            Self::TimedOut(secs) => write!(f, "killed after {secs} s without an end"),
            Self::InitFailed(why) => write!(f, "lab-init failed: {why}"),
            Self::KernelDied => write!(f, "the test kernel ended without a status"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_read_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let job = Job {
            exec: "/bin/with space".into(),
            args: vec!["--exact".into(), "a b\n".into()],
            env: vec![("K".into(), "v=1".into())],
            cwd: "/".into(),
            modules: vec!["openvswitch".into(), "?bonding".into()],
            windows: vec!["/tmp/x".into()],
            limit_secs: 7,
        };
        job.write(directory.path()).unwrap();
        assert_eq!(Job::read(directory.path()).unwrap(), job);
    }

    #[test]
    fn no_status_or_a_torn_one_means_that_the_kernel_died() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Status::read(directory.path()), Status::KernelDied);
        std::fs::write(directory.path().join(STATUS_FILE), b"{\"Exi").unwrap();
        assert_eq!(Status::read(directory.path()), Status::KernelDied);
        Status::Signalled(11).write(directory.path()).unwrap();
        assert_eq!(Status::read(directory.path()), Status::Signalled(11));
    }
}

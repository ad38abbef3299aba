//! Where Java and ZooKeeper are, and what a server is started as.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::ServersError;
use crate::options::Options;

/// A Java that can be run, and the servers' libraries.
#[derive(Debug, Clone)]
pub(crate) struct Java {
    program: PathBuf,
}

/// Finds Java and what Debian's `libzookeeper-java` has.
///
/// # Errors
/// Either is missing.
pub(crate) fn find() -> Result<Java, ServersError> {
    let program = program()?;
    for jar in JARS {
        if !Path::new(jar).exists() {
            return Err(ServersError::NotInstalled(jar.to_owned()));
        }
    }
    Ok(Java { program })
}

/// Finds Java alone.
///
/// # Errors
/// It is missing.
pub(crate) fn program() -> Result<PathBuf, ServersError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut programs = std::env::split_paths(&path).map(|folder| folder.join("java"));
    programs.find(|file| file.is_file()).ok_or_else(|| ServersError::NotInstalled("java".to_owned()))
}

/// The command that runs Java in a folder and writes into the log there. One compiler and one collector: a server starts sooner, takes less
/// memory and leaves the CPUs to the test. No file in /tmp.
///
/// # Errors
/// The log cannot be opened.
pub(crate) fn in_folder(program: &Path, folder: &Path) -> io::Result<Command> {
    let log = File::options().create(true).append(true).open(folder.join(LOG))?;
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).current_dir(folder);
    command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData"]);
    Ok(command)
}

impl Java {
    /// The command that runs a server in the foreground. `folder` is for what it writes besides its data: its log, Java's own files.
    ///
    /// # Errors
    /// The log cannot be opened.
    pub(crate) fn server(
        &self,
        options: &Options,
        configuration: &Path,
        folder: &Path,
    ) -> io::Result<Command> {
        let yes_no = if options.forces_sync { "yes" } else { "no" };
        let mut command = in_folder(&self.program, folder)?;
        command.arg("-Xms16m").arg(format!("-Xmx{}m", options.heap_mib));
        let mut property = |name: &str, value: &str| {
            command.arg(format!("-D{name}={value}"));
        };
        property("java.io.tmpdir", &folder.to_string_lossy());
        property("org.slf4j.simpleLogger.defaultLogLevel", "warn");
        property("org.slf4j.simpleLogger.showDateTime", "true");
        property("org.slf4j.simpleLogger.dateTimeFormat", "HH:mm:ss.SSS");
        property("zookeeper.preAllocSize", &options.pre_alloc_kib.to_string());
        property("zookeeper.forceSync", yes_no);
        for (name, value) in &options.properties {
            property(name, value);
        }
        command.arg("-cp").arg(JARS.join(":")).arg(MAIN).arg(configuration);
        Ok(command)
    }
}

/// The last lines that the server in a folder wrote.
pub(crate) fn last_lines(folder: &Path) -> String {
    let text = fs::read(folder.join(LOG)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

/// What the server writes, in its folder.
const LOG: &str = "log";

const LAST_LINES: usize = 20;

/// The server, which names all that it needs in its manifest, and one logger.
const JARS: [&str; 2] = ["/usr/share/java/zookeeper.jar", "/usr/share/java/slf4j-simple.jar"];

const MAIN: &str = "org.apache.zookeeper.server.quorum.QuorumPeerMain";

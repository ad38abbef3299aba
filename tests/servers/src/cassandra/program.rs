//! Where Java and Cassandra are, and what a node is started as.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::ServersError;
use crate::java;

/// A Java that can be run, and Cassandra's libraries.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    java: PathBuf,
    libraries: PathBuf,
}

/// Finds Java, and what `tests/setup/cassandra.sh` has fetched into the build directory: the one that this program is in.
///
/// # Errors
/// Either is missing.
pub(crate) fn find() -> Result<Program, ServersError> {
    let java = java::program()?;
    let program = std::env::current_exe().map_err(ServersError::system("tell the path of this program"))?;
    let folders = program.ancestors().map(|folder| folder.join(FOLDER));
    let fetched = folders.into_iter().find(|folder| folder.join(COMPLETE).exists());
    let libraries = fetched.ok_or(ServersError::NotFetched(FOLDER))?.join("lib");
    Ok(Program { java, libraries })
}

impl Program {
    /// The command that runs a node in the foreground. `folder` has its configuration, and is for what it writes besides its data.
    ///
    /// # Errors
    /// The log cannot be opened.
    pub(crate) fn node(&self, heap_mib: u32, folder: &Path) -> io::Result<Command> {
        let mut command = java::in_folder(&self.java, folder)?;
        command.args(["-Xms64m", "-Xss384k", "-XX:+ExitOnOutOfMemoryError"]);
        command.arg(format!("-Xmx{heap_mib}m"));
        for module in MODULES {
            for option in ["--add-opens", "--add-exports"] {
                command.arg(option).arg(format!("{module}=ALL-UNNAMED"));
            }
        }
        for (name, value) in PROPERTIES {
            command.arg(format!("-D{name}={value}"));
        }
        let file = |name: &str| folder.join(name).display().to_string();
        command.arg(format!("-Djava.io.tmpdir={}", folder.display()));
        command.arg(format!("-Dcassandra.storagedir={}", file(DATA)));
        command.arg(format!("-Dcassandra.config=file://{}", file(CONFIGURATION)));
        command.arg(format!("-Dlogback.configurationFile={}", file(LOGGING)));
        command.arg("-cp").arg(self.libraries.join("*")).arg(MAIN);
        Ok(command)
    }
}

/// A node's data, its configuration and that of its log, in its folder.
pub(crate) const DATA: &str = "data";
pub(crate) const CONFIGURATION: &str = "cassandra.yaml";
pub(crate) const LOGGING: &str = "logback.xml";

/// As `tests/setup/cassandra.sh` names it, with the mark that all has come.
const FOLDER: &str = "cassandra-5.0.8";
const COMPLETE: &str = ".complete";

/// A node that is alone waits for no other: not for a ring, not for gossip, not before it makes its first role. Without a JMX port there is none.
const PROPERTIES: [(&str, &str); 8] = [
    ("jdk.attach.allowAttachSelf", "true"),
    ("io.netty.tryReflectionSetAccessible", "true"),
    ("cassandra-foreground", "yes"),
    ("cassandra.superuser_setup_delay_ms", "0"),
    ("cassandra.ring_delay_ms", "100"),
    ("cassandra.skip_wait_for_gossip_to_settle", "0"),
    ("cassandra.initial_token", "0"),
    ("cassandra.allow_unsafe_join", "true"),
];

/// What Cassandra reaches into, as its own `jvm17-server.options` says.
const MODULES: [&str; 15] = [
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.lang.reflect",
    "java.base/java.net",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/jdk.internal.misc",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/sun.nio.ch",
    "java.management/com.sun.jmx.remote.security",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.rmi/sun.rmi.transport.tcp",
];

const MAIN: &str = "org.apache.cassandra.service.CassandraDaemon";

//! `l2gw store init` on real ZooKeeper servers, straight and through a tunnel, and what `--nsdb` does there with no daemon in between.

// Clippy sees tests only where it sees #[test]; what these share is test code too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod direct;
mod init;
mod killed;
mod tunnel;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a command said: its exit code, standard output, standard error.
type Said = (i32, String, String);

fn l2gw(words: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_l2gw")).args(words).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A file whose store is on these servers, `HOST:PORT,HOST:PORT`.
fn file(folder: &Path, servers: &str, auth_file: Option<&Path>) -> PathBuf {
    let servers: Vec<String> = servers.split(',').map(|server| format!("\"{server}\"")).collect();
    let auth = auth_file.map(|path| format!("auth-file = \"{}\"\n", path.display())).unwrap_or_default();
    let text =
        format!("[nsdb]\nbackend = \"zookeeper\"\nservers = [{}]\n{auth}[hosts.gw1]\n", servers.join(", "));
    let path = folder.join("gateway.toml");
    fs::write(&path, text).unwrap();
    path
}

fn login(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join(text.split(':').next().unwrap());
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

const GATEWAY: &str = "gateway:0123456789abcdef";
const AGENT: &str = "agent:fedcba9876543210";

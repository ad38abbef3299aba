//! What a host is started with unless it is told otherwise, and what it may be told: for the command lines of all programs, and for files.

use std::path::{Path, PathBuf};

use clap::builder::{PathBufValueParser, TypedValueParser};
use vlan::model::value::{self, Range};

/// The file of `l2gw-agent`, which may be missing.
pub const DEFAULT_FILE: &str = "/etc/l2gw/agent.toml";
/// Where a daemon listens.
pub const DEFAULT_SOCKET: &str = "/run/l2gw/l2gw.sock";
/// The kernel's datapath and its own link.
pub const DEFAULT_DEVICE: &str = "l2gw";
/// First frames that a port may bring up in a second; 0 is no limit.
pub const UPCALL_RATES: Range = Range { first: 0, last: u32::MAX, unit: "frames a second" };

/// Refuses what no socket can have for a path.
///
/// # Errors
/// What is wrong, behind the path, and what is allowed.
pub fn check_socket(path: &Path) -> Result<(), String> {
    match path.as_os_str().len() {
        0 => Err("it is empty, allowed is a path".to_owned()),
        bytes if bytes > LONGEST_SOCKET => {
            Err(format!("it has {bytes} bytes, a socket's path has at most {LONGEST_SOCKET}"))
        }
        _ => Ok(()),
    }
}

/// A socket's path on a command line.
pub fn socket_path() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| check_socket(&path).map(|()| path))
}

/// The name of a datapath and of its link on a command line: one that a link may have.
///
/// # Errors
/// What is wrong with it, and what is allowed.
pub fn device_name(text: &str) -> Result<String, String> {
    value::link(text).map(|()| text.to_owned())
}

/// `sun_path` of unix(7), less its end.
const LONGEST_SOCKET: usize = 107;

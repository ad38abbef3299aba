//! The command line's grammar of `l2gw-agent`.

use std::path::PathBuf;

use clap::Parser;

use crate::config::defaults::{device_name, socket_path};
use crate::config::place::{StorePlace, store_place};
use crate::start::Choice;

/// Runs one host, in the foreground. The topology comes from the store: `l2gw apply FILE` brings it in by the socket.
#[derive(Debug, Parser)]
#[command(name = "l2gw-agent", version, max_term_width = 100, after_help = HELP)]
pub struct Arguments {
    /// The configuration file; /etc/l2gw/agent.toml if not given, which may be missing
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Say what the file and these options come to, or every mistake at once, and open nothing else
    #[arg(long)]
    pub check: bool,
    /// With --check, one JSON object
    #[arg(long, requires = "check")]
    pub json: bool,
    /// Which host this is; the file's host, or the hostname
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    /// Where the network's state is: embedded:DIR, which is made if it is missing, or zookeeper:HOST:PORT,HOST:PORT/ROOT;
    /// the file's [nsdb], or embedded:/var/lib/l2gw
    #[arg(long, value_name = "STORE", value_parser = store_place())]
    pub nsdb: Option<StorePlace>,
    /// A file with user:password for ZooKeeper, which not everybody can read; the file's nsdb.auth-file
    #[arg(long, value_name = "FILE")]
    pub auth_file: Option<PathBuf>,
    /// The socket that `l2gw show`, `plan`, `apply` and the others ask, mode 0660; the file's, or /run/l2gw/l2gw.sock
    #[arg(long, value_name = "PATH", value_parser = socket_path())]
    pub socket: Option<PathBuf>,
    /// What forwards; the file's datapath, or auto
    #[arg(long, value_enum)]
    pub datapath: Option<Choice>,
    /// Name of the kernel's datapath and of its own link; the file's device, or l2gw
    #[arg(long, value_name = "NAME", value_parser = device_name)]
    pub device: Option<String>,
    /// First frames of conversations that a port may bring up to the daemon in a second, half of them of one VLAN;
    /// 0 is no limit; the file's upcall-rate, or 5000
    #[arg(long, value_name = "FRAMES")]
    pub upcall_rate: Option<u32>,
    /// Remove the kernel's datapath at the end, so that nothing is forwarded any more
    #[arg(long)]
    pub teardown: bool,
    /// Write every input of the engine to this new file, for `l2gw replay` and a bug report; it holds frames
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
}

const HELP: &str = "\
Options win over the file. A host that has run before goes on with the topology
that was in force; a new one waits for its first.

  l2gw-agent --host gw1 &
  l2gw apply gateway.toml

  SIGTERM, SIGINT  stop in order. The kernel goes on forwarding by the flows it
                   has, unless --teardown was given
  SIGHUP           changes nothing: there is no file to read again

Exits 0 when it was stopped, 1 if it failed, 64 of wrong usage, 78 of a bad
configuration, before anything is opened. Logs go to standard error;
L2GW_LOG=debug says more. It needs CAP_NET_ADMIN, but for --datapath fake.";

#[cfg(test)]
mod tests {
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::OsStrExt;

    use super::*;
    use crate::config::Config;
    use crate::config::store::Nsdb;

    fn parsed(words: &[&str]) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(["l2gw-agent"].iter().chain(words))
    }

    #[test]
    fn a_directory_of_any_bytes_is_named() {
        let word = OsStr::from_bytes(b"embedded:/tmp/\xff").to_owned();
        let options =
            Arguments::try_parse_from([OsString::from("l2gw-agent"), "--nsdb".into(), word]).unwrap();
        let path = OsStr::from_bytes(b"/tmp/\xff").into();
        assert_eq!(options.nsdb, Some(StorePlace::Embedded { path }));
        let said = parsed(&["--nsdb", "/tmp"]).unwrap_err().to_string();
        assert!(said.contains("allowed are embedded:DIR and zookeeper:HOST:PORT,HOST:PORT/ROOT"), "{said}");
    }

    /// What the help says of defaults is so.
    #[test]
    fn the_help_names_the_defaults() {
        let said = parsed(&["--help"]).unwrap_err().to_string().replace("\n", " ");
        let said: Vec<&str> = said.split_whitespace().collect();
        let said = said.join(" ");
        let Config { socket, device, upcall_rate, stores, .. } = Config::default();
        let Nsdb::Embedded { path } = stores.nsdb else { panic!("the default store is another") };
        for default in [
            format!("the file's, or {}", socket.display()),
            format!("the file's device, or {device}"),
            format!("the file's upcall-rate, or {upcall_rate}"),
            format!("or embedded:{}", path.display()),
            format!("{} if not given", crate::config::defaults::DEFAULT_FILE),
        ] {
            assert!(said.contains(&default), "{default}: {said}");
        }
    }
}

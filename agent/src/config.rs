//! What a host is started with, as files say it: `[nsdb]` and `[journal]` of any file, and the whole of `agent.toml`, the file of
//! `l2gw-agent`. The topology is no part of it: that comes from the store.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use toml::de::DeTable;
use vlan::model::words::Worded;

use crate::budget::Rates;
use crate::reader::draft::Drafts;
use crate::reader::finding::Problems;
use crate::reader::section::{Heading, Reading, Section, Value, refuse};
use crate::reader::{self, Opened, source, value};
use crate::start::Choice;
use defaults::{DEFAULT_DEVICE, DEFAULT_FILE, DEFAULT_SOCKET, UPCALL_RATES};
use store::Stores;

pub mod cluster;
pub mod defaults;
pub mod ensemble;
pub mod file;
pub mod host;
pub mod place;
pub mod store;

/// What `agent.toml` says, and what holds where it does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The file's name as it was given; `None` where there is none and defaults hold.
    pub file: Option<String>,
    /// Which host this is; `None`: the one that the machine is called.
    pub host: Option<String>,
    /// Path of the socket, absolute. Default [`DEFAULT_SOCKET`].
    pub socket: PathBuf,
    /// The datapath.
    pub datapath: Choice,
    /// Name of the kernel's datapath and of its own link. Default [`DEFAULT_DEVICE`].
    pub device: String,
    /// First frames that a port may bring up in a second; 0 is no limit. Default [`Rates::default`].
    pub upcall_rate: u32,
    /// `[nsdb]` and `[journal]`.
    pub stores: Stores,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            file: None,
            host: None,
            socket: PathBuf::from(DEFAULT_SOCKET),
            datapath: Choice::default(),
            device: DEFAULT_DEVICE.to_owned(),
            upcall_rate: Rates::default().port,
            stores: Stores::default(),
        }
    }
}

/// Reads the file that is named; where none is, [`DEFAULT_FILE`], and the defaults if that is not there.
///
/// # Errors
/// Every mistake of the file; one if it cannot be read or is no TOML.
pub fn load(named: Option<&Path>) -> Result<Config, Problems> {
    match named {
        Some(path) => load_at(path),
        None => load_if_there(Path::new(DEFAULT_FILE)),
    }
}

fn load_if_there(path: &Path) -> Result<Config, Problems> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Config::default()),
        _ => load_at(path),
    }
}

fn load_at(path: &Path) -> Result<Config, Problems> {
    let text = source::read(path)?;
    parse(&path.display().to_string(), &text)
}

/// Checks `text`, which messages call `file`. An empty text is right: defaults hold.
///
/// # Errors
/// Every mistake of the text; one if it is no TOML.
pub fn parse(file: &str, text: &str) -> Result<Config, Problems> {
    let Opened { root, positions, mut drafts } = reader::open(file, text)?;
    let config = read(&root, &mut drafts);
    if drafts.is_empty() {
        return Ok(Config { file: Some(file.to_owned()), ..config });
    }
    let (mistakes, more) = drafts.into_findings(&positions);
    Err(Problems::new(file, mistakes, more))
}

fn read(root: &DeTable<'_>, drafts: &mut Drafts) -> Config {
    let default = Config::default();
    let heading = Heading { foreign: OF_THE_TOPOLOGY, ..Heading::plain("", 0, "the file", KEYS) };
    let mut file = Section::open(root, heading, drafts);
    for key in OF_THE_TOPOLOGY {
        file.refuse_present(key, "it is of the topology, which `l2gw apply FILE` brings to the running host");
    }
    let config = Config {
        host: file.optional("host", value::name),
        socket: file.optional("socket", socket).unwrap_or(default.socket),
        datapath: file.optional("datapath", |v| value::choice(v, Choice::WORDS)).unwrap_or(default.datapath),
        device: file.optional("device", value::link).unwrap_or(default.device),
        upcall_rate: file
            .optional("upcall-rate", |v| value::whole(v, &UPCALL_RATES))
            .unwrap_or(default.upcall_rate),
        ..default
    };
    Config { stores: store::stores(root, drafts), ..config }
}

fn socket(written: &Value<'_>) -> Reading<PathBuf> {
    let path = value::absolute_path(written)?;
    defaults::check_socket(&path).map(|()| path).or_else(|mistake| refuse(written, mistake))
}

/// Keys and sections of the file.
const KEYS: &[&str] = &["host", "socket", "datapath", "device", "upcall-rate", "nsdb", "journal"];
/// Sections and lists of the file that a gateway's topology is in.
const OF_THE_TOPOLOGY: &[&str] = &["hosts", "bridges", "vlans", "trunks", "ports"];

#[cfg(test)]
mod tests;

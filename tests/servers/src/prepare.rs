//! What a server finds when it starts: folders, a configuration, a disk if that is a small one.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::address::Block;
use crate::disk::SmallDisk;
use crate::error::ServersError;
use crate::options::Options;
use crate::server::CONFIGURATION;

/// Makes it for the server at a place, from 0, whose own folder is `own`.
pub(crate) fn prepare(
    options: &Options,
    block: &Block,
    place: usize,
    own: &Path,
) -> Result<Option<SmallDisk>, ServersError> {
    let data = match &options.data {
        Some(folder) => folder.join((place + 1).to_string()),
        None => own.join("data"),
    };
    for folder in [own, &data] {
        fs::create_dir_all(folder).map_err(ServersError::system(format!("make {}", folder.display())))?;
    }
    let data = fs::canonicalize(&data).map_err(ServersError::system(format!("find {}", data.display())))?;
    let configuration = configuration(options, block, place, &data);
    fs::write(own.join(CONFIGURATION), configuration)
        .map_err(ServersError::system("write a server's configuration"))?;
    let disk = options.disk_bytes.map(|bytes| SmallDisk::make(&data, bytes)).transpose()?;
    let data = disk.as_ref().map_or(data, SmallDisk::path);
    // By this file in its data a server of an ensemble knows which one it is.
    fs::write(data.join("myid"), (place + 1).to_string())
        .map_err(ServersError::system("write a server's number"))?;
    Ok(disk)
}

/// `zoo.cfg` of one server.
fn configuration(options: &Options, block: &Block, place: usize, data: &Path) -> String {
    let ticks = |time: Duration| time.as_millis().div_ceil(options.tick.as_millis()).max(2).to_string();
    let own = block.server(place, 0);
    let mut lines: Vec<(String, String)> = [
        ("dataDir", data.display().to_string()),
        ("clientPort", own.port().to_string()),
        ("clientPortAddress", own.ip().to_string()),
        ("tickTime", options.tick.as_millis().to_string()),
        ("initLimit", ticks(START_LIMIT)),
        ("syncLimit", ticks(options.sync_limit)),
        ("minSessionTimeout", options.sessions.0.as_millis().to_string()),
        ("maxSessionTimeout", options.sessions.1.as_millis().to_string()),
        ("maxClientCnxns", "0".to_owned()),
        ("admin.enableServer", "false".to_owned()),
        ("4lw.commands.whitelist", "*".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    if options.servers > 1 {
        lines.extend((0..options.servers).map(|other| {
            let at = block.server(other, 1);
            let ports = format!("{}:{}:{}", at.ip(), at.port(), block.server(other, 2).port());
            (format!("server.{}", other + 1), ports)
        }));
    }
    lines.extend(options.lines.clone());
    lines.iter().map(|(name, value)| format!("{name}={value}\n")).collect()
}

/// How long a follower may take to read the leader's data, and how long a leader waits for followers that have gone elsewhere.
const START_LIMIT: Duration = Duration::from_secs(5);

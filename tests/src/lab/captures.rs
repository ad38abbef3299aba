//! Ethernet captures of tcpdump's own test suite, which `tests/setup/captures.sh` fetches: real frames, malformed ones and all.

use std::path::PathBuf;

use l2gw::cli::pcap::{self, Capture, PcapError};

use super::machine::build_directory;

/// Where `captures.sh` puts them: beside the directory that holds the binaries.
///
/// # Panics
/// The running program is in no build directory.
pub fn directory() -> PathBuf {
    let debug = build_directory().expect("a build directory");
    debug.parent().unwrap_or(&debug).join("captures")
}

/// The Ethernet captures, by name. Captures of other link types, and in other formats, are left out.
///
/// # Panics
/// They were not fetched, or cannot be read.
pub fn all() -> Vec<(PathBuf, Capture)> {
    let directory = directory();
    let files = std::fs::read_dir(&directory)
        .unwrap_or_else(|error| panic!("{}: {error}; run tests/setup/captures.sh", directory.display()));
    let mut captures = Vec::new();
    for file in files {
        let path = file.expect("a directory that can be read").path();
        if path.extension().is_none_or(|extension| extension != "pcap") {
            continue;
        }
        match pcap::read(&path) {
            Ok(capture) => captures.push((path, capture)),
            Err(PcapError::LinkType { .. } | PcapError::Format { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    captures.sort_by(|a, b| a.0.cmp(&b.0));
    captures
}

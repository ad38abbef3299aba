//! The command line's grammar, and the help that teaches it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Puts physical machines on a switch's VLANs and virtual machines into the same L2 segments.
#[derive(Debug, Parser)]
#[command(
    name = "l2gw",
    version,
    max_term_width = 110,
    after_help = "\
A day with l2gw:
  l2gw check gateway.toml                  is the file right? every mistake, with line and column
  l2gw table gateway.toml                  what does each port do with each VLAN?
  l2gw trace gateway.toml --port leaf1 --frame ffffffffffff02000000000181000008080600
                                           why does this frame go there?

Exit codes: 0 done, 1 failed, 64 wrong usage, 78 bad configuration."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Check a file: every mistake at once, nothing opened but the file
    #[command(
        after_help = "Prints one line of summary and exits 0 (warnings come before it), or every mistake as \
FILE:LINE:COLUMN: key: value: what is allowed, and exits 78."
    )]
    Check {
        /// The configuration file
        file: PathBuf,
        /// One JSON object instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Show what each port does with a broadcast frame of each VLAN
    #[command(
        after_help = "Rows: untagged, VID 0, every VID that any port mentions and one that none does. All ports are taken to \
be up and every trunk to carry its VLANs."
    )]
    Table {
        /// The configuration file
        file: PathBuf,
        /// A JSON list of {port, tags: [[vid, pcp]...], outputs: [{port, tags}...], drop}
        #[arg(long)]
        json: bool,
    },
    /// Tell the story of one frame, or of every frame of a capture
    #[command(
        after_help = "Needs no root and no daemon. All ports are taken to be up, no address to be known and every trunk to carry \
its VLANs, unless told by --learn and --designated.

  l2gw trace gateway.toml --port leaf1 --frame ffffffffffff02000000000181000008080600
  l2gw trace gateway.toml --port vm1 --frame 02000000000102000000000b0800 --learn leaf1=02:00:00:00:00:01@8
  l2gw trace gateway.toml --port leaf1 --pcap lab.pcap"
    )]
    Trace(TraceRequest),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// What `trace` is asked.
#[derive(Debug, Args)]
pub struct TraceRequest {
    /// The configuration file
    pub file: PathBuf,
    /// The port at which the frame arrives
    #[arg(long, value_name = "NAME")]
    pub port: String,
    /// The frame, in hexadecimal, from the destination address on, without FCS
    #[arg(long, value_name = "HEX", required_unless_present = "pcap", conflicts_with = "pcap")]
    pub frame: Option<String>,
    /// A capture (pcap, Ethernet): one line a frame
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,
    /// Let an address be known: at a port, on a trunk with its bridge VID
    #[arg(long, value_name = "PORT=MAC[@VID]")]
    pub learn: Vec<String>,
    /// Let a trunk carry a VLAN; the VLANs not named are shared out as on a host whose trunks are all up
    #[arg(long, value_name = "VID=TRUNK")]
    pub designated: Vec<String>,
    /// JSON: {verdict, drop, outputs: [{port, frame} or {host, vni, frame}...], steps}
    #[arg(long)]
    pub json: bool,
}

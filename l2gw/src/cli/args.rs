//! The command line's grammar, and the help that teaches it.

use std::path::PathBuf;

use agent::budget::Rates;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::cli::help;

/// Puts physical machines on a switch's VLANs and virtual machines into the same L2 segments.
#[derive(Debug, Parser)]
#[command(
    name = "l2gw",
    version,
    max_term_width = 100,
    after_help = help::L2GW
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
        after_help = help::CHECK
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
        after_help = help::TABLE
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
        after_help = help::TRACE
    )]
    Trace(TraceRequest),
    /// Run the gateway of one host, in the foreground
    #[command(
        after_help = help::RUN
    )]
    Run(RunRequest),
    /// Show what the running daemon knows
    #[command(after_help = help::SHOW)]
    Show {
        /// What to show
        #[arg(value_enum)]
        subject: Subject,
        /// Of events, how many: the newest ones, at most 10000
        #[arg(long, value_name = "NUMBER", default_value_t = 50)]
        newest: usize,
        /// Which daemon
        #[command(flatten)]
        at: At,
    },
    /// Say what a file would change, and change nothing
    #[command(
        after_help = help::PLAN
    )]
    Plan {
        /// The configuration file
        file: PathBuf,
        /// Which daemon
        #[command(flatten)]
        at: At,
    },
    /// Make a file the next revision, and wait until it is in force
    #[command(
        after_help = help::APPLY
    )]
    Apply {
        /// The configuration file
        file: PathBuf,
        /// Refuse if this is not the newest revision any more
        #[arg(long, value_name = "REVISION")]
        against: Option<u64>,
        /// Which daemon
        #[command(flatten)]
        at: At,
    },
    /// Let the running daemon forget something that it learned
    #[command(after_help = help::FLUSH)]
    Flush {
        /// What to forget
        #[arg(value_enum)]
        what: Flushed,
        /// Only what was learned at this port; behind a trunk, what is known of its fabric
        #[arg(long, value_name = "NAME")]
        port: Option<String>,
        /// Which daemon
        #[command(flatten)]
        at: At,
    },
    /// Let a blocked port forward again, before its time
    #[command(
        after_help = help::UNBLOCK
    )]
    Unblock {
        /// The port
        port: String,
        /// Which daemon
        #[command(flatten)]
        at: At,
    },
    /// Build a small network here and try everything on it
    #[command(
        after_help = help::DEMO
    )]
    Demo {
        /// A JSON object {checks: [{what, expected, got, ok}...], as_expected, of} instead of the story
        #[arg(long)]
        json: bool,
    },
    /// Print completions for a shell
    #[command(after_help = help::COMPLETIONS)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// What `trace` is asked.
#[derive(Debug, Args)]
pub struct TraceRequest {
    /// The configuration file; without it the running daemon is asked
    pub file: Option<PathBuf>,
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
    #[arg(long, value_name = "PORT=MAC[@VID]", requires = "file")]
    pub learn: Vec<String>,
    /// Let a trunk carry a VLAN; the VLANs not named are shared out as on a host whose trunks are all up
    #[arg(long, value_name = "VID=TRUNK", requires = "file")]
    pub designated: Vec<String>,
    /// Which daemon, and how it answers: {verdict, drop, outputs: [{port, frame} or {host, vni, frame}...], steps}
    #[command(flatten)]
    pub at: At,
}

/// What `run` is started with.
#[derive(Debug, Args)]
pub struct RunRequest {
    /// The configuration file
    pub file: PathBuf,
    /// Which host of the file this is; the hostname if not given
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    /// The state directory, made if it is missing; the file's nsdb.path if not given
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// The socket that `show`, `plan`, `apply` and the others ask, mode 0660
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    pub socket: PathBuf,
    /// What forwards; the file's hosts.NAME.datapath if not given
    #[arg(long, value_enum)]
    pub datapath: Option<Datapath>,
    /// Name of the kernel's datapath and of its own link
    #[arg(long, value_name = "NAME", default_value = DEFAULT_DEVICE, value_parser = device_name)]
    pub device: String,
    /// First frames of conversations that a port may bring up to the daemon in a second, half of them of one VLAN;
    /// 0 is no limit, so that one port can keep the daemon busy for itself
    #[arg(long, value_name = "FRAMES", default_value_t = Rates::default().port)]
    pub upcall_rate: u32,
    /// Remove the kernel's datapath at the end, so that nothing is forwarded any more
    #[arg(long)]
    pub teardown: bool,
    /// Write every input of the engine to this file, one JSON object a line, for a bug report
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
}

/// Which daemon, and how its answer is printed.
#[derive(Debug, Clone, Args)]
pub struct At {
    /// The daemon's socket
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    pub socket: PathBuf,
    /// JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// What can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Subject {
    /// The whole at a glance
    Status,
    /// Exterior ports
    Ports,
    /// Addresses
    Macs,
    /// Flows of the kernel
    Flows,
    /// Counters
    Counters,
    /// Bridges
    Bridges,
    /// Trunks
    Trunks,
    /// What happened
    Events,
}

/// What can be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Flushed {
    /// Learned addresses; declared ones stay
    Macs,
}

/// What forwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Datapath {
    /// The best that this host has
    Auto,
    /// openvswitch.ko
    Ovs,
    /// In memory, without root and without a network
    Fake,
}

/// A name that the kernel takes for a link (`dev_valid_name` in `net/core/dev.c`): 1 to 15 bytes, no `/`, `:` or white space.
fn device_name(text: &str) -> Result<String, String> {
    let is_refused = |c: char| c == '/' || c == ':' || c.is_whitespace();
    if text.is_empty() || text.len() > 15 || text.contains(is_refused) || text == "." || text == ".." {
        return Err("allowed are 1 to 15 bytes without '/', ':' and white space".to_owned());
    }
    Ok(text.to_owned())
}

/// Where a daemon listens unless it is told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/l2gw/l2gw.sock";
/// The kernel's datapath and its own link unless told otherwise.
pub const DEFAULT_DEVICE: &str = "l2gw";

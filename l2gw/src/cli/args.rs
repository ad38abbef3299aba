//! The command line's grammar, and the help that teaches it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Puts physical machines on a switch's VLANs and virtual machines into the same L2 segments.
#[derive(Debug, Parser)]
#[command(
    name = "l2gw",
    version,
    max_term_width = 110,
    after_help = "\
Before anything runs:
  l2gw check gateway.toml                  is the file right? every mistake, with line and column
  l2gw table gateway.toml                  what will each port do with each VLAN?
  l2gw trace gateway.toml --port leaf1 --frame ffffffffffff02000000000181000008080600
                                           where will this frame go, and why?
  l2gw demo                                the whole of it, tried before your eyes (as root)

A day with a gateway:
  l2gw run gateway.toml --host gw1         the daemon, in the foreground; systemd runs it like this
  l2gw show status                         is it well? then: ports, trunks, macs, flows, counters, bridges, events
  l2gw trace --port leaf1 --frame ffff...  where does this frame go now, with what the gateway has learned?
  l2gw plan gateway.toml                   what would change, for the file and for frames?
  l2gw apply gateway.toml                  change it; nothing restarts, established traffic goes on

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
        after_help = "With a FILE it needs no root and no daemon: all ports are taken to be up, no address to be known and every trunk \
to carry its VLANs, unless told by --learn and --designated. Frames of a capture teach addresses to those after them.

  l2gw trace gateway.toml --port leaf1 --frame ffffffffffff02000000000181000008080600
  l2gw trace gateway.toml --port vm1 --frame 02000000000102000000000b0800 --learn leaf1=02:00:00:00:00:01@8
  l2gw trace gateway.toml --port leaf1 --pcap lab.pcap

Without a FILE the running daemon is asked: what would it do with this frame now, by its ports, addresses and trunks as they \
are? Nothing is sent and nothing is learned.

  l2gw trace --port leaf1 --frame ffffffffffff02000000000181000008080600"
    )]
    Trace(TraceRequest),
    /// Run the gateway of one host, in the foreground
    #[command(
        after_help = "The file is checked before anything is opened; a file with mistakes changes nothing (exit code 78).
If it differs from the newest revision in the state directory it becomes the next one. Then links are bound as they appear.

  SIGTERM, SIGINT   stop in order; the kernel goes on forwarding by the flows it has, unless --teardown
  SIGHUP            read the file again and apply it; a file with mistakes is logged and changes nothing

Started again it takes over the flows and addresses that it finds. Logs go to standard error; L2GW_LOG=debug says more.
It needs CAP_NET_ADMIN. --datapath fake needs nothing: its links are in memory only, to try a file and the commands.

  l2gw run gateway.toml --host gw1
  l2gw run gateway.toml --host gw1 --datapath fake --state /tmp/try --socket /tmp/try/l2gw.sock"
    )]
    Run(RunRequest),
    /// Show what the running daemon knows
    #[command(after_help = "  status     revision in force, ports up, numbers of addresses and flows
  ports      each exterior port: state, why it is not up, its link, addresses, frames, first frames over its budget
  trunks     each trunk: the VLANs it may carry and those it carries now
  bridges    each bridge: its ports and what its VLANs lead to
  macs       each address: where it is, how it came there, how long it was not heard
  flows      each flow of the kernel, most hit first: what matches, what is done
  counters   every counter, drops with their reason; the same as /metrics on the socket
  events     what happened lately: ports up, down and blocked, revisions, refusals; the journal has them for its time

  curl --unix-socket /run/l2gw/l2gw.sock http://l2gw/v1/ports     the same answer as `l2gw show ports --json`")]
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
        after_help = "Compares the file with the newest revision: objects in the file's words (+ new, - gone, ~ changed), then what \
changes for a broadcast frame of each port and VLAN. Addresses already learned play no part in it."
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
        after_help = "Says what `l2gw plan` planned against to be sure that nobody came in between: with --against 7 a revision 8 \
that somebody else made is not written over (exit code 1, run `l2gw plan` again).
Only flows that the change meets are replaced; all other traffic goes on untouched."
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
        after_help = "A port is blocked when a BPDU arrives where no switch belongs. Unplug that switch first, or the \
next BPDU blocks the port again."
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
        after_help = "A switch, two physical machines, two VMs and a gateway in network namespaces of this machine, on the real kernel \
datapath: needs root, iproute2, ping and openvswitch.ko (`make demo` finds a kernel that has it). Removes all of it at the end. \
Exits 0 if everything came as expected, else 1."
    )]
    Demo {
        /// A JSON object {checks: [{what, expected, got, ok}...], as_expected, of} instead of the story
        #[arg(long)]
        json: bool,
    },
    /// Print completions for a shell
    #[command(after_help = "  l2gw completions bash > /etc/bash_completion.d/l2gw")]
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

//! The command line's grammar, and the help that teaches it.

use std::path::PathBuf;

use agent::budget::Rates;
use agent::config::defaults::{DEFAULT_DEVICE, DEFAULT_SOCKET, device_name, socket_path};
use agent::start::Choice;
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum, value_parser};
use nsdb::ConfirmWithin;
use vlan::addr::MacAddr;
use vlan::vid::Vid;

use crate::cli::craft::Fields;
use crate::cli::help;

pub use confirm::ConfirmRequest;
pub use place::Place;
pub use port::{PortAddRequest, Porting};

mod confirm;
mod place;
mod port;

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
        override_usage = "l2gw trace [FILE] --port NAME <--frame ...|--pcap ...|--src ...>",
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
        #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u16).range(..=10_000))]
        newest: u16,
        /// Which of many, and in which order
        #[command(flatten)]
        selection: Selection,
        /// Whom to ask
        #[command(flatten)]
        of: Of,
    },
    /// Say what a file would change, and change nothing
    #[command(
        after_help = help::PLAN
    )]
    Plan {
        /// The configuration file
        file: PathBuf,
        /// Whom to ask
        #[command(flatten)]
        of: Of,
    },
    /// Make a file the next revision, and wait until it is in force
    #[command(
        after_help = help::APPLY
    )]
    Apply(ApplyRequest),
    /// Let a revision stay that `--confirm` put into force for a while
    #[command(after_help = help::CONFIRM)]
    Confirm(ConfirmRequest),
    /// Make what an earlier revision declares the next one, and wait until it is in force
    #[command(after_help = help::ROLLBACK)]
    Rollback(RollbackRequest),
    /// Add a VM's port, or remove one that was added so, without a file
    Port {
        /// What to do with it
        #[command(subcommand)]
        what: Porting,
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
    /// Remove the kernel's datapath that a daemon left, so that its links are free again
    #[command(
        after_help = help::TEARDOWN
    )]
    Teardown {
        /// Name of the kernel's datapath, as given to `run`
        #[arg(long, value_name = "NAME", default_value = DEFAULT_DEVICE, value_parser = device_name)]
        device: String,
        /// A JSON object {datapath, removed, links, flows} instead of a line
        #[arg(long)]
        json: bool,
    },
    /// Prepare the store that hosts share
    Store {
        /// What to do with it
        #[command(subcommand)]
        what: Storing,
    },
    /// Play a record of `run --record` to a fresh engine, and say where it does something else
    #[command(after_help = help::REPLAY)]
    Replay {
        /// The record
        file: PathBuf,
        /// A JSON object {equal, inputs, outputs, line, difference, cut} instead of text
        #[arg(long)]
        json: bool,
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
#[command(group = ArgGroup::new("what").required(true).multiple(true).args(WAYS))]
pub struct TraceRequest {
    /// The configuration file; without it the running daemon is asked
    pub file: Option<PathBuf>,
    /// The port at which the frame arrives, or its link
    #[arg(long, value_name = "NAME")]
    pub port: String,
    /// The frame, from the destination address on, without FCS: digits, or a dump; `-` reads it from standard input
    #[arg(
        long,
        value_name = "HEX|-|@FILE",
        allow_hyphen_values = true,
        conflicts_with_all = ["pcap", "made"]
    )]
    pub frame: Option<String>,
    /// A capture (pcap, Ethernet): one line a frame
    #[arg(long, value_name = "FILE", conflicts_with = "made")]
    pub pcap: Option<PathBuf>,
    /// The fields of a frame that is made
    #[command(flatten)]
    pub fields: Fields,
    /// Let an address be known: at a port, on a trunk with its bridge VID, behind two tags with both
    #[arg(long, value_name = "PORT=MAC[@VID[.VID]]", requires = "file")]
    pub learn: Vec<String>,
    /// Let a trunk carry a VLAN; the others are carried as while all links are up
    #[arg(long, value_name = "VID=TRUNK", requires = "file")]
    pub designated: Vec<String>,
    /// Which daemon, and how it answers: {verdict, drop, outputs: [{port, frame} or {host, vni, frame}...], steps}
    #[command(flatten)]
    pub at: At,
}

/// What `apply` is asked.
#[derive(Debug, Args)]
pub struct ApplyRequest {
    /// The configuration file
    pub file: PathBuf,
    /// Go back to the revision before, on every host, unless `l2gw confirm` comes within this time: 1s to 24h
    #[arg(long, value_name = "TIME", value_parser = confirm::time)]
    pub confirm: Option<ConfirmWithin>,
    /// How it is published
    #[command(flatten)]
    pub publishing: Publishing,
}

/// How a revision is published.
#[derive(Debug, Args)]
pub struct Publishing {
    /// Refuse if this is not the newest revision any more; without it whatever is there is replaced
    #[arg(long, value_name = "REVISION")]
    pub against: Option<u64>,
    /// Let it take away this host, or all its ports; without it that is refused
    #[arg(long, value_name = "HOST")]
    pub without_host: Vec<String>,
    /// By whom
    #[command(flatten)]
    pub of: Of,
}

/// What `rollback` is asked.
#[derive(Debug, Args)]
pub struct RollbackRequest {
    /// The revision; `l2gw show revisions` lists those that are kept
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub revision: u64,
    /// Go back to the revision before the rollback, on every host, unless `l2gw confirm` comes within this time: 1s to 24h
    #[arg(long, value_name = "TIME", value_parser = confirm::time)]
    pub confirm: Option<ConfirmWithin>,
    /// How it is published
    #[command(flatten)]
    pub publishing: Publishing,
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
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET, value_parser = socket_path())]
    pub socket: PathBuf,
    /// What forwards; the file's hosts.NAME.datapath if not given
    #[arg(long, value_enum)]
    pub datapath: Option<Choice>,
    /// Name of the kernel's datapath and of its own link
    #[arg(long, value_name = "NAME", default_value = DEFAULT_DEVICE, value_parser = device_name)]
    pub device: String,
    /// First frames of conversations that a port may bring up to the daemon in a second, half of them of one VLAN;
    /// 0 is no limit, so that one port can keep the daemon busy for itself
    #[arg(long, value_name = "FRAMES", default_value_t = Rates::default().port)]
    pub upcall_rate: u32,
    /// Let a changed file take away all ports of this host that the newest revision has; without it the daemon does not start
    #[arg(long, value_name = "HOST")]
    pub without_host: Vec<String>,
    /// Remove the kernel's datapath at the end, so that nothing is forwarded any more
    #[arg(long)]
    pub teardown: bool,
    /// Write every input of the engine to this new file, for `replay` and a bug report; it holds frames
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
}

/// What can be done with a store that hosts share.
#[derive(Debug, Subcommand)]
pub enum Storing {
    /// Make the database of a file's [nsdb] on its ZooKeeper servers, once, where nothing is
    #[command(after_help = help::STORE_INIT)]
    Init(InitRequest),
    /// Let hosts follow the database that is there though they know another, or a newer revision: it was put back, or made anew
    #[command(after_help = help::STORE_ACCEPT)]
    Accept(AcceptRequest),
}

/// What `store init` is asked.
#[derive(Debug, Args)]
pub struct InitRequest {
    /// The configuration file; its nsdb.auth-file has the login of gateways, which may change everything
    pub file: PathBuf,
    /// A file with user:password, the login of hosts that run `l2gw-agent`: they may read the topology, and write what they tell of
    /// themselves
    #[arg(long, value_name = "PATH")]
    pub agents_auth_file: Option<PathBuf>,
    /// A JSON object {root, servers, incarnation, gateways, agents, open} instead of lines
    #[arg(long)]
    pub json: bool,
}

/// What `store accept` is asked.
#[derive(Debug, Args)]
pub struct AcceptRequest {
    /// The incarnation of the database that hosts know, as they tell it: 32 hexadecimal digits
    pub incarnation: String,
    /// The configuration file, whose [nsdb] names the database that is there
    #[arg(required_unless_present = "nsdb", conflicts_with = "nsdb")]
    pub file: Option<PathBuf>,
    /// The database that is there, in the place of a file: zookeeper:HOST:PORT,HOST:PORT/ROOT
    #[arg(long, value_name = "STORE", value_parser = place::place())]
    pub nsdb: Option<Place>,
    /// A file with user:password, the login of gateways; in the place of the file's own
    #[arg(long, value_name = "PATH")]
    pub auth_file: Option<PathBuf>,
    /// A JSON object {root, servers, known, incarnation, revision, is_new} instead of lines
    #[arg(long)]
    pub json: bool,
}

/// Which rows of a long list are shown, and in which order.
#[derive(Debug, Clone, Args)]
pub struct Selection {
    /// Only of this port, or of the port on this link
    #[arg(long, value_name = "NAME")]
    pub port: Option<String>,
    /// Only of this VLAN, whichever the bridge
    #[arg(long, value_name = "VID")]
    pub vlan: Option<Vid>,
    /// Only with this address
    #[arg(long, value_name = "MAC")]
    pub mac: Option<MacAddr>,
    /// Only ports that are not up
    #[arg(long)]
    pub down: bool,
    /// By what it is sorted
    #[arg(long, value_name = "COLUMN")]
    pub sort: Option<String>,
    /// How many rows, at most
    #[arg(long, value_name = "NUMBER", value_parser = value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
}

/// Which daemon, and how its answer is printed.
#[derive(Debug, Clone, Args)]
pub struct At {
    /// The daemon's socket
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET, value_parser = socket_path())]
    pub socket: PathBuf,
    /// JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// By whom revisions are read and published: a daemon, or this command itself.
#[derive(Debug, Clone, Args)]
pub struct Of {
    /// Open this store itself, with no daemon in between, from any machine: zookeeper:HOST:PORT,HOST:PORT/ROOT, or
    /// embedded:DIR where no daemon has it open; of plan and apply the word `file`: as the [nsdb] of FILE says
    #[arg(long, value_name = "STORE", conflicts_with = "socket", value_parser = place::place())]
    pub nsdb: Option<Place>,
    /// A file with user:password for ZooKeeper, which not everybody can read; in the place of the file's own
    #[arg(long, value_name = "FILE", requires = "nsdb")]
    pub auth_file: Option<PathBuf>,
    /// Which daemon
    #[command(flatten)]
    pub at: At,
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
    /// The hosts of the newest revision: which are there, and what they say of themselves
    Hosts,
    /// The newest revision, as a file
    Config,
    /// The revisions that are kept: who published them, when and why
    Revisions,
}

/// What can be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Flushed {
    /// Learned addresses; declared ones stay
    Macs,
}

/// The options that give `trace` its frame. The last ones are the fields of a frame that is made.
const WAYS: [&str; 9] = ["frame", "pcap", "src", "dst", "vid", "pcp", "tpid", "arp", "ip"];

//! What `port` is asked.

use clap::{Args, Subcommand};

use super::{Of, help};

/// What can be done with one port.
#[derive(Debug, Subcommand)]
pub enum Porting {
    /// Add a port of a VM, and wait until it is in force
    #[command(after_help = help::PORT_ADD)]
    Add(PortAddRequest),
    /// Remove a port that `port add` added, and wait until that is in force
    #[command(after_help = help::PORT_DEL)]
    Del {
        /// Its name
        name: String,
        /// By whom
        #[command(flatten)]
        of: Of,
    },
}

/// What `port add` is asked: the keys of `[[ports]]`.
#[derive(Debug, Args)]
pub struct PortAddRequest {
    /// Its name
    pub name: String,
    /// The bridge
    #[arg(long, value_name = "NAME")]
    pub bridge: String,
    /// The host that the link is on
    #[arg(long, value_name = "NAME")]
    pub host: String,
    /// The link
    #[arg(long, value_name = "NAME")]
    pub link: String,
    /// An address declared there; may be given several times
    #[arg(long, value_name = "MAC")]
    pub mac: Vec<String>,
    /// On a VLAN-aware bridge: access, trunk or qinq
    #[arg(long, value_name = "MODE")]
    pub mode: Option<String>,
    /// The VLAN of an access port, the outer one of a qinq port
    #[arg(long, value_name = "VID")]
    pub vid: Option<u16>,
    /// The VIDs of a trunk port: 5,8,100-199
    #[arg(long, value_name = "VIDS", value_delimiter = ',')]
    pub vlans: Option<Vec<String>>,
    /// Payload MTU that the link should have
    #[arg(long, value_name = "BYTES")]
    pub mtu: Option<u32>,
    /// No frames between it and other isolated ports
    #[arg(long)]
    pub isolated: bool,
    /// Any other key of a port, with its value as in a file; a word needs no quotation marks there
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// By whom
    #[command(flatten)]
    pub of: Of,
}

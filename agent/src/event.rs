//! What an operator is told without asking.

use std::fmt;

use serde::{Deserialize, Serialize};
use vlan::addr::MacAddr;

/// Something worth telling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A revision is in force on this host.
    Applied {
        /// Its number.
        revision: u64,
    },
    /// A revision was refused; the one before stays in force.
    RevisionRefused {
        /// Its number.
        revision: u64,
        /// Its mistakes.
        mistakes: Vec<String>,
    },
    /// A port forwards.
    PortUp {
        /// The port.
        port: String,
        /// Its link.
        link: String,
    },
    /// A port does not forward any more.
    PortDown {
        /// The port.
        port: String,
        /// Its link.
        link: String,
        /// Why: `no such link`, `no carrier`, `admin down`, `not attached`.
        why: String,
    },
    /// A port was blocked.
    PortBlocked {
        /// The port.
        port: String,
        /// Why.
        why: String,
        /// For how long, in seconds.
        seconds: u64,
    },
    /// A blocked port forwards again.
    PortUnblocked {
        /// The port.
        port: String,
    },
    /// An address moved too often and is held where it was.
    AddressFrozen {
        /// The address.
        mac: MacAddr,
        /// The port or fabric where it is held.
        held: String,
        /// The port where it was seen now.
        seen: String,
    },
    /// Our own frame came back by a trunk.
    Reflected {
        /// Its source address.
        mac: MacAddr,
        /// The trunk.
        port: String,
    },
    /// A VLAN has no live trunk.
    NoTrunk {
        /// The bridge.
        bridge: String,
        /// The VLANs, as ranges.
        vids: String,
    },
    /// A port sends more first frames than its budget; the excess is dropped.
    OverBudget {
        /// The port.
        port: String,
        /// Upcalls dropped since the last such event.
        dropped: u64,
    },
    /// The datapath refused something; it is tried again or given up as said.
    Refused {
        /// What and why.
        what: String,
        /// Whether it will be tried again.
        retried: bool,
    },
    /// What the datapath had was taken over at the start.
    Adopted {
        /// Flows that are as the topology has them.
        kept: usize,
        /// Flows replaced in place.
        replaced: usize,
        /// Flows deleted.
        deleted: usize,
        /// Addresses learned from them or from the saved ones.
        addresses: usize,
    },
    /// Somebody removed the datapath under the daemon, or it could not be read any more: it was made or taken over anew. If it was
    /// made, every conversation begins again.
    DatapathAnew,
    /// The MTU of a link is not what the file expects.
    MtuDiffers {
        /// The port.
        port: String,
        /// What the link has, in bytes.
        link: u32,
        /// What the file expects, in bytes.
        expected: u32,
    },
}

impl Event {
    /// Its kind, as in the `event` label and in JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Event::Applied { .. } => "applied",
            Event::RevisionRefused { .. } => "revision-refused",
            Event::PortUp { .. } => "port-up",
            Event::PortDown { .. } => "port-down",
            Event::PortBlocked { .. } => "port-blocked",
            Event::PortUnblocked { .. } => "port-unblocked",
            Event::AddressFrozen { .. } => "address-frozen",
            Event::Reflected { .. } => "reflected",
            Event::NoTrunk { .. } => "no-trunk",
            Event::OverBudget { .. } => "over-budget",
            Event::Refused { .. } => "refused",
            Event::Adopted { .. } => "adopted",
            Event::DatapathAnew => "datapath-anew",
            Event::MtuDiffers { .. } => "mtu-differs",
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Applied { revision } => write!(f, "revision {revision} is in force"),
            Event::RevisionRefused { revision, mistakes } => {
                write!(f, "revision {revision} is refused, the one before stays: {}", mistakes.join("; "))
            }
            Event::PortUp { port, link } => write!(f, "port {port} is up on {link}"),
            Event::PortDown { port, link, why } => write!(f, "port {port} on {link} is down: {why}"),
            Event::PortBlocked { port, why, seconds } => {
                write!(f, "port {port} is blocked for {seconds} s: {why}")
            }
            Event::PortUnblocked { port } => write!(f, "port {port} is not blocked any more"),
            Event::AddressFrozen { mac, held, seen } => {
                write!(f, "{mac} moved too often: held at {held}, not followed to {seen}")
            }
            Event::Reflected { mac, port } => {
                write!(f, "our frame from {mac} came back by {port}: a loop outside?")
            }
            Event::NoTrunk { bridge, vids } => write!(f, "no live trunk carries VLAN {vids} of {bridge}"),
            Event::OverBudget { port, dropped } => {
                write!(
                    f,
                    "port {port} opens more conversations than its budget: {dropped} first frames dropped"
                )
            }
            Event::Refused { what, retried: true } => write!(f, "{what}; trying again"),
            Event::Refused { what, retried: false } => write!(f, "{what}; given up"),
            Event::Adopted { kept, replaced, deleted, addresses } => {
                write!(
                    f,
                    "adopted: {kept} flows kept, {replaced} replaced, {deleted} deleted, {addresses} addresses known"
                )
            }
            Event::DatapathAnew => f.write_str("the datapath was removed by somebody else, or could not be read any more, and is opened anew"),
            Event::MtuDiffers { port, link, expected } => {
                write!(f, "port {port}: the link's MTU is {link}, the file expects {expected}")
            }
        }
    }
}

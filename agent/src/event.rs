//! What an operator is told without asking.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vlan::addr::MacAddr;
use vlan::time::span;
use vlan::trace::reason::sentence;
use vlan::verdict::DropReason;

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
    /// A revision cannot be read: it is damaged, or a newer version wrote it. The one before stays in force.
    RevisionUnreadable {
        /// Its number.
        revision: u64,
        /// Why.
        why: String,
    },
    /// The store that this host shares with others does not answer, or refuses; the revision in force stays.
    StoreAway {
        /// The revision in force; 0 before the first.
        revision: u64,
        /// Why, in words.
        why: String,
    },
    /// The store answers again.
    StoreBack {
        /// For how many seconds it did not.
        seconds: u64,
    },
    /// Frames go to other hosts, and are taken from them, by a tunnel port that was made or found.
    TunnelUp {
        /// Its end.
        end: String,
    },
    /// Somebody sends to the tunnel port what is not taken: told once a minute for each sender and reason.
    TunnelStranger {
        /// The underlay address that it was sent from.
        from: IpAddr,
        /// VXLAN network identifier.
        vni: u32,
        /// The drop reason.
        reason: DropReason,
    },
    /// Another host is heard, for the first time or again.
    HostHeard {
        /// The host.
        host: String,
    },
    /// Another host is not heard any more: it carries no VLAN, and frames for what is behind it are flooded.
    HostSilent {
        /// The host.
        host: String,
    },
    /// Another host is heard, but not in frames as long as ports may send.
    UnderlayNarrow {
        /// The host.
        host: String,
        /// The frame inside that did not arrive, in bytes without FCS.
        bytes: usize,
    },
    /// Long frames arrive there again.
    UnderlayWide {
        /// The host.
        host: String,
    },
    /// A revision in force has no host of the name that this daemon runs: it forwards nothing.
    HostUnknown {
        /// The name.
        host: String,
        /// The revision.
        revision: u64,
        /// The hosts that it has, the first of them.
        hosts: String,
    },
    /// At the start, where the file is another than when it was published last, or by SIGHUP: it is the newest revision now.
    FileApplied {
        /// The file.
        file: String,
        /// The number of what it declares now.
        revision: u64,
        /// The revision that was the newest.
        replaced: u64,
        /// Who published that one, and what about.
        by: String,
    },
    /// At the start: the file is as it was published last; the newest revision came after it and stays.
    FileKept {
        /// The file.
        file: String,
        /// The revision that it was published as.
        published: u64,
        /// The newest revision.
        revision: u64,
        /// Who published that one, and what about.
        by: String,
    },
    /// The file was to be applied by SIGHUP, and is not.
    FileRefused {
        /// The file.
        file: String,
        /// Why not.
        why: String,
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
        /// Why: `no such link`, `no carrier`, `admin down`, `not attached`, `no longer in the topology`, `on another host now`.
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
    /// Another host says that it has an address that this host has too, and neither had heard of it from the other before.
    AddressClaimed {
        /// The address.
        mac: MacAddr,
        /// The host, which has it from now on.
        host: String,
    },
    /// The store does not take this host's word of its addresses; it is said again.
    AddressesUntold {
        /// Why.
        why: String,
    },
    /// It takes it again.
    AddressesTold,
    /// Our own frame came back by a trunk.
    Reflected {
        /// Its source address.
        mac: MacAddr,
        /// The port that has the address.
        held: String,
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
    /// A port has begun to drop frames of its own for a reason that calls for somebody.
    DropsBegan {
        /// The port.
        port: String,
        /// The reason, as in `l2gw_drops_total`; `storm-` and a class beyond a storm limit.
        reason: String,
        /// The first VIDs that were dropped, of the frames' own tags or of the storm limit; empty if they had none.
        vids: String,
        /// Other bursts that began since the last such event and were not told, there being too many.
        untold: u64,
    },
    /// It has dropped none for a while.
    DropsEnded {
        /// The port.
        port: String,
        /// The reason.
        reason: String,
        /// The first VIDs that were dropped.
        vids: String,
        /// How many frames were dropped.
        frames: u64,
        /// Seconds from the first to the last of them, at least 1.
        seconds: u64,
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
    /// The host itself does something with a port's link, so that some of its frames, or the host's, go astray.
    LinkInUse {
        /// The port.
        port: String,
        /// Its link.
        link: String,
        /// What.
        how: String,
    },
    /// What the host did with a port's link, and was in the way of frames, is over.
    LinkFree {
        /// The port.
        port: String,
        /// Its link.
        link: String,
    },
    /// Another program had put flows into the datapath; they are removed.
    ForeignFlows {
        /// How many since the last such event.
        removed: u64,
    },
    /// Another program had removed flows of ours; the next frames put them anew.
    FlowsGone {
        /// How many since the last such event.
        missing: u64,
    },
    /// Another program had made a link a port of the datapath; it is released.
    ForeignVport {
        /// The link.
        link: String,
    },
    /// Another program had released a port's link from the datapath; it is taken again.
    VportGone {
        /// The link.
        link: String,
    },
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
            Event::RevisionUnreadable { .. } => "revision-unreadable",
            Event::StoreAway { .. } => "store-away",
            Event::StoreBack { .. } => "store-back",
            Event::HostUnknown { .. } => "host-unknown",
            Event::FileApplied { .. } => "file-applied",
            Event::FileKept { .. } => "file-kept",
            Event::FileRefused { .. } => "file-refused",
            Event::PortUp { .. } => "port-up",
            Event::PortDown { .. } => "port-down",
            Event::PortBlocked { .. } => "port-blocked",
            Event::PortUnblocked { .. } => "port-unblocked",
            Event::TunnelUp { .. } => "tunnel-up",
            Event::TunnelStranger { .. } => "tunnel-stranger",
            Event::HostHeard { .. } => "host-heard",
            Event::HostSilent { .. } => "host-silent",
            Event::UnderlayNarrow { .. } => "underlay-narrow",
            Event::UnderlayWide { .. } => "underlay-wide",
            Event::AddressFrozen { .. } => "address-frozen",
            Event::AddressClaimed { .. } => "address-claimed",
            Event::AddressesUntold { .. } => "addresses-untold",
            Event::AddressesTold => "addresses-told",
            Event::Reflected { .. } => "reflected",
            Event::NoTrunk { .. } => "no-trunk",
            Event::OverBudget { .. } => "over-budget",
            Event::DropsBegan { .. } => "drops-began",
            Event::DropsEnded { .. } => "drops-ended",
            Event::Refused { .. } => "refused",
            Event::Adopted { .. } => "adopted",
            Event::DatapathAnew => "datapath-anew",
            Event::LinkInUse { .. } => "link-in-use",
            Event::LinkFree { .. } => "link-free",
            Event::ForeignFlows { .. } => "foreign-flows",
            Event::FlowsGone { .. } => "flows-gone",
            Event::ForeignVport { .. } => "foreign-vport",
            Event::VportGone { .. } => "vport-gone",
            Event::MtuDiffers { .. } => "mtu-differs",
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.of_a_revision().or_else(|| self.of_a_port()).or_else(|| self.of_frames());
        let text = text.or_else(|| self.of_the_datapath()).or_else(|| self.of_other_hosts());
        f.write_str(&text.unwrap_or_default())
    }
}

impl Event {
    fn of_a_revision(&self) -> Option<String> {
        Some(match self {
            Event::Applied { revision } => format!("revision {revision} is in force"),
            Event::RevisionRefused { revision, mistakes } => {
                format!("revision {revision} is refused, the one before stays: {}", mistakes.join("; "))
            }
            Event::RevisionUnreadable { revision, why } => {
                format!("revision {revision} in the store cannot be read, the topology in force stays: {why}")
            }
            Event::StoreAway { revision: 0, why } => {
                format!("the store cannot be read, and there is no revision yet: {why}")
            }
            Event::StoreAway { revision, why } => {
                format!("the store cannot be read, revision {revision} stays in force: {why}")
            }
            Event::StoreBack { seconds } => format!("the store can be read again, after {seconds} s"),
            Event::HostUnknown { host, revision, hosts } => format!(
                "{host:?}, this host, is no host of revision {revision}, so nothing is forwarded here; its hosts: {hosts}"
            ),
            Event::FileApplied { file, revision, replaced, by } => {
                format!("{file} is revision {revision} now; it replaces revision {replaced} ({by})")
            }
            Event::FileKept { file, published, revision, by } => format!(
                "{file} is as it was when it became revision {published}; revision {revision} ({by}) came after it and stays"
            ),
            Event::FileRefused { file, why } => {
                format!("{file} is not applied, the topology in force stays: {why}")
            }
            _ => return None,
        })
    }

    fn of_a_port(&self) -> Option<String> {
        Some(match self {
            Event::PortUp { port, link } => format!("port {port} is up on {link}"),
            Event::PortDown { port, link, why } => format!("port {port} on {link} is down: {why}"),
            Event::PortBlocked { port, why, seconds } => {
                format!("port {port} is blocked for {seconds} s: {why}")
            }
            Event::PortUnblocked { port } => format!("port {port} is not blocked any more"),
            Event::NoTrunk { bridge, vids } => format!("no live trunk carries VLAN {vids} of {bridge}"),
            Event::LinkInUse { port, link, how } => format!("port {port} on {link}: {how}"),
            Event::LinkFree { port, link } => {
                format!("port {port} on {link}: the host does nothing with the link any more")
            }
            Event::MtuDiffers { port, link, expected } => {
                format!("port {port}: the link's MTU is {link}, the file expects {expected}")
            }
            _ => return None,
        })
    }

    fn of_other_hosts(&self) -> Option<String> {
        Some(match self {
            Event::TunnelUp { end } => format!("other hosts are reached by {end}"),
            Event::TunnelStranger { from, vni, reason } => {
                format!("frames from {from} with VNI {vni} are dropped ({reason}): {}", sentence(*reason))
            }
            Event::HostHeard { host } => format!("host {host} is heard"),
            Event::HostSilent { host } => {
                format!("host {host} is not heard any more: what is behind it is flooded for")
            }
            Event::UnderlayNarrow { host, bytes } => {
                format!("the underlay loses frames of {bytes} bytes to host {host}, and shorter ones arrive")
            }
            Event::UnderlayWide { host } => format!("long frames arrive at host {host} again"),
            _ => return None,
        })
    }

    fn of_frames(&self) -> Option<String> {
        Some(match self {
            Event::AddressFrozen { mac, held, seen } => {
                format!("{mac} moved too often: held at {held}, not followed to {seen}")
            }
            Event::AddressClaimed { mac, host } => {
                format!("host {host} has {mac} at the same time as this host: it is taken to be there")
            }
            Event::AddressesUntold { why } => {
                format!("other hosts cannot be told of addresses, which they learn from frames alone: {why}")
            }
            Event::AddressesTold => "other hosts are told of addresses again".to_owned(),
            Event::Reflected { mac, held, port } => {
                format!("our frame from {mac} at {held} came back by {port}: a loop outside?")
            }
            Event::OverBudget { port, dropped } => format!(
                "port {port} opens more conversations than its budget: {dropped} first frames dropped"
            ),
            Event::DropsBegan { port, reason, vids, untold } => {
                let untold = match untold {
                    0 => String::new(),
                    more => format!(" (so do {more} more that were not told)"),
                };
                format!("port {port} drops frames: {reason}{}{untold}", vids_text(vids))
            }
            Event::DropsEnded { port, reason, vids, frames, seconds } => {
                let (vids, span) = (vids_text(vids), span(Duration::from_secs(*seconds)));
                format!("port {port} drops no more frames: {reason}{vids}; {frames} frames within {span}")
            }
            _ => return None,
        })
    }

    fn of_the_datapath(&self) -> Option<String> {
        Some(match self {
            Event::Refused { what, retried: true } => format!("{what}; trying again"),
            Event::Refused { what, retried: false } => format!("{what}; given up"),
            Event::Adopted { kept, replaced, deleted, addresses } => format!(
                "adopted: {kept} flows kept, {replaced} replaced, {deleted} deleted, {addresses} addresses known"
            ),
            Event::DatapathAnew => {
                "the datapath was removed by somebody else, or could not be read any more, and is opened anew"
                    .to_owned()
            }
            Event::ForeignFlows { removed } => {
                format!("{removed} flows that another program had put into the datapath are removed")
            }
            Event::FlowsGone { missing } => {
                format!("{missing} flows were removed by another program; the next frames put them anew")
            }
            Event::ForeignVport { link } => {
                format!("another program had made {link} a port of the datapath; it is released")
            }
            Event::VportGone { link } => {
                format!("another program had released {link} from the datapath; it is taken again")
            }
            _ => return None,
        })
    }
}

fn vids_text(vids: &str) -> String {
    if vids.is_empty() { String::new() } else { format!(", VID {vids}") }
}

//! What an operator is told without asking.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use vlan::addr::MacAddr;
use vlan::verdict::DropReason;

mod words;

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
    /// A revision was not confirmed in its time: this host goes back to the one before.
    RevisionUnconfirmed {
        /// Its number.
        revision: u64,
        /// The time, in seconds.
        seconds: u64,
        /// The revision before.
        back: u64,
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
    /// Another process runs a host of this name: both take the same ports and addresses for their own.
    HostTwice {
        /// The name.
        host: String,
        /// The other machine: its machine-id, or `this machine`.
        machine: String,
    },
    /// None does any more.
    HostOnce {
        /// The name.
        host: String,
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
    /// A host is gone: it has no session in the store, and no host hears it. This one has taken back what it said of addresses, for all.
    AddressesWithdrawn {
        /// The host.
        host: String,
        /// How many addresses it had.
        words: usize,
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
    /// The journal does not take what is told; it waits.
    JournalAway {
        /// Why not.
        why: String,
    },
    /// The journal takes it again.
    JournalBack {
        /// How long it did not, in seconds.
        seconds: u64,
        /// How many events did not fit into what waits, and are not in the journal.
        lost: u64,
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
            Event::RevisionUnconfirmed { .. } => "revision-unconfirmed",
            Event::StoreAway { .. } => "store-away",
            Event::StoreBack { .. } => "store-back",
            Event::HostUnknown { .. } => "host-unknown",
            Event::HostTwice { .. } => "host-twice",
            Event::HostOnce { .. } => "host-once",
            Event::JournalAway { .. } => "journal-away",
            Event::JournalBack { .. } => "journal-back",
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
            Event::AddressesWithdrawn { .. } => "addresses-withdrawn",
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
        f.write_str(&self.in_words())
    }
}

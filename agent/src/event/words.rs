//! What events say, a sentence each.

use std::time::Duration;

use vlan::time::span;
use vlan::trace::reason::sentence;

use super::Event;

impl Event {
    /// What it says.
    pub(super) fn in_words(&self) -> String {
        let text = self.of_a_revision().or_else(|| self.of_a_port()).or_else(|| self.of_frames());
        let text = text.or_else(|| self.of_the_datapath()).or_else(|| self.of_other_hosts());
        text.unwrap_or_default()
    }

    fn of_a_revision(&self) -> Option<String> {
        Some(match self {
            Event::Applied { revision } => format!("revision {revision} is in force"),
            Event::RevisionRefused { revision, mistakes } => {
                format!("revision {revision} is refused, the one before stays: {}", mistakes.join("; "))
            }
            Event::RevisionUnreadable { revision, why } => {
                format!("revision {revision} in the store cannot be read, the topology in force stays: {why}")
            }
            Event::RevisionUnconfirmed { revision, seconds, back } => format!(
                "revision {revision} was not confirmed within {seconds} s: this host goes back to revision {back}"
            ),
            Event::StoreAway { revision: 0, why } => {
                format!("the store cannot be read, and there is no revision yet: {why}")
            }
            Event::StoreAway { revision, why } => {
                format!("the store cannot be read, revision {revision} stays in force: {why}")
            }
            Event::HostTwice { host, machine } => {
                format!(
                    "host {host} runs twice: another process has its name, on {machine}; give one of them another by --host"
                )
            }
            Event::HostOnce { host } => format!("host {host} runs here alone again"),
            Event::StoreBack { seconds } => format!("the store can be read again, after {seconds} s"),
            Event::HostUnknown { host, revision, hosts } => format!(
                "{host:?}, this host, is no host of revision {revision}, so nothing is forwarded here; its hosts: {hosts}"
            ),
            Event::JournalAway { why } => {
                format!("{why}; events wait here until it is back, and the log has them all")
            }
            Event::JournalBack { seconds, lost: 0 } => {
                format!("the journal takes events again, after {seconds} s; none was lost")
            }
            Event::JournalBack { seconds, lost } => format!(
                "the journal takes events again, after {seconds} s; {lost} did not fit into what waits, the log has them"
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
            Event::AddressesWithdrawn { host, words } => {
                format!("host {host} is gone: the {words} addresses that it had are withdrawn, for all hosts")
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

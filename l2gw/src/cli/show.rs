//! `l2gw show`: what a running daemon knows, as aligned columns or as JSON.

use std::io::{self, Write};

use agent::clock::wall_ms;
use agent::list::{Asked, Listed};
use agent::revisions::Published;
use agent::tree::Tree;
use agent::view::{BridgeView, CounterView, EventView, FlowView, MacView, PortView, StatusView, TrunkView};
use serde::Serialize;
use serde::de::DeserializeOwned;
use vlan::model::shown::printable;

use crate::cli::args::{Of, Selection, Subject};
use crate::cli::client::Client;
use crate::cli::failure::say;
use crate::cli::revisions::{Revisions, RevisionsError};
use crate::cli::time::utc;
use crate::cli::{DONE, FAILED, WRONG_USAGE, lines};
use crate::config::Config;

mod hosts;
mod revisions;
mod status;

/// Asks the daemon, or of revisions perhaps the store itself, and prints the answer.
///
/// # Errors
/// The answer cannot be written.
pub fn show(
    subject: Subject,
    (newest, selection): (usize, &Selection),
    of: &Of,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<u8> {
    let (client, json) = (&Client::new(&of.at.socket), of.at.json);
    let asked = &asked(selection);
    let printed = match subject {
        Subject::Status | Subject::Events | Subject::Hosts | Subject::Config | Subject::Revisions
            if *asked != Asked::default() =>
        {
            let whole = "status, events, hosts, config and revisions are shown as a whole, without a filter";
            Err(Failure::Usage(whole.to_owned()))
        }
        Subject::Config => config(of, out),
        Subject::Revisions => revisions_of(of, out),
        Subject::Hosts => hosts_of(of, out),
        _ if of.nsdb.is_some() => {
            let whose = "only hosts, config and revisions are in the store: the rest a daemon knows, leave out --nsdb";
            Err(Failure::Usage(whose.to_owned()))
        }
        Subject::Status => one(client, json, out),
        Subject::Ports => list::<PortView>(client, asked, json, out),
        Subject::Trunks => list::<TrunkView>(client, asked, json, out),
        Subject::Bridges => list::<BridgeView>(client, asked, json, out),
        Subject::Macs => list::<MacView>(client, asked, json, out),
        Subject::Flows => list::<FlowView>(client, asked, json, out),
        Subject::Counters => counters(client, asked, json, out),
        Subject::Events => events(client, newest, json, out),
    };
    let (text, code) = match printed {
        Ok(written) => return written.map(|()| DONE),
        Err(Failure::Revisions(error)) => (error.to_string(), error.exit_code()),
        Err(Failure::Usage(error)) => (error, WRONG_USAGE),
        Err(Failure::Part(error)) => (error, FAILED),
    };
    say(&text, err)?;
    Ok(code)
}

/// Why nothing is shown, or not all.
enum Failure {
    Revisions(RevisionsError),
    Usage(String),
    /// Something is, and it is not what was asked for.
    Part(String),
}

impl<E: Into<RevisionsError>> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::Revisions(error.into())
    }
}

type Printed = Result<io::Result<()>, Failure>;

fn asked(selection: &Selection) -> Asked {
    let Selection { port, vlan, mac, down, sort, limit } = selection.clone();
    Asked { port, vlan, mac, down, sort, limit: limit.map(|limit| limit as usize) }
}

fn one(client: &Client, json: bool, out: &mut impl Write) -> Printed {
    let status: StatusView = client.read("/v1/status")?;
    Ok(if json { print_json(&status, out) } else { status::print(&status, out) })
}

fn list<T: Row + Listed>(client: &Client, asked: &Asked, json: bool, out: &mut impl Write) -> Printed {
    let rows = read::<T>(client, asked)?;
    Ok(if json { print_json(&rows, out) } else { print_columns(&rows, out) })
}

fn read<T: Listed>(client: &Client, asked: &Asked) -> Result<Vec<T>, Failure> {
    asked.order::<T>().map_err(|error| Failure::Usage(error.to_string()))?;
    Ok(client.read(&format!("/v1/{}{}", T::NAME, query(asked)))?)
}

fn query(asked: &Asked) -> String {
    let given = [
        ("port", asked.port.clone()),
        ("vlan", asked.vlan.map(|vlan| vlan.to_string())),
        ("mac", asked.mac.map(|mac| mac.to_string())),
        ("down", asked.down.then(|| "true".to_owned())),
        ("sort", asked.sort.clone()),
        ("limit", asked.limit.map(|limit| limit.to_string())),
    ];
    let given = given.into_iter().filter_map(|(key, value)| Some(format!("{key}={}", escaped(&value?))));
    let given: Vec<String> = given.collect();
    if given.is_empty() { String::new() } else { format!("?{}", given.join("&")) }
}

/// As a value stands in a query (RFC 3986 2.1).
fn escaped(value: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    value.bytes().map(byte).collect()
}

fn events(client: &Client, newest: usize, json: bool, out: &mut impl Write) -> Printed {
    let rows: Vec<EventView> = client.read(&format!("/v1/events?newest={newest}"))?;
    Ok(if json { print_json(&rows, out) } else { print_columns(&rows, out) })
}

fn revisions_of(of: &Of, out: &mut impl Write) -> Printed {
    let rows = Revisions::open(of)?.known()?;
    Ok(if of.at.json { print_json(&rows, out) } else { revisions::print(&rows, wall_ms(), out) })
}

fn hosts_of(of: &Of, out: &mut impl Write) -> Printed {
    let view = Revisions::open(of)?.hosts()?;
    Ok(if of.at.json { print_json(&view, out) } else { hosts::print(view, out) })
}

/// As a file that `l2gw check` and `l2gw apply` take.
fn config(of: &Of, out: &mut impl Write) -> Printed {
    let (revisions, json) = (Revisions::open(of)?, of.at.json);
    let print = |published: &Published, out: &mut _| match json {
        true => print_json(published, out),
        false => write_config(published, out),
    };
    match revisions.newest() {
        Ok(published) => Ok(print(&published, out)),
        Err(away) if away.is_for_now() => {
            // What the host has kept is better than nothing; that it is not all stays a failure, or it would be saved as a backup.
            let Some(kept) = revisions.kept() else { return Err(away.into()) };
            let host = kept.share_of.as_deref().unwrap_or_default();
            let what = format!("this is what host {host} has kept of revision {}, its share", kept.revision);
            let text = format!("{away}; {what}: not all of it, so do not apply it");
            let commented = if json { Ok(()) } else { writeln!(out, "# {}", printable(&text)) };
            match commented.and_then(|()| print(&kept, out)) {
                Ok(()) => Err(Failure::Part(text)),
                failed => Ok(failed),
            }
        }
        Err(error) => Err(error.into()),
    }
}

fn write_config(published: &Published, out: &mut impl Write) -> io::Result<()> {
    let revision = published.revision;
    let (of_file, others) = published.topology.clone().apart(&published.sources);
    if let Some(within) = published.confirm_within_s {
        writeln!(
            out,
            "# revision {revision} has to be confirmed within {within} of hosts' seeing it, or they go back to revision {}: it may not be in force",
            revision.saturating_sub(1)
        )?;
    }
    // As it was, with nothing but comments added: so it is a file that changes nothing.
    if let Some(Config { text, .. }) = lines::read(published) {
        out.write_all(text.as_bytes())?;
    } else {
        writeln!(
            out,
            "# revision {revision}; objects are sorted by name, and what has its default is left out.\n\
             # [nsdb] and [journal] are the host's own, and belong before it.\n"
        )?;
        out.write_all(toml::to_string(&of_file).map_err(io::Error::other)?.as_bytes())?;
    }
    write_others(published, &others, out)
}

/// What did not come from a file, as comments: a file that named it would be refused.
fn write_others(published: &Published, others: &Tree, out: &mut impl Write) -> io::Result<()> {
    if *others == Tree::default() {
        return Ok(());
    }
    writeln!(out, "\n# Also in revision {}, and not from a file:", published.revision)?;
    for other in published.sources.others() {
        writeln!(out, "#   {}", printable(&other))?;
    }
    let text = toml::to_string(others).map_err(io::Error::other)?;
    text.lines().try_for_each(|line| writeln!(out, "{}", format!("# {line}").trim_end()))
}

/// As text without those that are 0, or what matters would be lost among them.
fn counters(client: &Client, asked: &Asked, json: bool, out: &mut impl Write) -> Printed {
    if json {
        return Ok(print_json(&read::<CounterView>(client, asked)?, out));
    }
    // The limit is one of rows that are shown.
    let mut rows = read::<CounterView>(client, &Asked { limit: None, ..asked.clone() })?;
    let all = rows.len();
    rows.retain(|row| row.value > 0);
    let zeros = all - rows.len();
    rows.truncate(asked.limit.unwrap_or(usize::MAX));
    Ok(print_columns(&rows, out).and_then(|()| writeln!(out, "({zeros} more are 0; --json has them all)")))
}

fn print_json(value: &impl Serialize, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

/// Something that is shown as a line of columns.
trait Row: Serialize + DeserializeOwned {
    const HEADINGS: &'static [&'static str];

    fn cells(&self) -> Vec<String>;
}

fn print_columns<T: Row>(rows: &[T], out: &mut impl Write) -> io::Result<()> {
    // Links of the host have the names that somebody gave them.
    let printed = |row: &T| row.cells().iter().map(|cell| printable(cell)).collect();
    let lines: Vec<Vec<String>> = rows.iter().map(printed).collect();
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.chain([T::HEADINGS[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..T::HEADINGS.len()).map(width).collect();
    let headings: Vec<String> = T::HEADINGS.iter().map(|heading| (*heading).to_owned()).collect();
    for line in std::iter::once(&headings).chain(&lines) {
        let (last, padded) = line.split_last().map_or(("", &line[..]), |(last, rest)| (last.as_str(), rest));
        let cells = padded.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}  "));
        let text = cells.collect::<String>() + last;
        writeln!(out, "{}", text.trim_end())?;
    }
    Ok(())
}

impl Row for PortView {
    const HEADINGS: &'static [&'static str] = &[
        "PORT",
        "STATE",
        "BRIDGE",
        "MODE",
        "VLANS",
        "LINK",
        "ADDRESSES",
        "RX",
        "TX",
        "UPCALLS",
        "DROPS",
        "WHY",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.port.clone(),
            self.state.clone(),
            self.bridge.clone(),
            self.mode.clone(),
            dash(&self.vlans),
            self.link.clone(),
            self.addresses.to_string(),
            self.rx_packets.to_string(),
            self.tx_packets.to_string(),
            self.upcalls.to_string(),
            self.drops.to_string(),
            why(self),
        ]
    }
}

/// Why a port is not up, else why most of what it drops is dropped.
fn why(port: &PortView) -> String {
    match (port.why.is_empty(), port.drop_reason.is_empty()) {
        (false, _) => port.why.clone(),
        (true, true) => String::new(),
        (true, false) => format!("drops mostly: {}", port.drop_reason),
    }
}

impl Row for TrunkView {
    const HEADINGS: &'static [&'static str] =
        &["TRUNK", "STATE", "BRIDGE", "FABRIC", "LINK", "ALLOWED", "CARRIES"];

    fn cells(&self) -> Vec<String> {
        let texts =
            [&self.trunk, &self.state, &self.bridge, &self.fabric, &self.link, &self.allowed, &self.carries];
        texts.iter().map(|text| dash(text)).collect()
    }
}

impl Row for BridgeView {
    const HEADINGS: &'static [&'static str] = &["BRIDGE", "KIND", "ADDRESSES", "AGEING", "PORTS", "PEERINGS"];

    fn cells(&self) -> Vec<String> {
        let ageing = if self.ageing_s == 0 { "never".to_owned() } else { format!("{} s", self.ageing_s) };
        let (ports, peerings) = (some(&self.ports), some(&self.peerings));
        vec![
            self.bridge.clone(),
            self.kind.clone(),
            self.addresses.to_string(),
            ageing,
            dash(&ports),
            dash(&peerings),
        ]
    }
}

impl Row for MacView {
    const HEADINGS: &'static [&'static str] = &["ADDRESS", "BRIDGE", "VLAN", "LOCATION", "KIND", "IDLE"];

    fn cells(&self) -> Vec<String> {
        let vid = self.vid.map_or_else(|| "-".to_owned(), |vid| vid.to_string());
        let vid = self.inner.map_or(vid.clone(), |inner| format!("{vid} > {inner}"));
        let is_learned = matches!(self.kind.as_str(), "dynamic" | "sticky");
        let idle = if is_learned { seconds(self.age_ms) } else { "-".to_owned() };
        vec![self.mac.to_string(), self.bridge.clone(), vid, self.location.clone(), self.kind.clone(), idle]
    }
}

impl Row for FlowView {
    const HEADINGS: &'static [&'static str] =
        &["PORT", "SOURCE", "DESTINATION", "TAGS", "TYPE", "FRAMES", "IDLE", "ACTIONS"];

    fn cells(&self) -> Vec<String> {
        let dst = self.dst.map_or_else(|| "any".to_owned(), |dst| dst.to_string());
        let idle = self.idle_ms.map_or_else(|| "never hit".to_owned(), seconds);
        vec![
            self.port.clone(),
            self.src.to_string(),
            dst,
            self.tags.clone(),
            ether_type(self.ether_type),
            self.packets.to_string(),
            idle,
            self.actions.clone(),
        ]
    }
}

impl Row for CounterView {
    const HEADINGS: &'static [&'static str] = &["COUNTER", "OF", "VALUE"];

    fn cells(&self) -> Vec<String> {
        let labels: Vec<String> = self.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        vec![self.name.clone(), dash(&labels.join(" ")), self.value.to_string()]
    }
}

impl Row for EventView {
    const HEADINGS: &'static [&'static str] = &["TIME", "EVENT", "WHAT"];

    fn cells(&self) -> Vec<String> {
        vec![utc(self.at_ms), self.event.kind().to_owned(), self.text.clone()]
    }
}

fn ether_type(number: u16) -> String {
    match number {
        0 => "LLC".to_owned(),
        0x0800 => "IPv4".to_owned(),
        0x0806 => "ARP".to_owned(),
        0x86dd => "IPv6".to_owned(),
        other => format!("{other:#06x}"),
    }
}

/// The first of a list, and how many more there are.
fn some(list: &[String]) -> String {
    let first = list.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match list.len().saturating_sub(SHOWN) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

fn dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.to_owned() }
}

fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

/// Elements of a list that are shown as text; --json has all.
const SHOWN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_cut_and_says_so() {
        let list = |count: usize| (1..=count).map(|n| n.to_string()).collect::<Vec<_>>();
        assert_eq!(some(&list(0)), "");
        assert_eq!(some(&list(8)), "1, 2, 3, 4, 5, 6, 7, 8");
        assert_eq!(some(&list(4094)), "1, 2, 3, 4, 5, 6, 7, 8 and 4086 more");
    }

    #[test]
    fn what_the_kernel_calls_a_link_reaches_no_terminal_as_it_is() {
        let event = agent::event::Event::VportGone { link: "ta\u{202e}p\u{1b}[2J".to_owned() };
        let row = EventView { at_ms: 0, text: event.to_string(), event };
        let mut out = Vec::new();
        print_columns(&[row], &mut out).unwrap();
        let said = String::from_utf8(out).unwrap();
        assert!(said.lines().all(|line| line.chars().all(vlan::model::shown::is_shown)), "{said:?}");
        assert!(said.contains("\\u{202e}p"), "{said}");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_no_line_ends_in_blanks() {
        let counter = |name: &str, value| agent::counters::counter(name, &[], value);
        let mut out = Vec::new();
        print_columns(&[counter("a_total", 7), counter("a_longer_total", 12)], &mut out).unwrap();
        let expected = "COUNTER         OF  VALUE\na_total         -   7\na_longer_total  -   12\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

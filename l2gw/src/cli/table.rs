//! `l2gw table`: what each port does with a broadcast frame of each VLAN. VIDs that a port treats alike are one row.

use std::io::{self, Write};
use std::sync::Arc;

use serde::{Serialize, Serializer};
use vlan::model::topology::Topology;
use vlan::trace::reason::sentence;
use vlan::verdict::DropReason;
use vlan::vid::{Vid, VidSet};

use crate::cli::fates::{Arrivals, End, Fate, Fates, Leaving, Name, Names, Piece, at_one_vid};

/// One row: a broadcast frame with these tags arriving at this port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The arrival port.
    pub port: String,
    /// Its tags, the outermost first, each VID and PCP; of several VIDs the lowest.
    pub tags: Vec<(u16, u8)>,
    /// Of a tagged frame, all VIDs of which the row is true: `8`, `100-199`.
    pub vids: Option<String>,
    /// Where copies leave, in the order of ports; at most [`MOST_OUTPUTS`] of them.
    pub outputs: Vec<RowOutput>,
    /// How many more copies leave.
    pub more: usize,
    /// Why it is dropped, if it is.
    pub drop: Option<&'static str>,
    /// Why it is dropped, in words, where the reason does not say it all.
    pub why: Option<String>,
}

/// A copy that leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RowOutput {
    /// The port it leaves by; for another host `host NAME`.
    pub port: String,
    /// Its tags, the outermost first, each VID and PCP, for the lowest VID of the row.
    pub tags: Vec<(u16, u8)>,
    /// Which of its tags, counted from 0, have the VID with which the frame came, whichever of the row's that is.
    pub follows: Vec<usize>,
}

/// Every row of a topology, as [`print`](fn@print) has it in JSON.
pub fn rows(topology: &Arc<Topology>) -> Vec<Row> {
    let mut names = Names::default();
    let fates = Fates::of(topology, &mut names);
    each_row(&fates, &names).collect()
}

/// Every row: for each port untagged, VID 0, and each class of VIDs that it treats alike.
fn each_row(fates: &Fates, names: &Names) -> impl Iterator<Item = Row> {
    let of_port = |(own, arrivals): &(Name, std::rc::Rc<Arrivals>)| {
        let rows: Vec<Row> = lines(arrivals).map(|line| line.row(names, *own)).collect();
        rows
    };
    fates.ports.iter().flat_map(of_port)
}

/// The frames of one row.
#[derive(Clone)]
struct Line<'a> {
    arrives: Arrives<'a>,
    fate: std::borrow::Cow<'a, Fate>,
}

#[derive(Clone, Copy)]
enum Arrives<'a> {
    Untagged,
    Priority,
    Tagged(&'a VidSet),
}

fn lines(arrivals: &Arrivals) -> impl Iterator<Item = Line<'_>> {
    let untagged = Line { arrives: Arrives::Untagged, fate: std::borrow::Cow::Borrowed(&arrivals.untagged) };
    let priority = Line { arrives: Arrives::Priority, fate: std::borrow::Cow::Borrowed(&arrivals.priority) };
    let tagged = arrivals.tagged.iter().map(|(vids, fate)| {
        let only = vids.iter().next().filter(|_| vids.len() == 1);
        let fate = match only {
            Some(vid) => std::borrow::Cow::Owned(at_one_vid(fate, vid)),
            None => std::borrow::Cow::Borrowed(fate),
        };
        Line { arrives: Arrives::Tagged(vids), fate }
    });
    [untagged, priority].into_iter().chain(tagged)
}

impl Line<'_> {
    fn row(&self, names: &Names, own: Name) -> Row {
        let lowest = match self.arrives {
            Arrives::Tagged(vids) => vids.iter().next(),
            Arrives::Untagged | Arrives::Priority => None,
        };
        let (tags, vids) = match self.arrives {
            Arrives::Untagged => (Vec::new(), None),
            Arrives::Priority => (vec![(0, 0)], None),
            Arrives::Tagged(vids) => {
                (lowest.iter().map(|vid| (vid.get(), 0)).collect(), Some(vids.to_string()))
            }
        };
        let port = names.name(own).to_owned();
        match self.fate.seen_by(own) {
            End::Drop(reason) => {
                let why = why(names, &self.fate, reason, own);
                Row { port, tags, vids, outputs: Vec::new(), more: 0, drop: Some(reason.name()), why }
            }
            End::Copies(copies) => {
                let outputs =
                    copies.iter().take(MOST_OUTPUTS).map(|copy| output(names, copy, lowest)).collect();
                let more = copies.count().saturating_sub(MOST_OUTPUTS);
                Row { port, tags, vids, outputs, more, drop: None, why: None }
            }
        }
    }

    /// What becomes of the frames, in words.
    fn text(&self, names: &Names, own: Name) -> String {
        match self.fate.seen_by(own) {
            End::Drop(reason) => {
                let why =
                    why(names, &self.fate, reason, own).map(|why| format!(": {why}")).unwrap_or_default();
                format!("drop {}{why}", reason.name())
            }
            End::Copies(copies) => {
                let few: Vec<String> =
                    copies.iter().take(MOST_COPIES).map(|copy| copy_text(names, copy)).collect();
                let more = copies.count().saturating_sub(MOST_COPIES);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                format!("-> {}{more}", few.join(", "))
            }
        }
    }
}

fn output(names: &Names, copy: &Leaving, arriving: Option<Vid>) -> RowOutput {
    let tag = |piece: &Piece| match piece {
        Piece::Arriving => (arriving.map_or(0, Vid::get), 0),
        Piece::Fixed(vid, pcp) => (*vid, *pcp),
    };
    let follows = copy.tags.iter().enumerate().filter(|(_, piece)| **piece == Piece::Arriving);
    RowOutput {
        port: names.name(copy.to).to_owned(),
        tags: copy.tags.iter().map(tag).collect(),
        follows: follows.map(|(at, _)| at).collect(),
    }
}

/// Why a frame that was let in goes nowhere: no member lets it out, or there is no other member.
fn why(names: &Names, fate: &Fate, reason: DropReason, own: Name) -> Option<String> {
    if reason != DropReason::NoMember {
        return None;
    }
    let mut others: Vec<&(Name, DropReason)> = fate.withheld.iter().filter(|(to, _)| *to != own).collect();
    if others.is_empty() {
        return Some(fate.lonely.to_string());
    }
    others.sort_by_key(|(to, why)| (*why, *to));
    let parts: Vec<String> = others
        .chunk_by(|a, b| a.1 == b.1)
        .filter_map(|alike| {
            let named: Vec<&str> = alike.iter().take(MOST_COPIES).map(|(to, _)| names.name(*to)).collect();
            let more = alike.len() - named.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            Some(format!("not by {}{more}: {}", named.join(", "), sentence(alike.first()?.1)))
        })
        .collect();
    Some(parts.join("; "))
}

/// Prints the rows as lines of text or as one JSON list.
///
/// # Errors
/// The output cannot be written.
pub fn print(topology: &Arc<Topology>, json: bool, out: &mut impl Write) -> io::Result<()> {
    let mut names = Names::default();
    let fates = Fates::of(topology, &mut names);
    if json {
        serde_json::Serializer::pretty(&mut *out).collect_seq(each_row(&fates, &names))?;
        return writeln!(out);
    }
    let width = fates.ports.iter().map(|(own, _)| names.name(*own).len()).max().unwrap_or(0).max(4);
    writeln!(out, "{:width$}  {:LABEL$}  a broadcast frame", "port", "arrives")?;
    let mut separator = "";
    for (own, arrivals) in &fates.ports {
        write!(out, "{separator}")?;
        separator = "\n";
        for (label, text) in told(arrivals, &names, *own) {
            writeln!(out, "{:width$}  {label:LABEL$}  {text}", names.name(*own))?;
        }
    }
    Ok(())
}

/// A line for each thing that a port does: which frames, and what becomes of them. The class of most VIDs comes last, as all others.
fn told(arrivals: &Arrivals, names: &Names, own: Name) -> Vec<(String, String)> {
    let mut told: Vec<(String, String)> = Vec::new();
    let (mut others, classes) = (None, arrivals.tagged.len());
    for line in lines(arrivals) {
        let text = line.text(names, own);
        match line.arrives {
            Arrives::Untagged => told.push(("untagged".to_owned(), text)),
            Arrives::Priority if told.first().is_some_and(|(_, first)| *first == text) => {
                told.iter_mut().for_each(|(label, _)| label.push_str(" or [0]"));
            }
            Arrives::Priority => told.push(("[0]".to_owned(), text)),
            Arrives::Tagged(vids) if vids.len() > MANY => {
                others = Some((if classes == 1 { "any VID" } else { "other VIDs" }.to_owned(), text));
            }
            Arrives::Tagged(vids) => told.push((vids_text(&vids.to_string()), text)),
        }
    }
    told.extend(others);
    told
}

/// A copy and its tags.
pub(crate) fn copy_text(names: &Names, copy: &Leaving) -> String {
    let tags: String = copy
        .tags
        .iter()
        .map(|piece| match piece {
            Piece::Arriving => "[v]".to_owned(),
            Piece::Fixed(vid, pcp) => tag_text(*vid, *pcp),
        })
        .collect();
    format!("{} {}", names.name(copy.to), if tags.is_empty() { "untagged" } else { &tags })
}

pub(crate) fn tags_text(tags: &[(u16, u8)]) -> String {
    if tags.is_empty() {
        return "untagged".to_owned();
    }
    tags.iter().map(|(vid, pcp)| tag_text(*vid, *pcp)).collect()
}

fn tag_text(vid: u16, pcp: u8) -> String {
    if pcp == 0 { format!("[{vid}]") } else { format!("[{vid} pcp {pcp}]") }
}

/// Ranges of VIDs as a tag; of very many ranges the first.
pub(crate) fn vids_text(vids: &str) -> String {
    let ranges: Vec<&str> = vids.split(',').collect();
    if ranges.len() <= MOST_RANGES {
        return format!("[{vids}]");
    }
    let more = ranges.len() - MOST_RANGES;
    format!("[{},… and {more} more]", ranges[..MOST_RANGES].join(","))
}

/// Most outputs of a row in JSON.
pub const MOST_OUTPUTS: usize = 64;
/// Most copies of a row in text.
const MOST_COPIES: usize = 8;
/// Most ranges of VIDs in text.
const MOST_RANGES: usize = 12;
/// More VIDs than this are all others: no two classes can have so many.
const MANY: usize = Vid::MAX as usize / 2;
/// Width of the second column.
const LABEL: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;

    fn topology(text: &str) -> Arc<Topology> {
        let config = crate::config::parse("f", &format!("[hosts.gw1]\n{text}"));
        Arc::new(config.unwrap_or_else(|problems| panic!("{problems}\n{text}")).topology)
    }

    fn aware(name: &str, more: &str) -> String {
        format!("[bridges.{name}]\nkind = \"vlan-aware\"\n{more}")
    }

    fn vub(name: &str) -> String {
        format!("[bridges.{name}]\nkind = \"vlan-unaware\"\n")
    }

    fn vlan(bridge: &str, vid: usize, to: &str) -> String {
        format!("[[vlans]]\nbridge = \"{bridge}\"\nvid = {vid}\nto = \"{to}\"\n")
    }

    fn port(list: &str, name: &str, bridge: &str, more: &str) -> String {
        format!(
            "[[{list}]]\nname = \"{name}\"\nbridge = \"{bridge}\"\nhost = \"gw1\"\nlink = \"{name}\"\n{more}"
        )
    }

    fn lines(topology: &Arc<Topology>) -> Vec<String> {
        let mut out = Vec::new();
        print(topology, false, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        text.lines().skip(1).filter(|line| !line.is_empty()).map(squeezed).collect()
    }

    /// `count` VLANs of three ports each.
    fn gateway(count: usize) -> Arc<Topology> {
        let vlans = (1..=count).map(|vid| {
            let name = format!("v{vid}");
            let ports = (0..3).map(|number| port("ports", &format!("p{vid}-{number}"), &name, ""));
            vub(&name) + &vlan("dc1", vid, &name) + &ports.collect::<String>()
        });
        topology(&(aware("dc1", "") + &port("trunks", "leaf1", "dc1", "") + &vlans.collect::<String>()))
    }

    #[test]
    fn a_table_grows_with_the_file() {
        for count in [10, 40] {
            let gateway = gateway(count);
            // Untagged, VID 0, each VLAN and the others on the trunk; untagged, VID 0 and any VID on each port.
            assert_eq!(rows(&gateway).len(), 3 + count + 3 * 3 * count, "{count}");
            assert_eq!(lines(&gateway).len(), 2 + count + 2 * 3 * count, "{count}");
        }
    }

    #[test]
    fn vids_that_fare_alike_share_a_row() {
        let trunk = |name: &str, vlans: &str| port("trunks", name, "dc1", &format!("vlans = {vlans}\n"));
        let vlans = trunk("a", "[\"1-4094\"]") + &trunk("b", "[\"5\", \"8-10\", \"100-199\"]");
        let topology = topology(&(aware("dc1", "redundancy = \"none\"\n") + &vlans));
        let expected = [
            "a untagged or [0] drop untagged-on-trunk",
            "a [5,8-10,100-199] -> b [v]",
            "a other VIDs drop no-member: the VLAN has no other port and is peered with nothing",
            "b untagged or [0] drop untagged-on-trunk",
            "b [5,8-10,100-199] -> a [v]",
            "b other VIDs drop vlan-not-allowed",
        ];
        assert_eq!(lines(&topology), expected);
        let row = rows(&topology).into_iter().find(|row| row.port == "b" && row.tags == [(5, 0)]).unwrap();
        assert_eq!(row.vids.as_deref(), Some("5,8-10,100-199"));
        let output = RowOutput { port: "a".to_owned(), tags: vec![(5, 0)], follows: vec![0] };
        assert_eq!(row.outputs, [output]);
    }

    #[test]
    fn a_drop_for_want_of_another_port_says_why() {
        let dc1 = aware("dc1", "");
        let access = port("ports", "acc", "dc1", "mode = \"access\"\nvid = 9\n");
        let leaf = |name: &str, vlans: &str| port("trunks", name, "dc1", &format!("vlans = [{vlans}]\n"));
        for (file, line) in [
            (
                dc1.clone() + &access,
                "acc untagged or [0] drop no-member: VLAN 9 of dc1 has no other port and is peered with nothing",
            ),
            (
                vub("v") + &port("ports", "vm", "v", ""),
                "vm untagged or [0] drop no-member: v has no other port and is peered with nothing",
            ),
            (
                dc1.clone() + &vub("v") + &vlan("dc1", 9, "v") + &port("ports", "vm", "v", ""),
                "vm untagged or [0] drop no-member: v has no other port, nor has what it is peered with: VLAN 9 of dc1",
            ),
            (
                dc1.clone() + &vub("v") + &vlan("dc1", 9, "v") + &leaf("leaf1", "\"9\""),
                "leaf1 [9] drop no-member: the VLAN has no other port, nor has what it is peered with: v",
            ),
            (
                dc1.clone() + &leaf("leaf1", "\"9\"") + &leaf("leaf2", "\"9\""),
                "leaf1 [9] drop no-member: not by leaf2: it came in by a trunk of the same fabric, which delivers it itself",
            ),
            (dc1 + &access + &leaf("leaf1", "\"9\""), "acc untagged or [0] -> leaf1 [9]"),
        ] {
            let lines = lines(&topology(&file));
            assert!(lines.iter().any(|said| said == line), "{line}: {lines:#?}");
        }
    }

    #[test]
    fn of_very_many_copies_the_first_are_listed() {
        let ports: String = (0..100).map(|number| port("ports", &format!("p{number}"), "v", "")).collect();
        let topology = topology(&(vub("v") + &ports));
        let line = &lines(&topology)[0];
        assert!(line.starts_with("p0 untagged or [0] -> p1 untagged, p2 untagged, "), "{line}");
        assert!(line.ends_with(", p8 untagged and 91 more"), "{line}");
        let row = &rows(&topology)[0];
        assert_eq!((row.outputs.len(), row.more), (MOST_OUTPUTS, 99 - MOST_OUTPUTS));
    }
}

//! `ingress` and `egress`: one port at a time, seen through `all`, a port that is in every VLAN and shows each as a tag.
//!
//! Each row is run with both TPIDs, and a trunk both as a trunk into the fabric and as a port in trunk mode.

use vlan::model::description::{Description, Host, Mode, Peering};
use vlan::vid::{Vid, VidSet};

use super::words::{self, Terms};
use super::{Fate, Frame, Note, Section, Step, Story, To, What, columns, ports};

/// Rows `PORT  ARRIVES  PCP  SEEN`: what a frame that arrives at the port is to `all`.
pub fn ingress(section: &Section<'_>) -> Result<Vec<Story>, String> {
    rows(section, |row, terms| {
        let tags = words::tags(row.tags, terms)?;
        let bytes = words::frame(words::address("*")?, words::address("A")?, &tags, IPV4);
        let seen = match row.expected.strip_prefix("drop ") {
            Some(reason) => Fate::Drop(reason.to_owned()),
            None => {
                let out = words::retagged(&bytes, tags.len(), &words::tags(row.expected, terms)?);
                Fate::Forward(vec![(To::Port("all".to_owned()), out)])
            }
        };
        Ok(vec![Frame { port: "it".to_owned(), bytes, expected: seen, notes: Vec::new() }])
    })
}

/// Rows `PORT  AT-ALL  PCP  LEAVES`: what a frame of a VLAN leaves the port as, flooded and to a station that is known there.
pub fn egress(section: &Section<'_>) -> Result<Vec<Story>, String> {
    rows(section, |row, terms| {
        let tags = words::tags(row.tags, terms)?;
        let mut frames = Vec::new();
        for dst in ["*", STATION] {
            let bytes = words::frame(words::address(dst)?, words::address("B")?, &tags, IPV4);
            let mut notes = Vec::new();
            let expected = match row.expected.strip_prefix("drop ") {
                Some("no-member") => Fate::Drop("no-member".to_owned()),
                Some(reason) if dst == "*" => {
                    notes.push(Note::Withheld("it".to_owned(), reason.to_owned()));
                    Fate::Drop("no-member".to_owned())
                }
                Some(reason) => Fate::Drop(reason.to_owned()),
                None => {
                    let out = words::retagged(&bytes, tags.len(), &words::tags(row.expected, terms)?);
                    Fate::Forward(vec![(To::Port("it".to_owned()), out)])
                }
            };
            frames.push(Frame { port: "all".to_owned(), bytes, expected, notes });
        }
        Ok(frames)
    })
}

/// The columns of a row.
struct Row<'a> {
    tags: &'a str,
    expected: &'a str,
}

fn rows(
    section: &Section<'_>,
    frames: impl Fn(&Row<'_>, Terms) -> Result<Vec<Frame>, String>,
) -> Result<Vec<Story>, String> {
    let mut stories = Vec::new();
    for &(line, text) in &section.rows {
        let at = |error: String| format!("{line}: {error}");
        let [port, tags, pcp, expected] = columns(text)[..] else {
            return Err(at("a row has four columns, two spaces or more apart".to_owned()));
        };
        let row = Row { tags, expected };
        let pcps = words::pcps(pcp).map_err(at)?;
        for (tpid, named) in [(words::CUSTOMER, "8100"), (words::SERVICE, "88a8")] {
            for is_trunk in [false, true] {
                if is_trunk && !port.starts_with("trunk") {
                    continue;
                }
                let mut steps = Vec::new();
                for &pcp in &pcps {
                    let made = frames(&row, Terms { tpid, pcp }).map_err(at)?;
                    steps.extend(made.into_iter().map(|frame| Step { line, what: What::Frame(frame) }));
                }
                let form = if is_trunk { " into a fabric" } else { "" };
                let title = format!("{} {port}{form}, TPID 0x{named}", section.kind);
                let description = around(port, named, is_trunk).map_err(at)?;
                stories.push(Story { line, title, description, steps });
            }
        }
    }
    Ok(stories)
}

/// VAB `sw` with `all` and the port `it`; a plain port is in VUB `red`, which is VLAN 8. A station is known at `it`.
fn around(port: &str, tpid: &str, is_trunk: bool) -> Result<Description, String> {
    let is_plain = port.starts_with("plain");
    let mut made = Description::default();
    made.hosts.push(Host { name: "h1".to_owned(), ..Host::default() });
    made.bridges.push(ports::bridge(&format!("sw tpid {tpid}"))?);
    if is_plain {
        made.bridges.push(ports::bridge("red unaware")?);
        let vid = Vid::new(8).ok_or("8 is a VID")?;
        made.vlans.push(Peering { bridge: "sw".to_owned(), vid, to: "red".to_owned() });
    }
    let mut all = ports::port("all", "sw", "h1", "trunk")?;
    if let Mode::Trunk(trunk) = &mut all.mode {
        trunk.vlans = Some(VidSet::all());
    }
    let mut it = ports::port("it", if is_plain { "red" } else { "sw" }, "h1", port)?;
    it.macs = vec![words::address("A")?, words::address(STATION)?];
    made.ports.push(all);
    if is_trunk {
        made.trunks.push(it)
    } else {
        made.ports.push(it)
    }
    Ok(made)
}

const IPV4: u16 = 0x0800;
/// Known at the port under test.
const STATION: &str = "S";

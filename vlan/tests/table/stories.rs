//! `story`: a topology written out, then frames, one after another.
//!
//! Lines that begin with `host`, `bridge`, `vlan`, `trunk` and `port` declare; `wait`, `down`, `up`, `carry`, `choose`, `put` and `replace` make
//! something happen; every other line is a frame: `PORT  TAGS  SRC > DST [ETHERTYPE]  EXPECTED [; NOTE]…`.

use std::time::Duration;

use vlan::model::description::{Description, Host, HostKind, Peering};
use vlan::vid::Vid;

use super::words::{self, PLAIN};
use super::{Fate, Frame, Section, Step, Story, What, columns, ports};

/// The one story of a section.
pub fn story(section: &Section<'_>) -> Result<Story, String> {
    let mut description = Description::default();
    let mut steps = Vec::new();
    let mut after = None;
    for &(line, text) in &section.rows {
        let at = |error: String| format!("{line}: {error}");
        if text == "replace" {
            after = Some((line, Description::default()));
            continue;
        }
        let declares = match &mut after {
            Some((_, after)) => declare(after, text),
            None => declare(&mut description, text),
        };
        if declares.map_err(at)? {
            continue;
        }
        if let Some((line, after)) = after.take() {
            steps.push(Step { line, what: What::Replace(after) });
        }
        let what = match event(text).map_err(at)? {
            Some(what) => what,
            None => What::Frame(frame(text).map_err(at)?),
        };
        steps.push(Step { line, what });
    }
    Ok(Story { line: section.line, title: section.title.to_owned(), description, steps })
}

/// Adds what a line declares. False if it declares nothing.
pub fn declare(description: &mut Description, text: &str) -> Result<bool, String> {
    if description.hosts.is_empty() {
        description.hosts.push(Host { name: "h1".to_owned(), ..Host::default() });
    }
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let rest = rest.trim();
    let port = || {
        let mut words = rest.splitn(3, ' ');
        let missing = || format!("{text:?} is not {word} NAME BRIDGE …");
        let (name, bridge) = (words.next().ok_or_else(missing)?, words.next().ok_or_else(missing)?);
        let settings = words.next().unwrap_or_default();
        let settings = if word == "trunk" { format!("trunk {settings}") } else { settings.to_owned() };
        ports::port(name, bridge, "h1", &settings)
    };
    match word {
        "host" => {
            let host = host(rest)?;
            description.hosts.retain(|other| other.name != host.name);
            let at = if host.name == "h1" { 0 } else { description.hosts.len() };
            description.hosts.insert(at, host);
        }
        "bridge" => description.bridges.push(ports::bridge(rest)?),
        "vlan" => description.vlans.push(peering(rest)?),
        "trunk" => description.trunks.push(port()?),
        "port" => description.ports.push(port()?),
        _ => return Ok(false),
    }
    Ok(true)
}

/// `NAME [underlay ADDRESS] [vtep]`.
fn host(text: &str) -> Result<Host, String> {
    let mut words = text.split_whitespace();
    let mut host = Host { name: words.next().unwrap_or_default().to_owned(), ..Host::default() };
    while let Some(word) = words.next() {
        match word {
            "underlay" => {
                let address = words.next().ok_or("an underlay address is missing")?;
                host.underlay = Some(address.parse().map_err(|_| format!("{address:?} is no address"))?);
            }
            "vtep" => host.kind = HostKind::Vtep,
            other => return Err(format!("a host has no {other:?}")),
        }
    }
    Ok(host)
}

/// `BRIDGE VID TO`.
fn peering(text: &str) -> Result<Peering, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let malformed = || format!("{text:?} is not BRIDGE VID TO");
    let [bridge, vid, to] = words[..] else { return Err(malformed()) };
    let vid = vid.parse().ok().and_then(Vid::new).ok_or_else(malformed)?;
    Ok(Peering { bridge: bridge.to_owned(), vid, to: to.to_owned() })
}

fn event(text: &str) -> Result<Option<What>, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    Ok(Some(match words[..] {
        ["wait", span] => What::Wait(seconds(span)?),
        ["down", port] => What::Down(port.to_owned()),
        ["up", port] => What::Up(port.to_owned()),
        ["choose"] => What::Choose,
        ["carry", vlan, trunk] => {
            let (bridge, vid) = name_and_vid(vlan)?;
            What::Carry(bridge, vid, trunk.to_owned())
        }
        ["put", mac, on, at] => {
            let (port, vid) = name_and_vid(at)?;
            What::Put(words::address(mac)?, on.to_owned(), port, vid)
        }
        _ => return Ok(None),
    }))
}

/// `NAME/VID`.
fn name_and_vid(text: &str) -> Result<(String, u16), String> {
    let pair = text.split_once('/').and_then(|(name, vid)| Some((name.to_owned(), vid.parse().ok()?)));
    pair.ok_or_else(|| format!("{text:?} is not NAME/VID"))
}

/// `301s` or `20ms`.
fn seconds(text: &str) -> Result<Duration, String> {
    let number = |digits: &str| digits.parse().map_err(|_| format!("{text:?} is no time"));
    match text.strip_suffix("ms") {
        Some(digits) => number(digits).map(Duration::from_millis),
        None => number(text.strip_suffix('s').unwrap_or(text)).map(Duration::from_secs),
    }
}

fn frame(text: &str) -> Result<Frame, String> {
    let [port, own, addresses, rest] = columns(text)[..] else {
        return Err("a frame has four columns: port, tags, addresses, expected".to_owned());
    };
    let words: Vec<&str> = addresses.split_whitespace().collect();
    let (src, dst, ether_type) = match words[..] {
        [src, ">", dst] => (src, dst, "0800"),
        [src, ">", dst, ether_type] => (src, dst, ether_type),
        _ => return Err(format!("{addresses:?} is not SRC > DST [ETHERTYPE]")),
    };
    let ether_type =
        u16::from_str_radix(ether_type, 16).map_err(|_| format!("{ether_type:?} is no EtherType"))?;
    let own = words::tags(own, PLAIN)?;
    let mut parts = rest.split(';').map(str::trim);
    let expected = parts.next().unwrap_or_default();
    let mut bytes = words::frame(words::address(dst)?, words::address(src)?, &own, ether_type);
    if expected == "drop malformed" {
        // Cut inside what has to be read: the EtherType, or the last of at most two tags.
        bytes.truncate(13 + 4 * own.len().min(2));
    }
    let expected: Fate = words::fate(expected, &bytes, own.len(), PLAIN)?;
    let notes = parts.map(words::note).collect::<Result<_, String>>()?;
    Ok(Frame { port: port.to_owned(), bytes, expected, notes })
}

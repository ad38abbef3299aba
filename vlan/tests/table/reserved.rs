//! `reserved`: control protocols by kind of port, as behaviour.md 6 has them in its table.
//!
//! The port under test is `it`; `q1` and `q2` are qinq ports of S-VLAN 10, `t1` a trunk of its bridge, `v1` a VM of VLAN 8's VUB. On the bridge
//! `st`, whose redundancy is `stp`, `s1` is the other trunk.

use vlan::model::description::Description;

use super::words::{self, PLAIN};
use super::{Fate, Frame, Note, Section, Step, Story, To, What, columns, stories};

/// Rows `ADDRESS  TYPE` and a word for each kind of port, `KINDS`.
pub fn stories(section: &Section<'_>) -> Result<Vec<Story>, String> {
    let mut made = Vec::new();
    for &(line, text) in &section.rows {
        let at = |error: String| format!("{line}: {error}");
        let [address, ether_type, words @ ..] = &columns(text)[..] else {
            return Err(at("a row has eleven columns".to_owned()));
        };
        if words.len() != KINDS.len() {
            return Err(at("a row has eleven columns".to_owned()));
        }
        let ether_type = u16::from_str_radix(ether_type, 16).map_err(|_| at("no EtherType".to_owned()))?;
        for (kind, word) in KINDS.iter().zip(words) {
            made.push(story(line, (address, ether_type), kind, word).map_err(at)?);
        }
    }
    Ok(made)
}

/// A kind of port under test, its line, and the tags that a frame is tried with: control frames are told by their address alone.
struct Kind {
    name: &'static str,
    port: &'static str,
    tags: &'static [&'static str],
    /// Where a tunnelled frame comes out, with what in front of its own tags.
    tunnel: &'static [(&'static str, &'static str)],
    /// Where a frame that is forwarded comes out.
    forward: &'static [(&'static str, &'static str)],
}

const KINDS: [Kind; 9] = [
    Kind {
        name: "VM port",
        port: "port it red",
        tags: &["none", "0/5", "8/3", "4095"],
        tunnel: &[],
        forward: &[("t1", "8"), ("v1", "none")],
    },
    Kind {
        name: "access port",
        port: "port it sw access 8",
        tags: &["none"],
        tunnel: &[],
        forward: &[("t1", "8"), ("v1", "none")],
    },
    Kind {
        name: "access port, bpdu = discard",
        port: "port it sw access 8 bpdu=discard",
        tags: &["none"],
        tunnel: &[],
        forward: &[("t1", "8"), ("v1", "none")],
    },
    Kind {
        name: "port in mode trunk",
        port: "port it sw trunk 8 native 8",
        tags: &["none", "0/5", "8/3", "77/1", "4095"],
        tunnel: &[],
        forward: &[("t1", "8"), ("v1", "none")],
    },
    Kind {
        name: "port in mode trunk, bpdu = discard",
        port: "port it sw trunk 8 native 8 bpdu=discard",
        tags: &["none", "0/5", "8/3", "77/1", "4095"],
        tunnel: &[],
        forward: &[("t1", "8"), ("v1", "none")],
    },
    Kind {
        name: "qinq port",
        port: "port it sw qinq 10 pcp 0",
        tags: &["none", "5/3"],
        tunnel: &[("q1", "none"), ("q2", "none"), ("t1", "10")],
        forward: &[("q1", "none"), ("q2", "none"), ("t1", "10")],
    },
    Kind {
        name: "qinq port, bpdu = discard",
        port: "port it sw qinq 10 pcp 0 bpdu=discard",
        tags: &["none", "5/3"],
        tunnel: &[("q1", "none"), ("q2", "none"), ("t1", "10")],
        forward: &[("q1", "none"), ("q2", "none"), ("t1", "10")],
    },
    Kind {
        name: "trunk",
        port: "trunk it sw 8 native 8",
        tags: &["none", "0/5", "8/3", "77/1", "4095"],
        tunnel: &[],
        forward: &[("v1", "none")],
    },
    Kind {
        name: "stp trunk",
        port: "trunk it st 8 native 8",
        tags: &["none", "0/5", "8/3", "77/1", "4095"],
        tunnel: &[("s1", "none")],
        forward: &[("s1", "none"), ("w1", "none")],
    },
];

const AROUND: &[&str] = &[
    "bridge sw",
    "bridge red unaware",
    "vlan sw 8 red",
    "trunk t1 sw 8,10",
    "port q1 sw qinq 10",
    "port q2 sw qinq 10",
    "port v1 red",
    "bridge st redundancy stp fabric st",
    "trunk s1 st 8 native 8",
    "port w1 st access 8",
];

fn story(line: usize, (address, ether_type): (&str, u16), kind: &Kind, word: &str) -> Result<Story, String> {
    let mut description = Description::default();
    for declared in AROUND.iter().chain([&kind.port]) {
        stories::declare(&mut description, declared)?;
    }
    let mut steps = Vec::new();
    // What is forwarded is a frame like any other, its tags are the business of the other sections.
    let tried = if word == "forward" { &kind.tags[..1] } else { kind.tags };
    for tags in tried {
        let own = words::tags(tags, PLAIN)?;
        let bytes = words::frame(words::address(address)?, words::address("A")?, &own, ether_type);
        let (expected, mut notes) = meaning(word, kind, &bytes)?;
        if !matches!(word, "forward") {
            notes.extend([Note::Unmetered, Note::Lesson("unlearned".to_owned())]);
        }
        let frame = Frame { port: "it".to_owned(), bytes, expected, notes };
        steps.push(Step { line, what: What::Frame(frame) });
        if word == "block" {
            steps.push(Step { line, what: What::Up("it".to_owned()) });
        }
    }
    Ok(Story { line, title: format!("{address} at a {}: {word}", kind.name), description, steps })
}

fn meaning(word: &str, kind: &Kind, bytes: &[u8]) -> Result<(Fate, Vec<Note>), String> {
    let it = || "it".to_owned();
    Ok(match word {
        "discard" => (Fate::Drop("reserved".to_owned()), vec![Note::NoEffect]),
        "block" => (Fate::Drop("bpdu".to_owned()), vec![Note::Blocks(it())]),
        "tunnel" => (copies(kind.tunnel, bytes)?, vec![Note::NoEffect]),
        "forward" => (copies(kind.forward, bytes)?, Vec::new()),
        other => return Err(format!("{other:?} is not what a port does with a protocol")),
    })
}

/// The whole frame with its own tags, with other tags in front.
fn copies(to: &[(&str, &str)], bytes: &[u8]) -> Result<Fate, String> {
    let mut copies = Vec::new();
    for (port, tags) in to {
        let out = words::retagged(bytes, 0, &words::tags(tags, PLAIN)?);
        copies.push((To::Port((*port).to_owned()), out));
    }
    copies.sort();
    Ok(Fate::Forward(copies))
}

//! Tags, addresses and frames in the table's notation.
//!
//! A tag is VID, or VID/PCP, then `d` if DEI is set; in front `c` for TPID 0x8100, `s` for 0x88a8, `9100:` for that, nothing for
//! the bridge's own and `~` for the other of the two. PCP `p` stands for each of a row's.

use vlan::addr::MacAddr;

use super::{Fate, Note, To};

/// What the short forms mean in a row.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// TPID of a tag that names none.
    pub tpid: u16,
    /// What `p` is.
    pub pcp: u16,
}

/// In a story: 0x8100, and no `p`.
pub const PLAIN: Terms = Terms { tpid: CUSTOMER, pcp: 0 };

/// The four bytes of each tag, the outermost first; `none` is no tag.
pub fn tags(text: &str, terms: Terms) -> Result<Vec<[u8; 4]>, String> {
    match text {
        "none" => Ok(Vec::new()),
        _ => text.split_whitespace().map(|word| tag(word, terms)).collect(),
    }
}

fn tag(word: &str, terms: Terms) -> Result<[u8; 4], String> {
    let other = if terms.tpid == CUSTOMER { SERVICE } else { CUSTOMER };
    let prefixes = [("9100:", 0x9100), ("c", CUSTOMER), ("s", SERVICE), ("~", other), ("", terms.tpid)];
    let (prefix, tpid) = prefixes.into_iter().find(|(prefix, _)| word.starts_with(prefix)).ok_or("")?;
    let rest = &word[prefix.len()..];
    let (rest, dei) = rest.strip_suffix('d').map_or((rest, 0), |rest| (rest, 0x1000));
    let (vid, pcp) = rest.split_once('/').unwrap_or((rest, "0"));
    let number = |text: &str, most: u16| {
        let value = text.parse::<u16>().ok().filter(|value| *value <= most);
        value.ok_or_else(|| format!("{word:?} is no tag"))
    };
    let pcp = if pcp == "p" { terms.pcp } else { number(pcp, 7)? };
    let [a, b] = tpid.to_be_bytes();
    let [c, d] = (pcp << 13 | dei | number(vid, 4095)?).to_be_bytes();
    Ok([a, b, c, d])
}

/// A single letter is a station, `*` broadcast, `group` a multicast address, `zero` the null address.
pub fn address(word: &str) -> Result<MacAddr, String> {
    Ok(match word {
        "*" => MacAddr::BROADCAST,
        "group" => MacAddr([0x01, 0, 0x5e, 0, 0, 1]),
        "zero" => MacAddr::ZERO,
        _ => match word.as_bytes() {
            [letter @ b'A'..=b'Z'] => MacAddr([0x02, 0, 0, 0, 0, *letter]),
            _ => word.parse().map_err(|error| format!("{error}"))?,
        },
    })
}

/// The bytes of a frame: addresses, tags, EtherType, and 46 bytes that are no frame's padding.
pub fn frame(dst: MacAddr, src: MacAddr, tags: &[[u8; 4]], ether_type: u16) -> Vec<u8> {
    let mut bytes = [dst.0, src.0].concat();
    bytes.extend(tags.iter().flatten());
    bytes.extend(ether_type.to_be_bytes());
    bytes.extend((0..46).map(|i| 0xa0 ^ i));
    bytes
}

/// A frame with other tags; `none` of its own may be deeper than `depth`.
pub fn retagged(bytes: &[u8], depth: usize, tags: &[[u8; 4]]) -> Vec<u8> {
    [&bytes[..12], &tags.concat(), &bytes[12 + 4 * depth..]].concat()
}

/// `drop REASON`, or copies `PORT TAGS, host NAME TAGS`.
pub fn fate(text: &str, bytes: &[u8], depth: usize, terms: Terms) -> Result<Fate, String> {
    if let Some(reason) = text.strip_prefix("drop ") {
        return Ok(Fate::Drop(reason.to_owned()));
    }
    let copy = |copy: &str| {
        let malformed = || format!("{copy:?} is not PORT TAGS");
        let (name, rest) = copy.trim().split_once(' ').ok_or_else(malformed)?;
        let (to, rest) = match name {
            "host" => {
                let (host, rest) = rest.split_once(' ').ok_or_else(malformed)?;
                (To::Host(host.to_owned()), rest)
            }
            _ => (To::Port(name.to_owned()), rest),
        };
        let out = if rest == "same" { bytes.to_vec() } else { retagged(bytes, depth, &tags(rest, terms)?) };
        Ok((to, out))
    };
    let mut copies = text.split(',').map(copy).collect::<Result<Vec<_>, String>>()?;
    copies.sort();
    Ok(Fate::Forward(copies))
}

/// What stands behind `;` in a row.
pub fn note(text: &str) -> Result<Note, String> {
    if let Some(said) = text.strip_prefix("says ") {
        return Ok(Note::Says(said.to_owned()));
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    Ok(match words[..] {
        ["new" | "refreshed" | "moved" | "frozen" | "not-learned" | "refused" | "unlearned"] => {
            Note::Lesson(words[0].to_owned())
        }
        ["meter", class, vid] => {
            Note::Meter(class.to_owned(), vid.parse().map_err(|_| format!("{vid:?} is no VID"))?)
        }
        ["unmetered"] => Note::Unmetered,
        ["blocks", port] => Note::Blocks(port.to_owned()),
        ["count", port, count] => {
            Note::Count(port.to_owned(), count.parse().map_err(|_| format!("{count:?} is no number"))?)
        }
        ["not-by", port, reason] => Note::Withheld(port.to_owned(), reason.to_owned()),
        _ => return Err(format!("{text:?} is not a note")),
    })
}

/// `-` is one frame, `0-7` eight, `5` one with that priority.
pub fn pcps(text: &str) -> Result<Vec<u16>, String> {
    let digit = |text: &str| text.parse::<u16>().ok().filter(|pcp| *pcp <= 7);
    let range = match text.split_once('-') {
        Some(("", "")) => Some((0, 0)),
        Some((first, last)) => digit(first).zip(digit(last)),
        None => digit(text).map(|pcp| (pcp, pcp)),
    };
    range.map(|(first, last)| (first..=last).collect()).ok_or_else(|| format!("{text:?} is no range of PCP"))
}

/// A list of VIDs: `8,10,100-199`.
pub fn vids(text: &str) -> Result<vlan::vid::VidSet, String> {
    let vid = |text: &str| text.parse::<u16>().map_err(|_| format!("{text:?} is no VID"));
    let mut set = vlan::vid::VidSet::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        for number in vid(first)?..=vid(last)? {
            set.insert(vlan::vid::Vid::new(number).ok_or_else(|| format!("{number} is no usable VID"))?);
        }
    }
    Ok(set)
}

/// TPID of a customer tag.
pub const CUSTOMER: u16 = 0x8100;
/// TPID of a service tag.
pub const SERVICE: u16 = 0x88a8;

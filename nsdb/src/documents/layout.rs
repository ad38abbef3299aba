//! The stored form of roots and pages: one line of JSON with sorted keys, ids in hexadecimal, and a `format`, so that equal content has
//! equal bytes and an operator can read it with whatever client the server brings.
//!
//! A root of a revision that has to be confirmed has format 3 and says within how many seconds, any other root has format 2, byte for byte as
//! before there were such revisions. A program that knows no more than format 2 refuses the former and stays with the revision before,
//! where passing the key over would leave it in force for ever; it follows again once the revision is confirmed or was taken back.
//!
//! A root of format 1 is read as well. What has another format is refused, and so is a key that this version does not know: both were
//! written by a newer program, which may mean something by it that must not be lost.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::clock::WallTime;
use crate::documents::confirm::ConfirmWithin;
use crate::documents::format1;
use crate::documents::revision::{Revision, Root};
use crate::documents::shard::{Page, ShardId, ShardName};
use crate::schema::SchemaError;

/// Why a root or page cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// A newer program wrote it.
    #[error("it has format {found}, this program reads formats up to {known}: start the newer program")]
    Newer {
        /// Its format.
        found: u64,
        /// The last that this program reads of such a document.
        known: u64,
    },
    /// It is not what a root or page looks like.
    #[error("it is not of format {FORMAT}: {why}")]
    Damaged {
        /// What was met.
        why: String,
    },
    /// It begins as a root of format 1, and is none.
    #[error(transparent)]
    First(#[from] SchemaError),
}

/// Fields in the order of their names, which is the order in which they are written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredRoot {
    at: WallTime,
    author: String,
    #[serde(rename = "confirm-within", default, skip_serializing_if = "Option::is_none")]
    confirm_within: Option<ConfirmWithin>,
    depth: u8,
    entries: BTreeMap<ShardName, ShardId>,
    format: u64,
    note: String,
    revision: Revision,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredPage {
    depth: u8,
    entries: BTreeMap<ShardName, ShardId>,
    format: u64,
}

/// What every format has.
#[derive(Deserialize)]
struct AnyFormat {
    format: u64,
}

/// The stored form of `root`.
pub(crate) fn encode_root(root: &Root) -> Result<Vec<u8>, LayoutError> {
    write(&StoredRoot {
        at: root.at,
        author: root.author.clone(),
        confirm_within: root.confirm_within,
        depth: root.top.depth,
        entries: root.top.entries.clone(),
        format: format_of(root.confirm_within),
        note: root.note.clone(),
        revision: root.revision,
    })
}

/// Reads what [`encode_root`] made, in this version or in those before it.
pub(crate) fn decode_root(bytes: &[u8]) -> Result<Root, LayoutError> {
    if bytes.first().is_none_or(|first| *first == format1::FORMAT) {
        return Ok(format1::read(bytes)?);
    }
    let stored = read(bytes, UNCONFIRMED)?;
    let StoredRoot { at, author, confirm_within, depth, entries, format, note, revision } = stored;
    if format != format_of(confirm_within) {
        let has = if confirm_within.is_some() { "has" } else { "lacks" };
        return Err(LayoutError::Damaged {
            why: format!("a root of format {format} {has} `confirm-within`"),
        });
    }
    Ok(Root { revision, author, at, note, confirm_within, top: Page { depth, entries } })
}

fn format_of(confirm_within: Option<ConfirmWithin>) -> u64 {
    if confirm_within.is_some() { UNCONFIRMED } else { FORMAT }
}

/// The stored form of `page`.
pub(crate) fn encode_page(page: &Page) -> Result<Vec<u8>, LayoutError> {
    write(&StoredPage { depth: page.depth, entries: page.entries.clone(), format: FORMAT })
}

/// Reads what [`encode_page`] made of a page of this `depth`.
pub(crate) fn decode_page(bytes: &[u8], depth: u8) -> Result<Page, LayoutError> {
    let StoredPage { depth: found, entries, format: _ } = read(bytes, FORMAT)?;
    if found != depth {
        return Err(LayoutError::Damaged {
            why: format!("a page of depth {found} is where one of {depth} belongs"),
        });
    }
    Ok(Page { depth, entries })
}

fn write(document: &impl Serialize) -> Result<Vec<u8>, LayoutError> {
    serde_json::to_vec(document).map_err(damaged)
}

/// Reads a document of a format up to `known`.
fn read<T: DeserializeOwned>(bytes: &[u8], known: u64) -> Result<T, LayoutError> {
    let AnyFormat { format } = serde_json::from_slice(bytes).map_err(damaged)?;
    if format > known {
        return Err(LayoutError::Newer { found: format, known });
    }
    if format < FORMAT {
        return Err(LayoutError::Damaged { why: format!("format {format} was never written like this") });
    }
    serde_json::from_slice(bytes).map_err(damaged)
}

fn damaged(error: serde_json::Error) -> LayoutError {
    LayoutError::Damaged { why: error.to_string() }
}

/// The format of pages, and of roots that need no confirmation.
pub(crate) const FORMAT: u64 = 2;
/// The format of a root that has to be confirmed.
const UNCONFIRMED: u64 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::page::{MOST_ENTRIES, Pages};

    /// As a program of format 1 stored its second revision.
    const FIRST: &str = include_str!("../../tests/golden/format-1/root.hex");
    const FIRST_IDS: [(&str, &[u8]); 3] =
        [("bridges/dc1", b"first"), ("bridges/vub8", b"second"), ("hosts/gw1", b"third")];

    fn first() -> Vec<u8> {
        let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
        FIRST.trim().as_bytes().chunks(2).map(byte).collect()
    }

    fn names(contents: &[(&str, &[u8])]) -> BTreeMap<ShardName, ShardId> {
        contents.iter().map(|(name, text)| (ShardName::new(*name).unwrap(), ShardId::of(text))).collect()
    }

    fn root() -> Root {
        let top = Page { depth: 0, entries: names(&FIRST_IDS) };
        let at = WallTime::from_millis(1_700_000_001_000);
        let (revision, author, note) = (Revision::new(2).unwrap(), "alice".to_owned(), String::new());
        Root { revision, author, at, note, confirm_within: None, top }
    }

    #[test]
    fn a_root_of_format_1_is_read_as_one_page() {
        assert_eq!(decode_root(&first()).unwrap(), root());
        let mut cut = first();
        cut.pop();
        assert!(matches!(decode_root(&cut), Err(LayoutError::First(SchemaError::Damaged { .. }))));
        assert!(matches!(decode_root(&[]), Err(LayoutError::First(SchemaError::Empty))));
    }

    /// What was written once must be read for ever: these texts do not change with the program.
    #[test]
    fn a_root_and_a_page_are_written_as_these_texts() {
        let golden = include_str!("../../tests/golden/format-2/root.json").trim_end();
        assert_eq!(String::from_utf8(encode_root(&root()).unwrap()).unwrap(), golden);
        assert_eq!(decode_root(golden.as_bytes()).unwrap(), root());
        let confirm_within = ConfirmWithin::try_from(60).ok();
        let golden = include_str!("../../tests/golden/format-3/root.json").trim_end();
        let unconfirmed = Root { confirm_within, ..root() };
        assert_eq!(String::from_utf8(encode_root(&unconfirmed).unwrap()).unwrap(), golden);
        assert_eq!(decode_root(golden.as_bytes()).unwrap(), unconfirmed);
        let page = Page { depth: 1, entries: names(&FIRST_IDS) };
        let golden = include_str!("../../tests/golden/format-2/page.json").trim_end();
        assert_eq!(String::from_utf8(encode_page(&page).unwrap()).unwrap(), golden);
        assert_eq!(decode_page(golden.as_bytes(), 1).unwrap(), page);
    }

    #[test]
    fn a_newer_format_and_an_unknown_key_are_refused_and_named() {
        let text = String::from_utf8(encode_root(&root()).unwrap()).unwrap();
        let said = |text: String| decode_root(text.as_bytes()).unwrap_err().to_string();
        let newer = said(text.replace("\"format\":2", "\"format\":4"));
        assert_eq!(newer, "it has format 4, this program reads formats up to 3: start the newer program");
        assert!(said(text.replace("\"format\":2", "\"format\":4,\"pages\":[]")).contains("has format 4"));
        let without = said(text.replace("\"format\":2", "\"format\":3"));
        assert!(without.ends_with("a root of format 3 lacks `confirm-within`"), "{without}");
        let with = |seconds| text.replace("\"depth\"", &format!("\"confirm-within\":{seconds},\"depth\""));
        assert!(said(with(60)).ends_with("a root of format 2 has `confirm-within`"));
        assert!(said(with(0)).contains("0 s to confirm a revision, allowed are"));
        let unknown = said(text.replace("\"format\":2", "\"format\":2,\"needs\":[]"));
        assert!(unknown.contains("unknown field `needs`"), "{unknown}");
        assert!(said(text.replace("\"format\":2", "\"format\":1")).contains("format 1 was never"));
        assert!(said(text.replace("\"revision\":2", "\"revision\":0")).contains("revision 0"));
        assert!(said(text.replace("\"format\":2,", "")).contains("missing field `format`"));
        let page = encode_page(&Page::default()).unwrap();
        let newer = String::from_utf8(page.clone()).unwrap().replace("\"format\":2", "\"format\":3");
        let newer = decode_page(newer.as_bytes(), 0).unwrap_err().to_string();
        assert_eq!(newer, "it has format 3, this program reads formats up to 2: start the newer program");
        assert!(
            decode_page(&page, 1).unwrap_err().to_string().contains("a page of depth 0 is where one of 1")
        );
    }

    /// The bound that a server of small nodes needs, over random changes.
    #[test]
    fn a_change_at_15_000_shards_writes_at_most_40_kib_of_root_and_pages() {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut random = move |end: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % end
        };
        let long = |number: u64| ShardName::new(format!("bridges/{number:052}")).unwrap();
        let mut names: BTreeMap<_, _> = (0..15_000).map(|n| (long(n * 100), ShardId::of(&[]))).collect();
        let mut before = Pages::of(names.clone()).unwrap();
        let (mut most, mut sum, rounds) = (0, 0, 200_u64);
        for round in 0..rounds {
            let any = names.keys().nth(random(names.len() as u64) as usize).unwrap().clone();
            match round % 4 {
                0 => drop(names.insert(any, ShardId::of(&round.to_be_bytes()))),
                1 => drop(names.insert(long(random(1_500_000)), ShardId::of(b"new"))),
                2 => drop(names.remove(&any)),
                _ => drop(names.insert(
                    ShardName::new(format!("a/{:058}", 999 - round)).unwrap(),
                    ShardId::of(b"first"),
                )),
            }
            let after = Pages::of(names.clone()).unwrap();
            let anew = after.stored.iter().filter(|(id, _)| !before.stored.contains_key(*id));
            let root = encode_root(&Root { top: after.top.clone(), ..root() }).unwrap().len();
            let written = root + anew.map(|(_, bytes)| bytes.len()).sum::<usize>();
            most = most.max(written);
            sum += written;
            before = after;
        }
        println!(
            "{} pages, {rounds} changes: at most {most} bytes of root and pages, {} on average",
            before.stored.len(),
            sum / rounds as usize
        );
        assert!(most <= 40 << 10, "{most} bytes");
        assert!(before.top.entries.len() <= MOST_ENTRIES);
    }
}

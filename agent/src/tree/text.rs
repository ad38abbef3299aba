//! Values that are text in the file: words, addresses, times, VIDs.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};
use vlan::model::value::quote;
use vlan::model::words::Worded;
use vlan::vid::{Vid, VidSet};

use super::Wrong;

/// The word of a setting, unless it is the default.
pub(super) fn word<T: Worded + Default>(setting: T) -> Option<String> {
    (setting != T::default()).then(|| setting.word().to_owned())
}

/// The setting that a word means; the default where there is none.
pub(super) fn from_word<T: Worded + Default>(key: &'static str, word: Option<&String>) -> Result<T, Wrong> {
    let Some(word) = word else { return Ok(T::default()) };
    T::from_word(word).ok_or_else(|| {
        let known: Vec<String> = T::WORDS.iter().map(|(word, _)| quote(word)).collect();
        (key, format!("{}, allowed are {}", quote(word), known.join(", ")))
    })
}

/// As text, sorted: their order says nothing.
pub(super) fn texts(values: &[impl fmt::Display]) -> Vec<String> {
    let mut texts: Vec<String> = values.iter().map(ToString::to_string).collect();
    texts.sort_unstable();
    texts
}

/// What texts say.
pub(super) fn from_texts<T: FromStr>(
    key: &'static str,
    texts: &[String],
    what: &str,
) -> Result<Vec<T>, Wrong> {
    let read = |text: &String| text.parse().map_err(|_| (key, format!("{} is {what}", quote(text))));
    texts.iter().map(read).collect()
}

/// A time with its unit.
pub(super) fn from_time(key: &'static str, text: &str) -> Result<Duration, Wrong> {
    vlan::time::parse(text)
        .ok_or_else(|| (key, format!("{} is no time, allowed are such as \"300s\" and \"5m\"", quote(text))))
}

/// A set as a list of VIDs and ranges.
pub(super) fn vids(set: &VidSet) -> Vec<String> {
    set.to_string().split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// A list of VIDs and ranges as it may be written: `["5", 8, "100-199"]`.
pub(super) fn vid_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    let text = |vids| match vids {
        BridgeVids::One(vid) => vid.to_string(),
        BridgeVids::Range(range) => range,
    };
    let list = Option::<Vec<BridgeVids>>::deserialize(deserializer)?;
    Ok(list.map(|list| list.into_iter().map(text).collect()))
}

/// What [`vids`] wrote.
pub(super) fn from_vids(key: &'static str, list: &[String]) -> Result<VidSet, Wrong> {
    if list.is_empty() {
        return Err((key, "[] allows no VLAN, allowed are one or more".to_owned()));
    }
    list.join(",").parse().map_err(|text| (key, text))
}

/// A usable VID.
pub(super) fn from_vid(key: &'static str, number: u16) -> Result<Vid, Wrong> {
    Vid::new(number)
        .ok_or_else(|| (key, format!("{number} is not a usable VLAN identifier, allowed is 1 to 4094")))
}

/// The bridge's side of a translation: a VID, or as many as the wire's side has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum BridgeVids {
    /// One.
    One(u16),
    /// `100-199`
    Range(String),
}

/// Wire VIDs to bridge VIDs; neighbours that go to neighbours are written as ranges.
pub(super) fn translation(pairs: &BTreeMap<Vid, Vid>) -> BTreeMap<String, BridgeVids> {
    let vids = |(wire, bridge): (String, String)| match bridge.parse() {
        Ok(one) => (wire, BridgeVids::One(one)),
        Err(_) => (wire, BridgeVids::Range(bridge)),
    };
    runs(pairs).into_iter().map(vids).collect()
}

/// What [`translation`] wrote.
pub(super) fn from_translation(
    key: &'static str,
    written: &BTreeMap<String, BridgeVids>,
) -> Result<BTreeMap<Vid, Vid>, Wrong> {
    let mut pairs = BTreeMap::new();
    for (wire, bridge) in written {
        let bridge = match bridge {
            BridgeVids::One(vid) => vid.to_string(),
            BridgeVids::Range(range) => range.clone(),
        };
        let [wires, bridges]: [VidSet; 2] =
            [wire.parse().map_err(|text| (key, text))?, bridge.parse().map_err(|text| (key, text))?];
        if wires.len() != bridges.len() || wires.is_empty() {
            let text = format!(
                "{} has other VIDs than {}, allowed are as many on both sides",
                quote(wire),
                quote(&bridge)
            );
            return Err((key, text));
        }
        for (wire, bridge) in wires.iter().zip(bridges.iter()) {
            if pairs.insert(wire, bridge).is_some() {
                return Err((key, format!("wire VID {wire} is translated twice, allowed is once")));
            }
        }
    }
    Ok(pairs)
}

/// Neighbours that translate to neighbours, as ranges.
pub fn runs(pairs: &BTreeMap<Vid, Vid>) -> Vec<(String, String)> {
    let pairs: Vec<(u16, u16)> = pairs.iter().map(|(wire, bridge)| (wire.get(), bridge.get())).collect();
    let range =
        |first: u16, last: u16| if first == last { first.to_string() } else { format!("{first}-{last}") };
    pairs
        .chunk_by(|a, b| a.0 + 1 == b.0 && a.1 + 1 == b.1)
        .filter_map(|run| {
            let (first, last) = (run.first()?, run.last()?);
            Some((range(first.0, last.0), range(first.1, last.1)))
        })
        .collect()
}

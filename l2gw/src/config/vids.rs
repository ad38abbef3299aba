//! VLAN identifiers in the file: one, a range, a list with ranges, a translation.

use std::collections::BTreeMap;
use std::fmt;

use agent::reader::section::{Reading, Value, ValueError, refuse};
use agent::reader::value;
use agent::reader::words::{quoted, quoted_with_type};
use toml::de::DeValue;
use vlan::model::value::quote;
use vlan::vid::{Vid, VidSet};

/// One VID, an integer.
pub(super) fn vid(value: &Value<'_>) -> Reading<Vid> {
    let DeValue::Integer(number) = value.get_ref() else {
        return refuse(value, format!("{}, allowed is an integer from 1 to 4094", quoted_with_type(value)));
    };
    let number = i128::from_str_radix(number.as_str(), number.radix()).ok();
    match number.and_then(|number| Vid::new(u16::try_from(number).ok()?)) {
        Some(vid) => Ok(vid),
        None => refuse(value, unusable(&quoted(value))),
    }
}

/// VIDs one after another, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    first: Vid,
    last: Vid,
}

impl Span {
    fn one(vid: Vid) -> Span {
        Span { first: vid, last: vid }
    }

    /// Whether it has more than one VID.
    pub(super) fn is_several(self) -> bool {
        self.first < self.last
    }

    /// The highest of them.
    pub(super) fn last(self) -> Vid {
        self.last
    }

    /// How many there are.
    pub(super) fn len(self) -> usize {
        usize::from(self.last.get() - self.first.get()) + 1
    }

    /// All of them in ascending order.
    pub(super) fn vids(self) -> impl Iterator<Item = Vid> {
        (self.first.get()..=self.last.get()).filter_map(Vid::new)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_several() {
            true => write!(f, "{}-{}", self.first, self.last),
            false => write!(f, "{}", self.first),
        }
    }
}

/// One VID, an integer; or a range such as `"100-199"`.
pub(super) fn vid_or_range(value: &Value<'_>) -> Reading<Span> {
    match value.get_ref() {
        DeValue::Integer(_) => vid(value).map(Span::one),
        DeValue::String(written) if written.contains('-') => {
            span(written).or_else(|mistake| refuse(value, mistake))
        }
        _ => {
            let allowed = "an integer from 1 to 4094, or a range such as \"100-199\"";
            refuse(value, format!("{}, allowed is {allowed}", quoted_with_type(value)))
        }
    }
}

/// A list of VIDs and ranges: `["5", "8", "100-199"]`; integers do as well.
pub(super) fn set(value: &Value<'_>) -> Reading<VidSet> {
    let spans = value::list(value, LIST, |element| match element.get_ref() {
        DeValue::String(written) => span(written).or_else(|mistake| refuse(element, mistake)),
        DeValue::Integer(_) => vid(element).map(Span::one),
        _ => refuse(element, format!("{}, allowed is {ELEMENT}", quoted_with_type(element))),
    })?;
    if spans.is_empty() {
        return refuse(value, "[] allows no VLAN, allowed are one or more".to_owned());
    }
    let mut set = VidSet::new();
    for span in spans {
        set.insert_range(span.first, span.last);
    }
    Ok(set)
}

/// First and last VID of `"8"` or `"100-199"`.
fn span(written: &str) -> Result<Span, String> {
    let (first, last) = written.split_once('-').unwrap_or((written, written));
    let (Some(first), Some(last)) = (number(first), number(last)) else {
        return Err(format!("{} is no VID, allowed is {ELEMENT}", quote(written)));
    };
    let is_range = written.contains('-');
    if !is_range && Vid::new(first).is_none() {
        return Err(unusable(&quote(written)));
    }
    if last > Vid::MAX {
        return Err(format!("{} ends past {}, the last usable VLAN", quote(written), Vid::MAX));
    }
    if first > Vid::MAX {
        return Err(format!("{} starts past {}, the last usable VLAN", quote(written), Vid::MAX));
    }
    if first > last {
        return Err(format!("{} is reversed, allowed is \"{last}-{first}\"", quote(written)));
    }
    match (Vid::new(first), Vid::new(last)) {
        (Some(first), Some(last)) => Ok(Span { first, last }),
        _ => Err(format!("{} starts before 1, the first usable VLAN", quote(written))),
    }
}

/// Digits only, as TOML writes an integer: without a leading zero. What is beyond 16 bits is as far past the last VLAN as 65535 is.
fn number(digits: &str) -> Option<u16> {
    let is_padded = digits.len() > 1 && digits.starts_with('0');
    let is_number =
        (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !is_padded;
    let number: u32 = is_number.then(|| digits.parse().ok())??;
    Some(u16::try_from(number).unwrap_or(u16::MAX))
}

fn unusable(quoted: &str) -> String {
    format!("{quoted} is not a usable VLAN identifier, allowed is 1 to {}", Vid::MAX)
}

/// `{ 108 = 9, "2100-2199" = "100-199" }`: wire VID to bridge VID, one by one. Whether it is injective is judged with the trunk as a whole.
pub(super) fn translation(value: &Value<'_>) -> Reading<BTreeMap<Vid, Vid>> {
    let DeValue::Table(pairs) = value.get_ref() else {
        let allowed = "a table of wire VID = bridge VID, such as { 108 = 9 }";
        return refuse(value, format!("{}, allowed is {allowed}", quoted_with_type(value)));
    };
    let (mut translation, mut refusals) = (BTreeMap::new(), Vec::new());
    let mut pairs: Vec<_> = pairs.iter().collect();
    pairs.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in pairs {
        let wire = wire_vids(key.get_ref());
        let bridge = bridge_vids(value);
        if let Err(text) = &wire {
            refusals.push(ValueError { offset: key.span().start, text: text.clone() });
        }
        match (wire, bridge) {
            (_, Err(more)) => refusals.extend(more),
            (Ok(wire), Ok(bridge)) if wire.len() != bridge.len() => {
                let (many, few) = (wire.len(), bridge.len());
                let text = format!(
                    "{wire} has {many} VIDs and {bridge} has {few}, allowed are as many on both sides"
                );
                refusals.push(ValueError { offset: value.span().start, text });
            }
            (Ok(wire), Ok(bridge)) => {
                // The first one that is there again ends it: a table of ranges may not stand for more VIDs than there are.
                let again = wire
                    .vids()
                    .zip(bridge.vids())
                    .find(|(wire, bridge)| translation.insert(*wire, *bridge).is_some());
                let refusal = again
                    .map(|(wire, _)| format!("{} translates wire VID {wire} again", quote(key.get_ref())));
                refusals.extend(refusal.map(|text| ValueError { offset: key.span().start, text }));
            }
            _ => {}
        }
    }
    if refusals.is_empty() { Ok(translation) } else { Err(refusals) }
}

fn wire_vids(key: &str) -> Result<Span, String> {
    if key.contains('-') {
        return span(key);
    }
    let number = number(key).ok_or_else(|| format!("{} is no wire VID, allowed is 1 to 4094", quote(key)))?;
    Vid::new(number).map(Span::one).ok_or_else(|| unusable(&quote(key)))
}

fn bridge_vids(value: &Value<'_>) -> Reading<Span> {
    match value.get_ref() {
        DeValue::String(written) if written.contains('-') => {
            span(written).or_else(|mistake| refuse(value, mistake))
        }
        _ => vid(value).map(Span::one),
    }
}

/// What a VID list is.
const LIST: &str = "such as [\"5\", \"8\", \"100-199\"]";
/// What an element of a VID list is.
const ELEMENT: &str = "a VID such as \"8\" or a range such as \"100-199\"";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_end_at_the_last_usable_vlan() {
        for (written, expected) in [
            ("8", Ok((8, 8))),
            ("1-4094", Ok((1, 4094))),
            ("7-7", Ok((7, 7))),
            ("0", Err("\"0\" is not a usable VLAN identifier, allowed is 1 to 4094")),
            ("4095", Err("\"4095\" is not a usable VLAN identifier, allowed is 1 to 4094")),
            ("100-4095", Err("\"100-4095\" ends past 4094, the last usable VLAN")),
            ("100-70000", Err("\"100-70000\" ends past 4094, the last usable VLAN")),
            ("0-10", Err("\"0-10\" starts before 1, the first usable VLAN")),
            ("70000-100", Err("\"70000-100\" starts past 4094, the last usable VLAN")),
            ("199-100", Err("\"199-100\" is reversed, allowed is \"100-199\"")),
        ] {
            let pair = span(written).map(|span| (span.first.get(), span.last.get()));
            assert_eq!(pair, expected.map_err(str::to_owned), "{written}");
        }
    }

    #[test]
    fn what_is_no_number_is_no_vid() {
        for written in [
            "",
            "-",
            "5-",
            "-5",
            "+5",
            "5,8",
            "1-2-3",
            "a",
            "5 ",
            "1000000000",
            "５",
            "05",
            "008",
            "00",
            "05-9",
            "5-09",
        ] {
            let text = span(written).unwrap_err();
            assert!(text.contains("is no VID, allowed is"), "{written}: {text}");
        }
    }
}

//! VLAN identifiers and sets of them.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use serde::ser::SerializeSeq;
use serde::{Deserialize, Serialize};

/// A usable VLAN identifier, 1..=4094 (802.1Q 9.6: 0 is the priority tag, 4095 is reserved).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Vid(NonZeroU16);

impl Vid {
    /// The last usable VLAN identifier.
    pub const MAX: u16 = 4094;

    /// `None` for 0, 4095 and above.
    pub const fn new(vid: u16) -> Option<Vid> {
        match NonZeroU16::new(vid) {
            Some(number) if vid <= Vid::MAX => Some(Vid(number)),
            _ => None,
        }
    }

    /// The number, 1..=4094.
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

impl TryFrom<u16> for Vid {
    type Error = VidRangeError;

    fn try_from(vid: u16) -> Result<Vid, VidRangeError> {
        Vid::new(vid).ok_or(VidRangeError(vid))
    }
}

impl From<Vid> for u16 {
    fn from(vid: Vid) -> u16 {
        vid.get()
    }
}

impl FromStr for Vid {
    type Err = VidTextError;

    /// Digits only, without a sign or a leading zero: each VID has one form.
    fn from_str(text: &str) -> Result<Vid, VidTextError> {
        let is_padded = text.starts_with('0');
        let is_number =
            (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) && !is_padded;
        is_number.then(|| text.parse().ok()).flatten().and_then(Vid::new).ok_or(VidTextError)
    }
}

impl fmt::Display for Vid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Vid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A number that is not a usable VLAN identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a usable VLAN identifier, allowed is 1 to 4094")]
pub struct VidRangeError(u16);

/// Text that is not a usable VLAN identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("allowed are 1 to 4094, without a leading zero")]
pub struct VidTextError;

/// A set of VLAN identifiers: one bit each, 512 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct VidSet {
    words: Box<[u64; 64]>,
}

impl VidSet {
    /// The empty set.
    pub fn new() -> VidSet {
        VidSet { words: Box::new([0; 64]) }
    }

    /// Every usable VLAN identifier.
    pub fn all() -> VidSet {
        let mut all = VidSet::new();
        if let (Some(first), Some(last)) = (Vid::new(1), Vid::new(Vid::MAX)) {
            all.insert_range(first, last);
        }
        all
    }

    /// Puts `vid` in; false when it was there.
    pub fn insert(&mut self, vid: Vid) -> bool {
        let (word, bit) = place(vid);
        let is_new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        is_new
    }

    /// Puts in every identifier from `first` to `last`.
    pub fn insert_range(&mut self, first: Vid, last: Vid) {
        let (from, low) = place(first);
        let (to, high) = place(last);
        // All bits from the lowest one on, and all up to the highest one.
        let (low, high) = (low.wrapping_neg(), high | (high - 1));
        // An empty range has its ends the other way round.
        let is_empty = first > last;
        for word in (from..=to).filter(|_| !is_empty) {
            let mut mask = u64::MAX;
            if word == from {
                mask &= low;
            }
            if word == to {
                mask &= high;
            }
            self.words[word] |= mask;
        }
    }

    /// Puts in everything that is in `other`.
    pub fn insert_all(&mut self, other: &VidSet) {
        for (word, more) in self.words.iter_mut().zip(other.words.iter()) {
            *word |= more;
        }
    }

    /// What is in one of both and not in the other.
    pub fn symmetric_difference(&self, other: &VidSet) -> VidSet {
        let mut changed = self.clone();
        for (word, other) in changed.words.iter_mut().zip(other.words.iter()) {
            *word ^= other;
        }
        changed
    }

    /// Takes `vid` out; false when it was not there.
    pub fn remove(&mut self, vid: Vid) -> bool {
        let (word, bit) = place(vid);
        let was_there = self.words[word] & bit != 0;
        self.words[word] &= !bit;
        was_there
    }

    /// Whether `vid` is in the set.
    pub fn contains(&self, vid: Vid) -> bool {
        let (word, bit) = place(vid);
        self.words[word] & bit != 0
    }

    /// How many identifiers are in the set.
    pub fn len(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// Whether no identifier is in the set.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|w| *w == 0)
    }

    /// The identifiers in ascending order. Of a small set, a step for each of its identifiers and for each 64 that there may be.
    pub fn iter(&self) -> impl Iterator<Item = Vid> + '_ {
        let words = self.words.iter().enumerate();
        let vids = words.flat_map(|(index, word)| bits(*word).map(move |bit| (index as u16) << 6 | bit));
        vids.filter_map(Vid::new)
    }
}

/// The numbers of a word's bits that are set, in ascending order.
fn bits(mut word: u64) -> impl Iterator<Item = u16> {
    std::iter::from_fn(move || {
        let lowest = word.trailing_zeros() as u16;
        (word != 0).then(|| {
            word &= word - 1;
            lowest
        })
    })
}

fn place(vid: Vid) -> (usize, u64) {
    (usize::from(vid.get() >> 6), 1 << (vid.get() & 63))
}

impl Default for VidSet {
    fn default() -> VidSet {
        VidSet::new()
    }
}

impl Extend<Vid> for VidSet {
    fn extend<I: IntoIterator<Item = Vid>>(&mut self, vids: I) {
        for vid in vids {
            self.insert(vid);
        }
    }
}

impl FromIterator<Vid> for VidSet {
    fn from_iter<I: IntoIterator<Item = Vid>>(vids: I) -> VidSet {
        let mut set = VidSet::new();
        set.extend(vids);
        set
    }
}

impl fmt::Display for VidSet {
    /// Ranges in ascending order: `5,8,100-199`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut vids = self.iter().map(Vid::get).peekable();
        let mut separator = "";
        while let Some(first) = vids.next() {
            let mut last = first;
            while vids.peek() == Some(&(last + 1)) {
                last += 1;
                vids.next();
            }
            write!(f, "{separator}{first}")?;
            if last > first {
                write!(f, "-{last}")?;
            }
            separator = ",";
        }
        Ok(())
    }
}

impl VidSet {
    /// As it is printed, but no more than the first few ranges: a set of every other identifier is 10 000 characters long.
    pub fn in_brief(&self) -> String {
        let all = self.to_string();
        match all.match_indices(',').nth(MOST_IN_BRIEF - 1) {
            Some((end, _)) => format!("{}, … ({} in all)", &all[..end], self.len()),
            None => all,
        }
    }
}

/// Ranges that a set is shown by where it is only mentioned.
const MOST_IN_BRIEF: usize = 8;

impl fmt::Debug for VidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

impl Serialize for VidSet {
    /// As text its ranges, [`fmt::Display`]; in binary a list of numbers.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(self);
        }
        // The length is known, and binary formats write it first.
        let mut list = serializer.serialize_seq(Some(self.len()))?;
        self.iter().try_for_each(|vid| list.serialize_element(&vid))?;
        list.end()
    }
}

impl<'de> Deserialize<'de> for VidSet {
    /// From text, ranges or a list of numbers; from binary a list.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<VidSet, D::Error> {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_any(Ranges);
        }
        Vec::<Vid>::deserialize(deserializer).map(|vids| vids.into_iter().collect())
    }
}

impl FromStr for VidSet {
    type Err = String;

    /// From ranges as they are printed, in any order; nothing is the empty set.
    fn from_str(text: &str) -> Result<VidSet, String> {
        let number = |text: &str| text.parse::<Vid>().ok();
        let mut set = VidSet::new();
        for part in text.split(',').filter(|_| !text.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let range = number(first).zip(number(last)).filter(|(first, last)| first <= last);
            let Some((first, last)) = range else {
                return Err(format!("{part:?} is no range of usable VLAN identifiers, 1 to 4094"));
            };
            set.insert_range(first, last);
        }
        Ok(set)
    }
}

/// Reads a set from `"5,8,100-199"` or `[5, 8]`.
struct Ranges;

impl<'de> serde::de::Visitor<'de> for Ranges {
    type Value = VidSet;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VLAN identifiers such as \"5,8,100-199\" or [5, 8]")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<VidSet, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<VidSet, A::Error> {
        let mut set = VidSet::new();
        while let Some(vid) = list.next_element::<Vid>()? {
            set.insert(vid);
        }
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_identifiers_are_refused() {
        assert_eq!(Vid::new(0), None);
        assert_eq!(Vid::new(4095), None);
        assert_eq!(Vid::new(4094).map(Vid::get), Some(4094));
    }

    #[test]
    fn an_identifier_has_one_form() {
        for (text, expected) in [("1", Some(1)), ("8", Some(8)), ("100", Some(100)), ("4094", Some(4094))] {
            assert_eq!(text.parse().ok(), expected.and_then(Vid::new), "{text}");
        }
        for text in ["", "0", "05", "+5", "-5", " 5", "4095", "00005", "99999999", "5 ", "0x5"] {
            assert!(text.parse::<Vid>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_range_goes_in_as_its_identifiers_one_by_one() {
        for (first, last) in
            [(1, 1), (1, 4094), (63, 64), (64, 127), (64, 128), (5, 60), (4094, 4094), (9, 8), (200, 8)]
        {
            let vid = |number| Vid::new(number).unwrap();
            let mut set: VidSet = [vid(7), vid(4000)].into_iter().collect();
            let mut expected = set.clone();
            expected.insert_all(&(first..=last).map(vid).collect());
            set.insert_range(vid(first), vid(last));
            assert_eq!(set, expected, "{first}-{last}");
        }
    }

    #[test]
    fn a_symmetric_difference_is_what_one_set_alone_has() {
        let set = |vids: &[u16]| -> VidSet { vids.iter().filter_map(|vid| Vid::new(*vid)).collect() };
        let (one, other) = (set(&[1, 63, 64, 4094]), set(&[1, 64, 65]));
        assert_eq!(one.symmetric_difference(&other), set(&[63, 65, 4094]));
        assert_eq!(other.symmetric_difference(&one), set(&[63, 65, 4094]));
        assert!(one.symmetric_difference(&one).is_empty());
    }

    #[test]
    fn a_set_prints_as_ranges() {
        let set: VidSet = [5, 8, 100, 101, 102, 4094].into_iter().filter_map(Vid::new).collect();
        assert_eq!(set.to_string(), "5,8,100-102,4094");
        assert_eq!(set.len(), 6);
        assert_eq!(VidSet::all().to_string(), "1-4094");
        assert_eq!(VidSet::all().len(), usize::from(Vid::MAX));
        assert_eq!(VidSet::new().to_string(), "");
        assert_eq!(set.in_brief(), set.to_string());
        let odd: VidSet = (1..=4094).step_by(2).filter_map(Vid::new).collect();
        assert_eq!(odd.in_brief(), "1,3,5,7,9,11,13,15, … (2047 in all)");
    }
}

//! The classes of VIDs of two revisions, cut so that each piece has one fate before and one after.

use std::collections::BTreeMap;

use vlan::vid::{Vid, VidSet};

use super::{Arrivals, Fate, Leaving, Piece, all_vids};

/// VIDs with one fate before and one after.
pub(crate) struct Pairing<'a> {
    /// Which.
    pub(crate) vids: VidSet,
    /// What becomes of their frames before.
    pub(crate) before: &'a Fate,
    /// And after.
    pub(crate) after: &'a Fate,
}

/// All VIDs, by what becomes of their frames before and after; by their lowest VIDs.
pub(crate) fn pairings<'a>(before: &'a Arrivals, after: &'a Arrivals) -> Vec<Pairing<'a>> {
    if let ([(vids, old)], [(_, new)]) = (&before.tagged[..], &after.tagged[..]) {
        return vec![Pairing { vids: vids.clone(), before: old, after: new }];
    }
    let (old, new) = (class_of(before), class_of(after));
    let mut pieces: BTreeMap<(u16, u16), VidSet> = BTreeMap::new();
    for vid in all_vids() {
        let at = usize::from(vid.get());
        pieces.entry((old[at], new[at])).or_default().insert(vid);
    }
    let pairing = |((old, new), vids): ((u16, u16), VidSet)| Pairing {
        vids,
        before: &before.tagged[usize::from(old)].1,
        after: &after.tagged[usize::from(new)].1,
    };
    let mut pairings: Vec<Pairing<'_>> = pieces.into_iter().map(pairing).collect();
    pairings.sort_by_key(|pairing| pairing.vids.iter().next());
    pairings
}

/// The class of each VID.
fn class_of(arrivals: &Arrivals) -> Vec<u16> {
    let mut classes = vec![0; usize::from(Vid::MAX) + 1];
    for (index, (vids, _)) in arrivals.tagged.iter().enumerate() {
        for vid in vids.iter() {
            classes[usize::from(vid.get())] = index as u16;
        }
    }
    classes
}

impl Pairing<'_> {
    /// The VIDs for which a fixed tag is the same as one with the frame's VID. Patterns that differ may be equal there.
    pub(crate) fn coincidences(&self) -> VidSet {
        let tags =
            [self.before, self.after].into_iter().flat_map(|fate| &fate.copies).flat_map(|copy| &copy.tags);
        let fixed = tags.filter_map(|tag| match tag {
            Piece::Fixed(vid, _) => Vid::new(*vid),
            Piece::Arriving => None,
        });
        fixed.filter(|vid| self.vids.contains(*vid)).collect()
    }
}

/// The fate of frames with VID `vid`.
pub(crate) fn at_one_vid(fate: &Fate, vid: Vid) -> Fate {
    let piece = |tag: &Piece| match tag {
        Piece::Arriving => Piece::Fixed(vid.get(), 0),
        fixed => *fixed,
    };
    let copy = |copy: &Leaving| Leaving { to: copy.to, tags: copy.tags.iter().map(piece).collect() };
    let mut copies: Vec<Leaving> = fate.copies.iter().map(copy).collect();
    copies.sort_unstable();
    Fate { copies, ..fate.clone() }
}

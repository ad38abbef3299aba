//! What a change of the topology changes for broadcast frames, port by port.

use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use serde::Serialize;
use vlan::model::topology::Topology;
use vlan::vid::VidSet;

use crate::cli::fates::{
    Arrivals, Copies, End, Fate, Fates, Leaving, Name, Names, Payload, Piece, at_one_vid, pairings,
};
use crate::cli::table::{copy_text, tags_text, vids_text};

/// What changes for broadcast frames with these tags at this port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FrameChange {
    /// The arrival port.
    pub port: String,
    /// Its tags, the outermost first, each VID and PCP; of several VIDs the lowest.
    pub tags: Vec<(u16, u8)>,
    /// Of a tagged frame, all VIDs of which the same is true: `8`, `100-199`. `[v]` in the other texts is then the frame's own VID.
    pub vids: Option<String>,
    /// What becomes of it now: `drop vlan-not-allowed`, `vm3 untagged, leaf2 [8]`, `no such port`.
    pub before: String,
    /// What would become of it. Of very many copies on both sides only the number and what differs.
    pub after: String,
}

impl FrameChange {
    fn arrives(&self) -> String {
        match &self.vids {
            Some(vids) => vids_text(vids),
            None => tags_text(&self.tags),
        }
    }

    fn says_the_same(&self, other: &FrameChange) -> bool {
        let said = |change: &FrameChange| (change.vids.clone(), change.tags.clone());
        said(self) == said(other) && self.before == other.before && self.after == other.after
    }
}

impl fmt::Display for FrameChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {} => {}", self.port, self.arrives(), self.before, self.after)
    }
}

/// A line for each change; neighbours that change alike share one.
pub(crate) fn lines(changes: &[FrameChange]) -> Vec<String> {
    let alike = changes.chunk_by(|a, b| a.says_the_same(b));
    alike.filter_map(|alike| Some((alike.first()?, alike))).map(|(first, alike)| line(first, alike)).collect()
}

fn line(first: &FrameChange, alike: &[FrameChange]) -> String {
    let named: Vec<&str> = alike.iter().take(MOST_PORTS).map(|change| change.port.as_str()).collect();
    let more = alike.len() - named.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more} {}: {} => {}", named.join(", "), first.arrives(), first.before, first.after)
}

/// What changes for a broadcast frame of each port and VLAN. Where a tag is payload, the same change for tagged frames is left out.
pub(crate) fn changes(before: &Arc<Topology>, after: &Arc<Topology>) -> Vec<FrameChange> {
    let mut names = Names::default();
    let (new, old) = (Fates::of(after, &mut names), Fates::of(before, &mut names));
    let mut comparison = Comparison { names: &names, known: HashMap::new(), changes: Vec::new() };
    let was: HashMap<Name, &Rc<Arrivals>> =
        old.ports.iter().map(|(name, arrivals)| (*name, arrivals)).collect();
    let is: HashMap<Name, &Rc<Arrivals>> =
        new.ports.iter().map(|(name, arrivals)| (*name, arrivals)).collect();
    for (name, arrivals) in &new.ports {
        comparison.port(*name, was.get(name).copied(), Some(arrivals));
    }
    for (name, arrivals) in old.ports.iter().filter(|(name, _)| !is.contains_key(name)) {
        comparison.port(*name, Some(arrivals), None);
    }
    comparison.changes
}

/// Frames of one kind at ports that are alike.
struct Candidate {
    /// `None` without a tag.
    vids: Option<Vids>,
    before: Option<Fate>,
    after: Option<Fate>,
    /// Copies that only one side has.
    gone: Vec<Leaving>,
    come: Vec<Leaving>,
    /// Before and after, beside the untagged frame.
    payload: [Payload; 2],
}

#[derive(Clone)]
enum Vids {
    Priority,
    These(VidSet),
}

type Pair = (Option<*const Arrivals>, Option<*const Arrivals>);

struct Comparison<'n> {
    names: &'n Names,
    /// What may differ at ports that are alike before and after.
    known: HashMap<Pair, Rc<Vec<Candidate>>>,
    changes: Vec<FrameChange>,
}

impl Comparison<'_> {
    fn port(&mut self, own: Name, before: Option<&Rc<Arrivals>>, after: Option<&Rc<Arrivals>>) {
        let key = (before.map(Rc::as_ptr), after.map(Rc::as_ptr));
        let candidates = self.known.entry(key).or_insert_with(|| Rc::new(candidates(before, after)));
        let candidates = Rc::clone(candidates);
        for candidate in candidates.iter() {
            if candidate.is_change(own) && !candidate.follows(own) && !candidate.never_passes(own) {
                self.changes.push(self.told(candidate, own));
            }
        }
    }

    fn told(&self, candidate: &Candidate, own: Name) -> FrameChange {
        let (before, after) = self.texts(candidate, own);
        let (tags, vids) = match &candidate.vids {
            None => (Vec::new(), None),
            Some(Vids::Priority) => (vec![(0, 0)], None),
            Some(Vids::These(vids)) => {
                (vids.iter().take(1).map(|vid| (vid.get(), 0)).collect(), Some(vids.to_string()))
            }
        };
        FrameChange { port: self.names.name(own).to_owned(), tags, vids, before, after }
    }

    fn texts(&self, candidate: &Candidate, own: Name) -> (String, String) {
        let ends = (candidate.end(&candidate.before, own), candidate.end(&candidate.after, own));
        if let (Some(End::Copies(was)), Some(End::Copies(is))) = ends
            && was.count().min(is.count()) > MOST_COPIES
        {
            let gone = self.marked("-", &candidate.gone, own);
            let come = self.marked("+", &candidate.come, own);
            let different: Vec<String> = gone.into_iter().chain(come).collect();
            let different = self.shortened(different);
            return (format!("{} copies", was.count()), format!("{} copies: {different}", is.count()));
        }
        (self.end_text(ends.0), self.end_text(ends.1))
    }

    fn marked(&self, mark: &str, copies: &[Leaving], own: Name) -> Vec<String> {
        let others = copies.iter().filter(|copy| copy.to != own);
        others.map(|copy| format!("{mark} {}", copy_text(self.names, copy))).collect()
    }

    fn end_text(&self, end: Option<End<'_>>) -> String {
        match end {
            None => "no such port".to_owned(),
            Some(End::Drop(reason)) => format!("drop {}", reason.name()),
            Some(End::Copies(copies)) => self.copies_text(copies),
        }
    }

    fn copies_text(&self, copies: Copies<'_>) -> String {
        if copies.count() > MOST_COPIES {
            let few: Vec<String> =
                copies.iter().take(MOST_COPIES).map(|copy| copy_text(self.names, copy)).collect();
            return format!("{} and {} more", few.join(", "), copies.count() - MOST_COPIES);
        }
        copies.iter().map(|copy| copy_text(self.names, copy)).collect::<Vec<_>>().join(", ")
    }

    fn shortened(&self, mut texts: Vec<String>) -> String {
        let more = texts.len().saturating_sub(MOST_COPIES);
        texts.truncate(MOST_COPIES);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{more}", texts.join(", "))
    }
}

/// Every kind of frame that may fare differently.
fn candidates(before: Option<&Rc<Arrivals>>, after: Option<&Rc<Arrivals>>) -> Vec<Candidate> {
    let mut all = Vec::new();
    let untagged = [before, after].map(|is| is.map(|is| &is.untagged));
    let mut add = |vids, before: Option<&Fate>, after: Option<&Fate>| {
        all.extend(Candidate::new(vids, [before, after], untagged));
    };
    add(None, untagged[0], untagged[1]);
    add(Some(Vids::Priority), before.map(|is| &is.priority), after.map(|is| &is.priority));
    let these = |vids: &VidSet| Some(Vids::These(vids.clone()));
    match (before, after) {
        (Some(before), Some(after)) => tagged(before, after, &mut add),
        (Some(only), None) => only.tagged.iter().for_each(|(vids, fate)| add(these(vids), Some(fate), None)),
        (None, Some(only)) => only.tagged.iter().for_each(|(vids, fate)| add(these(vids), None, Some(fate))),
        (None, None) => {}
    }
    all
}

fn tagged(
    before: &Arrivals,
    after: &Arrivals,
    add: &mut impl FnMut(Option<Vids>, Option<&Fate>, Option<&Fate>),
) {
    for pairing in pairings(before, after) {
        let (was, is) = (Some(pairing.before), Some(pairing.after));
        if !is_different(pairing.before, pairing.after) {
            continue;
        }
        let alone = pairing.coincidences();
        for vid in alone.iter() {
            add(Some(Vids::These([vid].into_iter().collect())), was, is);
        }
        let rest: VidSet = pairing.vids.iter().filter(|vid| !alone.contains(*vid)).collect();
        add(Some(Vids::These(rest)), was, is);
    }
}

fn is_different(before: &Fate, after: &Fate) -> bool {
    before.refused != after.refused || before.copies != after.copies
}

/// Those of `these` that are not among `those`.
fn without(these: &[Leaving], those: &[Leaving]) -> Vec<Leaving> {
    these.iter().filter(|copy| those.binary_search(copy).is_err()).cloned().collect()
}

impl Candidate {
    /// `None` where all of it is the same before and after, at every port.
    fn new(vids: Option<Vids>, fates: [Option<&Fate>; 2], untagged: [Option<&Fate>; 2]) -> Option<Candidate> {
        let only = match &vids {
            Some(Vids::These(vids)) if vids.is_empty() => return None,
            Some(Vids::These(vids)) if vids.len() == 1 => vids.iter().next(),
            _ => None,
        };
        let [before, after] = fates.map(|fate| match only {
            Some(vid) => fate.map(|fate| at_one_vid(fate, vid)),
            None => fate.cloned(),
        });
        match (&before, &after) {
            (None, None) => return None,
            (Some(before), Some(after)) if !is_different(before, after) => return None,
            _ => {}
        }
        let tag = match (&vids, only) {
            (Some(Vids::These(_)), Some(vid)) => Some(Piece::Fixed(vid.get(), 0)),
            (Some(Vids::These(_)), None) => Some(Piece::Arriving),
            (Some(Vids::Priority) | None, _) => None,
        };
        let payload =
            [Payload::of(untagged[0], before.as_ref(), tag), Payload::of(untagged[1], after.as_ref(), tag)];
        let copies = |fate: &Option<Fate>| fate.as_ref().map_or(Vec::new(), |fate| fate.copies.clone());
        let (was, is) = (copies(&before), copies(&after));
        let (gone, come) = (without(&was, &is), without(&is, &was));
        Some(Candidate { vids, before, after, gone, come, payload })
    }

    fn end<'f>(&self, fate: &'f Option<Fate>, own: Name) -> Option<End<'f>> {
        fate.as_ref().map(|fate| fate.seen_by(own))
    }

    /// Whether the frames fare differently at port `own`.
    fn is_change(&self, own: Name) -> bool {
        match (self.end(&self.before, own), self.end(&self.after, own)) {
            (Some(End::Drop(was)), Some(End::Drop(is))) => was != is,
            (Some(End::Copies(_)), Some(End::Copies(_))) => {
                self.gone.iter().chain(&self.come).any(|copy| copy.to != own)
            }
            (None, None) => false,
            _ => true,
        }
    }

    /// Of a port that is new or gone, only what passes is told.
    fn never_passes(&self, own: Name) -> bool {
        match (self.end(&self.before, own), self.end(&self.after, own)) {
            (None, Some(end)) | (Some(end), None) => matches!(end, End::Drop(_)),
            _ => false,
        }
    }

    /// Whether tagged frames go where untagged ones go, before and after, their tag being payload.
    fn follows(&self, own: Name) -> bool {
        self.vids.is_some() && self.payload.iter().all(|payload| payload.is_so_at(own))
    }
}

/// Most copies of one frame that are listed.
const MOST_COPIES: usize = 16;
/// Most ports that a line names.
const MOST_PORTS: usize = 4;

//! What becomes of broadcast frames, for every port and every VID of a topology: what `l2gw table` prints and `l2gw plan` compares.
//!
//! A gateway of every VLAN has some ten thousand ports, and a frame may come with any of 4 094 VIDs. Most of these say the same, so
//! only what may differ is judged:
//! - VIDs that a port treats alike are one *class* with one [`Fate`], in which [`Piece::Arriving`] stands for the VID;
//! - ports that let frames in alike ([`kin::Kin`]) share their fates. Each of them sends to all the others, so that a shared fate has a
//!   copy to each, and [`Fate::seen_by`] leaves out the one to the port itself.

mod judge;
mod kin;
mod payload;
mod split;
mod why;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use vlan::model::topology::Topology;
use vlan::verdict::DropReason;
use vlan::vid::{Vid, VidSet};

pub(crate) use payload::Payload;
pub(crate) use split::{at_one_vid, pairings};
pub(crate) use why::Why;

/// Names of ports and hosts as numbers, in the order in which they are first met; two topologies that are compared share one.
#[derive(Debug, Default)]
pub(crate) struct Names {
    all: Vec<String>,
    numbers: HashMap<String, Name>,
}

/// A port, or a host that copies go to, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name(u32);

impl Names {
    /// The number of a name.
    pub(crate) fn number(&mut self, name: &str) -> Name {
        if let Some(known) = self.numbers.get(name) {
            return *known;
        }
        let number = Name(self.all.len() as u32);
        self.all.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }

    /// The name with this number.
    pub(crate) fn name(&self, number: Name) -> &str {
        &self.all[number.0 as usize]
    }
}

/// A tag of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Piece {
    /// It has the VID with which the frame came, and priority 0.
    Arriving,
    /// It has this VID and this priority.
    Fixed(u16, u8),
}

/// A copy that leaves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Leaving {
    /// The port it leaves by, or `host NAME`.
    pub(crate) to: Name,
    /// Its tags, the outermost first.
    pub(crate) tags: Vec<Piece>,
}

/// What becomes of a frame at each of the ports that share it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Fate {
    /// Why it is not let in.
    pub(crate) refused: Option<DropReason>,
    /// Its copies, in ascending order.
    pub(crate) copies: Vec<Leaving>,
    /// Members that it does not leave by, in ascending order.
    pub(crate) withheld: Vec<(Name, DropReason)>,
    /// What there is to say when nobody else is there to leave by.
    pub(crate) lonely: Why,
}

/// How a frame ends that came in by one port.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End<'f> {
    /// Dropped.
    Drop(DropReason),
    /// It leaves by these.
    Copies(Copies<'f>),
}

/// The copies of a fate but the one to the arrival port.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Copies<'f> {
    all: &'f [Leaving],
    own: Name,
}

impl<'f> Copies<'f> {
    /// Each of them.
    pub(crate) fn iter(self) -> impl Iterator<Item = &'f Leaving> {
        self.all.iter().filter(move |copy| copy.to != self.own)
    }

    /// How many there are.
    pub(crate) fn count(self) -> usize {
        let first = self.all.partition_point(|copy| copy.to < self.own);
        let own = self.all[first..].partition_point(|copy| copy.to == self.own);
        self.all.len() - own
    }
}

impl Fate {
    /// Of a frame that came in by port `own`.
    pub(crate) fn seen_by(&self, own: Name) -> End<'_> {
        let copies = Copies { all: &self.copies, own };
        match self.refused {
            Some(reason) => End::Drop(reason),
            None if copies.count() == 0 => End::Drop(DropReason::NoMember),
            None => End::Copies(copies),
        }
    }
}

/// What becomes of the frames that arrive at a port, and at all ports that are like it.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    /// Without a tag.
    pub(crate) untagged: Fate,
    /// With VID 0.
    pub(crate) priority: Fate,
    /// With each other VID: classes that are disjoint and together all, by their lowest VIDs.
    pub(crate) tagged: Vec<(VidSet, Fate)>,
}

/// What becomes of every frame of a topology.
pub(crate) struct Fates {
    /// Each port, in the topology's order.
    pub(crate) ports: Vec<(Name, Rc<Arrivals>)>,
}

impl Fates {
    /// Judges every class of frames at every kind of port: each port up, each trunk carrying its VLANs.
    pub(crate) fn of(topology: &Arc<Topology>, names: &mut Names) -> Fates {
        judge::all(topology, names)
    }
}

/// Every usable VID.
pub(crate) fn all_vids() -> impl Iterator<Item = Vid> {
    (1..=Vid::MAX).filter_map(Vid::new)
}

#[cfg(test)]
mod tests;

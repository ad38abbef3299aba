//! Echoes in the words of the topology in force. Each calls segments and fabrics otherwise, and what a flow sends it names by the one
//! that it was made by, until it is looked over; so does what is asked of the datapath while another comes in.

use std::collections::VecDeque;
use std::sync::Arc;

use vlan::fdb::reflect::Echo;
use vlan::model::renumber::renumber_way;
use vlan::model::topology::Topology;

/// The topology in force, and those before it by which something may be named.
#[derive(Debug, Default)]
pub(in crate::engine) struct Eras {
    /// One after the other, the last is in force; at most [`MOST_ERAS`].
    topologies: VecDeque<Arc<Topology>>,
    /// How many there have been; the first is 1.
    begun: u32,
    /// Whether something may be named by one that is known no more.
    are_some_lost: bool,
}

/// A topology that was in force, by how many there had been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Era(u32);

/// An echo in the words of an era.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Dated {
    pub(super) era: Era,
    pub(super) echo: Echo,
}

impl Era {
    /// That of flows which an earlier run has made, in words that nobody knows.
    pub(in crate::engine) const UNKNOWN: Era = Era(0);

    pub(super) fn is_known(self) -> bool {
        self != Era::UNKNOWN
    }
}

impl Eras {
    /// That of the topology in force.
    pub(in crate::engine) fn now(&self) -> Era {
        Era(self.begun)
    }

    /// Another topology is in force.
    pub(super) fn begin(&mut self, topology: Arc<Topology>) {
        self.begun = self.begun.wrapping_add(1);
        self.topologies.push_back(topology);
        if self.topologies.len() > MOST_ERAS {
            self.topologies.pop_front();
            self.are_some_lost = true;
        }
    }

    /// Nothing is named by an earlier topology any more.
    pub(in crate::engine) fn forget_past(&mut self) {
        let past = self.topologies.len().saturating_sub(1);
        drop(self.topologies.drain(..past));
        self.are_some_lost = false;
    }

    /// Whether topologies came so fast that what was named by an early one is not found any more.
    pub(super) fn are_some_lost(&self) -> bool {
        self.are_some_lost
    }

    /// An echo of now, to be told later.
    pub(in crate::engine) fn date(&self, echo: Echo) -> Dated {
        Dated { era: self.now(), echo }
    }

    /// What an echo is called now; `None` where nothing comes back from there any more, or its era is too long ago.
    pub(in crate::engine) fn today(&self, dated: Dated) -> Option<Echo> {
        let since = self.begun.wrapping_sub(dated.era.0) as usize;
        if since == 0 {
            return Some(dated.echo);
        }
        let first = self.topologies.len().checked_sub(since + 1)?;
        let mut steps = self.topologies.iter().skip(first).zip(self.topologies.iter().skip(first + 1));
        steps.try_fold(dated.echo, |echo, (before, after)| rename(before, after, echo))
    }

    /// What an echo of now is called, and was called in each era before, back to where there was nothing like it.
    pub(super) fn ever(&self, echo: Echo) -> impl Iterator<Item = Dated> {
        let later = self.topologies.iter().rev();
        let earlier = self.topologies.iter().rev().skip(1);
        let was = later.zip(earlier).scan(self.date(echo), |dated, (after, before)| {
            let echo = rename(after, before, dated.echo)?;
            *dated = Dated { era: Era(dated.era.0.wrapping_sub(1)), echo };
            Some(*dated)
        });
        std::iter::once(self.date(echo)).chain(was)
    }
}

fn rename(from: &Topology, to: &Topology, echo: Echo) -> Option<Echo> {
    let (segment, fabric) = renumber_way(from, to, (echo.segment, echo.fabric))?;
    Some(Echo { segment, fabric, ..echo })
}

/// Topologies that follow each other before all flows were looked over. What is named by an earlier one says nothing any more, and until all
/// were, nobody says of a frame that it was not sent.
const MOST_ERAS: usize = 16;

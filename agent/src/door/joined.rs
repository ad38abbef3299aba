//! What a proposal comes to with what is there: a file says only what came from files.

use std::sync::Arc;

use vlan::model::topology::Topology;

use super::{DoorError, Proposal, checked};
use crate::documents::{FileText, Stored};
use crate::topology::Authorship;
use crate::tree::{Source, Sources, Tree};

/// A proposal that is to be joined with what is there.
pub(super) struct Joining {
    proposed: Tree,
    is_file: bool,
    by: Source,
    there: Option<(Tree, Sources)>,
    /// The earlier revision that it brings back.
    again: Option<(Tree, Sources)>,
    /// The text that is there.
    text: Option<FileText>,
    proposed_text: Option<FileText>,
}

impl Joining {
    pub(super) fn new(proposal: &Proposal, there: Option<&Stored>, again: Option<&Stored>) -> Joining {
        let origin = proposal.origin();
        let known = |stored: &Stored| (Tree::from(&stored.description), stored.sources.clone());
        Joining {
            proposed: proposal.topology.clone(),
            is_file: origin.is_file() && again.is_none(),
            by: Source::new(origin, &proposal.author),
            there: there.map(known),
            again: again.map(known),
            text: there.and_then(|stored| stored.text.clone()),
            proposed_text: proposal.text.clone(),
        }
    }

    /// Whether there is nothing to build: nothing came otherwise than from a file.
    pub(super) fn is_quick(&self) -> bool {
        !self.is_file || self.there.as_ref().is_none_or(|(_, sources)| sources.others().next().is_none())
    }

    /// # Errors
    /// It names what did not come from a file, or does not build with it.
    pub(super) fn join(self) -> Result<Joined, DoorError> {
        let (tree, topology) = match self.there.clone().filter(|_| !self.is_quick()) {
            None => (self.proposed, None),
            Some((there, sources)) => {
                let all = self.proposed.and_others(there, &sources).map_err(DoorError::Wrong)?;
                let description = all.description().map_err(|mistakes| checked::wrong(&mistakes))?;
                let built = checked::topology(&description).map_err(|error| with_others(error, &sources));
                (all, Some(built?))
            }
        };
        let before = self.again.as_ref().or(self.there.as_ref()).map(|(tree, sources)| (tree, sources));
        let sources = Sources::next(before, &tree, &self.by);
        // The text that is there goes on as long as what came from a file is as it says.
        let is_as_it_says =
            self.there.is_some_and(|(there, was)| there.apart(&was).0 == tree.clone().apart(&sources).0);
        let text = self.proposed_text.or(self.text.filter(|_| is_as_it_says));
        Ok(Joined { topology, sources, text })
    }
}

/// What is wrong with a file may be wrong only with what it does not say.
fn with_others(error: DoorError, sources: &Sources) -> DoorError {
    match error {
        DoorError::Wrong(mut lines) => {
            lines.push(format!(
                "what stays, since it did not come from a file: {}",
                sources.others_in_brief()
            ));
            DoorError::Wrong(lines)
        }
        other => other,
    }
}

/// A proposal with what is there.
pub(super) struct Joined {
    /// `None`: the proposal's own.
    pub(super) topology: Option<Arc<Topology>>,
    sources: Sources,
    text: Option<FileText>,
}

impl Joined {
    /// Whether it is there already, where the same is declared: what an older version stored may lack numbers.
    pub(super) fn is_stored(&self, topology: &Topology, stored: &Stored) -> bool {
        let has_numbers =
            stored.numbers.as_ref().is_some_and(|numbers| numbers.after(topology).as_ref() == Ok(numbers));
        let has_text = self.text.as_ref().is_none_or(|text| text.is_kept(stored.text.as_ref()));
        has_numbers && has_text && self.sources == stored.sources
    }

    /// Who publishes it, and from where.
    pub(super) fn by(&self, proposal: &Proposal) -> Authorship {
        let (author, note) = (proposal.author.clone(), proposal.note.clone());
        let (text, sources) = (self.text.clone(), self.sources.clone());
        Authorship { author, note, text, sources, confirm_within: proposal.confirm_within }
    }
}

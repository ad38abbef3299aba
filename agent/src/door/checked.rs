//! What can be checked of a proposal by itself.

use std::sync::Arc;

use vlan::model::description::Description;
use vlan::model::mistake::Mistake;
use vlan::model::shown::is_shown;
use vlan::model::topology::Topology;

use super::{DoorError, Proposal};
use crate::tree::TreeMistake;

/// A proposal that builds.
pub(super) struct Checked {
    pub(super) proposal: Proposal,
    pub(super) topology: Arc<Topology>,
}

/// Checks what can be checked of a proposal by itself.
pub(super) fn build(proposal: Proposal) -> Result<Checked, DoorError> {
    if let Some(text) = &proposal.text {
        text.check().map_err(|why| DoorError::Wrong(vec![format!("text.{why}")]))?;
    }
    // It is shown on terminals.
    if let Some(character) = proposal.note.chars().find(|character| !is_shown(*character)) {
        let note = &proposal.note;
        return Err(DoorError::Wrong(vec![format!(
            "note: {note:?} has {character:?}, allowed is printable text"
        )]));
    }
    let description = proposal.topology.description().map_err(|mistakes| wrong(&mistakes))?;
    Ok(Checked { proposal, topology: topology(&description)? })
}

/// What a description comes to.
pub(super) fn topology(description: &Description) -> Result<Arc<Topology>, DoorError> {
    let in_words = |mistakes: Vec<Mistake>| -> Vec<TreeMistake> {
        mistakes.into_iter().map(|mistake| TreeMistake::in_description(mistake, description)).collect()
    };
    Topology::build(description).map(Arc::new).map_err(|mistakes| wrong(&in_words(mistakes)))
}

/// The mistakes, not too many.
pub(super) fn wrong(mistakes: &[TreeMistake]) -> DoorError {
    let mut lines: Vec<String> = mistakes.iter().take(MOST_MISTAKES).map(ToString::to_string).collect();
    if mistakes.len() > MOST_MISTAKES {
        lines.push(format!("and {} more mistakes", mistakes.len() - MOST_MISTAKES));
    }
    DoorError::Wrong(lines)
}

/// Mistakes that are told.
const MOST_MISTAKES: usize = 100;

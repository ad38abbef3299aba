//! What can be checked of a proposal by itself.

use vlan::model::mistake::Mistake;
use vlan::model::shown::is_shown;
use vlan::model::topology::Topology;
use vlan::model::value::quote;

use super::{DoorError, Proposal};
use crate::documents::FileText;
use crate::tree::TreeMistake;

/// A proposal that builds.
pub(super) struct Checked {
    pub(super) proposal: Proposal,
    pub(super) topology: Topology,
}

/// Checks what can be checked of a proposal by itself.
pub(super) fn build(proposal: Proposal) -> Result<Checked, DoorError> {
    if let Some(text) = &proposal.text {
        check_text(text)?;
    }
    // It is shown on terminals.
    if let Some(character) = proposal.note.chars().find(|character| !is_shown(*character)) {
        let note = &proposal.note;
        return Err(DoorError::Wrong(vec![format!(
            "note: {note:?} has {character:?}, allowed is printable text"
        )]));
    }
    let description = proposal.topology.description().map_err(|mistakes| wrong(&mistakes))?;
    let in_words = |mistakes: Vec<Mistake>| -> Vec<TreeMistake> {
        mistakes.into_iter().map(|mistake| TreeMistake::in_description(mistake, &description)).collect()
    };
    match Topology::build(&description) {
        Ok(topology) => Ok(Checked { proposal, topology }),
        Err(mistakes) => Err(wrong(&in_words(mistakes))),
    }
}

/// Both are shown on terminals.
fn check_text(FileText { file, text }: &FileText) -> Result<(), DoorError> {
    let is_fit = |c: char| is_shown(c) || matches!(c, '\n' | '\r' | '\t');
    let wrong = if let Some(c) = file.chars().find(|c| !is_shown(*c)) {
        format!("text.file: {} has {c:?}, allowed is printable text", quote(file))
    } else if let Some(c) = text.chars().find(|c| !is_fit(*c)) {
        format!("text.text: it has {c:?}, allowed is printable text in lines")
    } else if text.len() > LONGEST_TEXT {
        format!("text.text: it has {} bytes, allowed are {LONGEST_TEXT}", text.len())
    } else {
        return Ok(());
    };
    Err(DoorError::Wrong(vec![wrong]))
}

/// The mistakes, not too many.
fn wrong(mistakes: &[TreeMistake]) -> DoorError {
    let mut lines: Vec<String> = mistakes.iter().take(MOST_MISTAKES).map(ToString::to_string).collect();
    if mistakes.len() > MOST_MISTAKES {
        lines.push(format!("and {} more mistakes", mistakes.len() - MOST_MISTAKES));
    }
    DoorError::Wrong(lines)
}

/// Bytes of a file's text that are kept with a revision: 100 000 lines, and the store keeps a hundred revisions.
pub const LONGEST_TEXT: usize = 4 << 20;
/// Mistakes that are told.
const MOST_MISTAKES: usize = 100;

//! Revisions that have to be confirmed, at the door: nothing but a rollback comes on top of one, and a confirmation ends its wait.

use nsdb::{ConfirmWithin, Root};
use serde::{Deserialize, Serialize};
use vlan::model::shown::{is_shown, printable};

use super::{Accepted, Door, DoorError, Proposal};
use crate::clock;
use crate::topology::{self, Newest, TopologyError};
use crate::tree::Tree;

/// That a revision is to stay.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// Which; without it, the one that waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// For whom whoever connects does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_whom: Option<String>,
}

impl Door {
    /// Lets the revision that waits for its confirmation stay: publishes it again, as one that waits no more.
    ///
    /// # Errors
    /// None waits, or another than was named; the store refuses, or cannot be read.
    pub async fn confirm(&self, confirmation: Confirmation, author: String) -> Result<Accepted, DoorError> {
        let Confirmation { revision: asked, for_whom } = confirmation;
        let _alone = self.publishing.lock().await;
        let root = match topology::fresh_root(&self.store).await? {
            Some(root) if root.confirm_within.is_some() && is_meant(asked, &root) => root,
            newest => return Err(nothing_to_confirm(asked, newest.as_ref())),
        };
        let mut note = format!("confirms revision {}", root.revision);
        if let Some(whom) = for_whom.filter(|whom| whom.chars().all(is_shown)) {
            note += &format!(", for {whom}");
        }
        match topology::confirm(&self.store, &root, author, note).await {
            Ok(revision) => Ok(Accepted { revision: revision.get(), is_new: true }),
            // It was taken back, or confirmed, a moment before.
            Err(TopologyError::Store(error)) if error.is_conflict() => {
                let newest = topology::fresh_root(&self.store).await?;
                Err(nothing_to_confirm(asked, newest.as_ref()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a proposal may come on top of the newest revision.
    pub(super) async fn check_turn(
        &self,
        proposal: &Proposal,
        newest: Option<&Newest>,
    ) -> Result<(), DoorError> {
        let waits = newest.is_some_and(|newest| newest.confirm_within.is_some());
        if waits && !self.is_rollback(proposal).await? {
            self.check_waits(proposal, newest)?;
        }
        let nothing = |why: String| Err(DoorError::NothingBefore { why });
        match (proposal.confirm_within, newest) {
            (Some(_), None) => nothing("this would be the first revision".to_owned()),
            (Some(_), Some(Newest { revision, stored: Err(_), .. })) => {
                nothing(format!("revision {revision} in the store cannot be read"))
            }
            _ => Ok(()),
        }
    }

    /// Whether a proposal brings an earlier revision back, as it was and for good.
    async fn is_rollback(&self, proposal: &Proposal) -> Result<bool, DoorError> {
        match (proposal.again, proposal.confirm_within) {
            (Some(number), None) => {
                Ok(Tree::from(&self.kept(number).await?.description) == proposal.topology)
            }
            _ => Ok(false),
        }
    }

    /// Refuses a proposal while the newest revision waits for its confirmation.
    pub(super) fn check_waits(&self, proposal: &Proposal, newest: Option<&Newest>) -> Result<(), DoorError> {
        match newest {
            Some(Newest { revision, confirm_within: Some(within), author, .. }) => {
                Err(self.waits(proposal, (revision.get(), author), *within))
            }
            _ => Ok(()),
        }
    }

    /// Why a proposal does not come on top of a root that waits, of this author.
    pub(super) fn waits(
        &self,
        proposal: &Proposal,
        (revision, author): (u64, &str),
        within: ConfirmWithin,
    ) -> DoorError {
        let counted = self.built.waits().filter(|waits| waits.revision.get() == revision);
        let left = match counted.map(|waits| waits.until) {
            Some(Some(until)) => {
                format!("another {} s at most", until.since(clock::now()).as_millis().div_ceil(1_000))
            }
            Some(None) => "and its time is over".to_owned(),
            // No host is here that counts.
            None => format!("{within} at most from when hosts saw it"),
        };
        // It would have to be confirmed itself, and what waits now come back where nobody does.
        let is_tried = proposal.again.is_some() && proposal.confirm_within.is_some();
        DoorError::Waits { revision, author: printable(author), left, is_tried }
    }
}

fn is_meant(asked: Option<u64>, root: &Root) -> bool {
    asked.is_none_or(|asked| asked == root.revision.get())
}

/// What is there instead says what has become of the one that was to be confirmed.
fn nothing_to_confirm(asked: Option<u64>, newest: Option<&Root>) -> DoorError {
    let is_another_waiting = newest.is_some_and(|newest| newest.confirm_within.is_some());
    let what = match asked {
        Some(asked) if is_another_waiting => format!("revision {asked} does not wait"),
        _ => "nothing waits".to_owned(),
    };
    let newest = match newest {
        None => "there is no revision yet".to_owned(),
        Some(Root { revision, author, note, .. }) => {
            let does = if is_another_waiting { "does" } else { "is the newest" };
            printable(&format!("revision {revision} {does}, by {author}: {note}"))
        }
    };
    DoorError::NothingToConfirm { what, newest }
}

#[cfg(test)]
mod tests;

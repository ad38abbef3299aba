//! The file that a daemon is started with, and what was last published from it: a file that has not changed since does not undo what
//! was applied after it.

use std::path::PathBuf;

use nsdb::Local;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};
use vlan::model::shown::printable;

use super::{Accepted, Before, Door, DoorError, FileMark, Proposal};
use crate::event::Event;
use crate::{journal, topology};

/// What became of the file at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AtStart {
    /// It has not changed since it was published last, and the newest revision, which came after it, stays; or that waits for its confirmation.
    Kept {
        /// The newest revision.
        revision: u64,
    },
    /// It is the newest revision.
    InForce(Accepted),
}

/// What was last published from a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct LastPublished {
    /// The file, as in [`FileMark`].
    path: PathBuf,
    /// Of its text, as in [`FileMark`].
    digest: String,
    /// The same for what it declares: a new comment changes nothing.
    declared: String,
    revision: u64,
}

impl Door {
    /// Publishes the file at the start, unless it is what it was when it was published last and something else was published since. While the
    /// newest revision waits for its confirmation that stays.
    ///
    /// # Errors
    /// Every reason why it does not come in.
    pub async fn publish_at_start(&self, proposal: Proposal) -> Result<AtStart, DoorError> {
        let newest = topology::newest_root(&self.store).await?;
        let last = self.last_published().await;
        let file = self.file_in_words();
        let digests = (proposal.file.as_ref().map(|file| file.digest.clone()), proposal.topology.digest());
        let is_unchanged =
            |last: &LastPublished| Some(&last.digest) == digests.0.as_ref() || last.declared == digests.1;
        if let (Some(newest), Some(last)) = (&newest, last.as_ref().filter(|last| is_unchanged(last)))
            && newest.revision.get() > last.revision
        {
            self.tell_kept(file, last.revision, newest).await;
            return Ok(AtStart::Kept { revision: newest.revision.get() });
        }
        // A start is never refused for what waits: it is in force, or what was before it will be again.
        if let Some(newest) = &newest
            && let Some(within) = newest.confirm_within
        {
            let revision = newest.revision.get();
            if !last.as_ref().is_some_and(is_unchanged) {
                self.tell_refused(self.waits(&proposal, (revision, &newest.author), within).to_string())
                    .await;
            }
            return Ok(AtStart::Kept { revision });
        }
        Ok(AtStart::InForce(self.publish_file(proposal).await?))
    }

    /// Publishes the daemon's own file over whatever is there, and tells which revision it replaces, and whose.
    ///
    /// # Errors
    /// Every reason why it does not come in.
    pub async fn publish_file(&self, proposal: Proposal) -> Result<Accepted, DoorError> {
        let mut checked = self.aside(move || super::build(proposal)).await?;
        let _alone = self.publishing.lock().await;
        let newest = topology::newest_root(&self.store).await?;
        let (accepted, before) = self.let_in_alone(&mut checked).await?;
        let Some(newest) = newest else { return Ok(accepted) };
        let replaced = newest.revision.get();
        match before {
            Before::Nothing | Before::Same => return Ok(accepted),
            Before::Other => {}
            Before::Unreadable(why) => {
                self.tell(Event::RevisionUnreadable { revision: replaced, why }).await;
            }
        }
        let (file, revision) = (self.file_in_words(), accepted.revision);
        self.tell(Event::FileApplied { file, revision, replaced, by: author(&newest) }).await;
        Ok(accepted)
    }

    /// The file was not applied, after it was asked to be.
    pub async fn tell_refused(&self, why: String) {
        let file = self.file_in_words();
        self.tell(Event::FileRefused { file, why }).await;
    }

    async fn tell_kept(&self, file: String, published: u64, newest: &nsdb::Root) {
        let revision = newest.revision.get();
        self.tell(Event::FileKept { file, published, revision, by: author(newest) }).await;
    }

    /// The daemon's file, fit for a terminal.
    fn file_in_words(&self) -> String {
        let file = self.file.clone().unwrap_or_default();
        printable(&file.display().to_string())
    }

    async fn tell(&self, event: Event) {
        match event {
            Event::FileApplied { .. } => info!("{event}"),
            _ => warn!("{event}"),
        }
        journal::note(&self.store, &event).await;
    }

    async fn last_published(&self) -> Option<LastPublished> {
        match self.store.load(LAST_PUBLISHED).await {
            Ok(bytes) => serde_json::from_slice(&bytes?).ok(),
            Err(error) => {
                warn!(%error, "what was last published from the file cannot be read");
                None
            }
        }
    }

    /// Remembers what was published from the daemon's own file, whoever published it.
    pub(super) async fn note_file(&self, proposal: &Proposal, revision: u64) {
        let Some(file) = proposal.file.clone().filter(|file| self.file.as_ref() == Some(&file.path)) else {
            return;
        };
        let FileMark { path, digest: of_text } = file;
        let last = LastPublished { path, digest: of_text, declared: proposal.topology.digest(), revision };
        let saved = match serde_json::to_vec(&last) {
            Ok(bytes) => self.store.save(LAST_PUBLISHED, bytes).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = saved {
            warn!(
                error,
                "what was published from the file cannot be remembered; at the next start the file wins"
            );
        }
    }
}

fn author(root: &nsdb::Root) -> String {
    format!("{}: {}", root.author, root.note)
}

/// Key of the host's own notes.
const LAST_PUBLISHED: &str = "file/published";

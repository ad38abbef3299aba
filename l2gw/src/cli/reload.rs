//! A file as a proposal, and SIGHUP: the daemon reads its own file again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use agent::door::{Accepted, Door, DoorError, FileMark, Proposal};
use tracing::{info, warn};

use crate::config::{self, Config};

/// What a file says, to be published over whatever is there.
pub(super) fn proposal(file: &Path, config: Config, occasion: &str, without_hosts: Vec<String>) -> Proposal {
    Proposal {
        expected: None,
        author: "file".to_owned(),
        note: note(occasion, file),
        without_hosts,
        file: Some(FileMark { path: agent::door::canonical(file), digest: config.digest }),
        description: config.description,
    }
}

/// What is done with a file, fit to be shown on a terminal.
pub(super) fn note(occasion: &str, file: &Path) -> String {
    let file = file.display().to_string();
    let file = if file.contains(char::is_control) { file.escape_debug().to_string() } else { file };
    format!("{occasion} {file}")
}

/// Reads the file and publishes it. As long as that fails although the file is right, it is tried again, for [`LONGEST`].
pub(super) async fn reload(file: PathBuf, door: Arc<Door>) {
    let path = file.clone();
    let read =
        tokio::task::spawn_blocking(move || config::load(&path).map_err(|problems| problems.to_string()));
    let config = match read.await.map_err(|error| error.to_string()).and_then(|read| read) {
        Ok(config) => config,
        Err(why) => return door.tell_refused(why).await,
    };
    let proposal = proposal(&file, config, "SIGHUP", Vec::new());
    let until = tokio::time::Instant::now() + LONGEST;
    loop {
        match door.publish(proposal.clone()).await {
            Ok(accepted) => return tell(&file, &accepted),
            Err(error) if !error.is_wrong() && tokio::time::Instant::now() < until => {
                warn!(%error, file = %file.display(), "the file cannot be published now, it is tried again");
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return door.tell_refused(in_words(&error)).await,
        }
    }
}

fn in_words(error: &DoorError) -> String {
    match error {
        DoorError::Takes { .. } | DoorError::Nothing { .. } => {
            format!("{error} of `l2gw apply`; SIGHUP never does it")
        }
        error => error.to_string(),
    }
}

fn tell(file: &Path, accepted: &Accepted) {
    let (revision, file) = (accepted.revision, file.display());
    if accepted.is_new {
        info!(revision, %file, "the file is a new revision");
    } else {
        info!(revision, %file, "the file says what the newest revision says");
    }
}

/// How long a file is tried to be published.
const LONGEST: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_secs(1);

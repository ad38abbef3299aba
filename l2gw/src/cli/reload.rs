//! A file as a proposal, and SIGHUP: the daemon reads its own file again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use agent::door::{Accepted, Door, DoorError, FileMark, Proposal};
use tracing::{info, warn};
use vlan::model::shown::printable;

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
    format!("{occasion} {}", printable(&file.display().to_string()))
}

/// Reads the file and publishes it. As long as that fails although the file is right, it is tried again, for [`LONGEST`].
pub(super) async fn reload(file: PathBuf, door: Arc<Door>) {
    let path = file.clone();
    let read =
        tokio::task::spawn_blocking(move || config::load(&path).map_err(|problems| problems.to_string()));
    let read = read.await.map_err(|error| error.to_string()).and_then(|read| read);
    let config = match read.and_then(to_be_run) {
        Ok(config) => config,
        Err(why) => return door.tell_refused(why).await,
    };
    let proposal = proposal(&file, config, "SIGHUP", Vec::new());
    let until = tokio::time::Instant::now() + LONGEST;
    loop {
        match door.publish_file(proposal.clone()).await {
            Ok(accepted) => return tell(&file, &accepted),
            Err(error) if !error.is_wrong() && tokio::time::Instant::now() < until => {
                warn!(%error, file = %file.display(), "the file cannot be published now, it is tried again");
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return door.tell_refused(in_words(&error)).await,
        }
    }
}

/// The file, unless this version does not run it, so that the next start would fail.
fn to_be_run(config: Config) -> Result<Config, String> {
    let refusals: Vec<String> =
        config.refusals(None).iter().map(|refusal| refusal.line_for(&config.file)).collect();
    if refusals.is_empty() { Ok(config) } else { Err(refusals.join("\n")) }
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
        info!(revision, %file, "nothing has changed: the file says what the newest revision says");
    }
}

/// How long a file is tried to be published.
const LONGEST: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_secs(1);

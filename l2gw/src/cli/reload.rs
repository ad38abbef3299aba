//! A file as a proposal, and SIGHUP: the daemon reads its own file again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use agent::door::{Accepted, Door, DoorError, FileMark, Proposal};
use tokio::sync::mpsc;
use tracing::{info, warn};
use vlan::model::shown::printable;

use crate::config::{self, Config};

/// What a file says, to be published over whatever is there.
pub(super) fn proposal(file: &Path, config: Config, occasion: &str, without_hosts: Vec<String>) -> Proposal {
    let file_mark = FileMark { path: agent::door::canonical(file), digest: config.digest };
    let over_all = Proposal::new(&config.description, "file", note(occasion, file));
    Proposal { without_hosts, file: Some(file_mark), ..over_all }
}

/// What is done with a file, fit to be shown on a terminal.
pub(super) fn note(occasion: &str, file: &Path) -> String {
    format!("{occasion} {}", printable(&file.display().to_string()))
}

/// Reads the file and publishes it each time that it is asked to, one after another: what becomes of it is told before the next reading,
/// which begins after the word that asked for it came. Ends when nobody can ask any more.
pub(super) async fn keep(file: PathBuf, door: Arc<Door>, mut asked: mpsc::Receiver<()>) {
    while asked.recv().await.is_some() {
        while reload(&file, &door, &mut asked).await == Next::Reading {}
    }
}

/// What comes behind a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Another one, at once.
    Reading,
    /// Nothing, until it is asked for.
    Nothing,
}

/// Reads the file and publishes it. As long as that fails although the file is right, it is tried again, for [`LONGEST`], or until
/// another reading is asked for.
async fn reload(file: &Path, door: &Door, asked: &mut mpsc::Receiver<()>) -> Next {
    let (path, shown) = (file.to_owned(), printable(&file.display().to_string()));
    info!(file = shown, "SIGHUP: the file is read");
    let read =
        tokio::task::spawn_blocking(move || config::load(&path).map_err(|problems| problems.to_string()));
    let read = read.await.map_err(|error| error.to_string()).and_then(|read| read);
    let config = match read.and_then(to_be_run) {
        Ok(config) => config,
        Err(why) => {
            door.tell_refused(why).await;
            return Next::Nothing;
        }
    };
    let proposal = proposal(file, config, "SIGHUP", Vec::new());
    let until = tokio::time::Instant::now() + LONGEST;
    loop {
        match door.publish_file(proposal.clone()).await {
            Ok(accepted) => {
                tell(&shown, &accepted);
                return Next::Nothing;
            }
            Err(error) if !error.is_wrong() && tokio::time::Instant::now() < until => {
                warn!(%error, file = shown, "the file cannot be published now, it is tried again");
                let (why, next) = tokio::select! {
                    () = tokio::time::sleep(PAUSE) => continue,
                    more = asked.recv() => match more {
                        Some(()) => ("another SIGHUP came before it could be published", Next::Reading),
                        None => ("the daemon stops before it could be published", Next::Nothing),
                    },
                };
                door.tell_refused(format!("{why}: {error}")).await;
                return next;
            }
            Err(error) => {
                door.tell_refused(in_words(&error)).await;
                return Next::Nothing;
            }
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

fn tell(file: &str, accepted: &Accepted) {
    let revision = accepted.revision;
    if accepted.is_new {
        info!(revision, file, "the file is a new revision");
    } else {
        info!(revision, file, "nothing has changed: the file says what the newest revision says");
    }
}

/// How long a file is tried to be published.
const LONGEST: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use agent::event::Event;
    use agent::journal;
    use nsdb::{Store, StoreConfig};

    use super::*;

    const FILE: &str = "[hosts.gw1]\n[bridges.v]\nkind = \"vlan-unaware\"\n[[ports]]\nname = \"p1\"\nbridge = \"v\"\nhost = \"gw1\"\nlink = \"tap1\"\n";

    /// What is told where a reading is asked for `times`, the next as soon as one has begun.
    async fn told(text: &str, times: usize) -> Vec<Event> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gateway.toml");
        std::fs::write(&path, text).unwrap();
        let store = Arc::new(Store::open(StoreConfig::in_memory()).unwrap());
        let door = Arc::new(Door::new(Arc::clone(&store), "gw1", Some(path.clone())));
        let (ask, asked) = mpsc::channel(1);
        let keeping = tokio::spawn(keep(path, door, asked));
        for _ in 0..times {
            ask.send(()).await.unwrap();
        }
        drop(ask);
        keeping.await.unwrap();
        journal::read(&store, 100).await.unwrap().into_iter().map(|told| told.event).collect()
    }

    #[tokio::test]
    async fn each_reading_is_told_although_the_next_is_asked_for() {
        let wrong = FILE.replace("tap1", "a tap");
        for times in 1..4 {
            let told = told(&wrong, times).await;
            assert_eq!(told.len(), times, "{told:?}");
            assert!(told.iter().all(|event| matches!(event, Event::FileRefused { .. })), "{told:?}");
        }
        assert_eq!(told(FILE, 3).await, [], "a first revision replaces none, and then nothing has changed");
    }
}

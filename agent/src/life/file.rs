//! The daemon's own file: a proposal of what it declares, at the start and at each SIGHUP.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::{info, warn};
use vlan::model::description::Description;
use vlan::model::shown::{beginning, printable};

use super::Failure;
use crate::documents::FileText;
use crate::door::{self, Accepted, AtStart, Door, DoorError, FileMark, Proposal};
use crate::tree::Origin;

/// What a file declares.
#[derive(Debug, Clone)]
pub struct FileContents {
    /// The topology.
    pub description: Description,
    /// SHA-256 of its text, in hexadecimal.
    pub digest: String,
    /// Its text as it is kept with the revision, if it is.
    pub text: Option<FileText>,
}

/// Reads and checks a file; what is wrong with it, line by line, is its error. It may block.
pub type Read = fn(&Path) -> Result<FileContents, String>;

/// A file that the daemon follows.
#[derive(Debug)]
pub struct FileSource {
    /// Where it is.
    pub path: PathBuf,
    /// What it declared when the caller read it; `None` once that has been proposed.
    pub first: Option<FileContents>,
    /// Hosts that it may take all ports away from at the start.
    pub without_hosts: Vec<String>,
    /// Reads it again.
    pub read: Read,
}

/// What a file says, to be published over whatever is there.
pub fn proposal(file: &Path, declared: FileContents, occasion: &str, without_hosts: Vec<String>) -> Proposal {
    let file_mark = FileMark { path: door::canonical(file), digest: declared.digest };
    let over_all = Proposal::new(&declared.description, "file", note(occasion, file));
    // JSON has no word for a name that is no UTF-8; such a file is published anew at each start.
    let file = file_mark.path.to_str().is_some().then_some(file_mark);
    Proposal { without_hosts, file, text: declared.text, origin: Some(Origin::file()), ..over_all }
}

/// What is done with a file, fit to be shown on a terminal.
fn note(occasion: &str, file: &Path) -> String {
    format!("{occasion} {}", beginning(&printable(&file.display().to_string()), LONGEST_NAME))
}

/// Characters of a file's name in a note, which may have 4 096 bytes.
const LONGEST_NAME: usize = 500;

impl FileSource {
    /// Proposes what it declared when the caller read it.
    ///
    /// # Errors
    /// It does not come in.
    pub(super) async fn publish_first(&mut self, door: &Door) -> Result<(), Failure> {
        let Some(declared) = self.first.take() else { return Ok(()) };
        let file = printable(&self.path.display().to_string());
        let proposal = proposal(&self.path, declared, "run", self.without_hosts.clone());
        match door.publish_at_start(proposal).await {
            Ok(AtStart::InForce(Accepted { revision, is_new: true })) => {
                info!(revision, file, "the file is a new revision");
            }
            Ok(AtStart::InForce(Accepted { revision, is_new: false })) => {
                info!(revision, file, "the file says what the newest revision says");
            }
            Ok(AtStart::Kept { .. }) => {}
            Err(error) => {
                let message = format!("{file}: {error}");
                let is_wrong = error.is_wrong();
                return Err(if is_wrong { Failure::Configuration(message) } else { Failure::Other(message) });
            }
        }
        Ok(())
    }

    /// Reads the file and publishes it each time that somebody asks, one reading after another. Each begins after it was asked for, and its
    /// result is told before the next. Ends when nobody can ask any more.
    pub(super) async fn keep(self, door: Arc<Door>, mut asked: mpsc::Receiver<()>) {
        while asked.recv().await.is_some() {
            while reload((&self.path, self.read), &door, &mut asked).await == Next::Reading {}
        }
    }
}

/// Where there is no file, says so each time that somebody asks for a reading. Ends when nobody can ask any more.
pub(super) async fn keep_none(mut asked: mpsc::Receiver<()>) {
    while asked.recv().await.is_some() {
        info!(
            "SIGHUP: nothing is read again; `l2gw apply` brings another topology, and what the daemon is started with is read at its start"
        );
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

/// Reads the file and publishes it. If that fails although the file is right, it tries again, for [`LONGEST`] or until
/// somebody asks for another reading.
async fn reload((file, read): (&Path, Read), door: &Door, asked: &mut mpsc::Receiver<()>) -> Next {
    let (path, shown) = (file.to_owned(), printable(&file.display().to_string()));
    info!(file = shown, "SIGHUP: the file is read");
    let read = tokio::task::spawn_blocking(move || read(&path)).await;
    let declared = match read.map_err(|error| error.to_string()).and_then(|read| read) {
        Ok(declared) => declared,
        Err(why) => {
            door.tell_refused(why).await;
            return Next::Nothing;
        }
    };
    let proposal = proposal(file, declared, "SIGHUP", Vec::new());
    let until = tokio::time::Instant::now() + LONGEST;
    loop {
        match door.publish_file(proposal.clone()).await {
            Ok(accepted) => {
                tell(&shown, &accepted);
                return Next::Nothing;
            }
            Err(error)
                if !error.is_wrong() && !error.is_for_wait() && tokio::time::Instant::now() < until =>
            {
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
pub(super) mod tests {
    use nsdb::{Store, StoreConfig};
    use vlan::model::defaults::{DEFAULT_AGEING, DEFAULT_BRIDGE_MAC_LIMIT};
    use vlan::model::description::{Bridge, BridgeKind, Host, Port};

    use super::*;
    use crate::event::Event;
    use crate::journal;

    /// A file with one port, on this link.
    pub(in crate::life) fn contents(link: &str) -> FileContents {
        let kind = BridgeKind::VlanUnaware { vni: None };
        let (ageing, mac_limit) = (DEFAULT_AGEING, DEFAULT_BRIDGE_MAC_LIMIT);
        let description = Description {
            hosts: vec![Host { name: "gw1".to_owned(), ..Host::default() }],
            bridges: vec![Bridge {
                name: "v".into(),
                ageing,
                mac_limit,
                renamed_from: None,
                mtu: None,
                kind,
            }],
            ports: vec![Port::plain("p1", "v", "gw1", link)],
            ..Description::default()
        };
        FileContents { description, digest: link.to_owned(), text: None }
    }

    /// A reader of files that hold the name of a link.
    fn read(path: &Path) -> Result<FileContents, String> {
        let link = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        if link.contains(' ') {
            return Err(format!("{link} is no link"));
        }
        Ok(contents(&link))
    }

    /// What is told where a reading is asked for `times`, the next as soon as one has begun.
    async fn told(text: &str, times: usize) -> Vec<Event> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gateway.toml");
        std::fs::write(&path, text).unwrap();
        let store = Arc::new(Store::open(StoreConfig::in_memory()).unwrap());
        let door = Arc::new(Door::new(Arc::clone(&store), "gw1", Some(path.clone())));
        let (ask, asked) = mpsc::channel(1);
        let file = FileSource { path, first: None, without_hosts: Vec::new(), read };
        let keeping = tokio::spawn(file.keep(door, asked));
        for _ in 0..times {
            ask.send(()).await.unwrap();
        }
        drop(ask);
        keeping.await.unwrap();
        journal::read(&store, 100).await.unwrap().into_iter().map(|told| told.event).collect()
    }

    #[tokio::test]
    async fn each_reading_is_told_although_the_next_is_asked_for() {
        for times in 1..4 {
            let told = told("a tap", times).await;
            assert_eq!(told.len(), times, "{told:?}");
            assert!(told.iter().all(|event| matches!(event, Event::FileRefused { .. })), "{told:?}");
        }
        assert_eq!(told("tap1", 3).await, [], "a first revision replaces none, and then nothing has changed");
    }

    #[test]
    fn a_file_of_any_name_is_a_proposal_that_can_be_sent() {
        use std::os::unix::ffi::OsStrExt;

        let hostile = "\u{1b}".repeat(1_000);
        for (name, has_mark) in [(&b"/a.toml"[..], true), (hostile.as_bytes(), true), (b"/b\xff.toml", false)]
        {
            let declared =
                FileContents { description: Description::default(), digest: "0".to_owned(), text: None };
            let proposal =
                proposal(Path::new(std::ffi::OsStr::from_bytes(name)), declared, "run", Vec::new());
            assert_eq!(proposal.file.is_some(), has_mark);
            assert!(proposal.note.len() < 4_096 && serde_json::to_string(&proposal).is_ok(), "{proposal:?}");
        }
    }
}

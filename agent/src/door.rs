//! The one door by which a revision comes in: from the file at the start, by SIGHUP, by the socket, or by a command that has opened the
//! store itself, all pass the same checks.
//!
//! ```text
//! proposal ─► read, build (a thread of their own, one at a time) ─► against the newest? ─► what would it stop? ─► published
//! ```
//! Whoever may publish can still not stop a host by mistake: what takes away the host that runs, or all its ports, has to name it. Where no
//! host runs, only what leaves nothing at all has to name those that lose by it.
//!
//! A file says all that came from files. What came otherwise stays when a file is published, and a file that names it is refused. Any other
//! proposal is the topology as a whole.

use std::path::PathBuf;
use std::sync::Arc;

use nsdb::{Revision, Store};
use tokio::sync::{Mutex, Semaphore};
use vlan::model::description::Description;

use crate::documents::Stored;
use crate::door::taken::Taken;
use crate::topology::{self, Built, Newest, TopologyError};

pub(crate) mod body;
mod checked;
mod error;
mod file;
mod joined;
mod place;
mod proposal;
mod strict;
mod taken;
pub(crate) mod unread;
mod waiting;

pub use error::DoorError;
pub use file::AtStart;
pub use proposal::{Accepted, FileMark, Proposal, canonical};
pub use waiting::Confirmation;

use checked::{Checked, build};
use joined::{Joined, Joining};

/// The door of one host's store.
#[derive(Debug)]
pub struct Door {
    store: Arc<Store>,
    /// The host that runs; `None` where none does.
    host: Option<String>,
    /// The file that it was started with.
    file: Option<PathBuf>,
    built: Built,
    /// Held while a proposal is read and built: a large one takes a core for seconds, and two would take two.
    checking: Arc<Semaphore>,
    /// Held from reading the newest revision to publishing the next, so that nobody in this process comes in between.
    publishing: Mutex<()>,
}

impl Door {
    /// For the host that runs on this store, started with `file`.
    pub fn new(store: Arc<Store>, host: impl Into<String>, file: Option<PathBuf>) -> Door {
        let file = file.map(|file| canonical(&file));
        Door { host: Some(host.into()), file, ..Door::of_no_host(store) }
    }

    /// For whoever has opened this store and runs no host: nothing ends here by what comes in, so that no host is held dearer than others.
    pub fn of_no_host(store: Arc<Store>) -> Door {
        let (checking, publishing) = (Arc::new(Semaphore::new(1)), Mutex::new(()));
        Door { store, host: None, file: None, built: Built::default(), checking, publishing }
    }

    /// The host that runs.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// What it builds, for whoever follows the store.
    pub fn built(&self) -> Built {
        self.built.clone()
    }

    /// Publishes the proposal that is in these bytes, as JSON; `author` brought them.
    ///
    /// # Errors
    /// Every reason why it does not come in; see [`DoorError`].
    pub async fn publish_text(
        &self,
        text: impl AsRef<[u8]> + Send + 'static,
        author: String,
    ) -> Result<Accepted, DoorError> {
        let is_small = text.as_ref().len() <= SMALL;
        let read = move || {
            let no = |why: String| DoorError::Unreadable(format!("this is no proposal: {why}"));
            let proposal: Proposal = body::read("the proposal", text.as_ref()).map_err(no)?;
            build(Proposal { author, ..proposal })
        };
        let checked = if is_small { read() } else { self.aside(read).await };
        self.let_in(checked?).await
    }

    /// Publishes a proposal.
    ///
    /// # Errors
    /// Every reason why it does not come in; see [`DoorError`].
    pub async fn publish(&self, proposal: Proposal) -> Result<Accepted, DoorError> {
        self.let_in(self.aside(move || build(proposal)).await?).await
    }

    /// Does work that may take long where nobody waits for the thread, one after another.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, DoorError> + Send + 'static,
    ) -> Result<T, DoorError> {
        let Ok(turn) = Arc::clone(&self.checking).acquire_owned().await else {
            return Err(DoorError::Stopping);
        };
        let work = move || {
            let outcome = work();
            drop(turn);
            outcome
        };
        tokio::task::spawn_blocking(work).await.unwrap_or(Err(DoorError::Stopping))
    }

    async fn let_in(&self, mut checked: Checked) -> Result<Accepted, DoorError> {
        let _alone = self.publishing.lock().await;
        self.let_in_alone(&mut checked).await.map(|(accepted, _)| accepted)
    }

    async fn let_in_alone(&self, checked: &mut Checked) -> Result<(Accepted, Before), DoorError> {
        let (accepted, before) = match self.make_newest(checked).await {
            // The server that was asked may not have heard yet that the wait is over.
            Err(error) if error.is_for_wait() && self.store.catch_up().await.is_ok() => {
                self.make_newest(checked).await?
            }
            made => made?,
        };
        self.note_file(&checked.proposal, accepted.revision).await;
        Ok((accepted, before))
    }

    async fn make_newest(&self, checked: &mut Checked) -> Result<(Accepted, Before), DoorError> {
        let Checked { proposal, topology: proposed } = checked;
        let (mut tries, mut is_read_anew) = (0, false);
        loop {
            let newest = topology::newest(&self.store).await?;
            let there = newest.as_ref().map_or(0, |newest| newest.revision.get());
            if let Some(expected) = proposal.expected.filter(|expected| *expected != there) {
                return Err(TopologyError::Conflict { expected, there }.into());
            }
            self.check_turn(proposal, newest.as_ref()).await?;
            // One that cannot be read is replaced by anything that is right.
            let stored = newest.as_ref().and_then(|newest| newest.stored.as_ref().ok());
            let before = match (&newest, stored) {
                (Some(_), None) => topology::last_readable(&self.store).await?,
                _ => None,
            };
            let known = stored.or_else(|| before.as_ref()?.stored.as_ref().ok());
            let mut joined = self.join(proposal, known).await?;
            let mut with_others = joined.topology.take();
            let topology = with_others.as_mut().unwrap_or(&mut *proposed);
            let said_same = stored.is_some_and(|stored| stored.description == *topology.description());
            if said_same && stored.is_some_and(|stored| joined.is_stored(topology, stored)) {
                // Who publishes the same again may do so because something of it is lost, which only reading it tells.
                if !std::mem::replace(&mut is_read_anew, true) && self.store.forget_read() {
                    continue;
                }
                // Going back to what waits would not end its wait.
                self.check_waits(proposal, newest.as_ref())?;
                return Ok((Accepted { revision: there, is_new: false }, Before::Same));
            }
            let known = known.map(|stored| &stored.description);
            self.check_hosts(topology.description())?;
            Taken::between(known, topology.description())
                .check(self.host.as_deref(), &proposal.without_hosts)?;
            tries += 1;
            let by = joined.by(proposal);
            match topology::publish(&self.store, topology, newest.as_ref(), &by, &self.built).await {
                Ok(revision) => {
                    let accepted = Accepted { revision: revision.get(), is_new: true };
                    return Ok((accepted, Before::of(newest, said_same)));
                }
                // Another process was first. What was planned against no revision is published over that one.
                Err(error) if error.is_conflict() && proposal.expected.is_none() && tries < MOST_TRIES => {}
                Err(TopologyError::Conflict { .. }) if proposal.expected.is_none() => {
                    return Err(TopologyError::Contended { tries }.into());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The proposal with what is there and stays.
    async fn join(&self, proposal: &Proposal, there: Option<&Stored>) -> Result<Joined, DoorError> {
        let again = match proposal.again {
            Some(number) => Some(self.kept(number).await?),
            None => None,
        };
        let joining = Joining::new(proposal, there, again.as_ref());
        match joining.is_quick() {
            true => joining.join(),
            false => self.aside(move || joining.join()).await,
        }
    }

    /// Refuses ports on several hosts where the store is that of one.
    fn check_hosts(&self, proposed: &Description) -> Result<(), DoorError> {
        let hosts = proposed.agents_with_ports();
        if hosts.len() > 1 && self.store.is_of_one_host() {
            return Err(DoorError::SeveralHosts { hosts: hosts.into_iter().map(str::to_owned).collect() });
        }
        Ok(())
    }

    /// What an earlier revision was.
    async fn kept(&self, number: u64) -> Result<Stored, DoorError> {
        let there = match Revision::new(number) {
            Some(revision) => topology::of(&self.store, revision).await?,
            None => None,
        };
        there.and_then(|there| there.stored.ok()).ok_or(DoorError::Wrong(vec![format!(
            "again: {number} is no revision that is kept and can be read"
        )]))
    }
}

/// What the newest revision was until a proposal came in.
enum Before {
    /// There was none.
    Nothing,
    /// It said the same; where there is a new one, only its layout is another, or numbers were dealt out.
    Same,
    /// It said something else.
    Other,
    /// Why it could not be read.
    Unreadable(String),
}

impl Before {
    fn of(newest: Option<Newest>, said_same: bool) -> Before {
        match newest.map(|newest| newest.stored) {
            None => Before::Nothing,
            Some(Ok(_)) if said_same => Before::Same,
            Some(Ok(_)) => Before::Other,
            Some(Err(why)) => Before::Unreadable(why),
        }
    }
}

/// Bytes of a proposal that is read and built in milliseconds, without a thread of its own.
const SMALL: usize = 64 << 10;
/// Times that a proposal is tried, with another process publishing in between each time.
const MOST_TRIES: u32 = 100;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nsdb::StoreConfig;
    use vlan::model::description::{Bridge, BridgeKind, Host, Port};
    use vlan::model::topology::Topology;

    use super::*;
    use crate::documents::FileText;
    use crate::tree::{Origin, Tree};
    mod no_host;
    mod vteps;

    /// Hosts, each with ports on one bridge.
    pub(super) fn network(hosts: &[(&str, &[&str])]) -> Description {
        let bridge = Bridge {
            name: "vub".to_owned(),
            ageing: Duration::from_secs(300),
            mac_limit: 1_000,
            renamed_from: None,
            mtu: None,
            kind: BridgeKind::VlanUnaware { vni: None },
        };
        let port = |host: &str, name: &&str| Port::plain(name, "vub", host, name);
        let host = |name: &str| Host { name: name.to_owned(), ..Host::default() };
        Description {
            hosts: hosts.iter().map(|(name, _)| host(name)).collect(),
            bridges: vec![bridge],
            ports: hosts.iter().flat_map(|(host, ports)| ports.iter().map(|name| port(host, name))).collect(),
            ..Description::default()
        }
    }

    pub(super) fn proposal(description: Description) -> Proposal {
        Proposal::new(&description, "test", "")
    }

    pub(super) fn door() -> (Arc<Store>, Door) {
        let store = Arc::new(Store::open(StoreConfig::in_memory()).unwrap());
        (Arc::clone(&store), Door::new(store, "gw1", None))
    }

    #[tokio::test]
    async fn who_is_gone_already_cannot_be_taken_away() {
        let (_store, door) = door();
        let (both, other) = ([("gw1", &["a", "b"][..]), ("gw2", &["c"])], [("gw2", &["c"][..])]);
        door.publish(proposal(network(&both))).await.unwrap();
        let mut without = proposal(network(&other));
        let said = door.publish(without.clone()).await.unwrap_err();
        assert!(said.is_wrong() && !said.is_conflict());
        assert!(
            said.to_string().starts_with("\"gw1\", this host, is no host of it any more: a, b would"),
            "{said}"
        );
        without.without_hosts = vec!["gw1".to_owned()];
        assert!(door.publish(without.clone()).await.unwrap().is_new);
        assert!(!door.publish(without).await.unwrap().is_new, "the same again is nothing new");
        let more = network(&[("gw2", &["c", "d"])]);
        assert_eq!(door.publish(proposal(more)).await.unwrap().revision, 3);
    }

    #[tokio::test]
    async fn a_first_revision_has_this_host() {
        let (_store, door) = door();
        let said = door.publish(proposal(network(&[("gw2", &["c"])]))).await.unwrap_err().to_string();
        assert_eq!(said, "\"gw1\", this host, is no host of it; it has gw2");
        let said = door.publish(proposal(Description::default())).await.unwrap_err().to_string();
        assert!(said.starts_with("this declares nothing at all"), "{said}");
        assert!(door.publish(proposal(network(&[("gw1", &[])]))).await.unwrap().is_new);
    }

    #[tokio::test]
    async fn many_ports_are_not_all_listed() {
        let (_store, door) = door();
        let names: Vec<String> = (0..20).map(|number| format!("p{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        door.publish(proposal(network(&[("gw1", &names)]))).await.unwrap();
        let said = door.publish(proposal(network(&[("gw1", &[])]))).await.unwrap_err().to_string();
        assert!(
            said.contains("p0, p1, p10, p11, p12, p13, p14, p15 and 12 more would forward nothing"),
            "{said}"
        );
    }

    fn from_file(description: Description) -> Proposal {
        Proposal { origin: Some(Origin::file()), ..proposal(description) }
    }

    #[tokio::test]
    async fn a_file_replaces_what_came_from_files_and_nothing_else() {
        let (store, door) = door();
        let ports = async || {
            let stored = topology::newest(&store).await.unwrap().unwrap().stored.unwrap();
            let names = stored.description.ports.into_iter().map(|port| port.name);
            (names.collect::<Vec<_>>(), stored.sources.others().collect::<Vec<_>>())
        };
        door.publish(from_file(network(&[("gw1", &["a", "b"])]))).await.unwrap();
        assert_eq!(ports().await, (vec!["a".to_owned(), "b".to_owned()], vec![]));
        // By the socket, as a whole: what is new came by it, the rest from where it was.
        door.publish(proposal(network(&[("gw1", &["a", "b", "c"])]))).await.unwrap();
        let others = vec!["ports.c (by socket, from test)".to_owned()];
        assert_eq!(ports().await.1, others);
        // The same file is nothing new, and another one leaves what is not its own.
        assert!(!door.publish(from_file(network(&[("gw1", &["a", "b"])]))).await.unwrap().is_new);
        door.publish(from_file(network(&[("gw1", &["b", "d"])]))).await.unwrap();
        assert_eq!(ports().await, (["b", "c", "d"].map(str::to_owned).into(), others.clone()));
        let said = door.publish(from_file(network(&[("gw1", &["b", "c"])]))).await.unwrap_err();
        assert!(said.is_wrong(), "{said}");
        assert!(
            said.to_string().starts_with("ports.c: it is there already and came by socket, from test; "),
            "{said}"
        );
        // With what is there it must build.
        let mut without = network(&[("gw1", &["d"])]);
        without.bridges[0].name = "other".to_owned();
        without.ports[0].bridge = "other".to_owned();
        let said = door.publish(from_file(without)).await.unwrap_err().to_string();
        assert!(said.starts_with("ports.c.bridge: \"vub\" is no bridge"), "{said}");
        assert!(
            said.ends_with("since it did not come from a file: ports.c (by socket, from test)"),
            "{said}"
        );
        // By the socket it goes as it came.
        door.publish(proposal(network(&[("gw1", &["b"])]))).await.unwrap();
        assert_eq!(ports().await, (vec!["b".to_owned()], vec![]));
    }

    #[tokio::test]
    async fn an_earlier_revision_is_there_again_with_its_sources_and_its_text() {
        let (store, door) = door();
        let newest = async || topology::newest(&store).await.unwrap().unwrap().stored.unwrap();
        let text = FileText { file: "gw.toml".to_owned(), text: "# a file\n".to_owned() };
        let first = Proposal { text: Some(text.clone()), ..from_file(network(&[("gw1", &["a"])])) };
        door.publish(first).await.unwrap();
        door.publish(proposal(network(&[("gw1", &["a", "c"])]))).await.unwrap();
        let then = newest().await;
        assert_eq!(then.text, Some(text), "what came from the file is as it says");
        door.publish(proposal(network(&[("gw1", &["x"])]))).await.unwrap();
        assert_eq!(newest().await.text, None);
        let again =
            Proposal { text: then.text.clone(), again: Some(2), ..proposal(then.description.clone()) };
        door.publish(again.clone()).await.unwrap();
        assert_eq!(newest().await, then);
        // What was not in it is whose who brings it now, whatever it says.
        let topology = Tree::from(&network(&[("gw1", &["a", "c", "d"])]));
        door.publish(Proposal { topology, author: "eve".to_owned(), ..again.clone() }).await.unwrap();
        let others = newest().await.sources.others().collect::<Vec<_>>();
        assert_eq!(others[..1], ["ports.c (by socket, from test)"]);
        let said = door.publish(Proposal { again: Some(9), ..again }).await.unwrap_err().to_string();
        assert_eq!(said, "again: 9 is no revision that is kept and can be read");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_planned_against_nothing_comes_in_while_another_process_publishes() {
        let (store, door) = door();
        let is_done = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (theirs, done) = (Arc::clone(&store), Arc::clone(&is_done));
        // Past the door, as another process would.
        let other = tokio::spawn(async move {
            let (author, note, sources) = ("other".to_owned(), String::new(), Default::default());
            let by = topology::Authorship { author, note, text: None, sources, confirm_within: None };
            let mut published = 0_u32;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let there = topology::newest(&theirs).await.unwrap();
                let next = network(&[("gw1", &[["a", "b"][published as usize % 2]])]);
                let mut next = Arc::new(Topology::build(&next).unwrap());
                let told =
                    topology::publish(&theirs, &mut next, there.as_ref(), &by, &Built::default()).await;
                published += u32::from(told.is_ok());
                // Sometimes it is quicker than the door, never always.
                tokio::time::sleep(Duration::from_millis(u64::from(published % 4))).await;
            }
            published
        });
        for number in 0..50 {
            let name = format!("p{number}");
            let accepted = door.publish(proposal(network(&[("gw1", &[&name])]))).await.unwrap();
            assert!(accepted.is_new);
        }
        is_done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(other.await.unwrap() > 0);
        let mut late = proposal(network(&[("gw1", &["late"])]));
        late.expected = Some(1);
        assert!(door.publish(late).await.unwrap_err().is_conflict());
    }
}

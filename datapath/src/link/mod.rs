//! Links (netdevs) of this host, with their addresses and their part in the default route, watched by rtnetlink.
//!
//! ```text
//!   kernel ──► Listener ──► Watch ──► bounded channel ──► the caller
//!     ▲      (socket of its own) │ overrun, or no room:
//!     └──────── Asker ◄──────────┘ every link anew: LinkEvent::All
//! ```
//! The first event is [`LinkEvent::All`]. Events are told in the kernel's order, so the last one about a link is how it is. When
//! events were lost, by the kernel or because the caller did not keep up, another `All` takes their place.
//!
//! The kernel tells of a change before the lock is free under which it lists, so that what was told when a list has come is in the socket
//! by then. After an overrun, what still waits to be read is older than what was lost: told behind the new list it would bring back how things
//! were. So it is thrown away, and if something happened meanwhile, the links are listed once more. Where nothing is missing among the
//! events, those that were heard since a list was asked for are told behind it: the last event about a link is how it is, or how the list
//! has it. So links that change all the time keep nobody waiting.
//!
//! A list that the kernel makes in pieces may pass something over, where links or addresses come and go meanwhile, and the kernel then says
//! so. It is asked for three times, told as it is, and asked for once more after some seconds, until nothing can be missing.
//!
//! A device by which a datapath reaches other hosts is nobody's link, and is not told; `vxlan` makes, finds and removes such devices, and
//! `holder` finds who has a port that one needs.
//!
//! Of routes only the default ones of the main table count. The kernel tells of no route that goes with its address or its link, so they
//! are listed again whenever that may have happened, and the links whose part in them is another are told.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::netlink::socket::Home;
use crate::port::{Link, LinkEvent};

use asker::{Asker, Everything, Listed};
use known::Known;
use listener::{Heard, Listener};
use message::Way;

mod asker;
pub(crate) mod holder;
mod known;
mod listener;
mod message;
pub(crate) mod vxlan;

/// The links of one network namespace. Dropping it ends the events.
#[derive(Debug)]
pub struct Links {
    home: Arc<Home>,
    task: JoinHandle<()>,
}

impl Links {
    /// Begins to watch the links of the calling thread's network namespace, and goes on watching that one whatever thread
    /// reads the events. A tokio runtime is to be around.
    ///
    /// # Errors
    /// No rtnetlink socket to be had.
    pub fn open() -> io::Result<(Links, mpsc::Receiver<LinkEvent>)> {
        let home = Arc::new(Home::here()?);
        let listener = Listener::open(&home)?;
        let (events, receiver) = mpsc::channel(ROOM);
        let task = tokio::spawn(Watch::new(Arc::clone(&home), events).run(listener));
        Ok((Links { home, task }, receiver))
    }

    /// Every link there is now.
    ///
    /// # Errors
    /// The kernel does not answer, or refuses.
    pub async fn list(&self) -> io::Result<Vec<Link>> {
        everything(&self.home).await.map(|listed| listed.known.all())
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The task between the kernel and the caller.
struct Watch {
    home: Arc<Home>,
    events: mpsc::Sender<LinkEvent>,
    /// Whether what was told so far is how things are.
    loss: Option<Loss>,
    known: Known,
    /// When everything is to be listed again: what was listed last may lack something.
    again_at: Option<Instant>,
    /// When routes are to be listed again.
    routes_at: Option<Instant>,
    /// Routes that are being listed; there may be a million, and no link event is to wait for them.
    listing: Option<JoinHandle<io::Result<Listed<Way>>>>,
}

/// What is missing of what was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// Events that we heard, or all before we listened; those that wait to be read come behind them.
    Heard,
    /// Events that the kernel had no room for; those that wait to be read may be older.
    Overrun,
}

impl Watch {
    fn new(home: Arc<Home>, events: mpsc::Sender<LinkEvent>) -> Watch {
        Watch {
            home,
            events,
            loss: Some(Loss::Heard),
            known: Known::default(),
            again_at: None,
            routes_at: None,
            listing: None,
        }
    }

    /// Runs until nobody listens any more.
    async fn run(mut self, mut listener: Listener) {
        let mut heard = Vec::new();
        loop {
            let done = match self.loss {
                Some(loss) => self.tell_all(loss, &mut listener).await,
                None => self.tell_news(&mut listener, &mut heard).await,
            };
            match done {
                Ok(()) => {}
                Err(Ended::Unheard) => return,
                Err(Ended::Unread(error)) => {
                    tracing::warn!(%error, "cannot read what is told of links, trying again");
                    tokio::time::sleep(PAUSE).await;
                    self.loss = Some(Loss::Overrun);
                }
            }
        }
    }

    /// Waits for what happens next, and tells what it comes to.
    async fn tell_news(&mut self, listener: &mut Listener, heard: &mut Vec<Heard>) -> Result<(), Ended> {
        let (again_at, routes_at) = (self.again_at, self.routes_at);
        tokio::select! {
            came = listener.hear(heard) => {
                came?;
                heard.drain(..).try_for_each(|heard| self.take_in(heard))
            }
            () = sleep_until(again_at), if again_at.is_some() => {
                self.loss = Some(Loss::Heard);
                Ok(())
            }
            () = sleep_until(routes_at), if routes_at.is_some() && self.listing.is_none() => {
                self.begin_listing();
                Ok(())
            }
            listed = listed(&mut self.listing), if self.listing.is_some() => self.tell_routes(listed),
        }
    }

    /// Waits for room, then tells every link there is.
    async fn tell_all(&mut self, loss: Loss, listener: &mut Listener) -> Result<(), Ended> {
        let events = self.events.clone();
        let mut heard = Vec::new();
        let permit = loop {
            // Thrown away: the list that is made when there is room says more.
            heard.clear();
            tokio::select! {
                biased;
                permit = events.reserve() => break permit.map_err(|_| Ended::Unheard)?,
                came = listener.hear(&mut heard) => came?,
            }
        };
        heard.clear();
        let listed = {
            let home = Arc::clone(&self.home);
            let mut listing = pin!(everything(&home));
            loop {
                tokio::select! {
                    biased;
                    listed = &mut listing => break listed,
                    came = listener.hear(&mut heard) => came?,
                }
            }
        };
        listener.hear_rest(&mut heard)?;
        match listed {
            Ok(everything) => {
                permit.send(LinkEvent::All(everything.known.all()));
                self.begin_anew(everything);
                self.catch_up(loss, heard)
            }
            Err(error) => {
                tracing::warn!(%error, "cannot list links, trying again");
                tokio::time::sleep(PAUSE).await;
                Ok(())
            }
        }
    }

    /// From here on what was told is what was listed.
    fn begin_anew(&mut self, everything: Everything) {
        let Everything { known, is_torn, are_ways_torn } = everything;
        if is_torn && self.again_at.is_none() {
            tracing::warn!(
                "links or addresses come and go while they are listed: one may be missing, and they are listed again until none is"
            );
        }
        let now = Instant::now();
        self.again_at = is_torn.then(|| now + PATIENCE);
        self.routes_at = are_ways_torn.then(|| now + LONG_PATIENCE);
        (self.known, self.listing, self.loss) = (known, None, None);
    }

    /// Takes in what was heard since a list was asked for.
    fn catch_up(&mut self, loss: Loss, heard: Vec<Heard>) -> Result<(), Ended> {
        if heard.contains(&Heard::Overrun) {
            self.loss = Some(Loss::Overrun);
        } else if loss == Loss::Overrun && !heard.is_empty() {
            // All that is older has been heard by now.
            self.loss = Some(Loss::Heard);
        } else {
            return heard.into_iter().try_for_each(|heard| self.take_in(heard));
        }
        Ok(())
    }

    fn begin_listing(&mut self) {
        (self.routes_at, self.known.asks_for_routes) = (None, false);
        let home = Arc::clone(&self.home);
        self.listing = Some(tokio::spawn(async move { Asker::open(&home)?.ways().await }));
    }

    /// Tells the links whose part in the default routes is another.
    fn tell_routes(&mut self, listed: io::Result<Listed<Way>>) -> Result<(), Ended> {
        self.listing = None;
        match listed {
            Ok(ways) => {
                if ways.is_torn {
                    self.routes_at.get_or_insert(Instant::now() + LONG_PATIENCE);
                }
                let events = self.known.note_routes(ways.all);
                events.into_iter().try_for_each(|event| self.tell(event))
            }
            Err(error) => {
                tracing::warn!(%error, "cannot list routes, trying again");
                self.routes_at = Some(Instant::now() + PATIENCE);
                Ok(())
            }
        }
    }

    /// Takes in what was heard and tells what it comes to.
    fn take_in(&mut self, heard: Heard) -> Result<(), Ended> {
        let event = match heard {
            Heard::News(news) => self.known.note(news),
            Heard::Overrun => {
                tracing::debug!("the kernel lost link events, reading all links anew");
                self.loss = Some(Loss::Overrun);
                None
            }
        };
        if self.known.asks_for_routes {
            // More of them come at once where one is replaced.
            self.routes_at.get_or_insert(Instant::now() + PAUSE);
        }
        event.map_or(Ok(()), |event| self.tell(event))
    }

    /// Tells one event.
    fn tell(&mut self, event: LinkEvent) -> Result<(), Ended> {
        match self.events.try_send(event) {
            Err(TrySendError::Closed(_)) => return Err(Ended::Unheard),
            Err(TrySendError::Full(_)) => {
                self.loss.get_or_insert(Loss::Heard);
            }
            Ok(()) => {}
        }
        Ok(())
    }
}

/// Why the watch does not go on as it did.
#[derive(Debug)]
enum Ended {
    /// There is nobody to be told.
    Unheard,
    /// The socket cannot be read.
    Unread(io::Error),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Ended {
        Ended::Unread(error)
    }
}

async fn everything(home: &Home) -> io::Result<Everything> {
    Asker::open(home)?.everything().await
}

async fn listed(listing: &mut Option<JoinHandle<io::Result<Listed<Way>>>>) -> io::Result<Listed<Way>> {
    match listing {
        Some(task) => task.await.map_err(io::Error::other)?,
        None => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<Instant>) {
    if let Some(at) = at {
        tokio::time::sleep_until(at).await;
    }
}

/// Events that may wait for the caller; beyond, they are replaced by one `All`.
const ROOM: usize = 1_024;

/// Before the links are asked for again.
const PAUSE: Duration = Duration::from_millis(100);

/// Before routes that could not be listed are asked for again, and everything where links or addresses came and went meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);

/// Before routes are asked for again where some came and went meanwhile: where there are a million, some always do.
const LONG_PATIENCE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::message::News;
    use super::message::samples::link;
    use super::*;

    fn watch(room: usize) -> (Watch, mpsc::Receiver<LinkEvent>) {
        let (events, receiver) = mpsc::channel(room);
        (Watch { loss: None, ..Watch::new(Arc::new(Home::here().unwrap()), events) }, receiver)
    }

    fn heard(name: &str) -> Heard {
        Heard::News(News::Link(link(name)))
    }

    #[tokio::test]
    async fn the_first_event_is_every_link() {
        let (links, mut events) = Links::open().unwrap();
        let Some(LinkEvent::All(all)) = events.recv().await else { panic!("the first event was another") };
        assert!(all.iter().any(|link| link.name == "lo"), "{all:?}");
        assert_eq!(links.list().await.unwrap(), all);
        drop(links);
        assert_eq!(events.recv().await, None, "events go on without their owner");
    }

    #[tokio::test]
    async fn events_beyond_the_room_are_replaced_by_all() {
        let (mut watch, mut receiver) = watch(1);
        watch.take_in(heard("eth2")).unwrap();
        assert_eq!(watch.loss, None);
        watch.take_in(heard("eth2")).unwrap();
        assert_eq!(watch.loss, None, "nothing is new");
        watch.take_in(heard("eth3")).unwrap();
        assert_eq!(watch.loss, Some(Loss::Heard), "there is room for one");
        let mut listener = Listener::open(&watch.home).unwrap();
        let told = tokio::spawn(async move { watch.tell_all(Loss::Heard, &mut listener).await });
        assert_eq!(receiver.recv().await, Some(LinkEvent::Changed(link("eth2"))));
        assert!(matches!(receiver.recv().await, Some(LinkEvent::All(_))));
        told.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn what_waited_when_events_were_lost_is_not_told_behind_the_list() {
        let (mut watch, mut receiver) = watch(9);
        watch.catch_up(Loss::Overrun, vec![heard("eth2")]).unwrap();
        assert_eq!(watch.loss, Some(Loss::Heard), "something happened while links were listed");
        watch.loss = None;
        watch.catch_up(Loss::Overrun, Vec::new()).unwrap();
        assert_eq!(watch.loss, None, "nothing did");
        drop(watch);
        assert_eq!(receiver.recv().await, None);
    }

    #[tokio::test]
    async fn an_overrun_asks_for_all() {
        let (mut watch, _receiver) = watch(1);
        watch.take_in(Heard::Overrun).unwrap();
        assert_eq!(watch.loss, Some(Loss::Overrun));
        watch.loss = None;
        watch.catch_up(Loss::Heard, vec![heard("eth2"), Heard::Overrun]).unwrap();
        assert_eq!(watch.loss, Some(Loss::Overrun), "also while links are listed");
    }

    #[tokio::test]
    async fn what_happens_while_links_are_listed_is_told_behind_the_list() {
        let (mut watch, mut receiver) = watch(9);
        watch.catch_up(Loss::Heard, vec![heard("eth2")]).unwrap();
        assert_eq!(watch.loss, None, "nothing is missing");
        assert_eq!(receiver.recv().await, Some(LinkEvent::Changed(link("eth2"))));
    }

    fn listed(is_torn: bool, are_ways_torn: bool) -> Everything {
        Everything { known: Known::new(vec![link("eth2")], vec![], vec![]), is_torn, are_ways_torn }
    }

    #[tokio::test]
    async fn what_was_torn_is_listed_again() {
        let (mut watch, _receiver) = watch(9);
        let mut listener = Listener::open(&watch.home).unwrap();
        watch.begin_anew(listed(true, false));
        assert_eq!((watch.loss, watch.routes_at), (None, None));
        assert!(watch.again_at.is_some_and(|at| at > Instant::now()));
        watch.again_at = Some(Instant::now());
        watch.tell_news(&mut listener, &mut Vec::new()).await.unwrap();
        assert_eq!(watch.loss, Some(Loss::Heard), "it is told anew");
        watch.begin_anew(listed(false, true));
        assert_eq!((watch.loss, watch.again_at), (None, None), "nothing is missing any more");
        assert!(watch.routes_at.is_some(), "but for routes");
        watch.tell_routes(Ok(Listed { all: Vec::new(), is_torn: false })).unwrap();
        watch.begin_anew(listed(false, false));
        assert_eq!((watch.loss, watch.again_at, watch.routes_at), (None, None, None));
        watch.tell_routes(Ok(Listed { all: Vec::new(), is_torn: true })).unwrap();
        assert!(watch.routes_at.is_some(), "torn again");
    }

    #[tokio::test]
    async fn a_watch_that_nobody_listens_to_ends() {
        let (mut watch, receiver) = watch(9);
        drop(receiver);
        assert!(matches!(watch.take_in(heard("eth2")), Err(Ended::Unheard)));
    }
}

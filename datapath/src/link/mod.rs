//! Links (netdevs) of this host, with their addresses and their part in the default route, watched by rtnetlink.
//!
//! ```text
//!   kernel ──► rtnetlink's connection ──► Watch ──► bounded channel ──► the caller
//!                 (unbounded queue,         │ overrun, or no room:
//!                  always drained)          └── asks for every link anew: LinkEvent::All
//! ```
//! The first event is [`LinkEvent::All`]. Events are told in the kernel's order, so the last one about a link is how it is. When
//! events were lost, by the kernel or because the caller did not keep up, another `All` takes their place.
//!
//! After an overrun, what still waits to be read is older than what was lost: told behind the new list it would bring back how things
//! were. So it is thrown away, and if something happened meanwhile, the links are listed once more. Where nothing is missing among the
//! events, those that were heard since a list was asked for are told behind it: the last event about a link is how it is, or how the list
//! has it. So links that change all the time keep nobody waiting.
//!
//! Of routes only the default ones of the main table count. The kernel tells of no route that goes with its address or its link, so they
//! are listed again whenever that may have happened, and the links whose part in them is another are told.

use std::ffi::c_int;
use std::io;
use std::time::Duration;

use futures::channel::mpsc::UnboundedReceiver;
use futures::stream::StreamExt;
use futures::{FutureExt, TryStreamExt};
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::route::RouteMessage;
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::sys::{AsyncSocket, SocketAddr};
use rtnetlink::{Handle, MulticastGroup, new_multicast_connection};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::port::{Link, LinkEvent};

use known::Known;
use message::{Way, is_of_the_link, read, read_address, read_link, read_way};

mod known;
mod message;

/// The links of one network namespace. Dropping it ends the events.
#[derive(Debug)]
pub struct Links {
    handle: Handle,
    tasks: [JoinHandle<()>; 2],
}

impl Links {
    /// Begins to watch the links of the calling thread's network namespace, and goes on watching that one whatever thread
    /// reads the events. A tokio runtime is to be around.
    ///
    /// # Errors
    /// No rtnetlink socket to be had.
    pub fn open() -> io::Result<(Links, mpsc::Receiver<LinkEvent>)> {
        let (mut connection, handle, messages) = new_multicast_connection(&GROUPS)?;
        connection.socket_mut().socket_mut().set_rx_buf_sz(RECEIVE_BUFFER)?;
        let (events, receiver) = mpsc::channel(ROOM);
        let watch = Watch::new(handle.clone(), events);
        let tasks = [tokio::spawn(connection), tokio::spawn(watch.run(messages))];
        Ok((Links { handle, tasks }, receiver))
    }

    /// Every link there is now.
    ///
    /// # Errors
    /// The kernel does not answer, or refuses.
    pub async fn list(&self) -> io::Result<Vec<Link>> {
        list(&self.handle).await.map(|known| known.all())
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// The task between the kernel and the caller.
struct Watch {
    handle: Handle,
    events: mpsc::Sender<LinkEvent>,
    /// Whether what was told so far is how things are.
    loss: Option<Loss>,
    known: Known,
    /// When routes are to be listed again.
    routes_at: Option<Instant>,
    /// Routes that are being listed; there may be a million, and no link event is to wait for them.
    listing: Option<JoinHandle<io::Result<Vec<Way>>>>,
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
    fn new(handle: Handle, events: mpsc::Sender<LinkEvent>) -> Watch {
        Watch {
            handle,
            events,
            loss: Some(Loss::Heard),
            known: Known::default(),
            routes_at: None,
            listing: None,
        }
    }

    /// Runs until nobody listens any more, or the socket is gone.
    async fn run(mut self, mut messages: Messages) {
        loop {
            let goes_on = if let Some(loss) = self.loss {
                self.tell_all(loss, &mut messages).await
            } else {
                let routes_at = self.routes_at;
                tokio::select! {
                    message = messages.next() => match message {
                        Some((message, _)) => self.hear(&message),
                        None => false,
                    },
                    () = sleep_until(routes_at), if routes_at.is_some() && self.listing.is_none() => {
                        self.begin_listing();
                        true
                    }
                    listed = listed(&mut self.listing), if self.listing.is_some() => self.tell_routes(listed),
                }
            };
            if !goes_on {
                return;
            }
        }
    }

    /// Waits for room, then tells every link there is. Whether there is still someone to tell.
    async fn tell_all(&mut self, loss: Loss, messages: &mut Messages) -> bool {
        let events = self.events.clone();
        let permit = loop {
            tokio::select! {
                biased;
                permit = events.reserve() => break permit,
                // Thrown away: the list that is made when there is room says more.
                message = messages.next() => if message.is_none() { return false },
            }
        };
        let Ok(permit) = permit else { return false };
        let listed = tokio::time::timeout(PATIENCE, list(&self.handle)).await;
        // The same task reads events and the list from the same socket: those before the list's end are all here now.
        let mut happened = Vec::new();
        while let Some(message) = messages.next().now_or_never() {
            let Some((message, _)) = message else { return false };
            happened.push(message);
        }
        match listed.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(known) => {
                permit.send(LinkEvent::All(known.all()));
                (self.known, self.routes_at, self.listing) = (known, None, None);
                self.loss = None;
                self.catch_up(loss, &happened)
            }
            Err(error) => {
                tracing::warn!(%error, "cannot list links, trying again");
                tokio::time::sleep(PAUSE).await;
                true
            }
        }
    }

    /// Takes in what was heard since a list was asked for. Whether there is still someone to tell.
    fn catch_up(&mut self, loss: Loss, happened: &[NetlinkMessage<RouteNetlinkMessage>]) -> bool {
        let is_overrun = |message: &NetlinkMessage<_>| matches!(message.payload, NetlinkPayload::Overrun(_));
        if happened.iter().any(is_overrun) {
            self.loss = Some(Loss::Overrun);
        } else if loss == Loss::Overrun && happened.iter().any(is_news) {
            // All that is older has been heard by now.
            self.loss = Some(Loss::Heard);
        } else {
            return happened.iter().all(|message| self.hear(message));
        }
        true
    }

    fn begin_listing(&mut self) {
        (self.routes_at, self.known.asks_for_routes) = (None, false);
        let handle = self.handle.clone();
        self.listing = Some(tokio::spawn(async move {
            let listed = tokio::time::timeout(PATIENCE, list_ways(&handle)).await;
            listed.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        }));
    }

    /// Tells the links whose part in the default routes is another. Whether there is still someone to tell.
    fn tell_routes(&mut self, listed: io::Result<Vec<Way>>) -> bool {
        self.listing = None;
        match listed {
            Ok(ways) => {
                let events = self.known.note_routes(ways);
                events.into_iter().all(|event| self.tell(event))
            }
            Err(error) => {
                tracing::warn!(%error, "cannot list routes, trying again");
                self.routes_at = Some(Instant::now() + PATIENCE);
                true
            }
        }
    }

    /// Takes in one message and tells what it comes to. Whether there is still someone to tell.
    fn hear(&mut self, message: &NetlinkMessage<RouteNetlinkMessage>) -> bool {
        let news = match &message.payload {
            NetlinkPayload::InnerMessage(message) => read(message),
            NetlinkPayload::Overrun(_) => {
                tracing::debug!("the kernel lost link events, reading all links anew");
                self.loss = Some(Loss::Overrun);
                None
            }
            _ => None,
        };
        let event = news.and_then(|news| self.known.note(news));
        if self.known.asks_for_routes {
            // More of them come at once where one is replaced.
            self.routes_at.get_or_insert(Instant::now() + PAUSE);
        }
        event.is_none_or(|event| self.tell(event))
    }

    /// Tells one event. Whether there is still someone to tell.
    fn tell(&mut self, event: LinkEvent) -> bool {
        match self.events.try_send(event) {
            Err(TrySendError::Closed(_)) => return false,
            Err(TrySendError::Full(_)) => {
                self.loss.get_or_insert(Loss::Heard);
            }
            Ok(()) => {}
        }
        true
    }
}

fn is_news(message: &NetlinkMessage<RouteNetlinkMessage>) -> bool {
    match &message.payload {
        NetlinkPayload::InnerMessage(message) => read(message).is_some(),
        NetlinkPayload::Overrun(_) => true,
        _ => false,
    }
}

async fn list(handle: &Handle) -> io::Result<Known> {
    let links = handle.link().get().execute().try_collect::<Vec<_>>().await.map_err(io::Error::other)?;
    let links = links.iter().filter(|message| is_of_the_link(message)).filter_map(read_link).collect();
    let addresses =
        handle.address().get().execute().try_collect::<Vec<_>>().await.map_err(io::Error::other)?;
    let addresses = addresses.iter().filter_map(read_address).collect();
    Ok(Known::new(links, addresses, list_ways(handle).await?))
}

/// The default routes. The kernel sends all routes of a family: no request asks for less.
async fn list_ways(handle: &Handle) -> io::Result<Vec<Way>> {
    let mut ways = Vec::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut all = RouteMessage::default();
        all.header.address_family = family;
        let mut routes = handle.route().get(all).execute();
        while let Some(route) = routes.try_next().await.map_err(io::Error::other)? {
            ways.extend(read_way(&route));
        }
    }
    Ok(ways)
}

async fn listed(listing: &mut Option<JoinHandle<io::Result<Vec<Way>>>>) -> io::Result<Vec<Way>> {
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

/// What the kernel is asked to tell.
const GROUPS: [MulticastGroup; 5] = [
    MulticastGroup::Link,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
];

/// What rtnetlink's connection hears without having asked.
type Messages = UnboundedReceiver<(NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>;

/// Events that may wait for the caller; beyond, they are replaced by one `All`.
const ROOM: usize = 1_024;

/// Bytes of receive buffer asked for; the kernel gives what net.core.rmem_max allows.
const RECEIVE_BUFFER: c_int = 4 << 20;

/// Before the links are asked for again.
const PAUSE: Duration = Duration::from_millis(100);

/// For the list of all links. A part of it that was lost never comes.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::message::samples::{link, message};
    use super::*;

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
        let (links, events) = Links::open().unwrap();
        drop(events);
        let (events, mut receiver) = mpsc::channel(1);
        let mut watch = Watch { loss: None, ..Watch::new(links.handle.clone(), events) };
        let event = |name: &str| {
            let new = RouteNetlinkMessage::NewLink(message(AddressFamily::Unspec, name));
            NetlinkMessage::new(Default::default(), NetlinkPayload::InnerMessage(new))
        };
        assert!(watch.hear(&event("eth2")) && watch.loss.is_none());
        assert!(watch.hear(&event("eth2")) && watch.loss.is_none(), "nothing is new");
        assert!(watch.hear(&event("eth3")) && watch.loss == Some(Loss::Heard), "there is room for one");
        let (sender, mut messages) = futures::channel::mpsc::unbounded();
        let told = tokio::spawn(async move { watch.tell_all(Loss::Heard, &mut messages).await });
        sender.unbounded_send((event("eth4"), SocketAddr::new(0, 0))).unwrap();
        assert_eq!(receiver.recv().await, Some(LinkEvent::Changed(link("eth2"))));
        assert!(matches!(receiver.recv().await, Some(LinkEvent::All(_))));
        assert!(told.await.unwrap());
    }

    #[tokio::test]
    async fn what_waited_when_events_were_lost_is_not_told_behind_the_list() {
        let (links, events) = Links::open().unwrap();
        drop(events);
        let (events, mut receiver) = mpsc::channel(9);
        let mut watch = Watch::new(links.handle.clone(), events);
        let (sender, mut messages) = futures::channel::mpsc::unbounded();
        let old = RouteNetlinkMessage::NewLink(message(AddressFamily::Unspec, "eth2"));
        let old = NetlinkMessage::new(Default::default(), NetlinkPayload::InnerMessage(old));
        sender.unbounded_send((old, SocketAddr::new(0, 0))).unwrap();
        assert!(watch.tell_all(Loss::Overrun, &mut messages).await);
        assert_eq!(watch.loss, Some(Loss::Heard), "something happened while links were listed");
        assert!(watch.tell_all(Loss::Heard, &mut messages).await);
        assert_eq!(watch.loss, None, "nothing did");
        drop(watch);
        for _ in 0..2 {
            assert!(matches!(receiver.recv().await, Some(LinkEvent::All(_))));
        }
        assert_eq!(receiver.recv().await, None);
    }

    #[tokio::test]
    async fn an_overrun_asks_for_all() {
        let (links, events) = Links::open().unwrap();
        drop(events);
        let (events, _receiver) = mpsc::channel(1);
        let mut watch = Watch { loss: None, ..Watch::new(links.handle.clone(), events) };
        let overrun = NetlinkMessage::new(Default::default(), NetlinkPayload::Overrun(Vec::new()));
        assert!(watch.hear(&overrun) && watch.loss == Some(Loss::Overrun));
    }

    #[tokio::test]
    async fn what_happens_while_links_are_listed_is_told_behind_the_list() {
        let (links, events) = Links::open().unwrap();
        drop(events);
        let (events, mut receiver) = mpsc::channel(9);
        let mut watch = Watch::new(links.handle.clone(), events);
        let (sender, mut messages) = futures::channel::mpsc::unbounded();
        let new = RouteNetlinkMessage::NewLink(message(AddressFamily::Unspec, "eth2"));
        let new = NetlinkMessage::new(Default::default(), NetlinkPayload::InnerMessage(new));
        sender.unbounded_send((new, SocketAddr::new(0, 0))).unwrap();
        assert!(watch.tell_all(Loss::Heard, &mut messages).await);
        assert_eq!(watch.loss, None, "nothing is missing");
        assert!(matches!(receiver.recv().await, Some(LinkEvent::All(_))));
        assert_eq!(receiver.recv().await, Some(LinkEvent::Changed(link("eth2"))));
    }
}

//! The handle by which tests and simulations move frames, links and time of a host.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, mpsc};
use vlan::time::Instant;

use super::host::{Host, Limits, Options};
use super::packet::Departed;
use crate::port::{Link, LinkEvent};

/// A host in memory: links, clock, datapath. Clones are the same host.
#[derive(Debug, Clone, Default)]
pub struct FakeWire {
    host: Arc<Mutex<Host>>,
    news: Arc<Notify>,
}

/// A host that goes when its last handle goes.
#[derive(Debug, Clone)]
pub(super) struct WeakWire {
    host: Weak<Mutex<Host>>,
    news: Weak<Notify>,
}

impl WeakWire {
    pub(super) fn upgrade(&self) -> Option<FakeWire> {
        Some(FakeWire { host: self.host.upgrade()?, news: self.news.upgrade()? })
    }
}

impl FakeWire {
    /// A host without links, at [`Instant::ZERO`].
    pub fn new(options: Options) -> FakeWire {
        FakeWire { host: Arc::new(Mutex::new(Host::new(options))), news: Arc::default() }
    }

    /// Adds a link that is up, has a carrier and an MTU of 1 500. One that is there stays as it is.
    pub fn add_link(&self, name: &str) {
        self.host().add_link(name);
    }

    /// Removes a link, and its port from the datapath, as when a network card is pulled.
    pub fn remove_link(&self, name: &str) {
        self.host().remove_link(name);
    }

    /// Gives a link another name; its port stays its port.
    ///
    /// # Panics
    /// There is no such link, or one of the new name.
    pub fn rename_link(&self, link: &str, name: &str) {
        self.host().rename_link(link, name);
    }

    /// Changes a link: carrier, admin state, MTU.
    ///
    /// # Panics
    /// There is no such link.
    pub fn change_link(&self, name: &str, change: impl FnOnce(&mut Link)) {
        self.host().change_link(name, change);
    }

    /// Every link there is, by name.
    pub fn links(&self) -> Vec<Link> {
        self.host().links()
    }

    /// Events of links, the first of them all that there are. A reader that falls more than 1 024 behind gets them all again.
    pub fn watch_links(&self) -> mpsc::Receiver<LinkEvent> {
        self.host().watch_links()
    }

    /// A frame arrives by a link. What follows from it, here and on hosts that it is sent to, has happened when this returns.
    ///
    /// # Panics
    /// There is no such link.
    pub fn inject(&self, link: &str, frame: &[u8]) {
        self.run(|host| host.receive(link, frame));
    }

    /// The frames that left by a link since the last call, in order.
    ///
    /// # Panics
    /// There is no such link.
    pub fn sent(&self, link: &str) -> Vec<Vec<u8>> {
        self.host().sent(link)
    }

    /// What the clock says.
    pub fn now(&self) -> Instant {
        self.host().now
    }

    /// Sets the clock ahead. Addresses age.
    pub fn advance(&self, span: Duration) {
        self.host().advance(span);
        self.news.notify_waiters();
    }

    /// Sets how much fits in; what is in already stays.
    pub fn set_limits(&self, limits: Limits) {
        self.host().limits = limits;
    }

    /// Removes the datapath by hand, as an operator might under a running daemon.
    pub fn delete_datapath(&self) {
        self.host().delete_datapath();
        self.news.notify_waiters();
    }

    /// What no program should do and a kernel would not tell (the module says which things), the oldest first.
    pub fn faults(&self) -> Vec<String> {
        self.host().faults.clone()
    }

    /// Another program takes a UDP port of this host, for good.
    pub fn occupy_udp(&self, port: u16) {
        self.host().uplink.occupy(port);
    }

    /// Does something that frames may follow from, and takes them where they go.
    pub(super) fn run<T>(&self, call: impl FnOnce(&mut Host) -> T) -> T {
        let (answer, (departing, road)) = {
            let mut host = self.host();
            (call(&mut host), host.uplink.departing())
        };
        self.news.notify_waiters();
        if let Some(road) = road.filter(|_| !departing.is_empty()) {
            road.take(departing);
        }
        answer
    }

    /// A packet arrives from the underlay. What the host sends because of it; `None` if nobody there takes it.
    pub(super) fn deliver(&self, departed: Departed) -> Option<Vec<Departed>> {
        let mut host = self.host();
        let is_taken = host.receive_packet(departed);
        let (answers, _) = host.uplink.departing();
        drop(host);
        self.news.notify_waiters();
        is_taken.then_some(answers)
    }

    pub(super) fn downgrade(&self) -> WeakWire {
        WeakWire { host: Arc::downgrade(&self.host), news: Arc::downgrade(&self.news) }
    }

    pub(super) fn host(&self) -> MutexGuard<'_, Host> {
        self.host.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes whoever waits for [`news`](Self::news).
    pub(super) fn tell_news(&self) {
        self.news.notify_waiters();
    }

    /// Done when something is injected, time passes or the datapath changes hands, after this call.
    pub(super) fn news(&self) -> OwnedNotified {
        Arc::clone(&self.news).notified_owned()
    }
}

//! An IP network between hosts in memory, as far as VXLAN sees one.
//!
//! ```text
//!   FakeWire ─┐                    counts ─ cuts ─ MTU                    ┌─► FakeWire with a tunnel at that address and port
//!   FakeWire ─┼─ packets ─► queue ───────────────────────► one by one ──┤
//!   a test  ──┘     └─► held, until the test lets them go ──┘             └─► a plain VTEP: kept, for the test to look at
//! ```
//! Nothing happens by itself: a packet is delivered while the call lasts that it follows from, or, while packets are held, when a test
//! says so. It has no clock and no chance in it.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::network::{Fate, Losses, Network};
use super::packet::{Departed, Packet, Road};
use super::wire::FakeWire;

/// An underlay. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct FakeUnderlay(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    network: Mutex<Network>,
    /// Held by whoever delivers, so that all that follows from a call has happened when it returns, whatever other threads do.
    delivering: Mutex<()>,
}

impl FakeUnderlay {
    /// Gives a host addresses on this underlay, besides those that it has.
    ///
    /// # Panics
    /// Somebody has one of them already, or the host is on another underlay.
    pub fn join(&self, wire: &FakeWire, addresses: &[IpAddr]) {
        self.network().add_host(&wire.downgrade(), addresses);
        let road: Arc<dyn Road> = Arc::clone(&self.0) as Arc<dyn Road>;
        wire.host().uplink.join(road, addresses);
    }

    /// Puts a plain VTEP at an address: what comes to it is kept until it is [asked for](Self::received).
    ///
    /// # Panics
    /// Somebody has the address already.
    pub fn add_vtep(&self, address: IpAddr) {
        self.network().add_vtep(address);
    }

    /// What came to a plain VTEP since this was last asked, in order; of more than 65 536 packets the first.
    ///
    /// # Panics
    /// There is none at this address.
    pub fn received(&self, vtep: IpAddr) -> Vec<Packet> {
        self.network().received(vtep)
    }

    /// A packet is sent by anybody, as if from the address that it says.
    pub fn inject(&self, packet: Packet) {
        self.0.take(vec![Departed { packet, crossings: 1 }]);
    }

    /// How many packets were sent so far, whatever became of them, by sender, receiver and VNI.
    pub fn counts(&self) -> BTreeMap<(IpAddr, IpAddr, u32), u64> {
        self.network().counts.clone()
    }

    /// The last packets that were sent since this was last asked, whatever became of them, in order; 4 096 at most.
    pub fn sent(&self) -> Vec<Packet> {
        self.network().sent.drain(..).collect()
    }

    /// Cuts every address of one side off from every one of the other, both ways.
    pub fn cut(&self, one: &[IpAddr], other: &[IpAddr]) {
        self.cut_one_way(one, other);
        self.cut_one_way(other, one);
    }

    /// Loses what these addresses send to those, and nothing on the way back.
    pub fn cut_one_way(&self, from: &[IpAddr], to: &[IpAddr]) {
        let pairs = from.iter().flat_map(|from| to.iter().map(move |to| (*from, *to)));
        self.network().cuts.extend(pairs);
    }

    /// Mends every cut.
    pub fn mend(&self) {
        self.network().cuts.clear();
    }

    /// Sets how long an IP packet may be, in bytes; `None`: as long as it likes. A longer one is lost, and never cut into pieces.
    pub fn set_mtu(&self, mtu: Option<u32>) {
        self.network().mtu = mtu;
    }

    /// What came to nobody.
    pub fn losses(&self) -> Losses {
        self.network().losses
    }

    /// Holds back what is sent from now on, until it is released.
    pub fn hold(&self) {
        self.network().is_holding = true;
    }

    /// Packets that are held, each with its number, in the order in which they were sent.
    pub fn held(&self) -> Vec<(u64, Packet)> {
        self.network().held()
    }

    /// Delivers one packet that is held. What follows from it is held in turn.
    ///
    /// # Panics
    /// None of this number is held.
    pub fn release(&self, number: u64) {
        let packet = self.network().take_held(number);
        self.0.deliver(vec![packet]);
    }

    /// Loses one packet that is held.
    ///
    /// # Panics
    /// None of this number is held.
    pub fn lose(&self, number: u64) {
        let mut network = self.network();
        network.take_held(number);
        network.losses.chosen += 1;
    }

    /// Holds nothing back any more, and delivers what is held, in order.
    pub fn release_all(&self) {
        let held = self.network().stop_holding();
        self.0.deliver(held);
    }

    fn network(&self) -> MutexGuard<'_, Network> {
        self.0.network()
    }
}

impl Road for Shared {
    fn take(&self, packets: Vec<Departed>) {
        let on_their_way = self.network().note_sent(packets);
        self.deliver(on_their_way);
    }
}

impl Shared {
    /// Delivers packets, and those that hosts answer with, in the order in which they were sent.
    fn deliver(&self, packets: Vec<Departed>) {
        let _turn = self.delivering.lock().unwrap_or_else(PoisonError::into_inner);
        let mut queue = VecDeque::from(packets);
        while let Some(departed) = queue.pop_front() {
            let fate = self.network().fate_of(&departed.packet);
            match fate {
                Fate::Lost => {}
                Fate::Vtep => self.network().keep(departed.packet),
                Fate::Host(wire) => match wire.deliver(departed) {
                    Some(answers) => queue.extend(self.network().note_sent(answers)),
                    None => self.network().losses.unheard += 1,
                },
            }
        }
    }

    fn network(&self) -> MutexGuard<'_, Network> {
        self.network.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

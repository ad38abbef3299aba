//! A rig of namespaces: the datapath is openvswitch.ko's, a link is one end of a veth pair, and a packet socket sits on the other.
//!
//! How it knows that a frame was dealt with, without waiting for nothing: a veth hands each frame to the queue of the CPU that sent
//! it (`enqueue_to_backlog`), and that queue is worked off in order. So all happens on one CPU, and when a marker that was
//! sent later has come out of a cable of its own, what was queued before has been worked off; a second marker does the
//! same for what the first stage has sent on.

use std::collections::BTreeMap;
use std::time::Duration;

use datapath::Refusal;
use datapath::ovs::{Ovs, UpcallSockets};
use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;
use vlan::frame::Header;
use vlan::time::Instant;
use vlan::verdict::Consulted;

use super::{LinkState, Rig};
use crate::lab::frames::{EXPERIMENTAL, Frame};
use crate::lab::genl::OtherHand;
use crate::lab::netns::Netns;
use crate::lab::tap::Tap;
use crate::lab::veth;

/// A gateway's namespace with its datapath, and one for everything at the far ends of its links.
#[derive(Debug)]
pub struct KernelRig {
    options: UpcallSockets,
    gateway: Netns,
    outside: Netns,
    far_ends: BTreeMap<String, FarEnd>,
    marker: [Tap; 2],
    /// How often what happens here goes through the queue of a link, at most.
    stages: usize,
    thieves: Vec<OtherHand>,
}

/// The far end of a link.
#[derive(Debug)]
struct FarEnd {
    name: String,
    tap: Tap,
}

impl KernelRig {
    /// A gateway without links whose datapath is opened with these options. The calling thread stays on the CPU that it is on.
    ///
    /// # Panics
    /// The process may not make namespaces.
    pub fn new(options: UpcallSockets) -> KernelRig {
        stay_on_this_cpu();
        let (gateway, outside) = (Netns::new("gateway"), Netns::new("outside"));
        veth::connect((&outside, "marker0"), (&outside, "marker1"));
        let marker = ["marker0", "marker1"].map(|end| outside.tap(end));
        KernelRig {
            options,
            gateway,
            outside,
            far_ends: BTreeMap::new(),
            marker,
            stages: 2,
            thieves: Vec::new(),
        }
    }

    /// What the datapath is opened with from now on.
    pub fn set_options(&mut self, options: UpcallSockets) {
        self.options = options;
    }

    /// A frame goes through so many queues of links until it has been dealt with: two, where it comes in by one and leaves by another.
    pub fn set_stages(&mut self, stages: usize) {
        self.stages = stages;
    }

    /// The namespace of the datapath.
    pub fn gateway(&self) -> &Netns {
        &self.gateway
    }

    /// Another program's hand on openvswitch.ko, in the gateway's namespace.
    pub fn other_hand(&self) -> OtherHand {
        self.gateway.run(OtherHand::reach_out)
    }

    /// Waits until what was sent so far has been dealt with.
    pub fn settle(&self) {
        let [near, far] = &self.marker;
        for stage in 1..=self.stages {
            let payload = format!("marker {stage}");
            let marker = Frame::new([2, 0, 0, 0, 0, 0xee], [2; 6]).payload(EXPERIMENTAL, payload.as_bytes());
            near.send(&marker);
            far.recv_matching(PATIENCE, |frame| frame == marker)
                .unwrap_or_else(|| panic!("no {payload} within {PATIENCE:?}"));
        }
    }

    fn far_end(&self, link: &str) -> &FarEnd {
        self.far_ends.get(link).unwrap_or_else(|| panic!("there is no link {link}"))
    }
}

impl Rig for KernelRig {
    type Datapath = Ovs;

    async fn open(&mut self) -> Result<Ovs, Refusal> {
        let runtime = tokio::runtime::Handle::current();
        let opening = self.gateway.run(|| {
            let _inside = runtime.enter();
            Ovs::open_with(DATAPATH, self.options)
        });
        opening.await
    }

    fn add_links(&mut self, links: &[&str]) {
        for link in links {
            let name = format!("far-{link}");
            veth::connect((&self.gateway, link), (&self.outside, &name));
            let tap = self.outside.tap(&name);
            self.far_ends.insert((*link).to_owned(), FarEnd { name, tap });
        }
    }

    fn remove_link(&mut self, link: &str) {
        self.far_ends.remove(link);
        self.gateway.links().delete(link);
    }

    fn rename_link(&mut self, link: &str, name: &str) {
        self.gateway.links().rename(link, name);
        let far_end = self.far_ends.remove(link).unwrap_or_else(|| panic!("there is no link {link}"));
        self.far_ends.insert(name.to_owned(), far_end);
    }

    fn set_state(&mut self, link: &str, state: LinkState) {
        match state {
            LinkState::Up => {
                self.gateway.links().set_up(link);
                self.gateway.links().wait_until_ready(link);
            }
            LinkState::Down => self.gateway.links().set_down(link),
        }
    }

    fn set_mtu(&mut self, link: &str, mtu: u32) {
        self.gateway.links().set_mtu(link, mtu);
        // What the far end may take is not under test.
        self.outside.links().set_mtu(&self.far_end(link).name, mtu.max(LARGE_MTU));
    }

    fn inject(&mut self, link: &str, frames: &[Vec<u8>]) {
        let tap = &self.far_end(link).tap;
        frames.iter().for_each(|frame| tap.send(frame));
        self.settle();
    }

    fn sent(&mut self, link: &str) -> Vec<Vec<u8>> {
        self.sent_by(&[link]).remove(0)
    }

    fn sent_by(&mut self, links: &[&str]) -> Vec<Vec<Vec<u8>>> {
        self.settle();
        let frames = |link: &&str| {
            let tap = &self.far_end(link).tap;
            let frames = tap.drain();
            assert_eq!(tap.lost(), 0, "frames that the packet socket on {link} had no room for");
            frames
        };
        links.iter().map(frames).collect()
    }

    fn delete_datapath(&mut self) {
        self.other_hand().delete_datapath(DATAPATH);
    }

    async fn steal_upcalls(&mut self, link: &str) {
        let thief = self.other_hand();
        match self.options.ports_with_own_socket {
            0 => thief.take_upcalls_by_cpu(DATAPATH),
            _ => thief.take_upcalls_of(DATAPATH, link),
        }
        self.thieves.push(thief);
    }

    fn now(&self) -> Instant {
        let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)
            .unwrap_or_else(|e| panic!("no monotonic clock: {e}"));
        Instant::from_nanos(Duration::from(now).as_nanos() as u64)
    }

    async fn pass(&mut self, span: Duration) {
        tokio::time::sleep(span).await;
    }

    fn effective_mask(&self, asked: &Consulted, key: &Header) -> Consulted {
        Ovs::effective_mask(asked, key)
    }

    fn faults(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Threads that are started from here stay on it too.
fn stay_on_this_cpu() {
    let stay = || {
        let mut only = CpuSet::new();
        only.set(sched_getcpu()?)?;
        sched_setaffinity(Pid::from_raw(0), &only)
    };
    stay().unwrap_or_else(|e| panic!("cannot stay on one cpu: {e}"));
}

/// The name of the datapath, and of its own link.
pub const DATAPATH: &str = "dp-test";

/// For a marker, which takes well under a millisecond.
const PATIENCE: Duration = Duration::from_secs(10);

const LARGE_MTU: u32 = 9_000;

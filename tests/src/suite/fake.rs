//! A rig in memory.

use std::time::Duration;

use datapath::fake::{FakeDatapath, FakeWire, Options};
use datapath::{FlowTable, Refusal};
use vlan::frame::Header;
use vlan::time::Instant;
use vlan::verdict::Consulted;

use super::{LinkState, Rig};

/// A [`FakeWire`] as a rig, with the datapath as it is or in a wrapper.
#[derive(Debug)]
pub struct FakeRig<D = FakeDatapath> {
    wire: FakeWire,
    wrap: fn(FakeDatapath) -> D,
    thief: Option<FakeDatapath>,
}

impl FakeRig {
    /// A host without links whose datapath is as able as the options say.
    pub fn new(options: Options) -> FakeRig {
        FakeRig::wrapped(options, |datapath| datapath)
    }
}

impl<D> FakeRig<D> {
    /// A host without links whose datapath is in a wrapper.
    pub fn wrapped(options: Options, wrap: fn(FakeDatapath) -> D) -> FakeRig<D> {
        FakeRig { wire: FakeWire::new(options), wrap, thief: None }
    }
}

impl<D: FlowTable> Rig for FakeRig<D> {
    type Datapath = D;

    async fn open(&mut self) -> Result<D, Refusal> {
        FakeDatapath::adopt(&self.wire).map(self.wrap)
    }

    fn add_links(&mut self, links: &[&str]) {
        links.iter().for_each(|link| self.wire.add_link(link));
    }

    fn remove_link(&mut self, link: &str) {
        self.wire.remove_link(link);
    }

    fn rename_link(&mut self, link: &str, name: &str) {
        self.wire.rename_link(link, name);
    }

    fn set_state(&mut self, link: &str, state: LinkState) {
        self.wire.change_link(link, |link| link.is_up = state == LinkState::Up);
    }

    fn set_mtu(&mut self, link: &str, mtu: u32) {
        self.wire.change_link(link, |link| link.mtu = mtu);
    }

    fn inject(&mut self, link: &str, frames: &[Vec<u8>]) {
        frames.iter().for_each(|frame| self.wire.inject(link, frame));
    }

    fn sent(&mut self, link: &str) -> Vec<Vec<u8>> {
        self.wire.sent(link)
    }

    fn delete_datapath(&mut self) {
        self.wire.delete_datapath();
    }

    async fn steal_upcalls(&mut self, _link: &str) {
        self.thief = Some(FakeDatapath::open(&self.wire));
    }

    fn now(&self) -> Instant {
        self.wire.now()
    }

    async fn pass(&mut self, span: Duration) {
        self.wire.advance(span);
    }

    fn effective_mask(&self, asked: &Consulted, _key: &Header) -> Consulted {
        *asked
    }

    fn faults(&self) -> Vec<String> {
        self.wire.faults()
    }
}

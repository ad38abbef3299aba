//! What holds of every verdict, whatever the frame and the state it was made in.

use std::sync::Arc;

use agent::lower::flows::lower;
use agent::view::{TraceOutput, TraceView};
use datapath::fake::{FakeDatapath, FakeWire, Options};
use datapath::flow::{Action, FlowChange, FlowId};
use datapath::port::VportNo;
use datapath::{Datapath, Execute, FlowTable};
use futures::FutureExt;
use vlan::fdb::Learned;
use vlan::frame::{Header, rewrite};
use vlan::model::id::{HostId, PortId};
use vlan::model::topology::Topology;
use vlan::switch::Switch;
use vlan::tag::{Tag, Tpid};
use vlan::time::Instant;
use vlan::trace::{Silent, Story};
use vlan::verdict::{Decision, Egress, Verdict};

use crate::sim::duel::hex;

/// A frame that was judged.
#[derive(Debug)]
pub(super) struct Judged<'a> {
    host: HostId,
    port: PortId,
    bytes: &'a [u8],
    header: Header,
    learned: Option<Learned>,
    steps: Vec<String>,
    /// What becomes of it.
    pub(super) verdict: Verdict,
}

impl<'a> Judged<'a> {
    /// Judges a frame and learns from it. `None` for bytes that have no header; that is said, with the length.
    pub(super) fn forward(
        switch: &mut Switch,
        now: Instant,
        port: PortId,
        bytes: &'a [u8],
    ) -> Option<Judged<'a>> {
        let header = match Header::parse(bytes) {
            Ok(header) => header,
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains(&format!("frame of {} bytes ends inside", bytes.len())), "{text}");
                assert!(bytes.len() < 22, "{} has a header", hex(bytes));
                return None;
            }
        };
        let (mut verdict, mut steps) = (Verdict::default(), Vec::new());
        let learned = switch.forward(now, port, &header, &mut verdict, &mut steps);
        Some(Judged { host: switch.host(), port, bytes, header, learned, steps, verdict })
    }

    /// Checks all that holds of it.
    pub(super) fn check(&self, switch: &Switch, now: Instant) {
        self.check_header();
        self.check_ends();
        self.check_trace(switch.topology());
        self.check_copies(switch.topology());
        if self.verdict.effect.is_none() && self.learned.is_none_or(|learned| learned.refusal().is_none()) {
            let again = judge(switch, now, self.port, &self.header);
            assert_eq!(again, self.verdict, "{self:?}: the same frame under the same state");
            self.check_twins(switch, now);
            self.check_flow(switch.topology());
        }
    }

    /// What was read of the bytes, written again, is the bytes.
    fn check_header(&self) {
        let tags = &self.header.tags;
        for pop in 0..=tags.len() {
            let again = rewrite(self.bytes, pop, &tags[..pop]).expect("the tags that were read are there");
            assert_eq!(again, self.bytes, "{pop} tags off and on again");
        }
        assert!(self.bytes.len() >= ETHERNET_HEADER + tags.len() * Tag::LEN, "{self:?}");
        let too_many = rewrite(self.bytes, self.bytes.len() / Tag::LEN, &[]);
        assert!(too_many.is_err(), "{self:?}: more tags came off than there are bytes");
    }

    fn check_ends(&self) {
        let verdict = &self.verdict;
        assert_ne!(verdict.decision, Decision::Unjudged, "{self:?}");
        assert_eq!(verdict.outputs.is_empty(), verdict.decision != Decision::Forward, "{self:?}");
        assert!(verdict.outputs.iter().all(|output| output.to != Egress::Port(self.port)), "{self:?}");
        assert!(verdict.outputs.is_sorted_by_key(|output| output.to), "{self:?}");
        assert!(verdict.outputs.windows(2).all(|pair| pair[0] != pair[1]), "{self:?}: twice the same");
        assert!(!verdict.depends.is_empty(), "{self:?}: a verdict rests on its port at least");
        let text = serde_json::to_string(verdict).expect("a verdict is written");
        assert_eq!(serde_json::from_str::<Verdict>(&text).expect("and read"), *verdict);
    }

    /// The story ends as the verdict does, and names each copy.
    fn check_trace(&self, topology: &Arc<Topology>) {
        let view = TraceView::of(
            (topology, self.host),
            self.bytes,
            &self.verdict,
            Story { steps: self.steps.clone(), ..Story::default() },
        );
        let copies = vlan::trace::copies(topology, self.host, &self.verdict);
        assert_eq!(view.outputs.len(), copies, "{self:?}: every copy has bytes");
        let last = self.steps.last().map_or("", String::as_str);
        let is_said = match (&self.verdict.decision, view.outputs.len()) {
            (Decision::Forward, 1) => last == "forwarded, one copy",
            (Decision::Forward, copies) => last == format!("forwarded, {copies} copies"),
            (Decision::Drop(reason), _) => {
                self.steps.iter().any(|step| step.contains(&format!("dropped ({reason})")))
            }
            (Decision::Unjudged, _) => false,
        };
        assert!(is_said && self.steps.len() >= 2, "{self:?}");
        if self.steps.iter().any(|step| step.contains("it passes unchanged to the other trunks of ")) {
            return;
        }
        for output in &view.outputs {
            let step = match output {
                TraceOutput::Port { port, .. } => format!("it leaves by {port}"),
                TraceOutput::Host { host, .. } => format!("it leaves for host {host}"),
            };
            assert!(self.steps.iter().any(|said| said.starts_with(&step)), "{step}: {self:?}");
        }
    }

    /// Each copy is the frame with other tags in front, and has those tags.
    fn check_copies(&self, topology: &Arc<Topology>) {
        for output in &self.verdict.outputs {
            let (pop, push) = (usize::from(output.edit.pop), &output.edit.push);
            assert!(pop <= self.header.tags.len(), "{self:?}: {output:?}");
            let copy = rewrite(self.bytes, pop, push).expect("its tags are there");
            assert_eq!(copy.len() + pop * Tag::LEN, self.bytes.len() + push.len() * Tag::LEN);
            assert_eq!(copy[..12], self.bytes[..12], "{self:?}: {output:?}");
            let header = match Header::parse(&copy) {
                Ok(header) => header,
                // The payload began with a tag that is cut, and this copy shows it.
                Err(_) if pop > push.len() && Tpid::from_ether_type(self.header.ether_type).is_some() => {
                    continue;
                }
                Err(error) => panic!("{error}: {self:?}"),
            };
            let expected = output.edit.applied_to(&self.header);
            let seen = expected.len().min(header.tags.len());
            assert_eq!(header.tags[..seen], expected[..seen], "{self:?}: {output:?}");
            assert!(header.tags.len() >= expected.len().min(2), "{self:?}: {output:?}");
            assert!(push.iter().all(|tag| tag.vid().is_some() || tag.is_priority()), "{self:?}: {output:?}");
            if let Egress::Port(port) = output.to {
                assert_eq!(topology.port(port).host, topology.port(self.port).host, "{self:?}");
            }
        }
    }

    /// Frames that the verdict cannot tell from this one come to the same end.
    fn check_twins(&self, switch: &Switch, now: Instant) {
        for twin in twins(&self.header) {
            if self.verdict.consulted.agree(&self.header, &twin) {
                let judged = judge(switch, now, self.port, &twin);
                assert_eq!(judged.decision, self.verdict.decision, "{self:?}\ntwin {twin:?}");
                assert_eq!(judged.outputs, self.verdict.outputs, "{self:?}\ntwin {twin:?}");
            }
        }
    }

    /// The verdict as an order to a datapath, and as a flow for the upcall of the frame: the copies that leave are those of the verdict.
    fn check_flow(&self, topology: &Arc<Topology>) {
        let wire = FakeWire::new(Options::default());
        let mut datapath = FakeDatapath::open(&wire);
        for port in topology.ports() {
            wire.add_link(&link(port.id));
            let attach = datapath.attach(&link(port.id)).now_or_never().expect("at once");
            assert_eq!(attach.expect("a link of the wire").no, vport(port.id));
        }
        let actions = lower(&self.verdict.outputs, &[], &|port| Some(vport(port)));
        let order = Execute {
            vport: Some(vport(self.port)),
            frame: self.bytes.to_vec(),
            actions: actions.clone(),
            hash: None,
        };
        let done = datapath.execute(vec![order]).now_or_never().expect("at once");
        assert!(done.iter().all(Result::is_ok), "{done:?}: {self:?}");
        self.expect_sent(&wire, topology, true);
        wire.inject(&link(self.port), self.bytes);
        self.put_flow(&mut datapath, actions);
        wire.inject(&link(self.port), self.bytes);
        self.expect_sent(&wire, topology, false);
        assert!(datapath.upcalls(1).now_or_never().is_none(), "{self:?}: its flow does not take it");
        assert_eq!(wire.faults(), Vec::<String>::new(), "{self:?}");
    }

    fn put_flow(&self, datapath: &mut FakeDatapath, actions: Vec<Action>) {
        let upcalls =
            datapath.upcalls(2).now_or_never().expect("no flow takes it").expect("nobody else listens");
        assert_eq!(upcalls.len(), 1, "{self:?}");
        let key = upcalls[0].key.clone().expect("a frame with a header has a key");
        assert_eq!((key.vport, &key.header), (vport(self.port), &self.header));
        let put = FlowChange::Put { id: FlowId(1), key, mask: self.verdict.consulted, actions };
        let answers = datapath.change_flows(vec![put]).now_or_never().expect("at once");
        assert!(answers.iter().all(Result::is_ok), "{answers:?}: {self:?}");
    }

    fn expect_sent(&self, wire: &FakeWire, topology: &Arc<Topology>, may_pad: bool) {
        for port in topology.ports() {
            let to_port = self.verdict.outputs.iter().filter(|output| output.to == Egress::Port(port.id));
            let copy = |edit: &vlan::verdict::Edit| {
                rewrite(self.bytes, usize::from(edit.pop), &edit.push).expect("its tags are there")
            };
            // Where VIDs are joined, two copies may leave by one port.
            let mut expected: Vec<Vec<u8>> = to_port.map(|output| copy(&output.edit)).collect();
            let mut sent = wire.sent(&link(port.id));
            expected.sort();
            sent.sort();
            assert_eq!(sent.len(), expected.len(), "{self:?}: copies by {}", port.name);
            for (sent, expected) in sent.iter().zip(&expected) {
                let (whole, pad) = sent.split_at_checked(expected.len()).expect("nothing is cut off");
                assert_eq!(whole, expected, "{self:?}: by {}", port.name);
                let is_pad = pad.iter().all(|byte| *byte == 0) && pad.len() <= SHORTEST + 2 * Tag::LEN;
                assert!(pad.is_empty() || may_pad && is_pad, "{self:?}: by {}: {}", port.name, hex(sent));
            }
        }
    }
}

fn judge(switch: &Switch, now: Instant, port: PortId, header: &Header) -> Verdict {
    let mut verdict = Verdict::default();
    switch.judge(now, port, header, &mut verdict, &mut Silent);
    verdict
}

/// The header with one field changed.
fn twins(header: &Header) -> Vec<Header> {
    let changed = |change: &dyn Fn(&mut Header)| {
        let mut twin = header.clone();
        change(&mut twin);
        twin
    };
    let mut all = vec![changed(&|twin| twin.dst.0[5] ^= 1), changed(&|twin| twin.dst.0[0] ^= 1)];
    all.extend([0x0806, 0x88cc, 0x88b5, 0x9100, 0].map(|other| changed(&|twin| twin.ether_type = other)));
    for depth in 0..header.tags.len() {
        for bits in [0x2000, 0x8000, 0x1000, 0x0001, 0x0800] {
            all.push(changed(&|twin| {
                twin.tags[depth] = Tag::from_wire(twin.tags[depth].tpid(), twin.tags[depth].tci() ^ bits);
            }));
        }
    }
    all
}

fn link(port: PortId) -> String {
    format!("link{}", port.0)
}

/// The fake gives numbers in the order of attaching, from 1.
fn vport(port: PortId) -> VportNo {
    VportNo(port.0 + 1)
}

/// Destination, source and EtherType (802.3 3.1.1).
const ETHERNET_HEADER: usize = 14;
/// The shortest frame without FCS (802.3 4A.4.2).
const SHORTEST: usize = 60;

//! Frames of the suite, and the few steps that most cases begin with.

use std::time::Duration;

use datapath::flow::{Action, FlowChange, FlowId};
use datapath::port::VportNo;
use datapath::{Datapath, FlowTable, Refusal, Upcall};
use vlan::tag::{Pcp, Tag, Tpid};
use vlan::verdict::{Consulted, TagFields};
use vlan::vid::Vid;

use super::Rig;
use crate::lab::frames::{EXPERIMENTAL, Frame, Mac};

/// The source of most frames.
pub const NEAR: Mac = [2, 0, 0, 0, 0, 1];

/// The destination of most frames.
pub const FAR: Mac = [2, 0, 0, 0, 0, 2];

/// Nothing but arrival port and source address.
pub const NARROWEST: Consulted = Consulted { dst: false, tags: [UNREAD; 2], ether_type: false, class: false };

/// Every field.
pub const WIDEST: Consulted = Consulted { dst: true, tags: [READ; 2], ether_type: true, class: false };

const UNREAD: TagFields = TagFields { presence: false, vid: false, pcp: false };
const READ: TagFields = TagFields { presence: true, vid: true, pcp: true };

/// An untagged frame whose payload tells it from others; 60 bytes, the shortest that a wire carries.
pub fn plain(text: &str) -> Vec<u8> {
    Frame::new(NEAR, FAR).payload(EXPERIMENTAL, &padded(text))
}

/// A tagged frame whose payload tells it from others; 64 bytes.
pub fn tagged(vid: u16, pcp: u8, text: &str) -> Vec<u8> {
    Frame::new(NEAR, FAR).tag(vid, pcp).payload(EXPERIMENTAL, &padded(text))
}

/// A frame from another address.
pub fn from(source: Mac, text: &str) -> Vec<u8> {
    Frame::new(source, FAR).payload(EXPERIMENTAL, &padded(text))
}

/// One of many locally administered unicast addresses.
pub fn address(number: usize) -> Mac {
    let [.., a, b, c] = number.to_be_bytes();
    [2, 0, 1, a, b, c]
}

/// A text as a payload of 46 bytes (802.3 3.2.8).
pub fn padded(text: &str) -> Vec<u8> {
    let mut payload = text.as_bytes().to_vec();
    payload.resize(payload.len().max(SHORTEST_PAYLOAD), 0);
    payload
}

/// A tag 0x8100.
pub fn tag(vid: u16, pcp: u8) -> Tag {
    let (Some(vid), Some(pcp)) = (Vid::new(vid), Pcp::new(pcp)) else {
        panic!("no tag {vid} with PCP {pcp}")
    };
    Tag::new(Tpid::Customer, vid, pcp)
}

/// What was granted; a refusal fails the case with its text.
pub fn granted<T>(result: Result<T, Refusal>) -> T {
    result.unwrap_or_else(|refusal| panic!("refused: {refusal}"))
}

/// What was refused.
pub fn refused<T: std::fmt::Debug>(result: Result<T, Refusal>) -> Refusal {
    match result {
        Ok(value) => panic!("not refused: {value:?}"),
        Err(refusal) => refusal,
    }
}

/// A datapath with these links as ports.
pub async fn open<B: Rig, const N: usize>(rig: &mut B, links: [&str; N]) -> (B::Datapath, [VportNo; N]) {
    rig.add_links(&links);
    let mut dp = granted(rig.open().await);
    let mut ports = [VportNo(0); N];
    for (port, link) in ports.iter_mut().zip(links) {
        *port = granted(dp.attach(link).await).no;
    }
    (dp, ports)
}

/// As many upcalls as this; waits for them.
pub async fn take_upcalls(dp: &mut impl Datapath, count: usize) -> Vec<Upcall> {
    let mut upcalls = Vec::new();
    while upcalls.len() < count {
        let Ok(more) = tokio::time::timeout(LONG, dp.upcalls(count - upcalls.len())).await else {
            panic!("{} upcalls within {LONG:?}, expected {count}", upcalls.len())
        };
        upcalls.extend(granted(more));
    }
    upcalls
}

/// Injects a frame that no flow takes, and takes its upcall.
pub async fn miss<B: Rig>(rig: &mut B, dp: &mut B::Datapath, link: &str, frame: &[u8]) -> Upcall {
    rig.inject(link, &[frame.to_vec()]);
    let upcall = take_upcalls(dp, 1).await.remove(0);
    assert_eq!(upcall.frame, frame, "the upcall of another frame");
    upcall
}

/// The change that puts a flow for frames like that of an upcall.
pub fn put(id: u128, upcall: &Upcall, mask: Consulted, actions: &[Action]) -> FlowChange {
    let key = upcall.key.clone().unwrap_or_else(|why| panic!("an upcall without a key: {why}"));
    FlowChange::Put { id: FlowId(id), key, mask, actions: actions.to_vec() }
}

/// The change that withdraws a flow.
pub fn delete(id: u128) -> FlowChange {
    FlowChange::Delete { id: FlowId(id) }
}

/// Makes changes that are all granted.
pub async fn change(dp: &mut impl FlowTable, changes: Vec<FlowChange>) {
    let count = changes.len();
    let outcomes = dp.change_flows(changes).await;
    assert_eq!(outcomes.len(), count, "one answer for each change");
    for outcome in outcomes {
        granted(outcome);
    }
}

/// Puts a flow for frames like this one, which no flow takes yet.
pub async fn learn<B: Rig>(
    rig: &mut B,
    dp: &mut B::Datapath,
    link: &str,
    frame: &[u8],
    flow: (u128, Consulted, &[Action]),
) -> Upcall {
    let upcall = miss(rig, dp, link, frame).await;
    let (id, mask, actions) = flow;
    change(dp, vec![put(id, &upcall, mask, actions)]).await;
    upcall
}

/// How many frames no flow took since the datapath was made.
pub async fn missed(dp: &mut impl Datapath) -> u64 {
    granted(dp.counters().await).missed
}

/// For what must come.
pub const LONG: Duration = Duration::from_secs(10);

const SHORTEST_PAYLOAD: usize = 46;

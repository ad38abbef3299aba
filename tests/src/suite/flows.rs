//! Flows: put, replaced, withdrawn, read back.

use std::time::Duration;

use datapath::flow::{Action, Flow, FlowChange, FlowId, FlowKey, FlowStats};
use datapath::port::VportNo;
use datapath::{Done, Execute, FlowTable, RefusalCause};
use vlan::verdict::Consulted;

use super::Rig;
use super::traffic::{
    FAR, NARROWEST, WIDEST, address, change, delete, from, granted, learn, miss, missed, open, padded, plain,
    put, tag, tagged, take_upcalls,
};
use crate::lab::frames::{EXPERIMENTAL, Frame, Tpid};

/// The second frame does not come up, and the flow counts it.
pub async fn a_flow_takes_frames_without_an_upcall<B: Rig>(rig: &mut B) {
    let (mut dp, [_, b]) = open(rig, ["a", "b"]).await;
    learn(rig, &mut dp, "a", &tagged(8, 5, "first"), (1, WIDEST, &[Action::Output(b)])).await;
    let unused = find(&granted(dp.flows().await), 1);
    assert_eq!((unused.stats.packets, unused.stats.used), (0, None));
    rig.inject("a", &[tagged(8, 5, "second"), tagged(8, 5, "third")]);
    assert_eq!(rig.sent("b"), [tagged(8, 5, "second"), tagged(8, 5, "third")]);
    assert_eq!(missed(&mut dp).await, 1);
    let stats = granted(dp.flow_stats().await);
    let [(id, stats)] = stats[..] else { panic!("{stats:?}") };
    assert_eq!((id, stats.packets, stats.bytes), (FlowId(1), 2, 128));
    let dumped = find(&granted(dp.flows().await), 1).stats;
    assert_eq!((dumped.packets, dumped.bytes), (stats.packets, stats.bytes));
    let [one, other] = [stats.used, dumped.used].map(|used| used.unwrap_or_else(|| panic!("never used")));
    assert!(one.since(other).max(other.since(one)) <= TICK, "{one} in the counters, {other} in the dump");
}

/// Each as it is now, in the order in which they were asked for.
pub async fn single_flows_tell_what_they_counted<B: Rig>(rig: &mut B) {
    let (mut dp, [_, b]) = open(rig, ["a", "b"]).await;
    learn(rig, &mut dp, "a", &plain("first"), (1, WIDEST, &[Action::Output(b)])).await;
    rig.inject("a", &[plain("second")]);
    learn(rig, &mut dp, "b", &plain("first"), (2, WIDEST, &[])).await;
    let [unused, none, used] = &dp.flow_stats_of([2, 9, 1].map(FlowId).to_vec()).await[..] else {
        panic!("three were asked for");
    };
    let count =
        |answer: &Result<_, datapath::Refusal>| answer.as_ref().map(|stats: &FlowStats| stats.packets).ok();
    assert_eq!((count(unused), count(used)), (Some(0), Some(1)));
    assert!(used.as_ref().is_ok_and(|stats| stats.used.is_some()), "{used:?}");
    assert!(none.as_ref().is_err_and(|refusal| refusal.cause == RefusalCause::NotFound), "{none:?}");
    assert_eq!(dp.flow_stats_of(Vec::new()).await, []);
}

/// Its frames come up again; withdrawing what is not there is no error.
pub async fn a_withdrawn_flow_is_gone<B: Rig>(rig: &mut B) {
    let (mut dp, [_, b]) = open(rig, ["a", "b"]).await;
    learn(rig, &mut dp, "a", &plain("first"), (1, WIDEST, &[Action::Output(b)])).await;
    change(&mut dp, vec![delete(1), delete(1), delete(2)]).await;
    assert_eq!(granted(dp.flows().await), []);
    miss(rig, &mut dp, "a", &plain("second")).await;
    assert_eq!(rig.sent("b"), [[0; 0]; 0]);
}

/// Other actions, the same counts: nothing was away in between.
pub async fn a_flow_is_replaced_in_place<B: Rig>(rig: &mut B) {
    let (mut dp, [_, b, c]) = open(rig, ["a", "b", "c"]).await;
    let upcall = learn(rig, &mut dp, "a", &plain("first"), (1, WIDEST, &[Action::Output(b)])).await;
    rig.inject("a", &[plain("to b")]);
    change(&mut dp, vec![put(1, &upcall, WIDEST, &[Action::Output(c)])]).await;
    rig.inject("a", &[plain("to c")]);
    assert_eq!((rig.sent("b"), rig.sent("c")), (vec![plain("to b")], vec![plain("to c")]));
    let flow = find(&granted(dp.flows().await), 1);
    assert_eq!((flow.actions, flow.stats.packets), (Some(vec![Action::Output(c)]), 2));
}

/// Of two flows for the same frames the later one is in force, under its own id, alone.
pub async fn the_same_masked_key_under_another_id_is_replaced<B: Rig>(rig: &mut B) {
    let (mut dp, [_, b, c]) = open(rig, ["a", "b", "c"]).await;
    let upcall = learn(rig, &mut dp, "a", &plain("first"), (1, NARROWEST, &[Action::Output(b)])).await;
    change(&mut dp, vec![put(2, &upcall, NARROWEST, &[Action::Output(c)])]).await;
    rig.inject("a", &[plain("second")]);
    assert_eq!((rig.sent("b"), rig.sent("c")), (vec![], vec![plain("second")]));
    let flows = granted(dp.flows().await);
    assert_eq!(flows.iter().map(|flow| flow.id).collect::<Vec<_>>(), [FlowId(2)]);
    assert_eq!(flows[0].actions, Some(vec![Action::Output(c)]));
    change(&mut dp, vec![delete(1)]).await;
    assert_eq!(granted(dp.flows().await).len(), 1, "the id that was replaced still names a flow");
}

/// Its old key is no longer taken.
pub async fn the_same_id_with_another_key_is_moved<B: Rig>(rig: &mut B) {
    let (mut dp, [_, b]) = open(rig, ["a", "b"]).await;
    let other = from(address(7), "other");
    learn(rig, &mut dp, "a", &plain("first"), (1, WIDEST, &[Action::Output(b)])).await;
    learn(rig, &mut dp, "a", &other, (1, WIDEST, &[Action::Output(b)])).await;
    miss(rig, &mut dp, "a", &plain("second")).await;
    rig.inject("a", std::slice::from_ref(&other));
    assert_eq!(rig.sent("b"), [other]);
    assert_eq!(granted(dp.flows().await).len(), 1);
}

/// A wider and a narrower mask, each as if it had been the first.
pub async fn the_same_id_with_another_mask_is_moved<B: Rig>(rig: &mut B) {
    let (mut dp, [_, b, c]) = open(rig, ["a", "b", "c"]).await;
    let upcall = learn(rig, &mut dp, "a", &tagged(8, 5, "first"), (1, WIDEST, &[Action::Output(b)])).await;
    miss(rig, &mut dp, "a", &tagged(8, 6, "misses the wide mask")).await;
    change(&mut dp, vec![put(1, &upcall, NARROWEST, &[Action::Output(c)])]).await;
    rig.inject("a", &[tagged(8, 6, "hits the narrow one")]);
    assert_eq!((rig.sent("b"), rig.sent("c")), (vec![], vec![tagged(8, 6, "hits the narrow one")]));
    let flow = find(&granted(dp.flows().await), 1);
    assert_eq!(flow.mask, Some(rig.effective_mask(&NARROWEST, &flow.key.header)));
    change(&mut dp, vec![put(1, &upcall, WIDEST, &[Action::Output(b)])]).await;
    miss(rig, &mut dp, "a", &tagged(8, 6, "misses again")).await;
    assert_eq!(granted(dp.flows().await).len(), 1);
}

/// An answer for each, in order, and the refusal names the flow.
pub async fn one_refused_change_stops_no_other<B: Rig>(rig: &mut B) {
    let (mut dp, [_, b]) = open(rig, ["a", "b"]).await;
    let first = miss(rig, &mut dp, "a", &plain("first")).await;
    let other = miss(rig, &mut dp, "a", &from(address(7), "other")).await;
    let mut broken = put(0xbad, &first, WIDEST, &[Action::Output(b)]);
    if let FlowChange::Put { key, .. } = &mut broken {
        *key = FlowKey { opaque: vec![1, 2, 3].into(), ..key.clone() };
    }
    let changes = vec![
        put(1, &first, WIDEST, &[Action::Output(b)]),
        broken,
        put(2, &other, WIDEST, &[Action::Output(b)]),
    ];
    let outcomes = dp.change_flows(changes).await;
    let [Ok(None), Err(refusal), Ok(None)] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert!(matches!(refusal.cause, RefusalCause::Kernel { errno: EINVAL, .. }), "{refusal}");
    assert!(
        refusal.to_string().starts_with("put flow 00000000000000000000000000000bad on vport"),
        "{refusal}"
    );
    assert_eq!(granted(dp.flows().await).len(), 2);
}

/// What comes later in a batch is in force.
pub async fn changes_of_one_flow_are_done_in_order<B: Rig>(rig: &mut B) {
    let (mut dp, [_, b, c]) = open(rig, ["a", "b", "c"]).await;
    let upcall = miss(rig, &mut dp, "a", &plain("first")).await;
    let to = |port| put(1, &upcall, WIDEST, &[Action::Output(port)]);
    change(&mut dp, vec![to(b), delete(1), to(b), to(c), delete(2), to(b), to(c)]).await;
    rig.inject("a", &[plain("second")]);
    assert_eq!((rig.sent("b"), rig.sent("c")), (vec![], vec![plain("second")]));
    change(&mut dp, vec![to(b), delete(1)]).await;
    assert_eq!(granted(dp.flows().await), []);
}

/// Flows and the frames that led to them at one go: an answer for each, whatever of it is refused, settled later or withdrawn.
pub async fn flows_and_their_frames_travel_together<B: Rig>(rig: &mut B) {
    let (mut dp, [a, b, c]) = open(rig, ["a", "b", "c"]).await;
    let first = learn(rig, &mut dp, "a", &plain("first"), (1, WIDEST, &[Action::Output(b)])).await;
    let other = miss(rig, &mut dp, "a", &from(address(7), "other")).await;
    rig.inject("a", &[plain("counted")]);
    assert_eq!(rig.sent("b").len(), 1);
    let order =
        |frame: Vec<u8>| Execute { vport: Some(a), frame, actions: vec![Action::Output(c)], hash: None };
    let to = |port| put(1, &first, WIDEST, &[Action::Output(port)]);
    let changes = vec![to(b), delete(1), to(c), put(2, &other, NARROWEST, &[Action::Output(b)])];
    let frames = [plain("one"), vec![0; 13], plain("two")].map(order);
    let Done::Each { flows, frames: sent } = dp.set_up(frames.to_vec(), changes).await else {
        panic!("one frame is refused, and one flow withdrawn")
    };
    let [Ok(None), Ok(Some(counted)), Ok(None), Ok(None)] = &flows[..] else { panic!("{flows:?}") };
    assert_eq!(counted.packets, 1);
    let [Ok(()), Err(short), Ok(())] = &sent[..] else { panic!("{sent:?}") };
    assert!(short.to_string().contains("of 13 bytes"), "{short}");
    assert_eq!(rig.sent("c"), [plain("one"), plain("two")]);
    rig.inject("a", &[plain("third"), from(address(7), "fourth")]);
    assert_eq!((rig.sent("c"), rig.sent("b")), (vec![plain("third")], vec![from(address(7), "fourth")]));
    match dp.set_up(vec![order(plain("alone"))], Vec::new()).await {
        Done::All => {}
        Done::Each { flows, frames } => assert_eq!((flows, frames), (vec![], vec![Ok(())])),
    }
    assert_eq!(rig.sent("c"), vec![plain("alone")]);
    let Done::Each { flows, frames } = dp.set_up(Vec::new(), vec![delete(1)]).await else {
        panic!("what a withdrawn flow counted is told")
    };
    assert_eq!((flows.len(), frames.len(), granted(dp.flows().await).len()), (1, 0, 1));
}

/// What a flow counted is told with the answer to its withdrawal, so that no frame of it is lost to the books.
pub async fn a_withdrawn_flow_tells_what_it_counted<B: Rig>(rig: &mut B) {
    let (mut dp, [_, b]) = open(rig, ["a", "b"]).await;
    let upcall = miss(rig, &mut dp, "a", &plain("first")).await;
    change(&mut dp, vec![put(1, &upcall, WIDEST, &[Action::Output(b)])]).await;
    rig.inject("a", &[plain("second"), plain("third")]);
    assert_eq!(rig.sent("b").len(), 2);
    let answers = dp.change_flows(vec![delete(2), delete(1), delete(1)]).await;
    let counted: Vec<_> =
        answers.into_iter().map(|answer| granted(answer).map(|stats| stats.packets)).collect();
    assert_eq!(counted, [None, Some(2), None]);
}

/// 1 024 flows are put, changed and withdrawn, each as one batch.
pub async fn a_thousand_changes_travel_in_one_batch<B: Rig>(rig: &mut B) {
    let (mut dp, [_, b, c]) = open(rig, ["a", "b", "c"]).await;
    let frames: Vec<_> = (0..BATCH).map(|n| from(address(n), "one of many")).collect();
    let mut upcalls = Vec::new();
    for some in frames.chunks(128) {
        rig.inject("a", some);
        upcalls.extend(take_upcalls(&mut dp, some.len()).await);
    }
    let all = |actions: &[Action]| -> Vec<_> {
        (0..).zip(&upcalls).map(|(id, upcall)| put(id, upcall, NARROWEST, actions)).collect()
    };
    change(&mut dp, all(&[Action::Output(b)])).await;
    let flows = granted(dp.flows().await);
    assert_eq!(flows.len(), BATCH);
    for frame in frames.chunks(128) {
        rig.inject("a", frame);
    }
    assert_eq!(rig.sent("b").len(), BATCH);
    change(&mut dp, all(&[Action::PopTag, Action::Output(c)])).await;
    let stats = granted(dp.flow_stats().await);
    assert_eq!(
        stats.iter().filter(|(_, stats)| stats.packets == 1).count(),
        BATCH,
        "each was replaced in place"
    );
    change(&mut dp, (0..BATCH).map(|id| delete(id as u128)).collect()).await;
    assert_eq!(granted(dp.flows().await), []);
}

/// Id, key, mask and actions of flows of every shape.
pub async fn a_dump_is_what_was_put<B: Rig>(rig: &mut B) {
    let (mut dp, [a, b]) = open(rig, ["a", "b"]).await;
    let mut expected = Vec::new();
    for (frame, mask, actions) in shapes(b) {
        let id = u128::MAX - expected.len() as u128;
        let upcall = learn(rig, &mut dp, "a", &frame, (id, mask, &actions)).await;
        expected.push((id, upcall, mask, actions));
    }
    let flows = granted(dp.flows().await);
    assert_eq!(flows.len(), expected.len());
    for (id, upcall, mask, actions) in expected {
        let flow = find(&flows, id);
        let put = upcall.key.unwrap_or_else(|why| panic!("{why}"));
        let mask = rig.effective_mask(&mask, &put.header);
        assert_eq!(flow.mask, Some(mask), "flow {id:x}");
        assert_eq!(flow.actions, Some(actions));
        assert_eq!((flow.key.vport, flow.key.recirc), (a, 0));
        let agree = mask.agree(&flow.key.header, &put.header);
        assert!(agree, "put {:?}, read back {:?}", put.header, flow.key.header);
    }
}

/// As reconciling does with what it finds: the flow is withdrawn and put again by what the dump said, and takes the same frames.
pub async fn a_dumped_key_is_taken_back<B: Rig>(rig: &mut B) {
    let (mut dp, [_, b]) = open(rig, ["a", "b"]).await;
    for (frame, mask, actions) in shapes(b) {
        learn(rig, &mut dp, "a", &frame, (1, mask, &actions)).await;
        rig.inject("a", std::slice::from_ref(&frame));
        let expected = rig.sent("b");
        let before = missed(&mut dp).await;
        let flow = find(&granted(dp.flows().await), 1);
        let again = FlowChange::Put { id: FlowId(2), key: flow.key, mask, actions };
        change(&mut dp, vec![again.clone()]).await;
        change(&mut dp, vec![delete(2), again]).await;
        rig.inject("a", std::slice::from_ref(&frame));
        assert_eq!(rig.sent("b"), expected, "mask {mask:?}, frame {frame:02x?}");
        assert_eq!(missed(&mut dp).await, before, "mask {mask:?}, frame {frame:02x?}");
        change(&mut dp, vec![delete(2)]).await;
    }
}

/// By the clock that `now` is of; a flow that was not hit has no such time.
pub async fn a_flow_remembers_its_last_hit<B: Rig>(rig: &mut B) {
    let (mut dp, [_, b]) = open(rig, ["a", "b"]).await;
    learn(rig, &mut dp, "a", &plain("first"), (1, WIDEST, &[Action::Output(b)])).await;
    rig.pass(Duration::from_millis(300)).await;
    let before = rig.now();
    rig.inject("a", &[plain("second")]);
    let after = rig.now();
    rig.pass(Duration::from_millis(300)).await;
    let used = granted(dp.flow_stats().await)[0].1.used.unwrap_or_else(|| panic!("never used"));
    let (early, late) = (before.since(used), used.since(after));
    assert!(early <= TICK && late <= TICK, "used {used:?}, hit between {before:?} and {after:?}");
}

/// Frames, masks and actions such that each differs from the others in shape, and in its source.
fn shapes(b: VportNo) -> Vec<(Vec<u8>, Consulted, Vec<Action>)> {
    let tagged: [fn(Frame) -> Frame; 4] = [
        |frame| frame,
        |frame| frame.tag(8, 5),
        |frame| frame.tag_as(Tpid::Service, 100, 3).tag(8, 5),
        |frame| frame.tag(8, 5).tag(9, 6).tag(10, 7),
    ];
    let (push, out) = (Action::PushTag(tag(7, 2)), Action::Output(b));
    let mut outer_vid = NARROWEST;
    outer_vid.tag_vid(0);
    let mut inner_priority = NARROWEST;
    inner_priority.tag_pcp(1);
    let verdicts = [
        (NARROWEST, vec![out.clone()]),
        (outer_vid, vec![push.clone(), out.clone()]),
        (inner_priority, vec![Action::Clone(vec![push, out.clone()]), out.clone()]),
        (WIDEST, vec![]),
    ];
    let mut shapes = Vec::new();
    for tagged in tagged {
        for (mask, actions) in &verdicts {
            let frame =
                tagged(Frame::new(address(shapes.len()), FAR)).payload(EXPERIMENTAL, &padded("shape"));
            shapes.push((frame, *mask, actions.clone()));
        }
    }
    for mask in [outer_vid, WIDEST] {
        let source = |number| Frame::new(address(100 + shapes.len() + number), FAR);
        let packets = [
            source(0).tag(8, 1).udp4(([10, 0, 0, 1].into(), 1), ([10, 0, 0, 2].into(), 2), b"datagram"),
            source(1).arp_request([10, 0, 0, 1].into(), [10, 0, 0, 2].into()),
            source(2).tag(8, 0).llc(&[0x42, 0x42, 3, 0, 0]),
            source(3).ipv6([0; 16].into(), [1; 16].into(), 253, b"of a protocol without ports"),
        ];
        let out = || vec![Action::Output(b)];
        shapes.extend(packets.into_iter().map(|frame| (frame, mask, out())));
    }
    shapes
}

fn find(flows: &[Flow], id: u128) -> Flow {
    let found = flows.iter().find(|flow| flow.id == FlowId(id));
    found.unwrap_or_else(|| panic!("no flow {id:x} among {flows:?}")).clone()
}

/// The largest batch of the engine.
const BATCH: usize = 1_024;

/// A kernel counts time in ticks, 10 ms where CONFIG_HZ is 100.
const TICK: Duration = Duration::from_millis(21);

const EINVAL: i32 = 22;

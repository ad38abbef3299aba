//! Actions on frames, in flows and in `execute`.

use datapath::flow::Action;
use datapath::port::VportNo;
use datapath::{Datapath, Execute, RefusalCause};
use vlan::tag::{Tag, Tpid};

use super::Rig;
use super::traffic::{
    FAR, NARROWEST, NEAR, change, delete, granted, learn, open, padded, plain, tag, tagged,
};
use crate::lab::frames::{EXPERIMENTAL, Frame, Tpid as WireTpid};

/// Each list of actions, by a flow and by `execute`, makes of a frame what it says.
pub async fn tags_are_pushed_and_popped<B: Rig>(rig: &mut B) {
    let (mut dp, [a, b]) = open(rig, ["a", "b"]).await;
    let out = Action::Output(b);
    let service = Tag::from_wire(Tpid::Service, 0x6064);
    let double = |text: &str| {
        Frame::new(NEAR, FAR).tag_as(WireTpid::Service, 100, 3).tag(8, 5).payload(EXPERIMENTAL, &padded(text))
    };
    let cases: Vec<(Vec<u8>, Vec<Action>, Vec<u8>)> = vec![
        (plain("as is"), vec![], plain("as is")),
        (tagged(8, 5, "as is"), vec![], tagged(8, 5, "as is")),
        (double("as is"), vec![], double("as is")),
        (plain("push"), vec![Action::PushTag(tag(8, 5))], tagged(8, 5, "push")),
        (plain("push two"), vec![Action::PushTag(tag(8, 5)), Action::PushTag(service)], double("push two")),
        (tagged(8, 5, "push"), vec![Action::PushTag(service)], double("push")),
        (tagged(8, 5, &"pop".repeat(30)), vec![Action::PopTag], plain(&"pop".repeat(30))),
        (double("pop"), vec![Action::PopTag], tagged(8, 5, "pop")),
        (double(&"pop two".repeat(9)), vec![Action::PopTag; 2], plain(&"pop two".repeat(9))),
        (tagged(8, 5, "another"), vec![Action::PopTag, Action::PushTag(tag(9, 5))], tagged(9, 5, "another")),
        (plain("VID 0"), vec![Action::PushTag(tag_word(0xe000))], tagged(0, 7, "VID 0")),
    ];
    for (frame, mut actions, expected) in cases {
        actions.push(out.clone());
        learn(rig, &mut dp, "a", &frame, (1, NARROWEST, &actions)).await;
        rig.inject("a", std::slice::from_ref(&frame));
        assert_eq!(rig.sent("b"), std::slice::from_ref(&expected), "a flow with {actions:?}");
        change(&mut dp, vec![delete(1)]).await;
        for vport in [None, Some(a)] {
            execute(&mut dp, vport, &frame, &actions).await;
            assert_eq!(
                rig.sent("b"),
                std::slice::from_ref(&expected),
                "execute with {actions:?} from {vport:?}"
            );
        }
    }
    assert_eq!(rig.faults(), [""; 0]);
}

/// What is done to a copy is not done to the frame, at any depth.
pub async fn a_clone_leaves_the_frame_as_it_was<B: Rig>(rig: &mut B) {
    let (mut dp, [_, b, c]) = open(rig, ["a", "b", "c"]).await;
    let inner = vec![Action::PushTag(tag(7, 0)), Action::Output(c)];
    let actions = [
        Action::Clone(vec![Action::PopTag, Action::Clone(inner), Action::Output(b)]),
        Action::Output(c),
        Action::Clone(vec![Action::PushTag(tag(9, 1)), Action::Output(b)]),
        Action::Output(b),
    ];
    let text = "long enough to need no padding when the tag is off";
    let frame = tagged(8, 5, text);
    learn(rig, &mut dp, "a", &frame, (1, NARROWEST, &actions)).await;
    rig.inject("a", std::slice::from_ref(&frame));
    let double = Frame::new(NEAR, FAR).tag(9, 1).tag(8, 5).payload(EXPERIMENTAL, &padded(text));
    assert_eq!(rig.sent("b"), [plain(text), double, frame.clone()]);
    assert_eq!(rig.sent("c"), [tagged(7, 0, text), frame]);
}

/// Without an upcall: a drop is a verdict too.
pub async fn an_empty_list_drops<B: Rig>(rig: &mut B) {
    let (mut dp, [_, _]) = open(rig, ["a", "b"]).await;
    learn(rig, &mut dp, "a", &plain("first"), (1, NARROWEST, &[])).await;
    rig.inject("a", &[plain("second")]);
    assert_eq!(rig.sent("b"), [[0; 0]; 0]);
    let stats = granted(datapath::FlowTable::flow_stats(&mut dp).await);
    assert_eq!(stats[0].1.packets, 1);
}

/// A tag that is not rewritten keeps it everywhere; one that is, where the backend says so.
pub async fn a_tag_keeps_its_dei_by_capability<B: Rig>(rig: &mut B) {
    let (mut dp, [_, b]) = open(rig, ["a", "b"]).await;
    let eligible =
        |vid: u16| Frame::new(NEAR, FAR).tag_raw(0x8100, 0x1000 | vid).payload(EXPERIMENTAL, &padded("dei"));
    let out = Action::Output(b);
    learn(rig, &mut dp, "a", &eligible(8), (1, NARROWEST, std::slice::from_ref(&out))).await;
    rig.inject("a", &[eligible(8)]);
    assert_eq!(rig.sent("b"), [eligible(8)], "not rewritten");
    change(&mut dp, vec![delete(1)]).await;
    let rewrite = [Action::PopTag, Action::PushTag(tag(9, 0)), out];
    learn(rig, &mut dp, "a", &eligible(8), (1, NARROWEST, &rewrite)).await;
    rig.inject("a", &[eligible(8)]);
    let keeps = dp.capabilities().keeps_dei;
    assert_eq!(
        rig.sent("b"),
        [if keeps { eligible(9) } else { tagged(9, 0, "dei") }],
        "keeps_dei is {keeps}"
    );
}

/// A pop by a flow leaves 60 bytes, the new ones zeros, or exactly the tag less, without foreign bytes.
pub async fn short_frames_are_padded_by_capability<B: Rig>(rig: &mut B) {
    let (mut dp, [_, b]) = open(rig, ["a", "b"]).await;
    let payload = [0xaa; 42];
    let frame = Frame::new(NEAR, FAR).tag(8, 0).payload(EXPERIMENTAL, &payload);
    assert_eq!(frame.len(), 60);
    learn(rig, &mut dp, "a", &frame, (1, NARROWEST, &[Action::PopTag, Action::Output(b)])).await;
    rig.inject("a", &[frame]);
    let mut expected = Frame::new(NEAR, FAR).payload(EXPERIMENTAL, &payload);
    if dp.capabilities().pads {
        expected.resize(60, 0);
    }
    assert_eq!(rig.sent("b"), [expected], "pads is {}", dp.capabilities().pads);
}

/// Also across ports and calls.
pub async fn executed_frames_go_out_in_order<B: Rig>(rig: &mut B) {
    let (mut dp, [a, b]) = open(rig, ["a", "b"]).await;
    let frames: Vec<_> = (0..200).map(|n| plain(&n.to_string())).collect();
    for some in frames.chunks(64) {
        let order = |frame: &Vec<u8>| Execute {
            hash: None,
            vport: Some(a),
            frame: frame.clone(),
            actions: vec![Action::Output(b), Action::Output(a)],
        };
        dp.execute(some.iter().map(order).collect()).await.into_iter().for_each(granted);
    }
    assert_eq!(rig.sent("b"), frames);
    assert_eq!(rig.sent("a"), frames);
    assert_eq!(granted(dp.counters().await).missed, 0, "what is executed is looked up nowhere");
}

/// Whatever flows do: a frame that is popped on its way has 60 bytes at least, the new ones zeros.
pub async fn an_executed_frame_is_padded<B: Rig>(rig: &mut B) {
    let (mut dp, [_, b, c]) = open(rig, ["a", "b", "c"]).await;
    let payload = [0xaa; 30];
    let frame = Frame::new(NEAR, FAR).tag(8, 0).payload(EXPERIMENTAL, &payload);
    execute(&mut dp, None, &frame, &[Action::PopTag, Action::Output(b)]).await;
    let mut popped = Frame::new(NEAR, FAR).payload(EXPERIMENTAL, &payload);
    popped.resize(60, 0);
    assert_eq!(rig.sent("b"), [popped.clone()]);
    execute(&mut dp, None, &frame, &[Action::Output(c)]).await;
    assert_eq!(rig.sent("c"), std::slice::from_ref(&frame), "what is not popped is as it was");
    let mixed = [Action::Clone(vec![Action::PopTag, Action::Output(b)]), Action::Output(c)];
    execute(&mut dp, None, &frame, &mixed).await;
    let mut with_zeros = frame;
    with_zeros.resize(64, 0);
    assert_eq!(rig.sent("b"), [popped]);
    assert_eq!(rig.sent("c"), [with_zeros], "the zeros are in every copy");
}

/// Too short for addresses and type, or too long for a message.
pub async fn a_refused_frame_stops_no_other<B: Rig>(rig: &mut B) {
    let (mut dp, [_, b]) = open(rig, ["a", "b"]).await;
    let order = |frame: Vec<u8>| Execute { vport: None, frame, actions: vec![Action::Output(b)], hash: None };
    let batch = [plain("first"), vec![0; 13], vec![], vec![0; 70_000], plain("last")].map(order);
    let outcomes = dp.execute(batch.to_vec()).await;
    let [Ok(()), Err(short), Err(empty), Err(long), Ok(())] = &outcomes[..] else { panic!("{outcomes:?}") };
    for (refusal, len) in [(short, 13), (empty, 0), (long, 70_000)] {
        assert!(refusal.to_string().contains(&format!("of {len} bytes")), "{refusal}");
        assert!(matches!(refusal.cause, RefusalCause::Kernel { .. }), "{refusal}");
    }
    assert_eq!(rig.sent("b"), [plain("first"), plain("last")]);
}

/// Half of the ports get the frame with a tag, half without, each once.
pub async fn a_flood_reaches_three_hundred_ports<B: Rig>(rig: &mut B) {
    let links: Vec<String> = (0..FLOOD).map(|n| format!("p{n}")).collect();
    let names: Vec<&str> = links.iter().map(String::as_str).collect();
    let (mut dp, [_]) = open(rig, ["a"]).await;
    rig.add_links(&names);
    let mut ports = Vec::new();
    for link in &names {
        ports.push(granted(dp.attach(link).await).no);
    }
    let (bare, with_tag) = ports.split_at(FLOOD / 2);
    let outputs = |ports: &[VportNo]| ports.iter().map(|port| Action::Output(*port)).collect::<Vec<_>>();
    let mut actions = outputs(bare);
    actions.push(Action::Clone([vec![Action::PushTag(tag(8, 5))], outputs(with_tag)].concat()));
    learn(rig, &mut dp, "a", &plain("first"), (1, NARROWEST, &actions)).await;
    rig.inject("a", &[plain("flood")]);
    execute(&mut dp, None, &plain("executed"), &actions).await;
    for (number, link) in names.iter().enumerate() {
        let expected = match number < FLOOD / 2 {
            true => ["flood", "executed"].map(plain),
            false => ["flood", "executed"].map(|text| tagged(8, 5, text)),
        };
        assert_eq!(rig.sent(link), expected, "link {link}");
    }
    let flow = granted(datapath::FlowTable::flows(&mut dp).await).remove(0);
    assert_eq!(flow.actions, Some(actions), "a list of {FLOOD} outputs is read back whole");
}

async fn execute(dp: &mut impl Datapath, vport: Option<VportNo>, frame: &[u8], actions: &[Action]) {
    let order = Execute { vport, frame: frame.to_vec(), actions: actions.to_vec(), hash: None };
    dp.execute(vec![order]).await.into_iter().for_each(granted);
}

fn tag_word(tci: u16) -> Tag {
    Tag::from_wire(Tpid::Customer, tci)
}

const FLOOD: usize = 300;

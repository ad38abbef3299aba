//! Groups: copies that many flows share, most of them to other hosts.

use datapath::flow::{Action, MeterId, MeterRate};
use datapath::tunnel::GroupId;
use datapath::{Datapath, Execute, FlowTable, RefusalCause};

use super::Rig;
use super::pair::Pair;
use super::traffic::{
    WIDEST, address, change, from, granted, learn, miss, plain, put, refused, tag, tagged, take_upcalls,
};
use super::tunnels::{open_both, open_near, to_far, to_vtep};

/// One copy for each host, each with its own VNI and class, and one for each link before the group and behind it.
pub async fn a_group_sends_one_copy_to_each<P: Pair>(pair: &mut P) {
    let [mut near, mut far] = open_both(pair).await;
    let steps = vec![to_far(pair, 8, 5), to_vtep(pair, 9, 3)];
    granted(near.dp.set_group(GROUP, steps.clone()).await);
    let actions =
        [Action::Output(near.b), Action::Group(GROUP), Action::PushTag(tag(8, 5)), Action::Output(near.b)];
    learn(pair.near(), &mut near.dp, "a", &plain("first"), (1, WIDEST, &actions)).await;
    let frames: Vec<_> = (0..20).map(|number| plain(&number.to_string())).collect();
    pair.near().inject("a", &frames);
    let received = pair.vtep_received();
    assert!(received.iter().all(|packet| (packet.vni, packet.class) == (9, 3)), "{received:?}");
    assert_eq!(received.into_iter().map(|packet| packet.frame).collect::<Vec<_>>(), frames);
    let upcalls = take_upcalls(&mut far.dp, 20).await;
    assert_eq!(upcalls.iter().map(|upcall| upcall.frame.clone()).collect::<Vec<_>>(), frames);
    let tunnel = upcalls[0].key.as_ref().ok().and_then(|key| key.tunnel);
    assert_eq!(tunnel.map(|tunnel| (tunnel.vni, tunnel.class)), Some((8, 5)));
    let sent = pair.near().sent("b");
    let both = |number: usize| [plain(&number.to_string()), tagged(8, 5, &number.to_string())];
    assert_eq!(sent, (0..20).flat_map(both).collect::<Vec<_>>());
    assert_eq!(granted(near.dp.flows().await)[0].actions.as_deref(), Some(&actions[..]));
    assert_eq!(granted(near.dp.groups().await), [(GROUP, Some(steps))]);
}

/// What a group does to a frame is done to its copy: outside and behind it the frame is as it was, and the group gets it as it is there.
pub async fn a_group_takes_a_copy<P: Pair>(pair: &mut P) {
    let mut near = open_near(pair).await;
    let steps = vec![
        Action::PushTag(tag(9, 0)),
        to_vtep(pair, 1, 0),
        Action::PopTag,
        Action::Clone(vec![Action::PushTag(tag(10, 0)), to_vtep(pair, 2, 0)]),
        Action::Output(near.b),
        to_vtep(pair, 3, 0),
    ];
    granted(near.dp.set_group(GROUP, steps).await);
    let actions = [Action::PopTag, Action::Group(GROUP), to_vtep(pair, 4, 0)];
    learn(pair.near(), &mut near.dp, "a", &tagged(8, 5, "frame"), (1, WIDEST, &actions)).await;
    pair.near().inject("a", &[tagged(8, 5, "frame")]);
    let mut received: Vec<_> =
        pair.vtep_received().into_iter().map(|packet| (packet.vni, packet.frame)).collect();
    // What is behind a group may leave before the group's copies do.
    received.sort();
    let expected =
        [(1, tagged(9, 0, "frame")), (2, tagged(10, 0, "frame")), (3, plain("frame")), (4, plain("frame"))];
    assert_eq!(received, expected);
    assert_eq!(pair.near().sent("b"), [plain("frame")]);
}

/// The flows that name it send by it what it is now, and count on.
pub async fn a_group_is_replaced_in_place<P: Pair>(pair: &mut P) {
    let [mut near, mut far] = open_both(pair).await;
    granted(near.dp.set_group(GROUP, vec![to_vtep(pair, 8, 0)]).await);
    granted(near.dp.set_group(OTHER, vec![to_vtep(pair, 9, 0)]).await);
    for (id, source) in [(1, 1), (2, 2)] {
        let frame = from(address(source), "first");
        learn(pair.near(), &mut near.dp, "a", &frame, (id, WIDEST, &[Action::Group(GROUP)])).await;
    }
    let both = [from(address(1), "one"), from(address(2), "other")];
    pair.near().inject("a", &both);
    assert_eq!(pair.vtep_received().iter().map(|packet| packet.vni).collect::<Vec<_>>(), [8, 8]);
    granted(near.dp.set_group(GROUP, vec![to_far(pair, 8, 0)]).await);
    pair.near().inject("a", &both);
    assert_eq!(pair.vtep_received(), []);
    assert_eq!(
        take_upcalls(&mut far.dp, 2).await.into_iter().map(|upcall| upcall.frame).collect::<Vec<_>>(),
        both
    );
    granted(near.dp.set_group(GROUP, Vec::new()).await);
    pair.near().inject("a", &both);
    granted(near.dp.set_group(GROUP, vec![to_vtep(pair, 10, 0), Action::Output(near.b)]).await);
    pair.near().inject("a", &both);
    assert_eq!(pair.vtep_received().iter().map(|packet| packet.vni).collect::<Vec<_>>(), [10, 10]);
    assert_eq!(pair.near().sent("b"), both);
    let stats = granted(near.dp.flow_stats().await);
    assert_eq!(stats.iter().map(|(_, stats)| stats.packets).collect::<Vec<_>>(), [4, 4]);
    assert_eq!(granted(near.dp.groups().await).len(), 2);
    granted(near.dp.delete_group(OTHER).await);
    granted(near.dp.delete_group(OTHER).await);
    let groups = granted(near.dp.groups().await);
    assert_eq!(groups, [(GROUP, Some(vec![to_vtep(pair, 10, 0), Action::Output(near.b)]))]);
}

/// Before it, it stops all its copies, and what is behind it; inside, its copies alone.
pub async fn a_meter_before_a_group_stops_it<P: Pair>(pair: &mut P) {
    let mut near = open_near(pair).await;
    granted(near.dp.set_meter(METER, MeterRate { packets_per_second: 1, burst: 5 }).await);
    granted(near.dp.set_group(GROUP, vec![to_vtep(pair, 8, 0), to_vtep(pair, 9, 0)]).await);
    let actions = [Action::Meter(METER), Action::Group(GROUP), Action::Output(near.b)];
    let upcall = learn(pair.near(), &mut near.dp, "a", &plain("first"), (1, WIDEST, &actions)).await;
    let frames: Vec<_> = (0..50).map(|number| plain(&number.to_string())).collect();
    pair.near().inject("a", &frames);
    let passed = pair.near().sent("b").len();
    // One more for each second that this takes.
    assert!((5..8).contains(&passed), "{passed} of 50 passed, with a burst of 5 and one a second");
    assert_eq!(pair.vtep_received().len(), 2 * passed);
    assert_eq!(granted(near.dp.meter_stats(METER).await).packets, 50);
    granted(near.dp.set_meter(METER, MeterRate { packets_per_second: 1, burst: 5 }).await);
    granted(near.dp.set_group(GROUP, vec![Action::Meter(METER), to_vtep(pair, 8, 0)]).await);
    change(&mut near.dp, vec![put(1, &upcall, WIDEST, &actions[1..])]).await;
    pair.near().inject("a", &frames);
    assert_eq!(pair.near().sent("b").len(), 50, "what is behind the group goes on");
    let passed = pair.vtep_received().len();
    assert!((5..8).contains(&passed), "{passed} of 50 passed inside the group");
}

/// By whatever sends it: a flow, a clone in one, a check of the length, and the daemon.
pub async fn a_group_is_named_from_anywhere<P: Pair>(pair: &mut P) {
    let mut near = open_near(pair).await;
    granted(near.dp.set_group(GROUP, vec![to_vtep(pair, 8, 0)]).await);
    let group = || vec![Action::Group(GROUP)];
    let ways = [
        group(),
        vec![Action::Clone(group()), Action::Output(near.b)],
        vec![Action::IfFits { mtu: 1_000, fits: group(), longer: Vec::new() }, Action::Output(near.b)],
    ];
    let upcall = miss(pair.near(), &mut near.dp, "a", &plain("first")).await;
    for actions in ways {
        change(&mut near.dp, vec![put(1, &upcall, WIDEST, &actions)]).await;
        pair.near().inject("a", &[plain("by a flow")]);
        let (vport, frame, hash) = (Some(upcall.vport), plain("executed"), upcall.hash);
        let order = Execute { vport, frame, actions: actions.clone(), hash };
        near.dp.execute(vec![order]).await.into_iter().for_each(granted);
        let received: Vec<_> = pair.vtep_received().into_iter().map(|packet| packet.frame).collect();
        assert_eq!(received, [plain("by a flow"), plain("executed")], "{actions:?}");
        assert_eq!(pair.near().sent("b").len(), if actions.len() > 1 { 2 } else { 0 });
        assert_eq!(granted(near.dp.flows().await)[0].actions, Some(actions));
    }
}

/// Its number is one that there may be, and it names no group, itself included, however deep inside.
pub async fn a_group_that_may_not_be_is_refused<P: Pair>(pair: &mut P) {
    let mut near = open_near(pair).await;
    let nested = |id| {
        vec![Action::Clone(vec![Action::IfFits { mtu: 100, fits: vec![], longer: vec![Action::Group(id)] }])]
    };
    granted(near.dp.set_group(OTHER, vec![to_vtep(pair, 8, 0)]).await);
    for (id, steps) in [
        (GroupId(0), Vec::new()),
        (GroupId(1 << 24), Vec::new()),
        (GROUP, vec![Action::Group(OTHER)]),
        (GROUP, vec![Action::Group(GROUP)]),
        (GROUP, nested(OTHER)),
    ] {
        let refusal = refused(near.dp.set_group(id, steps).await);
        assert!(matches!(refusal.cause, RefusalCause::Kernel { errno: EINVAL, .. }), "{refusal}");
        assert!(refusal.to_string().contains(&format!("{id}")), "{refusal}");
    }
    granted(near.dp.set_group(LAST, Vec::new()).await);
    let groups = granted(near.dp.groups().await);
    assert_eq!(groups, [(OTHER, Some(vec![to_vtep(pair, 8, 0)])), (LAST, Some(Vec::new()))]);
}

/// As many hosts as a large network has.
pub async fn a_group_reaches_three_hundred<P: Pair>(pair: &mut P) {
    let mut near = open_near(pair).await;
    let steps: Vec<Action> = (1..=300).map(|vni| to_vtep(pair, vni, 0)).collect();
    granted(near.dp.set_group(GROUP, steps.clone()).await);
    learn(pair.near(), &mut near.dp, "a", &plain("first"), (1, WIDEST, &[Action::Group(GROUP)])).await;
    pair.near().inject("a", &[plain("frame")]);
    let received: Vec<_> = pair.vtep_received().into_iter().map(|packet| packet.vni).collect();
    assert_eq!(received, (1..=300).collect::<Vec<u32>>());
    assert_eq!(granted(near.dp.groups().await), [(GROUP, Some(steps))]);
}

const GROUP: GroupId = GroupId(7);
const OTHER: GroupId = GroupId(8);
/// The highest that there may be.
const LAST: GroupId = GroupId((1 << 24) - 1);

const METER: MeterId = MeterId(3);

const EINVAL: i32 = 22;

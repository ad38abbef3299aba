//! Owners come and go; the datapath stays until it is removed.

use datapath::flow::{Action, FlowId, MeterId, MeterRate};
use datapath::{Datapath, Execute, FlowTable, RefusalCause};

use super::Rig;
use super::traffic::{
    LONG, NARROWEST, WIDEST, address, change, delete, from, granted, learn, miss, open, plain, put, refused,
    tagged,
};

/// Ports, flows with their counts, and meters are read back; established flows lose nothing, and upcalls come again.
pub async fn what_is_in_force_outlives_its_owner<B: Rig>(rig: &mut B) {
    let (mut dp, [a, b]) = open(rig, ["a", "b"]).await;
    let actions = [Action::Meter(METER), Action::PushTag(super::traffic::tag(8, 5)), Action::Output(b)];
    granted(dp.set_meter(METER, MeterRate { packets_per_second: 1, burst: 100 }).await);
    let upcall = learn(rig, &mut dp, "a", &plain("first"), (1, WIDEST, &actions)).await;
    rig.inject("a", &[plain("second")]);
    let (ports, flows) = (granted(dp.vports().await), granted(dp.flows().await));
    drop(dp);
    rig.inject("a", &[plain("while nobody looks")]);
    let mut dp = granted(rig.open().await);
    rig.inject("a", &[plain("afterwards")]);
    let passed = ["second", "while nobody looks", "afterwards"].map(|text| tagged(8, 5, text));
    assert_eq!(rig.sent("b"), passed);
    assert_eq!(granted(dp.vports().await), ports);
    let found = granted(dp.flows().await);
    let [flow] = &found[..] else { panic!("{found:?}") };
    assert_eq!((flow.id, &flow.key, flow.mask), (FlowId(1), &flows[0].key, flows[0].mask));
    assert_eq!((flow.stats.packets, flow.actions.as_deref()), (3, Some(&actions[..])));
    assert_eq!(granted(dp.meter_stats(METER).await).packets, 3);
    assert_eq!(granted(dp.attach("a").await).no, a);
    miss(rig, &mut dp, "b", &plain("heard again")).await;
    change(&mut dp, vec![put(1, &upcall, WIDEST, &[Action::Output(b)])]).await;
    rig.inject("a", &[plain("replaced")]);
    assert_eq!(rig.sent("b"), [plain("replaced")]);
    let other = miss(rig, &mut dp, "a", &from(address(1), "new")).await;
    change(&mut dp, vec![put(2, &other, NARROWEST, &[]), delete(1)]).await;
    assert_eq!(granted(dp.flows().await).len(), 1);
}

/// What is opened next is new.
pub async fn teardown_leaves_nothing<B: Rig>(rig: &mut B) {
    let (mut dp, [_, b]) = open(rig, ["a", "b"]).await;
    learn(rig, &mut dp, "a", &plain("first"), (1, NARROWEST, &[Action::Output(b)])).await;
    granted(dp.teardown().await);
    rig.inject("a", &[plain("second")]);
    assert_eq!(rig.sent("b"), [[0; 0]; 0]);
    let mut dp = granted(rig.open().await);
    assert_eq!(granted(dp.vports().await), []);
    assert_eq!(granted(dp.flows().await), []);
    let counters = granted(dp.counters().await);
    assert_eq!((counters.hit, counters.missed), (0, 0));
    granted(dp.attach("a").await);
    miss(rig, &mut dp, "a", &plain("third")).await;
}

/// Two would each get some of the upcalls and know nothing of it; the first one goes on undisturbed.
pub async fn a_second_owner_is_refused<B: Rig>(rig: &mut B) {
    let (mut dp, [_]) = open(rig, ["a"]).await;
    let Err(refusal) = rig.open().await else { panic!("a second owner was let in") };
    assert_eq!(refusal.cause, RefusalCause::Busy, "{refusal}");
    miss(rig, &mut dp, "a", &plain("to the first")).await;
    drop(dp);
    let mut dp = granted(rig.open().await);
    miss(rig, &mut dp, "a", &plain("to the next")).await;
}

/// None waits for ever, none says anything else; whoever opens again has a new one.
pub async fn a_datapath_that_is_gone_is_named_by_every_call<B: Rig>(rig: &mut B) {
    let (mut dp, [a, b]) = open(rig, ["a", "b"]).await;
    let upcall = miss(rig, &mut dp, "a", &plain("first")).await;
    granted(dp.set_meter(METER, MeterRate { packets_per_second: 1, burst: 1 }).await);
    rig.delete_datapath();
    let gone = |what: &str, refusal: datapath::Refusal| {
        assert_eq!(refusal.cause, RefusalCause::DatapathGone, "{what}: {refusal}");
    };
    for _ in 0..2 {
        let heard = tokio::time::timeout(LONG, dp.upcalls(8)).await;
        gone("upcalls", refused(heard.unwrap_or_else(|_| panic!("upcalls: nothing within {LONG:?}"))));
    }
    gone("attach", refused(dp.attach("a").await));
    gone("attach nowhere", refused(dp.attach("nowhere").await));
    gone("detach", refused(dp.detach(a).await));
    gone("vports", refused(dp.vports().await));
    gone("vport_stats", refused(dp.vport_stats().await));
    gone("counters", refused(dp.counters().await));
    gone("flows", refused(dp.flows().await));
    gone("flow_stats", refused(dp.flow_stats().await));
    gone("set_meter", refused(dp.set_meter(METER, MeterRate { packets_per_second: 1, burst: 1 }).await));
    gone("delete_meter", refused(dp.delete_meter(METER).await));
    gone("meter_stats", refused(dp.meter_stats(METER).await));
    let order =
        Execute { vport: None, frame: plain("executed"), actions: vec![Action::Output(b)], hash: None };
    for outcome in dp.execute(vec![order.clone(), order]).await {
        gone("execute", refused(outcome));
    }
    for outcome in dp.change_flows(vec![put(1, &upcall, WIDEST, &[]), delete(1)]).await {
        gone("change_flows", refused(outcome));
    }
    gone("teardown", refused(dp.teardown().await));
    let mut dp = granted(rig.open().await);
    granted(dp.attach("a").await);
    miss(rig, &mut dp, "a", &plain("in a new one")).await;
}

const METER: MeterId = MeterId(1);

//! What the datapath counts as a whole.

use datapath::Datapath;
use datapath::flow::Action;

use super::Rig;
use super::traffic::{
    NARROWEST, WIDEST, address, change, delete, from, granted, learn, miss, open, plain, take_upcalls,
};

/// And the numbers of flows and of their masks are those in force.
pub async fn every_frame_is_a_hit_or_a_miss<B: Rig>(rig: &mut B) {
    let (mut dp, [_, b]) = open(rig, ["a", "b"]).await;
    let out = [Action::Output(b)];
    learn(rig, &mut dp, "a", &plain("first"), (1, NARROWEST, &out)).await;
    learn(rig, &mut dp, "a", &from(address(1), "first"), (2, NARROWEST, &out)).await;
    learn(rig, &mut dp, "a", &from(address(2), "first"), (3, WIDEST, &out)).await;
    miss(rig, &mut dp, "b", &plain("of another port")).await;
    for _ in 0..5 {
        rig.inject("a", &[plain("hit"), from(address(1), "hit"), from(address(2), "hit")]);
    }
    let counters = granted(dp.counters().await);
    assert_eq!((counters.hit, counters.missed, counters.lost), (15, 4, 0), "{counters:?}");
    assert_eq!((counters.flows, counters.masks), (3, 2), "{counters:?}");
    change(&mut dp, vec![delete(3)]).await;
    let counters = granted(dp.counters().await);
    assert_eq!((counters.flows, counters.masks), (2, 1), "{counters:?}");
}

/// A port whose owner is gone loses its frames, and says so.
pub async fn upcalls_that_nobody_hears_are_lost<B: Rig>(rig: &mut B) {
    let (dp, [_]) = open(rig, ["a"]).await;
    drop(dp);
    rig.inject("a", &[plain("one"), plain("two"), plain("three")]);
    let mut dp = granted(rig.open().await);
    let counters = granted(dp.counters().await);
    assert_eq!((counters.missed, counters.lost), (3, 3), "{counters:?}");
    miss(rig, &mut dp, "a", &plain("four")).await;
    assert_eq!(granted(dp.counters().await).lost, 3);
}

/// What waited when a port was released is not forgotten.
pub async fn upcalls_of_a_released_port_are_lost<B: Rig>(rig: &mut B) {
    let (mut dp, [a, _]) = open(rig, ["a", "b"]).await;
    rig.inject("a", &[plain("one"), plain("two"), plain("three")]);
    rig.inject("b", &[plain("four")]);
    granted(dp.detach(a).await);
    let upcalls = take_upcalls(&mut dp, 1).await;
    assert_eq!(upcalls[0].frame, plain("four"));
    let counters = granted(dp.counters().await);
    assert_eq!((counters.missed, counters.lost), (4, 3), "{counters:?}");
}

//! Meters: what exceeds a rate is dropped and counted.

use std::time::Duration;

use datapath::flow::{Action, MeterId, MeterRate};
use datapath::{Datapath, RefusalCause};

use super::Rig;
use super::traffic::{NARROWEST, granted, learn, open, plain, refused};

/// Of frames that come at once, the burst passes; each is counted.
pub async fn a_meter_drops_what_exceeds_its_burst<B: Rig>(rig: &mut B) {
    let (mut dp, [_, b]) = open(rig, ["a", "b"]).await;
    granted(dp.set_meter(METER, rate(1, 5)).await);
    learn(rig, &mut dp, "a", &plain("first"), (1, NARROWEST, &[Action::Meter(METER), Action::Output(b)]))
        .await;
    rig.inject("a", &many(50));
    let sent = rig.sent("b").len() as u64;
    // One more for each second that this takes.
    assert!((5..8).contains(&sent), "{sent} of 50 passed, with a burst of 5 and one a second");
    let stats = granted(dp.meter_stats(METER).await);
    assert_eq!((stats.packets, stats.dropped), (50, 50 - sent));
}

/// At its rate, up to its burst.
pub async fn a_meter_fills_up_again<B: Rig>(rig: &mut B) {
    let (mut dp, [_, b]) = open(rig, ["a", "b"]).await;
    granted(dp.set_meter(METER, rate(10, 5)).await);
    learn(rig, &mut dp, "a", &plain("first"), (1, NARROWEST, &[Action::Meter(METER), Action::Output(b)]))
        .await;
    rig.inject("a", &many(50));
    let first = rig.sent("b").len();
    rig.pass(Duration::from_millis(800)).await;
    rig.inject("a", &many(50));
    let second = rig.sent("b").len();
    assert!((5..10).contains(&first), "{first} passed at first");
    assert!((5..10).contains(&second), "{second} passed after enough time for 8");
}

/// A kernel that counts in milliseconds must not stop a meter whose burst is less than what passes in one.
pub async fn a_fast_meter_with_a_small_burst_goes_on<B: Rig>(rig: &mut B) {
    let (mut dp, [_, b]) = open(rig, ["a", "b"]).await;
    granted(dp.set_meter(METER, rate(100_000, 1)).await);
    learn(rig, &mut dp, "a", &plain("first"), (1, NARROWEST, &[Action::Meter(METER), Action::Output(b)]))
        .await;
    for round in 0..500 {
        rig.inject("a", &[plain(&round.to_string())]);
        rig.pass(Duration::from_millis(2)).await;
    }
    assert_eq!(rig.sent("b").len(), 500, "one frame each 2 ms is far below 100 000 a second");
    assert_eq!(granted(dp.meter_stats(METER).await).dropped, 0);
}

/// The frame itself goes on.
pub async fn a_meter_in_a_clone_stops_the_clone_only<B: Rig>(rig: &mut B) {
    let (mut dp, [_, b, c]) = open(rig, ["a", "b", "c"]).await;
    granted(dp.set_meter(METER, rate(1, 1)).await);
    let metered = Action::Clone(vec![Action::Meter(METER), Action::Output(c)]);
    learn(rig, &mut dp, "a", &plain("first"), (1, NARROWEST, &[metered, Action::Output(b)])).await;
    rig.inject("a", &many(20));
    let metered = rig.sent("c").len();
    assert_eq!(rig.sent("b").len(), 20);
    assert!((1..4).contains(&metered), "{metered} of 20 passed, with a burst of 1 and one a second");
}

/// A meter that is away lets everything pass, and its counts are gone; removing it twice is no error.
pub async fn a_meter_is_set_anew_and_removed<B: Rig>(rig: &mut B) {
    let (mut dp, [_, b]) = open(rig, ["a", "b"]).await;
    granted(dp.set_meter(METER, rate(1, 1)).await);
    learn(rig, &mut dp, "a", &plain("first"), (1, NARROWEST, &[Action::Meter(METER), Action::Output(b)]))
        .await;
    granted(dp.set_meter(METER, rate(1, 30)).await);
    rig.inject("a", &many(20));
    assert_eq!(rig.sent("b").len(), 20, "the flow obeys the rate that the meter has now");
    granted(dp.delete_meter(METER).await);
    granted(dp.delete_meter(METER).await);
    let refusal = refused(dp.meter_stats(METER).await);
    assert_eq!(refusal.cause, RefusalCause::NotFound, "{refusal}");
    rig.inject("a", &many(40));
    assert_eq!(rig.sent("b").len(), 40);
}

/// A rate or a burst of none is no meter.
pub async fn a_meter_without_a_rate_is_refused<B: Rig>(rig: &mut B) {
    let (mut dp, []) = open(rig, []).await;
    for rate in [rate(0, 1), rate(1, 0)] {
        let refusal = refused(dp.set_meter(METER, rate).await);
        assert!(matches!(refusal.cause, RefusalCause::Kernel { errno: EINVAL, .. }), "{refusal}");
        assert_eq!(refused(dp.meter_stats(METER).await).cause, RefusalCause::NotFound);
    }
}

fn many(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|n| plain(&n.to_string())).collect()
}

const fn rate(packets_per_second: u32, burst: u32) -> MeterRate {
    MeterRate { packets_per_second, burst }
}

const METER: MeterId = MeterId(3);

const EINVAL: i32 = 22;

//! Ports that have their upcalls for themselves.

use datapath::Datapath;

use super::Rig;
use super::traffic::{address, from, granted, miss, open, plain, take_upcalls};

/// However much of a storm is lost, it is counted, and all of another port's frames come, although nobody read in the meantime.
pub async fn a_storm_that_nobody_reads_costs_another_nothing<B: Rig>(rig: &mut B) {
    let (mut dp, [a, b]) = open(rig, ["a", "b"]).await;
    for round in 0..100 {
        rig.inject("a", &(0..100).map(|n| from(address(100 * round + n), "storm")).collect::<Vec<_>>());
    }
    rig.inject("b", &(0..20).map(|n| from(address(n), "talk")).collect::<Vec<_>>());
    let counters = granted(dp.counters().await);
    assert_eq!(counters.missed, 10_020);
    assert!(counters.lost > 0, "10 000 frames were kept, so this says nothing");
    let upcalls = take_upcalls(&mut dp, (counters.missed - counters.lost) as usize).await;
    let of = |port| upcalls.iter().filter(|upcall| upcall.vport == port).count() as u64;
    assert_eq!((of(a), of(b)), (10_000 - counters.lost, 20));
    assert_eq!(miss(rig, &mut dp, "a", &plain("after the storm")).await.vport, a);
}

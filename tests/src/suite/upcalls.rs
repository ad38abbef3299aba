//! Upcalls: what no flow takes comes up whole, fairly, and once.

use std::net::{Ipv4Addr, Ipv6Addr};

use datapath::{Datapath, Malformed, RefusalCause};
use futures::FutureExt;
use vlan::frame::{Header, MalformedFrame};

use super::Rig;
use super::traffic::{FAR, LONG, NEAR, address, from, granted, miss, open, plain, refused, take_upcalls};
use crate::lab::frames::{BROADCAST, EXPERIMENTAL, Frame, Tpid};

/// Bytes, arrival port and key, for every kind of header that the forwarding plane reads.
pub async fn a_frame_without_a_flow_comes_up_as_it_was<B: Rig>(rig: &mut B) {
    let (mut dp, [a]) = open(rig, ["a"]).await;
    for frame in every_kind() {
        let upcall = miss(rig, &mut dp, "a", &frame).await;
        assert_eq!(upcall.vport, a);
        let key = upcall.key.unwrap_or_else(|why| panic!("{why}: {frame:02x?}"));
        assert_eq!(Ok(&key.header), Header::parse(&frame).as_ref(), "{frame:02x?}");
        assert_eq!((key.vport, key.recirc), (a, 0));
    }
}

/// A kernel hands on what has two bytes behind its first tag; what it is, its bytes say.
pub async fn a_frame_that_ends_inside_its_second_tag_comes_without_a_key<B: Rig>(rig: &mut B) {
    let (mut dp, [a]) = open(rig, ["a"]).await;
    for rest in [&b"\x00\x08"[..], b"\x00\x08\x08"] {
        let frame = Frame::new(NEAR, FAR).tag(8, 5).payload(0x8100, rest);
        let upcall = miss(rig, &mut dp, "a", &frame).await;
        assert_eq!(upcall.vport, a);
        let why = Malformed::Frame(MalformedFrame::ShortTag { len: frame.len() });
        assert_eq!(upcall.key, Err(why), "{frame:02x?}");
    }
}

fn every_kind() -> Vec<Vec<u8>> {
    let (v4, other4) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
    let (v6, other6) =
        (Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1), Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2));
    let bare = || Frame::new(NEAR, FAR);
    let service = || bare().tag_as(Tpid::Service, 100, 3);
    let mut kinds = vec![
        bare().payload(EXPERIMENTAL, b""),
        bare().payload(EXPERIMENTAL, b"short"),
        bare().payload(EXPERIMENTAL, &[7; 1500]),
        bare().ipv4(v4, other4, 17, b"too short for UDP"),
        bare().udp4((v4, 1), (other4, 2), b"datagram"),
        bare().udp6((v6, 1), (other6, 2), b"datagram"),
        bare().echo4(v4, other4, 1),
        bare().payload(0x0800, b"no IPv4 at all"),
        bare().payload(0x9100, b"a tag of others"),
        Frame::new(NEAR, BROADCAST).arp_request(v4, other4),
        Frame::new(NEAR, [1, 0x80, 0xc2, 0, 0, 0]).llc(&[0x42, 0x42, 3, 0, 0]),
        Frame::new(NEAR, [1, 0x80, 0xc2, 0, 0, 0]).tag(8, 7).llc(&[0x42, 0x42, 3, 0, 0]),
        bare().tag(0, 7).payload(EXPERIMENTAL, b"priority"),
        bare().tag(4095, 0).payload(EXPERIMENTAL, b"reserved"),
        bare().tag_raw(0x8100, 0x1008).payload(EXPERIMENTAL, b"drop eligible"),
        bare().tag(8, 5).udp4((v4, 1), (other4, 2), b"datagram"),
        bare().tag(8, 5).arp_request(v4, other4),
        service().payload(EXPERIMENTAL, b"service"),
        service().tag(8, 5).payload(EXPERIMENTAL, b"two"),
        service().tag(8, 5).udp6((v6, 1), (other6, 2), b"datagram"),
        bare().tag(8, 5).tag(9, 6).echo4(v4, other4, 2),
        service().tag_raw(0x8100, 0x1008).payload(EXPERIMENTAL, b"inner drop eligible"),
        service().tag(8, 5).tag(9, 6).payload(EXPERIMENTAL, b"three"),
    ];
    kinds.extend((0..8).map(|pcp| bare().tag(10, pcp).payload(EXPERIMENTAL, b"priority")));
    kinds
}

/// The rest comes with the next call.
pub async fn no_more_come_than_were_asked_for<B: Rig>(rig: &mut B) {
    let (mut dp, [_]) = open(rig, ["a"]).await;
    let frames: Vec<_> = (0..50).map(|n| plain(&n.to_string())).collect();
    rig.inject("a", &frames);
    assert_eq!(granted(dp.upcalls(0).await), []);
    let mut seen = Vec::new();
    while seen.len() < frames.len() {
        let upcalls = granted(dp.upcalls(7).await);
        assert!((1..=7).contains(&upcalls.len()), "{} upcalls, asked for 1 to 7", upcalls.len());
        seen.extend(upcalls.into_iter().map(|upcall| upcall.frame));
    }
    assert_eq!(seen, frames, "in the order of their arrival");
}

/// A port with one frame waits for a part of a busy port's queue only.
pub async fn each_port_has_its_share<B: Rig>(rig: &mut B) {
    let (mut dp, [_, b, c]) = open(rig, ["a", "b", "c"]).await;
    rig.inject("a", &(0..200).map(|n| plain(&n.to_string())).collect::<Vec<_>>());
    rig.inject("b", &[plain("one")]);
    rig.inject("c", &[plain("one")]);
    let first = take_upcalls(&mut dp, 64).await;
    for port in [b, c] {
        assert!(first.iter().any(|upcall| upcall.vport == port), "none of {port} among the first 64");
    }
    take_upcalls(&mut dp, 202 - 64).await;
}

/// Of the ports that are named, and the rest comes as ever.
pub async fn stragglers_of_a_port_are_taken_without_waiting<B: Rig>(rig: &mut B) {
    let (mut dp, [a, b]) = open(rig, ["a", "b"]).await;
    assert_eq!(dp.stragglers(&[a, b], 64), [], "nothing has come");
    let frames: Vec<_> = (0..20).map(|n| plain(&n.to_string())).collect();
    rig.inject("a", &frames);
    rig.inject("b", &[plain("of b")]);
    let mut seen: Vec<_> = take_upcalls(&mut dp, 1).await;
    let of_b = seen.pop_if(|upcall| upcall.vport == b);
    let mut taken = 0;
    while seen.len() < frames.len() {
        let stragglers = dp.stragglers(&[a], 7);
        assert!((1..=7).contains(&stragglers.len()), "{} stragglers, asked for 1 to 7", stragglers.len());
        taken += stragglers.len();
        seen.extend(stragglers);
    }
    assert!(taken >= 19 && seen.iter().all(|upcall| upcall.vport == a), "{taken} of a");
    assert_eq!(seen.into_iter().map(|upcall| upcall.frame).collect::<Vec<_>>(), frames, "in their order");
    if of_b.is_none() {
        assert_eq!(take_upcalls(&mut dp, 1).await[0].vport, b);
    }
    assert_eq!(dp.stragglers(&[a, b], 64), [], "each comes once");
    assert_eq!(granted(dp.counters().await).lost, 0);
}

/// A reader that is slower than one port hears all of another, and what is lost of the first is counted.
pub async fn a_storm_that_is_read_costs_another_nothing<B: Rig>(rig: &mut B) {
    let (mut dp, [a, b]) = open(rig, ["a", "b"]).await;
    let mut heard = Vec::new();
    for round in 0..100 {
        rig.inject("a", &(0..100).map(|n| from(address(100 * round + n), "storm")).collect::<Vec<_>>());
        rig.inject("b", &[plain(&round.to_string())]);
        heard.extend(granted(dp.upcalls(40).await));
    }
    let lost = loop {
        // Reading may lose some more, where frames wait in a place that ports share.
        let counters = granted(dp.counters().await);
        assert_eq!(counters.missed, 10_100);
        match counters.missed - counters.lost - heard.len() as u64 {
            0 => break counters.lost,
            left => heard.extend(take_upcalls(&mut dp, left.min(100) as usize).await),
        }
    };
    let of = |port| heard.iter().filter(move |upcall| upcall.vport == port);
    assert_eq!(of(a).count() as u64, 10_000 - lost);
    let expected: Vec<_> = (0..100).map(|round| plain(&round.to_string())).collect();
    assert_eq!(of(b).map(|upcall| upcall.frame.clone()).collect::<Vec<_>>(), expected);
}

/// A caller that stops waiting, as `select!` does, finds what came since in its next call, once.
pub async fn a_call_that_is_given_up_loses_nothing<B: Rig>(rig: &mut B) {
    let (mut dp, [_]) = open(rig, ["a"]).await;
    for round in 0..20 {
        assert!(dp.upcalls(8).now_or_never().is_none(), "an upcall out of nothing");
        let waiting = dp.upcalls(8);
        tokio::select! {
            biased;
            _ = waiting => panic!("an upcall out of nothing"),
            () = tokio::task::yield_now() => {}
        }
        miss(rig, &mut dp, "a", &plain(&round.to_string())).await;
    }
    assert_eq!(granted(dp.counters().await).lost, 0);
}

/// Another program that has them sent elsewhere is noticed by the call that waits for them, and it is said for good.
pub async fn whoever_loses_the_upcalls_is_told<B: Rig>(rig: &mut B) {
    let (mut dp, [_]) = open(rig, ["a"]).await;
    miss(rig, &mut dp, "a", &plain("before")).await;
    rig.steal_upcalls("a").await;
    for _ in 0..2 {
        let heard = tokio::time::timeout(LONG, dp.upcalls(8)).await;
        let refusal = refused(heard.unwrap_or_else(|_| panic!("nothing within {LONG:?}")));
        assert_eq!(refusal.cause, RefusalCause::TakenOver);
        assert!(!refusal.is_retryable());
    }
}

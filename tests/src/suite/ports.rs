//! Ports: links attached, released, pulled, renamed, counted.

use datapath::port::Vport;
use datapath::{Datapath, FlowTable, RefusalCause};

use super::traffic::{NARROWEST, change, granted, learn, missed, open, plain, put, refused, take_upcalls};
use super::{LinkState, Rig, traffic};
use crate::lab::frames::{EXPERIMENTAL, Frame};
use datapath::flow::{Action, MeterId, MeterRate};

/// Attaching is idempotent; the list has every port once with its link.
pub async fn a_link_becomes_a_port_and_keeps_its_number<B: Rig>(rig: &mut B) {
    let (mut dp, [a, b]) = open(rig, ["a", "b"]).await;
    assert_ne!(a, b);
    rig.inject("a", &[plain("before the second attach")]);
    let again = granted(dp.attach("a").await);
    assert_eq!(take_upcalls(&mut dp, 1).await[0].frame, plain("before the second attach"));
    assert_eq!((again.no, again.link.as_str()), (a, "a"));
    let mut ports = granted(dp.vports().await);
    ports.sort_by_key(|port| port.link.clone());
    let [ref first, ref second] = ports[..] else { panic!("{ports:?}") };
    assert_eq!((first.no, first.link.as_str()), (a, "a"));
    assert_eq!((second.no, second.link.as_str()), (b, "b"));
    assert_eq!(*first, again, "an attached port is listed as it was answered");
    assert_ne!(first.index, second.index);
    traffic::miss(rig, &mut dp, "a", &plain("after the second attach")).await;
}

/// A released link is heard no more; releasing twice is no error; others go on.
pub async fn a_port_is_released<B: Rig>(rig: &mut B) {
    let (mut dp, [a, b]) = open(rig, ["a", "b"]).await;
    granted(dp.detach(a).await);
    granted(dp.detach(a).await);
    assert_eq!(numbers(&granted(dp.vports().await)), [b]);
    rig.inject("a", &[plain("to nobody")]);
    let upcall = traffic::miss(rig, &mut dp, "b", &plain("to the other")).await;
    assert_eq!(upcall.vport, b);
    assert_eq!(missed(&mut dp).await, 1, "a released link is still listened to");
}

/// The refusal names the link, and is none to be tried again at once.
pub async fn a_link_that_is_not_there_is_named<B: Rig>(rig: &mut B) {
    let (mut dp, []) = open(rig, []).await;
    let refusal = refused(dp.attach("nowhere").await);
    assert_eq!(refusal.to_string(), "attach nowhere: there is none");
    assert!(refusal.is_not_found() && !refusal.is_retryable());
    assert_eq!(granted(dp.vports().await), []);
}

/// The port goes, its number stays unknown, the rest goes on.
pub async fn a_pulled_link_takes_its_port_with_it<B: Rig>(rig: &mut B) {
    let (mut dp, [a, b]) = open(rig, ["a", "b"]).await;
    rig.remove_link("a");
    assert_eq!(numbers(&granted(dp.vports().await)), [b]);
    granted(dp.detach(a).await);
    traffic::miss(rig, &mut dp, "b", &plain("after")).await;
    assert_eq!(refused(dp.attach("a").await).cause, RefusalCause::NotFound);
}

/// A link of the same name is another link, and a port once attached.
pub async fn a_link_that_comes_again_is_a_port_again<B: Rig>(rig: &mut B) {
    let (mut dp, [_]) = open(rig, ["a"]).await;
    let before = granted(dp.vports().await).remove(0);
    rig.remove_link("a");
    rig.add_links(&["a"]);
    assert_eq!(granted(dp.vports().await), [], "a new link is no port before it is attached");
    let port = granted(dp.attach("a").await);
    assert_ne!(port.index, before.index);
    assert_eq!(traffic::miss(rig, &mut dp, "a", &plain("again")).await.vport, port.no);
}

/// Number and flows stay; the new name finds it.
pub async fn a_renamed_link_is_the_same_port<B: Rig>(rig: &mut B) {
    let (mut dp, [a, b]) = open(rig, ["a", "b"]).await;
    learn(rig, &mut dp, "a", &plain("first"), (1, NARROWEST, &[Action::Output(b)])).await;
    rig.rename_link("a", "renamed");
    let ports = granted(dp.vports().await);
    let port = ports.iter().find(|port| port.no == a).unwrap_or_else(|| panic!("{a} is not in {ports:?}"));
    assert_eq!(port.link, "renamed");
    assert_eq!(granted(dp.attach("renamed").await).no, a);
    rig.inject("renamed", &[plain("second")]);
    assert_eq!(rig.sent("b"), [plain("second")]);
    traffic::miss(rig, &mut dp, "renamed", &traffic::from(traffic::FAR, "heard under its new name")).await;
    assert_eq!(refused(dp.attach("a").await).cause, RefusalCause::NotFound, "nothing has the old name");
}

/// Frames and bytes, tags included, in each direction.
pub async fn a_port_counts_frames_and_bytes<B: Rig>(rig: &mut B) {
    let (mut dp, [a, b]) = open(rig, ["a", "b"]).await;
    let before = granted(dp.vport_stats().await);
    learn(rig, &mut dp, "a", &plain("first"), (1, NARROWEST, &[Action::Output(b)])).await;
    rig.inject("a", &[plain("second"), plain("third")]);
    let after = granted(dp.vport_stats().await);
    let difference = |port, field: fn(&datapath::port::VportStats) -> u64| {
        let of = |all: &[(_, _)]| all.iter().find(|(no, _)| *no == port).map_or(0, |(_, stats)| field(stats));
        of(&after) - of(&before)
    };
    assert_eq!((difference(a, |s| s.rx_packets), difference(a, |s| s.rx_bytes)), (3, 180));
    assert_eq!((difference(b, |s| s.tx_packets), difference(b, |s| s.tx_bytes)), (2, 120));
    assert_eq!((difference(a, |s| s.tx_packets), difference(b, |s| s.rx_packets)), (0, 0));
    assert_eq!((difference(a, |s| s.rx_dropped), difference(b, |s| s.tx_dropped)), (0, 0));
}

/// MTU is payload, one tag is free, the second counts; what is over it is not sent, and counted by capability.
pub async fn a_link_takes_its_mtu_and_one_tag<B: Rig>(rig: &mut B) {
    let (mut dp, [_, b]) = open(rig, ["a", "b"]).await;
    rig.set_mtu("a", 1600);
    let payload = |len: usize| vec![0x55; len];
    let bare = Frame::new(traffic::NEAR, traffic::FAR);
    let fits = [
        bare.clone().payload(EXPERIMENTAL, &payload(1500)),
        bare.clone().tag(8, 0).payload(EXPERIMENTAL, &payload(1500)),
        bare.clone().tag(8, 0).tag(9, 0).payload(EXPERIMENTAL, &payload(1496)),
    ];
    let too_long = [
        bare.clone().payload(EXPERIMENTAL, &payload(1501)),
        bare.clone().tag(8, 0).payload(EXPERIMENTAL, &payload(1501)),
        bare.clone().tag(8, 0).tag(9, 0).payload(EXPERIMENTAL, &payload(1497)),
    ];
    for frame in fits.iter().chain(&too_long) {
        rig.inject("a", std::slice::from_ref(frame));
        let missed = take_upcalls(&mut dp, 1).await;
        change(&mut dp, vec![put(1, &missed[0], NARROWEST, &[Action::Output(b)])]).await;
        rig.inject("a", std::slice::from_ref(frame));
        change(&mut dp, vec![traffic::delete(1)]).await;
    }
    let sent = rig.sent("b");
    assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), fits.map(|frame| frame.len()));
    let stats = granted(dp.vport_stats().await);
    let dropped = stats.iter().find(|(no, _)| *no == b).map(|(_, stats)| stats.tx_dropped);
    let is_counted = dp.capabilities().counts_over_mtu;
    assert_eq!(
        dropped,
        Some(if is_counted { too_long.len() as u64 } else { 0 }),
        "counts_over_mtu is {is_counted}"
    );
}

/// Behind the change of tags a frame fits, or reaches the meter, just as the link would take it or not; what it is told apart for does not
/// show behind.
pub async fn what_is_too_long_is_told_apart_as_the_link_would<B: Rig>(rig: &mut B) {
    let (mut dp, [_, b, c]) = open(rig, ["a", "b", "c"]).await;
    rig.set_mtu("a", 1600);
    rig.set_mtu("c", 1600);
    let meter = MeterId(0);
    granted(dp.set_meter(meter, MeterRate { packets_per_second: u32::MAX, burst: u32::MAX }).await);
    let frame = |tags: &[u16], payload: usize| {
        let bare = Frame::new(traffic::NEAR, traffic::FAR);
        let tagged = tags.iter().fold(bare, |frame, vid| frame.tag(*vid, 0));
        tagged.payload(EXPERIMENTAL, &vec![0x55; payload])
    };
    let check =
        Action::IfFits { mtu: 1500, fits: vec![Action::Output(b)], longer: vec![Action::Meter(meter)] };
    let [pop, push] = [Action::PopTag, Action::PushTag(traffic::tag(7, 0))];
    let mut long = 0;
    for (tags, edits, most) in [
        (vec![], vec![], 1500),
        (vec![8], vec![], 1500),
        (vec![8], vec![pop.clone()], 1500),
        (vec![], vec![push.clone()], 1500),
        (vec![8], vec![push.clone()], 1496),
        (vec![8, 9], vec![pop.clone()], 1500),
        (vec![8, 9], vec![pop, push], 1496),
    ] {
        let actions = [edits.clone(), vec![check.clone(), Action::Output(c)]].concat();
        let first = frame(&tags, 100);
        rig.inject("a", std::slice::from_ref(&first));
        let missed = take_upcalls(&mut dp, 1).await;
        change(&mut dp, vec![put(1, &missed[0], NARROWEST, &actions)]).await;
        rig.inject("a", &[frame(&tags, most), frame(&tags, most + 1)]);
        long += 1;
        assert_eq!(rig.sent("b").len(), 1, "{most} bytes behind {tags:?}, {edits:?}");
        assert_eq!(rig.sent("c").len(), 2, "what is behind the check is done for both");
        assert_eq!(granted(dp.meter_stats(meter).await).packets, long, "{tags:?}, {edits:?}");
        let flows = granted(dp.flows().await);
        assert_eq!(flows[0].actions.as_ref(), Some(&actions), "it is read back as it was put");
        change(&mut dp, vec![traffic::delete(1)]).await;
    }
    let stats = granted(dp.vport_stats().await);
    let dropped = stats.iter().find(|(no, _)| *no == b).map(|(_, stats)| stats.tx_dropped);
    assert_eq!(dropped, Some(0), "none of them was left to the link");
}

/// And is heard again once it is up.
pub async fn a_link_that_is_down_sends_nothing<B: Rig>(rig: &mut B) {
    let (mut dp, [_, b]) = open(rig, ["a", "b"]).await;
    learn(rig, &mut dp, "a", &plain("first"), (1, NARROWEST, &[Action::Output(b)])).await;
    rig.set_state("b", LinkState::Down);
    rig.inject("a", &[plain("into nothing")]);
    rig.set_state("b", LinkState::Up);
    rig.inject("a", &[plain("again")]);
    assert_eq!(rig.sent("b"), [plain("again")]);
}

fn numbers(ports: &[Vport]) -> Vec<datapath::port::VportNo> {
    ports.iter().map(|port| port.no).collect()
}

//! The tunnel to other hosts: what crosses it, what a flow sees of it, and its port.

use std::net::{Ipv4Addr, Ipv6Addr};

use datapath::fake::Packet;
use datapath::flow::{Action, FlowKey};
use datapath::port::VportNo;
use datapath::tunnel::{TunnelEnd, TunnelKey, TunnelTo};
use datapath::{Datapath, Execute, FlowTable, Malformed, Upcall};
use vlan::frame::{Header, MalformedFrame};
use vlan::verdict::Consulted;

use super::Rig;
use super::pair::{Pair, VXLAN_PORT};
use super::traffic::{
    FAR, NEAR, WIDEST, address, change, from, granted, learn, miss, missed, open, padded, plain, put, tag,
    tagged, take_upcalls,
};
use crate::lab::frames::{EXPERIMENTAL, Frame, Tpid};

/// The datapath of either host.
pub(super) type Of<P> = <<P as Pair>::Rig as Rig>::Datapath;

/// A host with a tunnel, and two links that are ports.
#[derive(Debug)]
pub(super) struct Host<D> {
    pub(super) dp: D,
    pub(super) tunnel: VportNo,
    pub(super) a: VportNo,
    pub(super) b: VportNo,
}

/// Both hosts.
pub(super) async fn open_both<P: Pair>(pair: &mut P) -> [Host<Of<P>>; 2] {
    [open_near(pair).await, open_far(pair).await]
}

/// The near host alone.
pub(super) async fn open_near<P: Pair>(pair: &mut P) -> Host<Of<P>> {
    let end = near_end(pair);
    open_host(pair.near(), end).await
}

async fn open_far<P: Pair>(pair: &mut P) -> Host<Of<P>> {
    let local = pair.addresses().far;
    open_host(pair.far(), TunnelEnd { local, port: VXLAN_PORT }).await
}

async fn open_host<B: Rig>(rig: &mut B, end: TunnelEnd) -> Host<B::Datapath> {
    let (mut dp, [a, b]) = open(rig, ["a", "b"]).await;
    let tunnel = granted(dp.open_tunnel(end).await).no;
    Host { dp, tunnel, a, b }
}

pub(super) fn near_end(pair: &impl Pair) -> TunnelEnd {
    TunnelEnd { local: pair.addresses().near, port: VXLAN_PORT }
}

/// A copy to the far host.
pub(super) fn to_far(pair: &impl Pair, vni: u32, class: u8) -> Action {
    Action::Tunnel(TunnelTo { remote: pair.addresses().far, vni, class })
}

/// A copy to the plain VTEP.
pub(super) fn to_vtep(pair: &impl Pair, vni: u32, class: u8) -> Action {
    Action::Tunnel(TunnelTo { remote: pair.addresses().vtep, vni, class })
}

/// A packet of the VTEP to the near host.
pub(super) fn packet(pair: &impl Pair, vni: u32, frame: Vec<u8>) -> Packet {
    let (from, to) = (pair.addresses().vtep, pair.addresses().near);
    Packet { from, to, port: VXLAN_PORT, vni, class: 0, ecn: 0, path: 0, frame }
}

/// A packet of the VTEP that no flow of the near host takes.
pub(super) async fn miss_packet<P: Pair>(pair: &mut P, near: &mut Host<Of<P>>, packet: &Packet) -> Upcall {
    pair.vtep_sends(packet);
    let upcall = take_upcalls(&mut near.dp, 1).await.remove(0);
    assert_eq!((upcall.vport, &upcall.frame), (near.tunnel, &packet.frame));
    upcall
}

fn key_of(upcall: &Upcall) -> &FlowKey {
    upcall.key.as_ref().unwrap_or_else(|why| panic!("an upcall without a key: {why}"))
}

/// The first frame comes up where it arrives, with its key; by flows the next ones pass from link to link, and those back.
pub async fn frames_cross_both_ways<P: Pair>(pair: &mut P) {
    let [mut near, mut far] = open_both(pair).await;
    let (there, back) = (to_far(pair, 8_000_001, 0), pair.addresses().near);
    let back = Action::Tunnel(TunnelTo { remote: back, vni: 8_000_002, class: 0 });
    learn(pair.near(), &mut near.dp, "a", &plain("first"), (1, WIDEST, &[there])).await;
    pair.near().inject("a", &[plain("second")]);
    let upcall = take_upcalls(&mut far.dp, 1).await.remove(0);
    let key = key_of(&upcall).clone();
    assert_eq!((upcall.vport, &upcall.frame), (far.tunnel, &plain("second")));
    assert_eq!((key.vport, key.recirc), (far.tunnel, 0));
    assert_eq!(Ok(&key.header), Header::parse(&plain("second")).as_ref());
    let remote = pair.addresses().near;
    assert_eq!(key.tunnel, Some(TunnelKey { remote, vni: 8_000_001, class: 0 }));
    change(&mut far.dp, vec![put(1, &upcall, WIDEST, &[Action::Output(far.a)])]).await;
    learn(pair.far(), &mut far.dp, "a", &from(FAR, "first"), (2, WIDEST, &[back])).await;
    pair.near().inject("a", &[plain("third"), plain("fourth")]);
    assert_eq!(pair.far().sent("a"), [plain("third"), plain("fourth")]);
    pair.far().inject("a", &[from(FAR, "answer")]);
    let upcall = take_upcalls(&mut near.dp, 1).await.remove(0);
    assert_eq!(upcall.frame, from(FAR, "answer"));
    let remote = pair.addresses().far;
    assert_eq!(key_of(&upcall).tunnel, Some(TunnelKey { remote, vni: 8_000_002, class: 0 }));
    change(&mut near.dp, vec![put(2, &upcall, WIDEST, &[Action::Output(near.b)])]).await;
    pair.far().inject("a", &[from(FAR, "another")]);
    assert_eq!(pair.near().sent("b"), [from(FAR, "another")]);
    assert_eq!((missed(&mut near.dp).await, missed(&mut far.dp).await), (2, 2));
}

/// Sender and VNI always count, whatever the mask says: what a flow of one pair knows, it does to no other.
pub async fn an_unknown_vni_or_sender_comes_up<P: Pair>(pair: &mut P) {
    let mut near = open_near(pair).await;
    let narrowest = Consulted::default();
    let known = miss_packet(pair, &mut near, &packet(pair, 8, plain("first"))).await;
    change(&mut near.dp, vec![put(1, &known, narrowest, &[Action::Output(near.a)])]).await;
    pair.vtep_sends(&packet(pair, 8, plain("second")));
    assert_eq!(pair.near().sent("a"), [plain("second")]);
    for vni in [0, 9, 1 << 23, (1 << 24) - 1] {
        let upcall = miss_packet(pair, &mut near, &packet(pair, vni, plain("other VNI"))).await;
        let remote = pair.addresses().vtep;
        assert_eq!(key_of(&upcall).tunnel, Some(TunnelKey { remote, vni, class: 0 }));
    }
    let mut far = open_far(pair).await;
    let near_address = pair.addresses().near;
    let back = Action::Tunnel(TunnelTo { remote: near_address, vni: 8, class: 0 });
    learn(pair.far(), &mut far.dp, "a", &plain("first"), (1, WIDEST, &[back])).await;
    pair.far().inject("a", &[plain("other sender")]);
    let upcall = take_upcalls(&mut near.dp, 1).await.remove(0);
    let remote = pair.addresses().far;
    assert_eq!(key_of(&upcall).tunnel, Some(TunnelKey { remote, vni: 8, class: 0 }));
    change(&mut near.dp, vec![put(2, &upcall, narrowest, &[Action::Output(near.b)])]).await;
    pair.far().inject("a", &[plain("from the far host")]);
    pair.vtep_sends(&packet(pair, 8, plain("from the VTEP")));
    assert_eq!(pair.near().sent("b"), [plain("from the far host")]);
    assert_eq!(pair.near().sent("a"), [plain("from the VTEP")]);
    // A frame from a link is none from the tunnel, however alike.
    miss(pair.near(), &mut near.dp, "a", &plain("from a link")).await;
}

/// As the copy says it, with its VNI and the frame's own bytes; nothing of it is in the frame.
pub async fn a_copy_carries_its_vni_and_class<P: Pair>(pair: &mut P) {
    let mut near = open_near(pair).await;
    let upcall = miss(pair.near(), &mut near.dp, "a", &plain("first")).await;
    for (class, vni) in (0..8).zip([1, 2, 255, 256, 65_536, 1 << 23, (1 << 24) - 2, (1 << 24) - 1]) {
        let there = to_vtep(pair, vni, class);
        change(&mut near.dp, vec![put(1, &upcall, WIDEST, std::slice::from_ref(&there))]).await;
        pair.near().inject("a", &[plain("frame")]);
        let received = pair.vtep_received();
        let [packet] = &received[..] else { panic!("class {class}: {received:?}") };
        let addresses = pair.addresses();
        assert_eq!((packet.from, packet.to, packet.port), (addresses.near, addresses.vtep, VXLAN_PORT));
        assert_eq!((packet.vni, packet.class, packet.ecn), (vni, class, 0));
        assert_eq!(packet.frame, plain("frame"));
        let flows = granted(near.dp.flows().await);
        assert_eq!(flows[0].actions, Some(vec![there]), "it is read back as it was put");
    }
}

/// It is in the key; it is told apart where the mask says so, and not where it does not.
pub async fn a_class_counts_where_the_mask_says_so<P: Pair>(pair: &mut P) {
    let mut near = open_near(pair).await;
    let with = |class, frame| move |pair: &P| Packet { class, ..packet(pair, 8, frame) };
    let fifth = with(5, plain("fifth"))(pair);
    let upcall = miss_packet(pair, &mut near, &fifth).await;
    assert_eq!(key_of(&upcall).tunnel.map(|tunnel| tunnel.class), Some(5));
    let exact = Consulted { class: true, ..WIDEST };
    change(&mut near.dp, vec![put(1, &upcall, exact, &[Action::Output(near.a)])]).await;
    pair.vtep_sends(&fifth);
    assert_eq!(pair.near().sent("a"), [plain("fifth")]);
    for class in [0, 1, 4, 6, 7] {
        let other = with(class, plain("another class"))(pair);
        let upcall = miss_packet(pair, &mut near, &other).await;
        assert_eq!(key_of(&upcall).tunnel.map(|tunnel| tunnel.class), Some(class));
    }
    let flows = granted(near.dp.flows().await);
    assert!(flows[0].mask.is_some_and(|mask| mask.class), "{:?}", flows[0].mask);
    change(&mut near.dp, vec![put(1, &upcall, WIDEST, &[Action::Output(near.b)])]).await;
    for class in 0..8 {
        pair.vtep_sends(&with(class, plain("any class"))(pair));
    }
    assert_eq!(pair.near().sent("b").len(), 8);
    let flows = granted(near.dp.flows().await);
    assert!(flows[0].mask.is_some_and(|mask| !mask.class), "{:?}", flows[0].mask);
}

/// A mark of congestion is not part of the class, and goes through the tunnel (RFC 6040): the inner frame's is outside, and what a
/// router marks outside is inside when it comes out.
pub async fn congestion_is_told_through_the_tunnel<P: Pair>(pair: &mut P) {
    let mut near = open_near(pair).await;
    let marked = |ecn: u8| {
        let mut frame = Frame::new(NEAR, FAR).udp6((V6, 1), (V6, 2), b"datagram");
        frame[15] |= ecn << 4;
        frame
    };
    let there = [to_vtep(pair, 8, 5)];
    learn(pair.near(), &mut near.dp, "a", &marked(0), (1, WIDEST, &there)).await;
    for (inside, outside) in [(0, 0), (1, 1), (2, 2), (3, 2)] {
        pair.near().inject("a", &[marked(inside)]);
        let received = pair.vtep_received();
        let seen: Vec<_> = received.iter().map(|packet| (packet.class, packet.ecn)).collect();
        assert_eq!(seen, [(5, outside)], "{inside} inside");
        assert_eq!(received[0].frame, marked(inside));
    }
    let arriving = |ecn, frame| move |pair: &P| Packet { class: 5, ecn, ..packet(pair, 8, frame) };
    let first = arriving(0, marked(2))(pair);
    let upcall = miss_packet(pair, &mut near, &first).await;
    let exact = Consulted { class: true, ..WIDEST };
    change(&mut near.dp, vec![put(2, &upcall, exact, &[Action::Output(near.b)])]).await;
    for (outside, inside, expected) in [(0, 2, 2), (2, 2, 2), (3, 2, 3), (3, 1, 3), (0, 0, 0)] {
        pair.vtep_sends(&arriving(outside, marked(inside))(pair));
        assert_eq!(pair.near().sent("b"), [marked(expected)], "{outside} outside, {inside} inside");
    }
    pair.vtep_sends(&arriving(3, marked(0))(pair));
    assert_eq!(pair.near().sent("b"), [[0; 0]; 0], "whoever does not know the mark is not sent it");
}

/// Into the tunnel and out of it: no tag is taken off or put on but by actions.
pub async fn tags_inside_stay<P: Pair>(pair: &mut P) {
    let [mut near, mut far] = open_both(pair).await;
    let service = || Frame::new(NEAR, FAR).tag_as(Tpid::Service, 100, 3);
    let frames = [
        plain("untagged"),
        tagged(8, 5, "one tag"),
        tagged(0, 7, "priority"),
        service().payload(EXPERIMENTAL, &padded("service")),
        service().tag(8, 5).payload(EXPERIMENTAL, &padded("two tags")),
        service().tag(8, 5).tag(9, 6).payload(EXPERIMENTAL, &padded("three")),
    ];
    for (number, frame) in (1..).zip(&frames) {
        let there = [to_far(pair, 8, 0)];
        learn(pair.near(), &mut near.dp, "a", frame, (number, WIDEST, &there)).await;
        pair.near().inject("a", std::slice::from_ref(frame));
        let upcall = take_upcalls(&mut far.dp, 1).await.remove(0);
        assert_eq!(&upcall.frame, frame);
        assert_eq!(Ok(&key_of(&upcall).header), Header::parse(frame).as_ref());
        change(&mut far.dp, vec![put(number, &upcall, WIDEST, &[Action::Output(far.a)])]).await;
        pair.near().inject("a", std::slice::from_ref(frame));
        assert_eq!(pair.far().sent("a"), std::slice::from_ref(frame));
    }
    let upcall = miss(pair.near(), &mut near.dp, "b", &tagged(8, 5, "edited")).await;
    let actions = [
        to_vtep(pair, 1, 0),
        Action::PopTag,
        to_vtep(pair, 2, 0),
        Action::PushTag(tag(9, 6)),
        Action::PushTag(tag(10, 2)),
        to_vtep(pair, 3, 0),
    ];
    change(&mut near.dp, vec![put(100, &upcall, WIDEST, &actions)]).await;
    pair.near().inject("b", &[tagged(8, 5, "edited")]);
    let received: Vec<_> =
        pair.vtep_received().into_iter().map(|packet| (packet.vni, packet.frame)).collect();
    let twice = Frame::new(NEAR, FAR).tag(10, 2).tag(9, 6).payload(EXPERIMENTAL, &padded("edited"));
    assert_eq!(received, [(1, tagged(8, 5, "edited")), (2, plain("edited")), (3, twice)]);
}

/// A copy in a clone is as the frame was there, and what the clone does to it does not show behind it.
pub async fn a_clone_to_another_host_leaves_the_frame_as_it_was<P: Pair>(pair: &mut P) {
    let mut near = open_near(pair).await;
    let actions = [
        Action::Clone(vec![Action::PushTag(tag(9, 0)), to_vtep(pair, 1, 3)]),
        Action::Output(near.b),
        Action::PopTag,
        Action::Clone(vec![to_vtep(pair, 2, 0), Action::PushTag(tag(10, 0)), Action::Output(near.b)]),
        to_vtep(pair, 3, 1),
    ];
    learn(pair.near(), &mut near.dp, "a", &tagged(8, 5, "frame"), (1, WIDEST, &actions)).await;
    pair.near().inject("a", &[tagged(8, 5, "frame")]);
    let received: Vec<_> =
        pair.vtep_received().into_iter().map(|packet| (packet.vni, packet.class, packet.frame)).collect();
    let twice = Frame::new(NEAR, FAR).tag(9, 0).tag(8, 5).payload(EXPERIMENTAL, &padded("frame"));
    assert_eq!(received, [(1, 3, twice), (2, 0, plain("frame")), (3, 1, plain("frame"))]);
    assert_eq!(pair.near().sent("b"), [tagged(8, 5, "frame"), tagged(10, 0, "frame")]);
    assert_eq!(granted(near.dp.flows().await)[0].actions.as_deref(), Some(&actions[..]));
}

/// As for a copy out of a link: what is too long goes by the other way, and what is behind is done for both.
pub async fn a_copy_that_is_too_long_for_the_underlay_is_told_apart<P: Pair>(pair: &mut P) {
    let mut near = open_near(pair).await;
    let check =
        Action::IfFits { mtu: 100, fits: vec![to_vtep(pair, 8, 0)], longer: vec![Action::Output(near.b)] };
    let actions = [check, to_vtep(pair, 9, 0)];
    let of_len = |payload: usize| Frame::new(NEAR, FAR).payload(EXPERIMENTAL, &vec![7; payload]);
    learn(pair.near(), &mut near.dp, "a", &of_len(46), (1, WIDEST, &actions)).await;
    pair.near().inject("a", &[of_len(99), of_len(100), of_len(101)]);
    let received = pair.vtep_received();
    let lens = |vni| -> Vec<usize> {
        received.iter().filter(|packet| packet.vni == vni).map(|packet| packet.frame.len() - 14).collect()
    };
    assert_eq!((lens(8), lens(9)), (vec![99, 100], vec![99, 100, 101]));
    assert_eq!(pair.near().sent("b"), [of_len(101)]);
    assert_eq!(granted(near.dp.flows().await)[0].actions.as_deref(), Some(&actions[..]));
}

/// The daemon's first frame, sent with the hash that came with it, goes the way of those that its flow sends.
pub async fn a_first_frame_takes_the_path_of_its_flow<P: Pair>(pair: &mut P) {
    let mut near = open_near(pair).await;
    let mut paths = Vec::new();
    for number in 0..16_u8 {
        let v4 = |last| (Ipv4Addr::new(192, 0, 2, last), 1_000 + u16::from(number));
        let frame = Frame::new(address(number.into()), FAR).udp4(v4(1), v4(2), &[0; 46]);
        let upcall = miss(pair.near(), &mut near.dp, "a", &frame).await;
        let actions = vec![to_vtep(pair, 8, 0)];
        let change_to = put(number.into(), &upcall, WIDEST, &actions);
        let Upcall { vport, frame, hash, .. } = upcall;
        let order = Execute { vport: Some(vport), frame: frame.clone(), actions, hash };
        near.dp.execute(vec![order]).await.into_iter().for_each(granted);
        change(&mut near.dp, vec![change_to]).await;
        pair.near().inject("a", &[frame.clone(), frame.clone()]);
        let received = pair.vtep_received();
        assert_eq!(received.len(), 3);
        assert!(received.iter().all(|packet| packet.path == received[0].path), "{received:?}");
        paths.push(received[0].path);
    }
    paths.sort_unstable();
    paths.dedup();
    assert!(paths.len() > 8, "16 conversations take {} paths", paths.len());
}

/// One of our own, and one that stays short where no wire is that would want it longer.
pub async fn executed_frames_cross_in_order<P: Pair>(pair: &mut P) {
    let mut near = open_near(pair).await;
    let order = |text: &str, vni| Execute {
        vport: None,
        frame: plain(text),
        actions: vec![to_vtep(pair, vni, 6), Action::Output(near.b)],
        hash: None,
    };
    let orders = (1..20).map(|number| order(&number.to_string(), number)).collect();
    near.dp.execute(orders).await.into_iter().for_each(granted);
    let received: Vec<_> =
        pair.vtep_received().into_iter().map(|packet| (packet.vni, packet.class, packet.frame)).collect();
    let expected: Vec<_> = (1..20).map(|number: u32| (number, 6, plain(&number.to_string()))).collect();
    assert_eq!(received, expected);
    assert_eq!(pair.near().sent("b").len(), 19);
}

/// A frame that ends inside its header is one to be told of, and one without is none.
pub async fn a_cut_frame_inside_is_named<P: Pair>(pair: &mut P) {
    let mut near = open_near(pair).await;
    let cut = Frame::new(NEAR, FAR).tag(8, 5).payload(0x8100, b"\x00\x08");
    let upcall = miss_packet(pair, &mut near, &packet(pair, 8, cut.clone())).await;
    assert_eq!(upcall.key, Err(Malformed::Frame(MalformedFrame::ShortTag { len: cut.len() })));
    pair.vtep_sends(&packet(pair, 8, cut[..13].to_vec()));
    miss_packet(pair, &mut near, &packet(pair, 8, plain("behind it"))).await;
}

const V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

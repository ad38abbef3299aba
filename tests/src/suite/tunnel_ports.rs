//! The tunnel's port: opened, kept, made anew, closed, found again.

use datapath::fake::Packet;
use datapath::flow::{Action, FlowChange, FlowId};
use datapath::tunnel::{GroupId, TunnelEnd};
use datapath::{Datapath, FlowTable, RefusalCause};

use super::Rig;
use super::pair::{Pair, VXLAN_PORT};
use super::traffic::{WIDEST, change, granted, learn, miss, missed, open, plain, put, refused, take_upcalls};
use super::tunnels::{miss_packet, near_end, open_near, packet, to_vtep};

/// It has a number and counters of its own, is found by its own call, and stands in no list of ports.
pub async fn a_tunnel_is_no_port_among_links<P: Pair>(pair: &mut P) {
    let (mut dp, [a]) = open(pair.near(), ["a"]).await;
    assert!(dp.capabilities().tunnels);
    assert_eq!(granted(dp.tunnel().await), None);
    let vport = granted(dp.open_tunnel(near_end(pair)).await);
    pair.near().add_links(&["b"]);
    let b = granted(dp.attach("b").await).no;
    assert!(vport.no != a && vport.no != b, "{vport:?}");
    let links: Vec<_> = granted(dp.vports().await).into_iter().map(|vport| vport.no).collect();
    assert_eq!(links, [a.min(b), b.max(a)]);
    assert_eq!(granted(dp.vport_stats().await).len(), 2);
    let (found, stats) = granted(dp.tunnel().await).unwrap_or_else(|| panic!("there is no tunnel"));
    assert_eq!((found.no, &found.link), (vport.no, &vport.link));
    assert_eq!((stats.rx_packets, stats.tx_packets), (0, 0));
    let there = [to_vtep(pair, 8, 0)];
    learn(pair.near(), &mut dp, "a", &plain("first"), (1, WIDEST, &there)).await;
    pair.near().inject("a", &[plain("one"), plain("two"), plain("three")]);
    pair.vtep_sends(&packet(pair, 8, plain("back")));
    take_upcalls(&mut dp, 1).await;
    let stats = granted(dp.tunnel().await).unwrap_or_else(|| panic!("there is no tunnel")).1;
    assert_eq!((stats.tx_packets, stats.rx_packets), (3, 1));
    assert_eq!((stats.tx_bytes, stats.rx_bytes), (3 * 60, 60));
}

/// With the same settings it stays as it is, and whoever has it goes on; with others it is another.
pub async fn a_tunnel_is_kept_or_made_anew<P: Pair>(pair: &mut P) {
    let mut near = open_near(pair).await;
    let there = [to_vtep(pair, 8, 0)];
    learn(pair.near(), &mut near.dp, "a", &plain("first"), (1, WIDEST, &there)).await;
    let known = miss_packet(pair, &mut near, &packet(pair, 8, plain("first"))).await;
    change(&mut near.dp, vec![put(2, &known, WIDEST, &[Action::Output(near.a)])]).await;
    let again = granted(near.dp.open_tunnel(near_end(pair)).await);
    assert_eq!(again.no, near.tunnel);
    pair.near().inject("a", &[plain("there")]);
    pair.vtep_sends(&packet(pair, 8, plain("back")));
    assert_eq!((pair.vtep_received().len(), pair.near().sent("a")), (1, vec![plain("back")]));
    let counted = granted(near.dp.tunnel().await).map(|(_, stats)| (stats.tx_packets, stats.rx_packets));
    assert_eq!(counted, Some((1, 2)), "its counters went on");
    let other = TunnelEnd { port: OTHER_PORT, ..near_end(pair) };
    near.tunnel = granted(near.dp.open_tunnel(other).await).no;
    let before = missed(&mut near.dp).await;
    pair.vtep_sends(&packet(pair, 8, plain("to the old port")));
    let elsewhere = Packet { port: OTHER_PORT, ..packet(pair, 9, plain("to the new one")) };
    miss_packet(pair, &mut near, &elsewhere).await;
    assert_eq!(missed(&mut near.dp).await, before + 1);
    assert_eq!(pair.near().sent("a"), [[0; 0]; 0]);
    pair.near().inject("a", &[plain("from the new one")]);
    assert_eq!(pair.vtep_received(), [], "it goes to the new port of whoever it goes to");
}

/// Its frames come no more, and closing it twice is no error. What is opened next is new.
pub async fn a_closed_tunnel_takes_nothing<P: Pair>(pair: &mut P) {
    let mut near = open_near(pair).await;
    miss_packet(pair, &mut near, &packet(pair, 8, plain("first"))).await;
    granted(near.dp.close_tunnel().await);
    granted(near.dp.close_tunnel().await);
    assert_eq!(granted(near.dp.tunnel().await), None);
    let before = missed(&mut near.dp).await;
    pair.vtep_sends(&packet(pair, 8, plain("to nobody")));
    assert_eq!(missed(&mut near.dp).await, before);
    near.tunnel = granted(near.dp.open_tunnel(near_end(pair)).await).no;
    let counted = granted(near.dp.tunnel().await).map(|(_, stats)| (stats.rx_packets, stats.tx_packets));
    assert_eq!(counted, Some((0, 0)));
    miss_packet(pair, &mut near, &packet(pair, 8, plain("to the next"))).await;
}

/// Flows from it and to it, groups and the port itself work on while nobody is there, and are read back as they were put.
pub async fn a_tunnel_outlives_its_owner<P: Pair>(pair: &mut P) {
    let mut near = open_near(pair).await;
    let group = vec![to_vtep(pair, 9, 5), Action::Output(near.b)];
    granted(near.dp.set_group(GROUP, group.clone()).await);
    let actions = [to_vtep(pair, 8, 3), Action::Group(GROUP)];
    learn(pair.near(), &mut near.dp, "a", &plain("first"), (1, WIDEST, &actions)).await;
    let exact = vlan::verdict::Consulted { class: true, ..WIDEST };
    let back = Packet { class: 5, ..packet(pair, 8, plain("back")) };
    let upcall = miss_packet(pair, &mut near, &back).await;
    change(&mut near.dp, vec![put(2, &upcall, exact, &[Action::Output(near.a)])]).await;
    drop(near.dp);
    pair.near().inject("a", &[plain("while nobody looks")]);
    pair.vtep_sends(&back);
    let vnis: Vec<_> = pair.vtep_received().into_iter().map(|packet| packet.vni).collect();
    assert_eq!(vnis.len(), 2);
    assert_eq!((pair.near().sent("a"), pair.near().sent("b").len()), (vec![plain("back")], 1));
    let mut dp = granted(pair.near().open().await);
    let (found, stats) = granted(dp.tunnel().await).unwrap_or_else(|| panic!("there is no tunnel"));
    assert_eq!((found.no, stats.rx_packets, stats.tx_packets), (near.tunnel, 2, 2));
    assert_eq!(granted(dp.open_tunnel(near_end(pair)).await).no, near.tunnel);
    assert_eq!(granted(dp.groups().await), [(GROUP, Some(group))]);
    let mut flows = granted(dp.flows().await);
    flows.sort_by_key(|flow| flow.id);
    let [there, here] = &flows[..] else { panic!("{flows:?}") };
    assert_eq!((there.actions.as_deref(), there.key.tunnel), (Some(&actions[..]), None));
    assert_eq!((here.key.tunnel, here.key.vport), (upcall.key.ok().and_then(|key| key.tunnel), near.tunnel));
    assert!(here.mask.is_some_and(|mask| mask.class), "{:?}", here.mask);
    assert_eq!((there.stats.packets, here.stats.packets), (1, 1));
    // A key from a dump is as good as one from an upcall.
    let (key, mask) = (here.key.clone(), here.mask.unwrap_or_default());
    let changed = FlowChange::Put { id: FlowId(2), key, mask, actions: vec![Action::Output(near.b)] };
    change(&mut dp, vec![changed]).await;
    pair.vtep_sends(&back);
    assert_eq!(pair.near().sent("b"), [plain("back")]);
    assert_eq!(granted(dp.flows().await).len(), 2);
}

/// It takes the port and all groups with it.
pub async fn teardown_leaves_no_tunnel<P: Pair>(pair: &mut P) {
    let mut near = open_near(pair).await;
    granted(near.dp.set_group(GROUP, vec![to_vtep(pair, 9, 5)]).await);
    granted(near.dp.teardown().await);
    pair.vtep_sends(&packet(pair, 8, plain("to nobody")));
    let mut dp = granted(pair.near().open().await);
    assert_eq!(granted(dp.tunnel().await), None);
    assert_eq!(granted(dp.groups().await), []);
    assert_eq!(granted(dp.counters().await).missed, 0);
    near.tunnel = granted(dp.open_tunnel(near_end(pair)).await).no;
    near.dp = dp;
    miss_packet(pair, &mut near, &packet(pair, 8, plain("to the next"))).await;
}

/// An address that is not the host's, and a UDP port that somebody has.
pub async fn a_tunnel_that_cannot_be_is_refused<P: Pair>(pair: &mut P) {
    let (mut dp, [_]) = open(pair.near(), ["a"]).await;
    let end = near_end(pair);
    let elsewhere = TunnelEnd { local: pair.addresses().far, ..end };
    let refusal = refused(dp.open_tunnel(elsewhere).await);
    assert!(
        !refusal.is_retryable() && refusal.to_string().contains(&elsewhere.local.to_string()),
        "{refusal}"
    );
    assert_eq!(granted(dp.tunnel().await), None, "nothing is left of it");
    pair.occupy_udp_of_near(OTHER_PORT);
    let taken = TunnelEnd { port: OTHER_PORT, ..end };
    let refusal = refused(dp.open_tunnel(taken).await);
    assert_eq!(refusal.cause, RefusalCause::Busy, "{refusal}");
    assert!(refusal.to_string().contains(&OTHER_PORT.to_string()), "{refusal}");
    assert_eq!(granted(dp.tunnel().await), None, "nothing is left of it");
    granted(dp.open_tunnel(end).await);
}

/// Upcalls of the tunnel are taken as those of any port: in order, when it is named, and lost with it.
pub async fn upcalls_of_a_tunnel_are_as_those_of_a_port<P: Pair>(pair: &mut P) {
    let mut near = open_near(pair).await;
    let frames: Vec<_> = (0..10).map(|number| plain(&number.to_string())).collect();
    frames.iter().for_each(|frame| pair.vtep_sends(&packet(pair, 8, frame.clone())));
    pair.near().inject("a", &[plain("of a link")]);
    let mut seen = take_upcalls(&mut near.dp, 1).await;
    let of_link = seen.extract_if(.., |upcall| upcall.vport == near.a).count();
    while seen.len() < frames.len() {
        let stragglers = near.dp.stragglers(&[near.tunnel], 64);
        assert!(!stragglers.is_empty(), "{} of {} frames are there", seen.len(), frames.len());
        seen.extend(stragglers);
    }
    assert_eq!(seen.into_iter().map(|upcall| upcall.frame).collect::<Vec<_>>(), frames);
    if of_link == 0 {
        assert_eq!(take_upcalls(&mut near.dp, 1).await[0].vport, near.a);
    }
    assert_eq!(granted(near.dp.counters().await).lost, 0);
    pair.vtep_sends(&packet(pair, 8, plain("unread")));
    granted(near.dp.close_tunnel().await);
    miss(pair.near(), &mut near.dp, "a", &plain("behind it")).await;
    assert_eq!(granted(near.dp.counters().await).lost, 1);
}

/// None says anything else.
pub async fn a_datapath_that_is_gone_is_named_by_every_call<P: Pair>(pair: &mut P) {
    let mut near = open_near(pair).await;
    granted(near.dp.set_group(GROUP, vec![to_vtep(pair, 9, 5)]).await);
    pair.near().delete_datapath();
    let gone = |what: &str, refusal: datapath::Refusal| {
        assert_eq!(refusal.cause, RefusalCause::DatapathGone, "{what}: {refusal}");
    };
    gone("open_tunnel", refused(near.dp.open_tunnel(near_end(pair)).await));
    gone("close_tunnel", refused(near.dp.close_tunnel().await));
    gone("tunnel", refused(near.dp.tunnel().await));
    gone("set_group", refused(near.dp.set_group(GROUP, Vec::new()).await));
    gone("delete_group", refused(near.dp.delete_group(GROUP).await));
    gone("groups", refused(near.dp.groups().await));
}

const GROUP: GroupId = GroupId(7);
/// No program's by default.
const OTHER_PORT: u16 = VXLAN_PORT + 1_000;

//! The tunnel to other hosts on openvswitch.ko: every case of the suite over IPv4 and IPv6, and what only this backend promises.

use std::net::{IpAddr, Ipv4Addr};

use datapath::fake::Packet;
use datapath::flow::Action;
use datapath::link::Links;
use datapath::ovs::{Ovs, Removed, UpcallSockets};
use datapath::port::LinkEvent;
use datapath::tunnel::{GroupId, TunnelEnd, TunnelTo};
use datapath::{Datapath, FlowTable, RefusalCause};
use rtnetlink::LinkVxlan;
use tests::lab::frames::{Frame, internet_checksum};
use tests::lab::genl::{Call, DEL, Family as Genl, attribute};
use tests::suite::Rig;
use tests::suite::kernel::DATAPATH;
use tests::suite::kernel_pair::{KernelPair, UPLINK};
use tests::suite::pair::{Family, Pair, VXLAN_PORT};
use tests::suite::traffic::{
    FAR, NEAR, WIDEST, change, granted, learn, miss, open, plain, put, refused, take_upcalls,
};

macro_rules! over_ipv4 {
    ($group:ident: $($case:ident),+ $(,)?) => {
        tests::kernel_tests! {
            group $group;

            $(fn $case() { on_two(Family::V4, async |pair| tests::suite::$group::$case(pair).await) })+
        }
    };
}

macro_rules! over_ipv6 {
    ($group:ident: $($case:ident),+ $(,)?) => {
        tests::kernel_tests! {
            group $group;

            $(fn $case() { on_two(Family::V6, async |pair| tests::suite::$group::$case(pair).await) })+
        }
    };
}

mod ipv4 {
    use super::*;

    tests::tunnel_cases!(over_ipv4);
}

mod ipv6 {
    use super::*;

    tests::tunnel_cases!(over_ipv6);
}

tests::kernel_tests! {
    group packets;

    fn an_outer_header_is_as_the_family_wants_it() {
        for family in [Family::V4, Family::V6] {
            on_two(family, async |pair| {
                let (mut dp, [_]) = open(pair.near(), ["a"]).await;
                granted(dp.open_tunnel(end(pair)).await);
                let remote = pair.addresses().vtep;
                let there = Action::Tunnel(TunnelTo { remote, vni: 8, class: 5 });
                learn(pair.near(), &mut dp, "a", &plain("first"), (1, WIDEST, &[there])).await;
                pair.near().inject("a", &[plain("frame")]);
                let sent = pair.wire();
                let packet = sent.iter().find(|bytes| bytes.ends_with(&plain("frame"))).unwrap();
                let ip = &packet[14..];
                match family {
                    Family::V4 => {
                        assert_eq!((ip[1], ip[8]), (0xa0, 64), "class and time to live");
                        assert_eq!(ip[6..8], [0x40, 0], "it may not be fragmented");
                        assert_eq!(ip[26..28], [0, 0], "no checksum");
                    }
                    Family::V6 => {
                        assert_eq!((ip[0], ip[1] & 0xf0, ip[7]), (0x6a, 0, 64), "class and hop limit");
                        assert_ne!(ip[46..48], [0, 0], "a checksum");
                    }
                }
            });
        }
    }

    fn a_frame_to_another_address_of_the_host_is_not_taken_for_ours() {
        on_two(Family::V4, async |pair| {
            let (mut dp, [_]) = open(pair.near(), ["a"]).await;
            let tunnel = granted(dp.open_tunnel(end(pair)).await).no;
            let other = [198, 51, 100, 9].into();
            pair.near().gateway().links().add_address(UPLINK, other, 24);
            let ours = packet(pair, 8, plain("ours"));
            pair.vtep_sends(&ours);
            let upcall = take_upcalls(&mut dp, 1).await.remove(0);
            change(&mut dp, vec![put(1, &upcall, WIDEST, &[])]).await;
            pair.vtep_sends(&Packet { to: other, ..ours });
            let upcall = take_upcalls(&mut dp, 1).await.remove(0);
            assert_eq!(upcall.vport, tunnel);
            let why = upcall.key.unwrap_err().to_string();
            assert_eq!(why, "kernel message: a frame from 198.51.100.3 to 198.51.100.9 by the tunnel of 198.51.100.1");
            assert_eq!(granted(dp.flow_stats().await)[0].1.packets, 0, "a flow takes what was sent to us");
        });
    }

    fn with_sockets_of_cpus_it_is_all_the_same() {
        on_two(Family::V4, async |pair| {
            pair.near().set_options(UpcallSockets { ports_with_own_socket: 0 });
            let (mut dp, [a, _]) = open(pair.near(), ["a", "b"]).await;
            let tunnel = granted(dp.open_tunnel(end(pair)).await).no;
            pair.vtep_sends(&packet(pair, 8, plain("first")));
            let upcall = take_upcalls(&mut dp, 1).await.remove(0);
            assert_eq!(upcall.key.as_ref().map(|key| key.tunnel.map(|tunnel| tunnel.vni)), Ok(Some(8)));
            assert_eq!(upcall.vport, tunnel);
            let actions = [Action::Group(SHARED), Action::Output(a)];
            change(&mut dp, vec![put(1, &upcall, WIDEST, &actions)]).await;
            pair.vtep_sends(&packet(pair, 8, plain("to no group")));
            miss(pair.near(), &mut dp, "b", &plain("behind it")).await;
            assert_eq!(pair.near().sent("a"), [plain("to no group")]);
            assert_eq!(granted(dp.counters().await).ungrouped, 1);
        });
    }

    /// The kernel tells the sender as a router would, on behalf of the host that the frame was for.
    fn what_is_too_long_for_the_underlay_is_dropped_and_told() {
        on_two(Family::V4, async |pair| {
            let (mut dp, [_]) = open(pair.near(), ["a"]).await;
            let tunnel = granted(dp.open_tunnel(end(pair)).await).no;
            let remote = pair.addresses().vtep;
            let there = Action::Tunnel(TunnelTo { remote, vni: 8, class: 0 });
            learn(pair.near(), &mut dp, "a", &datagram(100, 0), (1, WIDEST, &[there])).await;
            pair.near().inject("a", &[datagram(1_450, 0), datagram(1_451, 0)]);
            let lens = |packets: Vec<Packet>| -> Vec<usize> {
                packets.iter().map(|packet| packet.frame.len()).collect()
            };
            assert_eq!(lens(pair.vtep_received()), [1_464]);
            let (_, stats) = granted(dp.tunnel().await).unwrap();
            assert_eq!((stats.tx_packets, stats.tx_dropped), (1, 1));
            pair.near().inject("a", &[datagram(1_451, DONT_FRAGMENT)]);
            assert_eq!(pair.vtep_received(), []);
            let told = take_upcalls(&mut dp, 1).await.remove(0);
            assert_eq!(told.vport, tunnel);
            assert_eq!((&told.frame[..6], &told.frame[6..12]), (&NEAR[..], &FAR[..]), "the other way round");
            assert_eq!(told.frame[34..36], [3, 4], "ICMP: fragmentation needed");
            assert_eq!(told.frame[40..42], 1_450_u16.to_be_bytes(), "and what would fit");
            let tunnel = told.key.unwrap().tunnel;
            assert_eq!(tunnel.map(|tunnel| (tunnel.remote, tunnel.vni)), Some((remote, 8)));
        });
    }

    fn a_plain_vxlan_device_speaks_with_it_both_ways() {
        for family in [Family::V4, Family::V6] {
            on_two(family, async |pair| {
                let (mut dp, [a]) = open(pair.near(), ["a"]).await;
                let tunnel = granted(dp.open_tunnel(TunnelEnd { port: OTHER_PORT, ..end(pair) }).await).no;
                let (near, vtep) = (pair.addresses().near, pair.addresses().vtep);
                let device = LinkVxlan::new("vxlan7", 7).port(OTHER_PORT);
                let device = match (near, vtep) {
                    (IpAddr::V4(near), IpAddr::V4(vtep)) => device.remote(near).local(vtep),
                    (IpAddr::V6(near), IpAddr::V6(vtep)) => device.remote6(near).local6(vtep),
                    others => panic!("{others:?}"),
                };
                pair.vtep().links().add("vxlan7", device.up().build());
                let tap = pair.vtep().tap("vxlan7");
                tap.send(&plain("from the device"));
                let upcall = take_upcalls(&mut dp, 1).await.remove(0);
                let key = upcall.key.as_ref().unwrap();
                assert_eq!((upcall.vport, &upcall.frame), (tunnel, &plain("from the device")));
                assert_eq!(key.tunnel.map(|tunnel| (tunnel.remote, tunnel.vni, tunnel.class)), Some((vtep, 7, 0)));
                change(&mut dp, vec![put(1, &upcall, WIDEST, &[Action::Output(a)])]).await;
                tap.send(&plain("again"));
                assert_eq!(pair.near().sent("a"), [plain("again")]);
                let there = Action::Tunnel(TunnelTo { remote: vtep, vni: 7, class: 3 });
                learn(pair.near(), &mut dp, "a", &plain("first"), (2, WIDEST, &[there])).await;
                pair.near().inject("a", &[plain("to the device")]);
                assert_eq!(tap.drain().into_iter().filter(|frame| frame == &plain("to the device")).count(), 1);
            });
        }
    }
}

tests::kernel_tests! {
    group devices;

    fn a_device_that_a_crash_left_is_kept_or_made_anew() {
        on_two(Family::V4, async |pair| {
            let (mut dp, [_]) = open(pair.near(), ["a"]).await;
            let made = granted(dp.open_tunnel(end(pair)).await);
            assert_eq!(made.link, DEVICE);
            drop(dp);
            pair.near().other_hand().delete_datapath(DATAPATH);
            let index = pair.near().gateway().links().index(DEVICE);
            let mut dp = granted(pair.near().open().await);
            assert_eq!(granted(dp.tunnel().await), None, "it is no port");
            granted(dp.open_tunnel(end(pair)).await);
            assert_eq!(pair.near().gateway().links().index(DEVICE), index, "as it would be made");
            pair.near().gateway().links().set_mtu(DEVICE, 1_400);
            granted(dp.open_tunnel(end(pair)).await);
            let anew = pair.near().gateway().links().index(DEVICE);
            assert_ne!(anew, index, "somebody changed it");
            pair.near().gateway().links().delete(DEVICE);
            assert_eq!(granted(dp.tunnel().await), None);
            granted(dp.open_tunnel(end(pair)).await);
            pair.vtep_sends(&packet(pair, 8, plain("heard again")));
            take_upcalls(&mut dp, 1).await;
            granted(dp.teardown().await);
            assert!(!pair.near().gateway().links().has(DEVICE));
        });
    }

    fn a_udp_port_is_told_with_the_device_that_has_it() {
        on_two(Family::V4, async |pair| {
            let (mut dp, [_]) = open(pair.near(), ["a"]).await;
            let ours = end(pair);
            let links = pair.near().gateway().links();
            links.add("vxlan7", LinkVxlan::new("vxlan7", 7).port(VXLAN_PORT).up().build());
            links.add("md0", LinkVxlan::new("md0", 0).collect_metadata(true).port(OTHER_PORT).up().build());
            for (port, device) in [(VXLAN_PORT, "vxlan7"), (OTHER_PORT, "md0")] {
                let refusal = refused(dp.open_tunnel(TunnelEnd { port, ..ours }).await);
                let why = format!("whose UDP port the VXLAN device {device} has: it is in use by something else");
                assert_eq!(refusal.to_string(), format!("open VXLAN at 198.51.100.1 port {port}, {why}"));
            }
            pair.occupy_udp_of_near(OTHER_PORT + 1);
            let links = pair.near().gateway().links();
            let refusal = refused(dp.open_tunnel(TunnelEnd { port: OTHER_PORT + 1, ..ours }).await);
            let process = format!("port 4791, whose UDP port process {} (", std::process::id());
            assert!(refusal.what.contains(&process), "{refusal}");
            links.delete("vxlan7");
            links.add_vlan_bridge(DEVICE);
            let refusal = refused(dp.open_tunnel(ours).await);
            assert_eq!(refusal.cause, RefusalCause::Busy);
            assert!(refusal.what.ends_with("for which another link has the name vx-dp-test"), "{refusal}");
            assert!(links.has(DEVICE), "it is not ours");
            links.delete(DEVICE);
            granted(dp.open_tunnel(ours).await);
        });
    }

    fn a_device_of_ours_is_nobodys_link() {
        on_two(Family::V4, async |pair| {
            let (mut dp, [_]) = open(pair.near(), ["a"]).await;
            let runtime = tokio::runtime::Handle::current();
            let watch = pair.near().gateway().run(|| {
                let _inside = runtime.enter();
                Links::open()
            });
            let (links, mut events) = watch.unwrap();
            granted(dp.open_tunnel(end(pair)).await);
            pair.near().gateway().links().add("vx-other", LinkVxlan::new("vx-other", 7).port(OTHER_PORT).up().build());
            let mut told = Vec::new();
            while !told.iter().any(|name| name == "vx-other") {
                match events.recv().await.unwrap() {
                    LinkEvent::All(all) => told.extend(all.into_iter().map(|link| link.name)),
                    LinkEvent::Changed(link) => told.push(link.name),
                    LinkEvent::Gone(_) => {}
                }
            }
            assert!(!told.iter().any(|name| name == DEVICE), "{told:?}");
            let all = links.list().await.unwrap();
            assert!(all.iter().all(|link| link.name != DEVICE) && all.iter().any(|link| link.name == UPLINK));
        });
    }

    fn what_a_stopped_program_left_is_removed_with_its_device() {
        on_two(Family::V4, async |pair| {
            let (mut dp, [_]) = open(pair.near(), ["a"]).await;
            granted(dp.open_tunnel(end(pair)).await);
            drop(dp);
            let removed = granted(remove(pair).await);
            assert_eq!(removed.tunnel.as_deref(), Some(DEVICE));
            assert_eq!(removed.datapath.map(|held| held.links), Some(vec!["a".to_owned()]));
            assert!(!pair.near().gateway().links().has(DEVICE));
            assert_eq!(granted(remove(pair).await), Removed::default(), "nothing is left");
            let mut dp = granted(pair.near().open().await);
            granted(dp.open_tunnel(end(pair)).await);
            drop(dp);
            pair.near().other_hand().delete_datapath(DATAPATH);
            let removed = granted(remove(pair).await);
            assert_eq!(removed, Removed { datapath: None, tunnel: Some(DEVICE.to_owned()) });
        });
    }
}

tests::kernel_tests! {
    group parts;

    fn a_group_that_is_not_set_is_counted_and_no_first_frame() {
        on_two(Family::V4, async |pair| {
            let (mut dp, [_, b]) = open(pair.near(), ["a", "b"]).await;
            let actions = [Action::Group(SHARED), Action::Output(b)];
            learn(pair.near(), &mut dp, "a", &plain("first"), (1, WIDEST, &actions)).await;
            pair.near().inject("a", &[plain("one"), plain("two")]);
            miss(pair.near(), &mut dp, "b", &plain("behind them")).await;
            assert_eq!(pair.near().sent("b"), [plain("one"), plain("two")]);
            let counters = granted(dp.counters().await);
            assert_eq!((counters.ungrouped, counters.lost), (2, 0));
        });
    }

    fn a_group_has_as_many_copies_as_a_message_holds() {
        for (family, most) in [(Family::V4, 1_023), (Family::V6, 744)] {
            on_two(family, async |pair| {
                let (mut dp, [_]) = open(pair.near(), ["a"]).await;
                granted(dp.open_tunnel(end(pair)).await);
                let remote = pair.addresses().vtep;
                let copies = |count| (1..=count).map(|vni| Action::Tunnel(TunnelTo { remote, vni, class: 0 })).collect();
                let steps: Vec<Action> = copies(most);
                granted(dp.set_group(SHARED, steps.clone()).await);
                let refusal = refused(dp.set_group(SHARED, copies(most + 1)).await);
                assert!(matches!(refusal.cause, RefusalCause::Kernel { errno: libc::EMSGSIZE, .. }), "{refusal}");
                assert_eq!(granted(dp.groups().await), [(SHARED, Some(steps))], "it stays as it was");
            });
        }
    }

    fn a_group_of_which_a_flow_is_missing_has_no_steps_and_is_mended() {
        on_two(Family::V4, async |pair| {
            let (mut dp, [_, b]) = open(pair.near(), ["a", "b"]).await;
            let steps = vec![Action::Output(b)];
            granted(dp.set_group(SHARED, steps.clone()).await);
            let other = pair.near().other_hand();
            let attributes = attribute(UFID, b"l2gw-grp\0\0\x07\x03");
            let datapath = other.index_of(DATAPATH);
            other.ask(&Call { family: Genl::Flow, command: DEL, flags: 0, datapath, attributes: &attributes }).unwrap();
            assert_eq!(granted(dp.groups().await), [(SHARED, None)]);
            granted(dp.set_group(SHARED, steps.clone()).await);
            assert_eq!(granted(dp.groups().await), [(SHARED, Some(steps))]);
        });
    }

    fn flows_of_groups_are_nobodys_flows_and_stay() {
        on_two(Family::V4, async |pair| {
            let (mut dp, [_, b]) = open(pair.near(), ["a", "b"]).await;
            let steps = vec![Action::Output(b)];
            granted(dp.set_group(SHARED, steps.clone()).await);
            learn(pair.near(), &mut dp, "a", &plain("first"), (1, WIDEST, &[Action::Group(SHARED)])).await;
            assert_eq!(granted(dp.flows().await).len(), 1);
            assert_eq!(granted(dp.flow_stats().await).len(), 1);
            assert_eq!(granted(dp.counters().await).foreign, 0);
            drop(dp);
            let mut dp = granted(pair.near().open().await);
            assert_eq!(granted(dp.counters().await).foreign, 0);
            assert_eq!(granted(dp.groups().await), [(SHARED, Some(steps))]);
            pair.near().inject("a", &[plain("by the group")]);
            assert_eq!(pair.near().sent("b"), [plain("by the group")]);
        });
    }
}

/// A frame with an IPv4 packet of this many bytes and with these flags (RFC 791 3.1).
fn datagram(len: usize, flags: u8) -> Vec<u8> {
    let v4 = |last| (Ipv4Addr::new(192, 0, 2, last), 1_000);
    let mut frame = Frame::new(NEAR, FAR).udp4(v4(1), v4(2), &vec![7; len - 28]);
    frame[20] = flags;
    frame[24..26].fill(0);
    let checksum = internet_checksum(&[&frame[14..34]]);
    frame[24..26].copy_from_slice(&checksum.to_be_bytes());
    frame
}

fn end(pair: &impl Pair) -> TunnelEnd {
    TunnelEnd { local: pair.addresses().near, port: VXLAN_PORT }
}

fn packet(pair: &impl Pair, vni: u32, frame: Vec<u8>) -> Packet {
    let (from, to) = (pair.addresses().vtep, pair.addresses().near);
    Packet { from, to, port: VXLAN_PORT, vni, class: 0, ecn: 0, path: 0, frame }
}

async fn remove(pair: &mut KernelPair) -> Result<Removed, datapath::Refusal> {
    let runtime = tokio::runtime::Handle::current();
    let removing = pair.near().gateway().run(|| {
        let _inside = runtime.enter();
        Ovs::remove(DATAPATH)
    });
    removing.await
}

fn on_two(family: Family, case: impl AsyncFnOnce(&mut KernelPair)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut pair = KernelPair::new(family);
    runtime.block_on(case(&mut pair));
}

/// The device of [`DATAPATH`].
const DEVICE: &str = "vx-dp-test";
const DONT_FRAGMENT: u8 = 0x40;
const OTHER_PORT: u16 = 4_790;
const SHARED: GroupId = GroupId(7);
/// OVS_FLOW_ATTR_UFID.
const UFID: u16 = 9;

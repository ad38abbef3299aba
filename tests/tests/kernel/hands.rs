//! What other hands do to a datapath of openvswitch.ko, and what only this backend promises. Each has a named outcome.

use datapath::flow::{Action, FlowChange, FlowId, MeterId, MeterRate};
use datapath::ovs::UpcallSockets;
use datapath::port::VportNo;
use datapath::{Datapath, Execute, FlowTable, RefusalCause};
use tests::lab::genl::{Call, Family, NEW, SET, attribute, number, text};
use tests::lab::links::Carried;
use tests::suite::Rig;
use tests::suite::kernel::{DATAPATH, KernelRig};
use tests::suite::traffic::{
    NARROWEST, WIDEST, change, delete, granted, learn, miss, open, plain, put, refused, tagged, take_upcalls,
};

tests::kernel_tests! {
    group ports;

    fn a_port_that_was_released_by_hand_is_gone_and_comes_again() {
        on_kernel(async |rig| {
            let (mut dp, [a, b]) = open(rig, ["a", "b"]).await;
            learn(rig, &mut dp, "a", &plain("first"), (1, NARROWEST, &[Action::Output(b)])).await;
            rig.other_hand().delete_vport(DATAPATH, "b");
            rig.inject("a", &[plain("into nothing")]);
            miss(rig, &mut dp, "a", &tagged(8, 0, "others go on")).await;
            assert_eq!(granted(dp.vports().await).iter().map(|port| port.no).collect::<Vec<_>>(), [a]);
            let order = Execute { vport: None, frame: plain("nowhere"), actions: vec![Action::Output(b)], hash: None };
            dp.execute(vec![order]).await.into_iter().for_each(granted);
            granted(dp.detach(b).await);
            let again = granted(dp.attach("b").await).no;
            rig.inject("a", &[plain("to a flow that names the old number")]);
            assert_eq!(rig.sent("b"), [[0; 0]; 0], "the new port {again} got a frame for the old one {b}");
            miss(rig, &mut dp, "b", &plain("heard again")).await;
        });
    }

    fn a_number_is_not_used_again_soon() {
        on_kernel(async |rig| {
            let (mut dp, [a, b]) = open(rig, ["a", "b"]).await;
            granted(dp.detach(b).await);
            let c = granted(dp.attach("b").await).no;
            assert!(c != a && c != b, "{c} after {a} and {b}");
            learn(rig, &mut dp, "a", &plain("first"), (1, NARROWEST, &[Action::Output(VportNo(77))])).await;
            granted(dp.detach(c).await);
            drop(dp);
            let mut dp = granted(rig.open().await);
            let d = granted(dp.attach("b").await).no;
            assert!(d.0 > 77, "{d} is named by a flow, or was given before one that is");
        });
    }

    fn a_number_that_another_program_gave_out_is_passed_over() {
        on_kernel(async |rig| {
            let (mut dp, [a]) = open(rig, ["a"]).await;
            rig.add_links(&["theirs", "ours"]);
            rig.other_hand().add_vport(DATAPATH, "theirs");
            let ours = granted(dp.attach("ours").await).no;
            let ports = granted(dp.vports().await);
            let theirs = ports.iter().find(|port| port.link == "theirs").unwrap().no;
            assert!(ours != theirs && ours != a && theirs != a, "{ours}, {theirs}, {a}");
            assert_eq!(granted(dp.attach("theirs").await).no, theirs, "it is a port already");
            miss(rig, &mut dp, "theirs", &plain("and heard from now on")).await;
        });
    }

    fn a_link_that_is_not_to_be_had_is_refused_by_name() {
        on_kernel(async |rig| {
            let (mut dp, []) = open(rig, []).await;
            rig.add_links(&["bridged", "others", "free"]);
            let links = rig.gateway().links();
            links.add_vlan_bridge("br0");
            links.attach("bridged", "br0");
            links.add_bridge_vlan("bridged", 5, Carried::Tagged);
            let other = rig.other_hand();
            other.add_datapath("dp-other");
            other.add_vport("dp-other", "others");
            for link in ["bridged", "others"] {
                let refusal = refused(dp.attach(link).await);
                assert_eq!(refusal.to_string(), format!("attach {link}: it is in use by something else"));
            }
            for link in ["lo", DATAPATH, "dp-other"] {
                let refusal = refused(dp.attach(link).await);
                assert!(matches!(refusal.cause, RefusalCause::Kernel { errno: libc::EINVAL, .. }), "{refusal}");
            }
            for link in ["", "a-name-of-17-byte"] {
                assert!(!refused(dp.attach(link).await).is_retryable());
            }
            granted(dp.attach("free").await);
        });
    }
}

tests::kernel_tests! {
    group owners;

    fn a_name_that_is_a_links_is_refused() {
        on_kernel(async |rig| {
            rig.gateway().links().add_vlan_bridge(DATAPATH);
            let refusal = refused(rig.open().await);
            assert_eq!(refusal.to_string(), format!("open datapath {DATAPATH}: it is in use by something else"));
        });
    }

    fn one_that_is_made_anew_by_another_hand_is_not_ours() {
        on_kernel(async |rig| {
            let (mut dp, [_]) = open(rig, ["a"]).await;
            let other = rig.other_hand();
            other.delete_datapath(DATAPATH);
            other.add_datapath(DATAPATH);
            other.add_vport(DATAPATH, "a");
            assert_eq!(refused(dp.upcalls(8).await).cause, RefusalCause::DatapathGone);
            assert_eq!(refused(dp.attach("a").await).cause, RefusalCause::DatapathGone);
            let mut dp = granted(rig.open().await);
            assert_eq!(granted(dp.vports().await).len(), 1);
            miss(rig, &mut dp, "a", &plain("adopted from another program")).await;
        });
    }

    fn an_owner_whose_upcalls_are_taken_may_still_do_everything_else() {
        on_kernel(async |rig| {
            let (mut dp, [_, b]) = open(rig, ["a", "b"]).await;
            let upcall = miss(rig, &mut dp, "a", &plain("first")).await;
            rig.steal_upcalls("a").await;
            assert_eq!(refused(dp.upcalls(8).await).cause, RefusalCause::TakenOver);
            assert_eq!(refused(dp.attach("a").await).to_string(), "attach a: another program has taken its upcalls");
            change(&mut dp, vec![put(1, &upcall, WIDEST, &[Action::Output(b)])]).await;
            rig.inject("a", &[plain("second")]);
            assert_eq!(rig.sent("b"), [plain("second")]);
            assert_eq!(granted(dp.flow_stats().await).len(), 1);
            let Err(refusal) = rig.open().await else { panic!("opened beside the thief") };
            assert!(refusal.to_string().contains("netlink port id"), "{refusal}");
        });
    }

    /// As a daemon does that opens anew what it lost, with the lost value still in hand: most ports were never taken from it.
    fn what_was_taken_can_be_opened_again_when_the_thief_is_gone() {
        on_kernel(async |rig| {
            let (mut lost, [_, _]) = open(rig, ["a", "b"]).await;
            let thief = rig.other_hand();
            thief.take_upcalls_of(DATAPATH, "a");
            assert_eq!(refused(lost.upcalls(8).await).cause, RefusalCause::TakenOver);
            let Err(refusal) = rig.open().await else { panic!("opened beside the thief") };
            assert_eq!(refusal.cause, RefusalCause::Busy, "{refusal}");
            drop(thief);
            let mut dp = granted(rig.open().await);
            for link in ["a", "b"] {
                miss(rig, &mut dp, link, &plain(link)).await;
            }
            assert_eq!(refused(lost.upcalls(8).await).cause, RefusalCause::TakenOver, "it stays so");
        });
    }

    fn notices_that_overrun_their_socket_hide_no_theft() {
        on_kernel(async |rig| {
            let (mut dp, [_]) = open(rig, ["a"]).await;
            let other = rig.other_hand();
            let datapath = other.index_of(DATAPATH);
            let nothing = text(3, "a");
            let call = Call { family: Family::Vport, command: SET, flags: 0, datapath, attributes: &nothing };
            let flood = || (0..3_000).for_each(|_| drop(other.ask(&call).unwrap()));
            flood();
            miss(rig, &mut dp, "a", &plain("after a flood of notices")).await;
            flood();
            rig.steal_upcalls("a").await;
            assert_eq!(refused(dp.upcalls(8).await).cause, RefusalCause::TakenOver);
        });
    }

    fn an_upcall_socket_that_overran_goes_on() {
        on_kernel(async |rig| {
            let (mut dp, [_]) = open(rig, ["a"]).await;
            for round in 0..60 {
                rig.inject("a", &(0..100).map(|n| plain(&format!("{round} {n}"))).collect::<Vec<_>>());
            }
            assert_eq!(dp.overruns(), 0, "nobody has looked yet");
            let counters = granted(dp.counters().await);
            take_upcalls(&mut dp, (counters.missed - counters.lost) as usize).await;
            assert!(counters.lost > 0 && dp.overruns() > 0, "{counters:?}, {} overruns", dp.overruns());
            miss(rig, &mut dp, "a", &plain("after it")).await;
            assert_eq!(granted(dp.counters().await).lost, counters.lost);
        });
    }
}

tests::kernel_tests! {
    group meters;

    /// The kernel finds a meter's place by its id modulo the number of places, which begins at 1 024 and doubles when all are taken.
    fn ids_that_are_dense_fit_and_two_of_one_place_do_not() {
        on_kernel(async |rig| {
            let (mut dp, []) = open(rig, []).await;
            let rate = MeterRate { packets_per_second: 1_000, burst: 10 };
            granted(dp.set_meter(MeterId(1), rate).await);
            let refusal = refused(dp.set_meter(MeterId(1 + 1_024), rate).await);
            assert_eq!(refusal.to_string(), "set meter 1025: it is in use by something else");
            for id in 2..=2_000 {
                granted(dp.set_meter(MeterId(id), rate).await);
            }
            assert_eq!(granted(dp.meter_stats(MeterId(1_025)).await).packets, 0);
        });
    }
}

tests::kernel_tests! {
    group flows;

    fn flows_of_another_program_are_removed_when_it_is_adopted() {
        on_kernel(async |rig| {
            let (mut dp, [_, b]) = open(rig, ["a", "b"]).await;
            learn(rig, &mut dp, "a", &plain("ours"), (1, NARROWEST, &[Action::Output(b)])).await;
            let key = granted(dp.flows().await)[0].key.opaque.clone();
            drop(dp);
            let other = rig.other_hand();
            let key = |last: u8| with_source(&key, last);
            put_foreign(&other, &[attribute(1, &key(1)), attribute(2, &[])].concat());
            put_foreign(&other, &[attribute(9, &[7; 5]), attribute(1, &key(2)), attribute(2, &[])].concat());
            put_foreign(&other, &[attribute(9, &[8; 16]), attribute(1, &key(3)), attribute(2, &truncate())].concat());
            put_foreign(&other, &[attribute(9, &[9; 16]), attribute(1, &key(4)), attribute(2, &[])].concat());
            let mut dp = granted(rig.open().await);
            let mut flows = granted(dp.flows().await);
            flows.sort_by_key(|flow| flow.id);
            let ids: Vec<_> = flows.iter().map(|flow| flow.id).collect();
            let theirs = [8_u8, 9].map(|byte| FlowId(u128::from_be_bytes([byte; 16])));
            assert_eq!(ids, [FlowId(1), theirs[0], theirs[1]], "those without an id of ours are removed");
            assert_eq!(granted(dp.counters().await).flows, 3);
            assert_eq!((flows[1].actions.clone(), flows[1].mask), (None, None), "an action that we do not make");
            assert_eq!((flows[2].actions.clone(), flows[2].mask), (Some(vec![]), None), "a mask that we do not make");
            change(&mut dp, theirs.map(|id| FlowChange::Delete { id }).to_vec()).await;
            assert_eq!(granted(dp.counters().await).flows, 1);
        });
    }

    fn a_foreign_flow_in_the_way_is_a_named_refusal() {
        on_kernel(async |rig| {
            let (mut dp, [_, b]) = open(rig, ["a", "b"]).await;
            let upcall = miss(rig, &mut dp, "a", &plain("first")).await;
            let key = upcall.key.as_ref().unwrap().opaque.clone();
            let other = rig.other_hand();
            put_foreign(&other, &[attribute(1, &key), attribute(2, &[])].concat());
            let wanted = put(1, &upcall, NARROWEST, &[Action::Output(b)]);
            let refusal = refused(dp.change_flows(vec![wanted.clone()]).await.remove(0));
            assert_eq!(refusal.cause, RefusalCause::Busy, "{refusal}");
            assert!(refusal.is_retryable());
            drop(dp);
            let mut dp = granted(rig.open().await);
            change(&mut dp, vec![wanted]).await;
            rig.inject("a", &[plain("second")]);
            assert_eq!(rig.sent("b"), [plain("second")]);
        });
    }

    fn an_overlap_is_a_named_refusal_and_the_other_flow_stays() {
        on_kernel(async |rig| {
            let (mut dp, [_, b]) = open(rig, ["a", "b"]).await;
            let wide = miss(rig, &mut dp, "a", &tagged(8, 1, "first")).await;
            let narrow = miss(rig, &mut dp, "a", &tagged(8, 2, "second")).await;
            change(&mut dp, vec![put(1, &wide, NARROWEST, &[Action::Output(b)])]).await;
            let outcome = dp.change_flows(vec![put(2, &narrow, WIDEST, &[])]).await.remove(0);
            assert_eq!(refused(outcome).cause, RefusalCause::Busy);
            rig.inject("a", &[tagged(8, 2, "third")]);
            assert_eq!(rig.sent("b"), [tagged(8, 2, "third")]);
            change(&mut dp, vec![delete(1), put(2, &narrow, WIDEST, &[])]).await;
            assert_eq!(granted(dp.flows().await).len(), 1);
        });
    }

    fn the_longest_list_of_actions_is_taken_and_read_back() {
        on_kernel(async |rig| {
            let (mut dp, [_, b]) = open(rig, ["a", "b"]).await;
            // A number that no port has: the frame goes nowhere.
            let nowhere = Action::Output(VportNo(9_999));
            let longest = [vec![nowhere; 4_095], vec![Action::Output(b)]].concat();
            let upcall = learn(rig, &mut dp, "a", &plain("first"), (1, NARROWEST, &longest)).await;
            learn(rig, &mut dp, "a", &tagged(8, 0, "short"), (2, NARROWEST, &[Action::Output(b)])).await;
            let flows = granted(dp.flows().await);
            let actions = |id| flows.iter().find(|flow| flow.id == FlowId(id)).unwrap().actions.as_ref().unwrap().len();
            assert_eq!((actions(1), actions(2)), (4_096, 1));
            rig.inject("a", &[plain("to the last of them")]);
            assert_eq!(rig.sent("b"), [plain("to the last of them")]);
            let too_long = vec![Action::Output(b); 4_097];
            let refusal = refused(dp.change_flows(vec![put(1, &upcall, NARROWEST, &too_long)]).await.remove(0));
            assert!(refusal.to_string().contains("list of actions of 32776 bytes, allowed are up to 32768"), "{refusal}");
            assert_eq!(granted(dp.flows().await).len(), 2, "what was there stays");
        });
    }

    fn what_the_kernel_says_of_a_refusal_is_in_it() {
        on_kernel(async |rig| {
            let (mut dp, [_]) = open(rig, ["a"]).await;
            let upcall = miss(rig, &mut dp, "a", &plain("first")).await;
            // DP_MAX_PORTS is 65 535, and the kernel has no words of its own for a port beyond.
            let beyond = put(1, &upcall, NARROWEST, &[Action::Output(VportNo(65_535))]);
            let refusal = refused(dp.change_flows(vec![beyond]).await.remove(0));
            assert_eq!(
                refusal.to_string(),
                "put flow 00000000000000000000000000000001 on vport 1: kernel refused with errno 22: Invalid argument \
                 (os error 22)"
            );
        });
    }
}

/// A key with the last byte of its source address changed; the address stands behind the header of OVS_KEY_ATTR_ETHERNET.
fn with_source(key: &[u8], last: u8) -> Vec<u8> {
    let mut key = key.to_vec();
    let header = [16, 0, 4, 0];
    let at = key.windows(4).position(|part| part == header).unwrap();
    key[at + 4 + 5] = 0xf0 | last;
    key
}

/// OVS_ACTION_ATTR_TRUNC, which this program does not make.
fn truncate() -> Vec<u8> {
    [number(13, 100), number(1, 1)].concat()
}

fn put_foreign(other: &tests::lab::genl::OtherHand, attributes: &[u8]) {
    let datapath = other.index_of(DATAPATH);
    let call = Call { family: Family::Flow, command: NEW, flags: 0, datapath, attributes };
    other.ask(&call).unwrap_or_else(|errno| panic!("foreign flow refused with errno {errno}"));
}

fn on_kernel(case: impl AsyncFnOnce(&mut KernelRig)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut rig = KernelRig::new(UpcallSockets::default());
    runtime.block_on(case(&mut rig));
}

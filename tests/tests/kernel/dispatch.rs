//! Upcalls by CPU: the cases of the datapath suite that upcalls have a part in, with sockets that all ports share from the first
//! port on; and the change from one way to the other.

use datapath::Datapath;
use datapath::ovs::{Ovs, UpcallSockets};
use tests::suite::Rig;
use tests::suite::kernel::KernelRig;
use tests::suite::traffic::{granted, miss, plain, take_upcalls};

macro_rules! by_cpu {
    (ports: $($case:ident),+ $(,)?) => { by_cpu!(@run ports $($case)+); };
    (upcalls: $($case:ident),+ $(,)?) => { by_cpu!(@run upcalls $($case)+); };
    (counters: $($case:ident),+ $(,)?) => { by_cpu!(@run counters $($case)+); };
    (adoption: $($case:ident),+ $(,)?) => { by_cpu!(@run adoption $($case)+); };
    // The others do with upcalls what these do; and that a port has a place of its own in the kernel, `isolation`, is what is given up.
    ($other:ident: $($case:ident),+ $(,)?) => {};
    (@run $group:ident $($case:ident)+) => {
        tests::kernel_tests! {
            group $group;

            $(fn $case() {
                on_kernel(0, async |rig: &mut KernelRig| tests::suite::$group::$case(rig).await)
            })+
        }
    };
}

tests::datapath_cases!(by_cpu);

tests::kernel_tests! {
    group changes;

    fn the_port_that_is_one_too_many_changes_the_way_and_loses_nothing() {
        on_kernel(2, async |rig| {
            let mut dp = open_with_ports(rig, &["a", "b"]).await;
            rig.inject("a", &[plain("one"), plain("two")]);
            rig.inject("b", &[plain("three")]);
            rig.add_links(&["c"]);
            let c = granted(dp.attach("c").await).no;
            let mut waiting = frames(&mut dp, 3).await;
            waiting.sort();
            assert_eq!(waiting, ["one", "three", "two"].map(plain), "what waited when the sockets were changed");
            for link in ["a", "b", "c"] {
                miss(rig, &mut dp, link, &plain(link)).await;
            }
            assert_eq!(granted(dp.counters().await).lost, 0);
            granted(dp.detach(c).await);
            miss(rig, &mut dp, "a", &plain("it stays so")).await;
        });
    }

    fn an_owner_takes_it_over_either_way() {
        on_kernel(1, async |rig| {
            let dp = open_with_ports(rig, &["a", "b"]).await;
            drop(dp);
            for ports_with_own_socket in [100, 1, 0, 2, 1] {
                rig.set_options(UpcallSockets { ports_with_own_socket });
                let mut dp = granted(rig.open().await);
                for link in ["a", "b"] {
                    miss(rig, &mut dp, link, &plain(link)).await;
                }
                assert_eq!(granted(dp.counters().await).lost, 0, "with {ports_with_own_socket}");
            }
        });
    }

    fn ports_of_other_programs_are_not_heard() {
        on_kernel(0, async |rig| {
            let mut dp = open_with_ports(rig, &["ours"]).await;
            rig.add_links(&["theirs"]);
            rig.other_hand().add_vport(tests::suite::kernel::DATAPATH, "theirs");
            rig.inject("theirs", &[plain("not for us")]);
            miss(rig, &mut dp, "ours", &plain("for us")).await;
            let counters = granted(dp.counters().await);
            assert_eq!((counters.missed, counters.lost), (2, 1));
        });
    }

    fn a_program_that_turns_to_upcalls_by_cpu_is_noticed() {
        on_kernel(100, async |rig| {
            let mut dp = open_with_ports(rig, &["a"]).await;
            let thief = rig.other_hand();
            thief.take_upcalls_by_cpu(tests::suite::kernel::DATAPATH);
            let refusal = dp.upcalls(8).await.unwrap_err();
            assert_eq!(refusal.to_string(), "wait for upcalls: another program has taken its upcalls");
        });
    }
}

async fn open_with_ports(rig: &mut KernelRig, links: &[&str]) -> Ovs {
    rig.add_links(links);
    let mut dp = granted(rig.open().await);
    for link in links {
        granted(dp.attach(link).await);
    }
    dp
}

async fn frames(dp: &mut Ovs, count: usize) -> Vec<Vec<u8>> {
    take_upcalls(dp, count).await.into_iter().map(|upcall| upcall.frame).collect()
}

fn on_kernel(ports_with_own_socket: usize, case: impl AsyncFnOnce(&mut KernelRig)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut rig = KernelRig::new(UpcallSockets { ports_with_own_socket });
    runtime.block_on(case(&mut rig));
}

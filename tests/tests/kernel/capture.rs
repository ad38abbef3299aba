//! Captures what passes between `ovs` and the kernel, for the file that crate `datapath` checks its codec against:
//!
//! ```text
//! cargo test -p tests --test kernel capture -- --ignored --nocapture | sed -n 's/^captured //p' > datapath/src/ovs/captured.txt
//! ```

use std::time::Duration;

use datapath::flow::{Action, MeterId, MeterRate};
use datapath::ovs::UpcallSockets;
use datapath::{Datapath, Execute, FlowTable};
use tests::lab::frames::{Frame, Tpid};
use tests::lab::tap::Tap;
use tests::suite::Rig;
use tests::suite::kernel::{DATAPATH, KernelRig};
use tests::suite::traffic::{FAR, NARROWEST, NEAR, WIDEST, change, delete, granted, put, tag, take_upcalls};

tests::kernel_tests! {
    group capture;

    #[ignore = "prints a file, for a person who wants a new one"]
    fn messages() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut rig = KernelRig::new(UpcallSockets::default());
        rig.gateway().links().add_netlink_monitor("nlmon0");
        let tap = rig.gateway().run(|| Tap::open_to_all("nlmon0")).unwrap();
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        println!("captured # From Linux {} by tests/tests/kernel/capture.rs, a message a line, in the order of", release.trim());
        println!("captured # their passing: what was done, then the bytes of struct nlmsghdr and all behind it.");
        runtime.block_on(capture(&mut rig, &tap));
    }
}

async fn capture(rig: &mut KernelRig, tap: &Tap) {
    rig.add_links(&["a", "b"]);
    drain(tap);
    let mut dp = granted(rig.open().await);
    print(tap, "open");
    let (a, b) = (granted(dp.attach("a").await).no, granted(dp.attach("b").await).no);
    print(tap, "attach");
    granted(dp.vports().await);
    print(tap, "list-vports");
    let frames = frames();
    rig.inject("a", &frames);
    let upcalls = take_upcalls(&mut dp, frames.len()).await;
    print(tap, "upcall");
    let mut outer_vid = NARROWEST;
    outer_vid.tag_vid(0);
    let (push, out) = (Action::PushTag(tag(7, 2)), Action::Output(b));
    let flows = [
        put(1, &upcalls[0], WIDEST, &[Action::Meter(MeterId(3)), push.clone(), out.clone()]),
        put(2, &upcalls[1], outer_vid, &[Action::PopTag, out.clone()]),
    ];
    granted(dp.set_meter(MeterId(3), MeterRate { packets_per_second: 100, burst: 10 }).await);
    print(tap, "set-meter");
    change(&mut dp, flows.to_vec()).await;
    print(tap, "put-flows");
    change(&mut dp, vec![delete(1), delete(9)]).await;
    print(tap, "delete-flows");
    change(&mut dp, vec![flows[0].clone()]).await;
    rig.inject("a", &frames[..2]);
    // The same source as the second, with one more tag and another type.
    let third = put(3, &upcalls[2], outer_vid, &[Action::Clone(vec![push, out.clone()]), Action::Output(a)]);
    change(&mut dp, vec![third]).await;
    drain(tap);
    granted(dp.flows().await);
    print(tap, "list-flows");
    granted(dp.flow_stats().await);
    print(tap, "list-stats");
    let order = |frame: &[u8]| Execute {
        vport: Some(a),
        frame: frame.to_vec(),
        actions: vec![out.clone()],
        hash: None,
    };
    assert!(
        dp.execute(vec![order(&frames[0]), order(&[0; 13])]).await[1].is_err(),
        "a frame shorter than its header"
    );
    print(tap, "execute");
    granted(dp.counters().await);
    print(tap, "read-counters");
    granted(dp.meter_stats(MeterId(3)).await);
    print(tap, "read-meter");
    granted(dp.detach(b).await);
    print(tap, "detach");
    rig.other_hand().delete_datapath(DATAPATH);
    print(tap, "deleted");
}

/// Without a tag, with one, with two, and one with a length where others have a type.
fn frames() -> [Vec<u8>; 4] {
    [
        Frame::new(NEAR, FAR).arp_request([10, 0, 0, 1].into(), [10, 0, 0, 2].into()),
        Frame::new(NEAR, FAR).tag_raw(0x8100, 0xb008).udp4(
            ([10, 0, 0, 1].into(), 1),
            ([10, 0, 0, 2].into(), 2),
            b"x",
        ),
        Frame::new(NEAR, FAR).tag_as(Tpid::Service, 100, 3).tag(8, 5).payload(0x88b5, b"two tags"),
        Frame::new(NEAR, [1, 0x80, 0xc2, 0, 0, 0]).llc(&[0x42, 0x42, 3, 0, 0]),
    ]
}

fn print(tap: &Tap, what: &str) {
    for message in drain(tap) {
        let hex: String = message.iter().map(|byte| format!("{byte:02x}")).collect();
        println!("captured {what} {hex}");
    }
}

fn drain(tap: &Tap) -> Vec<Vec<u8>> {
    let first = tap.recv(Duration::from_secs(1));
    first.into_iter().chain(tap.drain()).collect()
}

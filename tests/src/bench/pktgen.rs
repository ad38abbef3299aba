//! The kernel's own packet generator (Documentation/networking/pktgen.rst): the cheapest sender there is, so that what is measured is
//! mostly the forwarder.

use std::fs;
use std::time::Duration;

use super::wire::{STATION, STATION_MAC, SWITCH_MAC};
use crate::lab::frames::Mac;
use crate::lab::netns::Netns;

/// Sends `count` frames of 60 bytes out of the link [`STATION`] of a namespace, one behind the other; how long that took by the
/// kernel's clock. Over veth each frame has been through before the next is sent.
///
/// # Panics
/// The kernel has no pktgen, or does not send all of them.
pub fn send(netns: &Netns, count: u64) -> Duration {
    let device = format!("{DIRECTORY}/{STATION}");
    let said = netns.run(|| {
        write(&format!("{DIRECTORY}/kpktgend_0"), "rem_device_all");
        write(&format!("{DIRECTORY}/kpktgend_0"), &format!("add_device {STATION}"));
        for setting in settings(count) {
            write(&device, &setting);
        }
        write(&format!("{DIRECTORY}/pgctrl"), "start");
        let said = fs::read_to_string(&device).unwrap_or_else(|e| panic!("{device}: {e}"));
        write(&format!("{DIRECTORY}/kpktgend_0"), "rem_device_all");
        said
    });
    result(&said, count).unwrap_or_else(|| panic!("pktgen did not send {count} frames on {STATION}:\n{said}"))
}

fn settings(count: u64) -> Vec<String> {
    vec![
        format!("count {count}"),
        "pkt_size 60".into(),
        "delay 0".into(),
        "clone_skb 0".into(),
        format!("src_mac {}", written(STATION_MAC)),
        format!("dst_mac {}", written(SWITCH_MAC)),
        "src_min 192.0.2.1".into(),
        "src_max 192.0.2.1".into(),
        "dst 192.0.2.2".into(),
    ]
}

fn write(path: &str, text: &str) {
    // The end of the line is part of what it reads, and is taken off.
    fs::write(path, format!("{text}\n")).unwrap_or_else(|e| panic!("cannot write `{text}` to {path}: {e}"));
}

fn written(mac: Mac) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// `Result: OK: 123(c120+d3) usec, 1000 (60byte,0frags)`.
fn result(said: &str, count: u64) -> Option<Duration> {
    let (_, line) = said.split_once("Result: OK: ")?;
    let (took, rest) = line.split_once('(')?;
    let sent: u64 = rest.split_once("usec, ")?.1.split_whitespace().next()?.parse().ok()?;
    (sent == count).then_some(Duration::from_micros(took.parse().ok()?))
}

const DIRECTORY: &str = "/proc/thread-self/net/pktgen";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_counts_only_if_all_frames_were_sent() {
        let said = "Current:\n  pkts-sofar: 1000\nResult: OK: 4242(c4200+d42) usec, 1000 (60byte,0frags)\n  235737pps";
        assert_eq!(result(said, 1_000), Some(Duration::from_micros(4_242)));
        assert_eq!(result(said, 1_001), None);
        assert_eq!(result("Result: Idle", 1), None);
    }
}

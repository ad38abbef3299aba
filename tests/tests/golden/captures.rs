//! Every Ethernet capture of tcpdump's own test suite, malformed frames and all, through `l2gw trace`: each frame has a verdict, at
//! every kind of port. `tests/setup/captures.sh` fetches the captures.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use agent::view::TraceView;
use l2gw::cli::trace::Tracer;
use l2gw::config;
use tests::lab::captures;
use tests::lab::machine::build_directory;

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/gateway.example.toml");

fn is_whole(answer: &TraceView) -> bool {
    let is_ended = match answer.verdict.as_str() {
        "forward" => answer.drop.is_none() && !answer.outputs.is_empty(),
        "drop" => answer.drop.is_some() && answer.outputs.is_empty(),
        _ => false,
    };
    is_ended && !answer.steps.is_empty()
}

#[test]
fn every_captured_frame_has_a_verdict_at_every_kind_of_port() {
    let topology = Arc::new(config::load(Path::new(EXAMPLE)).unwrap().topology);
    let captures = captures::all();
    let (mut frames, mut verdicts) = (0, BTreeMap::new());
    for (path, capture) in &captures {
        for port in ["leaf1", "vm1", "printer", "customer-a"] {
            let mut tracer = Tracer::new(&topology, port).unwrap();
            for (index, frame) in capture.frames.iter().enumerate() {
                let answer = tracer.trace(frame);
                assert!(is_whole(&answer), "{} frame {} at {port}: {answer:?}", path.display(), index + 1);
                *verdicts.entry((port, answer.verdict, answer.drop)).or_insert(0_u32) += 1;
            }
        }
        frames += capture.frames.len();
    }
    for ((port, verdict, drop), count) in &verdicts {
        println!("{port:12} {verdict:8} {:24} {count}", drop.as_deref().unwrap_or_default());
    }
    println!("{} captures, {frames} frames", captures.len());
    assert!(
        captures.len() >= 330 && frames >= 7_700,
        "{} captures, {frames} frames are too few",
        captures.len()
    );
}

#[test]
fn the_command_prints_one_line_a_frame() {
    let l2gw = build_directory().unwrap().join("l2gw");
    for (path, capture) in captures::all() {
        let output = Command::new(&l2gw)
            .args(["trace", EXAMPLE, "--port", "leaf1", "--pcap"])
            .arg(&path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", path.display());
        let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
        assert_eq!(lines, capture.frames.len(), "{}", path.display());
    }
}

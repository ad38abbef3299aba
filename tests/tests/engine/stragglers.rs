//! Frames that come up while those before them are judged leave with them, before the flow that they led to.

use std::path::Path;

use agent::engine::{Engine, Settings};
use agent::input::Input;
use agent::output::Output;
use agent::record::{RecordFile, Recorder};
use agent::replay::{Replayed, replay};
use l2gw::config;
use tests::lab::frames::{BROADCAST, Frame};
use tests::lab::standard;
use tests::sim::gateway::Gateway;
use vlan::time::Instant;

/// A gateway that is up, all that it was told so far, and two frames of one new conversation, one after another.
fn two_frames() -> (Gateway, [Input; 2]) {
    let description =
        config::parse("gateway.toml", &standard::file()).expect("a file that is right").description;
    let wire = Gateway::wire(&description, Instant::from_secs(1_000));
    let mut gateway = Gateway::start(&wire, Settings::new("gw1"), (1, &description), Vec::new());
    let came = [b"one", b"two"].map(|text| {
        gateway.inject("vm8", &Frame::new([0x52, 0x54, 0, 0, 0, 1], BROADCAST).payload(0x0800, text));
        gateway.next_upcall()
    });
    (gateway, came)
}

fn polled(engine: &mut Engine) -> Vec<Output> {
    std::iter::from_fn(|| engine.poll_output()).collect()
}

#[test]
fn what_came_meanwhile_leaves_before_the_flow() {
    let (mut gateway, [one, two]) = two_frames();
    let now = Instant::from_secs(1_001);
    gateway.engine.handle(now, one);
    let ports = gateway.engine.ports_of_new_flows();
    let Input::Upcalls(upcalls) = &two else { unreachable!() };
    assert_eq!(ports.as_slice(), [upcalls[0].vport], "more may have come by the port that has a new flow");
    gateway.engine.handle(now, two);
    let sent = polled(&mut gateway.engine);
    let set_up: Vec<_> = sent
        .iter()
        .filter_map(|output| match output {
            Output::SetUp { flows, frames, .. } => Some((flows.len(), frames.len())),
            Output::Flows { .. } | Output::Execute { .. } => Some((0, 0)),
            _ => None,
        })
        .collect();
    assert_eq!(set_up, [(1, 2)], "both frames and behind them one flow: {sent:?}");
    assert!(gateway.engine.ports_of_new_flows().is_empty());
}

#[test]
fn without_a_new_flow_nothing_is_looked_for() {
    let (mut gateway, [one, two]) = two_frames();
    let now = Instant::from_secs(1_001);
    gateway.engine.handle(now, one);
    polled(&mut gateway.engine);
    gateway.engine.handle(now, two);
    assert!(gateway.engine.ports_of_new_flows().is_empty(), "its flow was put already");
    let sent = polled(&mut gateway.engine);
    assert!(matches!(sent.as_slice(), [Output::Execute { frames, .. }] if frames.len() == 1), "{sent:?}");
}

/// A record of both, in which the second comes before anything followed from the first, or behind it.
fn recorded(path: &Path, goes_on: bool) -> Replayed {
    let (gateway, frames) = two_frames();
    let settings = Settings::new("gw1");
    let mut recorder = Recorder::begin(RecordFile::create(path).unwrap(), &settings).unwrap();
    let mut engine = Engine::new(settings);
    let before = gateway.inputs.into_iter().map(|line| (Instant::from_nanos(line.at), line.input, false));
    let [one, two] = frames;
    let now = Instant::from_secs(1_001);
    for (at, input, goes_on) in before.chain([(now, one, goes_on), (now, two, false)]) {
        recorder.record(at, &input);
        engine.handle(at, input);
        if goes_on {
            recorder.go_on();
            continue;
        }
        polled(&mut engine).iter().for_each(|output| recorder.note(output));
        recorder.finish();
    }
    replay(path).unwrap()
}

#[test]
fn a_record_tells_what_was_taken_together() {
    let directory = tempfile::tempdir().unwrap();
    let [together, apart] = ["together", "apart"].map(|name| directory.path().join(name));
    assert_eq!(recorded(&together, true).difference, None);
    assert_eq!(recorded(&apart, false).difference, None);
    // The same inputs, as if nothing had been said about the first.
    let text = std::fs::read_to_string(&together).unwrap();
    assert_eq!(text.matches(",\"goes_on\":true").count(), 1, "{text}");
    let other = directory.path().join("other");
    std::fs::write(&other, text.replace(",\"goes_on\":true", "")).unwrap();
    assert!(replay(&other).unwrap().difference.is_some());
}

#[test]
fn a_record_whose_end_or_order_is_another_is_not_equal() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    assert_eq!(recorded(&path("right"), false).difference, None);
    let text = std::fs::read_to_string(path("right")).unwrap();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let last = lines.len() - 1;
    let mut said: serde_json::Value = serde_json::from_str(&lines[last]).unwrap();
    assert!(!said["outputs"].as_array().unwrap().is_empty());
    (said["outputs"], said["goes_on"]) = (serde_json::json!([]), true.into());
    let silent = [&lines[..last], &[said.to_string()]].concat().join("\n") + "\n";
    std::fs::write(path("silent"), silent).unwrap();
    let difference = replay(&path("silent")).unwrap().difference.expect("outputs that were not compared");
    assert!(difference.what.contains("nothing comes behind it"), "{difference:?}");
    let settings = Settings::new("gw1");
    let mut recorder = Recorder::begin(RecordFile::create(&path("back")).unwrap(), &settings).unwrap();
    for at in [5, 3] {
        recorder.record(Instant::from_secs(at), &Input::Tick);
        recorder.finish();
    }
    let refused = replay(&path("back")).unwrap_err().to_string();
    assert!(refused.contains("earlier than the input before"), "{refused}");
}

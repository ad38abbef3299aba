//! A run's inputs, written as text and read again, lead a fresh engine to the same outputs: nothing of the engine hangs on the order in
//! which a table happens to be walked, on an address in memory, or on what a number loses in text.
//!
//! `L2GW_SEED` repeats one case by its printed seed, `L2GW_CASES` says how many.

use std::time::Duration;

use agent::engine::{Engine, Settings};
use agent::output::Output;
use agent::record::Line;
use tests::sim::asked::{again, number};
use tests::sim::cases::Case;
use tests::sim::gateway::Gateway;
use tests::sim::rng::Rng;
use tests::sim::traffic::Traffic;
use vlan::time::Instant;

/// A run of frames, time, carriers and other topologies.
fn run(seed: u64) -> (Settings, Gateway) {
    let mut rng = Rng::new(seed);
    let description = Case::random(&mut rng).description;
    let wire = Gateway::wire(&description, Instant::from_secs(2_000_000));
    let mut settings = Settings::new("h");
    settings.seed = seed;
    let mut gateway = Gateway::start(&wire, settings.clone(), (1, &description), Vec::new());
    let ports: Vec<String> =
        description.trunks.iter().chain(&description.ports).map(|port| port.name.clone()).collect();
    let mut traffic = Traffic::new(&description);
    for step in 0..40 {
        match rng.below(20) {
            0 => gateway.pass(Duration::from_secs(*rng.pick(&[1, 5, 20, 400]))),
            1 if !ports.is_empty() => gateway.set_carrier(rng.pick(&ports).as_str(), step % 2 == 0),
            2 => gateway.change(2 + step, &description),
            _ => {
                let Some(traffic) = &mut traffic else { continue };
                let (port, frame) = traffic.next(&mut rng);
                let left = gateway.send(&port, &frame);
                traffic.hear(&left);
            }
        }
    }
    (settings, gateway)
}

/// What a fresh engine does with what was recorded.
fn replay(settings: Settings, inputs: &[Line]) -> Vec<Output> {
    let mut engine = Engine::new(settings);
    let mut outputs = Vec::new();
    for line in inputs {
        let text = serde_json::to_string(line).expect("a line is written");
        let line: Line = serde_json::from_str(&text).expect("and read");
        engine.handle(Instant::from_nanos(line.at), line.input);
        outputs.extend(std::iter::from_fn(|| engine.poll_output()));
    }
    outputs
}

#[test]
fn the_same_comes_out_of_what_was_recorded() {
    let first = number("L2GW_SEED").unwrap_or(1);
    let (mut inputs, mut outputs) = (0, 0);
    for seed in first..first + number("L2GW_CASES").unwrap_or(CASES) {
        let (settings, gateway) = run(seed);
        let repeats = again(seed, "engine", "replay::");
        let after = replay(settings, &gateway.inputs);
        let before: Vec<&Output> = gateway.outputs.iter().map(|(_, output)| output).collect();
        let differs = before.iter().zip(&after).position(|(then, now)| *then != now);
        if let Some(at) = differs {
            panic!("{repeats}: output {at} was {:?}\nand is {:?}", before[at], after[at]);
        }
        assert_eq!(before.len(), after.len(), "{repeats}");
        inputs += gateway.inputs.len();
        outputs += after.len();
    }
    println!("{inputs} inputs, {outputs} outputs");
    assert!(outputs > inputs / 4, "{inputs} inputs led to {outputs} outputs only");
}

#[test]
fn another_seed_is_another_run() {
    let (mut differed, mut of) = (0, 0);
    for seed in 1..20 {
        let (mut settings, gateway) = run(seed);
        settings.seed += 1;
        let again = replay(settings, &gateway.inputs);
        let before = gateway.outputs.iter().map(|(_, output)| output);
        differed += usize::from(!before.eq(&again));
        of += 1;
    }
    assert!(differed * 2 > of, "the seed made a difference in {differed} of {of} runs only");
}

const CASES: u64 = 200;

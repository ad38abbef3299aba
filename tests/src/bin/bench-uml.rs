//! What is measured in time and memory: new flows a second, first frames, a file with every VLAN, many addresses. Boots three test kernels
//! one after the other, each alone on its CPU, and tells medians of the three with the spread. `make bench-uml` prepares what it needs.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tests::bench::contender::{Contender, Kind};
use tests::bench::figure::{Figure, Measure, Step};
use tests::bench::first_frames::{Conversations, WINDOW};
use tests::bench::large;
use tests::bench::report;
use tests::bench::samples::Samples;
use tests::bench::wire::VID;
use tests::lab::job::INSIDE_VARIABLE;
use tests::lab::kernel::is_inside;
use tests::lab::machine::{Machine, Program, build_directory};

fn main() -> ExitCode {
    let tools = build_directory().map(|directory| directory.join("bench/openvswitch"));
    let outcome = tools.and_then(|ovs| if is_inside() { measure(&ovs) } else { boots() });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench-uml: {why}");
            ExitCode::FAILURE
        }
    }
}

fn boots() -> Result<(), String> {
    let mut all = Vec::new();
    for boot in 1..=BOOTS {
        eprintln!("bench-uml: boot {boot} of {BOOTS}");
        all.push(boot_once()?);
    }
    tell(&medians(&all));
    Ok(())
}

/// The figures of one boot.
fn boot_once() -> Result<Vec<Figure>, String> {
    let own = std::env::current_exe().map_err(|e| format!("cannot tell the path of this program: {e}"))?;
    let program = Program {
        exec: own,
        args: std::env::args().skip(1).collect(),
        env: vec![(INSIDE_VARIABLE.into(), "1".into())],
        patience: Duration::from_secs(180),
        limit: Duration::from_secs(900),
    };
    let mut heard = String::new();
    let run = Machine::start(&program)?.wait(|piece| {
        heard += &String::from_utf8_lossy(piece);
        while let Some((line, rest)) = heard.split_once('\n') {
            if Figure::read(line).is_none() {
                eprintln!("  {}", line.trim_end());
            }
            heard = rest.to_owned();
        }
    });
    if !run.status.is_success() {
        return Err(format!("{}\n{}", run.status, run.console));
    }
    Ok(String::from_utf8_lossy(&run.output).lines().filter_map(Figure::read).collect())
}

/// Of each figure the medians of all boots.
fn medians(boots: &[Vec<Figure>]) -> Vec<Figure> {
    let first = boots.first().cloned().unwrap_or_default();
    let of_all = |figure: Figure| {
        let same = |boot: &Vec<Figure>| {
            let found = boot.iter().find(|f| f.measure == figure.measure && f.contender == figure.contender);
            found.map(|figure| figure.samples.median())
        };
        let samples = boots.iter().filter_map(same).collect();
        Figure { samples, ..figure }
    };
    first.into_iter().map(of_all).collect()
}

fn tell(figures: &[Figure]) {
    let table = |measure, heading: &str, unit| {
        println!("{}\n", report::learning(figures, measure, heading, unit, Kind::OpenVswitch));
    };
    println!("User-Mode Linux, one CPU, pinned; each figure is the median of {BOOTS} boots' medians.\n");
    table(Measure::NewFlows, &format!("new flows, {WINDOW} in flight"), "a second");
    table(Measure::FirstFrame, "first frame, alone, until it is read", "ns");
    table(Measure::LaterFrame, "second frame, alone, until it is read", "ns");
    for count in COUNTS {
        table(Measure::Memory(count), &format!("resident with {count} addresses"), "KiB");
    }
    for (step, heading) in STEPS {
        table(Measure::Took(step), heading, "ms");
    }
}

/// In the test kernel.
fn measure(ovs: &Path) -> Result<(), String> {
    for kind in Kind::LEARNING {
        measure_first_frames(&Contender::start(kind, ovs));
    }
    for kind in [Kind::Ours, Kind::OpenVswitch] {
        measure_memory(&Contender::start(kind, ovs));
    }
    let file = large::every_vlan();
    let took = |step, samples| {
        Figure { measure: Measure::Took(step), contender: Kind::Ours, samples }.tell();
    };
    took(Step::Check, (0..ROUNDS).map(|_| large::check(&file)).collect());
    for (step, milliseconds) in large::run(&file) {
        took(step, [milliseconds].into_iter().collect());
    }
    Ok(())
}

fn measure_first_frames(contender: &Contender) {
    let kind = contender.kind();
    let mut conversations = Conversations::of(contender.wire());
    let tell = |measure, samples: Samples| Figure { measure, contender: kind, samples }.tell();
    conversations.flows_a_second(1);
    tell(Measure::NewFlows, conversations.flows_a_second(ROUNDS));
    let (first, later) = conversations.latencies(LATENCIES);
    tell(Measure::FirstFrame, first);
    tell(Measure::LaterFrame, later);
    println!("{}: first frames measured", kind.title());
}

fn measure_memory(contender: &Contender) {
    let mut known = 0;
    for count in COUNTS {
        let resident = large::learn(contender, &[VID], known, count - known);
        known = count;
        let samples = [resident].into_iter().collect();
        Figure { measure: Measure::Memory(count), contender: contender.kind(), samples }.tell();
        let title = contender.kind().title();
        println!("{title}: {count} addresses sent, {} known, {resident} KiB", contender.addresses());
    }
}

const BOOTS: usize = 3;
const ROUNDS: usize = 5;
const LATENCIES: usize = 200;
/// Addresses with which memory is measured; 0 is before any was sent.
const COUNTS: [u32; 3] = [0, 10_000, 100_000];
const STEPS: [(Step, &str); 4] = [
    (Step::Check, "l2gw check of 4 094 VLANs"),
    (Step::Ready, "l2gw run of 4 094 VLANs, until it answers"),
    (Step::Forwarding, "l2gw run of 4 094 VLANs, until the first frame is out"),
    (Step::Again, "l2gw run again after a kill, until all ports are up"),
];

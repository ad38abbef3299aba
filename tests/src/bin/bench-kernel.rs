//! What a frame and a first frame cost in instructions: boots Debian's kernel in QEMU, whose clock counts them, measures every contender
//! in that one boot, prints tables, and exits 1 if an aim is not met. `make bench-kernel` prepares what it needs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use tests::bench::contender::{Contender, Kind};
use tests::bench::figure::{Figure, Measure};
use tests::bench::first_frames::{Conversations, WINDOW};
use tests::bench::guest::{Guest, Kernel, Shape};
use tests::bench::{init, overlay, pktgen, report};
use tests::lab::job::{INSIDE_VARIABLE, Job};
use tests::lab::kernel::is_inside;
use tests::lab::machine::build_directory;

fn main() -> ExitCode {
    if std::process::id() == 1 {
        init::run();
        return ExitCode::FAILURE;
    }
    let tools = build_directory().map(|directory| directory.join(TOOLS));
    let outcome = tools.and_then(|tools| if is_inside() { measure(&tools) } else { boot(&tools) });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("bench-kernel: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Boots, and reports; whether all aims are met.
fn boot(tools: &Path) -> Result<bool, String> {
    let kernel = Kernel::find(&real(tools, "linux")?)?;
    let own = std::env::current_exe().map_err(|e| format!("cannot tell the path of this program: {e}"))?;
    let job = Job {
        exec: own,
        args: std::env::args().skip(1).collect(),
        env: vec![(INSIDE_VARIABLE.into(), "1".into()), ("HOME".into(), "/root".into())],
        cwd: "/".into(),
        modules: MODULES.iter().map(|name| (*name).to_owned()).collect(),
        windows: vec![build_directory()?],
        limit_secs: 0,
    };
    eprintln!("bench-kernel: boots Linux {} in QEMU; some minutes", kernel.release());
    let mut figures = Vec::new();
    let heed = |line: &str| match Figure::read(line) {
        Some(figure) => figures.push(figure),
        None => eprintln!("  {}", line.trim_end()),
    };
    Guest::boot(&kernel, &job, Shape::Counted)?.wait(heed)?;
    Ok(tell(kernel.release(), &figures))
}

fn tell(release: &str, figures: &[Figure]) -> bool {
    let learning = |measure, heading: &str| {
        let unit = "instructions";
        println!(
            "{}
",
            report::learning(figures, measure, heading, unit, Kind::OpenVswitch)
        );
    };
    println!("Linux {release}, QEMU -icount shift=0: a nanosecond of the guest's clock is an instruction.\n");
    println!("{}\n", report::forwarding(figures));
    println!("{}\n", report::overlay(figures));
    learning(Measure::SetUp, &format!("a flow set up, {WINDOW} in flight"));
    learning(Measure::SetUpAlone, "a flow set up, one in flight");
    learning(Measure::FirstFrame, "first frame, alone, until it is read");
    learning(Measure::LaterFrame, "second frame, alone, until it is read");
    learning(Measure::FirstAcross, "first frame from host to host, alone, until it is read");
    report::AIMS.iter().for_each(|aim| println!("{}", aim.judge(figures)));
    let (is_known, known) = report::judge_hints(figures);
    println!("{known}");
    is_known && report::AIMS.iter().all(|aim| aim.is_met(figures))
}

/// Where a link of the tools' directory leads.
fn real(tools: &Path, name: &str) -> Result<PathBuf, String> {
    let path = tools.join(name);
    path.canonicalize().map_err(|e| format!("{}: {e}; tests/setup/bench.sh kernel makes it", path.display()))
}

/// In the guest: measures everyone, or those whose names are given as arguments.
fn measure(tools: &Path) -> Result<bool, String> {
    let ovs = real(tools, "openvswitch")?;
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    for kind in Kind::ALL {
        let name = format!("{kind:?}");
        if !wanted.is_empty() && !wanted.iter().any(|word| word.eq_ignore_ascii_case(&name)) {
            continue;
        }
        let begun = Instant::now();
        let contender = Contender::start(kind, &ovs);
        measure_forwarding(&contender, Measure::Forwarding)?;
        if Kind::LEARNING.contains(&kind) {
            measure_first_frames(&contender);
        }
        drop(contender);
        if overlay::TUNNELLING.contains(&kind) {
            measure_overlay(&overlay::start(kind, &ovs))?;
        }
        println!("{}: measured, {} ms of the guest's time", kind.title(), begun.elapsed().as_millis());
    }
    Ok(true)
}

fn measure_forwarding(contender: &Contender, measure: Measure) -> Result<(), String> {
    // Once without measuring, for what is only done once.
    pktgen::send(contender.wire().outside(), WARM_UP);
    let mut frames = Vec::new();
    for _ in 0..ROUNDS {
        let before = contender.came_through();
        let took = pktgen::send(contender.wire().outside(), FRAMES);
        let came = contender.came_through() - before;
        if came != FRAMES {
            let title = contender.kind().title();
            return Err(format!("{title}: of {FRAMES} frames {came} came through; not a measurement"));
        }
        frames.push(took.as_nanos() as f64 / FRAMES as f64);
    }
    let samples = frames.into_iter().collect();
    Figure { measure, contender: contender.kind(), samples }.tell();
    Ok(())
}

fn measure_overlay(contender: &Contender) -> Result<(), String> {
    measure_forwarding(contender, Measure::Overlay)?;
    let (first, _) = Conversations::of(contender.wire()).latencies(LATENCIES);
    Figure { measure: Measure::FirstAcross, contender: contender.kind(), samples: first }.tell();
    Ok(())
}

fn measure_first_frames(contender: &Contender) {
    let mut conversations = Conversations::of(contender.wire());
    conversations.set_up_costs(1, WINDOW);
    let samples = conversations.set_up_costs(FIRST_FRAME_ROUNDS, WINDOW);
    let kind = contender.kind();
    Figure { measure: Measure::SetUp, contender: kind, samples }.tell();
    let samples = conversations.set_up_costs(FIRST_FRAME_ROUNDS, 1);
    Figure { measure: Measure::SetUpAlone, contender: kind, samples }.tell();
    let (first, later) = conversations.latencies(LATENCIES);
    Figure { measure: Measure::FirstFrame, contender: kind, samples: first }.tell();
    Figure { measure: Measure::LaterFrame, contender: kind, samples: later }.tell();
}

/// Beside this program: what tests/setup/bench.sh unpacked.
const TOOLS: &str = "bench";
/// openvswitch looks for crc32c by name, and finds it only if it is there before.
const MODULES: [&str; 9] =
    ["crc32c_generic", "af_packet", "ipv6", "veth", "8021q", "bridge", "vxlan", "openvswitch", "pktgen"];
const ROUNDS: usize = 5;
/// Of first frames: some see a table of flows double or the counters being read, so few would have another median each time.
const FIRST_FRAME_ROUNDS: usize = 20;
const FRAMES: u64 = 20_000;
const WARM_UP: u64 = 2_000;
const LATENCIES: usize = 200;

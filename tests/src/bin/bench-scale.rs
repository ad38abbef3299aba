//! How cost grows with size: starts, events, changes, first frames, memory; the kernel's part in a test kernel. Prints a table, and what of
//! it is a fault; exits 1 if anything is. `make bench-scale` builds what it needs.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tests::bench::scale::reading::Reading;
use tests::bench::scale::report::Report;
use tests::bench::scale::sizes::Sizes;
use tests::bench::scale::{daemon, events, files, kernel, latency};
use tests::lab::job::INSIDE_VARIABLE;
use tests::lab::kernel::is_inside;
use tests::lab::machine::{Machine, Program};

/// Measures how cost grows with size.
#[derive(Debug, Parser)]
struct Arguments {
    /// Small sizes, once, without judgement and without a test kernel unless it is named
    #[arg(long)]
    quick: bool,
    /// How often everything is measured; medians are judged
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// What is measured; everything if not given
    parts: Vec<Part>,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// A link, a frame, a slice, a page, a tick: one engine, CPU time.
    Events,
    /// `check`, `table`, a difference.
    Files,
    /// `l2gw run` on the datapath in memory.
    Daemon,
    /// First frames of an innocent port.
    Latency,
    /// `l2gw run` on openvswitch.ko.
    Kernel,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let sizes = if arguments.quick { Sizes::quick() } else { Sizes::full() };
    if is_inside() {
        sizes.kernel_ports.iter().flat_map(|ports| kernel::measure(*ports)).for_each(|one| one.tell());
        return ExitCode::SUCCESS;
    }
    match measure(&arguments, &sizes) {
        Ok(readings) => judge(&Report::new(&readings), &sizes),
        Err(why) => {
            eprintln!("bench-scale: {why}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments, sizes: &Sizes) -> Result<Vec<Reading>, String> {
    let rounds = if arguments.quick { 1 } else { arguments.rounds.max(1) };
    let mut readings = Vec::new();
    for round in 1..=rounds {
        for part in arguments.wanted() {
            eprintln!("bench-scale: round {round} of {rounds}, {part:?}");
            readings.extend(take(part, sizes)?);
        }
    }
    Ok(readings)
}

fn take(part: Part, sizes: &Sizes) -> Result<Vec<Reading>, String> {
    Ok(match part {
        Part::Events => events::measure(sizes),
        Part::Files => sizes.starts.iter().flat_map(|world| files::measure(*world)).collect(),
        Part::Daemon => {
            let starts = sizes.starts.iter().flat_map(|world| daemon::measure(*world, sizes));
            let ends = sizes.worlds.iter().zip(sizes.addresses);
            starts.chain(ends.flat_map(|(world, count)| daemon::end_with_addresses(*world, count))).collect()
        }
        Part::Latency => {
            let flows = sizes.flows.into_iter().zip(sizes.expiring);
            let at = sizes.worlds.into_iter().zip(flows);
            at.flat_map(|(world, flows)| latency::measure(world, flows, sizes)).collect()
        }
        Part::Kernel => in_test_kernel()?,
    })
}

fn judge(report: &Report, sizes: &Sizes) -> ExitCode {
    println!("{}\n", report.to_markdown());
    if !sizes.is_judged {
        println!("Small sizes: not judged.");
        return ExitCode::SUCCESS;
    }
    let faults = report.faults();
    faults.iter().for_each(|fault| println!("{fault}"));
    if faults.is_empty() {
        println!("Every growth and every limit holds.");
        return ExitCode::SUCCESS;
    }
    ExitCode::FAILURE
}

impl Arguments {
    fn wanted(&self) -> Vec<Part> {
        match (self.parts.is_empty(), self.quick) {
            (false, _) => self.parts.clone(),
            (true, true) => vec![Part::Events, Part::Files, Part::Daemon, Part::Latency],
            (true, false) => vec![Part::Events, Part::Files, Part::Daemon, Part::Latency, Part::Kernel],
        }
    }
}

/// What this program reads off in a test kernel.
fn in_test_kernel() -> Result<Vec<Reading>, String> {
    let own = std::env::current_exe().map_err(|e| format!("cannot tell the path of this program: {e}"))?;
    let program = Program {
        exec: own,
        args: std::env::args().skip(1).collect(),
        env: vec![(INSIDE_VARIABLE.into(), "1".into())],
        patience: Duration::from_secs(180),
        limit: Duration::from_secs(600),
    };
    let run = Machine::start(&program)?.wait(|piece| {
        let text = String::from_utf8_lossy(piece);
        text.lines().filter(|line| Reading::read(line).is_none()).for_each(|line| eprintln!("  {line}"));
    });
    let output = String::from_utf8_lossy(&run.output);
    if !run.status.is_success() {
        return Err(format!("{}\n{output}\n{}", run.status, run.console));
    }
    Ok(output.lines().filter_map(Reading::read).collect())
}

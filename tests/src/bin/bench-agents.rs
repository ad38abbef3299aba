//! What a fleet of hosts costs a real ensemble of three servers on this machine, and how long news takes to all of them. Prints a table of all
//! sizes; exits 1 where news does not arrive, a session is lost, or an
//! agent with many addresses of others takes more memory than the aim. `make bench-agents` builds what it needs.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tests::bench::agents::{measure, remote};
use tests::bench::scale::report::Report;

/// Measures fleets of hosts on a real ensemble.
#[derive(Debug, Parser)]
struct Arguments {
    /// Hosts, each number a fleet and an ensemble of its own
    #[arg(default_values_t = [250, 1_000])]
    sizes: Vec<usize>,
    /// For how many seconds nothing happens, to count what is asked all the same
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    idle: u64,
    /// Addresses of another host that one agent knows, to read its memory
    #[arg(long, default_value_t = 100_000)]
    addresses: u32,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.to_string()),
    };
    let mut readings = Vec::new();
    for hosts in arguments.sizes {
        eprintln!("bench-agents: {hosts} hosts");
        match runtime.block_on(measure(hosts, Duration::from_secs(arguments.idle))) {
            Ok(more) => readings.extend(more),
            Err(why) => return fail(&why),
        }
    }
    eprintln!("bench-agents: an agent with {} remote addresses", arguments.addresses);
    match runtime.block_on(remote::measure(arguments.addresses)) {
        Ok(more) => readings.extend(more),
        Err(why) => return fail(&why),
    }
    let report = Report::new(&readings);
    println!("{}", report.to_markdown());
    let faults = report.faults();
    faults.iter().for_each(|fault| println!("missed: {fault}"));
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn fail(why: &str) -> ExitCode {
    eprintln!("bench-agents: {why}");
    ExitCode::FAILURE
}

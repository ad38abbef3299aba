//! What only a machine with two CPUs shows: boots Debian's kernel with two of them in QEMU, once for each question, prints counts, and exits 1
//! if frames overtake each other more often than with ovs-vswitchd, or a first frame is lost while ports are added. `make test-smp` prepares
//! what it needs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use tests::bench::contender::Kind;
use tests::bench::guest::{Guest, Kernel, Shape};
use tests::bench::init;
use tests::bench::smp::{crossing, order};
use tests::lab::job::{INSIDE_VARIABLE, Job};
use tests::lab::kernel::is_inside;
use tests::lab::machine::build_directory;

/// What is asked of one guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Question {
    /// The order of frames through a forwarder.
    Order(Kind),
    /// First frames while ports are added.
    Crossing,
}

/// What came of it: counts with what is counted. Those of a forwarder must not be more than ovs-vswitchd's, the others not more than nothing.
type Counts = Vec<(String, usize)>;

fn main() -> ExitCode {
    if std::process::id() == 1 {
        init::run();
        return ExitCode::FAILURE;
    }
    let tools = build_directory().map(|directory| directory.join("bench"));
    let outcome = tools.and_then(|tools| if is_inside() { answer(&tools) } else { ask_all(&tools) });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("bench-smp: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Boots a guest for each question; whether nothing is at fault.
fn ask_all(tools: &Path) -> Result<bool, String> {
    let kernel = Kernel::find(&real(tools, "linux")?)?;
    let ask = |question| {
        eprintln!("bench-smp: boots Linux {} with two CPUs for {question:?}", kernel.release());
        ask(&kernel, question)
    };
    let ours = ask(Question::Order(Kind::Ours))?;
    let theirs = ask(Question::Order(Kind::OpenVswitch))?;
    let lost = ask(Question::Crossing)?;
    let mut is_right = true;
    for ((what, ours), (_, theirs)) in ours.into_iter().zip(theirs) {
        let is_worse = order::is_more(ours, theirs);
        let verdict = if is_worse { ": more often than ovs-vswitchd" } else { "" };
        println!("{what}: {ours} with l2gw, {theirs} with ovs-vswitchd{verdict}");
        is_right &= !is_worse;
    }
    for (what, count) in lost {
        println!("{what}: {count}, none is allowed");
        is_right &= count == 0;
    }
    Ok(is_right)
}

fn ask(kernel: &Kernel, question: Question) -> Result<Counts, String> {
    let own = std::env::current_exe().map_err(|e| format!("cannot tell the path of this program: {e}"))?;
    let question = serde_json::to_string(&question).map_err(|e| format!("cannot write {question:?}: {e}"))?;
    let job = Job {
        exec: own,
        args: vec![question],
        env: vec![(INSIDE_VARIABLE.into(), "1".into()), ("HOME".into(), "/root".into())],
        cwd: "/".into(),
        modules: MODULES.iter().map(|name| (*name).to_owned()).collect(),
        windows: vec![build_directory()?],
        limit_secs: 0,
    };
    let mut counts = None;
    let heed = |line: &str| match line.split_once(MARK) {
        Some((_, text)) => counts = serde_json::from_str(text.trim()).ok(),
        None => println!("  {}", line.trim_end()),
    };
    Guest::boot(kernel, &job, Shape::TwoCpus)?.wait(heed)?;
    counts.ok_or_else(|| "the guest gave no answer".to_owned())
}

/// Where a link of the tools' directory leads.
fn real(tools: &Path, name: &str) -> Result<PathBuf, String> {
    let path = tools.join(name);
    path.canonicalize().map_err(|e| format!("{}: {e}; tests/setup/bench.sh kernel makes it", path.display()))
}

/// In the guest.
fn answer(tools: &Path) -> Result<bool, String> {
    let text = std::env::args().nth(1).ok_or("no question was given")?;
    let question: Question = serde_json::from_str(&text).map_err(|e| format!("question {text}: {e}"))?;
    let counts: Counts = match question {
        Question::Order(kind) => {
            let orders = order::measure(kind, &real(tools, "openvswitch")?, ROUNDS);
            let of_pace = |(rate, order): (u32, order::Order)| {
                let of =
                    |what: &str| format!("of {} streams at {rate} frames a second, {what}", order.streams);
                [(of("out of order"), order.disordered), (of("their first frame overtaken"), order.overtaken)]
            };
            orders.into_iter().flat_map(of_pace).collect()
        }
        Question::Crossing => {
            let crossing = crossing::measure();
            println!("50 ports added above 256: {crossing:?}");
            vec![("first frames lost while ports are added".to_owned(), crossing.lost)]
        }
    };
    println!(
        "{MARK}{}",
        serde_json::to_string(&counts).map_err(|e| format!("cannot write {counts:?}: {e}"))?
    );
    Ok(true)
}

const MARK: &str = "answer: ";
/// Of 300 streams at each pace.
const ROUNDS: u32 = 3;
/// openvswitch looks for crc32c by name, and finds it only if it is there before.
const MODULES: [&str; 7] = ["crc32c_generic", "af_packet", "ipv6", "veth", "8021q", "bridge", "openvswitch"];

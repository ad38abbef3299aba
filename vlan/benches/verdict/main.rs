//! Nanoseconds a verdict, over uniformly random (port, VID, source, destination): a small table, and every VLAN with 1 000 000 addresses.
//!
//! `cargo bench -p vlan --bench verdict`; docs/benchmarks.md says how to read it. It is a program and no test: what a shared machine
//! makes of a nanosecond is not the code's doing.

// It reads what the kernel counts of its time.
#![allow(clippy::disallowed_methods)]

use std::hint::black_box;

use vlan::trace::Silent;
use vlan::verdict::{Decision, Verdict};

use world::{NOW, Size, World};

mod world;

fn main() {
    let has = |word: &str| std::env::args().any(|argument| argument == word);
    // `cargo test --benches` runs this too, and only wants to know that it runs; a simulator counts, and need not repeat.
    let (frames, runs) = if has("--bench") { (1 << 20, RUNS) } else { (1 << 14, 1) };
    let mut sizes = vec![Size::SMALL];
    if has("--bench") || has("--large") {
        sizes.push(Size::LARGE);
    }
    let mut worlds: Vec<World> = sizes.iter().map(|size| World::new(*size, frames, SEED)).collect();
    for (size, world) in sizes.iter().zip(&mut worlds) {
        describe(*size, world);
    }
    for (name, run) in [("forward", forward as fn(&mut World) -> f64), ("judge", judge)] {
        let mut times = vec![Vec::new(); worlds.len()];
        // In turn, so that a slow minute of the machine is both tables'.
        for _ in 0..runs {
            for (times, world) in times.iter_mut().zip(&mut worlds) {
                times.push(run(world));
            }
        }
        report(name, times);
    }
}

/// Judges every frame and learns from it, as an upcall does.
#[inline(never)]
fn forward(world: &mut World) -> f64 {
    let mut verdict = Verdict::default();
    let start = on_cpu();
    for (port, header) in &world.frames {
        world.switch.forward(NOW, *port, black_box(header), &mut verdict, &mut Silent);
        black_box(&verdict);
    }
    (on_cpu() - start) as f64 / world.frames.len() as f64
}

/// Judges every frame without learning, as a flow that is looked over.
#[inline(never)]
fn judge(world: &mut World) -> f64 {
    let mut verdict = Verdict::default();
    let start = on_cpu();
    for (port, header) in &world.frames {
        world.switch.judge(NOW, *port, black_box(header), &mut verdict, &mut Silent);
        black_box(&verdict);
    }
    (on_cpu() - start) as f64 / world.frames.len() as f64
}

/// Nanoseconds that this thread has had a CPU, to the scheduler's tick: other programs on the machine do not count, though they take
/// its caches.
fn on_cpu() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has it");
    text.split(' ').next().and_then(|field| field.parse().ok()).expect("its first field is a number")
}

fn describe(size: Size, world: &World) {
    let mut verdict = Verdict::default();
    let (mut forwarded, mut copies) = (0, 0);
    for (port, header) in &world.frames {
        world.switch.judge(NOW, *port, header, &mut verdict, &mut Silent);
        forwarded += usize::from(verdict.decision == Decision::Forward);
        copies += verdict.outputs.len();
    }
    println!(
        "{} VLANs, {} addresses, {} ports, seed {SEED}: {} frames, {} % forwarded, {:.2} copies each",
        size.vlans,
        size.addresses(),
        world.switch.topology().ports().len(),
        world.frames.len(),
        forwarded * 100 / world.frames.len(),
        copies as f64 / forwarded.max(1) as f64
    );
}

/// Median, least and most of each table, and how much slower the last is than the first.
fn report(name: &str, times: Vec<Vec<f64>>) {
    let mut medians = Vec::new();
    print!("{name}:");
    for mut times in times {
        times.sort_by(f64::total_cmp);
        let median = times[times.len() / 2];
        print!(" {median:.0} ns ({:.0} to {:.0})", times[0], times[times.len() - 1]);
        medians.push(median);
    }
    println!(", ratio {:.2}", medians[medians.len() - 1] / medians[0]);
}

const SEED: u64 = 1;
/// An odd number, for the median.
const RUNS: usize = 11;

//! The verdict and openvswitch.ko: every row of `vlan/tests/table.txt` and every line of `stories.txt`, and random cases, as bytes.
//!
//! The first frame of a kind is judged and executed, later ones meet its flow in the kernel; rows about one port are sent twice for that.
//! Links are made once for each group, and each story and case assigns its ports to them.
//!
//! Differences by capability: openvswitch.ko does not pad what a flow's pop made short ([`datapath::Capabilities::pads`]), and a tag
//! that it rewrites loses its DEI (`keeps_dei`), as in every verdict.
//!
//! `L2GW_SEED` repeats one case by its printed seed, or starts a run elsewhere; `L2GW_CASES` says how many.

use datapath::ovs::UpcallSockets;
use tests::rows::{is_timeless, play, standing, stories};
use tests::sim::asked::{again, number};
use tests::sim::compare::follow;
use tests::sim::director::{Bounds, Choice, Director, Scene};
use tests::sim::flow_host::{FlowHost, FlowLab};
use tests::sim::oracle::Mix;
use tests::sim::standing::Standing;
use tests::suite::kernel::KernelRig;
use vlan::time::Instant;

tests::kernel_tests! {
    group rows;

    fn flows_in_the_kernel_do_what_every_row_says() {
        on_kernel(play_rows);
    }
}

tests::kernel_tests! {
    group cases;

    fn flows_in_the_kernel_do_what_the_verdict_says() {
        on_kernel(play_cases);
    }
}

fn on_kernel(play: impl AsyncFnOnce(FlowLab<'_, KernelRig>)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut rig = KernelRig::new(UpcallSockets::default());
    runtime.block_on(async { play(FlowLab::new(&mut rig, LINKS).await).await });
}

async fn play_rows(mut lab: FlowLab<'_, KernelRig>) {
    let (mut frames, mut hits, mut differences) = (0, 0, Vec::new());
    for (number, story) in stories().iter().enumerate() {
        if number.is_multiple_of(100) {
            // A test kernel that says nothing for long is taken for dead.
            println!("story {number}, line {}", story.line);
        }
        let times = if is_timeless(story) { 2 } else { 1 };
        let mut host = FlowHost::new(&mut lab, standing(&story.description), START);
        let (more, _) = play(story, &mut host, times).await;
        hits += host.hits;
        frames += story.steps.len() * times;
        host.finish().await;
        differences.extend(more);
        assert!(differences.len() < 20, "many differences, the first of them {differences:#?}");
    }
    println!("{frames} frames, {hits} met a flow");
    assert!(differences.is_empty(), "{differences:#?}");
    assert!(frames >= 8_000, "only {frames} frames, rows are missing");
    assert!(hits as usize * 3 > frames, "{hits} of {frames} met a flow");
}

async fn play_cases(mut lab: FlowLab<'_, KernelRig>) {
    let (first, cases) = (number("L2GW_SEED").unwrap_or(FIRST_SEED), number("L2GW_CASES").unwrap_or(CASES));
    let mut counts = Counts::default();
    for seed in first..first + cases {
        if seed.is_multiple_of(100) {
            // A test kernel that says nothing for long is taken for dead.
            println!("seed {seed}");
        }
        if let Err(story) = play_case(&mut lab, seed, &mut counts).await {
            panic!("{}: {story}", again(seed, "kernel_slow", "backends::"));
        }
    }
    println!("seeds {first}..{}: {counts:?}", first + cases);
    if cases >= 1_000 {
        counts.check();
    }
}

async fn play_case(lab: &mut FlowLab<'_, KernelRig>, seed: u64, counts: &mut Counts) -> Result<(), String> {
    let choice = if seed.is_multiple_of(2) { Choice::Own } else { Choice::Told };
    let mut director = Director::new(seed, choice, START, BOUNDS);
    let standing = match choice {
        Choice::Own => Standing::new(&director.case.description),
        Choice::Told => Standing::told(&director.case.description, &director.case.designation),
    };
    let mut host = FlowHost::new(lab, standing, START);
    counts.cases += 1;
    while let Some(scene) = director.next_scene() {
        follow(&mut host, &scene).await.map_err(|why| format!("{why}\n{}", director.story()))?;
        if let Scene::Frame { said, .. } = &scene {
            counts.mix.add(said);
        }
    }
    counts.hits += host.hits;
    counts.refused += host.refused;
    host.finish().await;
    Ok(())
}

/// What the cases were made of.
#[derive(Debug, Default)]
struct Counts {
    cases: u64,
    mix: Mix,
    hits: u64,
    /// Flows that the kernel did not take.
    refused: u64,
}

impl Counts {
    fn check(&self) {
        let percent = |part: u64| self.mix.percent(part);
        assert!(percent(self.mix.forwarded) >= 40, "{self:?}");
        assert!(percent(self.mix.known) >= 20, "{self:?}");
        assert!(percent(self.mix.chained) >= 10, "{self:?}");
        assert!(percent(self.hits) >= 20, "{self:?}");
        assert_eq!(self.refused, 0, "{self:?}");
    }
}

const START: Instant = Instant::from_secs(2_000_000);
/// As many as any story needs, and nearly all cases.
const LINKS: usize = 16;
const BOUNDS: Bounds = Bounds { ports: LINKS, may_end_in_tags: false };
const FIRST_SEED: u64 = 20_001;
const CASES: u64 = 1_200;

//! Every row of `vlan/tests/table.txt` and every line of `stories.txt`: kind of port × kind of tag × priority, and what several frames,
//! ports and moments make of it, by flows and by tables of the in-memory twin.
//!
//! Rows about one port are sent twice, so that by flows the first frame is judged and the second meets its flow.

use datapath::fake::Options;
use tests::rows::table::Story;
use tests::rows::{is_timeless, play, standing, stories};
use tests::sim::flow_host::{FlowHost, FlowLab};
use tests::sim::table_gateway::TableGateway;
use tests::suite::fake::FakeRig;
use vlan::time::Instant;

#[test]
fn flows_do_what_every_row_says() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut sum, mut hits) = (Sum::default(), 0);
    runtime.block_on(async {
        let mut rig = FakeRig::new(Options::default());
        let mut lab = FlowLab::new(&mut rig, LINKS).await;
        for story in stories() {
            let times = times(&story);
            let mut host = FlowHost::new(&mut lab, standing(&story.description), START);
            let (differences, excused) = play(&story, &mut host, times).await;
            hits += host.hits;
            sum.add(&story, times, differences, excused);
            sum.differences.extend(host.finish().await);
        }
    });
    println!("{} stories, {} frames, {hits} met a flow", sum.stories, sum.frames);
    sum.check(0);
    assert!(hits * 3 > sum.frames, "{hits} of {} met a flow", sum.frames);
}

#[test]
fn tables_do_what_every_row_says() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut sum = Sum::default();
    for story in stories().into_iter().filter(|story| !has_shared_addresses(story)) {
        let wire = TableGateway::wire(START, Options::default());
        let mut gateway = TableGateway::start(&wire, standing(&story.description));
        let (differences, excused) = runtime.block_on(play(&story, &mut gateway, times(&story)));
        sum.add(&story, times(&story), differences, excused);
        sum.differences.extend(gateway.check().err().map(|what| format!("{}: {what}", story.title)));
    }
    println!("{} stories, {} frames, {} excused", sum.stories, sum.frames, sum.excused);
    sum.check(FREEZING_FRAMES);
}

/// Tables have a place for each address, not several: where it may be is judged by their reports, a frame too late.
fn has_shared_addresses(story: &Story) -> bool {
    let mut ports = story.description.trunks.iter().chain(&story.description.ports);
    ports.any(|port| !port.shared_macs.is_empty())
}

fn times(story: &Story) -> usize {
    if is_timeless(story) { 2 } else { 1 }
}

/// What came of all stories.
#[derive(Default)]
struct Sum {
    stories: u64,
    frames: u64,
    excused: usize,
    differences: Vec<String>,
}

impl Sum {
    fn add(&mut self, story: &Story, times: usize, differences: Vec<String>, excused: usize) {
        self.stories += 1;
        self.frames += (story.steps.len() * times) as u64;
        self.excused += excused;
        self.differences.extend(differences);
    }

    fn check(&self, excused: usize) {
        let first: Vec<&String> = self.differences.iter().take(20).collect();
        assert!(first.is_empty(), "{} differences, the first of them {first:#?}", self.differences.len());
        assert!(self.frames >= 8_000, "only {} frames, rows are missing", self.frames);
        assert_eq!(self.excused, excused, "frames that are allowed for");
    }
}

const START: Instant = Instant::from_secs(1_000);
/// As many as the story with most ports needs.
const LINKS: usize = 16;
/// Lines of the stories that move an address once too often.
const FREEZING_FRAMES: usize = 5;

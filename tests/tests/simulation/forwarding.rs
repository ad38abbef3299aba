//! The forwarding plane against the reference bridge, 10 000 random cases, outputs compared as bytes after every frame.
//!
//! `L2GW_SEED` repeats one case by its printed seed, or starts a run elsewhere; `L2GW_CASES` says how many.

use tests::sim::asked::{again, number};
use tests::sim::cases::Case;
use tests::sim::duel::{Agreed, Duel, hex};
use tests::sim::reference::Fate;
use tests::sim::rng::Rng;
use tests::sim::traffic::Traffic;

#[test]
fn the_forwarding_plane_does_what_the_reference_bridge_does() {
    let first = number("L2GW_SEED").unwrap_or(FIRST_SEED);
    let cases = number("L2GW_CASES").unwrap_or(CASES);
    let mut counts = Counts::default();
    let mut failures = Vec::new();
    for seed in first..first + cases {
        if let Err(story) = play(seed, &mut counts) {
            failures.push((seed, story));
        }
    }
    if let Some((seed, story)) = failures.first() {
        let seeds: Vec<u64> = failures.iter().map(|(seed, _)| *seed).take(20).collect();
        panic!(
            "{} of {cases} cases differ, seeds {seeds:?}; {} repeats this one:\n{story}",
            failures.len(),
            again(*seed, "simulation", "forwarding::")
        );
    }
    println!("seeds {first}..{}: {counts}", first + cases);
    if cases >= 1_000 {
        counts.check();
    }
}

/// Plays one case to its end.
fn play(seed: u64, counts: &mut Counts) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let case = Case::random(&mut rng);
    let Some(mut traffic) = Traffic::new(&case.description) else { return Ok(()) };
    let mut duel = Duel::new(&case)?;
    counts.cases += 1;
    for step in 0..rng.between(5, 30) {
        duel.wait(&mut rng);
        let sent = traffic.next(&mut rng);
        let agreed = duel.step(&mut rng, &sent).map_err(|difference| {
            let (port, frame) = &sent;
            format!("step {step}, frame {} into {port}\n{difference}\n{case}", hex(frame))
        })?;
        if let Fate::Forward(outputs) = &agreed.fate {
            traffic.hear(outputs);
        }
        counts.add(&agreed);
    }
    Ok(())
}

/// What kinds of frames the cases were made of.
#[derive(Debug, Default)]
struct Counts {
    cases: u64,
    frames: u64,
    forwarded: u64,
    known: u64,
    chained: u64,
    twins: u64,
}

impl Counts {
    fn add(&mut self, agreed: &Agreed) {
        self.frames += 1;
        self.twins += agreed.twins as u64;
        match &agreed.fate {
            Fate::Forward(_) => {
                self.forwarded += 1;
                self.known += u64::from(agreed.travel.is_known);
                self.chained += u64::from(agreed.travel.through_chain);
            }
            Fate::Drop(_) => {}
        }
    }

    fn percent(&self, part: u64) -> u64 {
        part * 100 / self.frames.max(1)
    }

    fn check(&self) {
        assert!(self.percent(self.forwarded) >= 40, "{self}");
        assert!(self.percent(self.known) >= 20, "{self}");
        assert!(self.percent(self.chained) >= 10, "{self}");
        assert!(self.twins > self.frames / 2, "{self}");
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} cases, {} frames, {} % forwarded, {} % known unicast, {} % through chains, {} twins",
            self.cases,
            self.frames,
            self.percent(self.forwarded),
            self.percent(self.known),
            self.percent(self.chained),
            self.twins
        )
    }
}

const FIRST_SEED: u64 = 1;
const CASES: u64 = 10_000;

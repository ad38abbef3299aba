//! Reading what the datapath has and counted: slice by slice, with frames in between, and not more of the time than its share.
//!
//! ```text
//!   pause ──► flows, a slice at a time ──► vports ──► counters ──► tunnel port ──► meters, some at a time ──► pause
//! ```

use std::time::Duration;

use datapath::flow::MeterId;
use datapath::{FlowTable, Refusal};
use tokio::time::Instant;

use crate::engine::Engine;
use crate::input::Input;

/// How far a reading is, and when the next one begins.
#[derive(Debug)]
pub(super) struct Reading {
    step: Step,
    /// Of this reading so far.
    spent: Duration,
}

/// What is read next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Nothing before this time.
    Pause(Instant),
    Flows,
    Vports,
    Counters,
    Tunnel,
    /// Meters from this one on.
    Meters(MeterId),
}

impl Reading {
    /// A first reading after the usual pause.
    pub(super) fn new() -> Reading {
        Reading { step: Step::Pause(Instant::now() + STATISTICS_EVERY), spent: Duration::ZERO }
    }

    /// When there is something to be read, if not at once.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.step {
            Step::Pause(until) => Some(until),
            _ => None,
        }
    }

    /// Whether something is to be read now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due().is_none_or(|at| at <= now)
    }

    /// Gives the reading up that is under way; the next one begins after a pause.
    pub(super) fn put_off(&mut self) {
        (self.step, self.spent) = (Step::Pause(Instant::now() + STATISTICS_EVERY), Duration::ZERO);
    }

    /// Reads the next slice, if it is time.
    ///
    /// # Errors
    /// The datapath cannot be read; the reading is over, the next one begins after a pause.
    pub(super) async fn next<D: FlowTable>(
        &mut self,
        now: Instant,
        datapath: &mut D,
        engine: &Engine,
    ) -> Result<Option<Input>, Refusal> {
        if let Step::Pause(until) = self.step {
            if now < until {
                return Ok(None);
            }
            (self.step, self.spent) = (Step::Flows, Duration::ZERO);
        }
        let begun = Instant::now();
        let read = self.read(datapath, engine).await;
        self.spent += begun.elapsed();
        if read.is_err() {
            self.pause();
        }
        read.map(Some)
    }

    async fn read<D: FlowTable>(&mut self, datapath: &mut D, engine: &Engine) -> Result<Input, Refusal> {
        match self.step {
            Step::Pause(_) | Step::Flows => {
                let slice = datapath.next_flow_stats().await?;
                if slice.is_last {
                    self.step = Step::Vports;
                }
                Ok(Input::FlowStats { slice: slice.entries, is_last: slice.is_last })
            }
            Step::Vports => {
                let slice = datapath.next_vports().await?;
                if slice.is_last {
                    self.step = Step::Counters;
                }
                Ok(Input::Vports { slice: slice.entries, is_last: slice.is_last })
            }
            Step::Counters => {
                self.step = if engine.has_tunnel() { Step::Tunnel } else { Step::Meters(MeterId(0)) };
                Ok(Input::Counted(datapath.counters().await?))
            }
            Step::Tunnel => {
                self.step = Step::Meters(MeterId(0));
                Ok(Input::Tunnel(datapath.tunnel().await?.map(|(port, _)| port)))
            }
            Step::Meters(from) => {
                let meters = engine.meters(from, METERS_AT_ONCE);
                match meters.last().filter(|_| meters.len() == METERS_AT_ONCE) {
                    Some(last) => self.step = Step::Meters(MeterId(last.0 + 1)),
                    None => self.pause(),
                }
                let mut read = Vec::with_capacity(meters.len());
                for meter in meters {
                    // One that went meanwhile counts no more.
                    if let Ok(stats) = datapath.meter_stats(meter).await {
                        read.push((meter, stats));
                    }
                }
                Ok(Input::MeterStats(read))
            }
        }
    }

    /// A table of 200 000 flows takes a while to read, so the pause after grows with it.
    fn pause(&mut self) {
        self.step = Step::Pause(Instant::now() + STATISTICS_EVERY.max(self.spent * STATISTICS_SHARE));
    }
}

/// How often what was counted is read, unless there is much of it.
const STATISTICS_EVERY: Duration = Duration::from_millis(500);
/// Reading takes at most one part in so many of the daemon's time.
const STATISTICS_SHARE: u32 = 10;
/// Meters whose counters are read at once; each is a question of its own.
const METERS_AT_ONCE: usize = 64;

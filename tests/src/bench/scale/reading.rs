//! One value that was read off, and how it travels out of the machine that took it: a line of JSON with a mark before it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a value is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Growth {
    /// CPU time of one event.
    Event,
    /// CPU time of a whole.
    Whole,
    /// It is told, and not judged.
    Told,
}

impl Growth {
    /// How many times as much there may be at four times the size.
    pub fn most(self) -> Option<f64> {
        match self {
            Growth::Event => Some(1.5),
            Growth::Whole => Some(5.0),
            Growth::Told => None,
        }
    }
}

/// A value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Of what: `start, CPU`.
    pub what: String,
    /// At how many.
    pub size: u64,
    /// Of which: `ports`.
    pub of: String,
    /// The value.
    pub value: f64,
    /// Its unit: `ms`.
    pub unit: String,
    /// How it may grow.
    pub growth: Growth,
    /// The most that it may be at the largest size.
    pub limit: Option<f64>,
}

/// Readings of one size, as they are taken.
#[derive(Debug)]
pub struct Notes {
    size: u64,
    of: String,
    readings: Vec<Reading>,
}

impl Notes {
    /// None yet, at so many of what is counted.
    pub fn at(size: usize, of: &str) -> Notes {
        Notes { size: size as u64, of: of.to_owned(), readings: Vec::new() }
    }

    /// Notes a span of time in milliseconds.
    pub fn time(&mut self, what: &str, span: Duration, growth: Growth) {
        self.note(what, span.as_secs_f64() * 1e3, "ms", growth);
    }

    /// Notes a span of time in microseconds.
    pub fn short(&mut self, what: &str, span: Duration, growth: Growth) {
        self.note(what, span.as_secs_f64() * 1e6, "µs", growth);
    }

    /// Notes a value, and shows it at once: a run takes its time, and may end before its table.
    pub fn note(&mut self, what: &str, value: f64, unit: &str, growth: Growth) {
        eprintln!("  {what}: {value:.2} {unit} at {} {}", self.size, self.of);
        let (what, of, unit) = (what.to_owned(), self.of.clone(), unit.to_owned());
        self.readings.push(Reading { what, size: self.size, of, value, unit, growth, limit: None });
    }

    /// Says how much the value noted last may be at the largest size, in its unit.
    pub fn at_most(&mut self, limit: f64) {
        if let Some(reading) = self.readings.last_mut() {
            reading.limit = Some(limit);
        }
    }

    /// All of them.
    pub fn done(self) -> Vec<Reading> {
        self.readings
    }
}

impl Reading {
    /// Writes it to standard output, for [`Reading::read`] on the other side of a console.
    pub fn tell(&self) {
        let text = serde_json::to_string(self).unwrap_or_else(|e| panic!("cannot write {self:?}: {e}"));
        println!("{MARK}{text}");
    }

    /// The reading in a line of output, if there is one.
    pub fn read(line: &str) -> Option<Reading> {
        let (_, text) = line.split_once(MARK)?;
        serde_json::from_str(text.trim()).ok()
    }
}

/// The value in the middle of some spans; zero of none.
pub fn median(spans: &[Duration]) -> Duration {
    part(spans, 0.5)
}

/// The span that `share` (0..=1) of all do not exceed; zero of none.
pub fn part(spans: &[Duration], share: f64) -> Duration {
    let mut sorted = spans.to_vec();
    sorted.sort_unstable();
    let place = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(place.saturating_sub(1)).copied().unwrap_or_default()
}

const MARK: &str = "reading: ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_read_as_it_was_told() {
        let mut notes = Notes::at(800, "ports");
        notes.time("start, CPU", Duration::from_millis(1_500), Growth::Whole);
        notes.at_most(2_000.0);
        let all = notes.done();
        let line = format!("noise {MARK}{}\r", serde_json::to_string(&all[0]).unwrap());
        assert_eq!(Reading::read(&line), Some(all[0].clone()));
        assert_eq!((all[0].value, all[0].limit), (1_500.0, Some(2_000.0)));
        assert_eq!(Reading::read("nothing"), None);
    }

    #[test]
    fn parts_of_spans_are_spans_that_were_measured() {
        let spans: Vec<Duration> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(median(&spans), Duration::from_millis(50));
        assert_eq!(part(&spans, 0.99), Duration::from_millis(99));
        assert_eq!(part(&spans, 1.0), Duration::from_millis(100));
        assert_eq!(median(&[]), Duration::ZERO);
    }
}

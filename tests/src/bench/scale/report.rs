//! The table, and what of it is a fault.

use super::reading::{Growth, Reading};
use crate::bench::samples::Samples;
use crate::bench::table::Table;

/// One thing at one size, over all rounds.
#[derive(Debug)]
struct Row {
    reading: Reading,
    samples: Samples,
}

/// Everything that was read, put together.
#[derive(Debug)]
pub struct Report {
    /// In the order in which things were first read, each with its sizes in ascending order.
    things: Vec<Vec<Row>>,
}

impl Report {
    /// Puts the readings of all rounds together.
    pub fn new(readings: &[Reading]) -> Report {
        let mut names: Vec<&str> = Vec::new();
        for reading in readings {
            if !names.contains(&reading.what.as_str()) {
                names.push(&reading.what);
            }
        }
        Report { things: names.into_iter().map(|name| rows_of(readings, name)).collect() }
    }

    /// As Markdown, a row for each thing and size: median, least and most of the rounds.
    pub fn to_markdown(&self) -> String {
        let mut table = Table::new(&["what", "unit", "at", "median", "least", "most", "growth", "at most"]);
        for rows in &self.things {
            for (place, row) in rows.iter().enumerate() {
                let is_largest = place + 1 == rows.len();
                let growth = growth(rows).filter(|_| is_largest);
                let limit = row.reading.limit.filter(|_| is_largest);
                let (least, most) = row.samples.spread();
                table.row(vec![
                    if place == 0 { row.reading.what.clone() } else { String::new() },
                    row.reading.unit.clone(),
                    format!("{} {}", grouped(row.reading.size), row.reading.of),
                    number(row.samples.median()),
                    number(least),
                    number(most),
                    growth.map_or(String::new(), |growth| format!("{growth:.2}")),
                    allowed(row.reading.growth.most().filter(|_| growth.is_some()), limit),
                ]);
            }
        }
        table.to_markdown()
    }

    /// A line for each growth and each limit that is exceeded.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for rows in &self.things {
            let Some(Row { reading, samples }) = rows.last() else { continue };
            if let (Some(growth), Some(most)) = (growth(rows), reading.growth.most())
                && growth > most
            {
                faults.push(format!(
                    "{}: grows by {growth:.2} at four times the size, at most {most}",
                    reading.what
                ));
            }
            let median = samples.median();
            if let Some(limit) = reading.limit
                && median > limit
            {
                let Reading { what, size, of, unit, .. } = reading;
                faults.push(format!("{what}: {} {unit} at {size} {of}, at most {limit}", number(median)));
            }
        }
        faults
    }
}

fn rows_of(readings: &[Reading], name: &str) -> Vec<Row> {
    let of_name = || readings.iter().filter(|reading| reading.what == name);
    let mut sizes: Vec<u64> = of_name().map(|reading| reading.size).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let row = |size| {
        let same = || of_name().filter(|reading| reading.size == size);
        let samples = same().map(|reading| reading.value).collect();
        same().next().map(|reading| Row { reading: reading.clone(), samples })
    };
    sizes.into_iter().filter_map(row).collect()
}

/// How many times the value before the last the last one is; only where growth is judged.
fn growth(rows: &[Row]) -> Option<f64> {
    let [.., before, last] = rows else { return None };
    let is_judged = last.reading.growth != Growth::Told;
    (is_judged && before.samples.median() > 0.0).then(|| last.samples.median() / before.samples.median())
}

fn allowed(growth: Option<f64>, limit: Option<f64>) -> String {
    let growth = growth.map(|most| format!("x {most}"));
    let limit = limit.map(number);
    [growth, limit].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Three digits that say something.
fn number(value: f64) -> String {
    match value.abs() {
        ..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => crate::bench::table::grouped(value),
    }
}

fn grouped(size: u64) -> String {
    crate::bench::table::grouped(size as f64)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::reading::Notes;
    use super::*;

    fn report(values: &[(usize, u64)], growth: Growth, limit: Option<f64>) -> Report {
        let mut readings = Vec::new();
        for (size, value) in values {
            let mut notes = Notes::at(*size, "ports");
            notes.time("link event", Duration::from_millis(*value), growth);
            limit.into_iter().for_each(|limit| notes.at_most(limit));
            readings.extend(notes.done());
        }
        Report::new(&readings)
    }

    #[test]
    fn an_event_that_grows_is_a_fault_and_one_that_does_not_is_none() {
        let grows = report(&[(100, 10), (100, 10), (400, 16), (400, 16)], Growth::Event, None);
        assert_eq!(grows.faults(), ["link event: grows by 1.60 at four times the size, at most 1.5"]);
        assert_eq!(report(&[(100, 10), (400, 15)], Growth::Event, None).faults(), Vec::<String>::new());
        assert_eq!(report(&[(100, 10), (400, 49)], Growth::Whole, None).faults(), Vec::<String>::new());
        assert_eq!(report(&[(100, 10), (400, 900)], Growth::Told, None).faults(), Vec::<String>::new());
    }

    #[test]
    fn only_the_two_largest_sizes_are_compared_and_the_median_of_the_rounds_counts() {
        let rounds = [(25, 1), (100, 10), (400, 12), (400, 900), (400, 11), (100, 10), (100, 1)];
        assert_eq!(report(&rounds, Growth::Event, None).faults(), Vec::<String>::new());
    }

    #[test]
    fn a_limit_is_for_the_largest_size() {
        let over = report(&[(100, 30), (400, 25)], Growth::Told, Some(20.0));
        assert_eq!(over.faults(), ["link event: 25.0 ms at 400 ports, at most 20"]);
        assert_eq!(report(&[(100, 30), (400, 20)], Growth::Told, Some(20.0)).faults(), Vec::<String>::new());
    }

    #[test]
    fn the_table_has_a_row_for_each_size() {
        let table = report(&[(1_000, 10), (4_000, 12)], Growth::Event, Some(20.0)).to_markdown();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 4, "{table}");
        assert!(
            lines[3].contains("4 000 ports") && lines[3].contains("1.20") && lines[3].contains("x 1.5, 20.0")
        );
    }
}

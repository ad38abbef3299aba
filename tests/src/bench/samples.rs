//! One thing, measured several times.

use serde::{Deserialize, Serialize};

/// Measured values of one quantity, in the order in which they were measured; never empty where a figure is made of them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// The value in the middle, the lower one of two; 0 if nothing was measured.
    pub fn median(&self) -> f64 {
        self.part(0.5)
    }

    /// The value that `share` (0..=1) of all do not exceed; 0 if nothing was measured.
    pub fn part(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let place = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(place.saturating_sub(1)).copied().unwrap_or(0.0)
    }

    /// The least and the greatest value; 0 and 0 if nothing was measured.
    pub fn spread(&self) -> (f64, f64) {
        (self.part(0.0), self.part(1.0))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Samples {
        Samples(values.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_ends_are_values_that_were_measured() {
        let samples: Samples = [5.0, 1.0, 4.0, 2.0].into_iter().collect();
        assert_eq!((samples.median(), samples.spread()), (2.0, (1.0, 5.0)));
        assert_eq!(samples.part(0.9), 5.0);
        assert_eq!(Samples::default().median(), 0.0);
    }
}

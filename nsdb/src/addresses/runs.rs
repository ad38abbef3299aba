//! Runs of hosts' daemons, by small numbers: a table has hundreds of thousands of words, and few who said them.

use std::collections::BTreeMap;

use crate::addresses::record::HostId;

/// A host and one run of its daemon.
pub(super) type Run = (HostId, u64);

/// The runs of which a table has words, and of each how many.
#[derive(Debug, Default)]
pub(super) struct Runs {
    numbers: BTreeMap<Run, u32>,
    /// By number; one of which there is no word is free.
    rows: Vec<(Run, usize)>,
    free: Vec<u32>,
}

impl Runs {
    /// There is one more word of a run; the run's number.
    pub(super) fn add(&mut self, run: Run) -> u32 {
        let number = *self.numbers.entry(run).or_insert_with(|| match self.free.pop() {
            Some(number) => {
                self.rows[number as usize] = (run, 0);
                number
            }
            None => {
                self.rows.push((run, 0));
                // There are no more runs than words, and those are bounded far below.
                (self.rows.len() - 1) as u32
            }
        });
        self.rows[number as usize].1 += 1;
        number
    }

    /// There is one word less of the run that has this number.
    pub(super) fn remove(&mut self, number: u32) {
        let (run, words) = &mut self.rows[number as usize];
        *words -= 1;
        if *words == 0 {
            self.numbers.remove(run);
            self.free.push(number);
        }
    }

    /// The run that has this number.
    pub(super) fn get(&self, number: u32) -> Run {
        self.rows[number as usize].0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_used_again_when_nobody_has_said_anything_in_its_run() {
        let mut runs = Runs::default();
        let (one, other, third) = ((HostId(1), 7), (HostId(1), 8), (HostId(2), 7));
        assert_eq!([one, other, one].map(|run| runs.add(run)), [0, 1, 0]);
        runs.remove(0);
        assert_eq!((runs.get(0), runs.get(1)), (one, other));
        runs.remove(0);
        assert_eq!((runs.add(third), runs.add(one)), (0, 2));
        assert_eq!([0, 1, 2].map(|number| runs.get(number)), [third, other, one]);
    }
}

//! A description built into a topology with its numbers: those that were dealt out to it, or provisional ones.

use crate::model::build;
use crate::model::description::Description;
use crate::model::mistake::Mistake;
use crate::model::numbers::Numbers;
use crate::model::topology::Topology;
use crate::model::vnis::Vnis;

impl Topology {
    /// Checks a description as a whole and compiles it, with provisional numbers: as if it were the first that is published.
    ///
    /// # Errors
    /// Every mistake there is, in the order of the description.
    pub fn build(description: &Description) -> Result<Topology, Vec<Mistake>> {
        let mut topology = build::build(description)?;
        let numbers = Numbers::default().after(&topology)?;
        topology.take_numbers(&numbers);
        topology.has_own_numbers = true;
        Ok(topology)
    }

    /// The same, with numbers that were dealt out to it: with [`Numbers::check`] it can be told whether there are enough.
    ///
    /// # Errors
    /// As [`Topology::build`].
    pub fn with_numbers(description: &Description, numbers: &Numbers) -> Result<Topology, Vec<Mistake>> {
        let mut topology = build::build(description)?;
        topology.take_numbers(numbers);
        Ok(topology)
    }

    /// Goes by the numbers that were dealt out to it, instead of those that it has.
    pub fn take_numbers(&mut self, numbers: &Numbers) {
        self.has_own_numbers = false;
        for number in 0..self.segments.len() {
            let vni = numbers.segments.get(&self.segment_name(number as u32));
            self.segments[number].vni = vni.copied().unwrap_or_default();
        }
        self.vnis = Vnis::new(self, numbers);
    }
}

//! The mistakes that checks find, collected.

use crate::model::mistake::{Mistake, ObjectKey, Table};

/// Collects mistakes.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) mistakes: Vec<Mistake>,
}

impl Findings {
    pub(super) fn add(&mut self, table: Table, index: usize, key: &'static str, text: String) {
        self.mistakes.push(Mistake { place: ObjectKey { table, index, key }, text });
    }

    /// All of them, in the order of the description.
    pub(super) fn in_order(mut self) -> Vec<Mistake> {
        self.mistakes.sort_by(|a, b| a.place.cmp(&b.place));
        self.mistakes
    }
}

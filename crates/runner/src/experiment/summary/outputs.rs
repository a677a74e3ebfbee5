//! How many different outputs there are.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::experiment::record::Record;

/// Different outputs that are counted; of more, their number is an estimate.
const COUNTED: usize = 4096;

/// Counts different outputs by the least of their hashes: exactly while they are few, and then by how
/// close together the least lie (Bar-Yossef et al. 2002,
/// <https://doi.org/10.1007/3-540-45726-7_1>), with a standard error of 1.6 %.
#[derive(Debug, Clone, Default)]
pub(super) struct Outputs {
    least: BTreeSet<u64>,
    more: bool,
}

impl Outputs {
    pub(super) fn add(&mut self, output: &[u32]) {
        let mut hasher = DefaultHasher::new();
        output.hash(&mut hasher);
        self.add_hash(hasher.finish());
    }

    fn add_hash(&mut self, hash: u64) {
        let beyond = self.more && self.least.last().is_some_and(|last| hash > *last);
        if !beyond && self.least.insert(hash) && self.least.len() > COUNTED {
            self.least.pop_last();
            self.more = true;
        }
    }

    /// These outputs and others.
    pub(super) fn and(&mut self, other: &Self) {
        other.least.iter().for_each(|hash| self.add_hash(*hash));
        // Beyond what the other has there may be some that it left out.
        self.more |= other.more;
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        let Some(last) = self.least.last().filter(|_| self.more) else {
            return self.least.len();
        };
        let share = (*last as f64 + 1.0) / 2.0_f64.powi(64);
        ((self.least.len() - 1) as f64 / share).round() as usize
    }
}

/// What tells a text from others: its tokens, or where an engine does not tell them its letters.
pub(super) fn identity(record: &Record) -> Vec<u32> {
    match (&record.engine, record.tokens.is_empty()) {
        (Some(_), true) => record.text.chars().map(u32::from).collect(),
        _ => record.tokens.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(range: std::ops::Range<u32>) -> Outputs {
        let mut outputs = Outputs::default();
        range.for_each(|x| outputs.add(&[x, 7]));
        outputs
    }

    #[test]
    fn few_are_counted_and_many_are_estimated() {
        let mut few = of(0..4096);
        few.and(&of(1000..4096));
        assert_eq!(few.count(), 4096);
        let count = of(0..300_000).count();
        assert!(count != 300_000 && count.abs_diff(300_000) < 15_000, "{count}");
    }

    #[test]
    fn joined_they_are_those_of_both() {
        let mut both = of(0..100_000);
        both.and(&of(50_000..200_000));
        assert_eq!(both.count(), of(0..200_000).count());
        let mut both = of(0..10);
        both.and(&of(0..100_000));
        assert_eq!(both.count(), of(0..100_000).count());
    }
}

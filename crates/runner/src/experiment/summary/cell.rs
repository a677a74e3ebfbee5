//! The runs of one prompt and setting, however many: the first of them whole, all of them as sums.

use std::collections::{BTreeMap, HashSet};

use super::facts::{Facts, METRICS, Values, Words, metrics};
use super::outputs::{Outputs, identity};
use crate::experiment::manifest::Manifest;
use crate::experiment::record::Record;

/// Runs that are held whole, all prompts and settings together.
const HELD: usize = 1 << 15;

/// How many runs of a prompt and a setting are held whole.
pub(super) fn held_of_each(manifest: &Manifest) -> usize {
    let drawn = manifest.settings.iter().filter(|setting| !setting.control).count();
    let cells = drawn.max(1).saturating_mul(manifest.prompts.len().max(1));
    (HELD / cells).max(2)
}

/// The runs of a prompt and a setting.
#[derive(Debug, Default)]
pub(super) struct Cell {
    /// The first of them, by their seed.
    pub(super) held: BTreeMap<usize, Facts>,
    pub(super) totals: Totals,
    pub(super) outputs: Outputs,
}

impl Cell {
    /// Adds a run, of which at most `most` are held whole.
    pub(super) fn add(&mut self, record: &Record, words: &mut Words, most: usize) {
        let values = metrics(record);
        self.totals.add(record, &values);
        self.outputs.add(&identity(record));
        let last = self.held.last_key_value().map(|(seed, _)| *seed);
        let full = self.held.len() >= most;
        if !full || last.is_some_and(|last| record.id.seed < last) {
            self.held.insert(record.id.seed, Facts::of(record, values, words));
            if full {
                self.held.pop_last();
            }
        }
    }

    /// Whether all runs are held.
    pub(super) fn is_whole(&self) -> bool {
        self.held.len() == self.totals.runs
    }

    /// Different outputs: counted where all runs are held, otherwise as many as [`Outputs`] says.
    pub(super) fn unique(&self) -> usize {
        if self.is_whole() {
            let outputs: HashSet<_> = self.held.values().map(|facts| &facts.tokens).collect();
            return outputs.len();
        }
        self.outputs.count()
    }
}

/// What is known of any number of runs.
#[derive(Debug, Clone, Default)]
pub(super) struct Totals {
    pub(super) runs: usize,
    pub(super) failed: usize,
    /// How many tokens could be chosen, over all steps.
    pub(super) kept: Option<(usize, usize)>,
    pub(super) finish_reasons: BTreeMap<&'static str, usize>,
    /// Tokens that took a pass of their own.
    pub(super) decoded: f64,
    /// Seconds of those passes and of all choices.
    pub(super) busy: f64,
    pub(super) sampler: f64,
    pub(super) all: f64,
    pub(super) moments: [Moments; METRICS.len()],
}

impl Totals {
    fn add(&mut self, record: &Record, values: &Values) {
        let timing = &record.timing;
        let busy = timing.decode_s + timing.sampler_s;
        self.runs += 1;
        self.failed += usize::from(record.error.is_some());
        self.kept = wider(self.kept, kept(record));
        *self.finish_reasons.entry(record.finish_reason.name()).or_insert(0) += 1;
        self.decoded += timing.tokens_per_s.map_or(0.0, |speed| speed * busy);
        self.busy += busy;
        self.sampler += timing.sampler_s;
        // What an engine's sampler takes is not known.
        let there = record.engine.as_ref().is_some_and(|engine| engine["sample"] != "here");
        self.all += if there { 0.0 } else { timing.prefill_s + busy };
        for (moments, value) in self.moments.iter_mut().zip(values) {
            if let Some(value) = value {
                moments.add(*value);
            }
        }
    }

    /// These runs and others, whose moments are kept apart.
    pub(super) fn and(&mut self, other: &Self) {
        self.runs += other.runs;
        self.failed += other.failed;
        self.kept = wider(self.kept, other.kept);
        for (reason, count) in &other.finish_reasons {
            *self.finish_reasons.entry(*reason).or_insert(0) += count;
        }
        self.decoded += other.decoded;
        self.busy += other.busy;
        self.sampler += other.sampler;
        self.all += other.all;
    }
}

type Range = Option<(usize, usize)>;

fn wider(a: Range, b: Range) -> Range {
    match (a, b) {
        (Some((low, high)), Some((least, most))) => Some((low.min(least), high.max(most))),
        (a, b) => a.or(b),
    }
}

/// How many tokens could be chosen, over the steps of a run.
fn kept(record: &Record) -> Range {
    if let Some(left_out) = &record.steps_left_out {
        return left_out.kept;
    }
    let all = || record.steps.iter().filter_map(|step| step.kept);
    all().min().zip(all().max())
}

/// Number, mean and spread of values as they come (Welford 1962).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Moments {
    pub(super) count: usize,
    pub(super) mean: f64,
    /// The sum of squared differences from the mean.
    squares: f64,
}

impl Moments {
    pub(super) fn add(&mut self, x: f64) {
        self.count += 1;
        let before = x - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (x - self.mean);
    }

    /// The variance of the values.
    pub(super) fn variance(self) -> f64 {
        if self.count == 0 { 0.0 } else { self.squares / self.count as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_textbook() {
        let mut moments = Moments::default();
        for x in [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0] {
            moments.add(x);
        }
        assert_eq!((moments.count, moments.mean), (8, 5.0));
        assert!((moments.variance() - 4.0).abs() < 1e-12);
        assert_eq!(Moments::default().variance(), 0.0);
    }
}

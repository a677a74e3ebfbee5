//! What each stage of a step did.

use alloc::string::String;
use alloc::vec::Vec;

use crate::candidates::Between;

/// The account of one step, stage by stage. Empty unless [`Ask::trace`](crate::Ask) was set.
///
/// Its shares, entropies and probabilities are right within 3·10⁻⁶, and within four units in the last place of
/// the best score where that is more: their weights are rounder than those that tokens are drawn by, and
/// a temperature is a product in them. That halves what a trace takes.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    stages: Vec<StageTrace>,
    used: usize,
}

/// What one stage received and what it left.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StageTrace {
    /// The stage's name.
    pub stage: String,
    /// Tokens that could be chosen before it: listed and not banned.
    pub before: usize,
    /// Tokens that could be chosen after it.
    pub after: usize,
    /// The share of the mass received that it removed or banned, in `0..=1`. An edit that only
    /// moves scores removes none. `None` when what it received had no mass (NaN, +∞, all masked).
    pub removed_mass: Option<f64>,
    /// Candidates sharing the score at which its cut fell, if the cut divided them (or would
    /// have, but for a policy that keeps all); 0 otherwise.
    pub ties: usize,
    /// Entropy received, in nats; `None` without a mass.
    pub entropy_before: Option<f64>,
    /// Entropy left, in nats; `None` without a mass.
    pub entropy_after: Option<f64>,
    /// The place that the chosen token had in what the stage received, from 1; `None` without an order.
    pub rank_before: Option<usize>,
    /// The probability that the chosen token had in what the stage received; `None` without a mass.
    pub probability_before: Option<f64>,
}

impl PartialEq for Trace {
    fn eq(&self, other: &Self) -> bool {
        self.stages() == other.stages()
    }
}

impl Trace {
    /// The stages in order.
    pub fn stages(&self) -> &[StageTrace] {
        &self.stages[..self.used]
    }

    pub(crate) fn clear(&mut self) {
        self.used = 0;
    }

    /// The next entry, its name set; entries of earlier steps are reused.
    pub(crate) fn next(&mut self, name: &str) -> &mut StageTrace {
        if self.used == self.stages.len() {
            self.stages.push(StageTrace::default());
        }
        self.used += 1;
        let entry = &mut self.stages[self.used - 1];
        entry.stage.clear();
        entry.stage.push_str(name);
        entry
    }
}

impl StageTrace {
    pub(crate) fn received(&mut self, between: &Between) {
        self.before = between.eligible;
        self.entropy_before = between.entropy;
    }

    pub(crate) fn left(&mut self, between: &Between) {
        self.after = between.eligible;
        self.entropy_after = between.entropy;
    }
}

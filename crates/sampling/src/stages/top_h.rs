//! Top-H: the longest prefix that stays within a share of the entropy.

use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, SettingError, Settings};
use crate::error::StageError;
use crate::kernels::{exp, ln};
use crate::stage::{Role, Stage, StepContext};
use crate::ties::TiePolicy;

/// The candidates that are looked at; everything behind them is removed.
const LEADERS: usize = 100;

/// Keeps the best candidates while the sum of their `−p ln p` is at most the share `top_h` of that
/// of the hundred best.
///
/// The probabilities are normalised over those hundred, and what is ranked behind them is removed
/// whatever `top_h` says. The best candidate always stays, one of probability 0 in `f32` never
/// does.
///
/// # Ties
///
/// Where the boundary falls among equal scores, [`TiePolicy`] decides; [`TiePolicy::KeepAll`] takes
/// them all, even beyond the hundred.
///
/// # NaN and infinities
///
/// NaN and +∞ are refused. Banned candidates are removed.
///
/// # Differences
///
/// Hugging Face alone has it; which of equals it keeps is left to its partial sort. It takes no
/// minimum number of tokens, not even for beams.
///
/// # Complexity
///
/// A top-k of 100, a sort of those and 200 exponentials.
///
/// # Example
///
/// ```
/// use taper_sampling::prelude::*;
///
/// // Four equals: each holds a quarter of the entropy.
/// let step = Step::new(DrawKey::new(0)).ask(Ask { kept: true, ..Ask::token() });
/// let pipeline = Pipeline::draw().then(TopH::new(0.5)?);
/// assert_eq!(pipeline.select(&[0.0; 4], &step, &mut Workspace::new(4))?.kept, Some(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// *Top-H Decoding*, arXiv 2509.02510; Hugging Face transformers 5.23, `TopHLogitsWarper`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TopH {
    share: f64,
    ties: TiePolicy,
}

impl TopH {
    /// The share of the entropy, rounded to `f32` as the engine does; the lowest ids among equals.
    ///
    /// # Errors
    ///
    /// [`SettingError`], also when the rounded value is 0.
    pub fn new(top_h: f64) -> Result<Self, SettingError> {
        let share = f64::from(top_h as f32);
        if !(share > 0.0 && top_h <= 1.0) {
            return Err(SettingError::new("top_h", top_h, "above 0 and at most 1"));
        }
        Ok(Self { share, ties: TiePolicy::default() })
    }

    /// Who stays among equals.
    #[must_use]
    pub fn ties(self, ties: TiePolicy) -> Self {
        Self { ties, ..self }
    }
}

impl Stage for TopH {
    fn name(&self) -> &'static str {
        "top_h"
    }

    fn settings(&self) -> Option<Settings> {
        let settings = Settings::new(self.name()).with("top_h", self.share as f32);
        Some(settings.policy("ties", self.ties, TiePolicy::default()))
    }

    fn role(&self) -> Role {
        Role::Cut
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        _: &StepContext<'_>,
    ) -> Result<(), StageError> {
        let kept = within_budget(candidates.leading(LEADERS)?, self.share);
        candidates.keep_top(kept, self.ties)
    }
}

impl Described for TopH {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let top_h = arguments.required("top_h")?;
        let ties = arguments.optional("ties", TiePolicy::default())?;
        Ok(arguments.built(Self::new(top_h))?.ties(ties))
    }
}

/// How many of the scores, best first, stay within `share` of their entropy.
fn within_budget(leaders: &[f32], share: f64) -> usize {
    let best = leaders.first().map_or(0.0, |&score| f64::from(score));
    let gap = |score: f32| f64::from(score) - best;
    let total: f64 = leaders.iter().map(|&score| exp(gap(score))).sum();
    let log_total = ln(total);
    // None for a probability that is 0 in single precision.
    let part = |score: f32| {
        let p = exp(gap(score)) / total;
        (p as f32 > 0.0).then(|| p * (log_total - gap(score)))
    };
    // Summed in the same order as below, so that a share of 1 is met exactly.
    let entropy: f64 = leaders.iter().map_while(|&score| part(score)).sum();
    // Compared in single precision, as the engine does: equal candidates meet the budget exactly
    // or not at all, whatever the last digit of a sum.
    let budget = entropy as f32 * share as f32;
    let mut spent = 0.0;
    let kept = leaders.iter().map_while(|&score| part(score)).take_while(|part| {
        spent += part;
        spent as f32 <= budget
    });
    kept.count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_spent_from_the_top() {
        // 0.5, 0.25, 0.125, 0.125: the parts are 0.5, 0.5, 0.375 and 0.375 bits.
        let scores: [f32; 4] = [0.5_f32, 0.25, 0.125, 0.125].map(f32::ln);
        for (share, kept) in [(1e-9, 1), (0.57, 1), (0.5715, 2), (0.785, 2), (0.79, 3), (1.0, 4)] {
            assert_eq!(within_budget(&scores, share), kept, "{share}");
        }
    }

    #[test]
    fn what_has_no_probability_never_stays() {
        assert_eq!(within_budget(&[0.0, -200.0, f32::NEG_INFINITY], 1.0), 1);
        assert_eq!(within_budget(&[0.0, 0.0, f32::NEG_INFINITY], 1.0), 2);
    }
}

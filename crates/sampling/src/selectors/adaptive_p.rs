//! Adaptive-p: prefers candidates whose probability is near a target that follows the past.

use alloc::boxed::Box;

use super::Selector;
use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, SettingError, Settings};
use crate::error::StageError;
use crate::kernels::weight;
use crate::sequence::Purpose;
use crate::sequence::{Accepted, Logged, StageMemory};
use crate::stage::StepContext;

/// The distance from the target, in probability, that counts as 1.
const WIDTH: f64 = 0.3;
/// How steeply the odds fall with distance.
const SHARPNESS: f64 = 10.0;
/// The largest decay; a sum of more than a hundred past tokens would forget too slowly.
const LARGEST_DECAY: f64 = 0.99;

/// Draws from the candidates with odds that peak at those whose probability is near a target.
///
/// With `d = |p − t| / 0.3`, a candidate of probability `p` is drawn with a score of
/// `−10 · d² / (1 + d)`. The target of the step is `t = 2 · target − a`, held within `0..=1`, where
/// `a` is the mean of the probabilities that the accepted tokens had, weighted by `decayʲ` for the
/// one `j` tokens ago and started as if an endless past had met the target.
///
/// The candidates are left as they are, so that a token's reported probability is the one it had
/// before. The past lives in the sequence's [`Memory`](crate::Memory), without which a step is
/// refused. A token that the caller chose itself leaves it as it is.
///
/// # Ties
///
/// None: a draw.
///
/// # NaN and infinities
///
/// NaN and +∞ are refused. Banned candidates are never drawn; listed ones of next to no probability
/// can be, which is why a min-p belongs before it.
///
/// # Differences
///
/// llama.cpp does the same in single precision, holds `decay` to at most 0.99 without a word, and
/// takes a negative target for "off".
///
/// # Complexity
///
/// Three passes of exponentials.
///
/// # Source
///
/// llama.cpp `llama_sampler_adaptive_p`, pull request 17927.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdaptiveP {
    target: f64,
    decay: f64,
}

/// The weighted sum of past probabilities, and the sum of the weights.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Past {
    sum: f64,
    weights: f64,
    decay: f64,
}

impl Past {
    fn after(&self, accepted: &Accepted) -> Self {
        let Some(probability) = accepted.probability else { return *self };
        let decay = self.decay;
        let sum = probability + decay * self.sum;
        Self { sum, weights: 1.0 + decay * self.weights, decay }
    }
}

impl AdaptiveP {
    /// The probability aimed at, and how much each token counts of what the next one does.
    ///
    /// # Errors
    ///
    /// [`SettingError`] unless `0 ≤ target ≤ 1` and `0 ≤ decay ≤ 0.99`.
    pub fn new(target: f64, decay: f64) -> Result<Self, SettingError> {
        if !(0.0..=1.0).contains(&target) {
            return Err(SettingError::new(
                "target",
                target,
                "in 0..=1 (use an ordinary draw to turn it off)",
            )
            .called("adaptive_target"));
        }
        if !(0.0..=LARGEST_DECAY).contains(&decay) {
            return Err(SettingError::new("decay", decay, "in 0..=0.99").called("adaptive_decay"));
        }
        Ok(Self { target, decay })
    }

    fn first(self) -> Past {
        let weights = 1.0 / (1.0 - self.decay);
        Past { sum: self.target * weights, weights, decay: self.decay }
    }
}

impl Selector for AdaptiveP {
    fn name(&self) -> &'static str {
        "adaptive_p"
    }

    fn settings(&self) -> Option<Settings> {
        Some(Settings::new(self.name()).with("target", self.target).with("decay", self.decay))
    }

    fn select(
        &self,
        candidates: &mut Candidates<'_>,
        step: &StepContext<'_>,
    ) -> Result<u32, StageError> {
        let past = step.memory::<Logged<Past>>()?.now();
        let target = (2.0 * self.target - past.sum / past.weights).clamp(0.0, 1.0);
        let best = candidates.max()?;
        let total = candidates.mass()?.as_f64();
        candidates.pick_as(step.draws().unit(Purpose::Select, 0), |score| {
            let p = f64::from(weight(best - score)) / total;
            let distance = (p - target).abs() / WIDTH;
            (-SHARPNESS * distance * distance / (1.0 + distance)) as f32
        })
    }

    fn new_memory(&self) -> Option<Box<dyn StageMemory>> {
        Some(Box::new(Logged::new(self.first(), Past::after)))
    }
}

impl Described for AdaptiveP {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let (target, decay) = (arguments.required("target")?, arguments.required("decay")?);
        arguments.built(Self::new(target, decay))
    }
}

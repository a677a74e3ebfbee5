//! Top-nσ: the scores within a few standard deviations of the best.

use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, SettingError, Settings};
use crate::error::StageError;
use crate::stage::{Role, Stage, StepContext};

/// Bans the candidates whose score is below `fl(max − n · σ)`, where `σ` is the standard deviation
/// of the scores that are not −∞, divided by their number.
///
/// It looks at scores and not at probabilities, so that a temperature before it changes nothing but
/// rounding. The best is never banned.
///
/// # Ties
///
/// None to break: equal scores stay or go together, and equality with the floor is kept.
///
/// # NaN and infinities
///
/// NaN and +∞ are refused. Banned candidates stay banned and count nothing in `σ`.
///
/// # Differences
///
/// llama.cpp alone has it, and bans instead of removing: the candidates stay listed at −∞ and
/// count wherever a later stage counts (dynamic temperature, `min_keep`). It takes `n ≤ 0` for
/// "off"; here that is an error, and leaving the stage out is off.
///
/// # Complexity
///
/// One pass for the deviation, and a copy of the row if none was made yet.
///
/// # Example
///
/// ```
/// use taper_sampling::prelude::*;
///
/// // Mean 0 and σ = 1: the floor is 1 − 1.5.
/// let step = Step::new(DrawKey::new(0)).ask(Ask { kept: true, ..Ask::token() });
/// let pipeline = Pipeline::draw().then(TopNSigma::new(1.5)?);
/// let logits = [1.0, -1.0, 1.0, -1.0];
/// assert_eq!(pipeline.select(&logits, &step, &mut Workspace::new(4))?.kept, Some(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Tang et al., *Top-nσ: Not All Logits Are You Need*, arXiv 2411.07641; llama.cpp
/// `llama_sampler_top_n_sigma`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TopNSigma {
    n: f32,
}

impl TopNSigma {
    /// How many standard deviations, rounded to `f32` as the engine does.
    ///
    /// # Errors
    ///
    /// [`SettingError`], also when the rounded value is 0 or infinite.
    pub fn new(n: f64) -> Result<Self, SettingError> {
        let rounded = n as f32;
        if !(rounded > 0.0 && rounded < f32::INFINITY) {
            return Err(SettingError::new(
                "n",
                n,
                "above 0 and finite (leave the stage out to keep everything)",
            )
            .called("top_n_sigma"));
        }
        Ok(Self { n: rounded })
    }
}

impl Stage for TopNSigma {
    fn name(&self) -> &'static str {
        "top_n_sigma"
    }

    fn settings(&self) -> Option<Settings> {
        Some(Settings::new(self.name()).with("n", self.n))
    }

    fn role(&self) -> Role {
        Role::Cut
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        _: &StepContext<'_>,
    ) -> Result<(), StageError> {
        let best = f64::from(candidates.max()?);
        let floor = (best - f64::from(self.n) * candidates.deviation()?) as f32;
        candidates.map(|_, score| if score < floor { f32::NEG_INFINITY } else { score });
        Ok(())
    }
}

impl Described for TopNSigma {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let n = arguments.required("n")?;
        arguments.built(Self::new(n))
    }
}

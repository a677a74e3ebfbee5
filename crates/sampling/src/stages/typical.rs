//! Locally typical sampling: the candidates that surprise about as much as is to be expected.

use crate::candidates::{Candidates, MassRule};
use crate::data::{Arguments, Described, PipelineError, SettingError, Settings};
use crate::error::StageError;
use crate::stage::{Stage, StepContext};
use crate::ties::TiePolicy;

/// Keeps the candidates whose surprise `−ln p` is nearest to the entropy, until they hold a share
/// `p` of the mass.
///
/// As `−ln p = ln Z − s` and the entropy is `ln Z − E[s]`, the distance is `|s − E[s]|`: nearness to
/// the mean score, no logarithm taken. It may drop the argmax. `p = 1` keeps everything, `p = 0` the
/// nearest one.
///
/// # Ties
///
/// Of two candidates equally far from the mean, the likelier comes first; of equal scores at the
/// boundary [`TiePolicy`] decides. [`TiePolicy::KeepAll`] keeps all that are as near as the last one.
///
/// # NaN and infinities
///
/// NaN and +∞ are refused. Banned candidates weigh nothing, are infinitely far, and are removed.
///
/// # Differences
///
/// Hugging Face stops once the mass is at least `p` ([`MassRule::Reach`]) and keeps every tie;
/// llama.cpp once it is more than `p` ([`MassRule::Exceed`]), and its entropy is NaN as soon as one
/// candidate is banned, which leaves an arbitrary set. Both round `p` to `f32`, as here.
///
/// # Complexity
///
/// Two passes of exponentials, a few over the distances, and two weighted selections. No sort.
///
/// # Example
///
/// ```
/// use taper_sampling::prelude::*;
///
/// // The most likely token says less than is to be expected of one, and the last one more.
/// let logits = [0.4_f32.ln(), 0.3_f32.ln(), 0.2_f32.ln(), 0.1_f32.ln()];
/// let pipeline = Pipeline::draw().then(Typical::new(0.45)?);
/// let mut workspace = Workspace::new(4);
/// let left = pipeline.process(&logits, &Step::new(DrawKey::new(0)), &mut workspace)?;
/// assert_eq!((left.get(0), left.len(), left.get(3)), (None, 2, None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Meister et al., *Locally Typical Sampling*, arXiv 2202.00666; Hugging Face transformers 5.23,
/// `TypicalLogitsWarper`; llama.cpp `llama_sampler_typical`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Typical {
    p: f64,
    rule: MassRule,
    min_tokens_to_keep: usize,
    ties: TiePolicy,
}

impl Typical {
    /// Keeps the share `p`, rounded to `f32` as the engines do, the lowest ids among equals.
    ///
    /// # Errors
    ///
    /// [`SettingError`] unless `0 ≤ p ≤ 1`.
    pub fn new(p: f64) -> Result<Self, SettingError> {
        if !(0.0..=1.0).contains(&p) {
            return Err(SettingError::new("p", p, "in 0..=1").called("typical_p"));
        }
        let p = f64::from(p as f32);
        Ok(Self { p, rule: MassRule::Reach, min_tokens_to_keep: 1, ties: TiePolicy::default() })
    }

    /// Who stays among equals.
    #[must_use]
    pub fn ties(self, ties: TiePolicy) -> Self {
        Self { ties, ..self }
    }

    /// What meeting `p` means.
    #[must_use]
    pub fn rule(self, rule: MassRule) -> Self {
        Self { rule, ..self }
    }

    /// Never keeps fewer candidates than this, the nearest ones.
    #[must_use]
    pub fn min_tokens_to_keep(self, min_tokens_to_keep: usize) -> Self {
        Self { min_tokens_to_keep, ..self }
    }
}

impl Stage for Typical {
    fn name(&self) -> &'static str {
        "typical_p"
    }

    fn settings(&self) -> Option<Settings> {
        let settings = Settings::new(self.name())
            .with("p", self.p as f32)
            .policy("rule", self.rule, MassRule::Reach)
            .option("min_tokens_to_keep", self.min_tokens_to_keep, 1);
        Some(settings.policy("ties", self.ties, TiePolicy::default()))
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        _: &StepContext<'_>,
    ) -> Result<(), StageError> {
        let mean = candidates.mean_score()?;
        candidates.keep_around(mean, self.p, self.rule, self.min_tokens_to_keep, self.ties)
    }
}

impl Described for Typical {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let p = arguments.required("p")?;
        let rule = arguments.optional("rule", MassRule::Reach)?;
        let least = arguments.optional("min_tokens_to_keep", 1)?;
        let ties = arguments.optional("ties", TiePolicy::default())?;
        Ok(arguments.built(Self::new(p))?.rule(rule).min_tokens_to_keep(least).ties(ties))
    }
}

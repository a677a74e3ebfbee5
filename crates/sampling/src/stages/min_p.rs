//! Min-p: every candidate at least a fraction as likely as the best.

use crate::candidates::{Candidates, Edge};
use crate::data::{Arguments, Described, PipelineError, SettingError, Settings};
use crate::error::StageError;
use crate::kernels::ln;
use crate::stage::{Role, Stage, StepContext};

/// Keeps the candidates whose probability is at least `min_p` times the best one's.
///
/// In scores: `s ≥ fl(max + fl(ln min_p))`, so no exponential is taken. `min_p = 0` keeps
/// everything, `min_p = 1` the best and its equals.
///
/// # Ties
///
/// None to break: equal scores stay or go together, and equality with the floor is kept.
///
/// # NaN and infinities
///
/// NaN and +∞ are refused. Banned candidates are removed, unless `min_p = 0`.
///
/// # Differences
///
/// Hugging Face and vLLM compare probabilities, llama.cpp scores, as here; they differ within a
/// rounding of the floor. mistral.rs drops equality. vLLM runs it before top-k and top-p, the
/// others after.
///
/// # Complexity
///
/// One pass, two when the maximum is not known yet.
///
/// # Example
///
/// ```
/// use taper_sampling::prelude::*;
///
/// let logits = [0.0, 0.5_f32.ln(), 0.01_f32.ln()];
/// let step = Step::new(DrawKey::new(0)).ask(Ask { kept: true, ..Ask::token() });
/// let pipeline = Pipeline::draw().then(MinP::new(0.5)?);
/// assert_eq!(pipeline.select(&logits, &step, &mut Workspace::new(3))?.kept, Some(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Nguyen et al., *Turning Up the Heat: Min-p Sampling*, arXiv 2407.01082; Hugging Face
/// transformers 5.23, `MinPLogitsWarper`; llama.cpp `llama_sampler_min_p`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MinP {
    share: f64,
    log_share: f32,
    min_tokens_to_keep: usize,
}

impl MinP {
    /// Keeps what is at least `min_p` times as likely as the best.
    ///
    /// # Errors
    ///
    /// [`SettingError`] unless `0 ≤ min_p ≤ 1`.
    pub fn new(min_p: f64) -> Result<Self, SettingError> {
        if !(0.0..=1.0).contains(&min_p) {
            return Err(SettingError::new("min_p", min_p, "in 0..=1"));
        }
        Ok(Self { share: min_p, log_share: ln(min_p) as f32, min_tokens_to_keep: 1 })
    }

    /// Never keeps fewer candidates than this.
    #[must_use]
    pub fn min_tokens_to_keep(self, min_tokens_to_keep: usize) -> Self {
        Self { min_tokens_to_keep, ..self }
    }
}

impl Stage for MinP {
    fn name(&self) -> &'static str {
        "min_p"
    }

    fn settings(&self) -> Option<Settings> {
        let settings = Settings::new(self.name()).with("min_p", self.share);
        Some(settings.option("min_tokens_to_keep", self.min_tokens_to_keep, 1))
    }

    fn role(&self) -> Role {
        Role::Cut
    }

    fn is_idle(&self) -> bool {
        self.log_share == f32::NEG_INFINITY
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        _: &StepContext<'_>,
    ) -> Result<(), StageError> {
        let floor = candidates.max()? + self.log_share;
        candidates.keep_from(floor, Edge::Keep, self.min_tokens_to_keep)
    }
}

impl Described for MinP {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let min_p = arguments.required("min_p")?;
        let least = arguments.optional("min_tokens_to_keep", 1)?;
        Ok(arguments.built(Self::new(min_p))?.min_tokens_to_keep(least))
    }
}

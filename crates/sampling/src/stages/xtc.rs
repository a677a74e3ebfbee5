//! XTC, "exclude top choices": now and then, all the likely tokens but the least likely of them go.

use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, SettingError, Settings};
use crate::error::StageError;
use crate::sequence::Purpose;
use crate::stage::{Stage, StepContext};
use crate::ties::TiePolicy;

/// With the given probability, removes every candidate of at least `threshold` except the least
/// likely of those.
///
/// Whether it acts is drawn anew at every step: it does if the number of [`Purpose::Xtc`] with
/// index 0 is below `probability`, so never at 0 and always at 1. Nothing happens unless two
/// candidates or more reach the threshold, or if fewer than `min_tokens_to_keep` would be left.
///
/// # Ties
///
/// Where several are the least likely of the likely, [`TiePolicy`] says which one stays;
/// [`TiePolicy::KeepAll`] keeps them all.
///
/// # NaN and infinities
///
/// NaN and +∞ are refused if it acts. Banned candidates stay. Their probability of 0 reaches no
/// threshold but 0, at which no other would be left, and the step fails. A threshold of 0 has a
/// [lint](crate::Pipeline::lints): where it acts, only the least likely candidate is left.
///
/// # Differences
///
/// llama.cpp has it, compares probabilities in `f32` as here, and draws from a generator of its own
/// that starts at the same seed as the one that draws the token: the two are correlated there and
/// independent here. A threshold above ½, which nothing could pass twice, is "off" there and an
/// error here.
///
/// # Complexity
///
/// One pass of exponentials for the normaliser, two or three over scores, when it acts.
///
/// # Example
///
/// ```
/// use taper_sampling::prelude::*;
///
/// let logits = [0.5_f32.ln(), 0.3_f32.ln(), 0.15_f32.ln(), 0.05_f32.ln()];
/// let pipeline = Pipeline::draw().then(Xtc::new(1.0, 0.1)?);
/// let mut workspace = Workspace::new(4);
/// let left = pipeline.process(&logits, &Step::new(DrawKey::new(0)), &mut workspace)?;
/// assert_eq!((left.len(), left.get(1)), (2, None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// p-e-w, *Exclude Top Choices*, text-generation-webui pull request 6335; llama.cpp
/// `llama_sampler_xtc`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Xtc {
    probability: f64,
    threshold: f32,
    min_tokens_to_keep: usize,
    ties: TiePolicy,
}

impl Xtc {
    /// How often it acts, and what is likely; the lowest ids among equals.
    ///
    /// # Errors
    ///
    /// [`SettingError`] for what is out of range.
    pub fn new(probability: f64, threshold: f64) -> Result<Self, SettingError> {
        if !(0.0..=1.0).contains(&probability) {
            return Err(
                SettingError::new("probability", probability, "in 0..=1").called("xtc_probability")
            );
        }
        let rounded = threshold as f32;
        if !(0.0..=0.5).contains(&rounded) {
            return Err(SettingError::new(
                "threshold",
                threshold,
                "in 0..=0.5 (two candidates cannot both have more)",
            )
            .called("xtc_threshold"));
        }
        let ties = TiePolicy::default();
        Ok(Self { probability, threshold: rounded, min_tokens_to_keep: 0, ties })
    }

    /// Who stays among equals.
    #[must_use]
    pub fn ties(self, ties: TiePolicy) -> Self {
        Self { ties, ..self }
    }

    /// Does nothing rather than leave fewer candidates than this.
    #[must_use]
    pub fn min_tokens_to_keep(self, min_tokens_to_keep: usize) -> Self {
        Self { min_tokens_to_keep, ..self }
    }
}

impl Stage for Xtc {
    fn name(&self) -> &'static str {
        "xtc"
    }

    fn settings(&self) -> Option<Settings> {
        let settings = Settings::new(self.name())
            .with("probability", self.probability)
            .with("threshold", self.threshold)
            .option("min_tokens_to_keep", self.min_tokens_to_keep, 0);
        Some(settings.policy("ties", self.ties, TiePolicy::default()))
    }

    fn is_idle(&self) -> bool {
        self.probability == 0.0
    }

    fn warning(&self) -> Option<&'static str> {
        let least = self.probability > 0.0 && self.threshold == 0.0;
        least.then_some("leaves only the least likely candidate where it acts: its threshold is 0")
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        step: &StepContext<'_>,
    ) -> Result<(), StageError> {
        if step.draws().unit(Purpose::Xtc, 0) >= self.probability {
            return Ok(());
        }
        let floor = candidates.score_at(self.threshold)?;
        let mut likely = 0_usize;
        candidates.for_each(|_, score| likely += usize::from(score >= floor));
        let excluded = likely.saturating_sub(1);
        if candidates.len() - excluded < self.min_tokens_to_keep {
            return Ok(());
        }
        candidates.drop_top(excluded, self.ties)
    }
}

impl Described for Xtc {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let probability = arguments.required("probability")?;
        let threshold = arguments.required("threshold")?;
        let least = arguments.optional("min_tokens_to_keep", 0)?;
        let ties = arguments.optional("ties", TiePolicy::default())?;
        Ok(arguments.built(Self::new(probability, threshold))?.min_tokens_to_keep(least).ties(ties))
    }
}

//! Classifier-free guidance: away from what the model would say without the prompt.

use crate::candidates::{Candidates, Normaliser};
use crate::data::{Arguments, Described, PipelineError, SettingError, Settings};
use crate::error::StageError;
use crate::kernels::rows::{self, Gaps};
use crate::kernels::{Mass, weight};
use crate::logits::Logits;
use crate::stage::{Role, Stage, StepContext};

/// Moves every log-probability away from that of a second row: `s' = scale · (c − u) + u`, where
/// `c` is the log-probability among the candidates and `u` that in the row given by
/// [`Step::unconditional`](crate::Step::unconditional).
///
/// `scale = 1` leaves the log-probabilities `c`, more emphasises the prompt, `scale = 0` gives
/// those of the second row.
///
/// # Ties
///
/// An edit; it may make or break them.
///
/// # NaN and infinities
///
/// NaN and +∞ are refused in either row. A banned candidate stays banned; one that only the second
/// row rules out becomes NaN or +∞, for the next cut to refuse.
///
/// # Differences
///
/// Hugging Face's rule, computed on log-probabilities in `f32`; there a token at −∞ in both rows
/// becomes NaN. vLLM and llama.cpp have none any more.
///
/// # Complexity
///
/// Three passes, two of them of exponentials.
///
/// # Example
///
/// ```
/// use taper_sampling::prelude::*;
///
/// let pipeline = Pipeline::greedy().then(ClassifierFreeGuidance::new(3.0)?);
/// let step = Step::new(DrawKey::new(0)).unconditional(&[2.0, 0.0]);
/// assert_eq!(pipeline.select(&[1.5, 1.0], &step, &mut Workspace::new(2))?.token, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Sanchez et al., *Stay on Topic with Classifier-Free Guidance*, arXiv 2306.17806; Hugging Face
/// transformers 5.23, `UnbatchedClassifierFreeGuidanceLogitsProcessor`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassifierFreeGuidance {
    scale: f32,
}

impl ClassifierFreeGuidance {
    /// Guidance of this strength.
    ///
    /// # Errors
    ///
    /// [`SettingError`] unless `scale` is finite in `f32`.
    pub fn new(scale: f64) -> Result<Self, SettingError> {
        if !(scale as f32).is_finite() {
            return Err(
                SettingError::new("scale", scale, "finite (1 is off)").called("guidance_scale")
            );
        }
        Ok(Self { scale: scale as f32 })
    }
}

impl Stage for ClassifierFreeGuidance {
    fn name(&self) -> &'static str {
        "classifier_free_guidance"
    }

    fn settings(&self) -> Option<Settings> {
        Some(Settings::new(self.name()).with("scale", self.scale))
    }

    fn role(&self) -> Role {
        Role::Edit
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        step: &StepContext<'_>,
    ) -> Result<(), StageError> {
        let expected = candidates.vocab_size();
        let second = step.unconditional();
        let unconditional =
            second.filter(|second| second.is_row() && second.len() == expected).ok_or(
                StageError::NoUnconditional { expected, given: second.map_or(0, |s| s.len()) },
            )?;
        let (own, other) = (candidates.normaliser()?, normaliser(unconditional)?);
        candidates.map(|id, score| {
            let conditional = own.log_probability(score) as f32;
            let logit = unconditional.get(id).unwrap_or(f32::NEG_INFINITY);
            let unconditional = other.log_probability(logit) as f32;
            if conditional == f32::NEG_INFINITY {
                conditional
            } else {
                self.scale * (conditional - unconditional) + unconditional
            }
        });
        Ok(())
    }
}

impl Described for ClassifierFreeGuidance {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let scale = arguments.required("scale")?;
        arguments.built(Self::new(scale))
    }
}

fn normaliser(row: Logits<'_>) -> Result<Normaliser, StageError> {
    let mut best = f32::NEG_INFINITY;
    for id in 0..row.len() as u32 {
        let score = row.get(id).unwrap_or(f32::NEG_INFINITY);
        if score.is_nan() || score == f32::INFINITY {
            return Err(StageError::NotFinite { id, score });
        }
        best = best.max(score);
    }
    if best == f32::NEG_INFINITY {
        return Err(StageError::AllMasked { candidates: row.len() });
    }
    let mass = if let Logits::F32(row) = row {
        rows::mass(row, Gaps { best, divisor: 1.0 })
    } else {
        // The same sum without vector lanes: it is one of integers.
        let scores = (0..row.len() as u32).filter_map(|id| row.get(id));
        Mass(scores.map(|score| Mass::of_weight(weight(best - score)).0).sum())
    };
    Ok(Normaliser::of_mass(best, mass))
}
